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
    char server[32];
    struct read *read; /* the open read, or NULL */
};

/* A column's affinity, kept in column->number: what SQLite converts a value to before it is stored in the
 * column or compared with it. */
enum affinity { AFFINITY_NONE, AFFINITY_TEXT, AFFINITY_NUMERIC, AFFINITY_INTEGER, AFFINITY_REAL };

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

/* Appends "name", quoted. */
void sqlite_identifier(struct buf *out, const char *name);

int sqlite_describe(struct conn *conn, const struct subject *subject, struct arena *arena,
                    struct relation **relation, struct err *err);
/* Fills in the key's uniqueness and the updated column's index. rowid is the column that is the rowid, or
 * NULL. */
int sqlite_describe_indexes(struct conn *conn, const char *table, const struct column *rowid,
                            const struct column *updated, struct relation *relation, struct err *err);
/* The collation of a table's column, borrowed from the connection; NULL when it is not known. */
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

#endif
