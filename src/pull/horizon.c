#include "pull/horizon.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/iso.h"
#include "base/zone.h"

/* What the values of an updated column are to a horizon. */
enum clockwork {
    CLOCKWORK_TIME,        /* times of the server's clock */
    CLOCKWORK_TRANSACTION, /* ids of transactions */
    CLOCKWORK_LAST,        /* whatever grows; whoever writes keeps all others out, so what is there is final */
    CLOCKWORK_UNKNOWN,     /* whatever grows, written by many at once */
};

struct asking {
    const struct config_source *config;
    const struct driver *driver;
    const struct shape *shape;
    const struct column *column;
    struct value newest;
    struct err *err;
};

static bool is_time_text(const struct value *value)
{
    struct iso_time time;
    return value->kind == KIND_TEXT && iso_parse(value->text.bytes, value->text.len, &time) == 0;
}

static enum clockwork clockwork_of(const struct asking *asking)
{
    const struct column *column = asking->column;
    bool alone = asking->driver->features & FEATURE_ONE_WRITER;
    if (column->transaction)
        return CLOCKWORK_TRANSACTION;
    if (asking->shape->since.unit != UNIT_NONE || column->position == POSITION_DATETIME || column->position == POSITION_DATE)
        return CLOCKWORK_TIME;
    bool text = column->position == POSITION_TEXT && column->kind == KIND_TEXT;
    if (is_time_text(&asking->newest) || (text && asking->newest.kind == KIND_NULL))
        return CLOCKWORK_TIME;
    return alone ? CLOCKWORK_LAST : CLOCKWORK_UNKNOWN;
}

/* refusals */

static int refuse_kind(const struct asking *asking)
{
    const char *name = asking->config->name;
    err_set(asking->err, ERR_DATABASE,
            "source '%s' cannot have a horizon: nothing tells which values of '%s' (%s) are still to come", name,
            asking->column->name, asking->column->type);
    return err_hint(asking->err,
                    "name the unit if they are epoch times; or track by a column of xid8 (PostgreSQL), a time or a change log "
                    "(\"tracking\": \"changelog\"); or write \"late_commits\": \"ignore\" and bear that rows committed late are "
                    "missed until the next full read");
}

static int refuse_outside(const struct asking *asking)
{
    err_set(asking->err, ERR_DATABASE, "source '%s' cannot have a horizon: %s", asking->config->name,
            asking->shape->relation->outside);
    return err_hint(asking->err, "write \"late_commits\": {\"settle\": 60} with more seconds than a transaction there takes, or "
                                 "\"ignore\"");
}

static int refuse_settle(const struct asking *asking)
{
    err_set(asking->err, ERR_DATABASE, "source '%s' cannot settle: the values of '%s' (%s) are no times", asking->config->name,
            asking->column->name, asking->column->type);
    return err_hint(asking->err, asking->column->transaction ? "leave out late_commits: xid8 needs no delay"
                                                             : "write \"late_commits\": \"ignore\"");
}

/* Times without a zone are read on the clock of the system's timezone: is that the one they are written by? */
static int check_zone(const struct asking *asking, const struct horizon *horizon)
{
    const struct config_system *system = asking->config->system;
    bool local = asking->column->zoneless || asking->column->position == POSITION_DATE;
    if (!local || system->timezone_written || !*horizon->zone || strcmp(horizon->zone, system->timezone) == 0 ||
        (zone_is_utc(horizon->zone) && zone_is_utc(system->timezone)))
        return 0;
    err_set(asking->err, ERR_DATABASE, "source '%s' cannot have a horizon: '%s' (%s) has no zone, and the server's is %s",
            asking->config->name, asking->column->name, asking->column->type, horizon->zone);
    return err_hint(asking->err, "write the \"timezone\" that the writers of the table use for system '%s': \"%s\", \"UTC\" or another",
                    system->name, horizon->zone);
}

/* A transaction that was never begun here was begun on the server that this one was before it was restored. */
static int check_restored(const struct asking *asking, const struct horizon *horizon, const struct since *since)
{
    const struct value *updated = since->position.updated;
    struct value next = {.kind = KIND_UINT, .natural = horizon->next};
    if (!updated || value_compare(updated, &next) < 0)
        return 0;
    err_set(asking->err, ERR_GONE, "'since' names a transaction that this server has not begun yet: it was restored, or is another");
    return err_hint(asking->err, "reset the pipe, so that it begins with a full read");
}

/* answers */

static double margin_of(const struct asking *asking)
{
    const struct config_late *late = &asking->config->late_commits;
    /* Where a lock keeps the others out nothing happens between asking and being told. */
    bool exact = (asking->driver->features & FEATURE_ONE_WRITER) && !late->margin_written;
    return late->mode == LATE_AUTO && exact ? 0 : late->seconds;
}

/* The margin is for transactions that the server does not tell of yet. While it tells of none, what is written from now
 * on has a time from now on; but who wrote a margin has reasons to doubt that. */
static int take_edge(struct outlook *outlook, const struct asking *asking, struct arena *arena)
{
    const struct horizon *horizon = &outlook->horizon;
    const struct config_late *late = &asking->config->late_commits;
    if (!horizon->known || horizon->waits || late->mode != LATE_AUTO || late->margin_written)
        return 0;
    struct value edge;
    if (since_lowest(&asking->shape->since, horizon->time, &asking->newest, arena, &edge, asking->err))
        return -1;
    if (value_compare(&outlook->low, &edge) < 0) /* where a wall clock goes back it can be otherwise */
        outlook->edge = edge;
    return 0;
}

static int take_time(struct outlook *outlook, const struct asking *asking, struct arena *arena)
{
    const struct horizon *horizon = &outlook->horizon;
    int64_t margin = (int64_t)(margin_of(asking) * 1e6 + 0.5);
    outlook->timed = true;
    outlook->time = horizon->known ? horizon->time - margin : ISO_TIME_MIN;
    outlook->lag = horizon->known ? (double)(horizon->clock - outlook->time) / 1e6 : INFINITY;
    return since_lowest(&asking->shape->since, outlook->time, &asking->newest, arena, &outlook->low, asking->err);
}

/* An integer within some years of now is a time, though nobody wrote its unit. Taken for one, a number that only looks
 * like it is not lost either: whatever grows and is below the clock is final. */
static bool looks_like_time(const struct value *newest, int64_t clock, int64_t *scale)
{
    static const int64_t scales[] = {ISO_SECOND, 1000, 1};
    for (size_t i = 0; newest->kind == KIND_INT && i < sizeof scales / sizeof *scales; i++) {
        *scale = scales[i];
        if (newest->integer > iso_floor(clock - 20 * 365 * ISO_DAY, *scale) &&
            newest->integer < iso_floor(clock + ISO_DAY, *scale))
            return true;
    }
    return false;
}

/* Rows with the highest value may get company, unless the clock tells that they do not any more. Integers are the lowest
 * of what a column of anything can hold. */
static void take_last(struct outlook *outlook, const struct asking *asking)
{
    const struct horizon *horizon = &outlook->horizon;
    int64_t scale;
    outlook->low = asking->newest;
    if (asking->newest.kind == KIND_NULL)
        outlook->low = value_integer(KIND_INT, INT64_MIN);
    else if (horizon->known && looks_like_time(&asking->newest, horizon->clock, &scale))
        outlook->low = value_integer(KIND_INT, iso_floor(horizon->time, scale));
}

static void take_transaction(struct outlook *outlook)
{
    outlook->low.kind = KIND_UINT;
    outlook->low.natural = outlook->horizon.number;
    outlook->lag = outlook->horizon.waits ? (double)(outlook->horizon.clock - outlook->horizon.time) / 1e6 : 0;
}

static int find_newest(struct asking *asking, struct conn *conn, const struct plan *plan, struct arena *arena)
{
    const struct column *column = asking->column;
    bool text = column->position == POSITION_TEXT && column->kind == KIND_TEXT;
    if (asking->shape->since.unit != UNIT_NONE || (!text && column->position != POSITION_ANY))
        return 0;
    return asking->driver->newest(conn, plan, arena, &asking->newest, asking->err);
}

/* The order matters: what the newest value says is believed only as it was when the server was asked. */
static int ask(struct outlook *outlook, struct asking *asking, const struct source *source, struct conn *conn,
               const struct plan *plan, struct arena *arena)
{
    const struct horizon_question question = {.relation = asking->shape->relation,
                                              .updated = asking->shape->since.updated,
                                              .clock_only = asking->config->late_commits.mode == LATE_SETTLE};
    if (!question.clock_only && asking->shape->relation->outside)
        return refuse_outside(asking);
    if (find_newest(asking, conn, plan, arena))
        return -1;
    enum clockwork clockwork = clockwork_of(asking);
    if (clockwork == CLOCKWORK_UNKNOWN)
        return question.clock_only ? refuse_settle(asking) : refuse_kind(asking);
    if (clockwork == CLOCKWORK_TRANSACTION && question.clock_only)
        return refuse_settle(asking);
    return asking->driver->horizon(conn, source_db(source)->sampler, &question, &outlook->horizon, asking->err);
}

/* A change log that only one can write to at a time numbers the changes: the counter tells which number comes next. */
static int take_counter(struct outlook *outlook, const struct asking *asking, struct conn *conn)
{
    struct change_mark mark;
    if (asking->driver->log_mark(conn, &asking->shape->changelog->log, &mark, asking->err))
        return -1;
    outlook->low = value_integer(KIND_INT, mark.last.kind == KIND_INT ? mark.last.integer + 1 : INT64_MIN);
    outlook->edge = outlook->low;
    outlook->limited = true;
    return 0;
}

static int take_answer(struct outlook *outlook, const struct asking *asking, const struct since *since, struct arena *arena)
{
    switch (clockwork_of(asking)) {
    case CLOCKWORK_TIME:
        return check_zone(asking, &outlook->horizon) || take_time(outlook, asking, arena) ? -1 : 0;
    case CLOCKWORK_TRANSACTION:
        take_transaction(outlook);
        return check_restored(asking, &outlook->horizon, since);
    default:
        take_last(outlook, asking);
        return 0;
    }
}

int outlook_ask(struct outlook *outlook, const struct source *source, const struct shape *shape, struct conn *conn,
                const struct plan *plan, const struct since *since, struct arena *arena, struct err *err)
{
    *outlook = (struct outlook){.limited = false};
    if (shape->updated == SIZE_MAX || source_config(source)->late_commits.mode == LATE_IGNORE)
        return 0;
    outlook->forward = source_db(source)->driver->features & FEATURE_ONE_WRITER;
    struct asking asking = {.config = source_config(source),
                            .driver = source_db(source)->driver,
                            .shape = shape,
                            .column = &shape->relation->columns[shape->since.updated],
                            .newest = {.kind = KIND_NULL},
                            .err = err};
    if (shape->changelog && asking.driver->features & FEATURE_ONE_WRITER)
        return take_counter(outlook, &asking, conn);
    if (ask(outlook, &asking, source, conn, plan, arena))
        return -1;
    outlook->limited = true;
    if (take_answer(outlook, &asking, since, arena))
        return -1;
    outlook->edge = outlook->low;
    return outlook->timed ? take_edge(outlook, &asking, arena) : 0;
}
