/* Positions in a source's stream as the tokens that Sesam keeps for us in _updated and sends back as since.
 *
 * A token is the updated value and the parts of the key, each followed by what is lower than any byte of a
 * part, so that where the database orders by bytes, tokens do too:
 *
 *     token    = position [ "!" ]           of a row; resumes behind it
 *              | low "!" position [ "!" ]   a pair: rows up to position were sent, but from low on not all of them
 *                                           were final; resumes at low with those that are final now, and then
 *                                           behind position
 *              | low "!" position key [ "!" base ]
 *                                           a scan: rows from base on, or from low, were sent in the order of the key,
 *                                           up to this one, and those before it; position is the highest of all.
 *                                           Resumes with the rest
 *              | low "!" position key "!"   the end of a scan: resumes as the pair does
 *              | updated "!"                resumes at the updated value
 *              | key [ "!" ]                a row without updated value; resumes among those
 *              | "!"                        the beginning of everything
 *     position = updated key
 *     low, base = updated key | updated "!"
 *     key      = 1*( "!" part )
 *     integer  = 20 digits; of a negative number "-" and 10^20 less its size
 *     datetime = "2024-01-31T23:59:59.123456Z", without "Z" as it stands in a zone-less column
 *     date, uuid as in entities; bytes in hexadecimal; "true" and "false"
 *     text     = its UTF-8 with bytes below "$" written as "#" and the byte plus 0x40; "#" if it is empty
 *     any      = a letter for the storage class ("i", "r", "t", "x") and one of the above (SQLite);
 *                "u" and hexadecimal is a text that is not UTF-8
 *
 * No part is empty, so a "!" at the end cannot be taken for one more. It says that the run is over: the row was the last
 * when it was read, or came with a poll behind such a one.
 *
 * Tokens of a source with a change log have one more part, see pull/changelog.h.
 *
 * Besides tokens, since may be a plain datetime, date or integer, which means "at or after". */
#ifndef ENTITY_SINCE_H
#define ENTITY_SINCE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/zone.h"
#include "db/driver.h"

/* What positions of a source consist of. */
struct since_shape {
    const struct relation *relation;
    size_t updated; /* index of the updated column */
    enum config_unit unit;
    const struct zone *zone; /* of the system; NULL is UTC */
    bool plain;              /* tokens are the bare updated value */
};

enum since_kind {
    SINCE_START,  /* everything */
    SINCE_NULLS,  /* behind a row without updated value; then the rows that have one */
    SINCE_AFTER,  /* behind a row */
    SINCE_FROM,   /* at or after an updated value */
    SINCE_PAIR,   /* from low on what is final now, then behind a row */
    SINCE_SCAN,   /* from base on the keys behind one; if there are none, what the pair brings */
};

struct since {
    enum since_kind kind;
    struct position position;
    struct position low; /* SINCE_PAIR, SINCE_SCAN; key NULL: at or after its updated value */
    struct position base; /* SINCE_SCAN; key NULL: as of low */
    const struct value *scanned; /* SINCE_SCAN: the last key that was sent; also of a pair that ends a scan */
    bool over;     /* the run is over: what comes behind is a poll */
    bool by_time;  /* SINCE_FROM of a datetime on a column of texts: rows of an earlier time may come, too, */
    int64_t time;  /* before this one, and are not wanted */
};

/* Where what it asks for begins among the rows that have an updated value; NULL: at the first. Borrowed. */
const struct position *since_beginning(const struct since *since);

/* Appends the token behind a row; updated NULL: it has none; key NULL: of the updated value alone; both: the
 * beginning. Returns 0, or -1 for a part that has no token (not UTF-8). */
int since_write(struct buf *out, const struct since_shape *shape, const struct value *updated,
                const struct value *const *key, struct err *err);

/* Appends a pair of low, whose key may be NULL, and a row. */
int since_write_pair(struct buf *out, const struct since_shape *shape, const struct position *low,
                     const struct value *updated, const struct value *const *key, struct err *err);
/* Makes the token of a row a pair of it and a position, and gives that of a scan's row a base. */
int since_write_sent(struct buf *out, const struct since_shape *shape, const struct position *position, struct err *err);
/* Appends the token of a row of a scan. */
int since_write_scan(struct buf *out, const struct since_shape *shape, const struct position *low,
                     const struct position *highest, const struct value *const *key, struct err *err);
/* Says in a row's token that the run is over. */
void since_write_mark(struct buf *out);

/* The lowest value of the updated column that a row of this time (microseconds since 1970, as the server's clock
 * shows it when the row is written) or a later one can have: floored to what the column keeps, on the wall clock of the
 * zone where that goes back, in the form of the newest text. newest may be KIND_NULL and is only looked at where the
 * column holds texts or anything. Returns 0, or -1 when the column holds no times. */
int since_lowest(const struct since_shape *shape, int64_t time, const struct value *newest, struct arena *arena,
                 struct value *value, struct err *err);

/* Appends _updated of a source with plain tokens, as JSON. */
void since_write_plain(struct buf *out, const struct since_shape *shape, const struct value *updated);

/* Values live in arena. ERR_INPUT: this is no since at all, the hint lists the forms; ERR_GONE: a token that
 * does not fit the key and updated column as they are. */
int since_parse(struct since *since, const struct since_shape *shape, const char *text, struct arena *arena,
                struct err *err);

#endif
