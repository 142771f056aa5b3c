#include "entity/since.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"
#include "entity/entity.h"
#include "entity/json_write.h"
#include "entity/part.h"

/* writing */

static bool is_local(const struct since_shape *shape, const struct column *column)
{
    return column->zoneless && shape->zone;
}

static int write_part(struct buf *out, const struct since_shape *shape, size_t column, const struct value *value,
                      struct err *err)
{
    const struct column *described = &shape->relation->columns[column];
    return part_write(out, described, is_local(shape, described), value, err);
}

static int write_updated(struct buf *out, const struct since_shape *shape, const struct value *updated, struct err *err)
{
    return write_part(out, shape, shape->updated, updated, err);
}

static int write_key_part(struct buf *out, const struct since_shape *shape, size_t part, const struct value *value,
                          struct err *err)
{
    buf_putc(out, PART_SEPARATOR);
    return write_part(out, shape, shape->relation->key[part], value, err);
}

static int write_key(struct buf *out, const struct since_shape *shape, const struct value *const *key, struct err *err)
{
    for (size_t i = 0; i < shape->relation->key_count; i++)
        if (write_key_part(out, shape, i, key[i], err))
            return -1;
    return 0;
}

int since_write(struct buf *out, const struct since_shape *shape, const struct value *updated,
                const struct value *const *key, struct err *err)
{
    if (updated && write_updated(out, shape, updated, err))
        return -1;
    if (key)
        return write_key(out, shape, key, err);
    buf_putc(out, PART_SEPARATOR);
    return 0;
}

/* key NULL: at or after the updated value. */
static int write_position(struct buf *out, const struct since_shape *shape, const struct position *position,
                          struct err *err)
{
    if (write_updated(out, shape, position->updated, err))
        return -1;
    if (!position->key)
        buf_putc(out, PART_SEPARATOR);
    for (size_t i = 0; position->key && i < shape->relation->key_count; i++)
        if (write_key_part(out, shape, i, &position->key[i], err))
            return -1;
    return 0;
}

int since_write_pair(struct buf *out, const struct since_shape *shape, const struct position *low,
                     const struct value *updated, const struct value *const *key, struct err *err)
{
    if (write_position(out, shape, low, err))
        return -1;
    buf_putc(out, PART_SEPARATOR);
    return since_write(out, shape, updated, key, err);
}

int since_write_sent(struct buf *out, const struct since_shape *shape, const struct position *position, struct err *err)
{
    buf_putc(out, PART_SEPARATOR);
    return write_position(out, shape, position, err);
}

int since_write_scan(struct buf *out, const struct since_shape *shape, const struct position *low,
                     const struct position *highest, const struct value *const *key, struct err *err)
{
    return write_position(out, shape, low, err) || since_write_sent(out, shape, highest, err) ||
                   write_key(out, shape, key, err)
               ? -1
               : 0;
}

void since_write_mark(struct buf *out)
{
    buf_putc(out, PART_SEPARATOR);
}

void since_write_plain(struct buf *out, const struct since_shape *shape, const struct value *updated)
{
    const struct column *column = &shape->relation->columns[shape->updated];
    struct field field = {.digits = 6, .zone = column->zoneless ? shape->zone : NULL};
    struct iso_time time;
    struct value datetime;
    if (updated->kind == KIND_TEXT && iso_parse(updated->text.bytes, updated->text.len, &time) == 0) {
        datetime = value_integer(KIND_DATETIME, time.time);
        updated = &datetime;
    }
    entity_value(out, &field, updated);
}

/* reading a token */

static int parse_part(const struct since_shape *shape, size_t column, const char *text, size_t len, struct arena *arena,
                      struct value *value)
{
    const struct column *described = &shape->relation->columns[column];
    return part_parse(described, is_local(shape, described), text, len, arena, value);
}

static int misfit(const struct since_shape *shape, struct err *err)
{
    err_set(err, ERR_GONE, "the token does not fit the key and updated column '%s' of this source as they are now",
            shape->relation->columns[shape->updated].name);
    return err_hint(err, "reset the pipe, so that it begins with a full read");
}

/* A token in the course of being read. */
struct reading {
    const struct since_shape *shape;
    struct arena *arena;
    const char *at;
};

static int read_part(struct reading *reading, size_t column, struct value *value)
{
    size_t len = strcspn(reading->at, "!");
    if (parse_part(reading->shape, column, reading->at, len, reading->arena, value))
        return -1;
    reading->at += len;
    return 0;
}

static int read_key(struct reading *reading, struct position *position)
{
    const struct relation *relation = reading->shape->relation;
    struct value *key = arena_array(reading->arena, relation->key_count + 1, sizeof *key);
    if (!key)
        return -1;
    for (size_t i = 0; i < relation->key_count; i++)
        if (*reading->at++ != PART_SEPARATOR || read_part(reading, relation->key[i], &key[i]))
            return -1;
    position->key = key;
    return 0;
}

static int read_updated(struct reading *reading, struct position *position)
{
    struct value *updated = arena_alloc(reading->arena, sizeof *updated);
    position->updated = updated;
    return updated && read_part(reading, reading->shape->updated, updated) == 0 ? 0 : -1;
}

static int read_position(struct reading *reading, struct position *position)
{
    return read_updated(reading, position) || read_key(reading, position) ? -1 : 0;
}

/* Is this all, but for the mark that the run is over? */
static bool is_end(const struct reading *reading, bool *marked)
{
    *marked = strcmp(reading->at, "!") == 0;
    return *marked || !*reading->at;
}

static int read_base(struct reading *reading, struct position *base)
{
    bool bare;
    *base = (struct position){.key = NULL};
    if (*reading->at++ != PART_SEPARATOR || read_updated(reading, base))
        return -1;
    if (is_end(reading, &bare))
        return bare ? 0 : -1;
    return read_key(reading, base) || *reading->at ? -1 : 0;
}

/* Behind a pair: the key where its scan stands, and whether that is over, or where it began. */
static int read_scan(struct reading *reading, struct since *since)
{
    struct position scanned = {.updated = NULL};
    if (read_key(reading, &scanned))
        return -1;
    since->scanned = scanned.key;
    since->base = since->low;
    bool end = is_end(reading, &since->over);
    since->kind = since->over ? SINCE_PAIR : SINCE_SCAN;
    return end ? 0 : read_base(reading, &since->base);
}

/* Behind the first updated value: nothing, the key, or the second part of a pair, whose first has a key or not. */
static int read_rest(struct reading *reading, struct since *since)
{
    since->kind = SINCE_FROM;
    if (strcmp(reading->at, "!") == 0)
        return 0;
    bool bare = strncmp(reading->at, "!!", 2) == 0;
    since->kind = SINCE_AFTER;
    if (bare ? !reading->at++ : read_key(reading, &since->position))
        return -1;
    if (!bare && is_end(reading, &since->over))
        return 0;
    since->kind = SINCE_PAIR;
    since->low = since->position;
    since->position = (struct position){.updated = NULL};
    if (*reading->at++ != PART_SEPARATOR || read_position(reading, &since->position))
        return -1;
    return is_end(reading, &since->over) ? 0 : read_scan(reading, since);
}

static int parse_token(struct since *since, const struct since_shape *shape, const char *text, struct arena *arena,
                       struct err *err)
{
    struct reading reading = {.shape = shape, .arena = arena, .at = text};
    if (strcmp(text, "!") == 0)
        return 0;
    if (*text == PART_SEPARATOR) {
        since->kind = SINCE_NULLS;
        return read_key(&reading, &since->position) || !is_end(&reading, &since->over) ? misfit(shape, err) : 0;
    }
    return read_updated(&reading, &since->position) || read_rest(&reading, since) ? misfit(shape, err) : 0;
}

const struct position *since_beginning(const struct since *since)
{
    switch (since->kind) {
    case SINCE_PAIR:
    case SINCE_SCAN:
        return &since->low;
    case SINCE_AFTER:
    case SINCE_FROM:
        return &since->position;
    default:
        return NULL;
    }
}

/* reading plain forms */

static int64_t in_unit(int64_t time, enum config_unit unit)
{
    return iso_floor(time, unit == UNIT_S ? ISO_SECOND : unit == UNIT_MS ? ISO_SECOND / 1000 : 1);
}

/* The lowest that a wall clock shows at or after this time: where the clock goes back, an hour comes twice. At
 * the edges of the calendar the wall clock may be beyond them. */
static int64_t lowest_wall(const struct zone *zone, int64_t time)
{
    const int64_t window = 2 * 3600 * ISO_SECOND;
    int64_t now = zone_to_wall(zone, time), later = zone_to_wall(zone, time + window);
    int64_t wall = later - now < window ? now - (window - (later - now)) : now;
    return wall < ISO_TIME_MIN ? ISO_TIME_MIN : wall > ISO_TIME_MAX ? ISO_TIME_MAX : wall;
}

/* No clock is further behind UTC. */
#define FARTHEST_ZONE (15 * 3600 * ISO_SECOND)

/* The lowest ISO text of this time or a later one: on the clock of the farthest zone, with a space, which is
 * lower than "T", and without what may be left out. */
static int lowest_text(int64_t time, struct arena *arena, struct value *value)
{
    time = time - ISO_TIME_MIN < FARTHEST_ZONE ? ISO_TIME_MIN : time - FARTHEST_ZONE;
    char *text = arena_alloc(arena, ISO_SIZE);
    if (!text)
        return -1;
    size_t len = iso_datetime(text, time, 6, "");
    text[10] = ' ';
    while (text[len - 1] == '0' && len > 20)
        len--;
    if (len == 20)
        len = 19;
    if (len == 19 && memcmp(text + 16, ":00", 3) == 0)
        len = 16;
    if (len == 16 && memcmp(text + 10, " 00:00", 6) == 0)
        len = 10;
    *value = value_text(KIND_TEXT, text, len);
    return 0;
}

/* The lowest text of this time or a later one, where all are written as newest is: its letter between date and time,
 * its digits, its zone. Where that is an offset, which may change, or newest is no time, any form is thought of. */
static int lowest_like(const struct since_shape *shape, int64_t time, const struct value *newest, struct arena *arena,
                       struct value *value)
{
    struct iso_time form;
    const char *like = newest->text.bytes;
    size_t len = newest->text.len, used = 0;
    if (newest->kind != KIND_TEXT || iso_parse(like, len, &form))
        return lowest_text(time, arena, value);
    bool utc = form.zoned && (like[len - 1] == 'Z' || like[len - 1] == 'z');
    if (form.zoned && !utc)
        return lowest_text(time, arena, value);
    char *text = arena_alloc(arena, ISO_SIZE);
    if (!text)
        return -1;
    while (used < len && (strchr("-:.T ", like[used]) || (like[used] >= '0' && like[used] <= '9')))
        used++;
    iso_datetime(text, form.zoned ? time : lowest_wall(shape->zone, time), 6, "");
    if (used > 10)
        text[10] = like[10];
    *value = value_text(KIND_TEXT, text, used < 26 ? used : 26);
    return 0;
}

static bool is_text(const struct column *column, const struct value *newest)
{
    return column->position == POSITION_ANY ? newest->kind == KIND_TEXT
                                            : column->position == POSITION_TEXT && column->kind == KIND_TEXT;
}

int since_lowest(const struct since_shape *shape, int64_t time, const struct value *newest, struct arena *arena,
                 struct value *value, struct err *err)
{
    static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    const struct column *column = &shape->relation->columns[shape->updated];
    time = time < ISO_TIME_MIN ? ISO_TIME_MIN : time > ISO_TIME_MAX ? ISO_TIME_MAX : time;
    if (shape->unit != UNIT_NONE) {
        *value = value_integer(KIND_INT, in_unit(time, shape->unit));
    } else if (column->position == POSITION_DATETIME) {
        int64_t unit = units[column->digits < 6 ? column->digits : 6];
        *value = value_integer(KIND_DATETIME, iso_floor(is_local(shape, column) ? lowest_wall(shape->zone, time) : time, unit) * unit);
        if (value->integer < ISO_TIME_MIN)
            value->integer = ISO_TIME_MIN;
    } else if (column->position == POSITION_DATE) {
        *value = value_integer(KIND_DATE, iso_floor(lowest_wall(shape->zone, time), ISO_DAY));
    } else if (is_text(column, newest)) {
        return lowest_like(shape, time, newest, arena, value) ? err_memory(err) : 0;
    } else {
        return err_set(err, ERR_INTERNAL, "the updated column '%s' holds no times", column->name);
    }
    return 0;
}

static int from_time(struct since *since, const struct since_shape *shape, int64_t time, struct arena *arena,
                     struct value *value)
{
    const struct column *column = &shape->relation->columns[shape->updated];
    if (shape->unit != UNIT_NONE) {
        *value = value_integer(KIND_INT, in_unit(time, shape->unit));
        return 0;
    }
    switch (column->position) {
    case POSITION_DATETIME:
        *value = value_integer(KIND_DATETIME, is_local(shape, column) ? lowest_wall(shape->zone, time) : time);
        return 0;
    case POSITION_DATE:
        *value = value_integer(KIND_DATE, iso_floor(time, ISO_DAY));
        return 0;
    case POSITION_TEXT:
        if (column->kind != KIND_TEXT)
            return -1;
        /* fall through */
    case POSITION_ANY:
        since->by_time = true;
        since->time = time;
        return lowest_text(time, arena, value);
    default:
        return -1;
    }
}

static int parse_signed(const char *text, struct value *value)
{
    uint64_t number;
    bool negative = *text == '-';
    if (part_natural(text + negative, strlen(text + negative), &number))
        return -1;
    if (number > (uint64_t)INT64_MAX + negative) {
        value->kind = KIND_UINT;
        value->natural = number;
        return negative ? -1 : 0;
    }
    *value = value_integer(KIND_INT, negative ? (int64_t)(0 - number) : (int64_t)number);
    return 0;
}

static int from_integer(const struct column *column, const char *text, struct value *value)
{
    if (column->position == POSITION_INTEGER || column->position == POSITION_ANY)
        return parse_signed(text, value);
    if (column->kind != KIND_DECIMAL && column->kind != KIND_FLOAT)
        return -1;
    *value = value_text(column->kind, text, strlen(text));
    return 0;
}

/* Digits, a point and an exponent, as databases write numbers. */
static bool is_number(const char *text)
{
    char *end;
    bool begins = (*text >= '0' && *text <= '9') || (*text == '-' && text[1] >= '0' && text[1] <= '9');
    if (!begins || strspn(text, "0123456789.eE+-") != strlen(text))
        return false;
    strtod(text, &end);
    return *end == '\0';
}

/* In SQLite only where our own plain token of a REAL comes back. */
static int from_number(const struct since_shape *shape, const char *text, struct value *value)
{
    const struct column *column = &shape->relation->columns[shape->updated];
    bool numeric = column->kind == KIND_DECIMAL || column->kind == KIND_FLOAT;
    if (!numeric && !(shape->plain && column->position == POSITION_ANY))
        return -1;
    *value = value_text(numeric ? column->kind : KIND_FLOAT, text, strlen(text));
    return 0;
}

/* What stands in a column of times, but is none that we can count. */
static bool is_odd_time(const struct column *column, const char *text)
{
    size_t len = strlen(text);
    if (column->position != POSITION_DATETIME && column->position != POSITION_DATE)
        return false;
    return strcmp(text, "infinity") == 0 || strcmp(text, "-infinity") == 0 || strncmp(text, "0000-", 5) == 0 ||
           (len > 3 && strcmp(text + len - 3, " BC") == 0);
}

static int parse_plain(struct since *since, const struct since_shape *shape, const char *text, struct arena *arena,
                       struct value *value)
{
    const struct column *column = &shape->relation->columns[shape->updated];
    struct iso_time time;
    struct value number;
    if (parse_signed(text, &number) == 0)
        return from_integer(column, text, value);
    if (iso_parse(text, strlen(text), &time) == 0)
        return from_time(since, shape, time.time, arena, value);
    if (is_number(text) && from_number(shape, text, value) == 0)
        return 0;
    bool texts = column->kind == KIND_TEXT || is_odd_time(column, text);
    if (!shape->plain || !texts || !json_write_is_utf8(text, strlen(text)))
        return -1;
    *value = value_text(KIND_TEXT, text, strlen(text)); /* our own plain token of a text */
    return 0;
}

static const char *accepted_forms(const struct since_shape *shape)
{
    const struct column *column = &shape->relation->columns[shape->updated];
    bool number = column->position == POSITION_INTEGER || column->kind == KIND_DECIMAL || column->kind == KIND_FLOAT;
    if (number && shape->unit == UNIT_NONE)
        return "accepted are an _updated that this source sent, and an integer (meaning: at or after)";
    if (number || column->position == POSITION_ANY)
        return "accepted are an _updated that this source sent, a datetime (2024-01-31T23:59:59.5Z, with or without"
               " ~t, Z or +01:00), a date (2024-01-31) and an integer (meaning: at or after)";
    return "accepted are an _updated that this source sent, a datetime (2024-01-31T23:59:59.5Z, with or without ~t, Z"
           " or +01:00) and a date (2024-01-31) (meaning: at or after)";
}

/* As in entities: a tag goes before times and decimals, and one more "~" before a text's own. */
static const char *without_tag(const char *text)
{
    if (strncmp(text, "~t", 2) == 0 || strncmp(text, "~f", 2) == 0)
        return text + 2;
    return strncmp(text, "~~", 2) == 0 ? text + 1 : text;
}

int since_parse(struct since *since, const struct since_shape *shape, const char *text, struct arena *arena,
                struct err *err)
{
    *since = (struct since){.kind = SINCE_START};
    if (strchr(text, PART_SEPARATOR) && !shape->plain)
        return parse_token(since, shape, text, arena, err);
    struct value *value = arena_alloc(arena, sizeof *value);
    const char *bare = without_tag(text);
    if (!value || !(bare = arena_strdup(arena, bare)))
        return err_memory(err);
    since->kind = SINCE_FROM;
    since->position.updated = value;
    if (parse_plain(since, shape, bare, arena, value) == 0)
        return 0;
    err_set(err, ERR_INPUT, "'since' is not a position of this source"); /* and holds a row's values: the log gets this */
    return err_hint(err, "%s", accepted_forms(shape));
}
