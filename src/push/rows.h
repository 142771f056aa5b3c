/* Makes rows of the target out of a request's records. Knows the sink's rules about names, keys and values, and no
 * statement. */
#ifndef PUSH_ROWS_H
#define PUSH_ROWS_H

#include "push/intake.h"
#include "push/sink.h"

struct rows {
    struct sink *sink;
    const struct sink_shape *shape;
    struct intake *intake;
    struct arena *arena;  /* of the request */
    const int *roles;     /* what each name of the request is for, as sink_property tells */
    struct buf *members;  /* where the entity and property at fault are told: ,"_id":"..","property":".." */
    bool *kept;           /* parallel to the target's columns: a trigger keeps it, whatever is written */
    uint64_t ignored;     /* properties without a column, of the entities that were taken */
};

/* An entity as a row. */
struct taken {
    struct row row;
    struct value *values; /* of row */
    bool *given;          /* parallel: the entity mentions the column */
    const char *id;
    size_t id_len;
    struct item version;  /* ITEM_NULL: it has none */
    bool deleted;
};

/* Settles the roles. shape and intake are borrowed. A property without a column that was not known for that is
 * ERR_CHANGED unless the shape is fresh: the column may be new. */
int rows_begin(struct rows *rows, bool fresh, struct err *err);

/* The values of the key alone, into values. Errors are ERR_REFUSED, told in members. */
int rows_key(struct rows *rows, const struct entry *entry, struct arena *arena, struct value *values, struct err *err);

/* All of it; of a deletion only key and version. Everything lives in arena. */
int rows_take(struct rows *rows, const struct entry *entry, struct arena *arena, struct taken *taken, struct err *err);

/* Tells in members whose fault it is; property NULL: unknown. Once. */
void rows_blame(struct rows *rows, const struct taken *taken, const char *property);

#endif
