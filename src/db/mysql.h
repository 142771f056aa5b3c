/* What the files of the MySQL and MariaDB driver share. Nobody else includes this. The names begin with
 * mydb_ because mysql_ and my_ belong to the client library.
 *
 * It is written for what MariaDB's libmariadb and MySQL's libmysqlclient 8 have in common; LIBRARY_MARIADB
 * tells the few places where they differ. */
#ifndef DB_MYSQL_H
#define DB_MYSQL_H

#include <mysql.h>
#include <stdatomic.h>

#include "db/driver.h"

#ifdef MARIADB_PACKAGE_VERSION
#define LIBRARY_MARIADB 1
typedef my_bool mydb_bool;
#else
#define LIBRARY_MARIADB 0
typedef bool mydb_bool;
#endif

struct conn {
    MYSQL *mysql;
    const struct config_system *system;
    int socket;            /* our own duplicate, so that cancel never meets a number used anew */
    unsigned long id;      /* of the server's thread */
    bool mariadb;
    bool busy;             /* a statement may still run on the server */
    atomic_bool cancelled;
    char server[96];
    struct mydb_read *read; /* the open read, or NULL */
    struct mydb_find *find; /* the open find, or NULL */
    bool bulk;              /* a statement can be executed for many rows at once (MariaDB) */
    bool writing;           /* a transaction that may write is open */
    bool doomed;            /* a statement of it failed: it can only be rolled back */
    unsigned limit;         /* seconds that locks and statements may take; 0: as the server has it */
    char own_limit[32];     /* max_statement_time before the first limit */
    size_t packet;          /* bytes that we put into a statement with its values; 0: not yet asked */
    size_t packet_most;     /* bytes that the server takes */
};

/* Readies the calling thread for the library; cheap when it is ready. A thread lets go when it ends. */
void mydb_thread(void);

/* errors: mysql_error.c */

/* Sets err from the connection's last error, or a statement's; what begins the text: "read 'orders'".
 * Returns -1. */
int mydb_failed(struct conn *conn, const char *what, struct err *err);
int mydb_stmt_failed(struct conn *conn, MYSQL_STMT *stmt, const char *what, struct err *err);
unsigned mydb_stmt_number(struct conn *conn, MYSQL_STMT *stmt);
/* Does an error of this number mean that the connection is of no more use? */
bool mydb_is_loss(unsigned number);
/* The same from an error number, for mysql_real_connect. */
int mydb_fault(unsigned number, const char *state, const char *message, const char *what, struct err *err);

/* The column that a message tells, without quotes. False when it tells none. */
bool mydb_error_column(const char *message, char *name, size_t size);
/* Is it a unique index that refused? */
bool mydb_is_duplicate(unsigned number);
/* Is the index that such a message names the relation's key_index? */
bool mydb_is_key(const struct relation *relation, const char *message);

/* columns: mysql_type.c */

/* Types that a library may not know by name. */
enum { MYDB_TYPE_VECTOR = 242, MYDB_TYPE_JSON = 245 };

/* column->number is the library's field type; column->modifier holds these. */
enum mydb_flag {
    MYDB_ENUM = 1,     /* text or list, but orders by the number of the member */
    MYDB_DOCUMENT = 2, /* JSON and geometry: order by nothing that a text could be compared with */
    MYDB_INET6 = 4,
    MYDB_INET4 = 8,
    MYDB_UNSIGNED = 16,
    MYDB_ZEROFILL = 32, /* DECIMAL and floats come with zeros in front */
};

/* Fills kind, position, digits, nullable, zoneless, bytewise, number, modifier and expression from what a
 * prepared statement says of the column. type_name is the catalogue's ("uuid", "json"), or NULL;
 * collation is the column's own, NULL when unknown. column->name is set. */
int mydb_column(struct column *column, const MYSQL_FIELD *field, const char *type_name, const char *collation,
                struct arena *arena, struct err *err);
/* How a type is called where no catalogue tells: "bigint unsigned". */
const char *mydb_type_text(const MYSQL_FIELD *field, struct arena *arena);
/* Does a result's field still hold what the column was described as? */
bool mydb_column_fits(const struct column *column, const MYSQL_FIELD *field);

/* What an information_schema row says of a column; any may be NULL: mysql_facts.c. */
struct mydb_facts {
    const char *chars, *bytes, *precision, *scale, *def, *extra, *collation;
};
/* Fills in what struct column tells for sinks. column->cast becomes the type of a key's part where JSON_TABLE reads
 * it, "VARCHAR(20) CHARACTER SET utf8mb4", with the column's own collation behind it, " COLLATE latin1_swedish_ci"; NULL
 * for what can be no key. */
void mydb_facts(struct column *column, const MYSQL_FIELD *field, const struct mydb_facts *facts,
                struct arena *arena);

/* The last step of a value into a column, see driver.h: mysql_fit.c. */
int mydb_fit(const struct column *column, struct value *value, struct arena *arena, struct err *err);
/* The number of an ENUM's label, from 1; 0 when there is none. */
unsigned mydb_enum_number(const struct column *column, const char *text, size_t len);

/* times: mysql_time.c */

enum { MYDB_TIME_SIZE = 64 };

/* A DATE, DATETIME or TIMESTAMP as KIND_DATE or KIND_DATETIME; what the calendar does not know (zero
 * dates) as KIND_TEXT, written into text as the database does. */
void mydb_from_time(const MYSQL_TIME *time, enum kind kind, unsigned digits, char text[MYDB_TIME_SIZE],
                    struct value *value);
/* hh:mm:ss[.fraction] of a TIME, up to 838 hours and negative. Returns the length. */
size_t mydb_time_text(const MYSQL_TIME *time, unsigned digits, char text[MYDB_TIME_SIZE]);
/* The reverse of mydb_from_time, from KIND_DATE, KIND_DATETIME or KIND_TEXT. False when it is no time. */
bool mydb_to_time(const struct value *value, MYSQL_TIME *time);
/* Reads what mydb_time_text writes, with any number of digits. False when it is none. */
bool mydb_parse_time(const char *text, size_t len, MYSQL_TIME *time);

/* rows: mysql_cell.c */

/* The fields of a prepared statement's rows as values. */
struct mydb_cells;

/* columns tell what each field holds; title is what is read, for errors. NULL with err set. */
struct mydb_cells *mydb_cells_new(const struct column *const *columns, size_t count, const char *title,
                                  struct err *err);
void mydb_cells_free(struct mydb_cells *cells); /* accepts NULL */
/* After execution: checks that the fields are what they were described as. */
int mydb_cells_bind(struct conn *conn, struct mydb_cells *cells, MYSQL_STMT *stmt, struct err *err);
/* 1 and a row (borrowed until the next call), 0 after the last, or -1. */
int mydb_cells_fetch(struct conn *conn, struct mydb_cells *cells, MYSQL_STMT *stmt, const struct value **row,
                     struct err *err);

/* statements: mysql_bind.c, mysql_select.c */

/* A text with ? and what is bound to them. Starts with arena set and the rest zeroed. */
struct mydb_statement {
    struct arena *arena;
    struct buf sql;
    MYSQL_BIND *binds;
    size_t count, cap;
};

void mydb_name(struct buf *out, const char *name);
/* Bind one value; the ? is written by the caller. */
int mydb_bind_value(struct mydb_statement *statement, const struct column *column, const struct value *value,
                    struct err *err);
int mydb_bind_lowest(struct mydb_statement *statement, const struct column *column, struct err *err);
int mydb_bind_filter(struct mydb_statement *statement, const struct conn *conn, const struct column *column,
                     const struct config_value *value, struct err *err);
/* The text stays borrowed until the statement was executed. */
int mydb_bind_text(struct mydb_statement *statement, const char *text, size_t len, struct err *err);
int mydb_bind_parameter(struct mydb_statement *statement, const struct bound *bound, struct err *err);

/* Writes "(query) AS q" with the placeholders left as they are. */
void mydb_wrap(struct buf *out, const char *query);
/* Writes the statement that reads one range (NULL: everything), at most limit rows. */
int mydb_select(struct conn *conn, struct mydb_statement *statement, const struct plan *plan,
                const struct range *range, uint64_t limit, struct err *err);

/* The value of a column that the configuration writes, in arena: mysql_constant.c. */
int mydb_constant(const struct conn *conn, const struct column *column, const struct config_value *configured,
                  struct arena *arena, struct value *value, struct err *err);
/* Appends "t"."name" as it is compared and assigned; prefix may be "". */
void mydb_column_name(struct buf *out, const char *prefix, const struct column *column);

/* describing: mysql_describe.c; reading: mysql_read.c */

struct mydb_describing {
    struct conn *conn;
    const struct subject *subject;
    struct arena *arena;
    struct relation *relation;
    struct err *err;
    const char *schema, *table; /* as the catalogue writes them */
    const char *engine;         /* of a table, else NULL */
    const char **collations;    /* of the columns, or NULL */
    const char **type_names;    /* the catalogue's DATA_TYPE, or "json" where a check says so */
    struct mydb_facts *facts;   /* of the columns, or NULL */
    bool countable;             /* parameters that are integers stand where only a number can */
};

/* Writes the statement that reads what is described, with NULLs for parameters. */
int mydb_put_described(struct mydb_describing *d, struct buf *sql);

/* Asks with the texts values in place of each %, escaped. Returns the rows, or NULL with err set. */
MYSQL_RES *mydb_ask(struct mydb_describing *d, const char *sql, const char *const *values);
const char *mydb_keep(struct mydb_describing *d, const char *text);
/* The number of a column, in any case of letters; SIZE_MAX when there is none. */
size_t mydb_find_column(const struct relation *relation, const char *name);
/* Finds the key that was named. A query has no other. */
int mydb_named_key(struct mydb_describing *d);
/* Finds the key of a table and what its indexes do for it: mysql_index.c. */
int mydb_indexes(struct mydb_describing *d);

int mydb_list(struct conn *conn, const char *schema, struct arena *arena, struct listed **list, size_t *count,
              struct err *err);
int mydb_describe(struct conn *conn, const struct subject *subject, struct arena *arena,
                  struct relation **relation, struct err *err);
int mydb_read_open(struct conn *conn, const struct plan *plan, struct err *err);
int mydb_read_next(struct conn *conn, const struct value **row, struct err *err);
int mydb_read_close(struct conn *conn);

/* transactions: mysql_transaction.c */

int mydb_begin(struct conn *conn, bool write, double seconds, struct err *err);
int mydb_commit(struct conn *conn, struct err *err);
int mydb_rollback(struct conn *conn);
/* Bounds the session's lock waits and statements; seconds 0: as the server has it. */
int mydb_limit(struct conn *conn, unsigned seconds, struct err *err);
/* Finds out conn->packet and packet_most. */
int mydb_packet(struct conn *conn, struct err *err);

/* keys as JSON, which the server takes apart into its own types: mysql_key.c */

/* Can every part of the key be sent so, and has the table an index and transactions? */
int mydb_check_key(const struct target *target, struct err *err);
/* Appends the key of a row, "[1,\"a\"]". */
void mydb_put_key(struct buf *out, const struct target *target, const struct row *row);
/* Appends a text or NULL as JSON. */
void mydb_put_text(struct buf *out, const struct value *value);
/* Appends JSON_TABLE(source, '$[*]' COLUMNS (n ..., k0 ..., more)) AS k. strict: a part that is none of its type is
 * an error, else NULL. more may be "". */
void mydb_put_keys(struct buf *out, const struct target *target, const char *source, bool strict, const char *more);
/* Appends part i of the key as the table has it, from column k<i> of the above. */
void mydb_put_part(struct buf *out, const struct target *target, size_t i);
/* Appends " AND ..." for the parts that could lose letters on their way into the column's character set: those that
 * did are no key of any row. */
void mydb_put_kept(struct buf *out, const struct target *target);
/* Appends the target as t, read by the key's index, and ON t.key = part for all parts. */
void mydb_put_join(struct buf *out, const struct target *target);
/* Appends "the table AS t FORCE INDEX (the key's)". */
void mydb_put_target(struct buf *out, const struct target *target);

int mydb_rank(struct conn *conn, const struct target *target, const struct row *const *rows, size_t count,
              uint32_t *ranks, struct err *err);
int mydb_find_open(struct conn *conn, const struct target *target, const struct row *const *rows, size_t count,
                   enum find_mode mode, struct err *err);
int mydb_find_next(struct conn *conn, struct found *found, struct err *err);
int mydb_find_close(struct conn *conn);

/* parameters of many rows: mysql_array.c */

struct mydb_array; /* of one place: a value for each row */
struct mydb_arrays {
    struct arena *arena;
    struct mydb_array *items;
    size_t count, cap; /* places */
    size_t rows;
};

/* Adds a place for column. Returns its array, valid until the next; NULL: no memory. */
struct mydb_array *mydb_array_add(struct mydb_arrays *arrays, const struct column *column, struct err *err);
int mydb_array_set(struct mydb_arrays *arrays, struct mydb_array *array, size_t row, const struct value *value,
                   struct err *err);
/* Bytes that the row's values take in a packet, about. */
size_t mydb_array_size(const struct mydb_arrays *arrays, size_t row);
/* Fills count binds, which point at the values of one row, or at those from it on for execution in bulk. */
void mydb_arrays_bind(const struct mydb_arrays *arrays, size_t row, bool bulk, MYSQL_BIND *binds);

/* writing: mysql_write.c */

int mydb_insert(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);
int mydb_update(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);
int mydb_erase(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);
/* Appends what a special sets: mysql_special.c. Where it has a ?, *bound is true and value is what is bound.
 * prefix stands before the name of an old row's column; NULL: there is no old row. */
int mydb_put_special(struct conn *conn, struct buf *out, const char *prefix, const struct relation *relation,
                     const struct special *special, struct arena *arena, struct value *value, bool *bound,
                     struct err *err);

/* full syncs: mysql_sync.c, mysql_sweep.c */

int mydb_sync_prepare(struct conn *conn, const struct target *target, struct err *err);
int mydb_sync_lock(struct conn *conn, const struct target *target, bool exclusive, struct sync_state *state,
                   struct arena *arena, struct err *err);
int mydb_sync_receipt(struct conn *conn, const struct target *target, const char *sequence_id,
                      const char *request_id, struct receipt *receipt, struct arena *arena, struct err *err);
int mydb_sync_is_over(struct conn *conn, const struct target *target, const char *sequence_id, bool *over,
                      struct err *err);
int mydb_sync_begin(struct conn *conn, const struct target *target, const char *sequence_id, struct err *err);
int mydb_sync_add(struct conn *conn, const struct target *target, const struct sync_state *state, const char *seen,
                  size_t seen_len, const struct receipt *receipt, struct err *err);
int mydb_sync_end(struct conn *conn, const struct target *target, const char *sequence_id, struct err *err);
int mydb_seen(const struct target *target, const struct row *row, struct buf *out, struct err *err);
int mydb_sweep(struct conn *conn, const struct sweep *sweep, uint64_t enough, uint64_t *rows, uint64_t *total,
               struct err *err);
/* Calls add for the parts of a list of seen keys, each a list of its own of about most bytes. */
int mydb_each_part(const char *seen, size_t len, size_t most, struct err *err,
                   int (*add)(void *arg, const char *part, size_t part_len, struct err *err), void *arg);
/* Appends the schema of the target, quoted, and a point. */
void mydb_put_schema(struct buf *out, const struct target *target);
/* Appends `schema`.*, as it stands in a grant on all tables of the target's schema. */
void mydb_put_all(struct buf *out, const struct target *target);

/* Makes a sink's table, see driver.h. */
int mydb_create_sql(struct conn *conn, const struct config_sink *sink, struct buf *sql, struct err *err);
int mydb_create(struct conn *conn, const struct config_sink *sink, struct err *err);

/* What the role lacks, see driver.h. */
int mydb_reading(struct conn *conn, const char *schema, const char *table, struct buf *mend, struct err *err);
int mydb_rights(struct conn *conn, const struct config_sink *sink, const struct target *target, struct buf *mend,
                struct err *err);
int mydb_tables(struct conn *conn, const struct config_sink *sink, const struct target *target,
                struct tables *tables, struct err *err);

/* Prepares and executes a statement; its rows, if any, are to be read. */
int mydb_execute_on(struct conn *conn, MYSQL_STMT *stmt, struct mydb_statement *statement, const char *what,
                    struct err *err);
/* The same for one without rows. affected may be NULL. */
int mydb_execute(struct conn *conn, struct mydb_statement *statement, const char *what, uint64_t *affected,
                 struct err *err);

/* What sql_mode holds, but for its being strict, which MYDB_STRICT adds. */
#define MYDB_MODE "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO"
#define MYDB_STRICT "STRICT_TRANS_TABLES,STRICT_ALL_TABLES," MYDB_MODE

/* Runs a statement without rows. */
int mydb_run(struct conn *conn, const char *sql, const char *what, struct err *err);

/* the horizon */

/* A session that ran a statement when a sample was taken. */
struct mydb_session {
    uint64_t thread;
    int64_t since; /* no later than the statement's beginning; microseconds since 1970, as all times here */
};

/* A transaction that InnoDB had open. */
struct mydb_trx {
    uint64_t thread; /* 0: no session's, such as a prepared XA transaction whose session has gone */
    uint64_t id;     /* 0: it has none, since it has not written */
    int64_t started; /* by the server's own clock and zone, in seconds: only to tell two from each other */
    bool reads;      /* it was declared READ ONLY */
    int64_t bound;   /* no row of it is of an earlier time: mydb_watch_add */
    bool unknown;    /* nobody knows its bound */
};

/* Starts zeroed. */
struct mydb_sample {
    int64_t time; /* the server's clock before it was taken */
    bool replica; /* a session applies what another server wrote */
    struct mydb_session *sessions;
    size_t session_count, session_cap;
    struct mydb_trx *trxs;
    size_t trx_count, trx_cap;
};

void mydb_sample_reset(struct mydb_sample *sample);
void mydb_sample_free(struct mydb_sample *sample);
/* 0, or -1: no memory. */
int mydb_sample_session(struct mydb_sample *sample, struct mydb_session session);
int mydb_sample_trx(struct mydb_sample *sample, struct mydb_trx trx);

enum mydb_hold { MYDB_HOLD_NONE, MYDB_HOLD_STATEMENT, MYDB_HOLD_TRX, MYDB_HOLD_UNKNOWN };

/* What the samples of one server tell together: mysql_watch.c. Starts zeroed. */
struct mydb_watch {
    struct mydb_sample last;
    struct mydb_sample ahead; /* clock and statements that belong to the next picture */
    size_t samples;
    bool known;
    int64_t horizon;     /* if known: no row that is committed later is of an earlier time */
    int64_t lowest;      /* of the last sample alone */
    enum mydb_hold hold; /* who keeps it below the last sample's time */
    uint64_t holder;     /* its thread */
};

/* Adds the next sample; leaves a former one in its place, for its memory. */
void mydb_watch_add(struct mydb_watch *watch, struct mydb_sample *sample);
void mydb_watch_free(struct mydb_watch *watch);

/* Takes samples on a connection of its own: mysql_sample.c. Starts with conn set and the rest zeroed. */
struct mydb_look {
    struct conn *conn;
    bool by_procedure; /* the role lacks PROCESS, a procedure has it */
    bool open;         /* our own transaction should be in the picture */
    bool blind;        /* the role may not ask whether the server is a replica */
};

/* Can this server's sessions tell what rows are to come, and may the role ask? ERR_DATABASE with what can be done. */
int mydb_look_begin(struct mydb_look *look, struct err *err);
/* The first part of a sample: clock and statements. */
int mydb_look_sessions(struct mydb_look *look, struct mydb_sample *sample, struct err *err);
/* The second part. *why is why the picture cannot be used, and the call is to be made again after some time; or
 * NULL. */
int mydb_look_trxs(struct mydb_look *look, struct mydb_sample *sample, const char **why, struct err *err);
/* Who a thread is, as far as the role may know: "session 4711 of user 'app'". */
void mydb_look_name(struct mydb_look *look, uint64_t thread, char *text, size_t size);
/* The same of transactions without a session: "prepared XA transaction 'x1'". */
void mydb_look_prepared(struct mydb_look *look, char *text, size_t size);

/* What the sampler knows: mysql_sampler.c. */
struct mydb_answer {
    unsigned long epoch;    /* of the connection that watches */
    unsigned long thread;   /* its thread */
    char lock[64];          /* which only it holds, and only on its server */
    struct horizon horizon; /* but for the clock and the zone */
};

/* Waits until it knows something of late. conn is the connection that will read; it is only looked at for its being
 * cancelled. */
int mydb_sampler_ask(struct sampler *sampler, struct conn *conn, struct mydb_answer *answer, struct err *err);
/* The connection of that epoch has reached another server: it shall connect again. */
void mydb_sampler_renew(struct sampler *sampler, unsigned long epoch);

struct sampler *mydb_sampler_new(const struct config_system *system);
void mydb_sampler_free(struct sampler *sampler);
/* Opens a connection whose every answer must come within seconds. */
int mydb_open_bounded(struct conn **conn, const struct config_system *system, unsigned seconds, struct err *err);

/* See driver.h: mysql_horizon.c. */
int mydb_horizon(struct conn *conn, struct sampler *sampler, const struct horizon_question *question,
                 struct horizon *horizon, struct err *err);
int mydb_newest(struct conn *conn, const struct plan *plan, struct arena *arena, struct value *value, struct err *err);
/* Writes the statement that reads the highest updated value: mysql_select.c. */
int mydb_select_newest(struct mydb_statement *statement, const struct plan *plan, struct err *err);

/* Finds relation->outside: mysql_outside.c. */
int mydb_outside(struct mydb_describing *d);

/* Change logs, see driver.h: mysql_log.c. */
int mydb_log_find(struct conn *conn, const struct relation *table, struct arena *arena, struct change_log *log,
             struct err *err);
int mydb_log_sql(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *sql,
            struct err *err);
int mydb_log_mark(struct conn *conn, const struct change_log *log, struct change_mark *mark, struct err *err);
int mydb_log_missed(struct conn *conn, const struct relation *table, const struct change_log *log,
               struct change_missed *missed, struct err *err);
int mydb_log_risks(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *risks,
              struct err *err);

#endif
