/* What the files of the SQLite driver share. Nobody else includes this. */
#ifndef DB_SQLITE_H
#define DB_SQLITE_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include <sqlite3.h>

#include "db/driver.h"

struct conn {
    sqlite3 *db;
    const struct config_system *system;
    dev_t device; /* of the file that was opened: another one at its path is another database */
    ino_t inode;
    atomic_bool cancelled;
    bool broken;          /* not to be lent again */
    double lock_deadline; /* on the monotonic clock: how long the present statement waits for a lock */
    double seconds;       /* how long a call of the open transaction may run or wait, and the horizon's; 0: none is */
    double deadline;      /* on the monotonic clock: until when the present call may run; 0: for ever */
    bool writing;         /* a transaction that may write is open */
    char server[32];
    struct read *read; /* the open read, or NULL */
    struct find *find; /* the open find, or NULL */
};

/* A column's affinity, kept in column->number: what SQLite converts a value to before it is stored in the
 * column or compared with it. */
enum affinity { AFFINITY_NONE, AFFINITY_TEXT, AFFINITY_NUMERIC, AFFINITY_INTEGER, AFFINITY_REAL };

/* What else there is to know of a column, bits of column->modifier. */
enum trait {
    TRAIT_STRICT = 1, /* of a STRICT table: values have their declared type */
    TRAIT_ROWID = 2,  /* it is the rowid: integers only */
};

/* Sets err from the failure rc of a call, and marks the connection when it is not fit for more. attempt
 * says what was tried. Returns -1. */
int sqlite_fail(struct conn *conn, int rc, const char *attempt, struct err *err);

/* Prepares exactly one statement. attempt as above. */
int sqlite_prepare(struct conn *conn, const char *sql, sqlite3_stmt **stmt, const char *attempt,
                   struct err *err);
/* Runs statements without parameters for their effect. */
int sqlite_run(struct conn *conn, const char *sql, const char *attempt, struct err *err);
/* Begins a snapshot with the schema as it is now. */
int sqlite_begin(struct conn *conn, const char *attempt, struct err *err);
/* 1 and a row, 0 at the end, or -1. */
int sqlite_step(struct conn *conn, sqlite3_stmt *stmt, const char *attempt, struct err *err);
/* Steps to the end, counting the rows, and resets the statement for another time. Returns 0 or -1. */
int sqlite_count(struct conn *conn, sqlite3_stmt *stmt, size_t *count, const char *attempt, struct err *err);

/* Appends "name", quoted. */
void sqlite_identifier(struct buf *out, const char *name);

/* Bind a value as it is stored, and one of the configuration. Return SQLite's code; SQLITE_MISMATCH for kinds
 * that no row of ours has. Texts are borrowed until the statement ran. */
int sqlite_bind_value(sqlite3_stmt *stmt, int number, const struct value *value);
int sqlite_bind_scalar(sqlite3_stmt *stmt, int number, const struct config_value *value);

/* Looking around, see driver.h: sqlite_list.c. */
int sqlite_list(struct conn *conn, const char *schema, struct arena *arena, struct listed **list, size_t *count,
                struct err *err);
int sqlite_describe(struct conn *conn, const struct subject *subject, struct arena *arena,
                    struct relation **relation, struct err *err);
/* Fills in the key's uniqueness and collations and the updated column's index. rowid is the column that is
 * the rowid, or NULL. */
int sqlite_describe_indexes(struct conn *conn, const char *table, const struct column *rowid,
                            const struct column *updated, struct relation *relation, struct arena *arena,
                            struct err *err);
/* The collation of a table's column (not that of an index), borrowed from the connection; NULL when it is not
 * known. */
const char *sqlite_collation(struct conn *conn, const char *table, const char *column);

/* The statement for one range: with tied, the rest of the rows with the updated value of range->after;
 * else those beyond. range NULL reads everything. Its parameters are bound; it gives at most limit rows. */
int sqlite_select(struct conn *conn, const struct plan *plan, const struct range *range, bool tied,
                  uint64_t limit, sqlite3_stmt **stmt, struct err *err);

int sqlite_read_open(struct conn *conn, const struct plan *plan, struct err *err);
int sqlite_read_next(struct conn *conn, const struct value **row, struct err *err);
int sqlite_read_close(struct conn *conn);

/* One value as SQLite holds it, by its storage class. Text and blob are borrowed. */
struct cell {
    int type; /* SQLITE_INTEGER ... SQLITE_NULL */
    int64_t integer;
    double real;
    const char *bytes;
    size_t len;
};

/* What stands in a column of the row a statement is at, and the value it is. digits is room for those of a
 * floating point number. */
int sqlite_cell(struct conn *conn, sqlite3_stmt *stmt, int column, struct cell *cell, struct err *err);
struct value sqlite_value(const struct cell *cell, char *digits);

/* transactions, see driver.h */

int sqlite_transaction_begin(struct conn *conn, bool write, double seconds, struct err *err);
int sqlite_transaction_commit(struct conn *conn, struct err *err);
int sqlite_transaction_rollback(struct conn *conn);
/* The first thing in every call within one: the call's time begins, and the transaction must still be there.
 */
int sqlite_transaction_check(struct conn *conn, struct err *err);

/* rows of a target, see driver.h */

int sqlite_fit(const struct column *column, struct value *value, struct arena *arena, struct err *err);
int sqlite_rank(struct conn *conn, const struct target *target, const struct row *const *rows, size_t count,
                uint32_t *ranks, struct err *err);
int sqlite_find_open(struct conn *conn, const struct target *target, const struct row *const *rows,
                     size_t count, enum find_mode mode, struct err *err);
int sqlite_find_next(struct conn *conn, struct found *found, struct err *err);
int sqlite_find_close(struct conn *conn);
int sqlite_insert(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);
int sqlite_update(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);
int sqlite_erase(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);

/* A query's length without the semicolon that it may end with, so that it can stand in parentheses. */
int sqlite_query_length(const char *query);

/* Parts of statements: "t"."c"; COLLATE as keys are compared; WHERE with a ? for each part of the key; the
 * type that gives a column of ours the affinity and the collation of one of a key; what a special sets its
 * column to, with a ? for a constant. */
void sqlite_put_column(struct buf *sql, const struct relation *relation, size_t column);
void sqlite_put_collation(struct buf *sql, const struct column *column);
void sqlite_put_key(struct buf *sql, const struct relation *relation);
void sqlite_put_type(struct buf *sql, const struct column *column);
void sqlite_put_special(struct buf *sql, const struct relation *relation, const struct special *special,
                        bool insert);
/* Binds the key of a row from the parameter number on. */
int sqlite_bind_key(struct conn *conn, sqlite3_stmt *stmt, int number, const struct target *target,
                    const struct row *row, struct err *err);
/* Binds the constants of specials, from the parameter number on; returns the number behind them, or -1. */
int sqlite_bind_specials(struct conn *conn, sqlite3_stmt *stmt, int number, const struct special *specials,
                         size_t count, struct err *err);

/* full syncs, see driver.h */

int sqlite_sync_prepare(struct conn *conn, const struct target *target, struct err *err);
/* A statement whose parameters 1, 2 and, where there are so many, 3 are the target, the sink and the
 * sequence. */
int sqlite_sync_prepare_statement(struct conn *conn, const char *sql, const struct target *target,
                                  const char *sequence_id, sqlite3_stmt **stmt, struct err *err);
int sqlite_sync_lock(struct conn *conn, const struct target *target, bool exclusive, struct sync_state *state,
                     struct arena *arena, struct err *err);
int sqlite_sync_receipt(struct conn *conn, const struct target *target, const char *sequence_id,
                        const char *request_id, struct receipt *receipt, struct arena *arena,
                        struct err *err);
int sqlite_sync_is_over(struct conn *conn, const struct target *target, const char *sequence_id, bool *over,
                        struct err *err);
int sqlite_sync_begin(struct conn *conn, const struct target *target, const char *sequence_id,
                      struct err *err);
int sqlite_sync_add(struct conn *conn, const struct target *target, const struct sync_state *state,
                    const char *seen, size_t seen_len, const struct receipt *receipt, struct err *err);
int sqlite_sync_end(struct conn *conn, const struct target *target, const char *sequence_id, struct err *err);
int sqlite_sweep(struct conn *conn, const struct sweep *sweep, uint64_t enough, uint64_t *rows,
                 uint64_t *total, struct err *err);

/* Lists of seen keys. sqlite_seen as in driver.h. */
int sqlite_seen(const struct target *target, const struct row *row, struct buf *out, struct err *err);
/* Begins to read a list of len bytes; then 1 and the next key's count values, 0 at the end, -1 when it is no
 * list of ours. A value is borrowed from the list or from text, until the next call. */
struct seen {
    const char *at, *end;
    bool begun;
    struct buf text;
};
int sqlite_seen_next(struct seen *seen, struct value *key, size_t count, struct err *err);
void sqlite_seen_end(struct seen *seen);

/* Makes a sink's table, see driver.h. */
int sqlite_create_sql(struct conn *conn, const struct config_sink *sink, struct buf *sql, struct err *err);
int sqlite_create(struct conn *conn, const struct config_sink *sink, struct err *err);

/* What the role lacks, see driver.h. */
int sqlite_rights(struct conn *conn, const struct config_sink *sink, const struct target *target, struct buf *mend,
                  struct err *err);
int sqlite_tables(struct conn *conn, const struct config_sink *sink, const struct target *target,
                  struct tables *tables, struct err *err);

/* Rows that wait in a temporary file, which has no name and ends with the spool: written once, then read
 * once. Holds one row in memory. Fails with ERR_AWAY when the disk is full. */
struct spool;

int sqlite_spool_open(struct spool **spool, size_t columns, struct err *err);
void sqlite_spool_close(struct spool *spool); /* accepts NULL */
int sqlite_spool_put(struct spool *spool, const struct cell *row, struct err *err);
/* From writing to reading. */
int sqlite_spool_rewind(struct spool *spool, struct err *err);
/* 1 and a row (borrowed until the next call), 0 after the last that was put, or -1. */
int sqlite_spool_get(struct spool *spool, struct cell *row, struct err *err);

/* The newest value of the plan's updated column: no row when there is none. */
int sqlite_select_newest(struct conn *conn, const struct plan *plan, sqlite3_stmt **stmt, struct err *err);

/* The horizon, see driver.h. */
struct sampler *sqlite_sampler_new(const struct config_system *system);
void sqlite_sampler_free(struct sampler *sampler);
int sqlite_horizon(struct conn *conn, struct sampler *sampler, const struct horizon_question *question,
                   struct horizon *horizon, struct err *err);
int sqlite_newest(struct conn *conn, const struct plan *plan, struct arena *arena, struct value *value,
                  struct err *err);
/* Says for people who holds the file's write lock; since (microseconds since 1970) is when it was first found
 * taken. */
void sqlite_holder(const struct conn *conn, int64_t since, char *text, size_t size);

/* Change logs, see driver.h: sqlite_log.c. */
int sqlite_log_find(struct conn *conn, const struct relation *table, struct arena *arena, struct change_log *log,
             struct err *err);
int sqlite_log_sql(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *sql,
            struct err *err);
int sqlite_log_mark(struct conn *conn, const struct change_log *log, struct change_mark *mark, struct err *err);
int sqlite_log_missed(struct conn *conn, const struct relation *table, const struct change_log *log,
               struct change_missed *missed, struct err *err);
int sqlite_log_risks(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *risks,
              struct err *err);

#endif
