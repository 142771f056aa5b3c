/* Guesses from names, types and some values what the columns of a table are for, as somebody would who sees it for the
 * first time. It asks no database. */
#ifndef OPS_GUESS_H
#define OPS_GUESS_H

#include "db/driver.h"

/* What some rows hold of a column. Zeroed: nobody looked, or all were NULL. */
struct sample {
    size_t count;        /* values that are not NULL */
    size_t integers;     /* of these, numbers without a fraction */
    size_t times;        /* texts in ISO 8601 */
    size_t spaced;       /* of these, with a space between date and time, as SQLite writes them */
    int64_t least, most; /* of the integers */
};

void sample_add(struct sample *sample, const struct value *value);

/* Is its name, or its type, one that the guesses below go by? Only of such columns samples are of use. table is the
 * table's name, which columns may begin with. */
bool guess_is_worth_it(const struct column *column, const char *table);

/* A column that could tell changes. */
struct guess {
    size_t column;         /* index into the relation's */
    enum config_unit unit; /* of an epoch */
    int score;             /* the higher the better; an index is worth GUESS_INDEX */
    const char *why;       /* for people, behind "guessed: " */
};
enum { GUESS_INDEX = 40, GUESS_MOST = 16 };

/* Writes the candidates for the updated column in their order, at most GUESS_MOST, and returns how many. samples is
 * parallel to the relation's columns. */
size_t guess_updated(const struct relation *relation, const struct sample *samples, const char *table,
                     struct guess guesses[GUESS_MOST]);

/* The column that counts versions, and the one that marks rows as deleted; SIZE_MAX: none. */
size_t guess_version(const struct relation *relation, const char *table);
size_t guess_deleted(const struct relation *relation, const struct sample *samples, const char *table);

/* Does the column mark by being not NULL, as a time does? Else by being true, or 1. */
bool guess_marks_by_value(const struct column *column, const struct sample *sample);

#endif
