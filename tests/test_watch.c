/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "http/watch.h"

/* a client: its own end of a connection, and the request that the watch knows */

struct client {
    int own, server;
    struct cancel cancel;
    struct watched watched;
};

static void connect_client(struct client *client)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    *client = (struct client){.own = ends[0], .server = ends[1]};
    cancel_init(&client->cancel);
    client->watched = (struct watched){.fd = client->server, .cancel = &client->cancel};
}

static void begin_request(struct watch *watch, struct client *client)
{
    connect_client(client);
    watch_add(watch, &client->watched);
}

static void leave(struct client *client)
{
    close(client->own);
    client->own = -1;
}

static void end_request(struct watch *watch, struct client *client)
{
    watch_remove(watch, &client->watched);
    if (client->own >= 0)
        close(client->own);
    close(client->server);
    cancel_destroy(&client->cancel);
}

/* Waits as long as it takes: what never fires makes the test hang. */
static void wait_until_fired(struct client *client)
{
    while (!cancel_fired(&client->cancel))
        sched_yield();
}

static struct watch *start(void)
{
    struct watch *watch = NULL;
    struct err err = {0};
    if (watch_start(&watch, &err))
        fail_msg("%s", err.text);
    return watch;
}

/* Until the watch has looked at its list: when this passes, so has all that came before. */
static void let_it_look(struct watch *watch)
{
    struct client probe;
    begin_request(watch, &probe);
    leave(&probe);
    wait_until_fired(&probe);
    end_request(watch, &probe);
}

static void a_watch_without_clients_stops(void **state)
{
    (void)state;
    watch_stop(start());
    watch_stop(NULL);
}

static void a_client_that_goes_away_is_noticed(void **state)
{
    struct watch *watch = start();
    struct client client;
    (void)state;
    begin_request(watch, &client);
    let_it_look(watch);
    assert_false(cancel_fired(&client.cancel));
    leave(&client);
    wait_until_fired(&client);
    end_request(watch, &client);
    watch_stop(watch);
}

static void a_client_that_was_gone_before_is_noticed(void **state)
{
    struct watch *watch = start();
    struct client client;
    (void)state;
    connect_client(&client);
    leave(&client);
    watch_add(watch, &client.watched);
    wait_until_fired(&client);
    end_request(watch, &client);
    watch_stop(watch);
}

static void a_client_that_only_shuts_its_sending_side_is_noticed(void **state)
{
    struct watch *watch = start();
    struct client client;
    (void)state;
    begin_request(watch, &client);
    shutdown(client.own, SHUT_WR);
    wait_until_fired(&client);
    end_request(watch, &client);
    watch_stop(watch);
}

static void a_client_that_sends_more_is_not_called_off(void **state)
{
    struct watch *watch = start();
    struct client client;
    (void)state;
    begin_request(watch, &client);
    for (unsigned i = 0; i < 100; i++) /* an upload that nobody reads */
        assert_int_equal(write(client.own, "GET / HTTP/1.1\r\n", 16), 16);
    let_it_look(watch);
    assert_false(cancel_fired(&client.cancel));
    leave(&client); /* and that is still noticed, although there is something to read */
    wait_until_fired(&client);
    end_request(watch, &client);
    watch_stop(watch);
}

static void only_the_one_that_left_is_called_off(void **state)
{
    enum { CLIENTS = 50 };
    struct watch *watch = start();
    struct client clients[CLIENTS];
    (void)state;
    for (size_t i = 0; i < CLIENTS; i++)
        begin_request(watch, &clients[i]);
    for (size_t i = 0; i < CLIENTS; i += 3)
        leave(&clients[i]);
    for (size_t i = 0; i < CLIENTS; i += 3)
        wait_until_fired(&clients[i]);
    let_it_look(watch);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(cancel_fired(&clients[i].cancel), i % 3 == 0);
    for (size_t i = 0; i < CLIENTS; i++)
        end_request(watch, &clients[i * 7 % CLIENTS]);
    watch_stop(watch);
}

static void a_request_that_is_over_is_not_called_off(void **state)
{
    struct watch *watch = start();
    struct client client;
    (void)state;
    begin_request(watch, &client);
    let_it_look(watch);
    watch_remove(watch, &client.watched);
    watch_remove(watch, &client.watched);
    leave(&client);
    let_it_look(watch);
    assert_false(cancel_fired(&client.cancel));
    end_request(watch, &client);
    watch_stop(watch);
}

/* The next client may be given the number of the last one's socket. */
static void a_number_used_again_is_another_client(void **state)
{
    struct watch *watch = start();
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        struct client first, second;
        begin_request(watch, &first);
        if (i % 2)
            let_it_look(watch);
        int number = first.server;
        leave(&first);
        end_request(watch, &first);
        connect_client(&second);
        if (second.server != number) {
            if (second.own == number)
                second.own = dup(second.own);
            assert_int_equal(dup2(second.server, number), number);
            close(second.server);
            second.server = second.watched.fd = number;
        }
        watch_add(watch, &second.watched);
        let_it_look(watch);
        assert_false(cancel_fired(&second.cancel));
        end_request(watch, &second);
    }
    watch_stop(watch);
}

/* What never ends makes the test hang. The pause lets the watch fall asleep in its look at the socket. */
static void a_socket_that_is_closed_after_the_request_is_closed(void **state)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    struct watch *watch = start();
    struct client client;
    char byte;
    (void)state;
    begin_request(watch, &client);
    let_it_look(watch);
    nanosleep(&pause, NULL);
    watch_remove(watch, &client.watched);
    close(client.server);
    assert_int_equal(read(client.own, &byte, 1), 0);
    close(client.own);
    cancel_destroy(&client.cancel);
    watch_stop(watch);
}

static void all_can_be_called_off_at_once(void **state)
{
    struct watch *watch = start();
    struct client clients[3], other;
    (void)state;
    for (size_t i = 0; i < 3; i++)
        begin_request(watch, &clients[i]);
    begin_request(watch, &other);
    watch_remove(watch, &other.watched);
    watch_fire_all(watch);
    for (size_t i = 0; i < 3; i++)
        assert_true(cancel_fired(&clients[i].cancel));
    assert_false(cancel_fired(&other.cancel));
    for (size_t i = 0; i < 3; i++)
        end_request(watch, &clients[i]);
    end_request(watch, &other);
    watch_stop(watch);
}

/* deadlines */

static void a_request_without_time_left_expires(void **state)
{
    struct watch *watch = start();
    struct client client;
    (void)state;
    begin_request(watch, &client);
    let_it_look(watch);
    assert_false(cancel_fired(&client.cancel));
    watch_deadline(watch, &client.watched, monotonic_seconds() + 0.01);
    wait_until_fired(&client);
    assert_true(cancel_expired(&client.cancel));
    end_request(watch, &client);
    watch_stop(watch);
}

static void a_deadline_that_is_over_already_counts(void **state)
{
    struct watch *watch = start();
    struct client client;
    (void)state;
    begin_request(watch, &client);
    watch_deadline(watch, &client.watched, monotonic_seconds() - 1);
    wait_until_fired(&client);
    assert_true(cancel_expired(&client.cancel));
    end_request(watch, &client);
    watch_stop(watch);
}

static void a_client_that_goes_away_in_time_does_not_expire(void **state)
{
    struct watch *watch = start();
    struct client client;
    (void)state;
    begin_request(watch, &client);
    watch_deadline(watch, &client.watched, monotonic_seconds() + 3600);
    let_it_look(watch);
    assert_false(cancel_fired(&client.cancel));
    leave(&client);
    wait_until_fired(&client);
    assert_false(cancel_expired(&client.cancel));
    watch_deadline(watch, &client.watched, monotonic_seconds() - 1);
    let_it_look(watch);
    assert_false(cancel_expired(&client.cancel));
    end_request(watch, &client);
    watch_stop(watch);
}

static void the_sooner_of_two_deadlines_comes_first(void **state)
{
    struct watch *watch = start();
    struct client late, soon;
    (void)state;
    begin_request(watch, &late);
    begin_request(watch, &soon);
    watch_deadline(watch, &late.watched, monotonic_seconds() + 3600);
    let_it_look(watch);
    watch_deadline(watch, &soon.watched, monotonic_seconds() + 0.01);
    wait_until_fired(&soon);
    assert_false(cancel_fired(&late.cancel));
    end_request(watch, &soon);
    end_request(watch, &late);
    watch_stop(watch);
}

/* The thread has planned for the later of two that come one after the other, too. */
static void one_deadline_follows_another(void **state)
{
    struct watch *watch = start();
    struct client first, second;
    (void)state;
    begin_request(watch, &first);
    begin_request(watch, &second);
    watch_deadline(watch, &first.watched, monotonic_seconds() + 0.01);
    watch_deadline(watch, &second.watched, monotonic_seconds() + 0.02);
    wait_until_fired(&second);
    assert_true(cancel_expired(&first.cancel));
    assert_true(cancel_expired(&second.cancel));
    end_request(watch, &first);
    end_request(watch, &second);
    watch_stop(watch);
}

static void a_deadline_that_is_taken_back_never_comes(void **state)
{
    struct watch *watch = start();
    struct client client, other;
    double deadline;
    (void)state;
    begin_request(watch, &other);
    begin_request(watch, &client);
    for (;;) { /* until it was taken back before it came, however slow we are */
        deadline = monotonic_seconds() + 0.05;
        watch_deadline(watch, &client.watched, deadline);
        watch_deadline(watch, &client.watched, 0);
        if (monotonic_seconds() < deadline)
            break;
        end_request(watch, &client);
        begin_request(watch, &client);
    }
    watch_deadline(watch, &other.watched, deadline + 0.01);
    wait_until_fired(&other);
    let_it_look(watch);
    assert_false(cancel_fired(&client.cancel));
    end_request(watch, &client);
    end_request(watch, &other);
    watch_stop(watch);
}

/* many threads */

struct requests {
    struct watch *watch;
    unsigned number;
    atomic_uint wrong;
};

static void *come_and_go(void *arg)
{
    struct requests *requests = arg;
    for (unsigned turn = 0; turn < 300; turn++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
            continue;
        struct cancel cancel;
        struct watched watched = {.fd = ends[1], .cancel = &cancel};
        bool leaves = (turn + requests->number) % 2;
        cancel_init(&cancel);
        watch_add(requests->watch, &watched);
        if (leaves) {
            close(ends[0]);
            while (!cancel_fired(&cancel))
                sched_yield();
        }
        watch_remove(requests->watch, &watched);
        if (cancel_fired(&cancel) != leaves)
            atomic_fetch_add(&requests->wrong, 1);
        cancel_destroy(&cancel);
        close(ends[1]);
        if (!leaves)
            close(ends[0]);
    }
    return NULL;
}

static void many_requests_come_and_go(void **state)
{
    enum { THREADS = 6 };
    struct requests requests[THREADS];
    pthread_t threads[THREADS];
    struct watch *watch = start();
    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        requests[i] = (struct requests){.watch = watch, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &requests[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(requests[i].wrong, 0);
    }
    watch_stop(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watch_without_clients_stops),
        cmocka_unit_test(a_client_that_goes_away_is_noticed),
        cmocka_unit_test(a_client_that_was_gone_before_is_noticed),
        cmocka_unit_test(a_client_that_only_shuts_its_sending_side_is_noticed),
        cmocka_unit_test(a_client_that_sends_more_is_not_called_off),
        cmocka_unit_test(only_the_one_that_left_is_called_off),
        cmocka_unit_test(a_request_that_is_over_is_not_called_off),
        cmocka_unit_test(a_number_used_again_is_another_client),
        cmocka_unit_test(a_socket_that_is_closed_after_the_request_is_closed),
        cmocka_unit_test(all_can_be_called_off_at_once),
        cmocka_unit_test(a_request_without_time_left_expires),
        cmocka_unit_test(a_deadline_that_is_over_already_counts),
        cmocka_unit_test(a_client_that_goes_away_in_time_does_not_expire),
        cmocka_unit_test(the_sooner_of_two_deadlines_comes_first),
        cmocka_unit_test(one_deadline_follows_another),
        cmocka_unit_test(a_deadline_that_is_taken_back_never_comes),
        cmocka_unit_test(many_requests_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
