#include "pull/source.h"

#include <math.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/monotonic.h"
#include "base/wall.h"
#include "db/relation.h"

struct source {
    const struct config_source *config;
    struct db *db;
    char *title;
    struct zone *zone;
    struct followed followed;
    pthread_mutex_t mutex; /* of what follows */
    struct source_counts counts;
    struct source_horizon horizon;
    double warned; /* when the log said that the horizon stalls, in monotonic seconds; 0: it does not */
};

/* making a shape */

struct making {
    const struct config_source *config;
    struct shape *shape;
    const struct relation *relation;
    struct err *err;
};

static bool is_listed(const struct config_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], name) == 0)
            return true;
    return false;
}

static bool is_sent(const struct config_source *config, const char *name)
{
    return (!config->has_whitelist || is_listed(&config->whitelist, name)) && !is_listed(&config->blacklist, name);
}

static const char *property_of(const struct config_source *config, const char *column)
{
    for (size_t i = 0; i < config->property_count; i++)
        if (strcmp(config->properties[i].from, column) == 0)
            return config->properties[i].to;
    return column;
}

static int check_list(const struct making *making, const char *key, const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (relation_find(making->relation, list->items[i]) == SIZE_MAX)
            return relation_lacks(making->relation, list->items[i], key, making->err);
    return 0;
}

static int check_property(const struct making *making, const struct column *column, const char *property)
{
    static const char *const reserved[] = {"_id", "_updated", "_deleted"};
    for (size_t i = 0; i < 3; i++)
        if (strcmp(property, reserved[i]) == 0) {
            err_set(making->err, ERR_DATABASE, "column '%s' of %s would be sent as '%s', which is Sesam's own",
                    column->name, making->relation->title, property);
            return err_hint(making->err, "rename it with 'properties' of source '%s', or put it on the blacklist",
                            making->config->name);
        }
    for (size_t i = 0; i < making->relation->column_count; i++) {
        const struct column *other = &making->relation->columns[i];
        if (other != column && is_sent(making->config, other->name) &&
            strcmp(property_of(making->config, other->name), property) == 0) {
            err_set(making->err, ERR_DATABASE, "the columns '%s' and '%s' of %s would both be sent as '%s'", column->name,
                    other->name, making->relation->title, property);
            return err_hint(making->err, "rename one with 'properties' of source '%s'", making->config->name);
        }
    }
    return 0;
}

/* Adds a column to what is read, unless it is there, and returns its place; SIZE_MAX with err set. */
static size_t add_column(const struct making *making, size_t column, bool silent)
{
    struct shape *shape = making->shape;
    const struct column *described = &making->relation->columns[column];
    for (size_t i = 0; i < shape->column_count; i++)
        if (shape->columns[i] == column)
            return i;
    struct field *field = &shape->fields[shape->column_count];
    if (entity_field(field, shape->arena, property_of(making->config, described->name), making->err))
        return SIZE_MAX;
    field->digits = described->digits;
    field->zone = described->zoneless ? shape->since.zone : NULL;
    field->padded = described->padded;
    field->silent = silent;
    shape->columns[shape->column_count] = column;
    return shape->column_count++;
}

/* The columns of a log are not the table's, and never sent. */
static size_t sendable_count(const struct making *making)
{
    return making->shape->changelog ? making->shape->changelog->own : making->relation->column_count;
}

static int add_sent_columns(const struct making *making)
{
    for (size_t i = 0; i < sendable_count(making); i++) {
        const struct column *column = &making->relation->columns[i];
        if (!is_sent(making->config, column->name))
            continue;
        if (check_property(making, column, property_of(making->config, column->name)) ||
            add_column(making, i, false) == SIZE_MAX)
            return -1;
    }
    return 0;
}

static int check_order(const struct making *making, const struct column *column, const char *role)
{
    if (column->kind != KIND_LIST && column->kind != KIND_JSON)
        return 0;
    err_set(making->err, ERR_DATABASE, "column '%s' of %s cannot be %s: its type %s has no order to read by", column->name,
            making->relation->title, role, column->type);
    return err_hint(making->err, "choose another column for source '%s'", making->config->name);
}

static int add_key(const struct making *making)
{
    struct shape *shape = making->shape;
    const struct relation *relation = making->relation;
    if (!relation->key_count) {
        err_set(making->err, ERR_DATABASE, "%s has no primary key", relation->title);
        return err_hint(making->err, "name unique columns that are never NULL as 'primary_key' of source '%s'",
                        making->config->name);
    }
    for (size_t i = 0; i < relation->key_count; i++) {
        if (check_order(making, &relation->columns[relation->key[i]], "part of the key"))
            return -1;
        shape->key[i] = add_column(making, relation->key[i], true);
        if (shape->key[i] == SIZE_MAX)
            return -1;
    }
    for (size_t i = 0; i < relation->key_count; i++)
        shape->key_fields[i] = &shape->fields[shape->key[i]];
    return 0;
}

static int check_unit(const struct making *making, const struct column *column)
{
    if (making->config->updated_unit == UNIT_NONE || column->position == POSITION_INTEGER ||
        column->position == POSITION_ANY)
        return 0;
    err_set(making->err, ERR_DATABASE, "updated_column '%s' of source '%s' has a unit, but its type %s is no integer",
            column->name, making->config->name, column->type);
    return err_hint(making->err, "leave out the unit");
}

/* A bare value must say as since what it says as _updated. */
static int check_plain(const struct making *making, const struct column *column)
{
    if (!making->config->token_plain || (column->kind != KIND_UUID && column->kind != KIND_BOOL && column->kind != KIND_BYTES))
        return 0;
    err_set(making->err, ERR_DATABASE, "source '%s' has plain tokens, but the type %s of '%s' is neither a time nor a number",
            making->config->name, column->type, column->name);
    return err_hint(making->err, "leave out \"token\", or set it to \"keyset\"");
}

static int add_updated(const struct making *making)
{
    struct shape *shape = making->shape;
    const char *name = making->config->updated_column;
    shape->updated = SIZE_MAX;
    if (!name)
        return 0;
    size_t column = relation_find(making->relation, name);
    if (column == SIZE_MAX)
        return relation_lacks(making->relation, name, "updated_column", making->err);
    if (check_order(making, &making->relation->columns[column], "the updated column") ||
        check_unit(making, &making->relation->columns[column]) ||
        check_plain(making, &making->relation->columns[column]))
        return -1;
    shape->since.updated = column;
    shape->updated = add_column(making, column, true);
    return shape->updated == SIZE_MAX ? -1 : 0;
}

static int add_gone(const struct making *making)
{
    const struct changelog *changelog = making->shape->changelog;
    making->shape->gone = changelog ? add_column(making, changelog->gone, true) : SIZE_MAX;
    return changelog && making->shape->gone == SIZE_MAX ? -1 : 0;
}

static int add_deleted(const struct making *making)
{
    making->shape->deleted = SIZE_MAX;
    if (!making->config->deleted.column)
        return 0;
    size_t column = relation_find(making->relation, making->config->deleted.column);
    if (column == SIZE_MAX)
        return relation_lacks(making->relation, making->config->deleted.column, "deleted.column", making->err);
    making->shape->deleted = add_column(making, column, true);
    return making->shape->deleted == SIZE_MAX ? -1 : 0;
}

/* The first four bytes of a hash over the names that take part, so that another definition gives other
 * hashes, visibly. */
static void fingerprint(struct shape *shape)
{
    struct sha256_ctx sha;
    uint8_t digest[4];
    sha256_init(&sha);
    for (size_t i = 0; i < shape->column_count; i++)
        if (!shape->fields[i].silent)
            sha256_update(&sha, shape->fields[i].prefix_len, (const uint8_t *)shape->fields[i].prefix);
    sha256_digest(&sha, sizeof digest, digest);
    snprintf(shape->fingerprint, sizeof shape->fingerprint, "%02x%02x%02x%02x", digest[0], digest[1], digest[2],
             digest[3]);
}

void source_hash(const struct shape *shape, const char *properties, size_t len, char hash[SOURCE_HASH_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    struct sha256_ctx sha;
    uint8_t digest[16];
    sha256_init(&sha);
    sha256_update(&sha, len, (const uint8_t *)properties);
    sha256_digest(&sha, sizeof digest, digest);
    memcpy(hash, shape->fingerprint, 8);
    for (size_t i = 0; i < sizeof digest; i++) {
        hash[8 + 2 * i] = hex[digest[i] >> 4];
        hash[9 + 2 * i] = hex[digest[i] & 15];
    }
    hash[SOURCE_HASH_SIZE - 1] = '\0';
}

static int add_extras(const struct making *making)
{
    struct shape *shape = making->shape;
    fingerprint(shape);
    if (making->config->hash_property &&
        entity_field(&shape->hash, shape->arena, making->config->hash_property, making->err))
        return -1;
    if (!making->config->xmin_property)
        return 0;
    if (making->config->query)
        return err_set(making->err, ERR_DATABASE, "source '%s' cannot have xmin_property: rows of a query have no xmin",
                       making->config->name);
    return entity_field(&shape->xmin, shape->arena, making->config->xmin_property, making->err);
}

static int fill_shape(const struct making *making)
{
    struct shape *shape = making->shape;
    size_t room = making->relation->column_count + 1;
    shape->columns = arena_array(shape->arena, room, sizeof *shape->columns);
    shape->fields = arena_array(shape->arena, room, sizeof *shape->fields);
    shape->key = arena_array(shape->arena, making->relation->key_count + 1, sizeof *shape->key);
    shape->key_fields = arena_array(shape->arena, making->relation->key_count + 1, sizeof *shape->key_fields);
    if (!shape->columns || !shape->fields || !shape->key || !shape->key_fields)
        return err_memory(making->err);
    if (check_list(making, "whitelist", &making->config->whitelist) ||
        check_list(making, "blacklist", &making->config->blacklist))
        return -1;
    for (size_t i = 0; i < making->config->property_count; i++)
        if (relation_find(making->relation, making->config->properties[i].from) == SIZE_MAX)
            return relation_lacks(making->relation, making->config->properties[i].from, "properties", making->err);
    return add_sent_columns(making) || add_key(making) || add_updated(making) || add_deleted(making) || add_gone(making) ||
                   add_extras(making)
               ? -1
               : 0;
}

void source_give(struct shape *shape)
{
    described_give(shape ? &shape->described : NULL);
}

/* Of a source with a log, what is read is not the table alone. */
static int add_changelog(struct shape *shape, const struct driver *driver, struct conn *conn, struct relation **relation,
                         struct err *err)
{
    struct changelog *changelog = arena_alloc(shape->arena, sizeof *changelog);
    if (!changelog)
        return err_memory(err);
    if (changelog_describe(changelog, driver, conn, *relation, shape->arena, err))
        return -1;
    shape->changelog = changelog;
    *relation = changelog->relation;
    return 0;
}

static struct described *describe(void *maker, struct conn *conn, struct err *err)
{
    struct source *source = maker;
    const struct config_source *config = source->config;
    struct arena *arena = arena_new();
    struct shape *shape = arena ? arena_alloc(arena, sizeof *shape) : NULL;
    struct relation *relation = NULL;
    if (!shape) {
        err_memory(err);
        goto failed;
    }
    struct subject subject = {
        .schema = config->schema,
        .table = config->table,
        .query = config->query,
        .parameters = config->parameters,
        .parameter_count = config->parameter_count,
        .key = config->primary_key.items,
        .key_count = config->primary_key.count,
        .updated = config->changelog ? NULL : config->updated_column,
    };
    shape->arena = arena;
    if (source->db->driver->describe(conn, &subject, arena, &relation, err) ||
        (config->changelog && add_changelog(shape, source->db->driver, conn, &relation, err)))
        goto failed;
    shape->described = (struct described){.users = 1, .arena = arena, .relation = relation};
    shape->relation = relation;
    shape->since = (struct since_shape){
        .relation = relation, .unit = config->updated_unit, .zone = source->zone, .plain = config->token_plain};
    struct making making = {.config = config, .shape = shape, .relation = relation, .err = err};
    if (fill_shape(&making))
        goto failed;
    return &shape->described;
failed:
    arena_free(arena);
    return NULL;
}

int source_take(struct source *source, struct conn *conn, bool anew, struct shape **shape, bool *fresh, struct err *err)
{
    struct described *described = NULL;
    int failed = followed_take(&source->followed, anew, describe, source, conn, &described, fresh, err);
    *shape = (struct shape *)described;
    return failed;
}

size_t source_property(const struct source *source, const struct shape *shape, const char *name)
{
    size_t by_name = SIZE_MAX;
    for (size_t i = 0; i < shape->column_count; i++) {
        const struct column *column = &shape->relation->columns[shape->columns[i]];
        if (shape->fields[i].silent)
            continue;
        if (strcmp(property_of(source->config, column->name), name) == 0)
            return shape->columns[i];
        if (strcmp(column->name, name) == 0)
            by_name = shape->columns[i];
    }
    return by_name;
}

/* opening */

static void source_close(struct source *source)
{
    if (!source)
        return;
    followed_destroy(&source->followed);
    zone_close(source->zone);
    pthread_mutex_destroy(&source->mutex);
    free(source->title);
    free(source);
}

static struct source *source_open(const struct config_source *config, struct db *db, struct err *err)
{
    struct source *source = calloc(1, sizeof *source);
    size_t size = strlen(config->name) + sizeof "pull ";
    if (!source || !(source->title = malloc(size))) {
        free(source);
        err_memory(err);
        return NULL;
    }
    snprintf(source->title, size, "pull %s", config->name);
    source->config = config;
    source->db = db;
    followed_init(&source->followed, source->title);
    pthread_mutex_init(&source->mutex, NULL);
    if (strcmp(db->system->timezone, "UTC") != 0 && zone_open(&source->zone, db->system->timezone, err)) {
        source_close(source);
        return NULL;
    }
    return source;
}

void source_close_all(struct source **sources, size_t count)
{
    for (size_t i = 0; sources && i < count; i++)
        source_close(sources[i]);
    free(sources);
}

int source_open_all(struct source ***out, const struct config *config, struct db *dbs, struct err *err)
{
    struct source **sources = calloc(config->source_count + 1, sizeof *sources);
    if (!sources)
        return err_memory(err);
    for (size_t i = 0; i < config->source_count; i++) {
        struct db *db = &dbs[config->sources[i].system - config->systems];
        sources[i] = source_open(&config->sources[i], db, err);
        if (!sources[i]) {
            source_close_all(sources, config->source_count);
            return -1;
        }
    }
    *out = sources;
    return 0;
}

const struct config_source *source_config(const struct source *source)
{
    return source->config;
}

struct db *source_db(const struct source *source)
{
    return source->db;
}

const char *source_title(const struct source *source)
{
    return source->title;
}

void source_progress(struct source *source, uint64_t entities, uint64_t bytes)
{
    pthread_mutex_lock(&source->mutex);
    source->counts.entities += entities;
    source->counts.bytes += bytes;
    minutes_add(&source->counts.minutes, wall_microseconds(), entities);
    pthread_mutex_unlock(&source->mutex);
}

void source_count(struct source *source, bool failed, double seconds)
{
    pthread_mutex_lock(&source->mutex);
    source->counts.pulls++;
    source->counts.failures += failed;
    source->counts.last = wall_microseconds();
    histogram_add(&source->counts.durations, seconds);
    pthread_mutex_unlock(&source->mutex);
}

void source_counts(struct source *source, struct source_counts *counts)
{
    pthread_mutex_lock(&source->mutex);
    *counts = source->counts;
    pthread_mutex_unlock(&source->mutex);
}

/* the horizon */

enum { STALL_SECONDS = 30, WARN_SECONDS = 60 };

/* 1: say that it stalls; -1: say that it does no more; 0: be still. */
static int stall_of(struct source *source, double lag)
{
    double now = monotonic_seconds();
    bool stalls = lag > STALL_SECONDS + source->config->late_commits.seconds;
    if (!stalls && !source->warned)
        return 0;
    if (stalls && source->warned && now - source->warned < WARN_SECONDS)
        return 0;
    source->warned = stalls ? now : 0;
    return stalls ? 1 : -1;
}

static void log_stall(const struct source *source, const struct source_horizon *horizon)
{
    const char *holder = horizon->holder[0] ? horizon->holder : "nobody that the server names";
    if (isfinite(horizon->lag))
        log_warning(source->title, "the horizon is %.0f s behind, held by %s; rows beyond are sent, and once more when they "
                                   "are final",
                    horizon->lag, holder);
    else
        log_warning(source->title, "there is no horizon yet, because of %s; rows are sent, and once more when they are final",
                    holder);
}

void source_note_horizon(struct source *source, const struct horizon *horizon, double lag)
{
    struct source_horizon noted = {.asked = true, .lag = lag};
    if (horizon->waits)
        snprintf(noted.holder, sizeof noted.holder, "%s", horizon->holder);
    pthread_mutex_lock(&source->mutex);
    int stall = stall_of(source, lag);
    source->horizon = noted;
    pthread_mutex_unlock(&source->mutex);
    if (stall > 0)
        log_stall(source, &noted);
    else if (stall < 0)
        log_info(source->title, "the horizon goes on, %.1f s behind", lag);
}

void source_horizon(struct source *source, struct source_horizon *horizon)
{
    pthread_mutex_lock(&source->mutex);
    *horizon = source->horizon;
    pthread_mutex_unlock(&source->mutex);
}
