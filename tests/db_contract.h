/* What every driver must do, whichever database is behind it: tests over src/db/driver.h that know no
 * database. A driver's test gives it a connection of the native library for preparing tables and a few
 * words of the database's dialect, and adds tests of its own for what only that database can do.
 *
 *     static int run(void *arg, const char *sql);     by the native library, on a connection of its own
 *
 *     int main(void)
 *     {
 *         struct config *config = NULL;
 *         const struct config_system *system = db_contract_system("SESAM_SQL_TEST_POSTGRESQL", &config);
 *         if (!system)
 *             return DB_CONTRACT_SKIP;
 *         struct db_contract contract = {.driver = &driver_postgresql, .system = system, .sql = run, ...};
 *         int failed = db_contract_run(&contract);
 *         config_free(config);
 *         return failed;
 *     }
 *
 * Everything it makes in the database is called contract_something; what stands there is dropped first. */
#ifndef TESTS_DB_CONTRACT_H
#define TESTS_DB_CONTRACT_H

#include "config/config.h"
#include "db/driver.h"

/* The exit status that automake counts as skipped. */
#define DB_CONTRACT_SKIP 77

/* Words of a dialect. None is NULL unless said so. */
struct db_dialect {
    char quote;            /* the quotation mark of identifiers */
    const char *integer;   /* a column type of 64 bits: "bigint" */
    const char *text;      /* a column type for texts of any length: "text", "longtext" */
    const char *key_text;  /* a text that can be a key and orders bytewise: "text collate \"C\"" */
    const char *datetime;  /* with microseconds: "timestamp(6) with time zone", "datetime(6)"; SQLite: as the
                              driver wants it declared. Literals are '2024-01-02 03:04:05.000006' */
    const char *uuid;      /* NULL: there is no such type */
    const char *long_text; /* an expression: a text of 1048576 times x */
    const char *failing;   /* an expression over the integer column r.id that is an error where that is 5000,
                              once it is evaluated: "10 / (r.id - 5000)". It may use the table
                              contract_numbers (n), which holds 0 .. 99999 */
    const char *slow;      /* a query with a column id whose first row takes a minute at least */
    const char *writing;   /* a query with a column id that would insert a row into contract_written (id)
                              when it is read, by a function that setup makes; NULL: there is no such */
    const char *const *setup; /* statements run once, after contract_written was made; ends with a NULL;
                                 or NULL. They must bear being run again */

    /* for db_contract_write_run */
    const char *folded;    /* a column type for short texts that can be a key and takes upper and lower case of
                              ASCII for the same: "text collate nocase" */
    bool text_without_nul; /* a text cannot hold a NUL */
    const struct config_system *limited; /* the same database with a role that may make no tables; NULL: the
                                            database knows no rights */
    const char *grant; /* lets that role read and write contract_limited; run after the table was made */
};

struct db_contract {
    const struct driver *driver;
    const struct config_system *system;
    /* Runs one statement that gives no rows, and commits at once. Returns 0; or -1 after it said why on
     * standard error. */
    int (*sql)(void *arg, const char *statement);
    void *arg;
    struct db_dialect dialect;
};

/* The system that the environment variable describes (the JSON of an entry in `systems`), named "test".
 * NULL when it is not set, said on standard output so that the skipping is seen; ends the program when it
 * is wrong. Free config with config_free; system is borrowed from it. */
const struct config_system *db_contract_system(const char *variable, struct config **config);

/* The same from the JSON itself. */
const struct config_system *db_contract_system_json(const char *json, struct config **config);

/* Runs all tests of connecting, describing and reading. Returns how many failed. */
int db_contract_run(const struct db_contract *contract);

/* Runs all tests of writing. Returns how many failed. */
int db_contract_write_run(const struct db_contract *contract);

#endif
