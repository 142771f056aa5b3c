/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/recent.h"

enum { STAMP_LEN = sizeof "2026-11-23T20:15:01.123Z" - 1, THREADS = 8, LINES = 200 };

/* Standard error goes into an unnamed file meanwhile. */
struct capture {
    FILE *file;
    int saved;
};

static void capture_begin(struct capture *capture)
{
    capture->file = tmpfile();
    capture->saved = dup(STDERR_FILENO);
    assert_non_null(capture->file);
    assert_true(capture->saved >= 0);
    assert_true(dup2(fileno(capture->file), STDERR_FILENO) >= 0);
}

static void capture_end(struct capture *capture, struct buf *out)
{
    char block[4096];
    size_t len;
    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    rewind(capture->file);
    while ((len = fread(block, 1, sizeof block, capture->file)) > 0)
        buf_put(out, block, len);
    fclose(capture->file);
}

static void check_stamp(const char *line)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; i < STAMP_LEN; i++) {
        if (form[i] == 'd')
            assert_in_range(line[i], '0', '9');
        else
            assert_int_equal(line[i], form[i]);
    }
}

static void text_lines_are_time_level_subject_message(void **state)
{
    struct capture capture;
    struct buf out = {0};
    (void)state;
    log_setup(LOG_DEBUG, LOG_TEXT);
    capture_begin(&capture);
    log_debug("a", "one");
    log_info("pull customers", "finished, %d entities", 10431);
    log_warning("b", "three");
    log_error("c", "four");
    capture_end(&capture, &out);
    static const char *const rests[] = {" debug a: one\n", " info pull customers: finished, 10431 entities\n",
                                        " warning b: three\n", " error c: four\n"};
    const char *line = buf_text(&out);
    for (size_t i = 0; i < 4; i++) {
        check_stamp(line);
        assert_memory_equal(line + STAMP_LEN, rests[i], strlen(rests[i]));
        line += STAMP_LEN + strlen(rests[i]);
    }
    assert_string_equal(line, "");
    buf_free(&out);
}

static void what_is_below_the_level_is_not_written(void **state)
{
    struct capture capture;
    struct buf out = {0};
    (void)state;
    log_setup(LOG_WARNING, LOG_TEXT);
    capture_begin(&capture);
    log_debug("a", "one");
    log_info("a", "two");
    log_warning("a", "three");
    capture_end(&capture, &out);
    assert_non_null(strstr(buf_text(&out), "three"));
    assert_null(strstr(buf_text(&out), "one"));
    assert_null(strstr(buf_text(&out), "two"));
    buf_free(&out);
}

/* Input, and the message as text and as JSON read back. */
static const struct {
    const char *given, *text, *json;
} hard[] = {
    {"line\r\nend\ttab", "line  end tab", "line\r\nend\ttab"},
    {"say \"x\\y\"", "say \"x\\y\"", "say \"x\\y\""},
    {"bell\a esc\x1B[31m del\x7F", "bell  esc [31m del ", "bell\a esc\x1B[31m del\x7F"},
    {"c1 \xC2\x9B"
     "31m",
     "c1  31m",
     "c1 \xC2\x9B"
     "31m"},
    {"\xC3\xA6\xE2\x82\xAC\xF0\x9F\x98\x80\xC2\xA0", "\xC3\xA6\xE2\x82\xAC\xF0\x9F\x98\x80\xC2\xA0",
     "\xC3\xA6\xE2\x82\xAC\xF0\x9F\x98\x80\xC2\xA0"},
    {"bad \xFF.", "bad \xEF\xBF\xBD.", "bad \xEF\xBF\xBD."},
    {"cut \xE2\x82", "cut \xEF\xBF\xBD\xEF\xBF\xBD", "cut \xEF\xBF\xBD\xEF\xBF\xBD"},
    {"overlong \xC0\xAF", "overlong \xEF\xBF\xBD\xEF\xBF\xBD", "overlong \xEF\xBF\xBD\xEF\xBF\xBD"},
    {"surrogate \xED\xA0\x80", "surrogate \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD",
     "surrogate \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
    {"beyond \xF4\x90\x80\x80", "beyond \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD",
     "beyond \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
    {"overlong \xE0\x80\x80", "overlong \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD",
     "overlong \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
};

static void hard_bytes_stay_on_one_text_line(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_TEXT);
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
        struct capture capture;
        struct buf out = {0};
        capture_begin(&capture);
        log_info("s", "%s", hard[i].given);
        capture_end(&capture, &out);
        char want[256];
        snprintf(want, sizeof want, " info s: %s\n", hard[i].text);
        assert_string_equal(buf_text(&out) + STAMP_LEN, want);
        buf_free(&out);
    }
}

static void json_lines_read_back(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_JSON);
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
        struct capture capture;
        struct buf out = {0};
        capture_begin(&capture);
        log_error(hard[i].given, "%s", hard[i].given);
        capture_end(&capture, &out);
        assert_ptr_equal(memchr(out.data, '\n', out.len), out.data + out.len - 1);
        json_t *line = json_loadb(out.data, out.len, 0, NULL);
        assert_non_null(line);
        assert_int_equal(json_object_size(line), 4);
        check_stamp(json_string_value(json_object_get(line, "time")));
        assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
        assert_string_equal(json_string_value(json_object_get(line, "subject")), hard[i].json);
        assert_string_equal(json_string_value(json_object_get(line, "message")), hard[i].json);
        json_decref(line);
        buf_free(&out);
    }
}

static void a_long_message_is_cut_at_a_whole_character(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        struct capture capture;
        struct buf text = {0}, out = {0};
        buf_put(&text, "xxxx", shift);
        while (text.len < 20000)
            buf_puts(&text, "\xF0\x9F\x98\x80");
        log_setup(LOG_INFO, LOG_TEXT);
        capture_begin(&capture);
        log_info("s", "%s", buf_text(&text));
        capture_end(&capture, &out);
        const char *message = buf_text(&out) + STAMP_LEN + strlen(" info s: ");
        size_t len = strlen(message);
        assert_in_range(len, 4000, 4100);
        assert_string_equal(message + len - 4, "...\n");
        assert_memory_equal(message, text.data, len - 4);
        assert_int_equal((len - 4 - shift) % 4, 0);
        buf_free(&text);
        buf_free(&out);
    }
}

static void logging_leaves_errno_alone(void **state)
{
    struct capture capture;
    struct buf out = {0};
    (void)state;
    log_setup(LOG_INFO, LOG_TEXT);
    capture_begin(&capture);
    close(STDERR_FILENO);
    errno = ENOENT;
    log_info("s", "lost");
    assert_int_equal(errno, ENOENT);
    capture_end(&capture, &out);
    buf_free(&out);
}

static void *write_lines(void *arg)
{
    char fill[1500];
    memset(fill, *(char *)arg, sizeof fill - 1);
    fill[sizeof fill - 1] = '\0';
    for (int i = 0; i < LINES; i++)
        log_info("t", "%s", fill);
    return NULL;
}

static void lines_of_many_threads_stay_whole(void **state)
{
    struct capture capture;
    struct buf out = {0};
    pthread_t threads[THREADS];
    char letters[THREADS];
    (void)state;
    log_setup(LOG_INFO, LOG_TEXT);
    capture_begin(&capture);
    for (size_t i = 0; i < THREADS; i++) {
        letters[i] = (char)('a' + i);
        pthread_create(&threads[i], NULL, write_lines, &letters[i]);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    capture_end(&capture, &out);
    size_t lines = 0;
    for (const char *line = buf_text(&out); *line; lines++) {
        const char *message = line + STAMP_LEN + strlen(" info t: ");
        const char same[] = {message[0], '\0'};
        assert_int_equal(strspn(message, same), 1499);
        assert_int_equal(message[1499], '\n');
        line = message + 1500;
    }
    assert_int_equal(lines, THREADS * LINES);
    buf_free(&out);
}

static void warnings_and_errors_are_kept_the_newest_first(void **state)
{
    struct capture capture;
    struct buf out = {0};
    struct recent list[RECENT_MOST];
    uint64_t warnings, errors, warnings_before, errors_before;
    (void)state;
    recent_counts(&warnings_before, &errors_before);
    log_setup(LOG_ERROR, LOG_TEXT);
    capture_begin(&capture);
    for (int i = 0; i < 2 * RECENT_MOST; i++) {
        log_warning("w", "number %d", i);
        log_info("i", "not kept");
    }
    log_error("e", "the last");
    capture_end(&capture, &out);
    assert_null(strstr(buf_text(&out), "number"));
    assert_int_equal(recent_list(list), RECENT_MOST);
    assert_string_equal(list[0].text, "the last");
    assert_string_equal(list[0].subject, "e");
    assert_int_equal(list[0].level, LOG_ERROR);
    for (int i = 1; i < RECENT_MOST; i++) {
        char text[32];
        snprintf(text, sizeof text, "number %d", 2 * RECENT_MOST - i);
        assert_string_equal(list[i].text, text);
        assert_int_equal(list[i].level, LOG_WARNING);
        assert_true(list[i].at > 0 && list[i].at <= list[i - 1].at);
    }
    recent_counts(&warnings, &errors);
    assert_int_equal(warnings - warnings_before, 2 * RECENT_MOST);
    assert_int_equal(errors - errors_before, 1);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines_are_time_level_subject_message),
        cmocka_unit_test(what_is_below_the_level_is_not_written),
        cmocka_unit_test(hard_bytes_stay_on_one_text_line),
        cmocka_unit_test(json_lines_read_back),
        cmocka_unit_test(a_long_message_is_cut_at_a_whole_character),
        cmocka_unit_test(logging_leaves_errno_alone),
        cmocka_unit_test(lines_of_many_threads_stay_whole),
        cmocka_unit_test(warnings_and_errors_are_kept_the_newest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
