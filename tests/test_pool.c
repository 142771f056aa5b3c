/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "db/pool.h"
#include "scripted.h"

static struct conn *take(struct pool *pool, struct cancel *cancel, bool expect_fresh)
{
    struct conn *conn = NULL;
    struct err err = {0};
    bool fresh = !expect_fresh;
    if (pool_take(pool, cancel, &conn, &fresh, &err))
        fail_msg("%s", err.text);
    assert_non_null(conn);
    assert_int_equal(fresh, expect_fresh);
    return conn;
}

static void take_fails(struct pool *pool, struct cancel *cancel, enum err_code code)
{
    struct conn *conn = NULL;
    struct err err = {0};
    bool fresh;
    assert_int_equal(pool_take(pool, cancel, &conn, &fresh, &err), -1);
    assert_int_equal(err.code, code);
}

static void check_state(struct pool *pool, unsigned size, unsigned open, unsigned used)
{
    struct pool_state state;
    pool_state(pool, &state);
    assert_int_equal(state.size, size);
    assert_int_equal(state.open, open);
    assert_int_equal(state.used, used);
    assert_int_equal(state.waiting, 0);
}

static struct pool *new_pool(struct script *script, unsigned size)
{
    script_begin(script);
    script->system.pool_size = size;
    struct pool *pool = pool_new(&script_driver, &script->system);
    assert_non_null(pool);
    return pool;
}

static void end_pool(struct pool *pool, const struct script *script)
{
    pool_free(pool);
    assert_int_equal(script->opened, script->closed);
}

/* one thread */

static void a_new_pool_has_no_connections(void **state)
{
    struct script script;
    struct pool *pool = new_pool(&script, 3);
    (void)state;
    check_state(pool, 3, 0, 0);
    end_pool(pool, &script);
    assert_int_equal(script.opened, 0);
}

static void a_connection_given_back_is_lent_again(void **state)
{
    struct script script;
    struct pool *pool = new_pool(&script, 3);
    (void)state;
    struct conn *conn = take(pool, NULL, true);
    check_state(pool, 3, 1, 1);
    pool_give(pool, NULL, conn, NULL);
    check_state(pool, 3, 1, 0);
    assert_ptr_equal(take(pool, NULL, false), conn);
    pool_give(pool, NULL, conn, NULL);
    assert_int_equal(script.opened, 1);
    assert_int_equal(script.closed, 0);
    end_pool(pool, &script);
}

static void the_connection_used_last_is_lent_first(void **state)
{
    struct script script;
    struct pool *pool = new_pool(&script, 3);
    (void)state;
    struct conn *first = take(pool, NULL, true), *second = take(pool, NULL, true);
    check_state(pool, 3, 2, 2);
    pool_give(pool, NULL, second, NULL);
    pool_give(pool, NULL, first, NULL);
    assert_ptr_equal(take(pool, NULL, false), first);
    assert_ptr_equal(take(pool, NULL, false), second);
    pool_give(pool, NULL, first, NULL);
    pool_give(pool, NULL, second, NULL);
    end_pool(pool, &script);
}

static void a_connection_given_back_with_a_reason_is_closed(void **state)
{
    struct script script;
    struct pool *pool = new_pool(&script, 1);
    (void)state;
    pool_give(pool, NULL, take(pool, NULL, true), "it broke");
    check_state(pool, 1, 0, 0);
    assert_int_equal(script.closed, 1);
    pool_give(pool, NULL, take(pool, NULL, true), NULL);
    end_pool(pool, &script);
}

static void a_dead_connection_is_replaced(void **state)
{
    struct script script;
    struct pool *pool = new_pool(&script, 1);
    (void)state;
    pool_give(pool, NULL, take(pool, NULL, true), NULL);
    script.dead = 1;
    pool_give(pool, NULL, take(pool, NULL, true), NULL);
    assert_int_equal(script.opened, 2);
    assert_int_equal(script.closed, 1);
    check_state(pool, 1, 1, 0);
    end_pool(pool, &script);
}

static void an_old_connection_is_replaced(void **state)
{
    struct script script;
    struct pool *pool = new_pool(&script, 1);
    (void)state;
    pool_give(pool, NULL, take(pool, NULL, true), NULL);
    script.system.pool_recycle = -1;
    pool_give(pool, NULL, take(pool, NULL, true), NULL);
    assert_int_equal(script.opened, 2);
    assert_int_equal(script.closed, 1);
    check_state(pool, 1, 1, 0);
    end_pool(pool, &script);
}

static void an_open_that_fails_leaves_its_place_free(void **state)
{
    static const enum err_code fails[] = {ERR_AWAY, ERR_DATABASE, ERR_NONE};
    struct script script;
    struct pool *pool = new_pool(&script, 1);
    (void)state;
    script.open_fails = fails;
    take_fails(pool, NULL, ERR_AWAY);
    check_state(pool, 1, 0, 0);
    take_fails(pool, NULL, ERR_DATABASE);
    check_state(pool, 1, 0, 0);
    pool_give(pool, NULL, take(pool, NULL, true), NULL);
    end_pool(pool, &script);
}

static void an_open_that_fails_in_place_of_a_dead_one_leaves_its_place_free(void **state)
{
    static const enum err_code fails[] = {ERR_AWAY, ERR_NONE};
    struct script script;
    struct pool *pool = new_pool(&script, 1);
    (void)state;
    pool_give(pool, NULL, take(pool, NULL, true), NULL);
    script.dead = 1;
    script.open_fails = fails;
    take_fails(pool, NULL, ERR_AWAY);
    check_state(pool, 1, 0, 0);
    pool_give(pool, NULL, take(pool, NULL, true), NULL);
    end_pool(pool, &script);
}

static void a_pool_in_use_is_busy_after_the_timeout(void **state)
{
    struct script script;
    struct pool *pool = new_pool(&script, 2);
    struct conn *extra = NULL;
    struct err err = {0};
    bool fresh;
    (void)state;
    script.system.pool_timeout = 0.01;
    struct conn *first = take(pool, NULL, true), *second = take(pool, NULL, true);
    assert_int_equal(pool_take(pool, NULL, &extra, &fresh, &err), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_non_null(strstr(err.hint, "pool_size"));
    check_state(pool, 2, 2, 2);
    pool_give(pool, NULL, first, NULL);
    pool_give(pool, NULL, second, NULL);
    assert_int_equal(script.opened, 2);
    end_pool(pool, &script);
}

static void whoever_is_called_off_before_gets_no_connection(void **state)
{
    struct script script;
    struct pool *pool = new_pool(&script, 1);
    struct cancel cancel;
    (void)state;
    cancel_init(&cancel);
    cancel_fire(&cancel, CANCEL_GONE);
    struct conn *conn = take(pool, NULL, true);
    take_fails(pool, &cancel, ERR_CANCELLED);
    pool_give(pool, NULL, conn, NULL);
    take_fails(pool, &cancel, ERR_CANCELLED);
    check_state(pool, 1, 1, 0);
    cancel_destroy(&cancel);
    end_pool(pool, &script);
}

static void a_lent_connection_is_cancelled_once_and_not_lent_again(void **state)
{
    struct script script;
    struct pool *pool = new_pool(&script, 1);
    struct cancel cancel;
    (void)state;
    cancel_init(&cancel);
    struct conn *conn = take(pool, &cancel, true);
    assert_int_equal(script.cancelled, 0);
    cancel_fire(&cancel, CANCEL_GONE);
    cancel_fire(&cancel, CANCEL_GONE);
    assert_int_equal(script.cancelled, 1);
    pool_give(pool, &cancel, conn, NULL);
    assert_int_equal(script.closed, 1);
    check_state(pool, 1, 0, 0);
    cancel_destroy(&cancel);
    end_pool(pool, &script);
}

static void a_connection_given_back_is_not_cancelled(void **state)
{
    struct script script;
    struct pool *pool = new_pool(&script, 1);
    struct cancel cancel;
    (void)state;
    cancel_init(&cancel);
    pool_give(pool, &cancel, take(pool, &cancel, true), NULL);
    cancel_fire(&cancel, CANCEL_GONE);
    assert_int_equal(script.cancelled, 0);
    pool_give(pool, NULL, take(pool, NULL, false), NULL);
    cancel_destroy(&cancel);
    end_pool(pool, &script);
}

/* waiting */

struct waiter {
    pthread_t thread;
    struct pool *pool;
    struct cancel cancel;
    struct conn *conn;
    struct err err;
    bool fresh;
    int result;
};

static void *wait_for_connection(void *arg)
{
    struct waiter *waiter = arg;
    waiter->result = pool_take(waiter->pool, &waiter->cancel, &waiter->conn, &waiter->fresh, &waiter->err);
    return NULL;
}

static void start_waiter(struct waiter *waiter, struct pool *pool, unsigned waiting)
{
    struct pool_state state;
    *waiter = (struct waiter){.pool = pool};
    cancel_init(&waiter->cancel);
    assert_int_equal(pthread_create(&waiter->thread, NULL, wait_for_connection, waiter), 0);
    do {
        sched_yield();
        pool_state(pool, &state);
    } while (state.waiting < waiting);
}

static void end_waiter(struct waiter *waiter)
{
    if (waiter->result == 0)
        pool_give(waiter->pool, &waiter->cancel, waiter->conn, NULL);
    cancel_destroy(&waiter->cancel);
}

static void a_waiter_gets_the_connection_that_is_given_back(void **state)
{
    struct script script;
    struct pool *pool = new_pool(&script, 1);
    struct waiter waiter;
    (void)state;
    struct conn *conn = take(pool, NULL, true);
    start_waiter(&waiter, pool, 1);
    pool_give(pool, NULL, conn, NULL);
    pthread_join(waiter.thread, NULL);
    assert_int_equal(waiter.result, 0);
    assert_ptr_equal(waiter.conn, conn);
    assert_false(waiter.fresh);
    end_waiter(&waiter);
    end_pool(pool, &script);
}

static void a_waiter_gets_the_place_of_a_connection_that_broke(void **state)
{
    struct script script;
    struct pool *pool = new_pool(&script, 1);
    struct waiter waiter;
    (void)state;
    struct conn *conn = take(pool, NULL, true);
    start_waiter(&waiter, pool, 1);
    pool_give(pool, NULL, conn, "it broke");
    pthread_join(waiter.thread, NULL);
    assert_int_equal(waiter.result, 0);
    assert_true(waiter.fresh);
    end_waiter(&waiter);
    assert_int_equal(script.most_open, 1);
    end_pool(pool, &script);
}

static void a_waiter_whose_client_goes_away_leaves(void **state)
{
    struct script script;
    struct pool *pool = new_pool(&script, 1);
    struct waiter first, second;
    (void)state;
    struct conn *conn = take(pool, NULL, true);
    start_waiter(&first, pool, 1);
    start_waiter(&second, pool, 2);
    cancel_fire(&second.cancel, CANCEL_GONE);
    pthread_join(second.thread, NULL);
    assert_int_equal(second.result, -1);
    assert_int_equal(second.err.code, ERR_CANCELLED);
    pool_give(pool, NULL, conn, NULL);
    pthread_join(first.thread, NULL);
    assert_int_equal(first.result, 0);
    end_waiter(&first);
    end_waiter(&second);
    assert_int_equal(script.cancelled, 0);
    end_pool(pool, &script);
}

/* many threads */

enum { THREADS = 8, TURNS = 400, SMALL = 3 };

struct crowd {
    struct script script;
    struct pool *pool;
    struct cancel cancels[THREADS];
    pthread_mutex_t mutexes[THREADS]; /* of each cancel's life */
    atomic_uint in_use, most_in_use, got;
    atomic_bool over;
};

struct member_of_crowd {
    struct crowd *crowd;
    unsigned number;
};

static void use_connection(struct crowd *crowd, struct cancel *cancel, struct conn *conn, unsigned turn)
{
    unsigned now = atomic_fetch_add(&crowd->in_use, 1) + 1, most = crowd->most_in_use;
    while (now > most && !atomic_compare_exchange_weak(&crowd->most_in_use, &most, now))
        ;
    atomic_fetch_add(&crowd->got, 1);
    sched_yield();
    if (turn % 31 == 0)
        crowd->script.dead = crowd->script.opened;
    atomic_fetch_sub(&crowd->in_use, 1);
    pool_give(crowd->pool, cancel, conn, turn % 17 ? NULL : "it broke");
}

static void *come_and_go(void *arg)
{
    const struct member_of_crowd *member = arg;
    struct crowd *crowd = member->crowd;
    struct cancel *cancel = &crowd->cancels[member->number];
    for (unsigned turn = 0; turn < TURNS; turn++) {
        struct conn *conn;
        struct err err = {0};
        bool fresh;
        pthread_mutex_lock(&crowd->mutexes[member->number]);
        cancel_destroy(cancel);
        cancel_init(cancel);
        pthread_mutex_unlock(&crowd->mutexes[member->number]);
        if (pool_take(crowd->pool, cancel, &conn, &fresh, &err) == 0)
            use_connection(crowd, cancel, conn, turn);
        else if (err.code != ERR_CANCELLED)
            abort();
    }
    return NULL;
}

static void *call_off(void *arg)
{
    struct crowd *crowd = arg;
    for (unsigned turn = 0; !crowd->over; turn++) {
        unsigned victim = turn * 5 % THREADS;
        pthread_mutex_lock(&crowd->mutexes[victim]);
        cancel_fire(&crowd->cancels[victim], CANCEL_GONE);
        pthread_mutex_unlock(&crowd->mutexes[victim]);
        sched_yield();
    }
    return NULL;
}

/* A wake-up that gets lost leaves somebody waiting for good. */
static void many_threads_share_few_connections(void **state)
{
    static struct crowd crowd;
    struct member_of_crowd members[THREADS];
    pthread_t threads[THREADS], caller;
    (void)state;
    crowd.pool = new_pool(&crowd.script, SMALL);
    for (unsigned i = 0; i < THREADS; i++) {
        members[i] = (struct member_of_crowd){&crowd, i};
        cancel_init(&crowd.cancels[i]);
        pthread_mutex_init(&crowd.mutexes[i], NULL);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &members[i]), 0);
    assert_int_equal(pthread_create(&caller, NULL, call_off, &crowd), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    crowd.over = true;
    pthread_join(caller, NULL);
    assert_true(crowd.got > 0);
    assert_true(crowd.most_in_use <= SMALL);
    assert_true(crowd.script.most_open <= SMALL);
    struct pool_state now;
    pool_state(crowd.pool, &now);
    assert_int_equal(now.used, 0);
    assert_int_equal(now.open, crowd.script.open_now);
    end_pool(crowd.pool, &crowd.script);
    for (unsigned i = 0; i < THREADS; i++) {
        cancel_destroy(&crowd.cancels[i]);
        pthread_mutex_destroy(&crowd.mutexes[i]);
    }
}

static void check_failing(struct pool *pool, const char *text)
{
    struct pool_failure failure;
    pool_failure(pool, &failure);
    assert_int_equal(failure.at != 0, text != NULL);
    if (text)
        assert_string_equal(failure.text, text);
}

static void a_failure_is_told_until_a_connection_works(void **state)
{
    static const enum err_code fails[] = {ERR_AWAY, ERR_AWAY, ERR_NONE};
    static const char told[] = "the script lets open fail";
    struct script script;
    struct pool *pool = new_pool(&script, 2);
    struct err err = {0};
    (void)state;
    check_failing(pool, NULL);
    script.open_fails = fails;
    take_fails(pool, NULL, ERR_AWAY);
    check_failing(pool, told);
    take_fails(pool, NULL, ERR_AWAY);
    struct conn *conn = take(pool, NULL, true);
    check_failing(pool, NULL);
    err_set(&err, ERR_AWAY, "somebody else");
    pool_note(pool, &err);
    check_failing(pool, "somebody else");
    pool_give(pool, NULL, conn, NULL);
    check_failing(pool, NULL);
    end_pool(pool, &script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_pool_has_no_connections),
        cmocka_unit_test(a_connection_given_back_is_lent_again),
        cmocka_unit_test(the_connection_used_last_is_lent_first),
        cmocka_unit_test(a_connection_given_back_with_a_reason_is_closed),
        cmocka_unit_test(a_dead_connection_is_replaced),
        cmocka_unit_test(an_old_connection_is_replaced),
        cmocka_unit_test(an_open_that_fails_leaves_its_place_free),
        cmocka_unit_test(an_open_that_fails_in_place_of_a_dead_one_leaves_its_place_free),
        cmocka_unit_test(a_failure_is_told_until_a_connection_works),
        cmocka_unit_test(a_pool_in_use_is_busy_after_the_timeout),
        cmocka_unit_test(whoever_is_called_off_before_gets_no_connection),
        cmocka_unit_test(a_lent_connection_is_cancelled_once_and_not_lent_again),
        cmocka_unit_test(a_connection_given_back_is_not_cancelled),
        cmocka_unit_test(a_waiter_gets_the_connection_that_is_given_back),
        cmocka_unit_test(a_waiter_gets_the_place_of_a_connection_that_broke),
        cmocka_unit_test(a_waiter_whose_client_goes_away_leaves),
        cmocka_unit_test(many_threads_share_few_connections),
    };
    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
