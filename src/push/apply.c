#include "push/apply.h"

#include <string.h>

#include "base/monotonic.h"
#include "entity/json_write.h"
#include "push/piece.h"

/* While the database looks for the rows of one chunk, the next is made ready. */
struct work {
    struct apply *apply;
    struct chunk chunks[2];
    struct chunk *chunk, *next;
    size_t from;    /* of the chunk's first piece in the batch */
    bool has_next;
};

/* finding */

/* Collects the rows of pieces with one of the fates. */
static size_t collect(struct work *work, const struct row **rows, bool (*wanted)(const struct work *, const struct piece *))
{
    size_t count = 0;
    for (size_t i = 0; i < work->chunk->count; i++)
        if (wanted(work, &work->chunk->pieces[i]))
            rows[count++] = &work->chunk->pieces[i].taken.row;
    return count;
}

static bool is_any(const struct work *work, const struct piece *piece)
{
    (void)work;
    (void)piece;
    return true;
}

static bool differs_in_normalised(const struct work *work, const struct piece *piece)
{
    for (size_t i = 0; i < work->chunk->shape->target.column_count; i++)
        if (piece->differs[i] && work->chunk->shape->takers[i].accept.column->normalised)
            return true;
    return false;
}

/* What is to be written was only looked at: where neither a stamp nor the lock of the whole database keeps it as
 * it is, it is locked and looked at again. So is what only the server can compare. */
static bool needs_lock(const struct work *work, const struct piece *piece)
{
    bool writes = piece->fate == FATE_UPDATE || piece->fate == FATE_ERASE || piece->fate == FATE_MARK;
    if (writes && (work->apply->lock || !(work->chunk->driver->features & (FEATURE_STAMP | FEATURE_ONE_WRITER))))
        return true;
    return !piece->taken.deleted && (writes || piece->fate == FATE_CONFLICT) && differs_in_normalised(work, piece);
}

static int take_chunk(struct work *work, struct chunk *chunk, size_t from, struct err *err)
{
    const struct batch *batch = work->apply->batch;
    size_t most = from >= work->apply->isolate ? 1 : CHUNK_ROWS;
    arena_reset(chunk->arena);
    chunk->count = 0;
    return from < batch->count ? piece_take(chunk, batch->entries + from, batch->count - from, most, err) : 0;
}

/* Once a chunk. */
static int take_ahead(struct work *work, struct err *err)
{
    if (work->has_next)
        return 0;
    work->has_next = true;
    return take_chunk(work, work->next, work->from + work->chunk->count, err);
}

typedef int found_function(struct chunk *chunk, struct piece *piece, const struct found *found, struct err *err);

static int find(struct work *work, const struct row *const *rows, size_t count, enum find_mode mode,
                found_function *take, struct err *err)
{
    struct conn *conn = work->apply->conn;
    struct found found;
    int got;
    if (work->chunk->driver->find_open(conn, &work->chunk->shape->target, rows, count, mode, err))
        return -1;
    bool ready = take_ahead(work, err) == 0;
    got = -1;
    while (ready && (got = work->chunk->driver->find_next(conn, &found, err)) > 0)
        if (take(work->chunk, &work->chunk->pieces[found.row->number], &found, err)) {
            got = -1;
            break;
        }
    if (work->chunk->driver->find_close(conn) && got == 0)
        return err_set(err, ERR_LOST, "the connection broke while rows were looked for");
    return got;
}

static int blame_one(struct work *work, const struct piece *piece, size_t column, struct err *err);

static int blame_find(struct work *work, const struct row *const *rows, size_t count, struct err *err)
{
    if (err->code != ERR_VALUE)
        return -1;
    return blame_one(work, count == 1 ? &work->chunk->pieces[rows[0]->number] : NULL, SIZE_MAX, err);
}

/* Fills the fates. */
static int look(struct work *work, struct err *err)
{
    const struct row **rows = arena_array(work->chunk->arena, work->chunk->count, sizeof *rows);
    if (!rows)
        return err_memory(err);
    size_t count = collect(work, rows, is_any);
    if (find(work, rows, count, FIND_LOOK, piece_judge_found, err))
        return blame_find(work, rows, count, err);
    count = work->apply->look ? 0 : collect(work, rows, needs_lock);
    for (size_t i = 0; i < count; i++)
        work->chunk->pieces[rows[i]->number].fate = FATE_ABSENT;
    if (count && find(work, rows, count, FIND_LOCK, piece_judge_found, err))
        return blame_find(work, rows, count, err);
    for (size_t i = 0; i < work->chunk->count; i++)
        if (work->chunk->pieces[i].fate == FATE_ABSENT)
            work->chunk->pieces[i].fate = piece_judge_absent(work->chunk, &work->chunk->pieces[i]);
    return 0;
}

/* writing */

static const char *property_of(const struct sink_shape *shape, size_t column)
{
    for (size_t i = 0; i < shape->target.column_count; i++)
        if (shape->target.columns[i] == column)
            return shape->takers[i].property;
    return NULL;
}

/* The server refused a value: whose? */
static int blame_one(struct work *work, const struct piece *piece, size_t column, struct err *err)
{
    struct err why = *err;
    const char *property = property_of(work->chunk->shape, column);
    work->apply->unknown = !piece;
    work->apply->isolate = piece ? work->apply->isolate : work->from;
    if (!piece)
        return -1;
    rows_blame(work->apply->rows, &piece->taken, property);
    err_clear(err);
    err_set(err, ERR_REFUSED, "entity '%.*s'%s%.80s%s: %s", piece->taken.id_len < 80 ? (int)piece->taken.id_len : 80,
            piece->taken.id, property ? ", property '" : "", property ? property : "", property ? "'" : "", why.text);
    return why.hint[0] ? err_hint(err, "%s", why.hint) : -1;
}

/* Columns that an insert need not leave out: without a default, absent is NULL. */
static void complete_insert(const struct work *work, struct piece *piece)
{
    for (size_t i = 0; i < work->chunk->shape->target.column_count; i++) {
        const struct column *column = work->chunk->shape->takers[i].accept.column;
        if (!column->defaulted && !column->identity)
            piece->taken.given[i] = true;
    }
}

typedef int write_function(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);

static int write_rows(struct work *work, write_function *function, const struct write *write, struct err *err)
{
    struct fault fault = {.row = SIZE_MAX, .column = SIZE_MAX};
    if (function(work->apply->conn, write, &fault, err) == 0)
        return 0;
    work->apply->duplicate = fault.duplicate && !fault.key;
    if (fault.key)
        err->code = ERR_RACE;
    if (err->code != ERR_VALUE)
        return -1;
    if (fault.row == SIZE_MAX && write->row_count == 1)
        fault.row = 0;
    const struct piece *piece = fault.row < write->row_count ? &work->chunk->pieces[write->rows[fault.row]->number] : NULL;
    return blame_one(work, piece, fault.column, err);
}

/* Takes the next rows that have this fate and set the same columns, and the union of what they change. */
static size_t group(struct work *work, enum fate fate, const struct row **rows, size_t *places, size_t *place_count)
{
    size_t columns = work->chunk->shape->target.column_count, count = 0;
    const struct piece *first = NULL;
    bool *changed = arena_array(work->chunk->arena, columns, sizeof *changed);
    *place_count = 0;
    for (size_t i = 0; changed && i < work->chunk->count; i++) {
        struct piece *piece = &work->chunk->pieces[i];
        if (piece->fate != fate || piece->grouped)
            continue;
        if (first && memcmp(first->taken.given, piece->taken.given, columns * sizeof *piece->taken.given) != 0)
            continue;
        first = first ? first : piece;
        piece->grouped = true;
        rows[count++] = &piece->taken.row;
        const bool *sets = fate == FATE_UPDATE ? piece->differs : piece->taken.given;
        for (size_t k = 0; k < columns; k++)
            changed[k] = changed[k] || sets[k];
    }
    for (size_t k = 0; changed && k < columns && (fate == FATE_INSERT || fate == FATE_UPDATE); k++)
        if (changed[k])
            places[(*place_count)++] = k;
    return count;
}

static int write_fate(struct work *work, enum fate fate, write_function *function, const struct specials *specials,
                      uint64_t *counter, struct err *err)
{
    const struct row **rows = arena_array(work->chunk->arena, work->chunk->count, sizeof *rows);
    size_t *places = arena_array(work->chunk->arena, work->chunk->shape->target.column_count, sizeof *places), count;
    struct write write = {.target = &work->chunk->shape->target, .places = places, .rows = rows};
    if (!rows || !places)
        return err_memory(err);
    if (specials) {
        write.specials = specials->items;
        write.special_count = specials->count;
    }
    while ((count = group(work, fate, rows, places, &write.place_count))) {
        write.row_count = count;
        if (write_rows(work, function, &write, err))
            return -1;
        *counter += count;
    }
    return 0;
}

static int write_pieces(struct work *work, struct err *err)
{
    const struct driver *driver = work->chunk->driver;
    const struct sink_shape *shape = work->chunk->shape;
    struct tally *tally = &work->apply->tally;
    for (size_t i = 0; i < work->chunk->count; i++)
        if (work->chunk->pieces[i].fate == FATE_INSERT)
            complete_insert(work, &work->chunk->pieces[i]);
    /* A value of another unique index may pass from one row to the next. Foreign keys within the table want it the
     * other way round, so that is the usual order. */
    if (work->apply->release_first &&
        (write_fate(work, FATE_ERASE, driver->erase, NULL, &tally->deleted, err) ||
         write_fate(work, FATE_MARK, driver->update, &shape->on_mark, &tally->deleted, err) ||
         write_fate(work, FATE_UPDATE, driver->update, &shape->on_update, &tally->updated, err)))
        return -1;
    return write_fate(work, FATE_INSERT, driver->insert, &shape->on_insert, &tally->inserted, err) ||
                   write_fate(work, FATE_UPDATE, driver->update, &shape->on_update, &tally->updated, err) ||
                   write_fate(work, FATE_MARK, driver->update, &shape->on_mark, &tally->deleted, err) ||
                   write_fate(work, FATE_ERASE, driver->erase, NULL, &tally->deleted, err)
               ? -1
               : 0;
}

/* what came of it */

static void put_expected(struct buf *out, const struct item *version)
{
    buf_puts(out, ",\"expected\":");
    if (version->kind == ITEM_STRING)
        json_write_string(out, version->text, version->len);
    else if (version->kind == ITEM_NUMBER || version->kind == ITEM_DOCUMENT)
        buf_put(out, version->text, version->len);
    else
        buf_puts(out, version->kind == ITEM_TRUE ? "true" : version->kind == ITEM_FALSE ? "false" : "null");
}

static void list_conflict(struct apply *apply, const struct piece *piece)
{
    struct buf *out = &apply->conflict_list;
    if (++apply->tally.conflicts > APPLY_LISTED)
        return;
    buf_puts(out, out->len ? "," : "");
    apply->listed[apply->tally.conflicts - 1] = (struct apply_conflict){out->len, piece->reason};
    buf_puts(out, "{\"_id\":");
    json_write_string(out, piece->taken.id, piece->taken.id_len);
    buf_printf(out, ",\"reason\":\"%s\"", piece->reason);
    if (piece->taken.version.kind != ITEM_NULL)
        put_expected(out, &piece->taken.version);
    if (piece->actual) {
        buf_puts(out, ",\"actual\":");
        buf_puts(out, piece->actual);
    }
    buf_putc(out, '}');
}

/* Conflicts count as seen, those of deletions too; deletions do not. */
static int note_piece(struct work *work, const struct piece *piece, struct err *err)
{
    struct apply *apply = work->apply;
    if (piece->fate == FATE_CONFLICT)
        list_conflict(apply, piece);
    if (piece->fate == FATE_EQUAL)
        apply->tally.unchanged++;
    if (piece->fate != FATE_EQUAL && piece->fate != FATE_CONFLICT)
        apply->must_write = true;
    if (!apply->want_seen || (piece->taken.deleted && piece->fate != FATE_CONFLICT))
        return 0;
    if (!apply->seen.len)
        buf_putc(&apply->seen, '[');
    apply->seen_count++;
    return work->chunk->driver->seen(&work->chunk->shape->target, &piece->taken.row, &apply->seen, err);
}

static bool was_written(const struct work *work, const struct piece *piece)
{
    (void)work;
    return piece->fate == FATE_INSERT || piece->fate == FATE_UPDATE;
}

/* Where a trigger may have had its own way, or the server its own opinion, what was written is read again. */
static int read_again(struct work *work, struct err *err)
{
    if (!work->chunk->shape->relation->triggers && !work->chunk->shape->doubtful)
        return 0;
    const struct row **rows = arena_array(work->chunk->arena, work->chunk->count, sizeof *rows);
    if (!rows)
        return err_memory(err);
    size_t count = collect(work, rows, was_written);
    return count ? find(work, rows, count, FIND_LOOK, piece_learn, err) : 0;
}

static int run_chunk(struct work *work, struct err *err)
{
    struct apply *apply = work->apply;
    work->has_next = false;
    if (look(work, err))
        return -1;
    for (size_t i = 0; i < work->chunk->count; i++)
        if (note_piece(work, &work->chunk->pieces[i], err))
            return -1;
    if (apply->look || (apply->tally.conflicts && !apply->skip_conflicts))
        return 0;
    return write_pieces(work, err) || read_again(work, err) ? -1 : 0;
}

static void turn(struct work *work)
{
    struct chunk *done = work->chunk;
    work->from += done->count;
    work->chunk = work->next;
    work->next = done;
}

static int run_chunks(struct work *work, struct err *err)
{
    struct apply *apply = work->apply;
    if (take_chunk(work, work->chunk, 0, err))
        return -1;
    for (; work->chunk->count && !(apply->look && apply->must_write); turn(work)) {
        if (monotonic_seconds() > apply->deadline)
            return err_set(err, ERR_BUSY, "not committed within request_timeout");
        if (run_chunk(work, err))
            return -1;
    }
    return 0;
}

static int finish(struct apply *apply, struct err *err)
{
    if (buf_failed(&apply->conflict_list) || buf_failed(&apply->seen))
        return err_memory(err);
    if (!apply->tally.conflicts || apply->skip_conflicts)
        return 0;
    const struct config_sink *config = sink_config(apply->rows->sink);
    err_set(err, ERR_CONFLICT, "entities in conflict with their rows: %llu",
            (unsigned long long)apply->tally.conflicts);
    return err_hint(err, "nothing of the request was applied; read the rows anew, or write \"on_conflict\" of sink '%s'",
                    config->name);
}

int apply_run(struct apply *apply, struct err *err)
{
    struct work work = {.apply = apply, .chunk = &work.chunks[0], .next = &work.chunks[1]};
    int failed = 0;
    for (size_t i = 0; i < 2; i++) {
        work.chunks[i] = (struct chunk){
            .rows = apply->rows,
            .conn = apply->conn,
            .shape = apply->rows->shape,
            .config = sink_config(apply->rows->sink),
            .driver = sink_db(apply->rows->sink)->driver,
            .arena = arena_new(),
        };
        failed = work.chunks[i].arena ? failed : err_memory(err);
    }
    failed = failed || run_chunks(&work, err) ? -1 : 0;
    for (size_t i = 0; i < 2; i++)
        arena_free(work.chunks[i].arena);
    return failed ? -1 : finish(apply, err);
}
