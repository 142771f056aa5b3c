/* The course of an answer through a source's stream: which ranges it reads, and which token each of its rows gets, so
 * that whoever resumes from any of them misses nothing. An answer belongs to a run, which began with everything or with a
 * value and goes on until nothing is left, or is a poll behind one. The rules and the proof are in
 * docs/change-tracking.md. */
#ifndef PULL_COURSE_H
#define PULL_COURSE_H

#include "pull/horizon.h"

enum { COURSE_RANGES = 3 };

/* Borrows what it is planned with. */
struct course {
    const struct shape *shape;
    const struct outlook *outlook;
    struct since since;
    struct range ranges[COURSE_RANGES];
    size_t range_count;
    struct position low;  /* what the token of a row that is not final leads back to */
    struct position edge; /* a page of a run: from here on in the order of the key */
    bool paged;           /* it is a page */
    bool told;            /* tokens tell whether their run is over */
    bool run;             /* it belongs to a run, and is no poll behind one */
    bool trails;          /* rows that are final now stand before others that were sent already */
    const struct position *scan; /* where the range in the order of the key begins; NULL: there is none */
    bool scanning;        /* the row whose token was begun last is one of it */
    struct value *highest;       /* updated value and key of the last in order until now; KIND_NULL: none */
    struct arena *texts;         /* of highest */
};

/* What is planned needs no end; the arena may be reset before it is begun anew. */
int course_begin(struct course *course, const struct shape *shape, struct arena *arena, struct err *err);
void course_free(struct course *course);

/* Lays out the ranges. limit UINT64_MAX: none. */
void course_plan(struct course *course, const struct outlook *outlook, const struct since *since, uint64_t limit);
/* The answer was the rest of a scan, and nothing came: lays out what comes behind it. False: there is no more. */
bool course_goes_on(struct course *course);

/* Remembers a row if it is the highest until now. updated may be NULL. */
int course_note(struct course *course, const struct value *updated, const struct value *const *key, struct err *err);

/* Appends the token of the next row, all but its end, which tells whether it was the last of its run. */
int course_begin_token(struct course *course, struct buf *out, const struct value *updated, const struct value *const *key,
                       struct err *err);
int course_end_token(const struct course *course, struct buf *out, bool last, struct err *err);

#endif
