/* Finds the :name placeholders in a SQL text of the configuration: those outside of string literals,
 * quoted names, comments and ::casts. It knows each database's way of quoting and nothing else of SQL. */
#ifndef CONFIG_PLACEHOLDER_H
#define CONFIG_PLACEHOLDER_H

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "config/config.h"

struct placeholder {
    size_t start, end; /* ":name" stands at sql[start .. end) */
    const char *name;  /* without the colon */
};

/* In order of appearance; the same name may come more than once. List and names live in arena. Fails on
 * a literal, quoted name or comment that does not end. */
int placeholder_find(const char *sql, enum config_database database, struct arena *arena,
                     struct placeholder **list, size_t *count, struct err *err);

#endif
