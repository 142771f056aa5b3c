#include "push/apply.h"

#include <string.h>

#include "base/monotonic.h"
#include "entity/json_write.h"
#include "entity/same.h"

enum {
    CHUNK_ROWS = 2500,         /* of a statement; enough to make its round trip cheap */
    CHUNK_BYTES = 1024 * 1024, /* of entities in memory at once, unless one alone is larger */
    CONFLICTS_LISTED = 100,
};

enum fate { FATE_ABSENT, FATE_EQUAL, FATE_INSERT, FATE_UPDATE, FATE_ERASE, FATE_MARK, FATE_CONFLICT };

/* An entity on its way. */
struct piece {
    struct taken taken;
    enum fate fate;
    bool *differs;         /* parallel to the target's columns */
    struct value expected; /* the version it carries, where that is a column's */
    const char *reason;    /* of a conflict */
    const char *actual;    /* the row's version as JSON; NULL: there is none */
    bool grouped;
};

struct chunk {
    struct apply *apply;
    const struct sink_shape *shape;
    const struct config_sink *config;
    const struct driver *driver;
    struct arena *arena;
    struct piece *pieces;
    size_t count;
    size_t from; /* of the first piece in the batch */
};

/* reading entities */

static bool has_version(const struct piece *piece)
{
    return piece->taken.version.kind != ITEM_NULL;
}

static int take_version(struct chunk *chunk, struct piece *piece, struct err *err)
{
    const struct taker *version = &chunk->shape->version;
    struct err why = {0};
    if (!version->property || !has_version(piece))
        return 0;
    if (accept_item(&version->accept, &piece->taken.version, chunk->arena, &piece->expected, &why) ||
        (chunk->driver->fit && chunk->driver->fit(version->accept.column, &piece->expected, chunk->arena, &why))) {
        rows_blame(chunk->apply->rows, &piece->taken, version->property);
        return err_set(err, why.code == ERR_VALUE ? ERR_REFUSED : why.code, "property '%.80s' %s", version->property,
                       why.text);
    }
    return 0;
}

static int take_piece(struct chunk *chunk, struct piece *piece, const struct entry *entry, struct err *err)
{
    size_t columns = chunk->shape->target.column_count;
    if (rows_take(chunk->apply->rows, entry, chunk->arena, &piece->taken, err) || take_version(chunk, piece, err))
        return -1;
    piece->taken.row.number = (size_t)(piece - chunk->pieces);
    piece->differs = arena_array(chunk->arena, columns, sizeof *piece->differs);
    if (!piece->differs)
        return err_memory(err);
    if (chunk->config->missing_null && !piece->taken.deleted)
        memset(piece->taken.given, true, columns * sizeof *piece->taken.given);
    return 0;
}

static int take_pieces(struct chunk *chunk, size_t from, struct err *err)
{
    const struct batch *batch = chunk->apply->batch;
    size_t most = from >= chunk->apply->isolate ? 1 : CHUNK_ROWS, bytes = 0;
    chunk->from = from;
    chunk->count = 0;
    chunk->pieces = arena_array(chunk->arena, most, sizeof *chunk->pieces);
    if (!chunk->pieces)
        return err_memory(err);
    while (chunk->count < most && from + chunk->count < batch->count) {
        const struct entry *entry = batch->entries[from + chunk->count];
        bytes += entry->len;
        if (chunk->count && bytes > CHUNK_BYTES)
            break;
        if (take_piece(chunk, &chunk->pieces[chunk->count], entry, err))
            return -1;
        chunk->count++;
    }
    return 0;
}

/* comparing */

static bool compare(const struct chunk *chunk, struct piece *piece, const struct found *found)
{
    const struct sink_shape *shape = chunk->shape;
    const struct value *ours = found->ours ? found->ours : piece->taken.values;
    bool equal = true;
    for (size_t i = shape->relation->key_count; i < shape->target.column_count; i++) {
        const struct taker *taker = &shape->takers[i];
        piece->differs[i] = piece->taken.given[i] &&
                            !same_value(taker->accept.column, &found->values[taker->read], &ours[i]);
        equal = equal && !piece->differs[i];
    }
    return equal;
}

static bool is_dead(const struct sink_shape *shape, const struct found *found)
{
    if (shape->mark_read == SIZE_MAX)
        return false;
    const struct value *held = &found->values[shape->mark_read];
    if (shape->dead.kind == SPECIAL_NOW)
        return !entity_equals(held, &shape->mark_field, &shape->live.value);
    return entity_equals(held, &shape->mark_field, &shape->dead.value);
}

static const char *json_text(struct chunk *chunk, const char *text, size_t len)
{
    struct buf out = {0};
    json_write_string(&out, text, len);
    const char *copy = buf_failed(&out) ? NULL : arena_copy(chunk->arena, out.data, out.len);
    buf_free(&out);
    return copy;
}

static const char *version_held(struct chunk *chunk, const struct found *found)
{
    struct buf out = {0};
    entity_value(&out, &chunk->shape->version.field, &found->values[chunk->shape->version.read]);
    const char *copy = buf_failed(&out) ? NULL : arena_copy(chunk->arena, out.data, out.len);
    buf_free(&out);
    return copy;
}

static void hash_held(const struct chunk *chunk, const struct found *found, char hash[SOURCE_HASH_SIZE])
{
    const struct shape *source = chunk->shape->source;
    struct buf out = {0};
    for (size_t i = 0; i < source->column_count; i++)
        entity_property(&out, &source->fields[i], &found->values[chunk->shape->source_reads[i]],
                        chunk->config->lock.source->preserve_null_values);
    source_hash(source, out.data, out.len, hash);
    buf_free(&out);
}

static bool is_text(const struct item *item, const char *text)
{
    return (item->kind == ITEM_STRING || item->kind == ITEM_NUMBER) && item->len == strlen(text) &&
           memcmp(item->text, text, item->len) == 0;
}

/* Is the row's version the one that the entity carries? Tells the row's own. */
static bool check_version(struct chunk *chunk, struct piece *piece, const struct found *found)
{
    char hash[SOURCE_HASH_SIZE];
    const struct item *version = &piece->taken.version;
    switch (chunk->config->lock.kind) {
    case LOCK_COLUMN:
        piece->actual = version_held(chunk, found);
        return has_version(piece) && same_value(chunk->shape->version.accept.column,
                                                &found->values[chunk->shape->version.read], &piece->expected);
    case LOCK_XMIN:
        piece->actual = json_text(chunk, found->xmin, strlen(found->xmin));
        return is_text(version, found->xmin);
    case LOCK_HASH:
        hash_held(chunk, found, hash);
        piece->actual = json_text(chunk, hash, strlen(hash));
        return is_text(version, hash);
    default:
        return true;
    }
}

static enum fate conflict(struct piece *piece, const char *reason)
{
    piece->reason = reason;
    return FATE_CONFLICT;
}

static enum fate wanted_fate(const struct chunk *chunk, const struct piece *piece)
{
    if (!piece->taken.deleted)
        return FATE_UPDATE;
    return chunk->config->deletes == DELETES_MARK ? FATE_MARK : FATE_ERASE;
}

static enum fate fate_of_found(struct chunk *chunk, struct piece *piece, const struct found *found)
{
    bool dead = is_dead(chunk->shape, found);
    bool done = piece->taken.deleted ? dead || chunk->config->deletes == DELETES_IGNORE
                                     : compare(chunk, piece, found) && !dead;
    if (done)
        return FATE_EQUAL;
    bool fits = check_version(chunk, piece, found);
    if (fits || chunk->config->on_conflict == CONFLICT_OVERWRITE)
        return wanted_fate(chunk, piece);
    return conflict(piece, has_version(piece) ? "version" : "exists");
}

static enum fate fate_of_absent(const struct chunk *chunk, struct piece *piece)
{
    if (piece->taken.deleted)
        return FATE_EQUAL;
    if (has_version(piece) && chunk->config->lock.kind != LOCK_NONE &&
        chunk->config->on_conflict != CONFLICT_OVERWRITE) {
        piece->actual = NULL;
        return conflict(piece, "missing");
    }
    return FATE_INSERT;
}

static int check_scope(struct chunk *chunk, const struct piece *piece, const struct found *found, struct err *err)
{
    const struct sink_shape *shape = chunk->shape;
    if (shape->scope_read == SIZE_MAX ||
        entity_equals(&found->values[shape->scope_read], &shape->scope_field, &shape->scope.value))
        return 0;
    rows_blame(chunk->apply->rows, &piece->taken, NULL);
    err_set(err, ERR_REFUSED, "the row with this key is outside of the scope of sink '%s'", chunk->config->name);
    return err_hint(err, "its column '%s' has another value than the sink's", chunk->config->scope_column);
}

/* finding */

/* Collects the rows of pieces with one of the fates. */
static size_t collect(struct chunk *chunk, const struct row **rows, bool (*wanted)(const struct chunk *, const struct piece *))
{
    size_t count = 0;
    for (size_t i = 0; i < chunk->count; i++)
        if (wanted(chunk, &chunk->pieces[i]))
            rows[count++] = &chunk->pieces[i].taken.row;
    return count;
}

static bool is_any(const struct chunk *chunk, const struct piece *piece)
{
    (void)chunk;
    (void)piece;
    return true;
}

static bool differs_in_normalised(const struct chunk *chunk, const struct piece *piece)
{
    for (size_t i = 0; i < chunk->shape->target.column_count; i++)
        if (piece->differs[i] && chunk->shape->takers[i].accept.column->normalised)
            return true;
    return false;
}

/* What is to be written was only looked at: where neither a stamp nor the lock of the whole database keeps it as
 * it is, it is locked and looked at again. So is what only the server can compare. */
static bool needs_lock(const struct chunk *chunk, const struct piece *piece)
{
    bool writes = piece->fate == FATE_UPDATE || piece->fate == FATE_ERASE || piece->fate == FATE_MARK;
    if (writes && !(chunk->driver->features & (FEATURE_STAMP | FEATURE_ONE_WRITER)))
        return true;
    return !piece->taken.deleted && (writes || piece->fate == FATE_CONFLICT) && differs_in_normalised(chunk, piece);
}

static int take_found(struct chunk *chunk, const struct found *found, struct err *err)
{
    struct piece *piece = &chunk->pieces[found->row->number];
    if (check_scope(chunk, piece, found, err))
        return -1;
    piece->taken.row.stamp = found->stamp;
    piece->fate = fate_of_found(chunk, piece, found);
    return 0;
}

static int find(struct chunk *chunk, const struct row *const *rows, size_t count, enum find_mode mode, struct err *err)
{
    struct conn *conn = chunk->apply->conn;
    struct found found;
    int got;
    if (chunk->driver->find_open(conn, &chunk->shape->target, rows, count, mode, err))
        return -1;
    while ((got = chunk->driver->find_next(conn, &found, err)) > 0)
        if (take_found(chunk, &found, err)) {
            got = -1;
            break;
        }
    if (chunk->driver->find_close(conn) && got == 0)
        return err_set(err, ERR_LOST, "the connection broke while rows were looked for");
    return got;
}

static int blame_one(struct chunk *chunk, const struct piece *piece, size_t column, struct err *err);

/* Fills the fates. */
static int look(struct chunk *chunk, struct err *err)
{
    const struct row **rows = arena_array(chunk->arena, chunk->count, sizeof *rows);
    if (!rows)
        return err_memory(err);
    size_t count = collect(chunk, rows, is_any);
    if (find(chunk, rows, count, FIND_LOOK, err))
        return -1;
    count = chunk->apply->look ? 0 : collect(chunk, rows, needs_lock);
    for (size_t i = 0; i < count; i++)
        chunk->pieces[rows[i]->number].fate = FATE_ABSENT;
    if (count && find(chunk, rows, count, FIND_LOCK, err)) {
        if (err->code == ERR_VALUE)
            return blame_one(chunk, count == 1 ? &chunk->pieces[rows[0]->number] : NULL, SIZE_MAX, err);
        return -1;
    }
    for (size_t i = 0; i < chunk->count; i++)
        if (chunk->pieces[i].fate == FATE_ABSENT)
            chunk->pieces[i].fate = fate_of_absent(chunk, &chunk->pieces[i]);
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
static int blame_one(struct chunk *chunk, const struct piece *piece, size_t column, struct err *err)
{
    struct err why = *err;
    const char *property = property_of(chunk->shape, column);
    chunk->apply->unknown = !piece;
    chunk->apply->isolate = piece ? chunk->apply->isolate : chunk->from;
    if (!piece)
        return -1;
    rows_blame(chunk->apply->rows, &piece->taken, property);
    err_clear(err);
    err_set(err, ERR_REFUSED, "entity '%.*s'%s%.80s%s: %s", piece->taken.id_len < 80 ? (int)piece->taken.id_len : 80,
            piece->taken.id, property ? ", property '" : "", property ? property : "", property ? "'" : "", why.text);
    return why.hint[0] ? err_hint(err, "%s", why.hint) : -1;
}

/* Columns that an insert need not leave out: without a default, absent is NULL. */
static void complete_insert(const struct chunk *chunk, struct piece *piece)
{
    for (size_t i = 0; i < chunk->shape->target.column_count; i++) {
        const struct column *column = chunk->shape->takers[i].accept.column;
        if (!column->defaulted && !column->identity)
            piece->taken.given[i] = true;
    }
}

typedef int write_function(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);

static int write_rows(struct chunk *chunk, write_function *function, const struct write *write, struct err *err)
{
    struct fault fault = {.row = SIZE_MAX, .column = SIZE_MAX};
    if (function(chunk->apply->conn, write, &fault, err) == 0)
        return 0;
    chunk->apply->duplicate = fault.duplicate;
    if (err->code != ERR_VALUE)
        return -1;
    if (fault.row == SIZE_MAX && write->row_count == 1)
        fault.row = 0;
    const struct piece *piece = fault.row < write->row_count ? &chunk->pieces[write->rows[fault.row]->number] : NULL;
    return blame_one(chunk, piece, fault.column, err);
}

/* Takes the next rows that have this fate and set the same columns, and the union of what they change. */
static size_t group(struct chunk *chunk, enum fate fate, const struct row **rows, size_t *places, size_t *place_count)
{
    size_t columns = chunk->shape->target.column_count, count = 0;
    const struct piece *first = NULL;
    bool *changed = arena_array(chunk->arena, columns, sizeof *changed);
    *place_count = 0;
    for (size_t i = 0; changed && i < chunk->count; i++) {
        struct piece *piece = &chunk->pieces[i];
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

static int write_fate(struct chunk *chunk, enum fate fate, write_function *function, const struct specials *specials,
                      uint64_t *counter, struct err *err)
{
    const struct row **rows = arena_array(chunk->arena, chunk->count, sizeof *rows);
    size_t *places = arena_array(chunk->arena, chunk->shape->target.column_count, sizeof *places), count;
    struct write write = {.target = &chunk->shape->target, .places = places, .rows = rows};
    if (!rows || !places)
        return err_memory(err);
    if (specials) {
        write.specials = specials->items;
        write.special_count = specials->count;
    }
    while ((count = group(chunk, fate, rows, places, &write.place_count))) {
        write.row_count = count;
        if (write_rows(chunk, function, &write, err))
            return -1;
        *counter += count;
    }
    return 0;
}

static int write_pieces(struct chunk *chunk, struct err *err)
{
    const struct driver *driver = chunk->driver;
    const struct sink_shape *shape = chunk->shape;
    struct tally *tally = &chunk->apply->tally;
    for (size_t i = 0; i < chunk->count; i++)
        if (chunk->pieces[i].fate == FATE_INSERT)
            complete_insert(chunk, &chunk->pieces[i]);
    return write_fate(chunk, FATE_INSERT, driver->insert, &shape->on_insert, &tally->inserted, err) ||
                   write_fate(chunk, FATE_UPDATE, driver->update, &shape->on_update, &tally->updated, err) ||
                   write_fate(chunk, FATE_MARK, driver->update, &shape->on_mark, &tally->deleted, err) ||
                   write_fate(chunk, FATE_ERASE, driver->erase, NULL, &tally->deleted, err)
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
    if (++apply->tally.conflicts > CONFLICTS_LISTED)
        return;
    buf_puts(out, out->len ? ",{\"_id\":" : "{\"_id\":");
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
static int note_piece(struct chunk *chunk, const struct piece *piece, struct err *err)
{
    struct apply *apply = chunk->apply;
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
    return chunk->driver->seen(&chunk->shape->target, &piece->taken.row, &apply->seen, err);
}

static int run_chunk(struct chunk *chunk, size_t from, struct err *err)
{
    struct apply *apply = chunk->apply;
    if (take_pieces(chunk, from, err) || look(chunk, err))
        return -1;
    for (size_t i = 0; i < chunk->count; i++)
        if (note_piece(chunk, &chunk->pieces[i], err))
            return -1;
    if (apply->look || (apply->tally.conflicts && !apply->skip_conflicts))
        return 0;
    return write_pieces(chunk, err);
}

static int finish(struct apply *apply, struct err *err)
{
    if (buf_failed(&apply->conflict_list) || buf_failed(&apply->seen))
        return err_memory(err);
    if (!apply->tally.conflicts || apply->skip_conflicts)
        return 0;
    const struct config_sink *config = sink_config(apply->rows->sink);
    err_set(err, ERR_CONFLICT, "%llu entities do not carry the version of their row",
            (unsigned long long)apply->tally.conflicts);
    return err_hint(err, "nothing of the request was applied; read the rows anew, or write \"on_conflict\" of sink '%s'",
                    config->name);
}

int apply_run(struct apply *apply, struct err *err)
{
    struct chunk chunk = {
        .apply = apply,
        .shape = apply->rows->shape,
        .config = sink_config(apply->rows->sink),
        .driver = sink_db(apply->rows->sink)->driver,
        .arena = arena_new(),
    };
    int failed = chunk.arena ? 0 : err_memory(err);
    for (size_t from = 0; from < apply->batch->count && !failed; from += chunk.count) {
        arena_reset(chunk.arena);
        failed = monotonic_seconds() > apply->deadline
                     ? err_set(err, ERR_BUSY, "not committed within request_timeout")
                     : run_chunk(&chunk, from, err);
        if (apply->look && apply->must_write)
            break;
    }
    arena_free(chunk.arena);
    return failed ? -1 : finish(apply, err);
}
