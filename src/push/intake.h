/* Takes a request's body as it arrives: checks that it is JSON and a list of entities, and keeps them as records.
 * Knows nothing of tables. Errors are the caller's to keep: after one, it takes no more. */
#ifndef PUSH_INTAKE_H
#define PUSH_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cancel.h"
#include "base/err.h"
#include "config/config.h"
#include "entity/record.h"
#include "push/gate.h"
#include "push/spool.h"

/* Where an entity's record is. */
struct entry {
    uint64_t offset;
    uint32_t len;
    bool deleted; /* "_deleted": true */
};

struct intake;

/* listen, gate and cancel (may be NULL) are borrowed for its life. */
struct intake *intake_new(const struct config_listen *listen, struct gate *gate, struct cancel *cancel,
                          struct err *err);
void intake_free(struct intake *intake); /* gives everything back; accepts NULL */

/* Blocks while the gate does, at most ten minutes. ERR_INPUT, ERR_LARGE (body over max_body_bytes, an entity over
 * max_entity_bytes, or what json_read.h bounds), ERR_BUSY and ERR_CANCELLED of the gate. ERR_REFUSED is not here: what
 * an entity holds is not looked at, but for this: an entity is an object whose property "_id" is a string,
 * "_deleted" is a boolean or null, no property comes twice. Root properties that begin with "_" are left out of
 * the record, except "_id" (their names are numbered like the others). A single object is taken as a list of one. The
 * error's text tells the number of the entity (from 1) and its _id where known. After -1 it only returns that error. */
int intake_feed(struct intake *intake, const char *data, size_t len, struct err *err);
/* The body is over. What follows is only for after it returned 0. */
int intake_end(struct intake *intake, struct err *err);

size_t intake_count(const struct intake *intake);
const struct entry *intake_entry(const struct intake *intake, size_t number);
/* The record, as spool_get: good for as long as the arena's memory and the intake. */
const char *intake_record(struct intake *intake, const struct entry *entry, struct arena *arena, struct err *err);
const struct names *intake_names(const struct intake *intake);
uint64_t intake_bytes(const struct intake *intake); /* of the body */
/* Before the first byte: nobody will ask for the digest, which costs as much as half of the reading. */
void intake_skip_digest(struct intake *intake);
/* SHA-256 of the body as it came, in hex (64 characters and a NUL). */
const char *intake_digest(const struct intake *intake);
/* The number of the name "_id" among the names. */
uint32_t intake_id_name(const struct intake *intake);

#endif
