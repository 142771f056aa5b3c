#include "push/sink.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "db/relation.h"

enum { WORDS_MOST = 256, UNKNOWN_SECONDS = 1 };

/* A set of a few words. */
struct words {
    char *items[WORDS_MOST];
    size_t count;
};

struct sink {
    const struct config_sink *config;
    struct db *db;
    struct source *source; /* of a hash; NULL: none */
    char *title;
    struct zone *zone;
    struct followed followed;
    struct ledger ledger;
    pthread_mutex_t mutex; /* of what follows */
    struct words unknown; /* properties that are known to have no column */
    struct words kept;    /* columns that a trigger keeps */
};

/* making a shape */

struct making {
    const struct sink *sink;
    const struct config_sink *config;
    struct arena *arena;
    struct sink_shape *shape;
    const struct relation *relation;
    struct err *err;
    size_t *columns, *reads;
};

static bool is_listed(const struct config_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], name) == 0)
            return true;
    return false;
}

static bool is_named(const char *wanted, const struct column *column)
{
    return wanted && strcmp(wanted, column->name) == 0;
}

static bool is_defined(const struct config_sink *config, const char *name)
{
    for (size_t i = 0; i < config->column_count; i++)
        if (strcmp(config->columns[i].name, name) == 0)
            return true;
    return config->column_count == 0;
}

static bool is_key(const struct relation *relation, size_t column)
{
    for (size_t i = 0; i < relation->key_count; i++)
        if (relation->key[i] == column)
            return true;
    return false;
}

/* Columns that this service or the database fills are no entity's. */
static bool is_taken(const struct making *making, const struct column *column)
{
    const struct config_sink *config = making->config;
    if (column->generated || (column->identity && config->skip_identity_columns))
        return false;
    if (is_named(config->lock.kind == LOCK_COLUMN ? config->lock.column : NULL, column) ||
        is_named(config->timestamp, column) || is_named(config->scope_column, column) ||
        is_named(config->deletes == DELETES_MARK ? config->mark.column : NULL, column))
        return false;
    return (!config->has_whitelist || is_listed(&config->whitelist, column->name)) &&
           !is_listed(&config->blacklist, column->name) && is_defined(config, column->name);
}

static size_t add_read(const struct making *making, size_t column)
{
    struct target *target = &making->shape->target;
    for (size_t i = 0; i < target->read_count; i++)
        if (making->reads[i] == column)
            return i;
    making->reads[target->read_count] = column;
    return target->read_count++;
}

static const char *property_of(const struct config_sink *config, const char *column)
{
    for (size_t i = 0; i < config->property_count; i++)
        if (strcmp(config->properties[i].to, column) == 0)
            return config->properties[i].from;
    for (size_t i = 0; i < config->column_count; i++)
        if (strcmp(config->columns[i].name, column) == 0)
            return config->columns[i].property;
    return column;
}

static int make_taker(const struct making *making, struct taker *taker, size_t index, bool key)
{
    const struct column *column = &making->relation->columns[index];
    const struct zone *zone = column->zoneless ? making->sink->zone : NULL;
    *taker = (struct taker){
        .accept = {.column = column,
                   .zone = zone,
                   .strip_namespaces = making->config->strip_namespaces,
                   .strip_spaces = key && making->config->remove_pk_char_trailing_spaces},
        .property = property_of(making->config, column->name),
        .read = add_read(making, index),
    };
    if (entity_field(&taker->field, making->arena, column->name, making->err))
        return -1;
    taker->field.digits = column->digits;
    taker->field.zone = zone;
    return 0;
}

static int add_column(const struct making *making, size_t index, bool key)
{
    struct sink_shape *shape = making->shape;
    making->columns[shape->target.column_count] = index;
    shape->normalised = shape->normalised || making->relation->columns[index].normalised;
    shape->doubtful = shape->doubtful || making->relation->columns[index].doubtful;
    return make_taker(making, &shape->takers[shape->target.column_count++], index, key);
}

static int add_key(const struct making *making)
{
    const struct relation *relation = making->relation;
    if (!relation->indexable && !relation->key_unique) {
        err_set(making->err, ERR_DATABASE, "%s is no table, so no unique index can tell its rows apart", relation->title);
        return err_hint(making->err, "name the table that is to be written as 'table' of sink '%s'", making->config->name);
    }
    if (!relation->key_count) {
        err_set(making->err, ERR_DATABASE, "%s has no primary key", relation->title);
        return err_hint(making->err, "name the columns of a unique index as 'primary_key' of sink '%s'",
                        making->config->name);
    }
    if (!relation->key_unique) {
        err_set(making->err, ERR_DATABASE, "the key of %s has no unique index, so that two rows could have the same",
                relation->title);
        return err_hint(making->err, "create one: CREATE UNIQUE INDEX ON the columns of 'primary_key' of sink '%s'",
                        making->config->name);
    }
    making->shape->exact = true;
    for (size_t i = 0; i < relation->key_count; i++) {
        making->shape->exact = making->shape->exact && relation->columns[relation->key[i]].exact;
        if (add_column(making, relation->key[i], true))
            return -1;
    }
    return 0;
}

static int add_columns(const struct making *making)
{
    const struct relation *relation = making->relation;
    for (size_t i = 0; i < relation->column_count; i++)
        if (!is_key(relation, i) && is_taken(making, &relation->columns[i]) && add_column(making, i, false))
            return -1;
    return 0;
}

/* what the sink sets by itself */

static int find_named(const struct making *making, const char *name, const char *key, size_t *column)
{
    *column = relation_find(making->relation, name);
    return *column == SIZE_MAX ? relation_lacks(making->relation, name, key, making->err) : 0;
}

static void add_special(struct specials *specials, struct special special)
{
    specials->items[specials->count++] = special;
}

static int check_lock(const struct making *making, const struct column *column)
{
    const struct config_optimistic_lock *lock = &making->config->lock;
    bool time = column->kind == KIND_DATETIME, any = column->position == POSITION_ANY;
    if (column->kind != KIND_INT && column->kind != KIND_UINT && !time && !any && !lock->by_database) {
        err_set(making->err, ERR_DATABASE, "column '%s' of %s cannot count versions: its type is %s", column->name,
                making->relation->title, column->type);
        return err_hint(making->err, "an integer or a timestamp can; or let the database advance it and write "
                                     "\"maintained_by\": \"database\"");
    }
    if (time && column->digits < 3 && !lock->coarse) {
        err_set(making->err, ERR_DATABASE, "column '%s' of %s is a version, but keeps only %u digits of a second: two "
                                           "changes within one of its units cannot be told apart",
                column->name, making->relation->title, column->digits);
        return err_hint(making->err, "give it at least milliseconds, or write \"coarse\": true in 'optimistic_lock'");
    }
    return 0;
}

static int add_lock(const struct making *making)
{
    const struct config_optimistic_lock *lock = &making->config->lock;
    struct sink_shape *shape = making->shape;
    size_t column;
    if (lock->kind != LOCK_COLUMN)
        return 0;
    if (find_named(making, lock->column, "optimistic_lock.column", &column) ||
        check_lock(making, &making->relation->columns[column]) || make_taker(making, &shape->version, column, false))
        return -1;
    if (lock->property)
        shape->version.property = lock->property;
    if (lock->by_database)
        return 0;
    const struct special next = {.column = column, .kind = SPECIAL_NEXT};
    add_special(&shape->on_insert, next);
    add_special(&shape->on_update, next);
    add_special(&shape->on_mark, next);
    return 0;
}

static int add_timestamp(const struct making *making)
{
    size_t column;
    if (!making->config->timestamp)
        return 0;
    if (find_named(making, making->config->timestamp, "timestamp", &column))
        return -1;
    const struct special now = {.column = column, .kind = SPECIAL_NOW};
    add_special(&making->shape->on_insert, now);
    add_special(&making->shape->on_update, now);
    add_special(&making->shape->on_mark, now);
    return 0;
}

static int make_field(const struct making *making, struct field *field, size_t column)
{
    if (entity_field(field, making->arena, making->relation->columns[column].name, making->err))
        return -1;
    field->digits = making->relation->columns[column].digits;
    field->padded = making->relation->columns[column].padded;
    return 0;
}

static int add_scope(const struct making *making)
{
    struct sink_shape *shape = making->shape;
    size_t column;
    shape->scope_read = SIZE_MAX;
    if (!making->config->scope_column)
        return 0;
    if (find_named(making, making->config->scope_column, "scope.column", &column) ||
        make_field(making, &shape->scope_field, column))
        return -1;
    shape->scope = (struct special){.column = column, .kind = SPECIAL_VALUE, .value = making->config->scope_value};
    shape->scope_read = add_read(making, column);
    shape->target.scope = &shape->scope;
    if (!is_key(making->relation, column))
        add_special(&shape->on_insert, shape->scope);
    return 0;
}

/* What a living row has in the mark's column. */
static struct config_value live_value(const struct config_mark *mark, const struct column *column)
{
    if (mark->live.type != CONFIG_ABSENT)
        return mark->live;
    if (column->kind == KIND_BOOL)
        return (struct config_value){.type = CONFIG_BOOL};
    if (column->nullable)
        return (struct config_value){.type = CONFIG_NULL};
    return (struct config_value){.type = CONFIG_INTEGER, .text = "0"};
}

static int add_mark(const struct making *making)
{
    const struct config_mark *mark = &making->config->mark;
    struct sink_shape *shape = making->shape;
    size_t column;
    shape->mark_read = SIZE_MAX;
    if (making->config->deletes != DELETES_MARK)
        return 0;
    if (find_named(making, mark->column, "deletes.column", &column) || make_field(making, &shape->mark_field, column))
        return -1;
    shape->mark_read = add_read(making, column);
    shape->dead = (struct special){
        .column = column, .kind = mark->now ? SPECIAL_NOW : SPECIAL_VALUE, .value = mark->value};
    shape->live = (struct special){
        .column = column, .kind = SPECIAL_VALUE, .value = live_value(mark, &making->relation->columns[column])};
    add_special(&shape->on_insert, shape->live);
    add_special(&shape->on_update, shape->live);
    add_special(&shape->on_mark, shape->dead);
    return 0;
}

/* The hash is the source's over its own columns, so those are read as well. */
static int add_hash(const struct making *making, struct conn *conn)
{
    struct sink_shape *shape = making->shape;
    bool fresh;
    if (making->config->lock.kind != LOCK_HASH)
        return 0;
    if (source_take(making->sink->source, conn, true, &shape->source, &fresh, making->err))
        return -1;
    shape->source_reads = arena_array(making->arena, shape->source->column_count + 1, sizeof *shape->source_reads);
    if (!shape->source_reads)
        return err_memory(making->err);
    for (size_t i = 0; i < shape->source->column_count; i++) {
        const char *name = shape->source->relation->columns[shape->source->columns[i]].name;
        size_t column;
        if (find_named(making, name, "optimistic_lock.source", &column))
            return -1;
        shape->source_reads[i] = add_read(making, column);
    }
    return 0;
}

static int check_names(const struct making *making)
{
    const struct config_sink *config = making->config;
    const struct {
        const char *key;
        const struct config_list *list;
    } lists[] = {{"whitelist", &config->whitelist}, {"blacklist", &config->blacklist}};
    size_t column;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k].list->count; i++)
            if (find_named(making, lists[k].list->items[i], lists[k].key, &column))
                return -1;
    for (size_t i = 0; i < config->property_count; i++)
        if (find_named(making, config->properties[i].to, "properties", &column))
            return -1;
    for (size_t i = 0; i < config->column_count; i++)
        if (find_named(making, config->columns[i].name, "schema_definition", &column))
            return -1;
    return 0;
}

static int fill_shape(struct making *making, struct conn *conn)
{
    struct sink_shape *shape = making->shape;
    size_t room = making->relation->column_count + 1;
    making->columns = arena_array(making->arena, room, sizeof *making->columns);
    making->reads = arena_array(making->arena, room, sizeof *making->reads);
    shape->takers = arena_array(making->arena, room, sizeof *shape->takers);
    if (!making->columns || !making->reads || !shape->takers)
        return err_memory(making->err);
    shape->target.relation = making->relation;
    shape->target.sink = making->config->name;
    shape->target.columns = making->columns;
    shape->target.reads = making->reads;
    return check_names(making) || add_key(making) || add_columns(making) || add_scope(making) || add_timestamp(making) ||
                   add_mark(making) || add_lock(making) || add_hash(making, conn)
               ? -1
               : 0;
}

static void drop_shape(struct described *described)
{
    source_give(((struct sink_shape *)described)->source);
}

/* A table that is not there is made first, where the sink says so. */
static int describe_table(struct sink *sink, struct conn *conn, const struct subject *subject, struct arena *arena,
                          struct relation **relation, struct err *err)
{
    const struct driver *driver = sink->db->driver;
    struct subject bare = *subject;
    struct err missing = {0};
    bare.key_count = 0; /* a column of the key that is not there is none of a table that is not */
    if (!sink->config->create_table_if_missing || driver->describe(conn, &bare, arena, relation, &missing) == 0 ||
        missing.code != ERR_CHANGED)
        return driver->describe(conn, subject, arena, relation, err);
    if (driver->create(conn, sink->config, err) || driver->describe(conn, subject, arena, relation, err))
        return -1;
    log_info(sink->title, "%s was not there and was made from the schema_definition", (*relation)->title);
    return 0;
}

static struct described *describe(void *maker, struct conn *conn, struct err *err)
{
    struct sink *sink = maker;
    const struct config_sink *config = sink->config;
    struct arena *arena = arena_new();
    struct sink_shape *shape = arena ? arena_alloc(arena, sizeof *shape) : NULL;
    struct relation *relation = NULL;
    if (!shape) {
        err_memory(err);
        goto failed;
    }
    struct subject subject = {
        .schema = config->schema,
        .table = config->table,
        .key = config->primary_key.items,
        .key_count = config->primary_key.count,
    };
    if (describe_table(sink, conn, &subject, arena, &relation, err))
        goto failed;
    shape->described = (struct described){.users = 1, .arena = arena, .relation = relation, .drop = drop_shape};
    shape->relation = relation;
    struct making making = {
        .sink = sink, .config = config, .arena = arena, .shape = shape, .relation = relation, .err = err};
    if (fill_shape(&making, conn)) {
        source_give(shape->source);
        goto failed;
    }
    return &shape->described;
failed:
    arena_free(arena);
    return NULL;
}

int sink_take(struct sink *sink, struct conn *conn, bool anew, struct sink_shape **shape, bool *fresh, struct err *err)
{
    struct described *described = NULL;
    int failed = followed_take(&sink->followed, anew, describe, sink, conn, &described, fresh, err);
    *shape = (struct sink_shape *)described;
    return failed;
}

void sink_give(struct sink_shape *shape)
{
    described_give(shape ? &shape->described : NULL);
}

/* properties */

static const char *without_namespace(const struct config_sink *config, const char *name)
{
    const char *colon = config->strip_namespaces ? strchr(name, ':') : NULL;
    return colon ? colon + 1 : name;
}

int sink_property(const struct sink *sink, const struct sink_shape *shape, const char *name)
{
    const char *lock = sink->config->lock.property;
    const char *plain = without_namespace(sink->config, name);
    if (shape->version.property ? strcmp(shape->version.property, plain) == 0 : lock && strcmp(lock, plain) == 0)
        return SINK_VERSION;
    for (size_t i = 0; i < shape->target.column_count; i++)
        if (strcmp(shape->takers[i].property, plain) == 0)
            return (int)i;
    size_t column = relation_find(shape->relation, plain);
    return column == SIZE_MAX ? SINK_UNKNOWN : SINK_IGNORED;
}

static bool words_have(const struct words *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (strcmp(words->items[i], word) == 0)
            return true;
    return false;
}

/* Returns whether it was there before. */
static bool words_add(struct words *words, const char *word)
{
    if (words_have(words, word))
        return true;
    if (words->count < WORDS_MOST && (words->items[words->count] = strdup(word)))
        words->count++;
    return false;
}

static void words_free(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->items[i]);
}

bool sink_is_news(struct sink *sink, const char *name)
{
    pthread_mutex_lock(&sink->mutex);
    bool news = !words_add(&sink->unknown, name);
    pthread_mutex_unlock(&sink->mutex);
    return news || followed_age(&sink->followed) > UNKNOWN_SECONDS;
}

void sink_keep(struct sink *sink, const char *column)
{
    pthread_mutex_lock(&sink->mutex);
    bool known = words_add(&sink->kept, column);
    pthread_mutex_unlock(&sink->mutex);
    if (!known)
        log_info(sink->title, "column '%s' is kept by a trigger, which sets a time of its own: it is not compared", column);
}

bool sink_keeps(struct sink *sink, const char *column)
{
    pthread_mutex_lock(&sink->mutex);
    bool keeps = words_have(&sink->kept, column);
    pthread_mutex_unlock(&sink->mutex);
    return keeps;
}

/* opening */

static void sink_close(struct sink *sink)
{
    if (!sink)
        return;
    followed_destroy(&sink->followed);
    zone_close(sink->zone);
    pthread_mutex_destroy(&sink->mutex);
    ledger_destroy(&sink->ledger);
    words_free(&sink->unknown);
    words_free(&sink->kept);
    free(sink->title);
    free(sink);
}

static struct sink *sink_open(const struct config_sink *config, struct db *db, struct err *err)
{
    struct sink *sink = calloc(1, sizeof *sink);
    size_t size = strlen(config->name) + sizeof "push ";
    if (!sink || !(sink->title = malloc(size))) {
        free(sink);
        err_memory(err);
        return NULL;
    }
    snprintf(sink->title, size, "push %s", config->name);
    sink->config = config;
    sink->db = db;
    followed_init(&sink->followed, sink->title);
    pthread_mutex_init(&sink->mutex, NULL);
    ledger_init(&sink->ledger);
    if (strcmp(db->system->timezone, "UTC") != 0 && zone_open(&sink->zone, db->system->timezone, err)) {
        sink_close(sink);
        return NULL;
    }
    if (!config->missing_written && !config->missing_null)
        log_info(sink->title, "columns that an entity does not mention keep what they hold; \"missing_properties\": "
                              "\"null\" would clear them");
    return sink;
}

void sink_close_all(struct sink **sinks, size_t count)
{
    for (size_t i = 0; sinks && i < count; i++)
        sink_close(sinks[i]);
    free(sinks);
}

int sink_open_all(struct sink ***out, const struct config *config, struct db *dbs, struct source **sources,
                  struct err *err)
{
    struct sink **sinks = calloc(config->sink_count + 1, sizeof *sinks);
    if (!sinks)
        return err_memory(err);
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct config_sink *sink = &config->sinks[i];
        sinks[i] = sink_open(sink, &dbs[sink->system - config->systems], err);
        if (!sinks[i]) {
            sink_close_all(sinks, config->sink_count);
            return -1;
        }
        if (sink->lock.source)
            sinks[i]->source = sources[sink->lock.source - config->sources];
    }
    *out = sinks;
    return 0;
}

const struct config_sink *sink_config(const struct sink *sink)
{
    return sink->config;
}

struct db *sink_db(const struct sink *sink)
{
    return sink->db;
}

const char *sink_title(const struct sink *sink)
{
    return sink->title;
}

struct ledger *sink_ledger(struct sink *sink)
{
    return &sink->ledger;
}
