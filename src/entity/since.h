/* Positions in a source's stream as the tokens that Sesam keeps for us in _updated and sends back as since.
 *
 * A token is the updated value and the parts of the key, each followed by what is lower than any byte of a
 * part, so that where the database orders by bytes, tokens do too:
 *
 *     token    = updated *( "!" part )      a row's own position; resumes behind it
 *              | updated "!"                resumes at the updated value
 *              | 1*( "!" part )             a row without updated value; resumes among those
 *              | "!"                        the beginning of everything
 *     integer  = 20 digits; of a negative number "-" and 10^20 less its size
 *     datetime = "2024-01-31T23:59:59.123456Z", without "Z" as it stands in a zone-less column
 *     date, uuid as in entities; bytes in hexadecimal; "true" and "false"
 *     text     = its UTF-8 with bytes below "$" written as "#" and the byte plus 0x40; "#" if it is empty
 *     any      = a letter for the storage class ("i", "r", "t", "x") and one of the above (SQLite);
 *                "u" and hexadecimal is a text that is not UTF-8
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
};

struct since {
    enum since_kind kind;
    struct position position;
    bool by_time;  /* SINCE_FROM of a datetime on a column of texts: rows of an earlier time may come, too, */
    int64_t time;  /* before this one, and are not wanted */
};

/* Appends the token behind a row; updated NULL: it has none; key NULL: of the updated value alone; both: the
 * beginning. Returns 0, or -1 for a part that has no token (not UTF-8). */
int since_write(struct buf *out, const struct since_shape *shape, const struct value *updated,
                const struct value *const *key, struct err *err);

/* Appends _updated of a source with plain tokens, as JSON. */
void since_write_plain(struct buf *out, const struct since_shape *shape, const struct value *updated);

/* Values live in arena. ERR_INPUT: this is no since at all, the hint lists the forms; ERR_GONE: a token that
 * does not fit the key and updated column as they are. */
int since_parse(struct since *since, const struct since_shape *shape, const char *text, struct arena *arena,
                struct err *err);

#endif
