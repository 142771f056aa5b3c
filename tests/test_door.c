/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/door.h"

enum { ROOM = 3 };
static const struct stay forever = {.seconds = 0, .spare = true};
static const struct stay moment = {.seconds = 0.01, .late = "it was late"};
static const struct stay day = {.seconds = 86400, .late = "it was a day late"};

/* a connection: the client's end of it, and what the door knows */
struct client {
    int own, server;
    struct guest guest;
};

static struct door *start(void)
{
    struct door *door = NULL;
    struct err err = {0};
    if (door_open(&door, ROOM, &err))
        fail_msg("%s", err.text);
    return door;
}

static void enter(struct door *door, struct client *client, struct stay stay)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    client->own = ends[0];
    client->server = ends[1];
    door_enter(door, &client->guest, client->server, stay);
}

static void leave(struct door *door, struct client *client)
{
    door_leave(door, &client->guest);
    close(client->own);
    close(client->server);
}

static bool sees_the_end(const struct client *client)
{
    struct pollfd now = {.fd = client->own, .events = POLLRDHUP};
    return poll(&now, 1, 0) > 0;
}

/* Waits as long as it takes: what never comes makes the test hang. */
static void wait_until_out(struct door *door, const struct client *client)
{
    while (!door_why(door, &client->guest))
        sched_yield();
    assert_true(sees_the_end(client));
}

static void a_door_without_guests_closes(void **state)
{
    (void)state;
    door_close(start());
    door_close(NULL);
}

static void whoever_is_late_is_shown_out_and_told_why(void **state)
{
    struct door *door = start();
    struct client late, early, endless;
    (void)state;
    enter(door, &early, day);
    enter(door, &endless, forever);
    enter(door, &late, moment);
    wait_until_out(door, &late);
    assert_string_equal(door_why(door, &late.guest), "it was late");
    assert_null(door_why(door, &early.guest));
    assert_null(door_why(door, &endless.guest));
    assert_false(sees_the_end(&early) || sees_the_end(&endless));
    leave(door, &early);
    leave(door, &late);
    leave(door, &endless);
    door_close(door);
}

static void a_new_stay_has_a_time_of_its_own(void **state)
{
    struct door *door = start();
    struct client client;
    (void)state;
    enter(door, &client, day);
    door_let(door, &client.guest, forever);
    assert_true(client.guest.deadline <= 0);
    door_let(door, &client.guest, moment);
    wait_until_out(door, &client);
    assert_string_equal(door_why(door, &client.guest), "it was late");
    leave(door, &client);
    door_close(door);
}

static void time_that_is_stopped_does_not_pass(void **state)
{
    struct door *door = start();
    struct client client, probe;
    (void)state;
    enter(door, &client, (struct stay){.seconds = 0.02, .late = "too early"});
    double left = door_pause(door, &client.guest);
    assert_true(door_why(door, &client.guest) || (left > 0 && left <= 0.02));
    enter(door, &probe, (struct stay){.seconds = 0.1, .late = "now"});
    wait_until_out(door, &probe);
    if (left > 0.001) /* else it was late before it was stopped */
        assert_null(door_why(door, &client.guest));
    door_let(door, &client.guest, forever);
    assert_true(door_pause(door, &client.guest) <= 0);
    leave(door, &probe);
    leave(door, &client);
    door_close(door);
}

static void those_who_wait_longest_make_room(void **state)
{
    struct door *door = start();
    struct client busy, waiting[ROOM + 1];
    (void)state;
    enter(door, &busy, (struct stay){.seconds = 0});
    for (size_t i = 0; i < ROOM + 1; i++)
        enter(door, &waiting[i], forever);
    wait_until_out(door, &waiting[0]);
    wait_until_out(door, &waiting[1]);
    assert_false(sees_the_end(&busy) || sees_the_end(&waiting[2]) || sees_the_end(&waiting[3]));
    door_let(door, &waiting[2].guest, forever); /* it was at work meanwhile, and so waits least */
    struct client another;
    enter(door, &another, forever);
    wait_until_out(door, &waiting[3]);
    assert_false(sees_the_end(&busy) || sees_the_end(&waiting[2]) || sees_the_end(&another));
    leave(door, &another);
    leave(door, &busy);
    for (size_t i = 0; i < ROOM + 1; i++)
        leave(door, &waiting[i]);
    door_close(door);
}

static void whoever_is_at_work_makes_no_room(void **state)
{
    struct door *door = start();
    struct client busy[ROOM], last;
    (void)state;
    for (size_t i = 0; i < ROOM; i++)
        enter(door, &busy[i], (struct stay){.seconds = 0});
    enter(door, &last, forever);
    assert_false(sees_the_end(&last));
    for (size_t i = 0; i < ROOM; i++) {
        assert_false(sees_the_end(&busy[i]));
        leave(door, &busy[i]);
    }
    leave(door, &last);
    door_close(door);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_door_without_guests_closes),
        cmocka_unit_test(whoever_is_late_is_shown_out_and_told_why),
        cmocka_unit_test(a_new_stay_has_a_time_of_its_own),
        cmocka_unit_test(time_that_is_stopped_does_not_pass),
        cmocka_unit_test(those_who_wait_longest_make_room),
        cmocka_unit_test(whoever_is_at_work_makes_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
