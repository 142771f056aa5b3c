/* What init finds out about one table: the catalogue's description, some of its rows, and what its columns seem to be
 * for. What people should know of it is collected in words. */
#ifndef OPS_SURVEY_H
#define OPS_SURVEY_H

#include "db/db.h"
#include "ops/guess.h"

/* Indexes are into the relation's columns; SIZE_MAX: there is none. All but notes lives in the arena given. */
struct survey {
    const struct listed *listed;
    const char *name;                /* of the source and the sink */
    const struct relation *relation; /* NULL: the table is left out */
    const struct sample *samples;    /* parallel to the columns */
    const char **properties;         /* what each column is called in Sesam */
    bool changelog;                  /* it has a change log, which tells all */
    size_t updated;
    enum config_unit unit;
    bool comparable; /* tokens order by their bytes as the stream does */
    size_t version;
    size_t deleted;
    bool marks_by_value; /* deleted, see guess.h */
    struct buf notes;    /* lines for people */
};

/* Looks at a table; whatever keeps it from being a source is told in notes. ERR_LOST and its like: the connection is of
 * no more use, nor is the survey. *worn is set when only the connection is. */
int survey_take(struct survey *survey, const struct db *db, struct conn *conn, struct arena *arena, bool *worn,
                struct err *err);

/* The time zone in which the server shows times that have none, into zone (at least 64 bytes) unless it is UTC; only
 * where a column that tells changes has none. */
void survey_zone(const struct survey *survey, const struct db *db, struct conn *conn, char zone[64]);

#endif
