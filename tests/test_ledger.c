/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "push/ledger.h"

enum { THREADS = 8, PUSHES = 20000 };

static void *add_pushes(void *arg)
{
    for (int i = 0; i < PUSHES; i++)
        ledger_add(arg, &(struct ledger_push){
                            .applied = i % 2, .entities = 2, .bytes = 3, .inserted = 1, .seconds = 0.02});
    return NULL;
}

static void pushes_of_many_threads_are_all_counted(void **state)
{
    struct ledger ledger;
    struct ledger_counts counts;
    pthread_t threads[THREADS];
    (void)state;
    ledger_init(&ledger);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_pushes, &ledger), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ledger_counts(&ledger, &counts);
    assert_int_equal(counts.pushes, THREADS * PUSHES);
    assert_int_equal(counts.failures, THREADS * PUSHES / 2);
    assert_int_equal(counts.entities, 2 * THREADS * PUSHES);
    assert_int_equal(counts.bytes, 3 * THREADS * PUSHES);
    assert_int_equal(counts.inserted, THREADS * PUSHES);
    assert_int_equal(counts.durations.counts[1], THREADS * PUSHES);
    ledger_destroy(&ledger);
}

/* Objects of every length around the room for one. */
static void a_conflict_is_kept_whole_or_as_its_reason(void **state)
{
    enum { ROOM = sizeof((struct ledger_conflict *)0)->members };
    struct ledger ledger;
    struct ledger_conflict kept[LEDGER_CONFLICTS];
    (void)state;
    ledger_init(&ledger);
    for (int len = ROOM - 3; len < ROOM + 5; len++) {
        char object[ROOM + 8], expected[ROOM + 8];
        memset(object, 'x', sizeof object);
        object[0] = '{';
        object[len - 1] = '}';
        bool fits = len - 2 < ROOM;
        snprintf(expected, sizeof expected, "%.*s", len - 2, object + 1);
        ledger_add_conflict(&ledger, object, (size_t)len, "exists");
        ledger_conflicts(&ledger, kept);
        assert_string_equal(kept[0].members,
                            fits ? expected : "\"_id\":\"(too long to be kept)\",\"reason\":\"exists\"");
    }
    ledger_destroy(&ledger);
}

static void the_last_conflicts_come_the_newest_first(void **state)
{
    struct ledger ledger;
    struct ledger_conflict kept[LEDGER_CONFLICTS];
    (void)state;
    ledger_init(&ledger);
    assert_int_equal(ledger_conflicts(&ledger, kept), 0);
    for (int i = 1; i <= 3 * LEDGER_CONFLICTS; i++) {
        char object[16], newest[16];
        int len = snprintf(object, sizeof object, "{%d}", i);
        ledger_add_conflict(&ledger, object, (size_t)len, "exists");
        size_t count = ledger_conflicts(&ledger, kept);
        assert_int_equal(count, i < LEDGER_CONFLICTS ? i : LEDGER_CONFLICTS);
        for (size_t k = 0; k < count; k++) {
            snprintf(newest, sizeof newest, "%d", i - (int)k);
            assert_string_equal(kept[k].members, newest);
        }
    }
    ledger_destroy(&ledger);
}

static void check_sync(struct ledger *ledger, const char *sequence_id, uint64_t requests)
{
    struct ledger_sync sync;
    ledger_sync(ledger, &sync);
    assert_string_equal(sync.sequence_id, sequence_id);
    assert_int_equal(sync.requests, requests);
    assert_int_equal(sync.begun != 0, requests != 0);
}

static void a_full_sync_is_open_from_its_first_request_to_its_last(void **state)
{
    struct ledger ledger;
    (void)state;
    ledger_init(&ledger);
    check_sync(&ledger, "", 0);
    ledger_add_sync(&ledger, "a", false);
    ledger_add_sync(&ledger, "a", false);
    check_sync(&ledger, "a", 2);
    ledger_add_sync(&ledger, "b", false); /* in its place */
    check_sync(&ledger, "b", 1);
    ledger_add_sync(&ledger, "b", true);
    check_sync(&ledger, "", 0);
    ledger_add_sync(&ledger, "c", false);
    ledger_add_sync(&ledger, NULL, true); /* a whole sync ends an open one */
    check_sync(&ledger, "", 0);
    ledger_destroy(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushes_of_many_threads_are_all_counted),
        cmocka_unit_test(a_conflict_is_kept_whole_or_as_its_reason),
        cmocka_unit_test(the_last_conflicts_come_the_newest_first),
        cmocka_unit_test(a_full_sync_is_open_from_its_first_request_to_its_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
