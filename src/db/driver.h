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
 * value, ours or one of the table's; a constraint), ERR_RACE (deadlock, serialisation failure, a row that is not
 * as it was found: the transaction is of no use, the next may be). Texts carry the server's message but no row values: a server's
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
    bool padded;        /* blanks at the end of its texts do not count (PostgreSQL's char(n)) */
    bool zoneless;      /* KIND_DATETIME: stored without a zone, read in the system's timezone */
    bool bytewise;      /* as key or updated column, the database's order is the order of the bytes */
    unsigned number;    /* the driver's: type oid, field type ... */
    int modifier;       /* the driver's: typmod, flags ... */
    unsigned element;   /* the driver's: type of a list's elements */
    enum kind element_kind; /* KIND_LIST: of its elements, or of theirs where they are lists; limits are theirs, too */
    const char *expression; /* the driver's: how the select list reads it, NULL for the plain column */
    const char *cast;       /* the driver's: the type to cast a literal to */
    const char *collation;  /* the driver's: the one that tells whether two texts are the same key, or NULL */
    bool binary;            /* the driver's: values can be sent to it in their binary form */

    /* What fits, for sinks. What an entity has is brought into the form the column holds (entity/accept.h) or
     * refused; 0 is no limit. */
    size_t max_chars, max_bytes; /* of a text; of bytes, or of a text in UTF-8 (0 where another encoding counts) */
    unsigned bits;          /* KIND_INT, KIND_UINT: 1 to 64 of the number's range; 0 is 64 */
    unsigned precision, scale; /* KIND_DECIMAL: digits in all and behind the point; precision 0: any */
    bool single;            /* KIND_FLOAT: of 4 bytes */
    bool generated;         /* the database computes it, nobody can write it */
    bool identity;          /* the database numbers it: identity, serial, AUTO_INCREMENT */
    bool defaulted;         /* an insert that leaves it out makes something else than NULL */
    bool normalised;        /* the server may keep another text than the one it is given (jsonb, inet, time): only
                               it can say whether two are the same, see FIND_LOCK */
    bool doubtful;          /* the server takes for NULL what it cannot read, without a word (MySQL's geometry) */
    bool refreshed;         /* the database sets it to the time of each update (MySQL's ON UPDATE CURRENT_TIMESTAMP) */
    bool transaction;       /* the ids of the transactions that wrote the rows (PostgreSQL's xid8) */
    bool exact;             /* as part of a key: two values that accept brought to the column's form are the same
                               key just when their bytes are */
};

/* A table, view or query as the catalogue tells it. Lives in the arena it was described into. */
struct relation {
    struct column *columns;
    size_t column_count;
    size_t *key;       /* indexes into columns: the primary key, or the named one */
    size_t key_count;  /* 0: there is none */
    bool key_unique;   /* a unique, valid, non-partial index (or the primary key) covers just these columns */
    bool indexable;    /* it is a table, which can have indexes */
    bool triggers;     /* rows may be changed by triggers as they are written */
    const char *key_index; /* the driver's: the name of the index that key_unique speaks of */
    bool bulk;         /* the driver's: its way of loading many rows works on it */
    bool updated_indexed; /* an index begins with the updated column and then the key, in this order */
    const char *outside; /* what keeps the server's open transactions from telling which rows are still to come:
                            "public.report is a materialised view"; NULL: nothing does */
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
    bool by_key;                  /* in the order of the key alone; with after, without before */
    const struct value *beyond;   /* by_key: only keys behind this one; NULL: all */
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
    const size_t *unless; /* a boolean column; rows where it is true are taken whatever the other holds. NULL: none */
};

/* What a catalogue holds, for those who look around. Names as a subject has them. */
enum listed_kind {
    LISTED_TABLE,
    LISTED_VIEW,  /* materialised ones, too */
    LISTED_OTHER, /* readable, but no place for rows of ours: foreign and virtual tables, sequences */
};

struct listed {
    const char *schema; /* NULL where a name needs none */
    const char *name;
    enum listed_kind kind;
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
    FEATURE_STAMP = 2, /* find gives each row a stamp, and update and delete only touch a row that still has it */
    FEATURE_ONE_WRITER = 4, /* a transaction that writes keeps every other writer out from its beginning (SQLite) */
    FEATURE_EXACT_LOG = 8, /* the horizon of a change log takes no right (not MySQL, which writes times into it) */
};

/* the horizon */

/* What the server is asked before a read. */
struct horizon_question {
    const struct relation *relation;
    size_t updated;   /* index of the updated column */
    bool clock_only;  /* only the server's clock is wanted: time is what it shows, whoever is at work */
};

/* What it says: no transaction that is still open, or begins later, writes a row of an earlier time or a lower
 * number, where the writers take it from the server in the statement that writes. Margins are not taken off yet. */
struct horizon {
    bool known;       /* false: nothing is certain yet, because what is open now was not watched when it began */
    int64_t time;     /* microseconds since 1970 */
    int64_t clock;    /* what the server's clock showed when it was asked */
    uint64_t number;  /* of a column of transaction ids */
    uint64_t next;    /* the id that the server gives out next; a token beyond is of another server */
    char zone[64];    /* the server's own time zone, for columns without one; "": it has none */
    bool waits;       /* somebody holds it back; then holder is who, for people: "session 4711 of role 'app', */
    char holder[200]; /* application 'nightly', in a transaction since 2024-01-31T23:59:59Z" */
};

/* What a driver remembers of a system between questions, or keeps asking by itself. */
struct sampler;

/* change logs */

/* The log that triggers keep of a table: one row for each key that there is or was, with its last change (a number, an
 * id or a time that never goes back) and when it was deleted, if it was. It stands beside the table, and so does the
 * list of the logs with what was pruned. Lives in the arena it was found into. */
struct change_log {
    const char *schema; /* for describe; NULL where there is only one */
    const char *name;   /* of the log's table, for describe */
    const char *from;   /* the log, quoted */
    const char *hint;   /* behind the log's alias in FROM, so that it is read by the index of its changes; or "" */
    const char *list;   /* the list, quoted */
    const char *table;  /* the tracked table's name as a literal, as it stands in the list */
    const char *same;   /* a condition: the row t of the table and the row l of the log have the same key */
    bool exists;        /* both tables are there */
    const char *fault;  /* what keeps changes from being logged: "trigger 'x' is disabled"; NULL: nothing does. Where
                           it does not exist: what else may be the matter */
};

enum { CHANGE_LOG_NAME = 56 };

/* The log's own columns. */
#define CHANGE_LOG_CHANGE CONFIG_CHANGE
#define CHANGE_LOG_GONE "sesam_gone"

/* The list of the logs, in each schema that has one. */
#define CHANGE_LOG_LIST "sesam_sql_log"

/* What was pruned of a log. */
struct change_mark {
    uint64_t prunes;     /* how often */
    struct value pruned; /* deletions of lower changes may be gone; KIND_NULL: none was pruned */
    struct value last;   /* the highest change ever, where a counter knows it; else KIND_NULL */
};

/* Changes that the log should know and does not. */
struct change_missed {
    uint64_t rows;      /* of the table, without a living row in the log */
    uint64_t deletions; /* living rows in the log, without a row in the table */
};

/* writing */

/* What a write sets besides the values of its rows. */
enum special_kind {
    SPECIAL_VALUE, /* a constant of the configuration; CONFIG_NULL is NULL */
    SPECIAL_NOW,   /* the server's time, as the column's type has it */
    SPECIAL_NEXT,  /* a version: of an integer the old one + 1, of a time now, but at least one unit of the
                      column's resolution above the old one. For an insert the column's default or else 1; now */
};

struct special {
    size_t column; /* index into the relation's columns */
    enum special_kind kind;
    struct config_value value; /* SPECIAL_VALUE */
};

/* A table as a sink sees it. Const; lives as long as its relation. */
struct target {
    const struct relation *relation; /* of a table whose key is unique and not NULL */
    const char *sink;                /* the sink's name, for the state of full syncs */
    const size_t *columns;           /* indexes of the columns that rows have values for: first those of the key, in
                                        the key's order, then the others */
    size_t column_count;
    const size_t *reads;             /* indexes of the columns that find gives */
    size_t read_count;
    const struct special *scope;     /* SPECIAL_VALUE: only rows with this value are the sink's; NULL: all are */
};

/* One entity's row. Texts of values are borrowed; values of columns that were not given are KIND_NULL. */
struct row {
    const struct value *values; /* target->column_count, in the order of target->columns */
    uint64_t stamp;             /* FEATURE_STAMP: what find gave, for update and delete */
    size_t number;              /* the caller's */
};

enum find_mode {
    FIND_LOOK, /* locks and writes nothing */
    FIND_LOCK, /* locks the rows it finds until the transaction ends, in the order of rows, and gives ours */
};

/* A row of the table that has the key of one of the rows looked for. Borrowed until the next call. */
struct found {
    const struct row *row;      /* the one that was looked for */
    uint64_t stamp;
    const struct value *values; /* the table's: target->read_count, in the order of target->reads */
    const char *xmin;           /* FEATURE_XMIN: as text, else NULL */
    const struct value *ours;   /* FIND_LOCK, when a column is normalised: row->values as the table would hold them;
                                   else NULL: they are as they are */
};

/* One statement's worth of rows, in the order of their keys, no key twice. */
struct write {
    const struct target *target;
    const size_t *places; /* which of target->columns are set, as indexes into it. An insert's has all of the key;
                             an update's and a delete's has none of it: the key is only looked for */
    size_t place_count;
    const struct special *specials;
    size_t special_count;
    const struct row *const *rows;
    size_t row_count;
};

/* Where a write failed, when the database told. */
struct fault {
    size_t row;    /* index into rows; SIZE_MAX: unknown */
    size_t column; /* index into the relation's columns; SIZE_MAX: unknown */
    bool duplicate; /* a unique index has the value already */
    bool key;       /* and it is the key's own: another transaction made the row since it was looked for */
};

/* The state of a sink's full syncs. Texts live in the arena given. */
struct sync_state {
    bool exists;             /* there is a state at all */
    bool open;               /* the sequence waits for more requests */
    const char *sequence_id; /* the open one, or the last; NULL: none */
    const char *request_id;  /* the last accepted request's */
    uint64_t requests;       /* accepted in this sequence */
    uint64_t entities;       /* that came in this sequence and were no deletion */
};

/* What was answered to a request of a sequence. */
struct receipt {
    const char *request_id;
    const char *digest; /* hex, of everything that makes two requests the same */
    const char *answer; /* the body of the answer */
};

/* What a full sync leaves over: the rows of the scope whose keys are among no seen list of the sequence. */
enum sweep_kind {
    SWEEP_COUNT,
    SWEEP_DELETE,
    SWEEP_MARK, /* sets the specials, where mark is not set already */
};

struct sweep {
    const struct target *target;
    enum sweep_kind kind;
    const char *sequence_id;       /* NULL: only seen counts */
    const char *seen;              /* one more list, "[...]", see seen; NULL: none */
    const struct special *specials;
    size_t special_count;
    const struct special *dead;    /* SWEEP_MARK: a row with this value is already marked. SPECIAL_NOW: one whose
                                      value is anything but that of live */
    const struct special *live;    /* SPECIAL_VALUE */
};

/* The tables of full syncs, and whether the role may make those and the sink's. */
enum may { MAY, MAY_NOT, MAY_UNKNOWN };
struct tables {
    bool there;      /* those of full syncs are; mend is of rights on them then */
    enum may may;    /* make tables in the sink's schema */
    struct buf mend; /* statements, each a line; the caller's to free */
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

    /* Lists what the role may see in a schema, by schema and name; NULL: all of a database's, or where schemas are
     * databases the connection's own. Without what is the server's own, an extension's, or a part of something listed.
     * Everything is allocated in arena. */
    int (*list)(struct conn *conn, const char *schema, struct arena *arena, struct listed **list, size_t *count,
                struct err *err);

    /* Appends the statements, each a line, that let the role read a table or view; nothing where it may. schema may be
     * NULL. A name that is not there is no error: the role may not see it. NULL where rights are those of files. */
    int (*reading)(struct conn *conn, const char *schema, const char *table, struct buf *mend, struct err *err);

    /* Appends a name as it stands in SQL, quoted. conn NULL: for SQL that is only printed; the name is UTF-8. */
    void (*quote)(struct conn *conn, struct buf *out, const char *name);

    /* the horizon */

    /* One for each system; connects to nothing before it is first asked. system is borrowed for its life. NULL when
     * there is no memory. Ask from any thread. */
    struct sampler *(*sampler_new)(const struct config_system *system);
    void (*sampler_free)(struct sampler *sampler); /* accepts NULL; ends what it runs */
    /* Asks on the connection that will read, before its snapshot. ERR_DATABASE with the grant, and what can be done
     * without it, as hint where the server will not tell: never a guess. */
    int (*horizon)(struct conn *conn, struct sampler *sampler, const struct horizon_question *question,
                   struct horizon *horizon, struct err *err);
    /* The highest value of the plan's updated column, in the database's own order; KIND_NULL: there is none. Reads
     * plan's query, filters aside. Texts live in arena. */
    int (*newest)(struct conn *conn, const struct plan *plan, struct arena *arena, struct value *value, struct err *err);

    /* reading */

    /* Begins one read-only snapshot and the first range, so that a broken statement fails here. */
    int (*read_open)(struct conn *conn, const struct plan *plan, struct err *err);
    /* 1 and a row (borrowed until the next call), 0 once the database said that all went well, or -1. */
    int (*read_next)(struct conn *conn, const struct value **row, struct err *err);
    /* Ends the snapshot, at any time after read_open, also one that failed. Returns 0 when the connection
     * is as good as new, -1 when it must be closed. */
    int (*read_close)(struct conn *conn);

    /* a transaction that may write */

    /* Begins one that reads what is committed. seconds bound the wait for each lock and each statement on the
     * server. write false: it will only look (matters for FEATURE_ONE_WRITER). */
    int (*begin)(struct conn *conn, bool write, double seconds, struct err *err);
    /* Returns 0 only when it is known to be committed. ERR_LOST: nobody knows; run it again. */
    int (*commit)(struct conn *conn, struct err *err);
    /* At any time after begin, also after a failure. 0: the connection is as good as new, -1: close it. */
    int (*rollback)(struct conn *conn);

    /* rows of a target, within a transaction */

    /* Last step of bringing a value to the form in which the column holds it and read_next would give it back,
     * after entity/accept.h did what columns tell: what only this database knows (an enum's labels, padding,
     * SQLite's storage classes). -1: ERR_VALUE, the text says why ("is not one of ..."), without the column's
     * name. NULL: nothing is left to do. */
    int (*fit)(const struct column *column, struct value *value, struct arena *arena, struct err *err);
    /* Numbers the keys of rows as the target's unique index orders them: the same number is the same key. Only
     * called when a key column is not exact. One call for a whole request. */
    int (*rank)(struct conn *conn, const struct target *target, const struct row *const *rows, size_t count,
                uint32_t *ranks, struct err *err);
    /* Looks for the keys of rows (in key order, no key twice). rows stay borrowed until find_close. */
    int (*find_open)(struct conn *conn, const struct target *target, const struct row *const *rows, size_t count,
                     enum find_mode mode, struct err *err);
    int (*find_next)(struct conn *conn, struct found *found, struct err *err); /* 1, 0, -1 as read_next */
    /* After find_next gave 0 or -1, or earlier. 0: the transaction can go on. -1: close the connection. */
    int (*find_close)(struct conn *conn);
    /* All rows, or -1: the transaction can only be rolled back then. fault is filled. An update or delete that
     * did not find each row just as it was found is ERR_RACE. Rows that find locked, or that have a stamp. */
    int (*insert)(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);
    int (*update)(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);
    int (*erase)(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);

    /* full syncs: tables sesam_sql_* beside the target, see sql/ */

    /* Outside of a transaction: makes the state's tables if they are not there. ERR_DATABASE with the statement
     * to run as hint where the role may not. */
    int (*sync_prepare)(struct conn *conn, const struct target *target, struct err *err);
    /* Within a transaction, first thing: reads the state and keeps every other transaction of this sink (same
     * table, same name, any replica) out until this one ends if exclusive, else only those that are exclusive.
     * Without tables there is no state. */
    int (*sync_lock)(struct conn *conn, const struct target *target, bool exclusive, struct sync_state *state,
                     struct arena *arena, struct err *err);
    /* The receipt of a request of the state's sequence; request_id NULL when there is none. */
    int (*sync_receipt)(struct conn *conn, const struct target *target, const char *sequence_id,
                        const char *request_id, struct receipt *receipt, struct arena *arena, struct err *err);
    /* Is this sequence over: retired by a newer one, or done? */
    int (*sync_is_over)(struct conn *conn, const struct target *target, const char *sequence_id, bool *over,
                        struct err *err);
    /* Begins a sequence: retires the one that was there, with all it has seen. Retired ids are kept for a week. */
    int (*sync_begin)(struct conn *conn, const struct target *target, const char *sequence_id, struct err *err);
    /* Adds what a request has seen, "[...]" of seen, to the open sequence. receipt NULL: it was incremental and
     * is no part of the chain. */
    int (*sync_add)(struct conn *conn, const struct target *target, const struct sync_state *state, const char *seen,
                    size_t seen_len, const struct receipt *receipt, struct err *err);
    /* Closes the sequence: forgets what was seen, keeps the receipts until the next begins. */
    int (*sync_end)(struct conn *conn, const struct target *target, const char *sequence_id, struct err *err);
    /* Appends a row's key to a list of seen keys: an item of a JSON array, a comma before it unless it is the
     * first behind "[". In whatever form sweep can compare with the column. */
    int (*seen)(const struct target *target, const struct row *row, struct buf *out, struct err *err);
    /* *rows: how many were left over (and deleted, marked). *total: rows of the scope before that (living ones for
     * SWEEP_MARK), asked only if *rows is more than enough. */
    int (*sweep)(struct conn *conn, const struct sweep *sweep, uint64_t enough, uint64_t *rows, uint64_t *total,
                 struct err *err);

    /* the sink's table */

    /* Appends the statements that make it from the sink's schema_definition, with its key and indexes. */
    int (*create_sql)(struct conn *conn, const struct config_sink *sink, struct buf *sql, struct err *err);
    /* Outside of a transaction: runs them; a table that is there stays as it is. ERR_DATABASE with them as hint where
     * the role may not. */
    int (*create)(struct conn *conn, const struct config_sink *sink, struct err *err);

    /* What a role lacks, for people to mend. Both outside of a transaction. */

    /* Appends the statements, each a line, that give the role what the sink needs on its table. Where no statement
     * could it is ERR_DATABASE. */
    int (*rights)(struct conn *conn, const struct config_sink *sink, const struct target *target, struct buf *mend,
                  struct err *err);
    /* target NULL: the sink's table is not there. */
    int (*tables)(struct conn *conn, const struct config_sink *sink, const struct target *target, struct tables *tables,
                  struct err *err);

    /* change logs */

    /* Finds a table's log, or tells where it would be. ERR_DATABASE where the database is too old to have one. */
    int (*log_find)(struct conn *conn, const struct relation *table, struct arena *arena, struct change_log *log,
                    struct err *err);
    /* Appends the statements that make it: tables, triggers and the keys that are there already. They may be run
     * again at any time, and then make up for what was missed. */
    int (*log_sql)(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *sql,
                   struct err *err);
    int (*log_mark)(struct conn *conn, const struct change_log *log, struct change_mark *mark, struct err *err);
    /* Looks at every row of both. */
    int (*log_missed)(struct conn *conn, const struct relation *table, const struct change_log *log,
                      struct change_missed *missed, struct err *err);
    /* Appends what could change the table without the log: sentences without full stop, each a line. */
    int (*log_risks)(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *risks,
                     struct err *err);

    /* The SQL of the state's tables, and of what lets a role without rights ask for the horizon (NULL: nothing is
     * needed), for people to run. */
    const char *state_sql, *horizon_sql;
    /* What gives roles their rights: sections, each below a line "--- name", with words in braces (ops/roles.c). */
    const char *roles_sql;
    /* Where a table is that has no schema, as a rule; NULL: in the system's database. */
    const char *default_schema;
};

extern const struct driver driver_postgresql, driver_mysql, driver_sqlite;

#endif
