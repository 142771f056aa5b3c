/* A source of the configuration, ready to be pulled: what the catalogue says of its table or query, and what
 * each column becomes. The description is made anew when it is asked for or too old; whoever reads keeps the
 * one it began with. */
#ifndef PULL_SOURCE_H
#define PULL_SOURCE_H

#include <stdatomic.h>
#include <time.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/histogram.h"
#include "base/minutes.h"
#include "config/config.h"
#include "db/db.h"
#include "db/described.h"
#include "entity/entity.h"
#include "entity/since.h"
#include "pull/changelog.h"

/* A description, shared by the reads that use it. Const once made. */
struct shape {
    struct described described; /* first */
    struct arena *arena;
    const struct relation *relation;
    size_t *columns;        /* what a plan reads: the sent columns in the table's order, then silent ones */
    struct field *fields;   /* parallel to columns */
    size_t column_count;
    size_t updated;         /* place of the updated column in columns; SIZE_MAX: none */
    size_t *key;            /* places of the key's parts in columns */
    const struct field **key_fields;
    size_t deleted;         /* place of the soft-delete column; SIZE_MAX: none */
    const struct changelog *changelog; /* NULL: the source has none */
    size_t gone;            /* with a changelog: place of the column that is true for a row that was deleted */
    struct field hash, xmin; /* prefix NULL: not wanted */
    char fingerprint[9];    /* of the names of the hashed properties */
    struct since_shape since;
};

struct source;

/* All sources of a configuration, in its order. dbs are those of db_open_all. */
int source_open_all(struct source ***sources, const struct config *config, struct db *dbs, struct err *err);
void source_close_all(struct source **sources, size_t count);

const struct config_source *source_config(const struct source *source);
struct db *source_db(const struct source *source);
const char *source_title(const struct source *source); /* "pull NAME", for the log */

/* The shape to use, asked of conn if anew, or if there is none or it is older than a minute. *fresh tells
 * whether it was asked just now. Give it back with source_give. */
int source_take(struct source *source, struct conn *conn, bool anew, struct shape **shape, bool *fresh, struct err *err);
void source_give(struct shape *shape);

enum { SOURCE_HASH_SIZE = 8 + 32 + 1 };

/* A row's hash, from its properties as entity_property writes them, one after the other: the fingerprint, then the
 * first 16 bytes of their SHA-256, in hex, with a NUL. */
void source_hash(const struct shape *shape, const char *properties, size_t len, char hash[SOURCE_HASH_SIZE]);

/* Column of this property, or else of this column name, as an index into the relation; SIZE_MAX if it is
 * not sent. */
size_t source_property(const struct source *source, const struct shape *shape, const char *name);

/* Counts for /status and /metrics. */
struct source_counts {
    uint64_t pulls, failures, entities, bytes;
    int64_t last; /* when the last pull ended, in microseconds since 1970; 0: none did yet */
    struct histogram durations;
    struct minutes minutes; /* entities */
};
struct source_horizon {
    bool asked;       /* at least once */
    double lag;       /* seconds; infinity: nothing is final yet */
    char holder[200]; /* who holds it back; "": nobody */
};
/* Remembers what a read found, for /metrics and check. When the lag is long, the log says who holds the horizon back:
 * once a minute, and when it is over. */
void source_note_horizon(struct source *source, const struct horizon *horizon, double lag);
void source_horizon(struct source *source, struct source_horizon *horizon);

/* While a pull goes on, block by block: what more it made. */
void source_progress(struct source *source, uint64_t entities, uint64_t bytes);
/* A pull ended. */
void source_count(struct source *source, bool failed, double seconds);
void source_counts(struct source *source, struct source_counts *counts);

#endif
