/* A database that does what a test says: one table, its rows, and when what fails. It keeps count of what it
 * was asked. The rows come in the script's order, whatever the plan says; only the plan's columns and limit
 * are heeded. */
#ifndef TESTS_SCRIPTED_H
#define TESTS_SCRIPTED_H

#include <stdatomic.h>

#include "db/driver.h"

struct script {
    struct config_system system; /* first: it is how the driver finds the script */

    struct relation relation;
    const struct value *rows; /* row after row, each a value for each column */
    size_t row_count;

    /* What fails. Lists are used up from their beginning, a call each, and end with ERR_NONE, which is no
     * failure, as are all calls after it. NULL: nothing fails. */
    const enum err_code *open_fails, *describe_fails, *read_fails;
    size_t row_fails;                      /* read_next fails when this many rows were given, with ... */
    enum err_code row_error;               /* ERR_NONE: it does not */
    bool broken_by_close;                  /* read_close wants the connection closed */
    void (*at_row)(void *arg, size_t row); /* called before each row */
    void *at_row_arg;
    atomic_uint dead; /* connections up to this number are dead */

    /* What was asked. */
    atomic_uint opened, closed, described, reads, read_closes, cancelled, open_now, most_open;
    struct plan plan;       /* the last; what it points to is gone */
    struct range ranges[2]; /* of it */
};

/* Sets what every test needs: names, UTC, a pool of ten, and times that no test waits for. */
void script_begin(struct script *script);

extern const struct driver script_driver;

#endif
