/* Reads JSON by the tables of schema.h into the structs of config.h, and collects the mistakes. Functions
 * return 0, or -1 when a mistake was reported (or memory ran out: err is set then). Reading goes on after
 * a mistake, so that all of them are told; what was wrong keeps its default. */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"
#include "config/schema.h"

struct reader {
    struct arena *arena;
    struct config *config;
    struct buf *mistakes;
    size_t mistake_count;
    struct err *err;
};

/* Where we are in the document. Lives on the stack of those who walk it. */
struct path {
    const struct path *up; /* NULL: the document; then the rest does not matter */
    const char *name;      /* NULL: an element of a list */
    size_t index;
};

/* Reports a mistake: "sources.customers.tabel: unknown key". It must not quote a string's value. Returns -1.
 */
int reader_mistake(struct reader *reader, const struct path *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same about the member or element at path. */
int reader_mistake_at(struct reader *reader, const struct path *path, const char *name, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));

/* Appends "sources.customers.whitelist[2]". */
void reader_put_path(struct buf *out, const struct path *path);

/* Reads an object by a section's table; target may be NULL (only checked). */
int reader_section(struct reader *reader, const struct section *section, const struct path *path,
                   json_t *object, void *target);

/* A string with its ${...} replaced, in the arena; NULL after a mistake. */
const char *reader_text(struct reader *reader, const struct path *path, json_t *value);
/* The same, refusing the empty string. */
const char *reader_filled(struct reader *reader, const struct path *path, json_t *value);
int reader_number(struct reader *reader, const struct path *path, json_t *value, double min, double max,
                  double *number);

/* A scalar; lists and objects are mistakes. */
int reader_value(struct reader *reader, const struct path *path, json_t *value, struct config_value *place);

/* "expected a string, found a number" */
int reader_expected(struct reader *reader, const struct path *path, const char *what, json_t *found);

/* Is the key written? */
bool reader_has(const json_t *object, const char *name);
/* Is it absent, or an empty list? */
bool reader_lacks(const json_t *object, const char *name);
/* Was a required KEY_CHOICE read? */
static inline bool reader_told(int choice)
{
    return choice >= 0;
}

bool reader_list_has(const struct config_list *list, const char *item);

/* Can a name be a segment of a URL's path, and be printed? Reports what is wrong. */
int reader_check_name(struct reader *reader, const struct path *path, const char *name);

/* Adds to a list in the arena. */
int reader_append(struct reader *reader, struct config_list *list, const char *item);

#endif
