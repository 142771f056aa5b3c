#include "ops/status.h"

#include <inttypes.h>
#include <math.h>

#include "base/iso.h"
#include "base/recent.h"
#include "base/wall.h"
#include "config.h"
#include "entity/json_write.h"

/* Begins a member, behind the comma that another one needs. */
static void put_name(struct buf *out, const char *name)
{
    buf_printf(out, ",\"%s\":", name);
}

static void put_text(struct buf *out, const char *name, const char *text)
{
    put_name(out, name);
    if (text)
        json_write_text(out, text);
    else
        buf_puts(out, "null");
}

static void put_count(struct buf *out, const char *name, uint64_t count)
{
    put_name(out, name);
    json_write_natural(out, count);
}

/* 0: never. */
static void put_moment(struct buf *out, int64_t time)
{
    char text[ISO_SIZE];
    if (time)
        buf_printf(out, "\"%.*s\"", (int)iso_datetime(text, time, 3, "Z"), text);
    else
        buf_puts(out, "null");
}

static void put_time(struct buf *out, const char *name, int64_t time)
{
    put_name(out, name);
    put_moment(out, time);
}

static void put_minutes(struct buf *out, struct minutes *minutes)
{
    uint64_t whole[MINUTES], current;
    minutes_read(minutes, wall_microseconds(), whole, &current);
    buf_puts(out, ",\"per_minute\":[");
    for (size_t i = 0; i < MINUTES; i++) {
        buf_puts(out, i ? "," : "");
        json_write_natural(out, whole[i]);
    }
    buf_putc(out, ']');
    put_count(out, "this_minute", current);
}

/* systems */

static void put_where(struct buf *out, const struct config_system *system)
{
    struct buf where = {0};
    bool socket = !system->host || system->host[0] == '/';
    if (system->type == DATABASE_SQLITE)
        buf_puts(&where, system->path);
    else if (socket || !system->port)
        buf_printf(&where, "%s/%s", system->host ? system->host : "local socket", system->database);
    else
        buf_printf(&where, "%s:%u/%s", system->host, system->port, system->database);
    put_text(out, "where", buf_text(&where));
    buf_free(&where);
}

static void put_system(struct buf *out, const struct db *db)
{
    struct pool_state pool;
    struct pool_failure failure;
    pool_state(db->pool, &pool);
    pool_failure(db->pool, &failure);
    buf_puts(out, "{\"name\":");
    json_write_text(out, db->system->name);
    put_text(out, "type", db->driver->type);
    put_where(out, db->system);
    buf_printf(out, ",\"pool\":{\"size\":%u,\"open\":%u,\"used\":%u,\"waiting\":%u},\"error\":", pool.size,
               pool.open, pool.used, pool.waiting);
    if (failure.at) {
        buf_puts(out, "{\"at\":");
        put_moment(out, failure.at);
        put_text(out, "text", failure.text);
        buf_putc(out, '}');
    } else {
        buf_puts(out, "null");
    }
    buf_putc(out, '}');
}

/* sources */

static void put_reads(struct buf *out, const struct config_source *config)
{
    struct buf reads = {0};
    if (config->table && config->schema)
        buf_printf(&reads, "%s.", config->schema);
    buf_puts(&reads, config->table ? config->table : "a query");
    put_text(out, "reads", buf_text(&reads));
    buf_free(&reads);
}

static void put_horizon(struct buf *out, struct source *source)
{
    struct source_horizon horizon;
    source_horizon(source, &horizon);
    put_name(out, "horizon");
    if (!horizon.asked) {
        buf_puts(out, "null");
        return;
    }
    if (isfinite(horizon.lag))
        buf_printf(out, "{\"lag\":%.3f", horizon.lag > 0 ? horizon.lag : 0);
    else
        buf_puts(out, "{\"lag\":null");
    put_text(out, "holder", horizon.holder);
    buf_putc(out, '}');
}

static void put_source(struct buf *out, struct source *source)
{
    const struct config_source *config = source_config(source);
    struct source_counts counts;
    source_counts(source, &counts);
    buf_puts(out, "{\"name\":");
    json_write_text(out, config->name);
    put_text(out, "system", config->system->name);
    put_reads(out, config);
    put_text(out, "tracking", config->changelog ? "changelog" : config->updated_column);
    put_count(out, "pulls", counts.pulls);
    put_count(out, "failures", counts.failures);
    put_count(out, "entities", counts.entities);
    put_count(out, "bytes", counts.bytes);
    put_time(out, "last", counts.last);
    put_horizon(out, source);
    put_minutes(out, &counts.minutes);
    buf_putc(out, '}');
}

/* sinks */

static void put_sync(struct buf *out, struct ledger *ledger)
{
    struct ledger_sync sync;
    ledger_sync(ledger, &sync);
    put_name(out, "full_sync");
    if (!sync.requests) {
        buf_puts(out, "null");
        return;
    }
    buf_puts(out, "{\"sequence_id\":");
    json_write_text(out, sync.sequence_id);
    put_count(out, "requests", sync.requests);
    put_time(out, "begun", sync.begun);
    put_time(out, "last", sync.last);
    buf_putc(out, '}');
}

static void put_conflicts(struct buf *out, struct ledger *ledger)
{
    struct ledger_conflict conflicts[LEDGER_CONFLICTS];
    size_t count = ledger_conflicts(ledger, conflicts);
    put_name(out, "last_conflicts");
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, i ? ",{\"at\":" : "[{\"at\":");
        put_moment(out, conflicts[i].at);
        buf_printf(out, ",%s}", conflicts[i].members);
    }
    buf_puts(out, count ? "]" : "[]");
}

static void put_sink(struct buf *out, struct sink *sink)
{
    const struct config_sink *config = sink_config(sink);
    struct ledger *ledger = sink_ledger(sink);
    struct ledger_counts counts;
    ledger_counts(ledger, &counts);
    buf_puts(out, "{\"name\":");
    json_write_text(out, config->name);
    put_text(out, "system", config->system->name);
    put_text(out, "table", config->table);
    put_count(out, "pushes", counts.pushes);
    put_count(out, "failures", counts.failures);
    put_count(out, "entities", counts.entities);
    put_count(out, "bytes", counts.bytes);
    put_count(out, "inserted", counts.inserted);
    put_count(out, "updated", counts.updated);
    put_count(out, "unchanged", counts.unchanged);
    put_count(out, "deleted", counts.deleted);
    put_count(out, "conflicts", counts.conflicts);
    put_time(out, "last", counts.last);
    put_minutes(out, &counts.minutes);
    put_sync(out, ledger);
    put_conflicts(out, ledger);
    buf_putc(out, '}');
}

/* the whole */

static void put_errors(struct buf *out)
{
    struct recent list[RECENT_MOST];
    size_t count = recent_list(list);
    buf_puts(out, ",\n\"errors\":[");
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, i ? ",\n{\"at\":" : "\n{\"at\":");
        put_moment(out, list[i].at);
        put_text(out, "level", list[i].level == LOG_ERROR ? "error" : "warning");
        put_text(out, "subject", list[i].subject);
        put_text(out, "text", list[i].text);
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

static void put_service(struct buf *out, const struct observed *observed)
{
    struct gate_state gate;
    gate_state(observed->gate, &gate);
    buf_puts(out, "{\"version\":\"" PACKAGE_VERSION "\"");
    put_time(out, "started", observed->started);
    put_time(out, "now", wall_microseconds());
    buf_printf(out, ",\"draining\":%s", observed->draining ? "true" : "false");
    buf_printf(out, ",\"requests\":{\"at_work\":%u,\"max\":%u}", observed->at_work,
               observed->config->listen.max_connections);
    buf_printf(out, ",\"buffered_bytes\":{\"used\":%zu,\"max\":%zu,\"waiting\":%zu}", gate.held, gate.most,
               gate.waiting);
}

void status_write(const struct observed *observed, struct buf *out)
{
    const struct config *config = observed->config;
    put_service(out, observed);
    buf_puts(out, ",\n\"systems\":[");
    for (size_t i = 0; i < config->system_count; i++) {
        buf_puts(out, i ? ",\n" : "\n");
        put_system(out, &observed->dbs[i]);
    }
    buf_puts(out, "],\n\"sources\":[");
    for (size_t i = 0; i < config->source_count; i++) {
        buf_puts(out, i ? ",\n" : "\n");
        put_source(out, observed->sources[i]);
    }
    buf_puts(out, "],\n\"sinks\":[");
    for (size_t i = 0; i < config->sink_count; i++) {
        buf_puts(out, i ? ",\n" : "\n");
        put_sink(out, observed->sinks[i]);
    }
    buf_putc(out, ']');
    put_errors(out);
    buf_puts(out, ",\n\"configuration\":");
    buf_puts(out, config->shown);
    buf_puts(out, "}\n");
}
