#include "push/rows.h"

#include <string.h>

#include "entity/json_write.h"

/* names */

int rows_begin(struct rows *rows, bool fresh, struct err *err)
{
    const struct names *names = intake_names(rows->intake);
    size_t count = names_count(names);
    int *roles = arena_array(rows->arena, count + 1, sizeof *roles);
    if (!roles)
        return err_memory(err);
    for (size_t i = 0; i < count; i++) {
        size_t len;
        const char *name = names_text(names, (uint32_t)i, &len);
        roles[i] = strlen(name) == len ? sink_property(rows->sink, rows->shape, name) : SINK_UNKNOWN;
        if (roles[i] != SINK_UNKNOWN || name[0] == '_')
            continue;
        if (sink_is_news(rows->sink, name) && !fresh)
            return err_set(err, ERR_CHANGED, "there is no column for the property '%.80s'", name);
    }
    rows->roles = roles;
    size_t columns = rows->shape->target.column_count;
    rows->kept = arena_array(rows->arena, columns, sizeof *rows->kept);
    if (!rows->kept)
        return err_memory(err);
    for (size_t i = 0; rows->shape->relation->triggers && i < columns; i++)
        rows->kept[i] = sink_keeps(rows->sink, rows->shape->takers[i].accept.column->name);
    return 0;
}

/* blame */

static void blame(struct rows *rows, const char *id, size_t id_len, const char *property)
{
    struct buf *out = rows->members;
    if (out->len)
        return;
    if (id) {
        buf_puts(out, ",\"_id\":");
        json_write_string(out, id, id_len);
    }
    if (property) {
        buf_puts(out, ",\"property\":");
        json_write_string(out, property, strlen(property));
    }
}

void rows_blame(struct rows *rows, const struct taken *taken, const char *property)
{
    blame(rows, taken->id, taken->id_len, property);
}

static int shown(size_t len)
{
    return len < 80 ? (int)len : 80;
}

/* why: the words of accept, "has 40 digits ...". */
static int refuse(struct rows *rows, const struct taken *taken, const char *property, const struct err *why,
                  struct err *err)
{
    if (why->code != ERR_VALUE)
        return err_set(err, why->code, "%s", why->text);
    blame(rows, taken->id, taken->id_len, property);
    err_set(err, ERR_REFUSED, "entity '%.*s': property '%.80s' %s", shown(taken->id_len), taken->id, property, why->text);
    return why->hint[0] ? err_hint(err, "%s", why->hint) : -1;
}

/* The words of accept are in err already: a struct for them would have to be zeroed for each value. */
static int refuse_value(struct rows *rows, const struct taken *taken, const char *property, struct err *err)
{
    struct err why = *err;
    err_clear(err);
    return refuse(rows, taken, property, &why, err);
}

/* values */

static int fit(const struct rows *rows, const struct column *column, struct value *value, struct arena *arena,
               struct err *why)
{
    const struct driver *driver = sink_db(rows->sink)->driver;
    return driver->fit ? driver->fit(column, value, arena, why) : 0;
}

static int take_item(struct rows *rows, const struct taken *taken, size_t place, const struct item *item,
                     struct arena *arena, struct value *value, struct err *err)
{
    const struct taker *taker = &rows->shape->takers[place];
    if (accept_item(&taker->accept, item, arena, value, err) || fit(rows, taker->accept.column, value, arena, err))
        return refuse_value(rows, taken, taker->property, err);
    return 0;
}

/* keys */

static void strip_namespace(const struct rows *rows, const char **id, size_t *len)
{
    const char *colon = sink_config(rows->sink)->strip_namespaces ? memchr(*id, ':', *len) : NULL;
    if (!colon)
        return;
    *len -= (size_t)(colon + 1 - *id);
    *id = colon + 1;
}

static int key_from_id(struct rows *rows, const struct taken *taken, struct arena *arena, struct value *values,
                       struct err *err)
{
    size_t count = rows->shape->relation->key_count, len = taken->id_len;
    const char *id = taken->id;
    struct id_part *parts = arena_array(arena, count, sizeof *parts);
    if (!parts)
        return err_memory(err);
    strip_namespace(rows, &id, &len);
    if (accept_id(id, len, arena, parts, count, err))
        return refuse_value(rows, taken, "_id", err);
    for (size_t i = 0; i < count; i++) {
        const struct taker *taker = &rows->shape->takers[i];
        if (accept_text(&taker->accept, parts[i].text, parts[i].len, arena, &values[i], err) ||
            fit(rows, taker->accept.column, &values[i], arena, err))
            return refuse_value(rows, taken, "_id", err);
    }
    return 0;
}

static int refuse_null(struct rows *rows, const struct taken *taken, size_t place, struct err *err)
{
    static const struct err why = {.code = ERR_VALUE, .text = "is null, but part of the key"};
    return refuse(rows, taken, rows->shape->takers[place].property, &why, err);
}

/* Key properties win; only when all are absent is _id taken apart. */
static int settle_key(struct rows *rows, const struct taken *taken, struct arena *arena, struct value *values,
                      size_t given, struct err *err)
{
    size_t count = rows->shape->relation->key_count;
    if (given == 0)
        return key_from_id(rows, taken, arena, values, err);
    for (size_t i = 0; given < count && i < count; i++)
        if (values[i].kind == KIND_NULL) {
            const struct err why = {.code = ERR_VALUE, .text = "is missing, while other properties of the key are there"};
            return refuse(rows, taken, rows->shape->takers[i].property, &why, err);
        }
    return 0;
}

static void take_id(struct taken *taken, const struct item *item)
{
    taken->id = item->text;
    taken->id_len = item->len;
}

int rows_key(struct rows *rows, const struct entry *entry, struct arena *arena, struct value *values, struct err *err)
{
    const char *record = intake_record(rows->intake, entry, arena, err);
    uint32_t id_name = intake_id_name(rows->intake);
    size_t offset = 0, given = 0, count = rows->shape->relation->key_count;
    struct taken taken = {0};
    struct item item;
    if (!record)
        return -1;
    memset(values, 0, count * sizeof *values);
    while (!taken.id && record_next(record, entry->len, &offset, &item))
        if (item.name == id_name)
            take_id(&taken, &item);
    for (offset = 0; given < count && record_next(record, entry->len, &offset, &item);) {
        int role = rows->roles[item.name];
        if (role < 0 || (size_t)role >= count)
            continue;
        if (item.kind == ITEM_NULL)
            return refuse_null(rows, &taken, (size_t)role, err);
        if (take_item(rows, &taken, (size_t)role, &item, arena, &values[role], err))
            return -1;
        given++;
    }
    return settle_key(rows, &taken, arena, values, given, err);
}

/* rows */

static int take_unknown(struct rows *rows, const struct taken *taken, const struct item *item, struct err *err)
{
    static const struct err why = {.code = ERR_VALUE,
                                   .text = "has no column",
                                   .hint = "\"unknown_properties\": \"ignore\" would leave it out"};
    size_t len;
    const char *name = names_text(intake_names(rows->intake), item->name, &len);
    rows->ignored++;
    return sink_config(rows->sink)->reject_unknown ? refuse(rows, taken, name, &why, err) : 0;
}

static int take_property(struct rows *rows, struct taken *taken, const struct item *item, struct arena *arena,
                         size_t *keys, struct err *err)
{
    int role = rows->roles[item->name];
    if (role == SINK_VERSION)
        taken->version = *item;
    if (role == SINK_UNKNOWN && take_unknown(rows, taken, item, err))
        return -1;
    bool key = role >= 0 && (size_t)role < rows->shape->relation->key_count;
    if (role < 0 || (taken->deleted && !key))
        return 0;
    if (taken->given[role]) {
        const struct err why = {.code = ERR_VALUE, .text = "comes twice, under different namespaces"};
        return refuse(rows, taken, rows->shape->takers[role].property, &why, err);
    }
    taken->given[role] = true;
    *keys += key;
    return take_item(rows, taken, (size_t)role, item, arena, &taken->values[role], err);
}

int rows_take(struct rows *rows, const struct entry *entry, struct arena *arena, struct taken *taken, struct err *err)
{
    const char *record = intake_record(rows->intake, entry, arena, err);
    uint32_t id_name = intake_id_name(rows->intake);
    size_t offset = 0, keys = 0, count = rows->shape->target.column_count;
    struct item item;
    *taken = (struct taken){.deleted = entry->deleted};
    taken->values = arena_array(arena, count, sizeof *taken->values);
    taken->given = arena_array(arena, count, sizeof *taken->given);
    if (!record || !taken->values || !taken->given)
        return err_memory(err);
    taken->row.values = taken->values;
    while (!taken->id && record_next(record, entry->len, &offset, &item))
        if (item.name == id_name)
            take_id(taken, &item);
    for (offset = 0; record_next(record, entry->len, &offset, &item);)
        if (item.name != id_name && take_property(rows, taken, &item, arena, &keys, err))
            return -1;
    for (size_t i = 0; i < rows->shape->relation->key_count; i++)
        taken->given[i] = true;
    return settle_key(rows, taken, arena, taken->values, keys, err);
}
