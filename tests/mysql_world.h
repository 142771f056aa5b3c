/* What the tests of the MySQL driver share: a connection of the client library to prepare tables by, one
 * of the driver to read by, and rows rendered as text, kinds included. Failing here fails the test. */
#ifndef TESTS_MYSQL_WORLD_H
#define TESTS_MYSQL_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/mysql.h"
#include "db_contract.h"

/* The library's own connection. native_run is as struct db_contract wants it. */
MYSQL *native_open(const struct config_system *system);
bool native_is_mariadb(MYSQL *native);
int native_run(void *native, const char *statement);
/* The first field of the first row, "" when there is none; until the next call. */
const char *native_ask(MYSQL *native, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct world {
    const struct config_system *system;
    MYSQL *native;
    struct conn *conn;
    struct arena *arena; /* a test's */
    struct err err;
};

extern struct world world;

/* Setup and teardown of a test: opens and closes the driver's connection. */
int world_open(void **state);
int world_close(void **state);

void world_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
struct relation *world_describe(const struct subject *subject);
struct relation *world_table(const char *table, const char *updated);
struct column *world_column(const struct relation *relation, const char *name);
/* A plan that reads all columns, and a copy of a row that lasts. */
struct plan world_plan(const struct relation *relation, enum plan_order order, const char *updated);
const struct value *world_copy(const struct value *row, size_t count);
/* "int:1 text:a null", rows on lines of their own. */
const char *world_text(const struct value *row, size_t count);
const char *world_read(const struct plan *plan);
void world_expect(int result, enum err_code code, const char *part);

int mysql_types_run(const struct config_system *system, MYSQL *native);
int mysql_keys_run(const struct config_system *system, MYSQL *native);
int mysql_sessions_run(const struct config_system *system, MYSQL *native);
int mysql_write_run(const struct config_system *system, MYSQL *native);

#endif
