/* What the tests of the contract share: a connection to read by, and rows rendered as text so that a test
 * can say in one line what it expects. Failing here fails the test. */
#ifndef TESTS_DB_SESSION_H
#define TESTS_DB_SESSION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db_contract.h"

/* The contract that runs. */
extern const struct db_contract *contract;

struct session {
    struct conn *conn;
    struct session *other; /* a second one, see session_other */
    struct arena *arena; /* holds all that the functions below give */
    const char *query;   /* of the last description, for the plans made from it; NULL for a table */
    struct err err;
};

/* Setup and teardown of a test: *state is a struct session with an open connection. */
int session_setup(void **state);
int session_teardown(void **state);

/* Closes the connection and opens another. */
void session_reopen(struct session *session);

/* A second connection beside it, opened when it is first asked for; closed with the test. */
struct session *session_other(struct session *session);

/* Prepares the database, by the native library. */
void sql(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes an empty table contract_`name`; a former one is dropped. columns is what stands in parentheses,
 * where {integer}, {text}, {key_text}, {folded}, {datetime} and {uuid} are the dialect's types. */
void sql_table(const char *name, const char *columns);

/* The name quoted as an identifier. */
const char *quoted(struct session *session, const char *name);

/* Describes; the subject's names as in the configuration. */
struct relation *describe(struct session *session, const struct subject *subject);
struct relation *describe_table(struct session *session, const char *table);
struct relation *describe_query(struct session *session, const char *query, const char *key);

size_t column_index(const struct relation *relation, const char *name);

/* A plan that reads all columns in no order. updated may be NULL. */
struct plan plan_all(struct session *session, const struct relation *relation, const char *updated);
/* The same in the order of the key, or of (updated, key) with the NULLs first. */
struct plan plan_by_key(struct session *session, const struct relation *relation);
struct plan plan_by_updated(struct session *session, const struct relation *relation, const char *updated);
/* Makes it read just these columns; names are separated by spaces. */
void plan_columns(struct session *session, struct plan *plan, const char *names);

struct rows {
    const struct value **row;
    size_t count;
};

/* A row that outlives the stream. */
const struct value *row_copy(struct session *session, const struct value *row, size_t count);

/* Runs a plan from read_open to a clean read_close. */
struct rows read_all(struct session *session, const struct plan *plan);

/* "1|a|NULL 2|b|NULL": values joined by |, rows by blanks. Bytes and uuids in hex, datetimes as
 * microseconds, lists in brackets. */
const char *rows_text(struct session *session, const struct rows *rows, size_t values);
const char *read_text(struct session *session, const struct plan *plan);

/* Where a row stands in the stream, for a plan that reads all columns. */
struct position *position_of(struct session *session, const struct plan *plan, const struct value *row);
/* Makes the plan go on after a row. */
void plan_resume(struct session *session, struct plan *plan, const struct value *row);

/* Fails the test unless the call failed with this code and says something. */
void expect_error(struct session *session, int result, enum err_code code);

/* The tests, in files of their own. */
extern const struct CMUnitTest contract_describe_tests[], contract_read_tests[], contract_resume_tests[],
    contract_failure_tests[], contract_write_tests[], contract_sync_tests[];
extern const size_t contract_describe_count, contract_read_count, contract_resume_count,
    contract_failure_count, contract_write_count, contract_sync_count;

#endif
