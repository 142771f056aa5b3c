/* optimistic_lock: which version of a row is compared with which of the entity. */
#include <string.h>

#include "config/link.h"
#include "config/reader.h"

#define AT(member) offsetof(struct config_optimistic_lock, member)

static const struct choice maintainers[] = {{"service", false}, {"database", true}, {NULL, 0}};

static int check_hash(struct reader *reader, const struct path *path, json_t *object)
{
    static const char *const others[] = {"property", "maintained_by", "coarse"};
    int result = 0;
    if (!reader_has(object, "source"))
        result = reader_mistake_at(reader, path, "source",
                                   "is missing; it is the source whose hash the property holds");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (reader_has(object, others[i]))
            result = reader_mistake_at(reader, path, others[i], "does not go with a hash");
    }
    return result;
}

static int check_xmin(struct reader *reader, const struct path *path, json_t *object)
{
    static const char *const others[] = {"maintained_by", "coarse"};
    int result = 0;
    if (!reader_has(object, "property"))
        result = reader_mistake_at(reader, path, "property", "is missing; it is the property that holds the xmin");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (reader_has(object, others[i]))
            result = reader_mistake_at(reader, path, others[i], "does not go with xmin");
    }
    return result;
}

static int check_lock(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    struct config_optimistic_lock *lock = target;
    if (reader_has(object, "column") == reader_has(object, "hash"))
        return reader_mistake(reader, path, "must have either a column or a hash");
    if (reader_has(object, "hash")) {
        lock->kind = LOCK_HASH;
        return check_hash(reader, path, object);
    }
    if (reader_has(object, "source"))
        return reader_mistake_at(reader, path, "source", "goes with a hash");
    lock->kind = LOCK_COLUMN;
    if (!lock->column || strcmp(lock->column, "xmin") != 0)
        return 0;
    lock->kind = LOCK_XMIN;
    lock->column = NULL; /* no column of the table's */
    return check_xmin(reader, path, object);
}

static int read_hash_source(struct reader *reader, const struct path *path, json_t *value, void *place)
{
    const struct config_source *source = NULL;
    if (link_source(reader, path, value, &source))
        return -1;
    if (!source->hash_property)
        return reader_mistake(reader, path, "this source has no hash_property");
    *(const struct config_source **)place = source;
    return 0;
}

static const struct key lock_keys[] = {
    {.name = "column",
     .type = KEY_TEXT,
     .at = AT(column),
     .help = "an integer or timestamp column, or PostgreSQL's `xmin`; this or `hash`"},
    {.name = "property",
     .type = KEY_TEXT,
     .at = AT(property),
     .shown = "the column's",
     .help = "the property that holds the version; required with `xmin`"},
    {.name = "maintained_by",
     .type = KEY_SWITCH,
     .choices = maintainers,
     .at = AT(by_database),
     .shown = "`service`",
     .help = "`service`: every write sets it to the next version; `database`: it is only compared"},
    {.name = "coarse",
     .type = KEY_BOOL,
     .at = AT(coarse),
     .def = "false",
     .help = "whether a timestamp coarser than a millisecond will do"},
    {.name = "hash", .type = KEY_TEXT, .at = AT(property), .help = "the property that holds the hash of the row"},
    {.name = "source",
     .type = KEY_OTHER,
     .read = read_hash_source,
     .at = AT(source),
     .kind = "string",
     .help = "the source that gave the hash: of the same table, with a `hash_property`"},
    {.name = NULL},
};
const struct section section_lock = {
    .title = "sinks.NAME.optimistic_lock",
    .help = "What is written only where the row still has the version that the entity has.",
    .keys = lock_keys,
    .check = check_lock};
