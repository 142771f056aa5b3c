/* A sink's schema_definition as the SQL that makes its table. What a database calls things, its driver tells. */
#ifndef DB_DEFINITION_H
#define DB_DEFINITION_H

#include "db/driver.h"

struct definition {
    struct conn *conn;
    const struct config_sink *sink;
    void (*quote)(struct conn *conn, struct buf *out, const char *name);
    /* Appends the column's type. */
    void (*put_type)(const struct definition *definition, struct buf *out, const struct config_column *column);
    /* Appends a text as a literal, escaped by the client library. */
    int (*put_text)(struct conn *conn, struct buf *out, const char *text, struct err *err);
    /* Appends the index of a column as part of the table; NULL: indexes have statements of their own. */
    void (*put_index)(const struct definition *definition, struct buf *out, const struct config_column *column);
    const char *timezone; /* in which datetimes without a zone are kept; NULL: UTC */
    const char *options;  /* what stands behind the table's parenthesis */
};

/* Appends the statements, each with ";\n" behind it. Made again they do nothing. */
int definition_write(const struct definition *definition, struct buf *out, struct err *err);

/* The bits that integers within the bounds take: 16, 32, 64, or 0 for more. */
unsigned definition_bits(const struct config_column *column);
/* Digits of the largest, for integers of more than 64 bits. */
unsigned definition_digits(const struct config_column *column);
/* The greatest length of a string or of bytes; 0: none is told. */
size_t definition_size(const struct config_column *column);

/* The error of a role that may not make the table, with what somebody else could run as hint. Returns -1. */
int definition_refused(const struct config_sink *sink, const char *why, const char *sql, struct err *err);

#endif
