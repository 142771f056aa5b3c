/* What the contract's tests of writing share: targets, rows written as they are read ("1|Kari|30 2|Ola|NULL",
 * as rows_text has them), and the calls of a transaction that fail the test unless all goes well. */
#ifndef TESTS_DB_WRITING_H
#define TESTS_DB_WRITING_H

#include "db_session.h"

/* A table as a sink sees it. columns are separated by blanks, those of the key first; what find gives are the
 * same. NULL: all columns, which then begin with the key's. */
struct target *target_of(struct session *session, const char *table, const char *columns);

/* Rows of a target, in the order they are written down. Values are brought to the column's form as a push
 * does. */
struct batch {
    struct row **rows;
    size_t count;
};
struct batch batch_of(struct session *session, const struct target *target, const char *text);
/* count rows with the integer keys first, first + 1, ... and, in every other column, "x" or the key again. */
struct batch batch_numbered(struct session *session, const struct target *target, int64_t first,
                            size_t count);
/* Sets one value of a row, brought to the column's form. */
void batch_set(struct session *session, const struct target *target, struct batch *batch, size_t row,
               size_t place, struct value value);

/* transactions */

void begin(struct session *session);
void commit(struct session *session);
void rollback(struct session *session);
/* After an expected failure: gives up the transaction and forgets the error. */
void give_up(struct session *session);

/* writing */

/* All places of an insert; of an update those beyond the key; of an erase none. */
struct write write_of(struct session *session, const struct target *target, const struct batch *batch,
                      bool insert);

void insert(struct session *session, const struct target *target, const struct batch *batch);
void update(struct session *session, const struct target *target, const struct batch *batch);
void erase(struct session *session, const struct target *target, const struct batch *batch);

/* What find gives, as text. The batch's rows get the stamps; those that are not there keep theirs. Fails the
 * test when a row found is not the one that was looked for, or comes out of order. */
const char *find_text(struct session *session, const struct target *target, const struct batch *batch,
                      enum find_mode mode);
/* The same, which may fail. Returns 0 or -1. */
int try_find(struct session *session, const struct target *target, const struct batch *batch,
             enum find_mode mode, struct rows *rows);

/* The whole table in the order of its key, as anybody sees it who begins to read now: on the other
 * connection. */
const char *table_text(struct session *session, const struct target *target);
size_t table_count(struct session *session, const struct target *target);

/* A special of a column. text is a config_value's; NULL is CONFIG_NULL, or none for the other kinds. */
struct special special_of(const struct target *target, const char *column, enum special_kind kind,
                          enum config_value_type type, const char *text);

bool has_feature(enum feature feature);

#endif
