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

/* columns: mysql_type.c */

/* column->number is the library's field type; column->modifier holds these. */
enum mydb_flag {
    MYDB_ENUM = 1,     /* text or list, but orders by the number of the member */
    MYDB_DOCUMENT = 2, /* JSON and geometry: order by nothing that a text could be compared with */
    MYDB_INET6 = 4,
    MYDB_INET4 = 8,
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
int mydb_bind_parameter(struct mydb_statement *statement, const struct bound *bound, struct err *err);

/* Writes "(query) AS q" with the placeholders left as they are. */
void mydb_wrap(struct buf *out, const char *query);
/* Writes the statement that reads one range (NULL: everything), at most limit rows. */
int mydb_select(struct conn *conn, struct mydb_statement *statement, const struct plan *plan,
                const struct range *range, uint64_t limit, struct err *err);

/* describing: mysql_describe.c; reading: mysql_read.c */

struct mydb_describing {
    struct conn *conn;
    const struct subject *subject;
    struct arena *arena;
    struct relation *relation;
    struct err *err;
    const char *schema, *table; /* as the catalogue writes them */
    const char **collations;    /* of the columns, or NULL */
    const char **type_names;    /* the catalogue's DATA_TYPE, or "json" where a check says so */
};

/* Asks with the texts values in place of each %, escaped. Returns the rows, or NULL with err set. */
MYSQL_RES *mydb_ask(struct mydb_describing *d, const char *sql, const char *const *values);
const char *mydb_keep(struct mydb_describing *d, const char *text);
/* The number of a column, in any case of letters; SIZE_MAX when there is none. */
size_t mydb_find_column(const struct relation *relation, const char *name);
/* Finds the key that was named. A query has no other. */
int mydb_named_key(struct mydb_describing *d);
/* Finds the key of a table and what its indexes do for it: mysql_index.c. */
int mydb_indexes(struct mydb_describing *d);

int mydb_describe(struct conn *conn, const struct subject *subject, struct arena *arena,
                  struct relation **relation, struct err *err);
int mydb_read_open(struct conn *conn, const struct plan *plan, struct err *err);
int mydb_read_next(struct conn *conn, const struct value **row, struct err *err);
int mydb_read_close(struct conn *conn);

/* Runs a statement without rows. */
int mydb_run(struct conn *conn, const char *sql, const char *what, struct err *err);

#endif
