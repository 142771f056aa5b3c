/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/iso.h"
#include "entity/since.h"

#define HOUR (3600 * ISO_SECOND)

/* columns, one of each sort that a position can consist of */

enum sort { INTEGER, DATETIME, WALL, DATE, UUID, TEXT, BYTES, BOOL, SORTS };

static const struct column columns[SORTS] = {
    [INTEGER] = {.name = "i", .type = "bigint", .kind = KIND_INT, .position = POSITION_INTEGER, .nullable = true},
    [DATETIME] = {.name = "t", .type = "timestamptz", .kind = KIND_DATETIME, .position = POSITION_DATETIME},
    [WALL] = {.name = "w", .type = "timestamp", .kind = KIND_DATETIME, .position = POSITION_DATETIME, .zoneless = true},
    [DATE] = {.name = "d", .type = "date", .kind = KIND_DATE, .position = POSITION_DATE},
    [UUID] = {.name = "u", .type = "uuid", .kind = KIND_UUID, .position = POSITION_UUID},
    [TEXT] = {.name = "x", .type = "text", .kind = KIND_TEXT, .position = POSITION_TEXT, .bytewise = true},
    [BYTES] = {.name = "b", .type = "bytea", .kind = KIND_BYTES, .position = POSITION_TEXT, .bytewise = true},
    [BOOL] = {.name = "f", .type = "boolean", .kind = KIND_BOOL, .position = POSITION_TEXT, .bytewise = true},
};

enum { KEY_MAX = 2 };

/* A relation of an updated column and a key, of these sorts. */
struct table {
    struct column columns[1 + KEY_MAX];
    size_t key[KEY_MAX];
    struct relation relation;
    struct since_shape shape;
};

static void make_table(struct table *table, struct column updated, const struct column *key, size_t key_count)
{
    *table = (struct table){.columns = {updated}};
    for (size_t i = 0; i < key_count; i++) {
        table->columns[1 + i] = key[i];
        table->key[i] = 1 + i;
    }
    table->relation = (struct relation){.columns = table->columns,
                                        .column_count = 1 + key_count,
                                        .key = table->key,
                                        .key_count = key_count,
                                        .title = "t"};
    table->shape.relation = &table->relation;
}

static struct zone *open_zone(const char *name)
{
    struct zone *zone = NULL;
    struct err err = {0};
    if (zone_open(&zone, name, &err))
        fail_msg("%s: %s", name, err.text);
    return zone;
}

static int64_t time_of(const char *text)
{
    struct iso_time time;
    if (iso_parse(text, strlen(text), &time))
        fail_msg("'%s' is no time", text);
    return time.time;
}

/* Values as a test writes them. */
#define INT(n) ((struct value){.kind = KIND_INT, .integer = (n)})
#define UINT(n) ((struct value){.kind = KIND_UINT, .natural = (n)})
#define STRING(s) ((struct value){.kind = KIND_TEXT, .text = {(s), sizeof(s) - 1}})
#define RAW(s) ((struct value){.kind = KIND_BYTES, .text = {(s), sizeof(s) - 1}})
#define UUID_OF(s) ((struct value){.kind = KIND_UUID, .text = {(s), 16}})
#define TIME(n) ((struct value){.kind = KIND_DATETIME, .integer = (n)})
#define DAY(n) ((struct value){.kind = KIND_DATE, .integer = (n)})
#define NUMBER(k, s) ((struct value){.kind = (k), .text = {(s), sizeof(s) - 1}})
#define YES ((struct value){.kind = KIND_BOOL, .boolean = true})
#define NOTHING ((struct value){.kind = KIND_NULL})
#define NO ((struct value){.kind = KIND_BOOL, .boolean = false})

static bool same_value(const struct value *a, const struct value *b)
{
    bool integers =
        (a->kind == KIND_INT || a->kind == KIND_UINT) && (b->kind == KIND_INT || b->kind == KIND_UINT);
    if (integers)
        return a->natural == b->natural && (a->kind == b->kind || a->integer >= 0);
    if (a->kind != b->kind)
        return false;
    if (a->kind == KIND_BOOL)
        return a->boolean == b->boolean;
    if (a->kind == KIND_DATETIME || a->kind == KIND_DATE)
        return a->integer == b->integer;
    return a->text.len == b->text.len &&
           (a->text.len == 0 || memcmp(a->text.bytes, b->text.bytes, a->text.len) == 0);
}

/* single parts */

struct part {
    enum sort sort;
    struct value value;
    const char *text;
};

static const struct part parts[] = {
    {INTEGER, INT(0), "00000000000000000000"},
    {INTEGER, INT(7), "00000000000000000007"},
    {INTEGER, INT(-1), "-99999999999999999999"},
    {INTEGER, INT(-1234), "-99999999999999998766"},
    {INTEGER, INT(INT64_MAX), "09223372036854775807"},
    {INTEGER, INT(INT64_MIN), "-90776627963145224192"},
    {INTEGER, UINT(UINT64_MAX), "18446744073709551615"},
    {INTEGER, UINT(UINT64_C(9223372036854775808)), "09223372036854775808"},
    {DATETIME, TIME(0), "1970-01-01T00:00:00.000000Z"},
    {DATETIME, TIME(-1), "1969-12-31T23:59:59.999999Z"},
    {DATETIME, TIME(ISO_TIME_MIN), "0001-01-01T00:00:00.000000Z"},
    {DATETIME, TIME(ISO_TIME_MAX), "9999-12-31T23:59:59.999999Z"},
    {DATETIME, STRING("infinity"), "infinity"},
    {DATETIME, STRING("-infinity"), "-infinity"},
    {DATETIME, STRING("0044-03-15 12:00:00 BC"), "0044-03-15#`12:00:00#`BC"},
    {DATETIME, STRING("10000-01-01 00:00:00"), "10000-01-01#`00:00:00"},
    {DATETIME, STRING("0000-00-00 00:00:00"), "0000-00-00#`00:00:00"},
    {WALL, TIME(0), "1970-01-01T00:00:00.000000Z"},
    {DATE, DAY(0), "1970-01-01"},
    {DATE, DAY(-1), "1969-12-31"},
    {DATE, DAY(ISO_DAYS_MIN), "0001-01-01"},
    {DATE, DAY(ISO_DAYS_MAX), "9999-12-31"},
    {DATE, STRING("infinity"), "infinity"},
    {DATE, STRING("2024-00-00"), "2024-00-00"},
    {UUID, UUID_OF("\x53\x1a\x37\x9e\x31\xbb\x4c\xe1\x86\x90\x15\x8d\xce\xb6\x4b\xe6"), "531a379e-31bb-4ce1-8690-158dceb64be6"},
    {TEXT, STRING(""), "#"},
    {TEXT, STRING("abc"), "abc"},
    {TEXT, STRING("#"), "#c"},
    {TEXT, STRING("!"), "#a"},
    {TEXT, STRING("\0"), "#@"},
    {TEXT, STRING("a b\"c"), "a#`b#bc"},
    {TEXT, STRING("\n\x1f$%"), "#J#_$%"},
    {TEXT, STRING("bl\xC3\xA5 \xF0\x9F\x98\x80"), "bl\xC3\xA5#`\xF0\x9F\x98\x80"},
    {TEXT, STRING("2024-01-31"), "2024-01-31"},
    {TEXT, STRING("~t"), "~t"},
    {BYTES, RAW(""), "#"},
    {BYTES, RAW("\x00\xff!"), "00ff21"},
    {BOOL, YES, "true"},
    {BOOL, NO, "false"},
};

static void check_part(const struct part *part, struct arena *arena)
{
    struct table table;
    struct since since;
    struct err err = {0};
    struct buf token = {0};
    const struct value key = INT(5), *keys[] = {&key};
    make_table(&table, columns[part->sort], &columns[INTEGER], 1);
    assert_int_equal(since_write(&token, &table.shape, &part->value, keys, &err), 0);
    const char *text = buf_text(&token);
    if (strncmp(text, part->text, strlen(part->text)) != 0 ||
        strcmp(text + strlen(part->text), "!00000000000000000005") != 0)
        fail_msg("wrote %s, not %s!00000000000000000005", text, part->text);
    if (since_parse(&since, &table.shape, text, arena, &err))
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(since.kind, SINCE_AFTER);
    if (!same_value(since.position.updated, &part->value) || !same_value(&since.position.key[0], &key))
        fail_msg("%s was read as another value", text);
    buf_free(&token);
}

static void a_part_of_each_sort_goes_out_and_comes_back(void **state)
{
    struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        check_part(&parts[i], arena);
        arena_reset(arena);
    }
    arena_free(arena);
}

static void a_zoneless_part_is_written_as_it_is_stored(void **state)
{
    struct zone *zone = open_zone("Europe/Oslo");
    struct arena *arena = arena_new();
    struct table table;
    struct since since;
    struct err err = {0};
    struct buf token = {0};
    const struct value noon = TIME(12 * HOUR), key = TIME(13 * HOUR), *keys[] = {&key};
    (void)state;
    make_table(&table, columns[WALL], &columns[DATETIME], 1);
    table.shape.zone = zone;
    assert_int_equal(since_write(&token, &table.shape, &noon, keys, &err), 0);
    assert_string_equal(buf_text(&token), "1970-01-01T12:00:00.000000!1970-01-01T13:00:00.000000Z");
    assert_int_equal(since_parse(&since, &table.shape, buf_text(&token), arena, &err), 0);
    assert_true(since.position.updated->integer == 12 * HOUR);
    assert_true(since.position.key[0].integer == 13 * HOUR);
    buf_free(&token);
    arena_free(arena);
    zone_close(zone);
}

/* whole tokens */

static void each_form_of_token_says_where_to_go_on(void **state)
{
    static const struct {
        const char *token;
        enum since_kind kind;
    } cases[] = {
        {"!", SINCE_START},
        {"!00000000000000000005!a", SINCE_NULLS},
        {"00000000000000000003!", SINCE_FROM},
        {"00000000000000000003!00000000000000000005!a", SINCE_AFTER},
    };
    const struct value updated = INT(3), first = INT(5), second = STRING("a"), *key[] = {&first, &second};
    struct arena *arena = arena_new();
    struct table table;
    (void)state;
    make_table(&table, columns[INTEGER], (const struct column[]){columns[INTEGER], columns[TEXT]}, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct since since;
        struct err err = {0};
        struct buf token = {0};
        enum since_kind kind = cases[i].kind;
        bool has_updated = kind == SINCE_AFTER || kind == SINCE_FROM,
             has_key = kind == SINCE_AFTER || kind == SINCE_NULLS;
        assert_int_equal(
            since_write(&token, &table.shape, has_updated ? &updated : NULL, has_key ? key : NULL, &err), 0);
        assert_string_equal(buf_text(&token), cases[i].token);
        assert_int_equal(since_parse(&since, &table.shape, cases[i].token, arena, &err), 0);
        assert_int_equal(since.kind, kind);
        assert_int_equal(since.position.updated != NULL, has_updated);
        assert_int_equal(since.position.key != NULL, has_key);
        assert_false(since.by_time);
        if (has_key)
            assert_true(same_value(&since.position.key[0], &first) &&
                        same_value(&since.position.key[1], &second));
        buf_free(&token);
    }
    arena_free(arena);
}

/* many positions, drawn so that near ones and odd ones come often */

static uint64_t random_state = 88172645463325252U;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static uint64_t draw_bits(void)
{
    return draw(UINT64_MAX) >> draw(64);
}

static struct value draw_integer(void)
{
    static const int64_t ends[] = {0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1};
    switch (draw(4)) {
    case 0:
        return INT(ends[draw(10)]);
    case 1:
        return INT((int64_t)draw_bits());
    case 2:
        return INT((int64_t)(0 - draw_bits()));
    default:
        return UINT(draw(2) ? draw_bits() : UINT64_MAX - draw(3));
    }
}

static int64_t draw_between(int64_t low, int64_t high)
{
    switch (draw(4)) {
    case 0:
        return low + (int64_t)draw(3);
    case 1:
        return high - (int64_t)draw(3);
    case 2:
        return (int64_t)draw(5) - 2;
    default:
        return low + (int64_t)draw((uint64_t)(high - low));
    }
}

/* Characters around the escapes and of each length. */
static struct value draw_text(char *room)
{
    static const char *const wide[] = {"\x7f",         "\xC2\x80",     "\xC3\xA5",
                                       "\xE2\x82\xAC", "\xEF\xBF\xBF", "\xF0\x9F\x98\x80"};
    size_t len = 0;
    for (uint64_t count = draw(6); count; count--) {
        uint64_t choice = draw(4);
        if (choice == 0) {
            const char *character = wide[draw(6)];
            memcpy(room + len, character, strlen(character));
            len += strlen(character);
        } else {
            room[len++] = choice == 1   ? (char)draw(0x80)
                          : choice == 2 ? (char)draw(0x28)
                                        : "!#$@c `"[draw(7)];
        }
    }
    return value_text(KIND_TEXT, room, len);
}

static struct value draw_raw(enum kind kind, char *room, size_t len)
{
    for (size_t i = 0; i < len; i++)
        room[i] = (char)(draw(3) ? 0 : draw(256));
    return value_text(kind, room, len);
}

static struct value draw_value(enum sort sort, char *room)
{
    switch (sort) {
    case INTEGER:
        return draw_integer();
    case DATETIME:
    case WALL:
        return TIME(draw_between(ISO_TIME_MIN, ISO_TIME_MAX));
    case DATE:
        return DAY(draw_between(ISO_DAYS_MIN, ISO_DAYS_MAX));
    case UUID:
        return draw_raw(KIND_UUID, room, 16);
    case TEXT:
        return draw_text(room);
    case BYTES:
        return draw_raw(KIND_BYTES, room, draw(5));
    default:
        return draw(2) ? YES : NO;
    }
}

/* Pairs of tokens for each sort of updated value. One thread needs no look for races between threads. */
#ifdef __SANITIZE_THREAD__
enum { ROOM = 32, PAIRS = 50000 };
#else
enum { ROOM = 32, PAIRS = 1000000 };
#endif

/* A position in the stream: the start, rows without updated value, an updated value, a row. */
struct drawn {
    bool has_updated, has_key;
    struct value updated, key[KEY_MAX];
    char room[1 + KEY_MAX][ROOM];
};

static void draw_position(struct drawn *drawn, const enum sort *sorts, size_t key_count)
{
    drawn->has_updated = draw(8) != 0;
    drawn->has_key = draw(8) != 0;
    drawn->updated = draw_value(sorts[0], drawn->room[0]);
    for (size_t i = 0; i < key_count; i++)
        drawn->key[i] = draw_value(sorts[1 + i], drawn->room[1 + i]);
}

/* The same position as another, but for what comes behind a common beginning. */
static void share_beginning(struct drawn *drawn, const struct drawn *with, size_t parts_shared)
{
    struct value *const own[] = {&drawn->updated, &drawn->key[0]};
    const struct value *const other[] = {&with->updated, &with->key[0]};
    if (parts_shared)
        drawn->has_updated = with->has_updated;
    for (size_t i = 0; i < parts_shared; i++)
        *own[i] = *other[i];
}

static int compare_numbers(const struct value *a, const struct value *b)
{
    bool below_a = a->kind != KIND_UINT && a->integer < 0, below_b = b->kind != KIND_UINT && b->integer < 0;
    if (below_a != below_b)
        return below_a ? -1 : 1;
    return a->natural < b->natural ? -1 : a->natural > b->natural; /* two's complement keeps the order */
}

static int compare_values(const struct value *a, const struct value *b)
{
    if (a->kind == KIND_BOOL)
        return (int)a->boolean - (int)b->boolean;
    if (a->kind != KIND_TEXT && a->kind != KIND_BYTES && a->kind != KIND_UUID)
        return compare_numbers(a, b);
    size_t common = a->text.len < b->text.len ? a->text.len : b->text.len;
    int order = common ? memcmp(a->text.bytes, b->text.bytes, common) : 0;
    return order ? order : a->text.len < b->text.len ? -1 : a->text.len > b->text.len;
}

static int compare_positions(const struct drawn *a, const struct drawn *b, size_t key_count)
{
    if (a->has_updated != b->has_updated)
        return a->has_updated ? 1 : -1;
    int order = a->has_updated ? compare_values(&a->updated, &b->updated) : 0;
    if (order || a->has_key != b->has_key)
        return order ? order : a->has_key ? 1 : -1;
    for (size_t i = 0; a->has_key && i < key_count && !order; i++)
        order = compare_values(&a->key[i], &b->key[i]);
    return order;
}

static void write_position(struct buf *token, const struct table *table, const struct drawn *drawn)
{
    const struct value *key[] = {&drawn->key[0], &drawn->key[1]};
    struct err err = {0};
    buf_reset(token);
    if (since_write(token, &table->shape, drawn->has_updated ? &drawn->updated : NULL,
                    drawn->has_key ? key : NULL, &err))
        fail_msg("%s", err.text);
}

static void read_position(const struct table *table, const struct drawn *drawn, const char *token,
                          struct arena *arena)
{
    struct since since;
    struct err err = {0};
    if (since_parse(&since, &table->shape, token, arena, &err))
        fail_msg("%s: %s", token, err.text);
    enum since_kind kind = drawn->has_updated ? drawn->has_key ? SINCE_AFTER : SINCE_FROM
                           : drawn->has_key   ? SINCE_NULLS
                                              : SINCE_START;
    bool same = since.kind == kind && !since.by_time;
    if (same && drawn->has_updated)
        same = same_value(since.position.updated, &drawn->updated);
    for (size_t i = 0; same && drawn->has_key && i < table->relation.key_count; i++)
        same = same_value(&since.position.key[i], &drawn->key[i]);
    if (!same)
        fail_msg("%s was read as another position", token);
}

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

static void check_order(const enum sort *sorts, size_t key_count, unsigned pairs, const struct zone *zone)
{
    struct column key[KEY_MAX];
    struct table table;
    struct buf first = {0}, second = {0};
    struct arena *arena = arena_new();
    for (size_t i = 0; i < key_count; i++)
        key[i] = columns[sorts[1 + i]];
    make_table(&table, columns[sorts[0]], key, key_count);
    table.shape.zone = zone;
    for (unsigned i = 0; i < pairs; i++) {
        struct drawn a, b;
        draw_position(&a, sorts, key_count);
        draw_position(&b, sorts, key_count);
        share_beginning(&b, &a, draw(1 + key_count));
        write_position(&first, &table, &a);
        write_position(&second, &table, &b);
        if (sign(strcmp(buf_text(&first), buf_text(&second))) != sign(compare_positions(&a, &b, key_count)))
            fail_msg("%s and %s are not in the order of their positions", first.data, second.data);
        read_position(&table, &a, first.data, arena);
        arena_reset(arena);
    }
    buf_free(&first);
    buf_free(&second);
    arena_free(arena);
}

static void tokens_stand_in_the_order_of_the_stream(void **state)
{
    enum { SHAPES = SORTS + 1 };
    struct zone *zone = open_zone("Europe/Oslo");
    (void)state;
    for (enum sort updated = 0; updated < SORTS; updated++) {
        check_order((const enum sort[]){updated, INTEGER}, 1, PAIRS / SHAPES, NULL);
        for (enum sort key = 0; key < SORTS; key++)
            check_order((const enum sort[]){updated, key, (key + updated + 1) % SORTS}, 2, PAIRS / SHAPES,
                        updated % 2 ? zone : NULL);
    }
    zone_close(zone);
}

/* pairs */

/* A row, a pair of where to begin again and a row, or such a pair and the row of a scan; each marked as the last of its run
 * or not. */
struct drawn_pair {
    bool paired, marked, scanned, based;
    struct drawn first, second, scan, base;
};

static void draw_pair(struct drawn_pair *pair, const enum sort *sorts, size_t key_count)
{
    pair->paired = draw(4) != 0;
    pair->scanned = pair->paired && draw(2);
    pair->based = pair->scanned && draw(2);
    pair->marked = !pair->based && draw(2);
    draw_position(&pair->first, sorts, key_count);
    draw_position(&pair->second, sorts, key_count);
    draw_position(&pair->scan, sorts, key_count);
    draw_position(&pair->base, sorts, key_count);
    pair->first.has_updated = pair->second.has_updated = pair->second.has_key = pair->base.has_updated = true;
    pair->first.has_key = pair->first.has_key || !pair->paired;
    pair->scan.has_updated = false;
    pair->scan.has_key = true;
}

/* The same as another, but for what comes behind so many positions. */
static void share_positions(struct drawn_pair *pair, const struct drawn_pair *with, uint64_t shared)
{
    if (shared > 0 && pair->paired == with->paired)
        pair->first = with->first;
    if (shared > 1)
        pair->second = with->second;
    if (shared > 2)
        pair->scan = with->scan;
}

static int compare_pairs(const struct drawn_pair *a, const struct drawn_pair *b, size_t key_count)
{
    int order = compare_positions(&a->first, &b->first, key_count);
    if (order || !a->paired || !b->paired)
        return order ? order : (a->paired ? 2 : a->marked) - (b->paired ? 2 : b->marked);
    order = compare_positions(&a->second, &b->second, key_count);
    if (order || !a->scanned || !b->scanned)
        return order ? order : (a->scanned ? 2 : a->marked) - (b->scanned ? 2 : b->marked);
    order = compare_positions(&a->scan, &b->scan, key_count);
    if (order || !a->based || !b->based)
        return order ? order : (a->based ? 2 : a->marked) - (b->based ? 2 : b->marked);
    return compare_positions(&a->base, &b->base, key_count);
}

static struct position position_of(const struct drawn *drawn)
{
    return (struct position){&drawn->updated, drawn->has_key ? drawn->key : NULL};
}

static void write_scan(struct buf *token, const struct table *table, const struct drawn_pair *pair)
{
    const struct value *key[] = {&pair->scan.key[0], &pair->scan.key[1]};
    const struct position low = position_of(&pair->first), highest = position_of(&pair->second),
                          base = position_of(&pair->base);
    struct err err = {0};
    if (since_write_scan(token, &table->shape, &low, &highest, key, &err) ||
        (pair->based && since_write_sent(token, &table->shape, &base, &err)))
        fail_msg("%s", err.text);
}

static void write_pair(struct buf *token, const struct table *table, const struct drawn_pair *pair)
{
    const struct value *key[] = {&pair->second.key[0], &pair->second.key[1]};
    const struct position low = position_of(&pair->first);
    struct err err = {0};
    buf_reset(token);
    if (!pair->paired)
        write_position(token, table, &pair->first);
    else if (pair->scanned)
        write_scan(token, table, pair);
    else if (since_write_pair(token, &table->shape, &low, &pair->second.updated, key, &err))
        fail_msg("%s", err.text);
    if (pair->marked)
        since_write_mark(token);
}

static bool is_position(const struct table *table, const struct position *position, const struct drawn *drawn)
{
    bool same = position->updated && same_value(position->updated, &drawn->updated) &&
                (position->key != NULL) == drawn->has_key;
    for (size_t i = 0; same && drawn->has_key && i < table->relation.key_count; i++)
        same = same_value(&position->key[i], &drawn->key[i]);
    return same;
}

static void read_pair(const struct table *table, const struct drawn_pair *pair, const char *token, struct arena *arena)
{
    struct since since;
    struct err err = {0};
    if (since_parse(&since, &table->shape, token, arena, &err))
        fail_msg("%s: %s", token, err.text);
    bool open = pair->scanned && !pair->marked;
    enum since_kind kind = open ? SINCE_SCAN : pair->paired ? SINCE_PAIR : SINCE_AFTER;
    bool same = since.kind == kind && since.over == pair->marked &&
                is_position(table, &since.position, pair->paired ? &pair->second : &pair->first) &&
                (!pair->paired || is_position(table, &since.low, &pair->first)) &&
                (!open || is_position(table, &since.base, pair->based ? &pair->base : &pair->first));
    for (size_t i = 0; same && open && i < table->relation.key_count; i++)
        same = same_value(&since.scanned[i], &pair->scan.key[i]);
    if (!same)
        fail_msg("%s was read as another pair", token);
}

static void check_pairs(const enum sort *sorts, size_t key_count, unsigned pairs)
{
    struct column key[KEY_MAX];
    struct table table;
    struct buf first = {0}, second = {0};
    struct arena *arena = arena_new();
    for (size_t i = 0; i < key_count; i++)
        key[i] = columns[sorts[1 + i]];
    make_table(&table, columns[sorts[0]], key, key_count);
    for (unsigned i = 0; i < pairs; i++) {
        struct drawn_pair a, b;
        draw_pair(&a, sorts, key_count);
        draw_pair(&b, sorts, key_count);
        share_beginning(&b.first, &a.first, draw(1 + key_count));
        share_positions(&b, &a, draw(4));
        write_pair(&first, &table, &a);
        write_pair(&second, &table, &b);
        if (sign(strcmp(buf_text(&first), buf_text(&second))) != sign(compare_pairs(&a, &b, key_count)))
            fail_msg("%s and %s are not in the order of where they lead", first.data, second.data);
        read_pair(&table, &a, first.data, arena);
        arena_reset(arena);
    }
    buf_free(&first);
    buf_free(&second);
    arena_free(arena);
}

static void pairs_stand_in_the_order_of_the_stream(void **state)
{
    enum { SHAPES = SORTS + 1 };
    (void)state;
    for (enum sort updated = 0; updated < SORTS; updated++) {
        check_pairs((const enum sort[]){updated, INTEGER}, 1, PAIRS / SHAPES);
        for (enum sort key = 0; key < SORTS; key++)
            check_pairs((const enum sort[]){updated, key, (key + updated + 1) % SORTS}, 2, PAIRS / SHAPES);
    }
}

static void pair_begins_before_the_row_it_belongs_to(void **state)
{
    const struct value horizon = INT(3), updated = INT(7), key = INT(5), sent = INT(9);
    const struct value *keys[] = {&key};
    const struct position low = {&horizon, NULL}, ahead = {&sent, &key};
    struct buf token = {0};
    struct err err = {0};
    struct table table;
    (void)state;
    make_table(&table, columns[INTEGER], &columns[INTEGER], 1);
    assert_int_equal(since_write_pair(&token, &table.shape, &low, &updated, keys, &err), 0);
    assert_string_equal(buf_text(&token), "00000000000000000003!!00000000000000000007!00000000000000000005");
    buf_reset(&token);
    assert_int_equal(since_write(&token, &table.shape, &updated, keys, &err), 0);
    assert_int_equal(since_write_sent(&token, &table.shape, &ahead, &err), 0);
    assert_string_equal(buf_text(&token),
                        "00000000000000000007!00000000000000000005!00000000000000000009!00000000000000000005");
    buf_free(&token);
}

/* What comes in a run in pages, in this order, and at its end. */
static void tokens_of_a_run_in_pages_never_go_back(void **state)
{
    static const struct {
        const char *token;
        enum since_kind kind;
        bool over;
        int64_t low, base, scanned; /* 0: none */
    } cases[] = {
        {"!00000000000000000002", SINCE_NULLS, false, 0, 0, 0},
        {"!00000000000000000002!", SINCE_NULLS, true, 0, 0, 0},
        {"00000000000000000003!00000000000000000005", SINCE_AFTER, false, 0, 0, 0},
        {"00000000000000000003!00000000000000000005!", SINCE_AFTER, true, 0, 0, 0},
        {"00000000000000000004!!00000000000000000006!00000000000000000007", SINCE_PAIR, false, 4, 0, 0},
        {"00000000000000000004!!00000000000000000006!00000000000000000007!", SINCE_PAIR, true, 4, 0, 0},
        {"00000000000000000004!!00000000000000000008!00000000000000000001!00000000000000000001", SINCE_SCAN, false, 4, 4, 1},
        {"00000000000000000004!!00000000000000000008!00000000000000000001!00000000000000000002!00000000000000000006!",
         SINCE_SCAN, false, 4, 6, 2},
        {"00000000000000000004!!00000000000000000008!00000000000000000001!00000000000000000003!00000000000000000006!00000000000000000007",
         SINCE_SCAN, false, 4, 6, 3},
        {"00000000000000000004!!00000000000000000008!00000000000000000001!00000000000000000004!", SINCE_PAIR, true, 4, 0, 4},
    };
    struct arena *arena = arena_new();
    struct table table;
    (void)state;
    make_table(&table, columns[INTEGER], &columns[INTEGER], 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct since since;
        struct err err = {0};
        if (since_parse(&since, &table.shape, cases[i].token, arena, &err))
            fail_msg("%s: %s", cases[i].token, err.text);
        if (since.kind != cases[i].kind || since.over != cases[i].over ||
            (cases[i].low && since.low.updated->integer != cases[i].low) ||
            (cases[i].base && since.base.updated->integer != cases[i].base) ||
            (since.scanned ? since.scanned->integer : 0) != cases[i].scanned)
            fail_msg("%s was read as something else", cases[i].token);
        if (i && strcmp(cases[i - 1].token, cases[i].token) >= 0)
            fail_msg("%s goes back", cases[i].token);
    }
    arena_free(arena);
}

/* the lowest value of a time */

static void lowest_value_of_a_time_is_never_above_what_a_row_of_it_has(void **state)
{
    static const struct {
        enum sort sort;
        unsigned digits;
        enum config_unit unit;
        const char *zone, *time;
        struct value newest, lowest;
    } cases[] = {
        {DATETIME, 6, UNIT_NONE, NULL, "2024-01-31T23:59:59.123456Z", NOTHING, TIME(INT64_C(1706745599123456))},
        {DATETIME, 3, UNIT_NONE, NULL, "2024-01-31T23:59:59.123456Z", NOTHING, TIME(INT64_C(1706745599123000))},
        {DATETIME, 0, UNIT_NONE, NULL, "2024-01-31T23:59:59.999999Z", NOTHING, TIME(INT64_C(1706745599000000))},
        {DATETIME, 0, UNIT_NONE, NULL, "1969-12-31T23:59:59.5Z", NOTHING, TIME(-1000000)},
        {WALL, 6, UNIT_NONE, "+02:00", "1970-01-01T00:00:00Z", NOTHING, TIME(2 * HOUR)},
        {WALL, 6, UNIT_NONE, "Europe/Oslo", "2024-07-01T00:00:00Z", NOTHING, TIME(INT64_C(1719799200000000))},
        /* an hour before the clock goes back from 03:00 to 02:00, at 01:00 UTC: what comes then may be at 02:00 */
        {WALL, 6, UNIT_NONE, "Europe/Oslo", "2024-10-27T00:30:00Z", NOTHING, TIME(INT64_C(1729992600000000))},
        {DATE, 0, UNIT_NONE, NULL, "1970-01-02T23:59:59Z", NOTHING, DAY(1)},
        {DATE, 0, UNIT_NONE, "+02:00", "1970-01-02T23:59:59Z", NOTHING, DAY(2)},
        {INTEGER, 0, UNIT_S, NULL, "1970-01-01T00:00:01.999999Z", NOTHING, INT(1)},
        {INTEGER, 0, UNIT_MS, NULL, "1970-01-01T00:00:01.999999Z", NOTHING, INT(1999)},
        {INTEGER, 0, UNIT_US, NULL, "1970-01-01T00:00:01.999999Z", NOTHING, INT(1999999)},
        {TEXT, 0, UNIT_NONE, NULL, "2024-01-31T23:59:59.123456Z", STRING("2024-01-31 20:00:00"), STRING("2024-01-31 23:59:59")},
        {TEXT, 0, UNIT_NONE, NULL, "2024-01-31T23:59:59.123456Z", STRING("2024-01-31T20:00:00.000Z"),
         STRING("2024-01-31T23:59:59.123")},
        {TEXT, 0, UNIT_NONE, NULL, "2024-01-31T23:59:59.123456Z", STRING("2024-01-31T20:00:00.000000000Z"),
         STRING("2024-01-31T23:59:59.123456")},
        {TEXT, 0, UNIT_NONE, NULL, "2024-01-31T23:59:59Z", STRING("2024-01-31T20:00Z"), STRING("2024-01-31T23:59")},
        {TEXT, 0, UNIT_NONE, NULL, "2024-01-31T23:59:59Z", STRING("2024-01-31"), STRING("2024-01-31")},
        {TEXT, 0, UNIT_NONE, "+02:00", "2024-01-31T23:59:59Z", STRING("2024-01-31T20:00:00"), STRING("2024-02-01T01:59:59")},
        {TEXT, 0, UNIT_NONE, "+02:00", "2024-01-31T23:59:59Z", STRING("2024-01-31T20:00:00Z"), STRING("2024-01-31T23:59:59")},
        {TEXT, 0, UNIT_NONE, NULL, "2024-01-31T23:59:59Z", STRING("2024-01-31T20:00:00-05:00"), STRING("2024-01-31 08:59:59")},
        {TEXT, 0, UNIT_NONE, NULL, "2024-01-31T23:59:59Z", NOTHING, STRING("2024-01-31 08:59:59")},
    };
    struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct zone *zone = cases[i].zone ? open_zone(cases[i].zone) : NULL;
        struct column updated = columns[cases[i].sort];
        struct table table;
        struct value lowest;
        struct err err = {0};
        updated.digits = cases[i].digits;
        make_table(&table, updated, &columns[INTEGER], 1);
        table.shape.zone = zone;
        table.shape.unit = cases[i].unit;
        if (since_lowest(&table.shape, time_of(cases[i].time), &cases[i].newest, arena, &lowest, &err))
            fail_msg("case %zu: %s", i, err.text);
        if (!same_value(&lowest, &cases[i].lowest))
            fail_msg("case %zu: %s has another lowest value: %" PRId64 " '%.*s'", i, cases[i].time, lowest.integer,
                     lowest.kind == KIND_TEXT ? (int)lowest.text.len : 0, lowest.kind == KIND_TEXT ? lowest.text.bytes : "");
        zone_close(zone);
    }
    arena_free(arena);
}

static void column_without_times_has_no_lowest_value(void **state)
{
    struct arena *arena = arena_new();
    struct value lowest, nothing = NOTHING;
    struct table table;
    struct err err = {0};
    (void)state;
    make_table(&table, columns[INTEGER], &columns[INTEGER], 1);
    assert_int_equal(since_lowest(&table.shape, 0, &nothing, arena, &lowest, &err), -1);
    arena_free(arena);
}

/* what does not fit */

static void check_misfit(const struct table *table, const char *text, struct arena *arena)
{
    struct since since;
    struct err err = {0};
    if (since_parse(&since, &table->shape, text, arena, &err) == 0)
        fail_msg("'%s' was taken", text);
    if (err.code != ERR_GONE || !*err.hint)
        fail_msg("'%s' gave error %d: %s", text, err.code, err.text);
}

static void a_token_of_another_shape_is_gone(void **state)
{
    static const struct {
        enum sort updated, key;
        const char *token;
    } cases[] = {
        {INTEGER, INTEGER, "00000000000000000003!00000000000000000005!00000000000000000005"},
        {INTEGER, INTEGER, "00000000000000000003!abc"},
        {INTEGER, INTEGER, "00000000000000000003!!"},
        {INTEGER, INTEGER, "3!00000000000000000005"},
        {INTEGER, INTEGER, "0000000000000000003!00000000000000000005"},
        {INTEGER, INTEGER, "000000000000000000003!00000000000000000005"},
        {INTEGER, INTEGER, "99999999999999999999!00000000000000000005"},
        {INTEGER, INTEGER, "18446744073709551616!00000000000000000005"},
        {INTEGER, INTEGER, "-00000000000000000003!00000000000000000005"},
        {INTEGER, INTEGER, "-90776627963145224191!00000000000000000005"},
        {INTEGER, INTEGER, "-9999999999999999999a!00000000000000000005"},
        {INTEGER, INTEGER, "-9999999999999999999!00000000000000000005"},
        {INTEGER, INTEGER, "2024-01-31T23:59:59.123456Z!00000000000000000005"},
        {INTEGER, INTEGER, "!!"},
        {INTEGER, INTEGER, "00000000000000000003!!00000000000000000005"},
        {INTEGER, INTEGER, "00000000000000000003!!!"},
        {INTEGER, INTEGER, "00000000000000000003!!00000000000000000005!"},
        {INTEGER, INTEGER, "00000000000000000003!00000000000000000005!!"},
        {INTEGER, INTEGER, "00000000000000000003!!00000000000000000005!00000000000000000005!!"},
        {INTEGER, INTEGER, "00000000000000000003!!00000000000000000005!00000000000000000005!abc"},
        {INTEGER, INTEGER, "00000000000000000003!!00000000000000000005!00000000000000000005!00000000000000000005!!"},
        {INTEGER, INTEGER, "00000000000000000003!!00000000000000000005!00000000000000000005!00000000000000000005!00000000000000000005"},
        {INTEGER, INTEGER, "00000000000000000003!!00000000000000000005!00000000000000000005!00000000000000000005!abc!"},
        {INTEGER, INTEGER, "00000000000000000003!!00000000000000000005!00000000000000000005!00000000000000000005!00000000000000000005!!"},
        {INTEGER, INTEGER, "00000000000000000003!!00000000000000000005!00000000000000000005!00000000000000000005!00000000000000000005!"
                           "00000000000000000005!"},
        {INTEGER, INTEGER, "!00000000000000000003!!"},
        {INTEGER, INTEGER, "!00000000000000000003!00000000000000000003"},
        {TEXT, TEXT, "a!b!!"},
        {TEXT, TEXT, "a!!b!"},
        {TEXT, TEXT, "a!!b!c!!"},
        {TEXT, TEXT, "a!!b!c!d!!"},
        {INTEGER, INTEGER, "00000000000000000003!!!00000000000000000005!00000000000000000005"},
        {INTEGER, INTEGER, "00000000000000000003!00000000000000000003!00000000000000000005!"},
        {INTEGER, INTEGER, "00000000000000000003!00000000000000000003!!00000000000000000005"},
        {INTEGER, INTEGER, "00000000000000000003!00000000000000000003!abc!00000000000000000005"},
        {INTEGER, INTEGER, "!3"},
        {INTEGER, UUID, "00000000000000000003!00000000000000000005"},
        {INTEGER, UUID, "00000000000000000003!531a379e31bb4ce18690158dceb64be6"},
        {INTEGER, UUID, "00000000000000000003!531a379e-31bb-4ce1-8690-158dceb64beg"},
        {INTEGER, UUID, "00000000000000000003!531A379E-31BB-4CE1-8690-158DCEB64BE6"},
        {INTEGER, UUID, "00000000000000000003!{531a379e31bb4ce18690-158d-ceb64be6}"},
        {INTEGER, BYTES, "00000000000000000003!0"},
        {INTEGER, BYTES, "00000000000000000003!0G"},
        {INTEGER, BYTES, "00000000000000000003!AA"},
        {INTEGER, BOOL, "00000000000000000003!tru"},
        {INTEGER, BOOL, "00000000000000000003!True"},
        {INTEGER, BOOL, "00000000000000000003!0"},
        {INTEGER, TEXT, "00000000000000000003!a#"},
        {INTEGER, TEXT, "00000000000000000003!##"},
        {INTEGER, TEXT, "00000000000000000003!#d"},
        {INTEGER, TEXT, "00000000000000000003!#\xC3\xA5"},
        {INTEGER, TEXT, "00000000000000000003!\xC3"},
        {INTEGER, TEXT, "00000000000000000003!\xED\xA0\x80"},
        {INTEGER, TEXT, "00000000000000000003!a b"},
        {INTEGER, TEXT, "00000000000000000003!a\"b"},
        {DATETIME, INTEGER, "2024-01-31T23:59:59Z!00000000000000000005"},
        {DATETIME, INTEGER, "2024-01-31T23:59:59.123456!00000000000000000005"},
        {DATETIME, INTEGER, "2024-01-31t23:59:59.123456Z!00000000000000000005"},
        {DATETIME, INTEGER, "2024-01-31T23:59:59.1+01:00!00000000000000000005"},
        {DATETIME, INTEGER, "2024-01-31!00000000000000000005"},
        {DATE, INTEGER, "2024-01-31T23:59:59.123456Z!00000000000000000005"},
        {DATE, INTEGER, "2024-01-31T00:00!00000000000000000005"},
        {DATE, INTEGER, "a b!00000000000000000005"},
    };
    struct arena *arena = arena_new();
    struct table table;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_table(&table, columns[cases[i].updated], &columns[cases[i].key], 1);
        check_misfit(&table, cases[i].token, arena);
    }
    arena_free(arena);
}

/* A mark that is cut off does not count: what is left leads back as far. */
static void a_token_cut_anywhere_is_refused_or_an_earlier_place(void **state)
{
    static const char token[] = "2024-01-31T23:59:59.123456Z!00000000000000000005!00000000000000000006"
                                "!2024-02-01T00:00:00.000000Z!00000000000000000007!00000000000000000008"
                                "!00000000000000000009!00000000000000000010!2024-01-31T23:59:59.999999Z!";
    struct arena *arena = arena_new();
    struct table table;
    (void)state;
    make_table(&table, columns[DATETIME], (const struct column[]){columns[INTEGER], columns[INTEGER]}, 2);
    for (size_t len = 0; len <= strlen(token); len++) {
        struct since since;
        struct err err = {0};
        const char *cut = arena_copy(arena, token, len);
        if (since_parse(&since, &table.shape, cut, arena, &err)) {
            assert_true(err.code == ERR_INPUT || err.code == ERR_GONE);
            continue;
        }
        bool low = since.kind == SINCE_PAIR || since.kind == SINCE_SCAN;
        if ((low ? since.low : since.position).updated->integer > time_of("2024-01-31T23:59:59.123456Z"))
            fail_msg("'%s' was taken", cut);
    }
    arena_free(arena);
}

/* What cannot be part of a position fails the row, never gives a wrong token. */
static void a_value_without_an_order_has_no_token(void **state)
{
    const struct value list = {.kind = KIND_LIST}, null = {.kind = KIND_NULL}, text = STRING("\xC3"),
                       good = INT(1);
    const struct value *const bad[] = {&list, &null, &text};
    struct table table;
    (void)state;
    make_table(&table, columns[TEXT], &columns[TEXT], 1);
    for (size_t i = 0; i < 3; i++) {
        struct buf token = {0};
        struct err err = {0}, key_err = {0};
        const struct value *keys[] = {&good}, *bad_keys[] = {bad[i]};
        assert_int_equal(since_write(&token, &table.shape, bad[i], keys, &err), -1);
        assert_int_equal(err.code, ERR_DATABASE);
        assert_int_equal(since_write(&token, &table.shape, &good, bad_keys, &key_err), -1);
        assert_int_equal(key_err.code, ERR_DATABASE);
        buf_free(&token);
    }
}

/* plain forms */

struct plain {
    enum sort sort;
    enum config_unit unit;
    const char *text;
    struct value value;
};

static void check_plain(const struct plain *plain, struct arena *arena)
{
    struct table table;
    struct since since;
    struct err err = {0};
    make_table(&table, columns[plain->sort], &columns[INTEGER], 1);
    table.shape.unit = plain->unit;
    if (since_parse(&since, &table.shape, plain->text, arena, &err))
        fail_msg("%s: %s", plain->text, err.text);
    assert_int_equal(since.kind, SINCE_FROM);
    assert_null(since.position.key);
    if (!same_value(since.position.updated, &plain->value))
        fail_msg("'%s' was read as another value", plain->text);
}

static void plain_forms_mean_at_or_after(void **state)
{
    static const struct plain cases[] = {
        {INTEGER, UNIT_NONE, "0", INT(0)},
        {INTEGER, UNIT_NONE, "-0", INT(0)},
        {INTEGER, UNIT_NONE, "12", INT(12)},
        {INTEGER, UNIT_NONE, "-12", INT(-12)},
        {INTEGER, UNIT_NONE, "0000000000000000000000012", INT(12)},
        {INTEGER, UNIT_NONE, "-9223372036854775808", INT(INT64_MIN)},
        {INTEGER, UNIT_NONE, "9223372036854775807", INT(INT64_MAX)},
        {INTEGER, UNIT_NONE, "9223372036854775808", UINT(UINT64_C(9223372036854775808))},
        {INTEGER, UNIT_NONE, "18446744073709551615", UINT(UINT64_MAX)},
        {INTEGER, UNIT_S, "12", INT(12)},
        {INTEGER, UNIT_S, "1970-01-02", INT(86400)},
        {INTEGER, UNIT_S, "1970-01-01T00:00:01.999999Z", INT(1)},
        {INTEGER, UNIT_S, "1969-12-31T23:59:59.5Z", INT(-1)},
        {INTEGER, UNIT_MS, "~t1970-01-01T00:00:01.9999Z", INT(1999)},
        {INTEGER, UNIT_MS, "1969-12-31T23:59:59.9999Z", INT(-1)},
        {INTEGER, UNIT_US, "1970-01-01T00:00:01.999999Z", INT(1999999)},
        {DATETIME, UNIT_NONE, "1970-01-02T00:00:00Z", TIME(ISO_DAY)},
        {DATETIME, UNIT_NONE, "~t1970-01-02T00:00:00Z", TIME(ISO_DAY)},
        {DATETIME, UNIT_NONE, "1970-01-02", TIME(ISO_DAY)},
        {DATETIME, UNIT_NONE, "~t1970-01-02", TIME(ISO_DAY)},
        {DATETIME, UNIT_NONE, "1970-01-02T00:00", TIME(ISO_DAY)},
        {DATETIME, UNIT_NONE, "1970-01-02T01:00:00+01:00", TIME(ISO_DAY)},
        {DATETIME, UNIT_NONE, "1970-01-02T01:00:00 01:00", TIME(ISO_DAY)},
        {DATETIME, UNIT_NONE, "1970-01-01T00:00:00.0000019Z", TIME(1)},
        {WALL, UNIT_NONE, "1970-01-02T01:00:00+01:00", TIME(ISO_DAY)},
        {DATE, UNIT_NONE, "1970-01-02", DAY(1)},
        {DATE, UNIT_NONE, "1970-01-02T23:59:59Z", DAY(1)},
        {DATE, UNIT_NONE, "1969-12-31T23:59:59Z", DAY(-1)},
    };
    struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_plain(&cases[i], arena);
    arena_free(arena);
}

static void other_texts_are_refused_with_the_accepted_forms(void **state)
{
    static const struct {
        enum sort sort;
        enum config_unit unit;
        const char *text, *hint;
    } cases[] = {
        {INTEGER, UNIT_NONE, "", "integer"},
        {INTEGER, UNIT_NONE, "abc", "integer"},
        {INTEGER, UNIT_NONE, "-", "integer"},
        {INTEGER, UNIT_NONE, "+1", "integer"},
        {INTEGER, UNIT_NONE, " 1", "integer"},
        {INTEGER, UNIT_NONE, "1.5", "integer"},
        {INTEGER, UNIT_NONE, "1e3", "integer"},
        {INTEGER, UNIT_NONE, "18446744073709551616", "integer"},
        {INTEGER, UNIT_NONE, "-9223372036854775809", "integer"},
        {INTEGER, UNIT_NONE, "2024-01-31", "integer"},
        {INTEGER, UNIT_S, "2024-02-30", "datetime"},
        {DATETIME, UNIT_NONE, "", "datetime"},
        {DATETIME, UNIT_NONE, "~t", "datetime"},
        {DATETIME, UNIT_NONE, "12", "datetime"},
        {DATETIME, UNIT_NONE, "2023-02-29", "datetime"},
        {DATETIME, UNIT_NONE, "2024-01-31T24:00:00Z", "datetime"},
        {DATETIME, UNIT_NONE, "2024-01-31T23:59:59.Z", "datetime"},
        {DATETIME, UNIT_NONE, "yesterday", "datetime"},
        {DATETIME, UNIT_NONE, "infinity", "datetime"},
        {DATE, UNIT_NONE, "2024-1-1", "date"},
        {DATE, UNIT_NONE, "0000-01-01", "date"},
        {UUID, UNIT_NONE, "12", "_updated"},
        {UUID, UNIT_NONE, "531a379e-31bb-4ce1-8690-158dceb64be6", "_updated"},
        {UUID, UNIT_NONE, "2024-01-01", "_updated"},
        {TEXT, UNIT_NONE, "abc", "datetime"},
        {TEXT, UNIT_NONE, "12", "datetime"},
        {BYTES, UNIT_NONE, "2024-01-01", "_updated"},
    };
    struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct table table;
        struct since since;
        struct err err = {0};
        make_table(&table, columns[cases[i].sort], &columns[INTEGER], 1);
        table.shape.unit = cases[i].unit;
        if (since_parse(&since, &table.shape, cases[i].text, arena, &err) == 0)
            fail_msg("'%s' was taken", cases[i].text);
        if (err.code != ERR_INPUT || !strstr(err.hint, cases[i].hint) ||
            strcmp(err.text, "'since' is not a position of this source") != 0) /* values stay out of the log */
            fail_msg("'%s' gave error %d: %s (%s)", cases[i].text, err.code, err.text, err.hint);
    }
    arena_free(arena);
}

static void numbers_with_a_fraction_take_integers(void **state)
{
    static const enum kind kinds[] = {KIND_DECIMAL, KIND_FLOAT};
    struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct column column = {.name = "n", .type = "numeric", .kind = kinds[i], .position = POSITION_TEXT};
        struct table table;
        struct since since;
        struct err err = {0};
        make_table(&table, column, &columns[INTEGER], 1);
        assert_int_equal(since_parse(&since, &table.shape, "-12", arena, &err), 0);
        struct value want = value_text(kinds[i], "-12", 3);
        assert_true(same_value(since.position.updated, &want));
        assert_int_equal(since_parse(&since, &table.shape, "1.5!00000000000000000001", arena, &err), 0);
        want = value_text(kinds[i], "1.5", 3);
        assert_true(same_value(since.position.updated, &want));
    }
    arena_free(arena);
}

/* zones */

static int64_t parse_wall(const struct table *table, int64_t time)
{
    struct arena *arena = arena_new();
    struct since since;
    struct err err = {0};
    char text[ISO_SIZE + 1];
    text[iso_datetime(text, time, 6, "Z")] = '\0';
    if (since_parse(&since, &table->shape, text, arena, &err))
        fail_msg("%s: %s", text, err.text);
    int64_t wall = since.position.updated->integer;
    arena_free(arena);
    return wall;
}

/* No time at or after the asked one stands below the bound on the wall clock; and what comes without need is
 * no more than the hour that the clock goes back. */
static void a_wall_clock_that_goes_back_loses_nothing(void **state)
{
    static const struct {
        const char *zone, *from;
    } cases[] = {
        {"Europe/Oslo", "2024-10-26T20:00:00Z"},
        {"Europe/Oslo", "2024-03-30T20:00:00Z"},
        {"Europe/Oslo", "2024-06-01T00:00:00Z"},
        {"America/New_York", "2024-11-03T00:00:00Z"},
        {"Australia/Lord_Howe", "2024-04-06T09:00:00Z"},
        {"Antarctica/Troll", "2024-10-26T20:00:00Z"},
        {"+05:30", "2024-10-26T20:00:00Z"},
    };
    struct table table;
    (void)state;
    make_table(&table, columns[WALL], &columns[INTEGER], 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct zone *zone = open_zone(cases[i].zone);
        int64_t from = time_of(cases[i].from);
        table.shape.zone = zone;
        for (int64_t time = from; time < from + 12 * HOUR; time += HOUR / 4) {
            int64_t bound = parse_wall(&table, time), back = 0;
            for (int64_t later = time; later < time + 24 * HOUR; later += HOUR / 4) {
                if (zone_to_wall(zone, later) < bound)
                    fail_msg("%s: a later time stands below the bound", cases[i].zone);
                int64_t jump = zone_to_wall(zone, later) + HOUR / 4 - zone_to_wall(zone, later + HOUR / 4);
                back = jump > back ? jump : back;
            }
            if (bound < zone_to_wall(zone, time) - back)
                fail_msg("%s: the bound is lower than it need be", cases[i].zone);
        }
        zone_close(zone);
    }
}

static void a_time_beyond_the_wall_clocks_calendar_stays_within_it(void **state)
{
    static const char *const zones[] = {"Europe/Oslo", "America/New_York", "+14:00", "-12:00"};
    struct table table;
    (void)state;
    make_table(&table, columns[WALL], &columns[INTEGER], 1);
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        struct zone *zone = open_zone(zones[i]);
        table.shape.zone = zone;
        int64_t low = parse_wall(&table, ISO_TIME_MIN), high = parse_wall(&table, ISO_TIME_MAX);
        assert_true(low >= ISO_TIME_MIN && low <= ISO_TIME_MIN + 24 * HOUR);
        assert_true(high <= ISO_TIME_MAX && high >= ISO_TIME_MAX - 24 * HOUR);
        zone_close(zone);
    }
}

/* ISO texts and SQLite's values */

static const char *const text_forms[] = {"%.10s %.8s", "%.10sT%.8s", "%.10sT%.8sZ", "%.10s %.8s+00:00"};

static void check_text(const struct value *bound, const char *text)
{
    size_t common = bound->text.len < strlen(text) ? bound->text.len : strlen(text);
    int order = memcmp(text, bound->text.bytes, common);
    if (order < 0 || (order == 0 && strlen(text) < bound->text.len))
        fail_msg("'%s' is below '%.*s'", text, (int)bound->text.len, bound->text.bytes);
}

/* All the ways in which a time can stand in a column of texts are at or above the bound for it. */
static void check_texts(const struct value *bound, int64_t time)
{
    char iso[ISO_SIZE + 1], text[2 * ISO_SIZE];
    iso[iso_datetime(iso, time, 6, "")] = '\0';
    for (size_t form = 0; form < 4; form++) {
        snprintf(text, sizeof text, text_forms[form], iso, iso + 11);
        if (time % ISO_SECOND)
            snprintf(text, sizeof text, "%.10s%c%s%s", iso, form % 2 ? 'T' : ' ', iso + 11,
                     form == 2 ? "Z" : "");
        check_text(bound, text);
    }
    /* on a clock that is behind UTC, as on Baker Island */
    iso[iso_datetime(iso, time - 12 * HOUR, 6, "")] = '\0';
    snprintf(text, sizeof text, "%s-12:00", iso);
    check_text(bound, text);
}

static void a_time_on_a_column_of_texts_is_their_lowest_form(void **state)
{
    static const struct {
        const char *since, *text;
    } cases[] = {
        {"2024-01-31T23:59:58.120000Z", "2024-01-31 08:59:58.12"},
        {"2024-01-31T23:59:58.123456Z", "2024-01-31 08:59:58.123456"},
        {"2024-01-31T23:59:50Z", "2024-01-31 08:59:50"},
        {"2024-01-31T23:50:00Z", "2024-01-31 08:50"},
        {"2024-01-31T20:00:00Z", "2024-01-31 05:00"},
        {"2024-01-31T00:00:00.1Z", "2024-01-30 09:00:00.1"},
        {"2024-01-31T15:00:00Z", "2024-01-31"},
        {"2024-01-31", "2024-01-30 09:00"},
        {"~t2024-01-31T01:00:00+01:00", "2024-01-30 09:00"},
    };
    const struct column any = {.name = "a", .type = "", .kind = KIND_TEXT, .position = POSITION_ANY};
    const struct column both[] = {columns[TEXT], any};
    struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        struct table table;
        struct since since;
        struct err err = {0};
        make_table(&table, both[i % 2], &columns[INTEGER], 1);
        assert_int_equal(since_parse(&since, &table.shape, cases[i / 2].since, arena, &err), 0);
        assert_int_equal(since.kind, SINCE_FROM);
        assert_true(since.by_time &&
                    since.time == time_of(cases[i / 2].since + 2 * (cases[i / 2].since[0] == '~')));
        assert_int_equal(since.position.updated->kind, KIND_TEXT);
        assert_int_equal(since.position.updated->text.len, strlen(cases[i / 2].text));
        assert_memory_equal(since.position.updated->text.bytes, cases[i / 2].text, strlen(cases[i / 2].text));
        for (int64_t after = 0; after < 3 * HOUR; after += after < 100          ? 1
                                                           : after < ISO_SECOND ? 99991
                                                                                : 977 * ISO_SECOND)
            check_texts(since.position.updated, since.time + after);
    }
    arena_free(arena);
}

static void sqlite_values_keep_their_storage_class(void **state)
{
    static const struct {
        struct value value;
        const char *token;
    } cases[] = {
        {INT(-5), "i-99999999999999999995!t#"},
        {INT(5), "i00000000000000000005!t#"},
        {UINT(UINT64_MAX), "i18446744073709551615!t#"},
        {{.kind = KIND_FLOAT, .text = {"1.5", 3}}, "r1.5!t#"},
        {{.kind = KIND_FLOAT, .text = {"-1e-5", 5}}, "r-1e-5!t#"},
        {STRING("a b"), "ta#`b!t#"},
        {RAW("\x01"), "x01!t#"},
        {RAW(""), "x#!t#"},
    };
    const struct column any = {.name = "a", .type = "", .kind = KIND_TEXT, .position = POSITION_ANY};
    struct arena *arena = arena_new();
    struct table table;
    (void)state;
    make_table(&table, any, &any, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct value empty = STRING(""), *key[] = {&empty};
        struct since since;
        struct err err = {0};
        struct buf token = {0};
        assert_int_equal(since_write(&token, &table.shape, &cases[i].value, key, &err), 0);
        assert_string_equal(buf_text(&token), cases[i].token);
        assert_int_equal(since_parse(&since, &table.shape, cases[i].token, arena, &err), 0);
        assert_true(same_value(since.position.updated, &cases[i].value));
        assert_true(same_value(&since.position.key[0], &empty));
        buf_free(&token);
    }
    check_misfit(&table, "y5!t#", arena);
    check_misfit(&table, "i!t#", arena);
    check_misfit(&table, "t!t#", arena);
    check_misfit(&table, "i5!t#", arena);
    check_misfit(&table, "ta!!", arena);
    arena_free(arena);
}

static void sqlite_takes_integers_and_times(void **state)
{
    const struct column any = {.name = "a", .type = "", .kind = KIND_TEXT, .position = POSITION_ANY};
    const struct value five = INT(5);
    struct arena *arena = arena_new();
    struct table table;
    struct since since;
    struct err err = {0};
    (void)state;
    make_table(&table, any, &any, 1);
    assert_int_equal(since_parse(&since, &table.shape, "5", arena, &err), 0);
    assert_true(!since.by_time && same_value(since.position.updated, &five));
    table.shape.unit = UNIT_S;
    assert_int_equal(since_parse(&since, &table.shape, "1970-01-01T00:00:05Z", arena, &err), 0);
    assert_true(!since.by_time && same_value(since.position.updated, &five));
    arena_free(arena);
}

/* plain tokens */

static void plain_tokens_go_out_and_come_back(void **state)
{
    static const struct {
        enum sort sort;
        struct value value;
        const char *json, *since;
    } cases[] = {
        {INTEGER, INT(-12), "-12", "-12"},
        {INTEGER, UINT(UINT64_MAX), "18446744073709551615", "18446744073709551615"},
        {DATETIME, TIME(1500000), "\"~t1970-01-01T00:00:01.500000Z\"", "~t1970-01-01T00:00:01.500000Z"},
        {DATE, DAY(1), "\"~t1970-01-02\"", "~t1970-01-02"},
        {TEXT, STRING("a!b"), "\"a!b\"", "a!b"},
        {TEXT, STRING("~x"), "\"~~x\"", "~~x"},
        {TEXT, STRING("~~x"), "\"~~~x\"", "~~~x"},
    };
    struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct table table;
        struct since since;
        struct err err = {0};
        struct buf json = {0};
        make_table(&table, columns[cases[i].sort], &columns[INTEGER], 1);
        table.shape.plain = true;
        since_write_plain(&json, &table.shape, &cases[i].value);
        assert_string_equal(buf_text(&json), cases[i].json);
        if (since_parse(&since, &table.shape, cases[i].since, arena, &err))
            fail_msg("%s: %s", cases[i].since, err.text);
        assert_int_equal(since.kind, SINCE_FROM);
        if (!same_value(since.position.updated, &cases[i].value))
            fail_msg("%s was read as another value", cases[i].since);
        buf_free(&json);
    }
    arena_free(arena);
}

/* comparing */

static void values_compare_as_the_database_orders_them(void **state)
{
    static const struct {
        struct value in_order[8];
        size_t count;
    } cases[] = {
        {{INT(INT64_MIN), INT(-1), INT(0), UINT(1), INT(2), INT(INT64_MAX), UINT(UINT64_MAX)}, 7},
        {{STRING("-infinity"), TIME(ISO_TIME_MIN), TIME(-1), TIME(0), TIME(ISO_TIME_MAX), STRING("infinity")}, 6},
        {{STRING("0044-03-15 12:00:00 BC"), TIME(0), STRING("10000-01-01 00:00:00")}, 3},
        {{STRING("0000-00-00"), DAY(ISO_DAYS_MIN), DAY(0), STRING("12024-01-01")}, 4},
        {{UUID_OF("aaaaaaaaaaaaaaaa"), UUID_OF("aaaaaaaaaaaaaaab"), UUID_OF("\xff" "aaaaaaaaaaaaaaa")}, 3},
        {{NUMBER(KIND_FLOAT, "-1e300"), INT(-1), NUMBER(KIND_FLOAT, "0.5"), INT(1), NUMBER(KIND_FLOAT, "1.5"),
          STRING(""), STRING("a"), RAW("")}, 8},
        {{NUMBER(KIND_DECIMAL, "-10.5"), NUMBER(KIND_DECIMAL, "-9"), NUMBER(KIND_DECIMAL, "9"),
          NUMBER(KIND_DECIMAL, "10.5")}, 4},
        {{STRING(""), STRING("a"), STRING("ab"), STRING("b"), STRING("\xC3\xA5")}, 5},
        {{NO, YES}, 2},
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (size_t i = 0; i < cases[c].count; i++)
            for (size_t j = 0; j < cases[c].count; j++)
                if (sign(value_compare(&cases[c].in_order[i], &cases[c].in_order[j])) != (i > j) - (i < j))
                    fail_msg("case %zu: values %zu and %zu compare wrongly", c, i, j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_of_each_sort_goes_out_and_comes_back),
        cmocka_unit_test(a_zoneless_part_is_written_as_it_is_stored),
        cmocka_unit_test(each_form_of_token_says_where_to_go_on),
        cmocka_unit_test(tokens_stand_in_the_order_of_the_stream),
        cmocka_unit_test(pairs_stand_in_the_order_of_the_stream),
        cmocka_unit_test(pair_begins_before_the_row_it_belongs_to),
        cmocka_unit_test(tokens_of_a_run_in_pages_never_go_back),
        cmocka_unit_test(lowest_value_of_a_time_is_never_above_what_a_row_of_it_has),
        cmocka_unit_test(column_without_times_has_no_lowest_value),
        cmocka_unit_test(a_token_of_another_shape_is_gone),
        cmocka_unit_test(a_token_cut_anywhere_is_refused_or_an_earlier_place),
        cmocka_unit_test(a_value_without_an_order_has_no_token),
        cmocka_unit_test(plain_forms_mean_at_or_after),
        cmocka_unit_test(other_texts_are_refused_with_the_accepted_forms),
        cmocka_unit_test(numbers_with_a_fraction_take_integers),
        cmocka_unit_test(a_wall_clock_that_goes_back_loses_nothing),
        cmocka_unit_test(a_time_beyond_the_wall_clocks_calendar_stays_within_it),
        cmocka_unit_test(a_time_on_a_column_of_texts_is_their_lowest_form),
        cmocka_unit_test(sqlite_values_keep_their_storage_class),
        cmocka_unit_test(sqlite_takes_integers_and_times),
        cmocka_unit_test(plain_tokens_go_out_and_come_back),
        cmocka_unit_test(values_compare_as_the_database_orders_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
