/* What went wrong, told once: a code that decides the answer's status, a text for people and a hint
 * that says what to do. A struct err starts zeroed; the first failure wins. Not a log. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum err_code {
    ERR_NONE = 0,
    ERR_INPUT,     /* a bad parameter or body: 400 */
    ERR_NOT_FOUND, /* an unknown name or subset: 404 */
    ERR_CHAIN,     /* a full sync's chain is broken: 409, and nothing else is */
    ERR_GONE,      /* a token this database cannot continue from: 410 */
    ERR_CONFLICT,  /* an entity's version is not the row's: 412 */
    ERR_LARGE,     /* a body or an entity is too large: 413 */
    ERR_REFUSED,   /* an entity that cannot be stored, or a deletion that is too much: 422 */
    ERR_DATABASE,  /* the configuration's or the schema's fault (table, column, right): 500 */
    ERR_CHANGED,   /* as ERR_DATABASE, and it smells of a changed table: read the catalogue again */
    ERR_VALUE,     /* as ERR_DATABASE, and it was about a value: one of the request's, if it brought any */
    ERR_AWAY,      /* the database is away, or does not want us now: 503 */
    ERR_LOST,      /* as ERR_AWAY, and it was this connection that broke: another one may work */
    ERR_RACE,      /* as ERR_AWAY, and it was another transaction that was in the way: running again may work */
    ERR_BUSY,      /* the pool is exhausted, a lock was not had in time: 503 */
    ERR_CANCELLED, /* called off, see base/cancel.h; mostly nobody is left to answer */
    ERR_CONFIG,    /* the configuration cannot be used: the program says so and stops */
    ERR_INTERNAL,  /* memory, files, a library: 500 */
};

struct err {
    enum err_code code;
    char text[640]; /* what was attempted, on what, why it failed; lower case, no full stop */
    char hint[480]; /* what to do about it, or "" */
};

/* Sets the error unless one is set already, and returns -1, so that reporting is returning. A text that
 * is too long is cut at a whole character. err may be NULL. */
int err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds the remedy to an error that has none yet. Returns -1. */
int err_hint(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "out of memory" as an error. Returns -1. */
int err_memory(struct err *err);

/* Forgets the error, for those who try another way. */
void err_clear(struct err *err);

#endif
