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
};

/* Type oids as in the server's pg_type.dat; they never change. */
enum pg_type {
    PG_BOOL = 16, PG_BYTEA = 17, PG_NAME = 19, PG_INT8 = 20, PG_INT2 = 21, PG_INT4 = 23, PG_TEXT = 25,
    PG_OID = 26, PG_JSON = 114, PG_CIDR = 650, PG_FLOAT4 = 700, PG_FLOAT8 = 701, PG_INET = 869,
    PG_BPCHAR = 1042, PG_VARCHAR = 1043, PG_DATE = 1082, PG_TIMESTAMP = 1114, PG_TIMESTAMPTZ = 1184,
    PG_NUMERIC = 1700, PG_UUID = 2950, PG_JSONB = 3802, PG_XID8 = 5069,
};

/* Sets err from a failed result or, where result is NULL, from the connection. what begins the text.
 * Returns -1. Does not clear the result. */
int postgres_error(PGconn *pg, const PGresult *result, const char *what, struct err *err);

/* Runs a statement with text parameters and returns its rows, or NULL with err set. */
PGresult *postgres_query(struct conn *conn, const char *sql, size_t count, const char *const *values,
                         const char *what, struct err *err);

/* Appends "name" quoted, or 'text' escaped by the client library. Returns 0, or -1 with err set. */
int postgres_identifier(struct conn *conn, struct buf *out, const char *name, struct err *err);
int postgres_literal(struct conn *conn, struct buf *out, const char *text, size_t len, struct err *err);

int postgres_describe(struct conn *conn, const struct subject *subject, struct arena *arena,
                      struct relation **relation, struct err *err);

/* Appends query with its placeholders replaced by literals. since may be NULL, see struct plan. */
int postgres_bind(struct conn *conn, struct buf *out, const char *query, const struct plan *plan,
                  struct err *err);
/* Appends a literal of the column's type. */
int postgres_value(struct conn *conn, struct buf *out, const struct column *column,
                   const struct value *value, struct err *err);
/* Writes the statement that reads one range, at most limit rows. */
int postgres_select(struct conn *conn, struct buf *out, const struct plan *plan, const struct range *range,
                    uint64_t limit, struct err *err);

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

#endif
