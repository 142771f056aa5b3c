/* Memory that is freed all at once: one arena a request, one a configuration, one a description of a
 * table. Pointers stay valid until arena_free. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena;

/* NULL when there is no memory. */
struct arena *arena_new(void);
void arena_free(struct arena *arena);

/* Frees what was allocated, but keeps one chunk of memory to begin with again. */
void arena_reset(struct arena *arena);

/* Zeroed, aligned for any type; NULL when there is no memory. */
void *arena_alloc(struct arena *arena, size_t size);

/* count elements of size bytes; NULL also when the product overflows. */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* Copies with a NUL behind; arena_copy takes any bytes. NULL when there is no memory. */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_copy(struct arena *arena, const void *bytes, size_t len);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
