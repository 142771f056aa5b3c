#include "push/push.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/monotonic.h"
#include "push/apply.h"
#include "push/sequence.h"

enum { RACES = 8, RACES_WITHOUT_LOCK = 2, LOSSES = 3, DUPLICATES = 2 };

struct push {
    struct sink *sink;
    struct cancel *cancel;
    struct arena *arena; /* of the request */
    struct intake *intake;
    struct sequence_request sequence;
    char digest[SEQUENCE_DIGEST_SIZE];
    double started, seconds, deadline;

    /* of an attempt */
    struct conn *conn;
    bool fresh_conn, fresh_shape;
    struct sink_shape *shape;
    struct arena *scratch;
    struct rows rows;
    struct batch batch;
    struct apply apply;
    uint64_t kept;      /* left over by a full sync, and not to be deleted */
    bool swept;         /* the end of a full sync was reached */

    /* over all attempts */
    bool anew;          /* read the catalogue again */
    size_t isolate;
    unsigned races, losses, duplicates;
    struct tally tally;
    bool applied, repeated;
};

static const struct driver *driver_of(const struct push *push)
{
    return sink_db(push->sink)->driver;
}

/* the body */

static void push_free(struct push *push)
{
    intake_free(push->intake);
    arena_free(push->scratch);
    arena_free(push->arena);
    free(push);
}

int push_open(struct push **out, struct sink *sink, const struct push_request *request, struct err *err)
{
    struct push *push = calloc(1, sizeof *push);
    if (!push)
        return err_memory(err);
    push->sink = sink;
    push->cancel = request->cancel;
    push->isolate = SIZE_MAX;
    push->started = monotonic_seconds();
    push->arena = arena_new();
    push->scratch = arena_new();
    if (!push->arena || !push->scratch) {
        err_memory(err);
        goto failed;
    }
    if (sequence_parse(&push->sequence, request->parameters, request->count, push->arena, err))
        goto failed;
    push->intake = intake_new(request->listen, request->gate, request->cancel, err);
    if (!push->intake)
        goto failed;
    if (!push->sequence.chained)
        intake_skip_digest(push->intake);
    *out = push;
    return 0;
failed:
    ledger_add(sink_ledger(sink), &(struct ledger_push){.seconds = monotonic_seconds() - push->started});
    push_free(push);
    return -1;
}

int push_feed(struct push *push, const char *data, size_t len, struct err *err)
{
    return intake_feed(push->intake, data, len, err);
}

/* an attempt: one transaction */

static double seconds_left(const struct push *push)
{
    return push->deadline - monotonic_seconds();
}

static int begin(struct push *push, bool write, struct err *err)
{
    double left = seconds_left(push);
    if (left <= 0)
        return err_set(err, ERR_BUSY, "not committed within request_timeout");
    return driver_of(push)->begin(push->conn, write, left, err);
}

static int run_batch(struct push *push, bool look, bool want_seen, struct err *err)
{
    struct apply *apply = &push->apply;
    buf_reset(&apply->conflict_list);
    buf_reset(&apply->seen);
    buf_reset(push->rows.members);
    *apply = (struct apply){
        .rows = &push->rows,
        .batch = &push->batch,
        .conn = push->conn,
        .look = look,
        .skip_conflicts = push->sequence.full || sink_config(push->sink)->on_conflict != CONFLICT_REJECT,
        .lock = push->races >= RACES_WITHOUT_LOCK,
        .release_first = push->duplicates > 0,
        .want_seen = want_seen,
        .deadline = push->deadline,
        .isolate = push->isolate,
        .conflict_list = apply->conflict_list,
        .seen = apply->seen,
    };
    push->rows.ignored = 0;
    int failed = apply_run(apply, err);
    push->isolate = apply->isolate;
    return failed;
}

static const char *seen_list(struct push *push)
{
    struct buf *seen = &push->apply.seen;
    buf_puts(seen, seen->len ? "]" : "[]");
    return buf_text(seen);
}

/* The end of a full sync: what did not come goes. */
static int refuse_sweep(const struct push *push, uint64_t rows, uint64_t total, bool nothing_came, struct err *err)
{
    const char *name = sink_config(push->sink)->name;
    if (nothing_came)
        err_set(err, ERR_REFUSED, "sink '%s': no entity came in the whole sync, and %" PRIu64 " rows would be deleted",
                name, rows);
    else
        err_set(err, ERR_REFUSED, "sink '%s': the end of the full sync would delete %" PRIu64 " of %" PRIu64 " rows", name,
                rows, total);
    return err_hint(err, "if that is right, send the request again with delete_guard=off, or change 'delete_guard' of the "
                         "sink; the sequence stays open");
}

static int check_guard(const struct push *push, const struct sync_state *state, uint64_t rows, uint64_t total,
                       struct err *err)
{
    const struct config_guard *guard = &sink_config(push->sink)->delete_guard;
    uint64_t before = push->sequence.chained ? state->entities : 0;
    bool nothing_came = before + push->apply.seen_count == 0;
    if (!push->sequence.guarded || guard->off || rows == 0)
        return 0;
    if (nothing_came)
        return refuse_sweep(push, rows, total, true, err);
    if (rows > guard->rows && (double)rows > guard->fraction * (double)total)
        return refuse_sweep(push, rows, total, false, err);
    return 0;
}

static int sweep(struct push *push, const struct sync_state *state, const char *seen, struct err *err)
{
    const struct config_sink *config = sink_config(push->sink);
    const struct sink_shape *shape = push->shape;
    bool marks = config->deletes == DELETES_MARK;
    bool keeps = !config->full_sync_deletes || config->deletes == DELETES_IGNORE;
    const struct sweep sweep = {
        .target = &shape->target,
        .kind = keeps ? SWEEP_COUNT : marks ? SWEEP_MARK : SWEEP_DELETE,
        .sequence_id = push->sequence.chained ? push->sequence.sequence_id : NULL,
        .seen = seen,
        .specials = shape->on_mark.items,
        .special_count = shape->on_mark.count,
        .dead = marks ? &shape->dead : NULL,
        .live = marks ? &shape->live : NULL,
    };
    uint64_t rows = 0, total = 0;
    if (driver_of(push)->sweep(push->conn, &sweep, config->delete_guard.rows, &rows, &total, err))
        return -1;
    push->swept = keeps;
    if (keeps) {
        push->kept = rows;
        return 0;
    }
    push->apply.tally.deleted += rows;
    return check_guard(push, state, rows, total, err);
}

static void put_answer(const struct push *push, struct buf *out)
{
    const struct tally *tally = &push->apply.tally;
    buf_printf(out, "{\"inserted\":%" PRIu64 ",\"updated\":%" PRIu64 ",\"unchanged\":%" PRIu64 ",\"deleted\":%" PRIu64,
               tally->inserted, tally->updated, tally->unchanged, tally->deleted);
    if (push->swept)
        buf_printf(out, ",\"kept\":%" PRIu64, push->kept);
    if (push->rows.ignored)
        buf_printf(out, ",\"ignored_properties\":%" PRIu64, push->rows.ignored);
    buf_puts(out, ",\"conflicts\":[");
    buf_put(out, push->apply.conflict_list.data, push->apply.conflict_list.len);
    buf_putc(out, ']');
    if (tally->conflicts)
        buf_printf(out, ",\"conflict_count\":%" PRIu64, tally->conflicts);
    buf_putc(out, '}');
}

/* What follows the rows of a full sync's request, in the same transaction. */
static int end_full(struct push *push, const struct sync_state *state, const char *seen, struct buf *answer,
                    struct err *err)
{
    const struct driver *driver = driver_of(push);
    const struct target *target = &push->shape->target;
    if (push->sequence.last && sweep(push, state, seen, err))
        return -1;
    put_answer(push, answer);
    if (!push->sequence.chained) /* a whole sync replaces an unfinished one */
        return state->open ? driver->sync_end(push->conn, target, state->sequence_id, err) : 0;
    const struct receipt receipt = {
        .request_id = push->sequence.request_id, .digest = push->digest, .answer = buf_text(answer)};
    if (!receipt.answer)
        return err_memory(err);
    if (driver->sync_add(push->conn, target, state, seen, strlen(seen), &receipt, err))
        return -1;
    return push->sequence.last ? driver->sync_end(push->conn, target, push->sequence.sequence_id, err) : 0;
}

static int end_incremental(struct push *push, const struct sync_state *state, const char *seen, struct buf *answer,
                           struct err *err)
{
    put_answer(push, answer);
    if (!state->open || !push->apply.seen_count)
        return 0;
    return driver_of(push)->sync_add(push->conn, &push->shape->target, state, seen, strlen(seen), NULL, err);
}

/* *done false: there is something to write, and it was only looked. */
static int transact(struct push *push, bool write, bool *done, struct buf *answer, struct err *err)
{
    struct sync_state state = {0};
    const char *before;
    *done = true;
    if (sequence_enter(&push->sequence, push->digest, push->sink, &push->shape->target, push->conn, &state, &before,
                       push->scratch, err))
        return -1;
    push->repeated = before != NULL;
    if (before) {
        buf_puts(answer, before);
        return 0;
    }
    if (!write && state.open) {
        *done = false;
        return 0;
    }
    if (batch_make(&push->batch, &push->rows, push->conn, err) ||
        run_batch(push, !write, push->sequence.full || state.open, err))
        return -1;
    *done = write || !push->apply.must_write;
    if (!*done)
        return 0;
    const char *seen = seen_list(push);
    if (!seen)
        return err_memory(err);
    return push->sequence.full ? end_full(push, &state, seen, answer, err)
                               : end_incremental(push, &state, seen, answer, err);
}

/* Where one transaction that writes keeps all others out, a request first looks whether it must be one. */
static bool looks_first(const struct push *push)
{
    return (driver_of(push)->features & FEATURE_ONE_WRITER) && !push->sequence.full && push->races == 0 &&
           push->isolate == SIZE_MAX;
}

static void give_conn(struct push *push, const char *why)
{
    if (push->conn)
        pool_give(sink_db(push->sink)->pool, push->cancel, push->conn, why);
    push->conn = NULL;
}

static int run(struct push *push, bool write, bool *done, struct buf *answer, struct err *err)
{
    const struct driver *driver = driver_of(push);
    bool committed = false;
    int failed = begin(push, write, err) || transact(push, write, done, answer, err);
    if (!failed && *done && write && !push->repeated) {
        failed = driver->commit(push->conn, err);
        committed = !failed;
    }
    if (!committed && driver->rollback(push->conn))
        give_conn(push, "a transaction could not be rolled back");
    if (failed)
        buf_reset(answer);
    return failed ? -1 : 0;
}

static int attempt(struct push *push, struct buf *answer, struct buf *members, struct err *err)
{
    const struct db *db = sink_db(push->sink);
    bool done = false;
    arena_reset(push->scratch);
    buf_reset(members);
    if (!push->conn && pool_take(db->pool, push->cancel, &push->conn, &push->fresh_conn, err))
        return -1;
    sink_give(push->shape);
    push->shape = NULL;
    if (sink_take(push->sink, push->conn, push->anew, &push->shape, &push->fresh_shape, err))
        return -1;
    push->anew = false;
    push->rows = (struct rows){.sink = push->sink,
                               .shape = push->shape,
                               .intake = push->intake,
                               .arena = push->scratch,
                               .members = members};
    if (rows_begin(&push->rows, push->fresh_shape, err))
        return -1;
    if (push->sequence.chained && db->driver->sync_prepare(push->conn, &push->shape->target, err))
        return -1;
    if (looks_first(push) && (run(push, false, &done, answer, err) || done))
        return done && !err->code ? 0 : -1;
    if (!push->conn)
        return err_set(err, ERR_LOST, "the connection broke");
    return run(push, true, &done, answer, err);
}

/* trying again */

static void rest(struct push *push)
{
    unsigned seed = (unsigned)(uintptr_t)push ^ (unsigned)(monotonic_seconds() * 1e6);
    long most = 10000000L << (push->races < 6 ? push->races : 6);
    struct timespec pause = {.tv_nsec = most / 2 + rand_r(&seed) % (most / 2)};
    nanosleep(&pause, NULL);
}

static bool may_go_on(const struct push *push)
{
    return seconds_left(push) > 0 && !cancel_fired(push->cancel);
}

/* Is the failure one that another attempt may not have? */
static bool again(struct push *push, const struct err *err)
{
    if (!may_go_on(push))
        return false;
    if (push->apply.duplicate && push->duplicates < DUPLICATES) {
        push->duplicates++; /* perhaps a row that this request deletes or changes has it */
        return true;
    }
    switch (err->code) {
    case ERR_RACE:
        if (push->races >= RACES)
            return false;
        rest(push);
        push->races++;
        return true;
    case ERR_LOST:
        return push->losses++ < LOSSES;
    case ERR_CHANGED:
        push->anew = !push->fresh_shape;
        return push->anew;
    default:
        return push->apply.unknown;
    }
}

/* A lock is waited for until the time is nearly over. */
static bool is_late(const struct push *push, const struct err *err)
{
    double left = seconds_left(push);
    return cancel_expired(push->cancel) || (left <= 0 && err->code != ERR_INPUT) ||
           (err->code == ERR_BUSY && push->shape && left < 0.2 * push->seconds);
}

static void settle_error(const struct push *push, struct err *err)
{
    struct err why = *err;
    if (err->code == ERR_CONFLICT || err->code == ERR_REFUSED)
        return;
    if (is_late(push, err)) {
        err_clear(err);
        err_set(err, ERR_BUSY, "not committed within request_timeout: %s", why.text);
    } else if (cancel_fired(push->cancel)) {
        err_clear(err);
        err_set(err, ERR_CANCELLED, "%s", cancel_why(push->cancel));
    } else if (err->code == ERR_VALUE) {
        err->code = ERR_REFUSED;
    }
}

static void put_conflicts(const struct push *push, struct buf *members)
{
    buf_puts(members, ",\"conflicts\":[");
    buf_put(members, push->apply.conflict_list.data, push->apply.conflict_list.len);
    buf_printf(members, "],\"conflict_count\":%" PRIu64, push->apply.tally.conflicts);
}

static int apply(struct push *push, struct buf *answer, struct buf *members, struct err *err)
{
    while (attempt(push, answer, members, err)) {
        bool broken = err->code == ERR_LOST || err->code == ERR_INTERNAL || cancel_fired(push->cancel);
        if (broken)
            give_conn(push, err->code == ERR_LOST ? "it broke" : "its statement was called off");
        bool tries = again(push, err);
        push->apply.duplicate = push->apply.unknown = false;
        if (!tries) {
            if (err->code == ERR_CONFLICT)
                put_conflicts(push, members);
            settle_error(push, err);
            return -1;
        }
        err_clear(err);
    }
    push->tally = push->apply.tally;
    push->applied = true;
    return 0;
}

int push_finish(struct push *push, double seconds, struct buf *answer, struct buf *members, struct err *err)
{
    push->seconds = seconds;
    push->deadline = monotonic_seconds() + seconds;
    if (intake_end(push->intake, err))
        return -1;
    sequence_digest(&push->sequence, intake_digest(push->intake), push->digest);
    int failed = apply(push, answer, members, err);
    give_conn(push, NULL);
    return failed;
}

/* the end */

static void log_end(const struct push *push, const struct err *failure, const char *why)
{
    const char *title = sink_title(push->sink);
    double seconds = monotonic_seconds() - push->started;
    const struct tally *tally = &push->tally;
    double megabytes = (double)intake_bytes(push->intake) / 1e6;
    if (push->applied && !why)
        log_info(title,
                 "finished%s%s, %zu entities, %.1f MB, %.2f s: %" PRIu64 " inserted, %" PRIu64 " updated, %" PRIu64
                 " unchanged, %" PRIu64 " deleted, %" PRIu64 " in conflict",
                 push->sequence.full ? ", full" : "", push->repeated ? ", repeated" : "", intake_count(push->intake),
                 megabytes, seconds, tally->inserted, tally->updated, tally->unchanged, tally->deleted, tally->conflicts);
    else if (why)
        log_warning(title, "ended, %.1f MB, %.2f s: %s", megabytes, seconds, why);
    else
        log_warning(title, "failed, %zu entities, %.1f MB, %.2f s: %s%s%s", intake_count(push->intake), megabytes,
                    seconds, failure ? failure->text : "no answer", failure && failure->hint[0] ? "; " : "",
                    failure ? failure->hint : "");
}

/* Also of a push that was refused for its conflicts. */
static void note_conflicts(const struct push *push)
{
    const struct apply *apply = &push->apply;
    const struct buf *list = &apply->conflict_list;
    size_t count = apply->tally.conflicts < APPLY_LISTED ? (size_t)apply->tally.conflicts : APPLY_LISTED;
    for (size_t i = count < LEDGER_CONFLICTS ? 0 : count - LEDGER_CONFLICTS; i < count; i++) {
        size_t end = i + 1 < count ? apply->listed[i + 1].at - 1 : list->len;
        ledger_add_conflict(sink_ledger(push->sink), list->data + apply->listed[i].at, end - apply->listed[i].at,
                            apply->listed[i].reason);
    }
}

static void note_end(const struct push *push, const struct err *failure)
{
    struct ledger *ledger = sink_ledger(push->sink);
    const struct tally *tally = &push->tally;
    bool refused = failure && failure->code == ERR_CONFLICT;
    const struct ledger_push ended = {
        .applied = push->applied,
        .entities = intake_count(push->intake),
        .bytes = intake_bytes(push->intake),
        .inserted = tally->inserted,
        .updated = tally->updated,
        .unchanged = tally->unchanged,
        .deleted = tally->deleted,
        .conflicts = refused ? push->apply.tally.conflicts : tally->conflicts,
        .seconds = monotonic_seconds() - push->started,
    };
    ledger_add(ledger, &ended);
    if (refused || (push->applied && !push->repeated))
        note_conflicts(push);
    if (push->applied && push->sequence.full && (!push->repeated || push->sequence.last))
        ledger_add_sync(ledger, push->sequence.chained ? push->sequence.sequence_id : NULL, push->sequence.last);
}

void push_close(struct push *push, const struct err *failure, const char *why)
{
    if (!push)
        return;
    log_end(push, failure, why);
    note_end(push, failure);
    give_conn(push, NULL);
    sink_give(push->shape);
    buf_free(&push->apply.conflict_list);
    buf_free(&push->apply.seen);
    push_free(push);
}
