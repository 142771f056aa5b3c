/* What the files of accept share. Nobody else includes this.
 *
 * An item is first told apart by what it brings (struct incoming), then brought into the form of the column's
 * kind by one function a kind. Each returns 0 and a value, or -1 with ERR_VALUE. */
#ifndef ENTITY_ACCEPT_KIND_H
#define ENTITY_ACCEPT_KIND_H

#include <string.h>

#include "entity/accept.h"

enum incoming_kind {
    IN_BOOL,
    IN_NUMBER,   /* text: of a JSON number */
    IN_DECIMAL,  /* text: behind ~f */
    IN_TEXT,     /* text: a plain one, or behind ~r and the like */
    IN_BYTES,    /* text: base64, behind ~b */
    IN_TIME,     /* text: behind ~t */
    IN_UUID,     /* text: behind ~u */
    IN_DOCUMENT, /* text: as in the item */
    IN_PART,     /* text: a part of _id, which has no tag */
};

struct incoming {
    enum incoming_kind kind;
    bool boolean;
    const char *text;
    size_t len;
};

/* "is a text, the column holds bytes". Returns -1. */
int accept_mismatch(const struct column *column, const struct incoming *in, struct err *err);

/* Is it a text, or a part of _id, which may be anything? */
static inline bool accept_is_text(const struct incoming *in)
{
    return in->kind == IN_TEXT || in->kind == IN_PART;
}

static inline bool accept_is_word(const struct incoming *in, const char *word)
{
    return accept_is_text(in) && in->len == strlen(word) && memcmp(in->text, word, in->len) == 0;
}

/* Tells what a string brings; the text without its tag, or without the first of two "~". */
void accept_untag(const char *text, size_t len, bool strip_namespaces, struct incoming *in);

/* texts and bytes */
int accept_set_text(const struct accept *accept, const char *text, size_t len, struct value *value, struct err *err);
int accept_plain(const struct accept *accept, const struct incoming *in, struct arena *arena, struct value *value,
                 struct err *err);
int accept_base64(const struct incoming *in, struct arena *arena, struct value *value, struct err *err);

/* numbers */
int accept_integer(const struct column *column, const struct incoming *in, struct value *value, struct err *err);
int accept_decimal(const struct column *column, const struct incoming *in, struct arena *arena, struct value *value,
                   struct err *err);
int accept_float(const struct column *column, const struct incoming *in, struct arena *arena, struct value *value,
                 struct err *err);

/* times */
int accept_datetime(const struct accept *accept, const struct incoming *in, struct value *value, struct err *err);
int accept_date(const struct column *column, const struct incoming *in, struct value *value, struct err *err);
/* "2024-01-31 23:59:59.5" in UTC, or "2024-01-31", as text, for columns that have no type for it. */
int accept_time_text(const struct incoming *in, struct arena *arena, struct value *value, struct err *err);

/* documents: a document's JSON text with the tags of its strings taken off, and one "~" of two */
int accept_document(const struct accept *accept, const struct incoming *in, struct arena *arena,
                    const char **text, size_t *len, struct err *err);
int accept_list(const struct accept *accept, const struct incoming *in, struct arena *arena, struct value *value,
                struct err *err);

/* columns of any kind */
int accept_any(const struct accept *accept, const struct incoming *in, struct arena *arena, struct value *value,
               struct err *err);

#endif
