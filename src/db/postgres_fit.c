/* Brings values to the form in which a column of PostgreSQL holds them, as far as only PostgreSQL knows it. */
#include "db/postgres.h"

#include <string.h>

static int no_time(const struct column *column, struct err *err)
{
    return err_set(err, ERR_VALUE, "is no %s", column->type);
}

/* Is there, outside of escaped backslashes, \u0000? jsonb holds texts, and those cannot have it. */
static bool json_has_nul(const char *text, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++)
        if (text[i] == '\\') {
            if (len - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0)
                return true;
            i++;
        }
    return false;
}

static int refuse_nul(struct err *err)
{
    return err_set(err, ERR_VALUE, "holds the character U+0000, which PostgreSQL cannot keep");
}

static size_t characters(const struct value *value)
{
    size_t count = 0;
    for (size_t i = 0; i < value->text.len; i++)
        count += ((unsigned char)value->text.bytes[i] & 0xC0) != 0x80;
    return count;
}

/* char(n) is read back with all its blanks; those beyond it go. */
static int pad(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    if (column->modifier < 4)
        return 0;
    size_t most = (size_t)column->modifier - 4, count = characters(value), len = value->text.len;
    for (; count > most && len && value->text.bytes[len - 1] == ' '; count--)
        len--;
    if (count > most)
        return err_set(err, ERR_VALUE, "has %zu characters, the column holds %zu", count, most);
    char *text = arena_alloc(arena, len + most - count + 1);
    if (!text)
        return err_memory(err);
    memcpy(text, value->text.bytes, len);
    memset(text + len, ' ', most - count);
    value_set_text(value, value->kind, text, len + most - count);
    return 0;
}

/* time(n), interval(n) and their kind round away the digits beyond n in silence. */
static int check_fraction(const struct column *column, const struct value *value, unsigned most, struct err *err)
{
    const char *text = value->text.bytes, *end = text + value->text.len, *point = memchr(text, '.', value->text.len);
    size_t digits = 0, last = 0;
    for (const char *at = point ? point + 1 : end; at < end && *at >= '0' && *at <= '9'; at++) {
        digits++;
        if (*at != '0')
            last = digits;
    }
    if (last > most)
        return err_set(err, ERR_VALUE, "has %zu digits of a second's fraction, %s keeps %u", last, column->type, most);
    return 0;
}

/* "now" is another time whenever it is asked, so only what sources send is taken: 12:30:00, 12:30:00.5+01. */
static bool is_clock(const struct value *value)
{
    size_t colons = 0;
    for (size_t i = 0; i < value->text.len; i++) {
        char c = value->text.bytes[i];
        if (!((c >= '0' && c <= '9') || strchr(":.+-", c)) || c == '\0')
            return false;
        colons += c == ':';
    }
    return colons > 0 && value->text.bytes[0] >= '0' && value->text.bytes[0] <= '9';
}

/* money rounds in silence, and its separators are the locale's. Sources send two decimals; more digits behind the last
 * separator would be rounded, or be thousands. */
static int check_money(const struct value *value, struct err *err)
{
    const char *text = value->text.bytes;
    size_t digits = 0, at = value->text.len;
    while (at && text[at - 1] >= '0' && text[at - 1] <= '9')
        at--, digits++;
    if (at && (text[at - 1] == '.' || text[at - 1] == ',') && digits > 2)
        return err_set(err, ERR_VALUE, "has more decimals than money keeps, or thousands without decimals");
    return 0;
}

static unsigned kept_digits(const struct column *column)
{
    /* An interval's modifier has the fields above its digits. */
    unsigned digits = (unsigned)column->modifier & 0xFFFF;
    return column->modifier >= 0 && digits <= 6 ? digits : 6;
}

/* numeric(3,-2) holds hundreds: accept sees five digits, and this that the last two are zeros. */
static int check_rounded(const struct column *column, const struct value *value, struct err *err)
{
    int scale = column->modifier >= 4 ? (((column->modifier - 4) & 0x7FF) ^ 1024) - 1024 : 0;
    const char *text = value->text.bytes, *point = memchr(text, '.', value->text.len);
    size_t whole = point ? (size_t)(point - text) : value->text.len;
    for (int i = 0; i < -scale && (size_t)i < whole; i++)
        if (text[whole - 1 - (size_t)i] >= '1' && text[whole - 1 - (size_t)i] <= '9')
            return err_set(err, ERR_VALUE, "has digits that %s rounds away", column->type);
    return 0;
}

static int check_time(const struct column *column, unsigned type, const struct value *value, struct err *err)
{
    int64_t time;
    if (value->kind != KIND_TEXT)
        return 0;
    if (postgres_odd_time(value->text.bytes, value->text.len, type == PG_DATE, &time))
        return no_time(column, err);
    return check_fraction(column, value, column->digits, err);
}

static bool is_text(const struct value *value)
{
    return value->kind == KIND_TEXT || value->kind == KIND_JSON;
}

/* The type "char" keeps one byte, and cuts off in silence what follows. A byte beyond ASCII is written \ooo. */
static int check_byte(const struct value *value, struct err *err)
{
    const char *text = value->text.bytes;
    bool escape = value->text.len == 4 && *text == '\\';
    for (size_t i = 1; escape && i < 4; i++)
        escape = text[i] >= '0' && text[i] <= '7';
    return value->text.len <= 1 || escape ? 0 : err_set(err, ERR_VALUE, "is longer than the one byte of the column");
}

static int fit_scalar(const struct column *column, unsigned type, struct value *value, struct arena *arena,
                      struct err *err)
{
    if (is_text(value) && memchr(value->text.bytes, '\0', value->text.len))
        return refuse_nul(err);
    switch ((enum pg_type)type) {
    case PG_BPCHAR:
        return is_text(value) ? pad(column, value, arena, err) : 0;
    case PG_CHAR:
        return is_text(value) ? check_byte(value, err) : 0;
    case PG_JSONB:
        return is_text(value) && json_has_nul(value->text.bytes, value->text.len) ? refuse_nul(err) : 0;
    case PG_OID:
        if ((value->kind == KIND_INT || value->kind == KIND_UINT) && value->natural > UINT32_MAX)
            return err_set(err, ERR_VALUE, "is not between 0 and 4294967295");
        return 0;
    case PG_NUMERIC:
        return value->kind == KIND_DECIMAL ? check_rounded(column, value, err) : 0;
    case PG_DATE:
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ:
        return check_time(column, type, value, err);
    case PG_MONEY:
        return is_text(value) ? check_money(value, err) : 0;
    case PG_TIME:
    case PG_TIMETZ:
        if (is_text(value) && !is_clock(value))
            return no_time(column, err);
        return is_text(value) ? check_fraction(column, value, kept_digits(column), err) : 0;
    case PG_INTERVAL:
        return is_text(value) ? check_fraction(column, value, kept_digits(column), err) : 0;
    default:
        return 0;
    }
}

/* lists: all of one level are of one length, as PostgreSQL's arrays have dimensions */

enum { MAX_DIMENSIONS = 6 };

struct shape {
    size_t lengths[MAX_DIMENSIONS];
    unsigned dimensions; /* 0: not known yet */
};

static int ragged(struct err *err)
{
    return err_set(err, ERR_VALUE, "has lists of different lengths, which PostgreSQL cannot keep as one array");
}

static int fit_level(const struct column *column, struct value *list, unsigned level, struct shape *shape,
                     struct arena *arena, struct err *err)
{
    if (level == MAX_DIMENSIONS)
        return err_set(err, ERR_VALUE, "has lists in lists in more than %d dimensions", MAX_DIMENSIONS);
    if (shape->dimensions == 0 || level >= shape->dimensions)
        shape->lengths[level] = list->list.count;
    else if (shape->lengths[level] != list->list.count)
        return ragged(err);
    struct value *items = arena_array(arena, list->list.count + 1, sizeof *items);
    if (!items)
        return err_memory(err);
    for (size_t i = 0; i < list->list.count; i++) {
        items[i] = list->list.items[i];
        bool deeper = items[i].kind == KIND_LIST;
        if (shape->dimensions && deeper != (level + 1 < shape->dimensions))
            return ragged(err);
        if (deeper ? fit_level(column, &items[i], level + 1, shape, arena, err)
                   : fit_scalar(column, column->element, &items[i], arena, err))
            return -1;
        if (!deeper && !shape->dimensions)
            shape->dimensions = level + 1;
    }
    list->list.items = items;
    return 0;
}

static bool has_elements(const struct value *list)
{
    for (size_t i = 0; i < list->list.count; i++)
        if (list->list.items[i].kind != KIND_LIST || has_elements(&list->list.items[i]))
            return true;
    return false;
}

int postgres_fit(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    struct shape shape = {.dimensions = 0};
    if (value->kind == KIND_NULL)
        return 0;
    if (column->kind != KIND_LIST)
        return fit_scalar(column, column->number, value, arena, err);
    if (value->kind != KIND_LIST)
        return err_set(err, ERR_VALUE, "is no list");
    if (!has_elements(value)) {
        value->list.count = 0; /* an array without elements has no dimensions, either */
        return 0;
    }
    return fit_level(column, value, 0, &shape, arena, err);
}
