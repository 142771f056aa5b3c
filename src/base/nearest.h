/* Which name did they mean? For hints about names that are not there. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

/* The letters to add, take away or change to make the one name from the other; upper and lower case of
 * ASCII are the same. SIZE_MAX for names longer than anybody mistypes. */
size_t nearest_distance(const char *a, const char *b);

/* Is a name at this distance worth mentioning? A third of the letters may be wrong. */
bool nearest_worth(const char *name, size_t distance);

/* A search for it among names that are offered one by one. */
struct nearest {
    const char *wanted;
    size_t distance;
    char name[128]; /* the nearest until now */
};

void nearest_begin(struct nearest *nearest, const char *wanted);
void nearest_offer(struct nearest *nearest, const char *name);

/* NULL when none was worth mentioning. Borrowed from the search. */
const char *nearest_found(const struct nearest *nearest);

#endif
