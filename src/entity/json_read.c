#include "entity/json_read.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/buf.h"

/* What may come next where no token is cut by the end of what was fed. */
enum expect {
    EXPECT_VALUE,
    EXPECT_FIRST_VALUE, /* or "]" */
    EXPECT_NAME,
    EXPECT_FIRST_NAME, /* or "}" */
    EXPECT_COLON,
    EXPECT_MORE, /* "," or what closes */
    EXPECT_END,  /* blanks */
};

enum token { TOKEN_NONE, TOKEN_STRING, TOKEN_NUMBER, TOKEN_LITERAL };

/* Where in an escape a string is. */
enum escape {
    ESCAPE_NONE,
    ESCAPE_BEGUN,     /* behind the backslash */
    ESCAPE_HEX,       /* within the four digits */
    ESCAPE_PAIR,      /* behind the first half of a surrogate pair */
    ESCAPE_PAIR_BEGUN /* behind the second half's backslash */
};

enum number { NUMBER_START, NUMBER_MINUS, NUMBER_ZERO, NUMBER_WHOLE, NUMBER_POINT, NUMBER_FRACTION, NUMBER_E,
              NUMBER_SIGN, NUMBER_EXPONENT, NUMBER_OVER };

/* A character of several bytes that is not whole yet. */
struct utf8 {
    unsigned char need;      /* so many bytes more */
    unsigned char low, high; /* bounds of the next */
};

struct json_read {
    struct json_limits limits;
    const char *data, *at, *end; /* what was fed, and how far it is read */
    size_t before;               /* bytes of the document before data */
    size_t position, depth;
    enum expect expect;
    bool in_object, failed;
    /* The token that is cut, or did not fit its fast way. */
    enum token token;
    size_t start; /* where it begins */
    struct buf own;
    struct utf8 utf8; /* this and the escape's state are as at first at each string's end */
    enum escape escape;
    unsigned digits, code, first_half;
    enum number number;
    const char *literal;
    size_t matched;
    uint64_t objects[]; /* a bit per level: is it an object? */
};

enum { WORD_BITS = 64, KEPT = 1 << 16 /* bytes of own that are kept for the next token */ };

struct json_read *json_read_new(const struct json_limits *limits)
{
    size_t words = limits->depth / WORD_BITS + 1;
    struct json_read *reader = calloc(1, sizeof *reader + words * sizeof(uint64_t));
    if (reader)
        reader->limits = *limits;
    return reader;
}

void json_read_free(struct json_read *reader)
{
    if (!reader)
        return;
    buf_free(&reader->own);
    free(reader);
}

void json_read_feed(struct json_read *reader, const char *data, size_t len)
{
    reader->before += (size_t)(reader->end - reader->data);
    reader->data = reader->at = data;
    reader->end = data + len;
}

size_t json_read_depth(const struct json_read *reader)
{
    return reader->depth;
}

size_t json_read_position(const struct json_read *reader)
{
    return reader->position;
}

/* Bytes of the document before this place. */
static size_t place(const struct json_read *reader, const char *at)
{
    return reader->before + (size_t)(at - reader->data);
}

static int give(struct json_read *reader, struct json_event *event, enum json_kind kind, const char *text, size_t len)
{
    *event = (struct json_event){kind, text, len};
    reader->position = place(reader, reader->at);
    return 1;
}

/* errors */

static int fail(struct json_read *reader, const char *at, const char *what, struct err *err)
{
    reader->failed = true;
    return err_set(err, ERR_INPUT, "%s at byte %zu", what, place(reader, at) + 1);
}

/* Something else was expected than what stands at reader->at. */
static int fail_found(struct json_read *reader, const char *expected, struct err *err)
{
    unsigned char c = (unsigned char)*reader->at;
    size_t byte = place(reader, reader->at) + 1;
    reader->failed = true;
    if (c > 0x20 && c < 0x7F)
        return err_set(err, ERR_INPUT, "%s was expected, not '%c', at byte %zu", expected, c, byte);
    return err_set(err, ERR_INPUT, "%s was expected, not 0x%02X, at byte %zu", expected, c, byte);
}

static int fail_large(struct json_read *reader, const char *what, size_t most, const char *unit, struct err *err)
{
    reader->failed = true;
    return err_set(err, ERR_LARGE, "%s of more than %zu %s begins at byte %zu", what, most, unit, reader->start + 1);
}

static int fail_memory(struct json_read *reader, struct err *err)
{
    reader->failed = true;
    return err_memory(err);
}

/* UTF-8 */

/* The bounds of the second byte are those of the Unicode standard's table 3-7. */
static bool utf8_begin(struct utf8 *utf8, unsigned char lead)
{
    *utf8 = (struct utf8){.low = 0x80, .high = 0xBF};
    if (lead < 0xC2 || lead > 0xF4)
        return lead < 0x80;
    utf8->need = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    if (lead == 0xE0)
        utf8->low = 0xA0;
    else if (lead == 0xED)
        utf8->high = 0x9F;
    else if (lead == 0xF0)
        utf8->low = 0x90;
    else if (lead == 0xF4)
        utf8->high = 0x8F;
    return true;
}

static bool utf8_continue(struct utf8 *utf8, unsigned char c)
{
    if (c < utf8->low || c > utf8->high)
        return false;
    utf8->need--;
    utf8->low = 0x80;
    utf8->high = 0xBF;
    return true;
}

static inline bool is_ascii(const char *eight)
{
    uint64_t word;
    memcpy(&word, eight, 8);
    return !(word & UINT64_C(0x8080808080808080));
}

/* The first byte that cannot be, or NULL. The last character may be left unfinished. */
static const char *utf8_find_bad(struct utf8 *utf8, const char *at, const char *end)
{
    while (at < end) {
        if (!utf8->need && end - at >= 8 && is_ascii(at)) {
            at += 8;
            continue;
        }
        if (!(utf8->need ? utf8_continue : utf8_begin)(utf8, (unsigned char)*at))
            return at;
        at++;
    }
    return NULL;
}

/* strings */

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

static inline bool ends_run(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

/* The end of the run of characters that stand for themselves. high: whether there may be one above 0x7F. */
static const char *run_end(const char *at, const char *end, bool *high)
{
    uint64_t highs = 0;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1F);
    for (; end - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i found = _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash));
        found = _mm_or_si128(found, _mm_cmpeq_epi8(_mm_min_epu8(block, control), block));
        unsigned stops = (unsigned)_mm_movemask_epi8(found), above = (unsigned)_mm_movemask_epi8(block);
        if (stops) {
            *high = highs || (above & (stops - 1) & ~stops);
            return at + __builtin_ctz(stops);
        }
        highs |= above;
    }
#endif
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        uint64_t q = word ^ (ONES * '"'), b = word ^ (ONES * '\\');
        highs |= word & HIGHS;
        if ((((word - ONES * 0x20) & ~word) | ((q - ONES) & ~q) | ((b - ONES) & ~b)) & HIGHS)
            break;
    }
    for (; at < end && !ends_run((unsigned char)*at); at++)
        highs |= (unsigned char)*at & 0x80;
    *high = highs != 0;
    return at;
}

static void after_value(struct json_read *reader)
{
    reader->token = TOKEN_NONE;
    reader->expect = reader->depth ? EXPECT_MORE : EXPECT_END;
}

static void begin_own(struct json_read *reader, enum token token, const char *at)
{
    reader->token = token;
    reader->start = place(reader, at);
    if (reader->own.cap > KEPT)
        buf_free(&reader->own);
    buf_reset(&reader->own);
}

static bool is_name(const struct json_read *reader)
{
    return reader->expect == EXPECT_NAME || reader->expect == EXPECT_FIRST_NAME;
}

static size_t string_limit(const struct json_read *reader)
{
    return is_name(reader) ? reader->limits.name : reader->limits.string;
}

/* reader->at stands behind the closing quote. */
static int give_string(struct json_read *reader, struct json_event *event, const char *text, size_t len)
{
    bool name = is_name(reader);
    after_value(reader);
    if (name)
        reader->expect = EXPECT_COLON;
    return give(reader, event, name ? JSON_NAME : JSON_STRING_VALUE, text, len);
}

static int fail_string(struct json_read *reader, struct err *err)
{
    return fail_large(reader, is_name(reader) ? "a name" : "a string", string_limit(reader), "bytes", err);
}

static int put_decoded(struct json_read *reader, const char *bytes, size_t len, struct err *err)
{
    if (len > string_limit(reader) - reader->own.len)
        return fail_string(reader, err);
    buf_put(&reader->own, bytes, len);
    return buf_failed(&reader->own) ? fail_memory(reader, err) : 0;
}

static int put_code(struct json_read *reader, unsigned code, struct err *err)
{
    char bytes[4];
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        bytes[i] = (char)(0x80 | (code & 0x3F));
    bytes[0] = (char)(leads[len] | code);
    return put_decoded(reader, bytes, len, err);
}

/* The four digits of an escape are read; reader->at stands at the last. */
static int end_hex(struct json_read *reader, struct err *err)
{
    unsigned code = reader->code, first = reader->first_half;
    bool is_second = code >= 0xDC00 && code <= 0xDFFF;
    if ((first != 0) != is_second)
        return fail(reader, reader->at, "an escape of half a surrogate pair", err);
    reader->escape = ESCAPE_NONE;
    reader->first_half = 0;
    if (code >= 0xD800 && code <= 0xDBFF) {
        reader->first_half = code;
        reader->escape = ESCAPE_PAIR;
        return 0;
    }
    return put_code(reader, first ? 0x10000 + ((first - 0xD800) << 10) + (code - 0xDC00) : code, err);
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int begin_escape(struct json_read *reader, struct err *err)
{
    static const char letters[] = "\"\\/bfnrtu", meant[] = "\"\\/\b\f\n\r\t";
    const char *found = *reader->at ? strchr(letters, *reader->at) : NULL;
    if (!found)
        return fail(reader, reader->at, "an escape that JSON does not have", err);
    if (*found == 'u') {
        reader->escape = ESCAPE_HEX;
        reader->digits = reader->code = 0;
        return 0;
    }
    reader->escape = ESCAPE_NONE;
    return put_decoded(reader, &meant[found - letters], 1, err);
}

/* Takes the byte at reader->at, which stands in an escape. */
static int step_escape(struct json_read *reader, struct err *err)
{
    char c = *reader->at;
    int digit;
    switch (reader->escape) {
    case ESCAPE_BEGUN:
        return begin_escape(reader, err);
    case ESCAPE_PAIR:
    case ESCAPE_PAIR_BEGUN:
        if (c != (reader->escape == ESCAPE_PAIR ? '\\' : 'u'))
            return fail(reader, reader->at, "an escape of half a surrogate pair", err);
        reader->digits = reader->code = 0;
        reader->escape = reader->escape == ESCAPE_PAIR ? ESCAPE_PAIR_BEGUN : ESCAPE_HEX;
        return 0;
    default:
        digit = hex_digit((unsigned char)c);
        if (digit < 0)
            return fail(reader, reader->at, "an escape without four hexadecimal digits", err);
        reader->code = reader->code << 4 | (unsigned)digit;
        return ++reader->digits == 4 ? end_hex(reader, err) : 0;
    }
}

/* Takes the characters that stand for themselves. The first byte that is wrong is told, and nothing behind it
 * looked at, so that it makes no difference how the document is cut. */
static int take_run(struct json_read *reader, struct err *err)
{
    const char *from = reader->at, *end = reader->end;
    size_t room = string_limit(reader) - reader->own.len;
    bool high;
    if ((size_t)(end - from) > room)
        end = from + room + 1;
    const char *stop = run_end(from, end, &high);
    const char *bad = high || reader->utf8.need ? utf8_find_bad(&reader->utf8, from, stop) : NULL;
    if (!bad && stop < end && reader->utf8.need)
        bad = stop;
    if (bad)
        return fail(reader, bad, "a byte that is not UTF-8", err);
    reader->at = stop;
    return put_decoded(reader, from, (size_t)(stop - from), err);
}

static int go_on_string(struct json_read *reader, struct json_event *event, struct err *err)
{
    while (reader->at < reader->end) {
        if (reader->escape != ESCAPE_NONE) {
            if (step_escape(reader, err))
                return -1;
            reader->at++;
            continue;
        }
        if (take_run(reader, err))
            return -1;
        if (reader->at == reader->end)
            break;
        char c = *reader->at;
        if ((unsigned char)c < 0x20)
            return fail(reader, reader->at, "a control character in a string", err);
        reader->at++;
        if (c == '"')
            return give_string(reader, event, reader->own.len ? reader->own.data : "", reader->own.len);
        reader->escape = ESCAPE_BEGUN;
    }
    return 0;
}

/* reader->at stands at the quote. Most strings are whole and stand for themselves. */
static int begin_string(struct json_read *reader, struct json_event *event, struct err *err)
{
    const char *from = reader->at + 1;
    bool high;
    const char *stop = run_end(from, reader->end, &high);
    if (stop < reader->end && *stop == '"' && (size_t)(stop - from) <= string_limit(reader)) {
        struct utf8 utf8 = {0};
        if (!high || (!utf8_find_bad(&utf8, from, stop) && !utf8.need)) {
            reader->at = stop + 1;
            return give_string(reader, event, from, (size_t)(stop - from));
        }
    }
    begin_own(reader, TOKEN_STRING, reader->at);
    reader->at = from;
    return go_on_string(reader, event, err);
}

/* numbers */

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The state behind c; NUMBER_OVER where c does not go on with the number. */
static enum number number_step(enum number state, char c)
{
    switch (state) {
    case NUMBER_START:
    case NUMBER_MINUS:
        if (c == '-' && state == NUMBER_START)
            return NUMBER_MINUS;
        return c == '0' ? NUMBER_ZERO : is_digit(c) ? NUMBER_WHOLE : NUMBER_OVER;
    case NUMBER_ZERO:
    case NUMBER_WHOLE:
        if (c == '.')
            return NUMBER_POINT;
        if (c == 'e' || c == 'E')
            return NUMBER_E;
        return state == NUMBER_WHOLE && is_digit(c) ? NUMBER_WHOLE : NUMBER_OVER;
    case NUMBER_POINT:
        return is_digit(c) ? NUMBER_FRACTION : NUMBER_OVER;
    case NUMBER_FRACTION:
        return is_digit(c) ? NUMBER_FRACTION : c == 'e' || c == 'E' ? NUMBER_E : NUMBER_OVER;
    case NUMBER_E:
        if (c == '+' || c == '-')
            return NUMBER_SIGN;
        return is_digit(c) ? NUMBER_EXPONENT : NUMBER_OVER;
    default:
        return is_digit(c) ? NUMBER_EXPONENT : NUMBER_OVER;
    }
}

static bool is_whole_number(enum number state)
{
    return state == NUMBER_ZERO || state == NUMBER_WHOLE || state == NUMBER_FRACTION || state == NUMBER_EXPONENT;
}

/* Takes what belongs to the number, of which own has the beginning. */
static int take_number(struct json_read *reader, struct err *err)
{
    const char *from = reader->at, *end = reader->end, *at = from;
    size_t room = reader->limits.number - reader->own.len;
    enum number state = reader->number, next;
    if ((size_t)(end - from) > room)
        end = from + room + 1;
    for (; at < end && (next = number_step(state, *at)) != NUMBER_OVER; at++)
        state = next;
    reader->number = state;
    reader->at = at;
    if ((size_t)(at - from) > room)
        return fail_large(reader, "a number", reader->limits.number, "characters", err);
    if (at < end && !is_whole_number(state))
        return fail_found(reader, "a digit", err);
    return 0;
}

static int go_on_number(struct json_read *reader, struct json_event *event, struct err *err)
{
    const char *from = reader->at;
    if (take_number(reader, err))
        return -1;
    buf_put(&reader->own, from, (size_t)(reader->at - from));
    if (buf_failed(&reader->own))
        return fail_memory(reader, err);
    if (reader->at == reader->end)
        return 0;
    after_value(reader);
    return give(reader, event, JSON_NUMBER_VALUE, reader->own.data, reader->own.len);
}

static int begin_number(struct json_read *reader, struct json_event *event, struct err *err)
{
    const char *from = reader->at;
    begin_own(reader, TOKEN_NUMBER, from);
    reader->number = NUMBER_START;
    if (take_number(reader, err))
        return -1;
    if (reader->at < reader->end) {
        after_value(reader);
        return give(reader, event, JSON_NUMBER_VALUE, from, (size_t)(reader->at - from));
    }
    buf_put(&reader->own, from, (size_t)(reader->at - from));
    return buf_failed(&reader->own) ? fail_memory(reader, err) : 0;
}

/* literals */

static int go_on_literal(struct json_read *reader, struct json_event *event, struct err *err)
{
    const char *literal = reader->literal;
    for (; reader->at < reader->end && literal[reader->matched]; reader->at++, reader->matched++)
        if (*reader->at != literal[reader->matched])
            return fail_found(reader, literal, err);
    if (literal[reader->matched])
        return 0;
    after_value(reader);
    return give(reader, event,
                literal[0] == 't'   ? JSON_TRUE_VALUE
                : literal[0] == 'f' ? JSON_FALSE_VALUE
                                    : JSON_NULL_VALUE,
                NULL, 0);
}

static int begin_literal(struct json_read *reader, struct json_event *event, const char *literal, struct err *err)
{
    reader->token = TOKEN_LITERAL;
    reader->literal = literal;
    reader->matched = 0;
    return go_on_literal(reader, event, err);
}

/* structure */

static int open_level(struct json_read *reader, struct json_event *event, bool object, struct err *err)
{
    size_t level = reader->depth;
    if (level == reader->limits.depth) {
        reader->failed = true;
        return err_set(err, ERR_LARGE, "an array or object within %zu others begins at byte %zu", level,
                       place(reader, reader->at) + 1);
    }
    uint64_t bit = UINT64_C(1) << (level % WORD_BITS), *word = &reader->objects[level / WORD_BITS];
    *word = object ? *word | bit : *word & ~bit;
    reader->depth++;
    reader->in_object = object;
    reader->expect = object ? EXPECT_FIRST_NAME : EXPECT_FIRST_VALUE;
    reader->at++;
    return give(reader, event, object ? JSON_BEGIN_OBJECT : JSON_BEGIN_ARRAY, NULL, 0);
}

static int close_level(struct json_read *reader, struct json_event *event)
{
    enum json_kind kind = reader->in_object ? JSON_END_OBJECT : JSON_END_ARRAY;
    size_t above = --reader->depth;
    if (above)
        reader->in_object = reader->objects[(above - 1) / WORD_BITS] >> ((above - 1) % WORD_BITS) & 1;
    after_value(reader);
    reader->at++;
    return give(reader, event, kind, NULL, 0);
}

static int begin_value(struct json_read *reader, struct json_event *event, struct err *err)
{
    switch (*reader->at) {
    case '"':
        return begin_string(reader, event, err);
    case '{':
        return open_level(reader, event, true, err);
    case '[':
        return open_level(reader, event, false, err);
    case 't':
        return begin_literal(reader, event, "true", err);
    case 'f':
        return begin_literal(reader, event, "false", err);
    case 'n':
        return begin_literal(reader, event, "null", err);
    default:
        if (*reader->at == '-' || is_digit(*reader->at))
            return begin_number(reader, event, err);
        return fail_found(reader, "a value", err);
    }
}

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && is_blank(*at))
        at++;
    return at;
}

/* Takes a colon or comma and the blanks behind it, after which a token must come. Returns false where something else
 * stands there. */
static bool take_mark(struct json_read *reader)
{
    char c = *reader->at;
    if (c == ':' && reader->expect == EXPECT_COLON)
        reader->expect = EXPECT_VALUE;
    else if (c == ',' && reader->expect == EXPECT_MORE)
        reader->expect = reader->in_object ? EXPECT_NAME : EXPECT_VALUE;
    else
        return false;
    reader->at = skip_blanks(reader->at + 1, reader->end);
    return true;
}

/* reader->at stands at what is neither blank, nor a colon or comma in its place. */
static int begin_token(struct json_read *reader, struct json_event *event, struct err *err)
{
    char c = *reader->at;
    switch (reader->expect) {
    case EXPECT_FIRST_VALUE:
        return c == ']' ? close_level(reader, event) : begin_value(reader, event, err);
    case EXPECT_VALUE:
        return begin_value(reader, event, err);
    case EXPECT_FIRST_NAME:
        if (c == '}')
            return close_level(reader, event);
        return c == '"' ? begin_string(reader, event, err) : fail_found(reader, "a name or '}'", err);
    case EXPECT_NAME:
        return c == '"' ? begin_string(reader, event, err) : fail_found(reader, "a name", err);
    case EXPECT_COLON:
        return fail_found(reader, "':'", err);
    case EXPECT_MORE:
        if (c == (reader->in_object ? '}' : ']'))
            return close_level(reader, event);
        return fail_found(reader, reader->in_object ? "',' or '}'" : "',' or ']'", err);
    default:
        return fail_found(reader, "the end", err);
    }
}

int json_read_next(struct json_read *reader, struct json_event *event, struct err *err)
{
    if (reader->failed)
        return err_set(err, ERR_INPUT, "the document was found wrong before");
    switch (reader->token) {
    case TOKEN_STRING:
        return go_on_string(reader, event, err);
    case TOKEN_NUMBER:
        return reader->at < reader->end ? go_on_number(reader, event, err) : 0;
    case TOKEN_LITERAL:
        return go_on_literal(reader, event, err);
    default:
        break;
    }
    reader->at = skip_blanks(reader->at, reader->end);
    if (reader->at == reader->end || (take_mark(reader) && reader->at == reader->end))
        return 0;
    return begin_token(reader, event, err);
}

int json_read_end(struct json_read *reader, struct json_event *event, struct err *err)
{
    if (reader->failed)
        return err_set(err, ERR_INPUT, "the document was found wrong before");
    if (reader->token == TOKEN_NUMBER && !reader->depth && is_whole_number(reader->number)) {
        after_value(reader);
        return give(reader, event, JSON_NUMBER_VALUE, reader->own.data, reader->own.len);
    }
    if (reader->expect == EXPECT_END)
        return 0;
    reader->failed = true;
    if (reader->token == TOKEN_NONE && reader->position == 0)
        return err_set(err, ERR_INPUT, "the document is empty");
    return err_set(err, ERR_INPUT, "the document is cut off after byte %zu", place(reader, reader->end));
}
