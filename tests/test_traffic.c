/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "ops/exposition.h"
#include "ops/traffic.h"

enum { THREADS = 8, REQUESTS = 20000 };

static const char *const patterns[] = {"/a", "/b/{name}"};

static uint64_t count_of(struct traffic *traffic, size_t route, const char *method, unsigned status)
{
    struct traffic_route counted;
    unsigned statuses[TRAFFIC_STATUSES];
    size_t count = traffic_statuses(traffic, statuses);
    traffic_route(traffic, route, &counted);
    for (size_t m = 0; m < TRAFFIC_METHODS; m++)
        for (size_t s = 0; s < count; s++)
            if (strcmp(traffic_method(m), method) == 0 && statuses[s] == status)
                return counted.counts[m][s];
    return 0;
}

static void each_request_has_its_place(void **state)
{
    struct traffic *traffic = traffic_new(patterns, 2);
    struct traffic_route other;
    (void)state;
    traffic_note(traffic, 0, "GET", 200, 1);
    traffic_note(traffic, 0, "GET", 200, 1);
    traffic_note(traffic, 1, "POST", 404, 1);
    traffic_note(traffic, 1, "post", 404, 1);
    traffic_note(traffic, SIZE_MAX, "HEAD", 0, 1);
    assert_int_equal(count_of(traffic, 0, "GET", 200), 2);
    assert_int_equal(count_of(traffic, 1, "POST", 404), 1);
    assert_int_equal(count_of(traffic, 1, "other", 404), 1);
    assert_int_equal(count_of(traffic, 2, "HEAD", 0), 1);
    assert_int_equal(count_of(traffic, 1, "GET", 200), 0);
    assert_int_equal(traffic_routes(traffic), 3);
    traffic_route(traffic, 2, &other);
    assert_string_equal(other.pattern, "other");
    traffic_free(traffic);
}

static void more_statuses_than_places_are_no_crash(void **state)
{
    struct traffic *traffic = traffic_new(patterns, 2);
    struct traffic_route counted;
    unsigned statuses[TRAFFIC_STATUSES];
    uint64_t sum = 0;
    (void)state;
    for (unsigned status = 100; status < 600; status++)
        traffic_note(traffic, 0, "GET", status, 1);
    assert_int_equal(traffic_statuses(traffic, statuses), TRAFFIC_STATUSES);
    traffic_route(traffic, 0, &counted);
    for (size_t s = 0; s < TRAFFIC_STATUSES; s++)
        sum += counted.counts[0][s];
    assert_int_equal(sum, 500);
    traffic_free(traffic);
}

static void *note_requests(void *arg)
{
    for (unsigned i = 0; i < REQUESTS; i++)
        traffic_note(arg, 1, "GET", 200 + i % 4, 0.02);
    return NULL;
}

static void requests_of_many_threads_are_all_counted(void **state)
{
    struct traffic *traffic = traffic_new(patterns, 2);
    struct traffic_route counted;
    pthread_t threads[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, note_requests, traffic), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned status = 200; status < 204; status++)
        assert_int_equal(count_of(traffic, 1, "GET", status), THREADS * REQUESTS / 4);
    traffic_route(traffic, 1, &counted);
    assert_int_equal(counted.durations.counts[1], THREADS * REQUESTS);
    traffic_free(traffic);
}

/* the text */

static void samples_are_written_as_prometheus_reads_them(void **state)
{
    const struct labels hard = {{"a", NULL, "b"}, {"x\"\\\n", NULL, ""}};
    struct buf out = {0};
    (void)state;
    exposition_family(&out, "f", "gauge", "Help.");
    exposition_count(&out, "f", NULL, UINT64_MAX);
    exposition_count(&out, "f", &hard, 0);
    exposition_number(&out, "f", NULL, 0.5);
    exposition_number(&out, "f", NULL, INFINITY);
    exposition_number(&out, "f", NULL, -INFINITY);
    exposition_number(&out, "f", NULL, NAN);
    assert_string_equal(buf_text(&out), "# HELP f Help.\n# TYPE f gauge\nf 18446744073709551615\n"
                                        "f{a=\"x\\\"\\\\\\n\",b=\"\"} 0\nf 0.5\nf +Inf\nf -Inf\nf NaN\n");
    buf_free(&out);
}

static void buckets_are_cumulative(void **state)
{
    struct histogram histogram = {.sum = 0};
    struct buf out = {0};
    (void)state;
    histogram_add(&histogram, 0.01);
    histogram_add(&histogram, 0.25);
    histogram_add(&histogram, 4000);
    exposition_histogram(&out, "h", &(struct labels){{"r"}, {"x"}}, &histogram);
    assert_string_equal(
        buf_text(&out),
        "h_bucket{r=\"x\",le=\"0.01\"} 1\nh_bucket{r=\"x\",le=\"0.05\"} 1\nh_bucket{r=\"x\",le=\"0.1\"} 1\n"
        "h_bucket{r=\"x\",le=\"0.5\"} 2\nh_bucket{r=\"x\",le=\"1\"} 2\nh_bucket{r=\"x\",le=\"5\"} 2\n"
        "h_bucket{r=\"x\",le=\"10\"} 2\nh_bucket{r=\"x\",le=\"60\"} 2\nh_bucket{r=\"x\",le=\"300\"} 2\n"
        "h_bucket{r=\"x\",le=\"1800\"} 2\nh_bucket{r=\"x\",le=\"+Inf\"} 3\n"
        "h_sum{r=\"x\"} 4000.26\nh_count{r=\"x\"} 3\n");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_has_its_place),
        cmocka_unit_test(more_statuses_than_places_are_no_crash),
        cmocka_unit_test(requests_of_many_threads_are_all_counted),
        cmocka_unit_test(samples_are_written_as_prometheus_reads_them),
        cmocka_unit_test(buckets_are_cumulative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
