/* Bytes that are written once and then read in any order: in memory while they are few, then in an unlinked
 * temporary file. */
#ifndef PUSH_SPOOL_H
#define PUSH_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct spool;

/* memory: so many bytes are kept in memory. folder: where the file goes. Both are borrowed. */
struct spool *spool_new(size_t memory, const char *folder);
void spool_free(struct spool *spool); /* accepts NULL */

/* Keeps no more than so many bytes in memory from now on, or as many as it has. */
void spool_limit(struct spool *spool, size_t memory);

/* Appends. A full disk is ERR_BUSY ("no space left ...", hint: spool_directory); -1 leaves it unusable. */
int spool_put(struct spool *spool, const void *bytes, size_t len, struct err *err);
uint64_t spool_size(const struct spool *spool);

/* The bytes at offset: borrowed from the spool where it has them in memory (then until spool_free), else copied into
 * arena, unaligned and with no NUL behind. NULL with err set. Only after the last spool_put. What is read in the order
 * it was put is read ahead. */
const char *spool_get(struct spool *spool, uint64_t offset, size_t len, struct arena *arena, struct err *err);

/* Are all bytes in memory? */
bool spool_in_memory(const struct spool *spool);

#endif
