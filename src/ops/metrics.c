#include "ops/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/recent.h"
#include "config.h"
#include "ops/exposition.h"

#define SECOND 1e6 /* in microseconds */

/* A counter that is a member of a struct of counts. */
struct counter {
    const char *name, *help;
    size_t at;
};

static uint64_t count_at(const void *counts, size_t at)
{
    return *(const uint64_t *)((const char *)counts + at);
}

static void put_gauge(struct buf *out, const char *name, const char *help, double value)
{
    exposition_family(out, name, "gauge", help);
    exposition_number(out, name, NULL, value);
}

/* the process */

/* The second number of statm is what is resident, in pages (proc(5)). 0 where it cannot be told. */
static double resident_bytes(void)
{
    unsigned long total, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (!statm)
        return 0;
    if (fscanf(statm, "%lu %lu", &total, &resident) != 2)
        resident = 0;
    fclose(statm);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double seconds_of(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / SECOND;
}

static void put_process(struct buf *out, const struct observed *observed)
{
    struct rusage usage;
    put_gauge(out, "process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
              (double)observed->started / SECOND);
    double resident = resident_bytes();
    if (resident > 0)
        put_gauge(out, "process_resident_memory_bytes", "Resident memory size in bytes.", resident);
    if (getrusage(RUSAGE_SELF, &usage))
        return;
    exposition_family(out, "process_cpu_seconds_total", "counter",
                      "Total user and system CPU time spent in seconds.");
    exposition_number(out, "process_cpu_seconds_total", NULL,
                      seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime));
}

static void put_log(struct buf *out)
{
    static const char name[] = "sesam_sql_log_lines_total";
    uint64_t warnings, errors;
    recent_counts(&warnings, &errors);
    exposition_family(out, name, "counter", "Warnings and errors of the log, by level, logged or not.");
    exposition_count(out, name, &(struct labels){{"level"}, {"warning"}}, warnings);
    exposition_count(out, name, &(struct labels){{"level"}, {"error"}}, errors);
}

static void put_service(struct buf *out, const struct observed *observed)
{
    static const char info[] = "sesam_sql_build_info";
    struct gate_state gate;
    gate_state(observed->gate, &gate);
    exposition_family(out, info, "gauge", "Always 1; the version is a label.");
    exposition_count(out, info, &(struct labels){{"version"}, {PACKAGE_VERSION}}, 1);
    put_gauge(out, "sesam_sql_requests_at_work", "Pulls and pushes at work.", observed->at_work);
    put_gauge(out, "sesam_sql_requests_limit", "How many pulls and pushes may be at work: max_connections.",
              observed->config->listen.max_connections);
    put_gauge(out, "sesam_sql_push_buffered_bytes",
              "What the bodies of all pushes hold in memory and spool files.", (double)gate.held);
    put_gauge(out, "sesam_sql_push_buffered_limit_bytes", "How much that may be: max_buffered_bytes.",
              (double)gate.most);
    put_gauge(out, "sesam_sql_push_bodies_waiting", "Bodies that wait for others to hold less.",
              (double)gate.waiting);
}

/* requests */

static void put_route_counts(struct buf *out, const char *name, const struct traffic_route *route,
                             const unsigned *statuses, size_t status_count)
{
    for (size_t m = 0; m < TRAFFIC_METHODS; m++)
        for (size_t s = 0; s < status_count; s++) {
            char status[16] = "none";
            if (statuses[s])
                snprintf(status, sizeof status, "%u", statuses[s]);
            const struct labels labels = {{"route", "method", "status"},
                                          {route->pattern, traffic_method(m), status}};
            if (route->counts[m][s])
                exposition_count(out, name, &labels, route->counts[m][s]);
        }
}

static void put_requests(struct buf *out, struct traffic *traffic)
{
    static const char total[] = "sesam_sql_http_requests_total",
                      duration[] = "sesam_sql_http_request_duration_seconds";
    unsigned statuses[TRAFFIC_STATUSES];
    struct traffic_route route;
    size_t count = traffic_statuses(traffic, statuses);
    exposition_family(out, total, "counter", "Requests that ended; status none: nobody was left to answer.");
    for (size_t i = 0; i < traffic_routes(traffic); i++) {
        traffic_route(traffic, i, &route);
        put_route_counts(out, total, &route, statuses, count);
    }
    exposition_family(out, duration, "histogram", "From a request's head to the last byte of its answer.");
    for (size_t i = 0; i < traffic_routes(traffic); i++) {
        traffic_route(traffic, i, &route);
        exposition_histogram(out, duration, &(struct labels){{"route"}, {route.pattern}}, &route.durations);
    }
}

/* systems */

static void put_pools(struct buf *out, const struct observed *observed)
{
    static const struct {
        const char *name, *help;
        size_t at;
    } gauges[] = {
        {"sesam_sql_pool_connections_limit", "How many connections a system may have: pool_size.",
         offsetof(struct pool_state, size)},
        {"sesam_sql_pool_connections_open", "Connections that are open or being opened.",
         offsetof(struct pool_state, open)},
        {"sesam_sql_pool_connections_used", "Connections that requests have.",
         offsetof(struct pool_state, used)},
        {"sesam_sql_pool_requests_waiting", "Requests that wait for a connection.",
         offsetof(struct pool_state, waiting)},
    };
    for (size_t g = 0; g < sizeof gauges / sizeof *gauges; g++) {
        exposition_family(out, gauges[g].name, "gauge", gauges[g].help);
        for (size_t i = 0; i < observed->config->system_count; i++) {
            struct pool_state state;
            pool_state(observed->dbs[i].pool, &state);
            exposition_count(out, gauges[g].name,
                             &(struct labels){{"system"}, {observed->config->systems[i].name}},
                             *(const unsigned *)((const char *)&state + gauges[g].at));
        }
    }
}

static void put_failing(struct buf *out, const struct observed *observed)
{
    static const char name[] = "sesam_sql_system_failing";
    exposition_family(out, name, "gauge", "1 while the last attempt to connect to the system failed.");
    for (size_t i = 0; i < observed->config->system_count; i++) {
        struct pool_failure failure;
        pool_failure(observed->dbs[i].pool, &failure);
        exposition_count(out, name, &(struct labels){{"system"}, {observed->config->systems[i].name}},
                         failure.at != 0);
    }
}

/* sources */

static void put_source_counters(struct buf *out, const struct observed *observed)
{
    static const struct counter counters[] = {
        {"sesam_sql_pulls_total", "Pulls that ended.", offsetof(struct source_counts, pulls)},
        {"sesam_sql_pull_failures_total", "Pulls that were refused or broke off.",
         offsetof(struct source_counts, failures)},
        {"sesam_sql_pull_entities_total", "Entities sent.", offsetof(struct source_counts, entities)},
        {"sesam_sql_pull_bytes_total", "Bytes of JSON sent.", offsetof(struct source_counts, bytes)},
    };
    for (size_t c = 0; c < sizeof counters / sizeof *counters; c++) {
        exposition_family(out, counters[c].name, "counter", counters[c].help);
        for (size_t i = 0; i < observed->config->source_count; i++) {
            struct source_counts counts;
            source_counts(observed->sources[i], &counts);
            exposition_count(out, counters[c].name,
                             &(struct labels){{"source"}, {observed->config->sources[i].name}},
                             count_at(&counts, counters[c].at));
        }
    }
}

static void put_pull_durations(struct buf *out, const struct observed *observed)
{
    static const char name[] = "sesam_sql_pull_duration_seconds";
    exposition_family(out, name, "histogram", "From a pull's start to its end, reader included.");
    for (size_t i = 0; i < observed->config->source_count; i++) {
        struct source_counts counts;
        source_counts(observed->sources[i], &counts);
        exposition_histogram(out, name, &(struct labels){{"source"}, {observed->config->sources[i].name}},
                             &counts.durations);
    }
}

/* Only sources that asked for a horizon have one. */
static void put_lags(struct buf *out, const struct observed *observed)
{
    static const char name[] = "sesam_sql_horizon_lag_seconds";
    exposition_family(out, name, "gauge", "Age of the oldest row that was not final at the last pull.");
    for (size_t i = 0; i < observed->config->source_count; i++) {
        struct source_horizon horizon;
        source_horizon(observed->sources[i], &horizon);
        if (horizon.asked)
            exposition_number(out, name, &(struct labels){{"source"}, {observed->config->sources[i].name}},
                              horizon.lag > 0 ? horizon.lag : 0);
    }
}

/* sinks */

static void put_sink_counters(struct buf *out, const struct observed *observed)
{
    static const struct counter counters[] = {
        {"sesam_sql_pushes_total", "Pushes that ended.", offsetof(struct ledger_counts, pushes)},
        {"sesam_sql_push_failures_total", "Pushes of which nothing was applied.",
         offsetof(struct ledger_counts, failures)},
        {"sesam_sql_push_entities_total", "Entities received.", offsetof(struct ledger_counts, entities)},
        {"sesam_sql_push_bytes_total", "Bytes of JSON received.", offsetof(struct ledger_counts, bytes)},
        {"sesam_sql_push_conflicts_total", "Entities whose version was not the row's.",
         offsetof(struct ledger_counts, conflicts)},
    };
    for (size_t c = 0; c < sizeof counters / sizeof *counters; c++) {
        exposition_family(out, counters[c].name, "counter", counters[c].help);
        for (size_t i = 0; i < observed->config->sink_count; i++) {
            struct ledger_counts counts;
            ledger_counts(sink_ledger(observed->sinks[i]), &counts);
            exposition_count(out, counters[c].name,
                             &(struct labels){{"sink"}, {observed->config->sinks[i].name}},
                             count_at(&counts, counters[c].at));
        }
    }
}

static void put_push_rows(struct buf *out, const struct observed *observed)
{
    static const char name[] = "sesam_sql_push_rows_total";
    exposition_family(out, name, "counter", "Rows, by what pushes made of them.");
    for (size_t i = 0; i < observed->config->sink_count; i++) {
        struct ledger_counts counts;
        ledger_counts(sink_ledger(observed->sinks[i]), &counts);
        const struct {
            const char *word;
            uint64_t count;
        } results[] = {{"inserted", counts.inserted},
                       {"updated", counts.updated},
                       {"unchanged", counts.unchanged},
                       {"deleted", counts.deleted}};
        for (size_t r = 0; r < sizeof results / sizeof *results; r++)
            exposition_count(
                out, name,
                &(struct labels){{"sink", "result"}, {observed->config->sinks[i].name, results[r].word}},
                results[r].count);
    }
}

static void put_push_durations(struct buf *out, const struct observed *observed)
{
    static const char name[] = "sesam_sql_push_duration_seconds";
    exposition_family(out, name, "histogram",
                      "From a push's head to its end, the client's sending included.");
    for (size_t i = 0; i < observed->config->sink_count; i++) {
        struct ledger_counts counts;
        ledger_counts(sink_ledger(observed->sinks[i]), &counts);
        exposition_histogram(out, name, &(struct labels){{"sink"}, {observed->config->sinks[i].name}},
                             &counts.durations);
    }
}

void metrics_write(const struct observed *observed, struct buf *out)
{
    put_service(out, observed);
    put_process(out, observed);
    put_log(out);
    put_requests(out, observed->traffic);
    put_pools(out, observed);
    put_failing(out, observed);
    put_source_counters(out, observed);
    put_pull_durations(out, observed);
    put_lags(out, observed);
    put_sink_counters(out, observed);
    put_push_rows(out, observed);
    put_push_durations(out, observed);
}
