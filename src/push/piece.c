#include "push/piece.h"

#include <string.h>
#include <time.h>

#include "base/iso.h"
#include "entity/json_write.h"
#include "entity/same.h"

enum { NOW_SECONDS = 600 }; /* how far the server's clock may be from ours */

/* reading entities */

static bool has_version(const struct piece *piece)
{
    return piece->taken.version.kind != ITEM_NULL;
}

static int take_version(struct chunk *chunk, struct piece *piece, struct err *err)
{
    const struct taker *version = &chunk->shape->version;
    if (!version->property || !has_version(piece))
        return 0;
    if (accept_item(&version->accept, &piece->taken.version, chunk->arena, &piece->expected, err) == 0 &&
        (!chunk->driver->fit || chunk->driver->fit(version->accept.column, &piece->expected, chunk->arena, err) == 0))
        return 0;
    struct err why = *err;
    rows_blame(chunk->rows, &piece->taken, version->property);
    err_clear(err);
    return err_set(err, why.code == ERR_VALUE ? ERR_REFUSED : why.code, "property '%.80s' %s", version->property,
                   why.text);
}

/* A scope may be part of the key. */
static int check_key(struct chunk *chunk, const struct piece *piece, struct err *err)
{
    const struct sink_shape *shape = chunk->shape;
    for (size_t i = 0; shape->target.scope && i < shape->relation->key_count; i++) {
        if (shape->target.columns[i] != shape->scope.column ||
            entity_equals(&piece->taken.values[i], &shape->scope_field, &shape->scope.value))
            continue;
        rows_blame(chunk->rows, &piece->taken, shape->takers[i].property);
        return err_set(err, ERR_REFUSED, "the key is outside of the scope of sink '%s': '%s' has another value",
                       chunk->config->name, shape->takers[i].property);
    }
    return 0;
}

static int take_piece(struct chunk *chunk, struct piece *piece, const struct entry *entry, struct err *err)
{
    size_t columns = chunk->shape->target.column_count;
    if (rows_take(chunk->rows, entry, chunk->arena, &piece->taken, err) || check_key(chunk, piece, err) ||
        take_version(chunk, piece, err))
        return -1;
    piece->taken.row.number = (size_t)(piece - chunk->pieces);
    piece->differs = arena_array(chunk->arena, columns, sizeof *piece->differs);
    if (!piece->differs)
        return err_memory(err);
    if (chunk->config->missing_null && !piece->taken.deleted)
        memset(piece->taken.given, true, columns * sizeof *piece->taken.given);
    return 0;
}

int piece_take(struct chunk *chunk, const struct entry *const *entries, size_t count, size_t most, struct err *err)
{
    size_t bytes = 0;
    most = most < CHUNK_ROWS ? most : CHUNK_ROWS;
    chunk->count = 0;
    chunk->pieces = arena_array(chunk->arena, most, sizeof *chunk->pieces);
    if (!chunk->pieces)
        return err_memory(err);
    while (chunk->count < most && chunk->count < count) {
        const struct entry *entry = entries[chunk->count];
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
        piece->differs[i] = piece->taken.given[i] && !chunk->rows->kept[i] &&
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

/* Nothing comes after infinity, so that nobody could tell whether it was written since. */
static bool can_advance(const struct chunk *chunk, const struct found *found)
{
    const struct taker *version = &chunk->shape->version;
    return chunk->config->lock.by_database || version->accept.column->kind != KIND_DATETIME ||
           found->values[version->read].kind != KIND_TEXT;
}

/* Is the row's version the one that the entity carries? Tells the row's own. */
static bool check_version(struct chunk *chunk, struct piece *piece, const struct found *found)
{
    char hash[SOURCE_HASH_SIZE];
    const struct item *version = &piece->taken.version;
    switch (chunk->config->lock.kind) {
    case LOCK_COLUMN:
        piece->actual = version_held(chunk, found);
        return has_version(piece) && can_advance(chunk, found) && same_value(chunk->shape->version.accept.column,
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

static enum fate judge(struct chunk *chunk, struct piece *piece, const struct found *found)
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

enum fate piece_judge_absent(const struct chunk *chunk, struct piece *piece)
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
    rows_blame(chunk->rows, &piece->taken, NULL);
    err_set(err, ERR_REFUSED, "the row with this key is outside of the scope of sink '%s'", chunk->config->name);
    return err_hint(err, "its column '%s' has another value than the sink's", chunk->config->scope_column);
}

int piece_judge_found(struct chunk *chunk, struct piece *piece, const struct found *found, struct err *err)
{
    if (check_scope(chunk, piece, found, err))
        return -1;
    piece->taken.row.stamp = found->stamp;
    piece->fate = judge(chunk, piece, found);
    return 0;
}

/* triggers */

static bool is_about_now(const struct taker *taker, const struct value *held)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t time = zone_to_utc(taker->accept.zone, held->integer) / ISO_SECOND;
    return time > now.tv_sec - NOW_SECONDS && time < now.tv_sec + NOW_SECONDS;
}

static int refuse_doubtful(struct chunk *chunk, const struct piece *piece, const struct taker *taker, struct err *err)
{
    rows_blame(chunk->rows, &piece->taken, taker->property);
    return err_set(err, ERR_REFUSED, "property '%.80s' is no %s: the database would take it for NULL", taker->property,
                   taker->accept.column->type);
}

int piece_learn(struct chunk *chunk, struct piece *piece, const struct found *found, struct err *err)
{
    const struct sink_shape *shape = chunk->shape;
    for (size_t i = shape->relation->key_count; i < shape->target.column_count; i++) {
        const struct taker *taker = &shape->takers[i];
        const struct value *held = &found->values[taker->read];
        if (taker->accept.column->doubtful && piece->taken.given[i] && held->kind == KIND_NULL &&
            piece->taken.values[i].kind != KIND_NULL)
            return refuse_doubtful(chunk, piece, taker, err);
        if (!piece->taken.given[i] || chunk->rows->kept[i] || held->kind != KIND_DATETIME ||
            same_value(taker->accept.column, held, &piece->taken.values[i]) || !is_about_now(taker, held))
            continue;
        chunk->rows->kept[i] = true;
        sink_keep(chunk->rows->sink, taker->accept.column->name);
    }
    return 0;
}
