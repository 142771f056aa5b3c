#include "push/intake.h"

#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "entity/json_read.h"
#include "entity/json_write.h"

enum {
    /* Ten requests at once, in a container of 128 MB, shall leave room for the rest. */
    SPOOL_MEMORY = 1 << 20,
    /* A usual batch of ten thousand, while there is not much else: a file costs a tenth of the time. */
    SPOOL_MEMORY_ALONE = 4 << 20,
    HELD_ALONE = 4 << 20,
    /* The gate's mutex is not taken for each byte. */
    GATE_PIECE = 1 << 16,
    /* An entity in the list, and in it a document as deep as those that can be compared with a column's (same.h).
     * MySQL's JSON ends at 100 levels, SQLite's at 1000. */
    DEPTH_MOST = 2 + 512,
    NAME_MOST = 1024,
    /* PostgreSQL's numeric may have more, and then comes as a decimal, which is a string. */
    NUMBER_MOST = 1000,
    /* No table has as many columns, and each takes memory to the request's end. */
    NAMES_MOST = 1 << 16,
    ID_SHOWN = 80, /* bytes of an _id in an error */
    GATE_SECONDS = 600, /* a body waits for others; whoever stands in the way is ended by its own timeouts before */
};

struct intake {
    const struct config_listen *listen;
    struct gate *gate;
    struct cancel *cancel;
    struct share share;
    struct json_read *reader;
    struct spool *spool;
    struct names *names;
    uint32_t id_name, deleted_name;
    struct entry *entries;
    size_t count, room;
    size_t *seen; /* by name: the number of the last entity that had it, from 1 */
    size_t seen_room;
    uint64_t bytes;
    bool hashes;
    struct sha256_ctx hash;
    char digest[2 * SHA256_DIGEST_SIZE + 1];
    struct err failure;
    /* The entity that is being read. */
    bool inside, has_id, deleted;
    size_t start, level; /* its first byte, its depth */
    struct buf record;
    char id[ID_SHOWN + 1];
    /* Its property. */
    uint32_t name;
    bool skipped;         /* it is none of the target's business */
    bool nested;          /* its value is an object or array */
    struct buf document;  /* that value */
};

static int set_up(struct intake *intake)
{
    const struct json_limits limits = {
        .depth = DEPTH_MOST, .string = intake->listen->max_entity_bytes, .name = NAME_MOST, .number = NUMBER_MOST};
    intake->reader = json_read_new(&limits);
    intake->spool = spool_new(SPOOL_MEMORY_ALONE, intake->listen->spool_directory);
    intake->names = names_new();
    if (!intake->reader || !intake->spool || !intake->names)
        return -1;
    intake->id_name = names_number(intake->names, "_id", 3);
    intake->deleted_name = names_number(intake->names, "_deleted", 8);
    return intake->id_name == UINT32_MAX || intake->deleted_name == UINT32_MAX ? -1 : 0;
}

struct intake *intake_new(const struct config_listen *listen, struct gate *gate, struct cancel *cancel,
                          struct err *err)
{
    struct intake *intake = calloc(1, sizeof *intake);
    if (!intake) {
        err_memory(err);
        return NULL;
    }
    intake->listen = listen;
    intake->gate = gate;
    intake->cancel = cancel;
    intake->hashes = true;
    sha256_init(&intake->hash);
    if (set_up(intake)) {
        err_memory(err);
        intake_free(intake);
        return NULL;
    }
    return intake;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    buf_free(&intake->document);
    buf_free(&intake->record);
    free(intake->seen);
    free(intake->entries);
    names_free(intake->names);
    spool_free(intake->spool);
    json_read_free(intake->reader);
    gate_give(intake->gate, &intake->share);
    free(intake);
}

/* errors */

static int bad_entity(struct intake *intake, enum err_code code, const char *what, struct err *err)
{
    if (intake->has_id)
        return err_set(err, code, "entity %zu (_id '%s') %s", intake->count + 1, intake->id, what);
    return err_set(err, code, "entity %zu %s", intake->count + 1, what);
}

static int bad_property(struct intake *intake, const char *what, struct err *err)
{
    size_t len;
    const char *name = names_text(intake->names, intake->name, &len);
    if (intake->has_id)
        return err_set(err, ERR_INPUT, "entity %zu (_id '%s'): property '%s' %s", intake->count + 1, intake->id, name,
                       what);
    return err_set(err, ERR_INPUT, "entity %zu: property '%s' %s", intake->count + 1, name, what);
}

static int large_entity(struct intake *intake, struct err *err)
{
    bad_entity(intake, ERR_LARGE, "is too large", err);
    return err_hint(err, "listen.max_entity_bytes is %zu", intake->listen->max_entity_bytes);
}

/* What the reader found wrong. */
static int bad_json(struct intake *intake, const struct err *found, struct err *err)
{
    if (found->code != ERR_INPUT && found->code != ERR_LARGE)
        return err_set(err, found->code, "%s", found->text);
    if (!intake->inside)
        return err_set(err, found->code, "the body: %s", found->text);
    if (intake->has_id)
        return err_set(err, found->code, "the body, entity %zu (_id '%s'): %s", intake->count + 1, intake->id,
                       found->text);
    return err_set(err, found->code, "the body, entity %zu: %s", intake->count + 1, found->text);
}

/* room */

/* Sees to it that the gate knows of all that is held, and of some bytes more that are on their way. What those bytes
 * make the lists grow by is told with the next ones. */
static int hold(struct intake *intake, uint64_t more, struct err *err)
{
    uint64_t need = spool_size(intake->spool) + intake->room * sizeof *intake->entries +
                    intake->seen_room * sizeof *intake->seen + names_size(intake->names) + more;
    if (need <= intake->share.held)
        return 0;
    uint64_t bytes = (need - intake->share.held + GATE_PIECE - 1) / GATE_PIECE * GATE_PIECE;
    return gate_take(intake->gate, &intake->share, (size_t)bytes, GATE_SECONDS, intake->cancel, err);
}

static int add_entry(struct intake *intake, const struct entry *entry, struct err *err)
{
    if (intake->count == intake->room) {
        size_t room = intake->room ? intake->room + intake->room / 2 : 128;
        struct entry *entries = realloc(intake->entries, room * sizeof *entries);
        if (!entries)
            return err_memory(err);
        intake->entries = entries;
        intake->room = room;
    }
    intake->entries[intake->count++] = *entry;
    return 0;
}

/* Has this entity had the property already? */
static int see_name(struct intake *intake, struct err *err)
{
    if (intake->name >= intake->seen_room) {
        size_t room = names_count(intake->names) * 2;
        size_t *seen = realloc(intake->seen, room * sizeof *seen);
        if (!seen)
            return err_memory(err);
        memset(seen + intake->seen_room, 0, (room - intake->seen_room) * sizeof *seen);
        intake->seen = seen;
        intake->seen_room = room;
    }
    if (intake->seen[intake->name] == intake->count + 1)
        return bad_property(intake, "comes twice", err);
    intake->seen[intake->name] = intake->count + 1;
    return 0;
}

/* properties */

static int take_name(struct intake *intake, const struct json_event *event, struct err *err)
{
    intake->name = names_number(intake->names, event->text, event->len);
    if (intake->name == UINT32_MAX)
        return err_memory(err);
    if (intake->name >= NAMES_MOST)
        return bad_entity(intake, ERR_LARGE, "has one name of a property too many for one body", err);
    intake->skipped = event->len && event->text[0] == '_' && intake->name != intake->id_name;
    return see_name(intake, err);
}

/* As much of _id as an error shows, cut at a whole character. */
static void keep_id(struct intake *intake, const char *text, size_t len)
{
    size_t shown = len < ID_SHOWN ? len : ID_SHOWN;
    while (shown < len && shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80)
        shown--;
    memcpy(intake->id, text, shown);
    intake->id[shown] = '\0';
    intake->has_id = true;
}

static const enum item_kind item_kinds[] = {
    [JSON_STRING_VALUE] = ITEM_STRING,     [JSON_NUMBER_VALUE] = ITEM_NUMBER, [JSON_TRUE_VALUE] = ITEM_TRUE,
    [JSON_FALSE_VALUE] = ITEM_FALSE, [JSON_NULL_VALUE] = ITEM_NULL};

static int take_scalar(struct intake *intake, const struct json_event *event, struct err *err)
{
    const struct item item = {intake->name, item_kinds[event->kind], event->text, event->len};
    if (intake->name == intake->id_name) {
        if (item.kind != ITEM_STRING)
            return bad_property(intake, "is not a string", err);
        keep_id(intake, item.text, item.len);
    } else if (intake->name == intake->deleted_name) {
        if (item.kind != ITEM_TRUE && item.kind != ITEM_FALSE && item.kind != ITEM_NULL)
            return bad_property(intake, "is neither true, false nor null", err);
        intake->deleted = item.kind == ITEM_TRUE;
    }
    if (!intake->skipped)
        record_put(&intake->record, &item);
    return 0;
}

/* documents */

static void put_comma(struct buf *document)
{
    char last = document->len ? document->data[document->len - 1] : '[';
    if (last != '[' && last != '{' && last != ':')
        buf_putc(document, ',');
}

static void write_event(struct buf *document, const struct json_event *event)
{
    if (event->kind != JSON_END_OBJECT && event->kind != JSON_END_ARRAY)
        put_comma(document);
    switch (event->kind) {
    case JSON_BEGIN_OBJECT:
        buf_putc(document, '{');
        break;
    case JSON_END_OBJECT:
        buf_putc(document, '}');
        break;
    case JSON_BEGIN_ARRAY:
        buf_putc(document, '[');
        break;
    case JSON_END_ARRAY:
        buf_putc(document, ']');
        break;
    case JSON_NUMBER_VALUE:
        buf_put(document, event->text, event->len);
        break;
    case JSON_NAME:
    case JSON_STRING_VALUE:
        json_write_string(document, event->text, event->len);
        if (event->kind == JSON_NAME)
            buf_putc(document, ':');
        break;
    default:
        buf_puts(document, event->kind == JSON_TRUE_VALUE    ? "true"
                           : event->kind == JSON_FALSE_VALUE ? "false"
                                                             : "null");
    }
}

static int begin_document(struct intake *intake, const struct json_event *event, struct err *err)
{
    if (intake->name == intake->id_name)
        return bad_property(intake, "is not a string", err);
    if (intake->name == intake->deleted_name)
        return bad_property(intake, "is neither true, false nor null", err);
    intake->nested = true;
    buf_reset(&intake->document);
    if (!intake->skipped)
        write_event(&intake->document, event);
    return 0;
}

static int go_on_document(struct intake *intake, const struct json_event *event, struct err *err)
{
    if (!intake->skipped)
        write_event(&intake->document, event);
    if (json_read_depth(intake->reader) > intake->level)
        return 0;
    intake->nested = false;
    if (buf_failed(&intake->document))
        return err_memory(err);
    if (!intake->skipped)
        record_put(&intake->record, &(struct item){intake->name, ITEM_DOCUMENT, intake->document.data,
                                                   intake->document.len});
    return 0;
}

/* entities */

static void begin_entity(struct intake *intake)
{
    intake->inside = true;
    intake->has_id = intake->deleted = false;
    intake->level = json_read_depth(intake->reader);
    intake->start = json_read_position(intake->reader) - 1;
    buf_reset(&intake->record);
}

static bool is_alone(const struct intake *intake)
{
    struct gate_state state;
    gate_state(intake->gate, &state);
    return state.held < HELD_ALONE;
}

static int end_entity(struct intake *intake, struct err *err)
{
    const struct buf *record = &intake->record;
    if (!intake->has_id)
        return bad_entity(intake, ERR_INPUT, "has no property '_id'", err);
    if (buf_failed(record))
        return err_memory(err);
    if (record->len > UINT32_MAX)
        return large_entity(intake, err);
    const struct entry entry = {spool_size(intake->spool), (uint32_t)record->len, intake->deleted};
    intake->inside = false;
    if (spool_size(intake->spool) > SPOOL_MEMORY && !is_alone(intake))
        spool_limit(intake->spool, SPOOL_MEMORY);
    return spool_put(intake->spool, record->data, record->len, err) ? -1 : add_entry(intake, &entry, err);
}

static int go_on_entity(struct intake *intake, const struct json_event *event, struct err *err)
{
    if (json_read_position(intake->reader) - intake->start > intake->listen->max_entity_bytes)
        return large_entity(intake, err);
    if (intake->nested)
        return go_on_document(intake, event, err);
    switch (event->kind) {
    case JSON_NAME:
        return take_name(intake, event, err);
    case JSON_BEGIN_OBJECT:
    case JSON_BEGIN_ARRAY:
        return begin_document(intake, event, err);
    case JSON_END_OBJECT:
        return end_entity(intake, err);
    default:
        return take_scalar(intake, event, err);
    }
}

static int take_event(struct intake *intake, const struct json_event *event, struct err *err)
{
    size_t depth = json_read_depth(intake->reader);
    if (intake->inside)
        return go_on_entity(intake, event, err);
    if (event->kind == JSON_BEGIN_OBJECT) {
        begin_entity(intake);
        return 0;
    }
    if (event->kind == JSON_END_ARRAY || (event->kind == JSON_BEGIN_ARRAY && depth == 1))
        return 0;
    if (depth == 0)
        return err_set(err, ERR_INPUT, "the body is neither a list of entities nor an entity");
    intake->has_id = false;
    return bad_entity(intake, ERR_INPUT, "is not an object", err);
}

/* the body */

static int take_events(struct intake *intake, struct err *err)
{
    struct json_event event;
    struct err found = {0};
    int got;
    while ((got = json_read_next(intake->reader, &event, &found)) > 0)
        if (take_event(intake, &event, err))
            return -1;
    return got < 0 ? bad_json(intake, &found, err) : 0;
}

static int take_bytes(struct intake *intake, const char *data, size_t len, struct err *err)
{
    uint64_t open_from = intake->inside ? intake->start : intake->bytes;
    if (len > intake->listen->max_body_bytes || intake->bytes > intake->listen->max_body_bytes - len) {
        err_set(err, ERR_LARGE, "the body is larger than %zu bytes", intake->listen->max_body_bytes);
        return err_hint(err, "send fewer entities at once, or raise listen.max_body_bytes");
    }
    intake->bytes += len;
    if (intake->hashes)
        sha256_update(&intake->hash, len, (const uint8_t *)data);
    /* A record is never longer than the entity was, nor is what the reader holds of it. */
    if (hold(intake, intake->bytes - open_from, err))
        return -1;
    json_read_feed(intake->reader, data, len);
    return take_events(intake, err);
}

static int end_bytes(struct intake *intake, struct err *err)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct json_event event;
    struct err found = {0};
    int got = json_read_end(intake->reader, &event, &found);
    if (got)
        return got < 0 ? bad_json(intake, &found, err) : take_event(intake, &event, err);
    if (hold(intake, 0, err))
        return -1;
    sha256_digest(&intake->hash, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        intake->digest[2 * i] = hex[digest[i] >> 4];
        intake->digest[2 * i + 1] = hex[digest[i] & 15];
    }
    return 0;
}

/* Keeps the first error, and tells it again and again. */
static int keep_failure(struct intake *intake, int failed, struct err *err)
{
    if (!failed)
        return 0;
    err_set(err, intake->failure.code, "%s", intake->failure.text);
    return intake->failure.hint[0] ? err_hint(err, "%s", intake->failure.hint) : -1;
}

int intake_feed(struct intake *intake, const char *data, size_t len, struct err *err)
{
    int failed = intake->failure.code || take_bytes(intake, data, len, &intake->failure);
    return keep_failure(intake, failed, err);
}

int intake_end(struct intake *intake, struct err *err)
{
    int failed = intake->failure.code || end_bytes(intake, &intake->failure);
    return keep_failure(intake, failed, err);
}

size_t intake_count(const struct intake *intake)
{
    return intake->count;
}

const struct entry *intake_entry(const struct intake *intake, size_t number)
{
    return &intake->entries[number];
}

const char *intake_record(struct intake *intake, const struct entry *entry, struct arena *arena, struct err *err)
{
    return spool_get(intake->spool, entry->offset, entry->len, arena, err);
}

const struct names *intake_names(const struct intake *intake)
{
    return intake->names;
}

uint64_t intake_bytes(const struct intake *intake)
{
    return intake->bytes;
}

void intake_skip_digest(struct intake *intake)
{
    intake->hashes = false;
}

const char *intake_digest(const struct intake *intake)
{
    return intake->digest;
}

uint32_t intake_id_name(const struct intake *intake)
{
    return intake->id_name;
}
