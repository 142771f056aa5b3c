/* One entity on its way into the table: what it has, what its row has, and what becomes of it. */
#ifndef PUSH_PIECE_H
#define PUSH_PIECE_H

#include "push/rows.h"

enum fate { FATE_ABSENT, FATE_EQUAL, FATE_INSERT, FATE_UPDATE, FATE_ERASE, FATE_MARK, FATE_CONFLICT };

/* An entity on its way. */
struct piece {
    struct taken taken;
    enum fate fate;
    bool *differs;         /* parallel to the target's columns */
    struct value expected; /* the version it carries, where that is a column's */
    const char *reason;    /* of a conflict */
    const char *actual;    /* the row's version as JSON; NULL: there is none */
    bool grouped;
};

/* Those that are looked for and written together. */
struct chunk {
    struct rows *rows;
    struct conn *conn;
    const struct sink_shape *shape;
    const struct config_sink *config;
    const struct driver *driver;
    struct arena *arena;
    struct piece *pieces;
    size_t count;
};

/* Makes pieces of entries, at most CHUNK_ROWS or most; fills pieces and count. */
enum {
    CHUNK_ROWS = 2000,         /* of a statement; enough to make its round trip cheap */
    CHUNK_BYTES = 640 * 1024,  /* of entities in memory at once, unless one alone is larger */
};
int piece_take(struct chunk *chunk, const struct entry *const *entries, size_t count, size_t most, struct err *err);

/* What becomes of an entity whose row was found, and of one that has none. The first also tells which columns differ.
 * -1: the row is none of this sink's. */
int piece_judge_found(struct chunk *chunk, struct piece *piece, const struct found *found, struct err *err);
enum fate piece_judge_absent(const struct chunk *chunk, struct piece *piece);

/* The row as it was written, where that may not be what was sent. A time that a trigger keeps by itself is not compared
 * any more. -1: the database took a value for NULL. */
int piece_learn(struct chunk *chunk, struct piece *piece, const struct found *found, struct err *err);

#endif
