/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "base/histogram.h"
#include "base/minutes.h"

static void the_first_error_wins(void **state)
{
    struct err err = {0};
    (void)state;
    assert_int_equal(err_set(&err, ERR_GONE, "first %d", 1), -1);
    assert_int_equal(err_set(&err, ERR_AWAY, "second"), -1);
    assert_int_equal(err.code, ERR_GONE);
    assert_string_equal(err.text, "first 1");
    assert_int_equal(err_hint(&err, "do this"), -1);
    assert_int_equal(err_hint(&err, "do that"), -1);
    assert_string_equal(err.hint, "do this");
}

static void an_error_nobody_wants_is_no_crash(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_INPUT, "x"), -1);
    assert_int_equal(err_hint(NULL, "x"), -1);
    assert_int_equal(err_memory(NULL), -1);
}

static void a_cleared_error_takes_another(void **state)
{
    struct err err = {0};
    (void)state;
    err_set(&err, ERR_GONE, "first");
    err_hint(&err, "hint");
    err_clear(&err);
    assert_int_equal(err.code, ERR_NONE);
    assert_string_equal(err.hint, "");
    err_memory(&err);
    assert_int_equal(err.code, ERR_INTERNAL);
}

/* The text is cut at every place of a character of each length. */
static void a_long_error_is_cut_at_a_whole_character(void **state)
{
    static const char *const characters[] = {"a", "\xC3\xA6", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    char pad[8];
    (void)state;
    for (size_t c = 0; c < 4; c++) {
        for (size_t shift = 0; shift < 5; shift++) {
            struct buf text = {0};
            struct err err = {0};
            size_t width = strlen(characters[c]);
            memset(pad, '.', shift);
            pad[shift] = '\0';
            buf_puts(&text, pad);
            while (text.len < 2 * sizeof err.text)
                buf_puts(&text, characters[c]);
            err_set(&err, ERR_INPUT, "%s", buf_text(&text));
            size_t len = strlen(err.text);
            assert_true(len > sizeof err.text - 1 - 2 * width && len < sizeof err.text);
            assert_int_equal((len - shift) % width, 0);
            buf_free(&text);
        }
    }
}

static void an_error_that_just_fits_is_whole(void **state)
{
    struct err err = {0};
    char text[sizeof err.text];
    (void)state;
    memset(text, 'x', sizeof text - 3);
    memcpy(text + sizeof text - 3, "\xC3\xA6", 3);
    err_set(&err, ERR_INPUT, "%s", text);
    assert_string_equal(err.text, text);
}

static void a_buffer_grows_and_keeps_its_bytes(void **state)
{
    struct buf buf = {0};
    (void)state;
    for (int i = 0; i < 5000; i++)
        buf_printf(&buf, "%d,", i);
    buf_putc(&buf, '!');
    buf_put(&buf, "a\0b", 3);
    assert_false(buf_failed(&buf));
    size_t len = buf.len;
    const char *text = buf_text(&buf);
    assert_int_equal(buf.len, len);
    assert_memory_equal(text, "0,1,2,3,", 8);
    assert_memory_equal(text + len - 9, "4999,!a\0b", 10);
    buf_free(&buf);
    assert_null(buf.data);
}

static void an_empty_buffer_is_an_empty_string(void **state)
{
    struct buf buf = {0};
    (void)state;
    buf_put(&buf, NULL, 0);
    assert_string_equal(buf_text(&buf), "");
    buf_free(&buf);
}

static void a_reset_buffer_keeps_its_memory(void **state)
{
    struct buf buf = {0};
    (void)state;
    buf_puts(&buf, "some text");
    const char *data = buf.data;
    buf_reset(&buf);
    buf_puts(&buf, "x");
    assert_ptr_equal(buf.data, data);
    assert_string_equal(buf_text(&buf), "x");
    buf_free(&buf);
}

static void a_buffer_too_large_for_memory_says_so(void **state)
{
    struct buf buf = {0};
    (void)state;
    buf_puts(&buf, "ab");
    assert_int_equal(buf_reserve(&buf, SIZE_MAX), -1);
    assert_true(buf_failed(&buf));
    assert_null(buf_text(&buf));
    assert_int_equal(buf.len, 2);
    buf_reset(&buf);
    assert_false(buf_failed(&buf));
    buf_free(&buf);
}

static void a_lent_buffer_writes_into_the_lent_memory(void **state)
{
    char memory[8] = "zzzzzzz";
    struct buf buf;
    (void)state;
    buf_lend(&buf, memory, sizeof memory);
    buf_puts(&buf, "12345678");
    assert_true(buf.lent);
    assert_ptr_equal(buf.data, memory);
    assert_memory_equal(memory, "12345678", 8);
    buf_free(&buf); /* must not free the memory on the stack */
    assert_null(buf.data);
}

static void an_outgrown_buffer_leaves_the_bytes_before_its_mark(void **state)
{
    char memory[10];
    struct buf buf;
    (void)state;
    buf_lend(&buf, memory, sizeof memory);
    buf_puts(&buf, "done,");
    buf.mark = buf.len;
    buf_puts(&buf, "half");
    buf_puts(&buf, "-of-it");
    assert_false(buf.lent);
    assert_memory_equal(memory, "done,half", 9);
    assert_string_equal(buf_text(&buf), "half-of-it");
    assert_int_equal(buf.len, 10);
    /* Once on its own, the mark no longer says anything. */
    for (int i = 0; i < 1000; i++)
        buf_putc(&buf, 'x');
    assert_int_equal(buf.len, 1010);
    assert_memory_equal(buf.data, "half-of-itx", 11);
    buf_free(&buf);
}

static void a_lent_buffer_without_mark_moves_whole(void **state)
{
    char memory[4];
    struct buf buf;
    (void)state;
    buf_lend(&buf, memory, sizeof memory);
    buf_puts(&buf, "abcd");
    buf_putc(&buf, 'e');
    assert_false(buf.lent);
    assert_string_equal(buf_text(&buf), "abcde");
    buf_free(&buf);
}

static void a_lent_buffer_of_no_size_grows_at_once(void **state)
{
    struct buf buf;
    (void)state;
    buf_lend(&buf, NULL, 0);
    buf_puts(&buf, "abc");
    assert_string_equal(buf_text(&buf), "abc");
    buf_free(&buf);
}

static void arena_memory_is_zeroed_aligned_and_apart(void **state)
{
    struct arena *arena = arena_new();
    unsigned char *blocks[200];
    (void)state;
    assert_non_null(arena);
    for (size_t i = 0; i < 200; i++) {
        size_t size = i * 37 % 900;
        blocks[i] = arena_alloc(arena, size);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        for (size_t j = 0; j < size; j++)
            assert_int_equal(blocks[i][j], 0);
        memset(blocks[i], (int)i, size);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t j = 0; j < i * 37 % 900; j++)
            assert_int_equal(blocks[i][j], i);
    }
    arena_free(arena);
    arena_free(NULL);
}

static void arena_gives_more_than_a_chunk(void **state)
{
    struct arena *arena = arena_new();
    (void)state;
    char *large = arena_alloc(arena, 1 << 20);
    assert_non_null(large);
    memset(large, 'x', 1 << 20);
    assert_string_equal(arena_strdup(arena, "after"), "after");
    arena_free(arena);
}

static void arena_refuses_sizes_that_overflow(void **state)
{
    struct arena *arena = arena_new();
    (void)state;
    assert_null(arena_alloc(arena, SIZE_MAX));
    assert_null(arena_alloc(arena, SIZE_MAX - 8));
    assert_null(arena_array(arena, SIZE_MAX / 2, 3));
    assert_null(arena_array(arena, SIZE_MAX / 2 + 2, 2)); /* 2, if it wrapped */
    assert_null(arena_copy(arena, "", SIZE_MAX));
    assert_non_null(arena_array(arena, 0, 8));
    arena_free(arena);
}

static void arena_copies_end_in_a_zero(void **state)
{
    struct arena *arena = arena_new();
    char source[] = {'a', '\0', 'b'};
    (void)state;
    const char *copy = arena_copy(arena, source, sizeof source);
    assert_memory_equal(copy, "a\0b\0", 4);
    assert_string_equal(arena_copy(arena, NULL, 0), "");
    assert_string_equal(arena_printf(arena, "%s-%05d", "x", 42), "x-00042");
    arena_free(arena);
}

static void count_wake(void *arg)
{
    ++*(int *)arg;
}

static void firing_wakes_whoever_is_armed_once(void **state)
{
    struct cancel cancel;
    int woken = 0;
    (void)state;
    cancel_init(&cancel);
    cancel_arm(&cancel, count_wake, &woken);
    assert_false(cancel_fired(&cancel));
    assert_int_equal(woken, 0);
    cancel_fire(&cancel, CANCEL_GONE);
    cancel_fire(&cancel, CANCEL_GONE);
    assert_int_equal(woken, 1);
    assert_true(cancel_fired(&cancel));
    cancel_disarm(&cancel);
    cancel_destroy(&cancel);
}

static void arming_after_the_shot_wakes_at_once(void **state)
{
    struct cancel cancel;
    int woken = 0;
    (void)state;
    cancel_init(&cancel);
    cancel_fire(&cancel, CANCEL_GONE);
    cancel_arm(&cancel, count_wake, &woken);
    assert_int_equal(woken, 1);
    cancel_disarm(&cancel);
    cancel_destroy(&cancel);
}

static void whoever_disarmed_is_not_woken(void **state)
{
    struct cancel cancel;
    int woken = 0;
    (void)state;
    cancel_init(&cancel);
    cancel_arm(&cancel, count_wake, &woken);
    cancel_disarm(&cancel);
    cancel_fire(&cancel, CANCEL_GONE);
    assert_int_equal(woken, 0);
    cancel_destroy(&cancel);
}

static void what_nobody_can_call_off_needs_no_cancel(void **state)
{
    int woken = 0;
    (void)state;
    cancel_arm(NULL, count_wake, &woken);
    cancel_disarm(NULL);
    assert_false(cancel_fired(NULL));
    assert_int_equal(woken, 0);
}

struct sleeper {
    pthread_mutex_t mutex;
    pthread_cond_t wakes;
    bool awake;
};

static void wake_sleeper(void *arg)
{
    struct sleeper *sleeper = arg;
    pthread_mutex_lock(&sleeper->mutex);
    sleeper->awake = true;
    pthread_cond_signal(&sleeper->wakes);
    pthread_mutex_unlock(&sleeper->mutex);
}

static void *fire(void *arg)
{
    cancel_fire(arg, CANCEL_GONE);
    return NULL;
}

static void another_thread_wakes_a_sleeper(void **state)
{
    struct sleeper sleeper = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wakes = PTHREAD_COND_INITIALIZER};
    struct cancel cancel;
    pthread_t thread;
    (void)state;
    cancel_init(&cancel);
    cancel_arm(&cancel, wake_sleeper, &sleeper);
    assert_int_equal(pthread_create(&thread, NULL, fire, &cancel), 0);
    pthread_mutex_lock(&sleeper.mutex);
    while (!sleeper.awake)
        pthread_cond_wait(&sleeper.wakes, &sleeper.mutex);
    pthread_mutex_unlock(&sleeper.mutex);
    cancel_disarm(&cancel);
    pthread_join(thread, NULL);
    cancel_destroy(&cancel);
}

/* minutes */

#define MINUTE INT64_C(60000000)
#define NOON (INT64_C(29000000) * MINUTE)

/* The whole minutes as "place:count" for those that are not 0, and the current one. */
static void check_minutes(struct minutes *minutes, int64_t now, const char *expected)
{
    uint64_t whole[MINUTES], current;
    struct buf text = {0};
    minutes_read(minutes, now, whole, &current);
    for (int i = 0; i < MINUTES; i++)
        if (whole[i])
            buf_printf(&text, "%d:%d ", i, (int)whole[i]);
    buf_printf(&text, "now:%d", (int)current);
    assert_string_equal(buf_text(&text), expected);
    buf_free(&text);
}

static void what_is_counted_moves_with_the_minutes(void **state)
{
    struct minutes minutes = {.newest = 0};
    (void)state;
    check_minutes(&minutes, NOON, "now:0");
    minutes_add(&minutes, NOON, 3);
    minutes_add(&minutes, NOON + MINUTE - 1, 4);
    check_minutes(&minutes, NOON + MINUTE - 1, "now:7");
    minutes_add(&minutes, NOON + MINUTE, 1);
    check_minutes(&minutes, NOON + MINUTE, "59:7 now:1");
    minutes_add(&minutes, NOON + 3 * MINUTE, 2);
    check_minutes(&minutes, NOON + 3 * MINUTE, "57:7 58:1 now:2");
    check_minutes(&minutes, NOON + 60 * MINUTE, "0:7 1:1 3:2 now:0");
    check_minutes(&minutes, NOON + 61 * MINUTE, "0:1 2:2 now:0");
    check_minutes(&minutes, NOON + 64 * MINUTE, "now:0");
}

static void a_long_rest_empties_the_minutes(void **state)
{
    struct minutes minutes = {.newest = 0};
    (void)state;
    for (int i = 0; i < 2 * MINUTES; i++)
        minutes_add(&minutes, NOON + i * MINUTE, 1);
    check_minutes(&minutes, NOON + 1000 * MINUTE, "now:0");
}

static void a_clock_that_is_set_back_loses_nothing_or_all(void **state)
{
    struct minutes minutes = {.newest = 0};
    (void)state;
    minutes_add(&minutes, NOON, 1);
    minutes_add(&minutes, NOON - 1, 1);
    minutes_add(&minutes, NOON - 60 * MINUTE, 1);
    check_minutes(&minutes, NOON - MINUTE, "now:3");
    minutes_add(&minutes, NOON - 61 * MINUTE, 1);
    check_minutes(&minutes, NOON - 61 * MINUTE, "now:1");
    check_minutes(&minutes, NOON - 60 * MINUTE, "59:1 now:0");
}

/* histogram */

static void a_duration_is_counted_below_its_bound(void **state)
{
    struct histogram histogram = {.sum = 0};
    (void)state;
    for (int i = 0; i < HISTOGRAM_BOUNDS; i++) {
        histogram_add(&histogram, histogram_bounds[i]);
        assert_true(i == 0 || histogram_bounds[i - 1] < histogram_bounds[i]);
    }
    histogram_add(&histogram, 0);
    histogram_add(&histogram, 1e9);
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++)
        assert_int_equal(histogram.counts[i], i == 0 ? 2 : 1);
    assert_true(histogram.sum > 1e9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_error_wins),
        cmocka_unit_test(an_error_nobody_wants_is_no_crash),
        cmocka_unit_test(a_cleared_error_takes_another),
        cmocka_unit_test(a_long_error_is_cut_at_a_whole_character),
        cmocka_unit_test(an_error_that_just_fits_is_whole),
        cmocka_unit_test(a_buffer_grows_and_keeps_its_bytes),
        cmocka_unit_test(an_empty_buffer_is_an_empty_string),
        cmocka_unit_test(a_reset_buffer_keeps_its_memory),
        cmocka_unit_test(a_buffer_too_large_for_memory_says_so),
        cmocka_unit_test(a_lent_buffer_writes_into_the_lent_memory),
        cmocka_unit_test(an_outgrown_buffer_leaves_the_bytes_before_its_mark),
        cmocka_unit_test(a_lent_buffer_without_mark_moves_whole),
        cmocka_unit_test(a_lent_buffer_of_no_size_grows_at_once),
        cmocka_unit_test(arena_memory_is_zeroed_aligned_and_apart),
        cmocka_unit_test(arena_gives_more_than_a_chunk),
        cmocka_unit_test(arena_refuses_sizes_that_overflow),
        cmocka_unit_test(arena_copies_end_in_a_zero),
        cmocka_unit_test(firing_wakes_whoever_is_armed_once),
        cmocka_unit_test(arming_after_the_shot_wakes_at_once),
        cmocka_unit_test(whoever_disarmed_is_not_woken),
        cmocka_unit_test(what_nobody_can_call_off_needs_no_cancel),
        cmocka_unit_test(another_thread_wakes_a_sleeper),
        cmocka_unit_test(what_is_counted_moves_with_the_minutes),
        cmocka_unit_test(a_long_rest_empties_the_minutes),
        cmocka_unit_test(a_clock_that_is_set_back_loses_nothing_or_all),
        cmocka_unit_test(a_duration_is_counted_below_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
