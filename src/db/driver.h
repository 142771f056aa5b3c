/* What every database must be able to do for us, as one const struct of functions in named groups. A new
 * database is one file with one such struct, one line in db.c, one configure switch, one folder in sql/
 * and three lines of test that run db_contract. Differences between databases are told by `features`
 * and by the description of columns; nobody outside db/ asks which database it is.
 *
 * A connection is used by one thread at a time; only cancel may be called from another. Functions
 * return 0 or -1 with err set. The codes matter: ERR_LOST (this connection broke; another may work),
 * ERR_AWAY (server cannot be reached or does not want us), ERR_BUSY (lock wait), ERR_CHANGED (a table or
 * column is not, or no longer, there), ERR_DATABASE (rights and other faults of the configuration),
 * ERR_GONE, ERR_INPUT (a bound parameter or token does not fit the type), ERR_VALUE (the server refused a
 * value, ours or one of the table's). Texts carry the server's message but no row values: a server's
 * DETAIL stays out. */
#ifndef DB_DRIVER_H
#define DB_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "config/config.h"
#include "db/value.h"

struct conn; /* each driver's own */

/* How a column's values order and how its part of a token is written. */
enum position_kind {
    POSITION_INTEGER,  /* KIND_INT, KIND_UINT */
    POSITION_DATETIME, /* KIND_DATETIME; the position is the value as stored, see zoneless */
    POSITION_DATE,     /* KIND_DATE */
    POSITION_UUID,     /* KIND_UUID */
    POSITION_TEXT,     /* any other: by its text in the database's own order */
    POSITION_ANY,      /* SQLite: by the value's own storage class */
};

struct column {
    const char *name;
    const char *type;   /* the database's own name of the type, as its catalogue writes it: "numeric(12,2)" */
    enum kind kind;     /* of its values; single values may be KIND_NULL, or KIND_TEXT where out of range */
    enum position_kind position;
    unsigned digits;    /* KIND_DATETIME: digits of the fraction the column keeps, 0..6 */
    bool nullable;      /* NULL can occur, as far as the catalogue tells */
    bool zoneless;      /* KIND_DATETIME: stored without a zone, read in the system's timezone */
    bool bytewise;      /* as key or updated column, the database's order is the order of the bytes */
    unsigned number;    /* the driver's: type oid, field type ... */
    int modifier;       /* the driver's: typmod, flags ... */
    unsigned element;   /* the driver's: type of a list's elements */
    const char *expression; /* the driver's: how the select list reads it, NULL for the plain column */
    const char *cast;       /* the driver's: the type to cast a literal to */
};

/* A table, view or query as the catalogue tells it. Lives in the arena it was described into. */
struct relation {
    struct column *columns;
    size_t column_count;
    size_t *key;       /* indexes into columns: the primary key, or the named one */
    size_t key_count;  /* 0: there is none */
    bool key_unique;   /* a unique, valid, non-partial index (or the primary key) covers just these columns */
    bool indexable;    /* it is a table, which can have indexes */
    bool updated_indexed; /* an index begins with the updated column and then the key, in this order */
    const char *from;  /* what stands after FROM, and ON, quoted: "public"."customers", or (query) */
    const char *title; /* how people call it: "public.customers", "query" */
};

/* What to describe. Names come from the configuration. */
struct subject {
    const char *schema, *table;          /* table, or */
    const char *query;                   /* a query with :name parameters */
    const struct config_parameter *parameters; /* of the query */
    size_t parameter_count;
    const char *const *key;              /* the configured key; none: the catalogue's */
    size_t key_count;
    const char *updated;                 /* the updated column, or NULL; only for updated_indexed */
};

/* A place in the stream of a relation ordered by (updated, key). Texts are in the driver's own literal
 * form as position_text of the row gave it, so that what is sent back is what was read. */
struct position {
    const struct value *updated; /* NULL: among the rows without updated value */
    const struct value *key;     /* key_count values, or NULL: before all rows with this updated value */
};

/* A part of the stream. A read is a sequence of ranges in one snapshot. */
struct range {
    bool nulls;                   /* the rows whose updated value is NULL, else those where it is not */
    const struct position *after; /* only rows beyond it; with key NULL: at or beyond the updated value */
    const struct value *before;   /* only rows whose updated value is lower; NULL: no bound */
};

/* A value bound to a query's parameter, checked against its declared type: digits of a 64 bit integer, a
 * decimal, "true" or "false", "2024-01-31 23:59:59[.5]" in UTC, "2024-01-31"; text NULL is SQL NULL. */
struct bound {
    const struct config_parameter *parameter;
    const char *text;
};

/* column = value, for subset; the text fits the column's kind, as in struct bound (a zone-less datetime as
 * it is stored; a UUID as 8-4-4-4-12). NULL is not possible. */
struct filter {
    size_t column;
    struct config_value value;
};

enum plan_order { ORDER_NONE, ORDER_KEY, ORDER_UPDATED };

/* One read. Borrowed from read_open until read_close. */
struct plan {
    const struct relation *relation;
    const char *query;        /* what a query source reads: its query or its updated_query; NULL for a table */
    const size_t *columns;    /* indexes of the columns to read; rows come as values in this order */
    size_t column_count;
    size_t updated;           /* index into relation->columns; SIZE_MAX: none */
    enum plan_order order;
    const struct range *ranges; /* ORDER_UPDATED: one after the other. ORDER_KEY: one range, whose position has
                                   only a key. ORDER_NONE: none, everything is read */
    size_t range_count;
    uint64_t limit;           /* rows in all; UINT64_MAX: no limit */
    const struct filter *filters;
    size_t filter_count;
    const struct bound *bounds;
    size_t bound_count;
    const struct value *since; /* for :since, in the updated column's kind; set whenever query is an updated_query */
    unsigned fetch_size;
    bool xmin;                /* one more value behind the columns: PostgreSQL's xmin as KIND_TEXT */
};

enum feature {
    FEATURE_XMIN = 1, /* rows have a system column that changes with every update (PostgreSQL) */
};

struct driver {
    const char *type; /* as in the configuration: "postgresql" */
    unsigned features;

    /* connection */

    /* Opens a session in UTC, UTF-8, read only unless a transaction says otherwise. Blocks no longer than
     * pool_timeout. Never asks, never follows the server's wish for local files. */
    int (*open)(struct conn **conn, const struct config_system *system, struct err *err);
    /* Accepts NULL. Ends what runs on the server, also after cancel. */
    void (*close)(struct conn *conn);
    /* Does the server still hold its end, as far as can be told without a round trip? Only when idle. */
    bool (*alive)(struct conn *conn);
    /* From another thread: makes the running or next call fail soon. Quick; the connection is to be
     * closed afterwards. */
    void (*cancel)(struct conn *conn);
    /* A round trip that proves the server answers. */
    int (*ping)(struct conn *conn, struct err *err);
    /* The server's own name and version, borrowed from the connection: "PostgreSQL 15.18". */
    const char *(*server)(struct conn *conn);

    /* describing */

    /* Reads the catalogue. Everything is allocated in arena. A table that is not there is ERR_CHANGED with
     * the nearest name as hint; a named key column that is not there too. */
    int (*describe)(struct conn *conn, const struct subject *subject, struct arena *arena,
                    struct relation **relation, struct err *err);

    /* Appends a name as it stands in SQL, quoted. */
    void (*quote)(struct conn *conn, struct buf *out, const char *name);

    /* reading */

    /* Begins one read-only snapshot and the first range, so that a broken statement fails here. */
    int (*read_open)(struct conn *conn, const struct plan *plan, struct err *err);
    /* 1 and a row (borrowed until the next call), 0 once the database said that all went well, or -1. */
    int (*read_next)(struct conn *conn, const struct value **row, struct err *err);
    /* Ends the snapshot, at any time after read_open, also one that failed. Returns 0 when the connection
     * is as good as new, -1 when it must be closed. */
    int (*read_close)(struct conn *conn);
};

extern const struct driver driver_postgresql, driver_mysql, driver_sqlite;

#endif
