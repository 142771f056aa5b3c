/* A source whose changes come from the log that triggers keep of its table: what is read is the log, and what the table
 * holds of each key. A row of the log without one in the table is a deletion.
 *
 * Old deletions can be pruned. A token says how often that had been done when it was given, so that one from before
 * can be told from one of a full read that began later:
 *
 *     token = token of entity/since.h "!!" prunes
 *
 * No part of a token is empty, so this is no part of its position, and stands before all that has one more. */
#ifndef PULL_CHANGELOG_H
#define PULL_CHANGELOG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "db/driver.h"
#include "entity/since.h"

struct changelog {
    struct change_log log;
    const struct relation *table;
    struct relation *relation; /* what is read: the table's columns, then the change, then whether the row is gone */
    size_t own;                /* the table's columns */
    size_t gone;               /* index of the last column */
};

/* Describes what is read of a table and its log. ERR_DATABASE where the log is not there, or misses changes. */
int changelog_describe(struct changelog *changelog, const struct driver *driver, struct conn *conn,
                       const struct relation *table, struct arena *arena, struct err *err);

/* Describes a table and finds its log, which may not be there yet. The table's key can be one of a log. */
int changelog_find(struct change_log *log, const struct driver *driver, struct conn *conn, const struct relation *table,
                   struct arena *arena, struct err *err);

/* Does a log that is there have the table's key? ERR_DATABASE if not. */
int changelog_check_key(const struct change_log *log, const struct driver *driver, struct conn *conn,
                        const struct relation *table, struct arena *arena, struct relation **described, struct err *err);

/* What a request's token says beyond its position. */
uint64_t changelog_prunes(const char *text);
/* The token without it, in arena; NULL when there is no memory. A since that is no token is left as it is. */
const char *changelog_position(const char *text, struct arena *arena);

/* ERR_GONE when what happened since may have been pruned, or the log was put back to an earlier state. prunes is what
 * the token said of them. */
int changelog_resume(const struct change_mark *mark, uint64_t prunes, const struct since *since, struct err *err);

#endif
