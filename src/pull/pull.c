#include "pull/pull.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"
#include "base/log.h"
#include "base/monotonic.h"
#include "entity/json_write.h"
#include "pull/course.h"
#include "pull/request.h"

struct pull {
    struct source *source;
    struct cancel *cancel;
    struct shape *shape;
    struct arena *arena; /* of the request and its plan */
    struct conn *conn;
    struct wanted wanted;
    struct plan plan;
    struct outlook outlook;
    struct course course;
    struct change_mark mark; /* with a changelog */
    bool reading;      /* the driver has an open read */
    bool fresh_conn, fresh_shape;

    const struct value *row; /* the next row, if it was fetched already */
    const struct value **key;
    bool ended;        /* the database said that these were all rows */
    bool more;         /* of them, one was too much for the limit */
    bool closed;       /* the last bracket is written */
    struct err failure; /* the stream broke */

    bool unordered;    /* a full read without order */
    bool open;         /* the last entity gets its token when it is known whether more come */

    struct buf token;  /* of the open entity, but for its end, and scratch */
    struct buf id;     /* scratch */
    struct buf spill;  /* the entity that did not fit the last block */
    size_t spilled;    /* how much of it is sent */
    uint64_t entities, bytes;
    uint64_t entities_told, bytes_told; /* to the source, which counts them */
    double started;
};

static const struct driver *driver_of(const struct pull *pull)
{
    return source_db(pull->source)->driver;
}

/* planning */

/* Without an order nobody can go on from the middle, so only a whole full read goes without. */
static bool goes_unordered(const struct pull *pull)
{
    return !source_config(pull->source)->is_chronological_full && !pull->wanted.has_since &&
           pull->wanted.limit == UINT64_MAX;
}

/* Rows that are left out here must not count for a limit there. Only texts are looked at again. */
static bool counts_itself(const struct pull *pull)
{
    const struct filter *filter = pull->wanted.filters;
    const struct column *column = filter ? &pull->shape->relation->columns[filter->column] : NULL;
    return pull->wanted.since.by_time || (column && (column->kind == KIND_TEXT || column->position == POSITION_ANY));
}

static void plan_read(struct pull *pull)
{
    const struct config_source *config = source_config(pull->source);
    const struct shape *shape = pull->shape;
    const struct wanted *wanted = &pull->wanted;
    bool tracked = shape->updated != SIZE_MAX;
    pull->unordered = goes_unordered(pull);
    pull->plan = (struct plan){
        .relation = shape->relation,
        .query = config->query,
        .columns = shape->columns,
        .column_count = shape->column_count,
        .updated = tracked ? shape->since.updated : SIZE_MAX,
        .order = pull->unordered ? ORDER_NONE : tracked ? ORDER_UPDATED : ORDER_KEY,
        .limit = counts_itself(pull) ? UINT64_MAX : wanted->limit,
        .filters = wanted->filters,
        .filter_count = wanted->filter_count,
        .bounds = wanted->bounds,
        .bound_count = wanted->bound_count,
        .fetch_size = config->fetch_size,
        .xmin = shape->xmin.prefix != NULL,
    };
    const struct position *beginning = since_beginning(&wanted->since);
    if (config->updated_query && wanted->has_since && beginning) {
        pull->plan.query = config->updated_query;
        pull->plan.since = beginning->updated;
    }
}

/* The horizon is asked before the snapshot that will be read: what is final then is seen. */
static int plan_horizon(struct pull *pull, struct err *err)
{
    if (outlook_ask(&pull->outlook, pull->source, pull->shape, pull->conn, &pull->plan, &pull->wanted.since, pull->arena,
                    err))
        return -1;
    if (pull->outlook.limited)
        source_note_horizon(pull->source, &pull->outlook.horizon, pull->outlook.lag);
    if (pull->shape->updated != SIZE_MAX)
        course_plan(&pull->course, &pull->outlook, &pull->wanted.since, pull->wanted.limit);
    if (pull->course.run && pull->plan.limit != UINT64_MAX)
        pull->plan.limit++; /* whether more come stands in the last token */
    return 0;
}

/* Asked before the snapshot, as whoever prunes expects; see sql/. */
static int look_at_changelog(struct pull *pull, struct err *err)
{
    const struct changelog *changelog = pull->shape->changelog;
    if (!changelog)
        return 0;
    if (driver_of(pull)->log_mark(pull->conn, &changelog->log, &pull->mark, err))
        return -1;
    if (!pull->wanted.has_since)
        return 0;
    return changelog_resume(&pull->mark, pull->wanted.prunes, &pull->wanted.since, err);
}

/* opening */

static int open_read(struct pull *pull, struct err *err)
{
    if (pull->plan.order == ORDER_UPDATED) {
        pull->plan.ranges = pull->course.ranges;
        pull->plan.range_count = pull->course.range_count;
    }
    pull->reading = true;
    return driver_of(pull)->read_open(pull->conn, &pull->plan, err);
}

/* Nothing was left of a scan: then comes what is behind it, as of now, which is later than the horizon was asked. */
static int open_next(struct pull *pull, struct err *err)
{
    pull->reading = false;
    if (driver_of(pull)->read_close(pull->conn))
        return err_set(err, ERR_LOST, "the connection did not survive a read");
    return open_read(pull, err);
}

static int fetch(struct pull *pull, struct err *err)
{
    int got;
    while ((got = driver_of(pull)->read_next(pull->conn, &pull->row, err)) == 0 && !pull->entities &&
           course_goes_on(&pull->course))
        if (open_next(pull, err))
            return -1;
    if (got > 0)
        return 0;
    pull->row = NULL;
    pull->ended = got == 0;
    return got;
}

static int begin(struct pull *pull, const struct pull_request *request, bool anew, struct err *err)
{
    const struct db *db = source_db(pull->source);
    if (pool_take(db->pool, pull->cancel, &pull->conn, &pull->fresh_conn, err))
        return -1;
    bool full = !request_value(request, "since");
    if (source_take(pull->source, pull->conn, anew || full, &pull->shape, &pull->fresh_shape, err) ||
        request_check(&pull->wanted, request, pull->source, pull->shape, pull->arena, err))
        return -1;
    pull->key = arena_array(pull->arena, pull->shape->relation->key_count + 1, sizeof *pull->key);
    if (!pull->key)
        return err_memory(err);
    if (course_begin(&pull->course, pull->shape, pull->arena, err) || look_at_changelog(pull, err))
        return -1;
    plan_read(pull);
    pull->ended = pull->wanted.limit == 0;
    if (pull->ended)
        return 0;
    if (plan_horizon(pull, err) || open_read(pull, err))
        return -1;
    return fetch(pull, err);
}

/* Gives the connection back, as soon as the database has no more to say. */
static void release(struct pull *pull, const struct err *err)
{
    if (!pull->conn)
        return;
    const char *why = NULL;
    if (pull->reading && driver_of(pull)->read_close(pull->conn))
        why = "a read was broken off";
    if (err && (err->code == ERR_LOST || err->code == ERR_INTERNAL))
        why = err->code == ERR_LOST ? "it broke" : err->text;
    pool_give(source_db(pull->source)->pool, pull->cancel, pull->conn, why);
    pull->conn = NULL;
    pull->reading = false;
}

static void unbegin(struct pull *pull, const struct err *err)
{
    release(pull, err);
    source_give(pull->shape);
    pull->shape = NULL;
    pull->row = NULL;
    arena_reset(pull->arena);
}

/* Drivers only see that they were called off. */
static void blame_cancel(struct pull *pull, struct err *err)
{
    const char *why = cancel_why(pull->cancel);
    if (!why || strncmp(err->text, why, strlen(why)) == 0)
        return;
    err_clear(err);
    err_set(err, ERR_CANCELLED, "%s", why);
}

/* A table's own values are no errors when they are read, so it was one of the request's. A query can fail
 * on its own. */
static void blame_value(const struct pull *pull, struct err *err)
{
    if (err->code != ERR_VALUE || source_config(pull->source)->query)
        return;
    if (pull->wanted.filter_count)
        err->code = ERR_NOT_FOUND;
    else if (pull->wanted.has_since)
        err->code = pull->wanted.since.kind == SINCE_FROM ? ERR_INPUT : ERR_GONE;
}

/* An idle connection may turn out to be broken, and a description to be old: those are tried again. Every
 * broken connection is closed, so the tries come to an end at a fresh one. */
static int begin_again(struct pull *pull, const struct pull_request *request, struct err *err)
{
    bool anew = false;
    while (begin(pull, request, anew, err)) {
        bool changed = err->code == ERR_CHANGED && pull->shape && !pull->fresh_shape && !anew;
        bool lost = err->code == ERR_LOST && pull->conn && !pull->fresh_conn;
        blame_value(pull, err);
        unbegin(pull, err);
        if ((!changed && !lost) || cancel_fired(pull->cancel))
            return -1;
        anew = anew || changed;
        err_clear(err);
    }
    return 0;
}

static void pull_free(struct pull *pull)
{
    source_give(pull->shape);
    course_free(&pull->course);
    arena_free(pull->arena);
    buf_free(&pull->token);
    buf_free(&pull->id);
    buf_free(&pull->spill);
    free(pull);
}

int pull_open(struct pull **out, struct source *source, const struct pull_request *request, struct err *err)
{
    struct pull *pull = calloc(1, sizeof *pull);
    if (!pull)
        return err_memory(err);
    pull->arena = arena_new();
    if (!pull->arena) {
        pull_free(pull);
        return err_memory(err);
    }
    pull->source = source;
    pull->cancel = request->cancel;
    pull->started = monotonic_seconds();
    if (begin_again(pull, request, err)) {
        blame_cancel(pull, err);
        source_count(source, true, monotonic_seconds() - pull->started);
        pull_free(pull);
        return -1;
    }
    *out = pull;
    return 0;
}

bool pull_completeness(const struct pull *pull, int64_t *time)
{
    *time = pull->outlook.time;
    return pull->outlook.limited && pull->outlook.timed && pull->outlook.horizon.known;
}

uint64_t pull_entities(const struct pull *pull)
{
    return pull->entities;
}

bool pull_is_filtered(const struct pull *pull)
{
    return pull->wanted.filter_count > 0;
}

/* entities */

static const struct value *updated_of(const struct pull *pull, const struct value *row)
{
    if (pull->shape->updated == SIZE_MAX || row[pull->shape->updated].kind == KIND_NULL)
        return NULL;
    return &row[pull->shape->updated];
}

static int take_key(struct pull *pull, const struct value *row, struct err *err)
{
    const struct shape *shape = pull->shape;
    for (size_t i = 0; i < shape->relation->key_count; i++) {
        pull->key[i] = &row[shape->key[i]];
        if (pull->key[i]->kind == KIND_NULL) {
            err_set(err, ERR_DATABASE, "a row of %s has NULL in its key column '%s'", shape->relation->title,
                    shape->relation->columns[shape->relation->key[i]].name);
            return err_hint(err, "choose a primary_key whose columns are never NULL for source '%s'",
                            source_config(pull->source)->name);
        }
    }
    return 0;
}

static int put_string(const struct buf *string, struct buf *out, struct err *err)
{
    if (json_write_string(out, string->data, string->len) || buf_failed(string))
        return err_memory(err);
    return 0;
}

static int put_id(struct pull *pull, struct buf *out, struct err *err)
{
    buf_reset(&pull->id);
    entity_id(&pull->id, pull->shape->key_fields, pull->key, pull->shape->relation->key_count);
    buf_put(out, "{\"_id\":", 7);
    return put_string(&pull->id, out, err);
}

/* Of a row, or without key and updated value of the beginning. */
static int begin_token(struct pull *pull, const struct value *updated, const struct value *const *key, struct err *err)
{
    buf_reset(&pull->token);
    return course_begin_token(&pull->course, &pull->token, updated, key, err);
}

static int put_token(struct pull *pull, struct buf *out, struct err *err)
{
    if (pull->shape->changelog)
        buf_printf(&pull->token, "!!%" PRIu64, pull->mark.prunes);
    buf_put(out, ",\"_updated\":", 12);
    return put_string(&pull->token, out, err);
}

static int end_token(struct pull *pull, struct buf *out, bool last, struct err *err)
{
    return course_end_token(&pull->course, &pull->token, last, err) || put_token(pull, out, err) ? -1 : 0;
}

/* A bare value cannot be a pair: beyond the horizon it is capped there. */
static void put_plain(struct pull *pull, struct buf *out, const struct value *updated)
{
    bool final = !pull->outlook.limited || value_compare(updated, &pull->outlook.low) < 0;
    buf_put(out, ",\"_updated\":", 12);
    since_write_plain(out, &pull->shape->since, final ? updated : pull->course.low.updated);
}

/* A poll's tokens are all alike. */
static int put_updated(struct pull *pull, struct buf *out, const struct value *updated, struct err *err)
{
    if (pull->shape->updated == SIZE_MAX)
        return 0;
    if (!pull->shape->since.plain)
        return begin_token(pull, updated, pull->key, err) || end_token(pull, out, false, err) ? -1 : 0;
    if (updated)
        put_plain(pull, out, updated);
    return 0;
}

static bool is_deleted(const struct pull *pull, const struct value *row)
{
    const struct config_deleted *deleted = &source_config(pull->source)->deleted;
    const struct shape *shape = pull->shape;
    if (shape->deleted == SIZE_MAX)
        return false;
    const struct value *value = &row[shape->deleted];
    if (!deleted->value_count)
        return value->kind != KIND_NULL;
    for (size_t i = 0; i < deleted->value_count; i++)
        if (entity_equals(value, &shape->fields[shape->deleted], &deleted->values[i]))
            return true;
    return false;
}

static void put_hash(const struct shape *shape, struct buf *out, size_t start)
{
    char hash[SOURCE_HASH_SIZE];
    if (buf_failed(out))
        return;
    size_t from = start - out->left;
    source_hash(shape, out->data + from, out->len - from, hash);
    buf_put(out, shape->hash.prefix, shape->hash.prefix_len);
    buf_putc(out, '"');
    buf_puts(out, hash);
    buf_putc(out, '"');
}

/* Of a row that is not there any more only the log's key is left. */
static bool is_gone(const struct shape *shape, const struct value *row)
{
    const struct value *gone = shape->gone == SIZE_MAX ? NULL : &row[shape->gone];
    return gone && (gone->kind == KIND_BOOL ? gone->boolean : gone->kind == KIND_INT && gone->integer != 0);
}

static void put_key(struct pull *pull, struct buf *out, const struct value *row)
{
    const struct shape *shape = pull->shape;
    for (size_t i = 0; i < shape->relation->key_count; i++)
        entity_property(out, &shape->fields[shape->key[i]], &row[shape->key[i]], false);
}

static void put_properties(struct pull *pull, struct buf *out, const struct value *row)
{
    const struct shape *shape = pull->shape;
    bool keep_nulls = source_config(pull->source)->preserve_null_values;
    size_t start = buf_offset(out);
    for (size_t i = 0; i < shape->column_count; i++)
        entity_property(out, &shape->fields[i], &row[i], keep_nulls);
    if (shape->hash.prefix)
        put_hash(shape, out, start);
    if (shape->xmin.prefix)
        entity_property(out, &shape->xmin, &row[shape->column_count], keep_nulls);
}

/* tokens that come later */

static int begin_highest(struct pull *pull, struct err *err)
{
    const struct value *highest = pull->course.highest;
    for (size_t i = 0; i < pull->shape->relation->key_count; i++)
        pull->key[i] = &highest[1 + i];
    return begin_token(pull, highest, pull->key, err);
}

/* Of an unordered read, entities have the lowest token, from which everything comes again, but for the last, which has
 * the highest, from which only what is new comes. */
static int put_unordered_token(struct pull *pull, struct buf *out, bool last, struct err *err)
{
    if (last && pull->course.highest->kind != KIND_NULL)
        return begin_highest(pull, err) || end_token(pull, out, true, err) ? -1 : 0;
    return begin_token(pull, NULL, NULL, err) || put_token(pull, out, err) ? -1 : 0;
}

/* Ends the entity before, which is the last if there are no more. */
static int end_open_entity(struct pull *pull, struct buf *out, struct err *err)
{
    bool last = pull->ended && !pull->more;
    if (!pull->open)
        return 0;
    pull->open = false;
    int failed = pull->unordered ? put_unordered_token(pull, out, last, err) : end_token(pull, out, last, err);
    buf_putc(out, '}');
    return failed;
}

/* Only the last of a run or an unordered read is told from the others. */
static bool token_comes_later(const struct pull *pull)
{
    return pull->shape->updated != SIZE_MAX && !pull->shape->since.plain && (pull->unordered || pull->course.run);
}

static int begin_later_token(struct pull *pull, const struct value *updated, struct err *err)
{
    pull->open = true;
    return pull->unordered ? course_note(&pull->course, updated, pull->key, err) : begin_token(pull, updated, pull->key, err);
}

/* the stream */

static int put_entity(struct pull *pull, struct buf *out, const struct value *row, struct err *err)
{
    const struct value *updated = updated_of(pull, row);
    bool later = token_comes_later(pull);
    if (take_key(pull, row, err) || end_open_entity(pull, out, err))
        return -1;
    buf_puts(out, pull->entities ? ",\n" : "[\n");
    if (put_id(pull, out, err) || (!later && put_updated(pull, out, updated, err)))
        return -1;
    bool gone = is_gone(pull->shape, row);
    if (gone || is_deleted(pull, row))
        buf_puts(out, ",\"_deleted\":true");
    if (gone)
        put_key(pull, out, row);
    else
        put_properties(pull, out, row);
    pull->entities++;
    if (later && begin_later_token(pull, updated, err))
        return -1;
    if (!later)
        buf_putc(out, '}');
    return buf_failed(out) ? err_memory(err) : 0;
}

static bool is_too_early(const struct pull *pull, const struct value *row)
{
    const struct since *since = &pull->wanted.since;
    const struct value *updated = since->by_time ? updated_of(pull, row) : NULL;
    struct iso_time time;
    return updated && updated->kind == KIND_TEXT && iso_parse(updated->text.bytes, updated->text.len, &time) == 0 &&
           time.time < since->time;
}

static bool is_other_text(const struct pull *pull, const struct value *row)
{
    const struct filter *filter = pull->wanted.filters;
    for (size_t i = 0; filter && i < pull->shape->column_count; i++)
        if (pull->shape->columns[i] == filter->column && row[i].kind == KIND_TEXT)
            return !entity_equals(&row[i], &pull->shape->fields[i], &filter->value);
    return false;
}

/* What the database finds by its own comparison, but was not asked for: a since of a time finds texts in the
 * order of texts, those of an earlier time, too; a subset finds texts that a collation takes for the same. */
static bool is_unwanted(const struct pull *pull, const struct value *row)
{
    return is_too_early(pull, row) || is_other_text(pull, row);
}

static int put_end(struct pull *pull, struct buf *out, struct err *err)
{
    if (end_open_entity(pull, out, err))
        return -1;
    buf_puts(out, pull->entities ? "\n]\n" : "[]");
    pull->closed = true;
    return buf_failed(out) ? err_memory(err) : 0;
}

/* Of a run's page the row beyond the limit only tells that it is there. */
static int take_row(struct pull *pull, struct buf *out, const struct value *row, struct err *err)
{
    if (pull->entities < pull->wanted.limit)
        return put_entity(pull, out, row, err);
    pull->more = true;
    pull->ended = counts_itself(pull);
    return 0;
}

/* Writes entities until the block is outgrown or the rows are at their end. */
static int fill(struct pull *pull, struct buf *out, struct err *err)
{
    while (out->lent && !pull->closed) {
        out->mark = out->len;
        if (pull->entities == pull->wanted.limit && !pull->course.run && counts_itself(pull))
            pull->ended = true;
        if (!pull->ended && !pull->row && fetch(pull, err))
            return -1;
        if (pull->ended) {
            pull->row = NULL;
            release(pull, NULL);
            return put_end(pull, out, err);
        }
        const struct value *row = pull->row;
        pull->row = NULL;
        if (!is_unwanted(pull, row) && take_row(pull, out, row, err))
            return -1;
    }
    return 0;
}

static size_t take_spill(struct pull *pull, char *block, size_t size)
{
    size_t left = pull->spill.len - pull->spilled, len = left < size ? left : size;
    if (len)
        memcpy(block, pull->spill.data + pull->spilled, len);
    pull->spilled += len;
    if (pull->spilled == pull->spill.len) {
        buf_free(&pull->spill);
        pull->spilled = 0;
    }
    return len;
}

static int broken(struct pull *pull, struct err *err)
{
    blame_cancel(pull, err);
    pull->failure = *err;
    release(pull, err);
    return -1;
}

static void tell_progress(struct pull *pull)
{
    source_progress(pull->source, pull->entities - pull->entities_told, pull->bytes - pull->bytes_told);
    pull->entities_told = pull->entities;
    pull->bytes_told = pull->bytes;
}

ssize_t pull_read(struct pull *pull, char *block, size_t size, struct err *err)
{
    if (pull->failure.code)
        return err_set(err, pull->failure.code, "%s", pull->failure.text);
    size_t len = take_spill(pull, block, size);
    if (!len && !pull->closed) {
        struct buf out;
        buf_lend(&out, block, size);
        int failed = fill(pull, &out, err);
        if (out.lent) {
            len = out.len;
        } else {
            len = out.left;
            pull->spill = out;
        }
        if (failed)
            return broken(pull, err);
        if (!len)
            len = take_spill(pull, block, size);
    }
    pull->bytes += len;
    tell_progress(pull);
    return (ssize_t)len;
}

void pull_stop(struct pull *pull)
{
    release(pull, NULL);
    pull->closed = true;
}

static void log_end(const struct pull *pull, const char *why)
{
    const char *title = source_title(pull->source);
    double megabytes = (double)pull->bytes / 1e6, time = monotonic_seconds() - pull->started;
    if (why || !pull->closed)
        log_warning(title, "broke off after %" PRIu64 " entities, %.1f MB, %.2f s: %s", pull->entities, megabytes, time,
                    pull->failure.code ? pull->failure.text : why ? why : "it was not read to its end");
    else if (pull->outlook.limited && pull->outlook.timed)
        log_info(title, "finished, %s%" PRIu64 " entities, %.1f MB, %.2f s, horizon %.1f s behind",
                 pull->wanted.has_since ? "" : "full, ", pull->entities, megabytes, time, pull->outlook.lag);
    else
        log_info(title, "finished, %s%" PRIu64 " entities, %.1f MB, %.2f s", pull->wanted.has_since ? "" : "full, ",
                 pull->entities, megabytes, time);
}

void pull_close(struct pull *pull, const char *why)
{
    if (!pull)
        return;
    release(pull, NULL);
    log_end(pull, why);
    tell_progress(pull); /* what a block that broke had */
    source_count(pull->source, why || !pull->closed, monotonic_seconds() - pull->started);
    pull_free(pull);
}
