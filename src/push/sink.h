/* A sink of the configuration, ready to be pushed to: what the catalogue says of its table, and which property
 * goes to which column. Made anew when it is asked for or too old; whoever writes keeps the one it began with. */
#ifndef PUSH_SINK_H
#define PUSH_SINK_H

#include <stdatomic.h>
#include <stdint.h>

#include "config/config.h"
#include "db/db.h"
#include "db/described.h"
#include "entity/accept.h"
#include "entity/entity.h"
#include "pull/source.h"
#include "push/ledger.h"

/* A column that entities have values for. */
struct taker {
    struct accept accept;
    struct field field; /* how it is shown */
    const char *property;
    size_t read;        /* its place in the target's reads; SIZE_MAX: it is not compared */
};

struct specials {
    struct special items[4];
    size_t count;
};

/* A description, shared by the pushes that use it. Const once made. */
struct sink_shape {
    struct described described; /* first */
    const struct relation *relation;
    struct target target;
    struct taker *takers;       /* parallel to the target's columns */
    struct taker version;       /* of a lock column; property NULL: there is none */
    struct specials on_insert, on_update, on_mark;
    struct special dead, live;  /* with a mark */
    size_t mark_read, scope_read; /* places in the target's reads; SIZE_MAX: none */
    struct field mark_field, scope_field;
    struct special scope;
    struct shape *source;       /* of a hash; NULL: none */
    size_t *source_reads;       /* places of its columns in the target's reads */
    bool exact;                 /* all columns of the key are */
    bool normalised, doubtful;  /* some column is */
};

struct sink;

/* All sinks of a configuration, in its order. dbs are those of db_open_all, sources those of source_open_all
 * (for hashes). */
int sink_open_all(struct sink ***sinks, const struct config *config, struct db *dbs, struct source **sources,
                  struct err *err);
void sink_close_all(struct sink **sinks, size_t count);

const struct config_sink *sink_config(const struct sink *sink);
struct db *sink_db(const struct sink *sink);
const char *sink_title(const struct sink *sink); /* "push NAME", for the log */

/* The shape to use, asked of conn if anew, or if there is none or it is older than a minute. *fresh tells whether it
 * was asked just now. Give it back with sink_give. */
int sink_take(struct sink *sink, struct conn *conn, bool anew, struct sink_shape **shape, bool *fresh, struct err *err);
void sink_give(struct sink_shape *shape);

/* What a property is for. */
enum { SINK_UNKNOWN = -1, SINK_VERSION = -2, SINK_IGNORED = -3 };
/* The place of its column among the target's, or one of those above. name is the entity's. */
int sink_property(const struct sink *sink, const struct sink_shape *shape, const char *name);

/* Is it news that this property has no column, or is the shape so old that it could have one by now? */
bool sink_is_news(struct sink *sink, const char *name);

/* Columns that were seen to be kept by a trigger: it sets a time of its own, whatever is written. */
void sink_keep(struct sink *sink, const char *column);
bool sink_keeps(struct sink *sink, const char *column);

/* What became of its pushes. */
struct ledger *sink_ledger(struct sink *sink);

#endif
