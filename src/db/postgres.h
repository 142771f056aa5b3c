/* What the files of the PostgreSQL driver share. Nobody else includes this. */
#ifndef DB_POSTGRES_H
#define DB_POSTGRES_H

#include <libpq-fe.h>

#include "db/driver.h"

struct conn {
    PGconn *pg;
    const struct config_system *system;
    char server[64];
    struct read *read; /* the open read, or NULL */
    struct find *find; /* the open look for rows, or NULL */

    /* What is known for the transaction that runs. */
    char *constants;       /* what was asked for the columns that are the same in all rows, and the answer as it */
    char *constant_fields; /* stands at the end of each row of a COPY */
    size_t constant_len;

    char *synced; /* a schema where the tables of full syncs were seen, quoted; NULL: none yet */

    char *horizon_call; /* the function that tells of other sessions, as it is called; NULL: we look ourselves */
    bool horizon_ready; /* the statements that ask for the horizon are prepared */
    char zone[64];      /* the time zone that the session had without us; "": not asked yet */
};

/* Type oids as in the server's pg_type.dat; they never change. */
enum pg_type {
    PG_BOOL = 16, PG_BYTEA = 17, PG_CHAR = 18, PG_NAME = 19, PG_INT8 = 20, PG_INT2 = 21, PG_INT4 = 23, PG_TEXT = 25,
    PG_OID = 26, PG_INT2VECTOR = 22, PG_XID = 28, PG_OIDVECTOR = 30, PG_JSON = 114, PG_BOX = 603, PG_CIDR = 650, PG_FLOAT4 = 700, PG_FLOAT8 = 701, PG_INET = 869,
    PG_BPCHAR = 1042, PG_VARCHAR = 1043, PG_DATE = 1082, PG_TIME = 1083, PG_TIMESTAMP = 1114, PG_TIMESTAMPTZ = 1184,
    PG_INTERVAL = 1186, PG_TIMETZ = 1266, PG_BIT = 1560, PG_VARBIT = 1562,
    PG_MONEY = 790, PG_NUMERIC = 1700, PG_UUID = 2950, PG_JSONB = 3802, PG_XID8 = 5069,
};

/* Sets err from a failed result or, where result is NULL, from the connection. what begins the text.
 * Returns -1. Does not clear the result. */
int postgres_error(PGconn *pg, const PGresult *result, const char *what, struct err *err);

/* The same from a SQLSTATE and a message. */
int postgres_verdict(struct err *err, const char *state, const char *what, const char *message);
/* A message of libpq in one line: its line ends and tabs as single spaces, cut to size. */
void postgres_one_line(const char *text, char *line, size_t size);

int postgres_open(struct conn **out, const struct config_system *system, struct err *err);
void postgres_close(struct conn *conn);

/* Runs a statement with text parameters and returns its rows, or NULL with err set. */
PGresult *postgres_query(struct conn *conn, const char *sql, size_t count, const char *const *values,
                         const char *what, struct err *err);

/* Appends "name" quoted, or 'text' escaped by the client library. Returns 0, or -1 with err set. */
int postgres_identifier(struct conn *conn, struct buf *out, const char *name, struct err *err);
int postgres_literal(struct conn *conn, struct buf *out, const char *text, size_t len, struct err *err);

int postgres_describe(struct conn *conn, const struct subject *subject, struct arena *arena,
                      struct relation **relation, struct err *err);

/* Looking around, see driver.h: postgres_list.c, postgres_rights.c. */
int postgres_list(struct conn *conn, const char *schema, struct arena *arena, struct listed **list, size_t *count,
                  struct err *err);
int postgres_reading(struct conn *conn, const char *schema, const char *table, struct buf *mend, struct err *err);

/* Appends query with its placeholders replaced by literals. since may be NULL, see struct plan. */
int postgres_bind(struct conn *conn, struct buf *out, const char *query, const struct plan *plan,
                  struct err *err);
/* Appends a literal of the column's type. */
int postgres_value(struct conn *conn, struct buf *out, const struct column *column,
                   const struct value *value, struct err *err);
/* Writes the statement that reads one range, at most limit rows. */
int postgres_select(struct conn *conn, struct buf *out, const struct plan *plan, const struct range *range,
                    uint64_t limit, struct err *err);

/* Writes the one that reads the highest value of the updated column. */
int postgres_select_newest(struct conn *conn, struct buf *out, const struct plan *plan, struct err *err);

/* Writes the statement that gives no rows, but the types of the plan's columns as they are now. */
int postgres_probe(struct conn *conn, struct buf *out, const struct plan *plan, struct err *err);

int postgres_read_open(struct conn *conn, const struct plan *plan, struct err *err);
int postgres_read_next(struct conn *conn, const struct value **row, struct err *err);
int postgres_read_close(struct conn *conn);

/* Can values of this type be decoded from the binary form? element tells the same of a list's. */
bool postgres_decodes(unsigned type);
enum kind postgres_kind(unsigned type);

/* Decodes one field of the binary COPY format. Texts point into bytes or live in arena. */
int postgres_decode(const struct column *column, const char *bytes, size_t len, struct arena *arena,
                    struct value *value, struct err *err);

/* Sending values: the types of PostgreSQL's binary formats, and texts for all others. */

/* Is the binary form of values of this type known, whatever its name in the catalogue? */
bool postgres_encodes(unsigned type);
/* Appends a value as a field of the binary formats: its length and its bytes; -1 and nothing for NULL. Only where
 * column->binary. */
int postgres_encode(struct buf *out, const struct column *column, const struct value *value, struct err *err);
/* Appends the text that the column's type reads. Not for NULL. */
int postgres_text(struct buf *out, const struct column *column, const struct value *value, struct err *err);
/* Appends the row of a COPY in text format up to its last field, without the tab or line end behind it. */
int postgres_copy_text(struct buf *out, const struct column *column, const struct value *value, struct buf *scratch,
                       struct err *err);
/* Reads the server's own text of a time outside of what we count: "infinity", "0044-03-15 12:00:00 BC". time is in
 * microseconds from 2000-01-01, or in days for a date. Returns 0, or -1 when it is no such text. */
int postgres_odd_time(const char *text, size_t len, bool date, int64_t *time);

/* Columns of rows as parameters of a statement, each an array in binary form. */
struct parameters {
    size_t count;
    struct buf *arrays; /* one each */
    const char **values;
    int *lengths, *formats;
};

/* Room for so many. Everything else is in arena. */
int parameters_new(struct parameters *parameters, size_t most, struct arena *arena, struct err *err);
void parameters_free(struct parameters *parameters);
/* Appends the values at place of all rows, and writes to sql how they stand there: $1::integer[]. Columns whose
 * values cannot be sent in binary form go as texts, see parameters_cast. */
int parameters_column(struct parameters *parameters, struct buf *sql, const struct column *column,
                      const struct row *const *rows, size_t count, size_t place, struct err *err);
/* The stamps of all rows as xid[]. */
int parameters_stamps(struct parameters *parameters, struct buf *sql, const struct row *const *rows, size_t count,
                      struct err *err);
/* What stands behind a value of such an array to make it one of the column's type: "::inet", or "". */
const char *parameters_cast(const struct column *column, struct arena *arena);
/* Sends the statement; its rows come in binary form. Returns 0 or -1 with err set. */
int parameters_send(struct conn *conn, const char *sql, const struct parameters *parameters, struct err *err);

int postgres_fit(const struct column *column, struct value *value, struct arena *arena, struct err *err);

/* Failures of what sinks do. fault may be NULL; relation tells the names of columns. Returns -1. */
int postgres_write_error(struct conn *conn, const PGresult *result, const char *what, const struct relation *relation,
                         struct fault *fault, struct err *err);

int postgres_begin(struct conn *conn, bool write, double seconds, struct err *err);
int postgres_commit(struct conn *conn, struct err *err);
int postgres_rollback(struct conn *conn);

/* Forgets what the transaction's inserts asked the server. */
void postgres_forget(struct conn *conn);

int postgres_rank(struct conn *conn, const struct target *target, const struct row *const *rows, size_t count,
                  uint32_t *ranks, struct err *err);
int postgres_find_open(struct conn *conn, const struct target *target, const struct row *const *rows, size_t count,
                       enum find_mode mode, struct err *err);
int postgres_find_next(struct conn *conn, struct found *found, struct err *err);
int postgres_find_close(struct conn *conn);
/* Frees an open find of a connection that was closed. */
void postgres_find_forget(struct conn *conn);

int postgres_insert(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);
/* The parts of an insert, for whoever writes its statement. */
const struct column *postgres_write_column(const struct write *write, size_t place);
/* "a, b": the columns it sets, those of rows and then those of specials. table NULL: bare names. */
int postgres_insert_columns(struct conn *conn, struct buf *out, const struct write *write, const char *table,
                            struct err *err);
/* What it sets by specials, each with link or ", " before it, and how many those are. */
int postgres_insert_specials(struct conn *conn, struct buf *out, const struct write *write, const char *link,
                             struct err *err);
size_t postgres_insert_constants(const struct write *write);
/* Did the statement touch as many rows as it was given? told is the server's count. */
int postgres_check_count(const struct write *write, const char *told, const char *what, enum err_code code,
                         struct err *err);
int postgres_copy(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);

int postgres_update(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);
int postgres_erase(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);

/* Appends "name" of a column of the table that is called t, or without t. */
int postgres_column(struct conn *conn, struct buf *out, const char *table, const struct column *column, struct err *err);
/* Appends what a special sets, as an expression; old: of the row called t, else of a row that is new. */
int postgres_special(struct conn *conn, struct buf *out, const struct relation *relation, const struct special *special,
                     bool old, struct err *err);
/* Appends "c" = expression, ... for an UPDATE. */
int postgres_set_specials(struct conn *conn, struct buf *out, const struct relation *relation,
                          const struct special *specials, size_t count, const char **link, struct err *err);

int postgres_sync_prepare(struct conn *conn, const struct target *target, struct err *err);
int postgres_sync_lock(struct conn *conn, const struct target *target, bool exclusive, struct sync_state *state,
                       struct arena *arena, struct err *err);
int postgres_sync_receipt(struct conn *conn, const struct target *target, const char *sequence_id,
                          const char *request_id, struct receipt *receipt, struct arena *arena, struct err *err);
int postgres_sync_is_over(struct conn *conn, const struct target *target, const char *sequence_id, bool *over,
                          struct err *err);
int postgres_sync_begin(struct conn *conn, const struct target *target, const char *sequence_id, struct err *err);
int postgres_sync_add(struct conn *conn, const struct target *target, const struct sync_state *state, const char *seen,
                      size_t seen_len, const struct receipt *receipt, struct err *err);
int postgres_sync_end(struct conn *conn, const struct target *target, const char *sequence_id, struct err *err);

/* Appends "schema" of the target, quoted. */
void postgres_schema(struct buf *out, const struct target *target);
int postgres_seen(const struct target *target, const struct row *row, struct buf *out, struct err *err);

/* Are the target's keys single integers, whose lists may be kept as runs? */
bool postgres_has_runs(const struct target *target);
/* Is a list kept so? One without any key is, too. */
bool postgres_is_runs(const char *list);
/* Appends such a target's list of seen keys, "[1,2,3]", in the form it is kept in: as its runs, "[[1,3]]", where those
 * are few, else as it is. Returns with out failed if there is no memory. */
void postgres_put_runs(struct buf *out, const char *list, size_t len);
int postgres_sweep(struct conn *conn, const struct sweep *sweep, uint64_t enough, uint64_t *rows, uint64_t *total,
                   struct err *err);

/* Makes a sink's table, see driver.h. */
int postgres_create_sql(struct conn *conn, const struct config_sink *sink, struct buf *sql, struct err *err);
int postgres_create(struct conn *conn, const struct config_sink *sink, struct err *err);

/* What the role lacks, see driver.h. */
int postgres_rights(struct conn *conn, const struct config_sink *sink, const struct target *target, struct buf *mend,
                    struct err *err);
int postgres_tables(struct conn *conn, const struct config_sink *sink, const struct target *target,
                    struct tables *tables, struct err *err);

/* The horizon, see driver.h. */
struct sampler *postgres_sampler_new(const struct config_system *system);
void postgres_sampler_free(struct sampler *sampler);
int postgres_horizon(struct conn *conn, struct sampler *sampler, const struct horizon_question *question,
                     struct horizon *horizon, struct err *err);
/* Takes one sample: horizon->time is what the sessions gave, prepared lists the prepared transactions (key, text for
 * people), read behind them; server is who gave them. Takes horizon back to where those hold it. */
int postgres_hold(struct sampler *sampler, const char *server, const PGresult *prepared, struct horizon *horizon,
                  struct err *err);
/* Somebody holds it back: this one. */
void postgres_holder(struct horizon *horizon, const char *text);
/* Within the transaction that prepared what is to be read: sets relation->outside. */
int postgres_outside(struct conn *conn, struct relation *relation, struct arena *arena, struct err *err);
/* The name of sessions while they read for a source. Such a session writes nothing, and so holds back nobody's horizon;
 * all others do, those of sinks too. */
#define POSTGRES_SOURCE "sesam-sql source"
/* Ahead of what a message reads, within the transaction that the message, or BEGIN, makes. */
#define POSTGRES_ANNOUNCE "SET LOCAL application_name = '" POSTGRES_SOURCE "'; "
int postgres_newest(struct conn *conn, const struct plan *plan, struct arena *arena, struct value *value, struct err *err);

/* Change logs, see driver.h: postgres_log.c. */
int postgres_log_find(struct conn *conn, const struct relation *table, struct arena *arena, struct change_log *log,
             struct err *err);
int postgres_log_sql(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *sql,
            struct err *err);
int postgres_log_mark(struct conn *conn, const struct change_log *log, struct change_mark *mark, struct err *err);
int postgres_log_missed(struct conn *conn, const struct relation *table, const struct change_log *log,
               struct change_missed *missed, struct err *err);
int postgres_log_risks(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *risks,
              struct err *err);

#endif
