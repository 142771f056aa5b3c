#include "entity/record.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"

/* records: an item is its name's number times 8 and its kind, and behind it, where the kind has a text, its length
 * and the text. The numbers are of 7 bits a byte, the lowest first, the high bit set but for the last. */

enum { KIND_BITS = 3, NUMBER_MOST = 10 /* bytes of one */ };

static char *put_number(char *to, uint64_t number)
{
    for (; number > 0x7F; number >>= 7)
        *to++ = (char)(number | 0x80);
    *to++ = (char)number;
    return to;
}

static bool get_number(const char *record, size_t len, size_t *offset, uint64_t *number)
{
    *number = 0;
    for (unsigned shift = 0; *offset < len && shift < 64; shift += 7) {
        unsigned char c = (unsigned char)record[(*offset)++];
        *number |= (uint64_t)(c & 0x7F) << shift;
        if (c <= 0x7F)
            return true;
    }
    return false;
}

static bool has_text(enum item_kind kind)
{
    return kind >= ITEM_NUMBER;
}

void record_put(struct buf *out, const struct item *item)
{
    size_t len = has_text(item->kind) ? item->len : 0;
    if (len > SIZE_MAX - 2 * NUMBER_MOST || buf_reserve(out, len + 2 * NUMBER_MOST)) {
        out->failed = true;
        return;
    }
    char *to = put_number(out->data + out->len, (uint64_t)item->name << KIND_BITS | item->kind);
    if (has_text(item->kind))
        to = put_number(to, len);
    if (len)
        memcpy(to, item->text, len);
    out->len = (size_t)(to - out->data) + len;
}

bool record_next(const char *record, size_t len, size_t *offset, struct item *item)
{
    uint64_t head, size = 0;
    size_t at = *offset;
    if (!get_number(record, len, &at, &head))
        return false;
    item->kind = (enum item_kind)(head & ((1 << KIND_BITS) - 1));
    item->name = (uint32_t)(head >> KIND_BITS);
    if (item->kind > ITEM_DOCUMENT || (has_text(item->kind) && !get_number(record, len, &at, &size)) || size > len - at)
        return false;
    item->text = record + at;
    item->len = size;
    *offset = at + size;
    return true;
}

/* names */

struct name {
    const char *text;
    uint32_t len, hash;
    uint32_t follower; /* the name that was asked for after this one the last time */
};

struct names {
    struct arena *texts;
    struct name *names;
    uint32_t *slots; /* a number + 1, or 0; linear probing, at most half full */
    uint32_t count, room, mask;
    uint32_t last; /* asked for */
    uint32_t seed;
    size_t size;
};

enum { NAMES_AT_FIRST = 64 };

/* Makes room for as many names as there are slots half. */
static int grow(struct names *names, uint32_t room)
{
    struct name *list = realloc(names->names, room * sizeof *list);
    if (!list)
        return -1;
    names->names = list;
    uint32_t *slots = calloc(room, 2 * sizeof *slots);
    if (!slots)
        return -1;
    free(names->slots);
    names->slots = slots;
    names->mask = 2 * room - 1;
    names->size += (room - names->room) * (sizeof *list + 2 * sizeof *slots);
    names->room = room;
    for (uint32_t i = 0; i < names->count; i++) {
        uint32_t slot = list[i].hash & names->mask;
        while (slots[slot])
            slot = (slot + 1) & names->mask;
        slots[slot] = i + 1;
    }
    return 0;
}

struct names *names_new(void)
{
    struct names *names = calloc(1, sizeof *names);
    if (!names)
        return NULL;
    /* Names that fall into one slot on purpose would make a request slow; who does not know the seed cannot choose
     * them. Without a random one it is just slower. */
    if (getentropy(&names->seed, sizeof names->seed))
        names->seed = 0;
    names->texts = arena_new();
    names->size = sizeof *names;
    if (!names->texts || grow(names, NAMES_AT_FIRST)) {
        names_free(names);
        return NULL;
    }
    return names;
}

void names_free(struct names *names)
{
    if (!names)
        return;
    arena_free(names->texts);
    free(names->names);
    free(names->slots);
    free(names);
}

/* FNV-1a. */
static uint32_t hash_of(const struct names *names, const char *text, size_t len)
{
    uint32_t hash = UINT32_C(2166136261) ^ names->seed;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT32_C(16777619);
    return hash ^ hash >> 15;
}

static inline bool is_name(const struct name *name, const char *text, size_t len)
{
    return name->len == len && memcmp(name->text, text, len) == 0;
}

static uint32_t add(struct names *names, const char *text, size_t len, uint32_t hash)
{
    if (len > UINT32_MAX / 2 || names->count > UINT32_MAX / 8 ||
        (names->count == names->room && grow(names, 2 * names->room)))
        return UINT32_MAX;
    const char *copy = arena_copy(names->texts, text, len);
    if (!copy)
        return UINT32_MAX;
    uint32_t number = names->count++, slot = hash & names->mask;
    while (names->slots[slot])
        slot = (slot + 1) & names->mask;
    names->slots[slot] = number + 1;
    names->names[number] = (struct name){copy, (uint32_t)len, hash, 0};
    names->size += len + 1 + _Alignof(max_align_t);
    return number;
}

static uint32_t look_up(struct names *names, const char *text, size_t len)
{
    uint32_t hash = hash_of(names, text, len);
    for (uint32_t slot = hash & names->mask; names->slots[slot]; slot = (slot + 1) & names->mask) {
        uint32_t number = names->slots[slot] - 1;
        if (names->names[number].hash == hash && is_name(&names->names[number], text, len))
            return number;
    }
    return add(names, text, len, hash);
}

/* Entities mostly have the same properties in the same order, so the name that followed the last one before is
 * looked at first. */
uint32_t names_number(struct names *names, const char *text, size_t len)
{
    if (names->count) {
        uint32_t guess = names->names[names->last].follower;
        if (is_name(&names->names[guess], text, len))
            return names->last = guess;
    }
    uint32_t number = look_up(names, text, len);
    if (number == UINT32_MAX)
        return number;
    names->names[names->last].follower = number;
    return names->last = number;
}

size_t names_count(const struct names *names)
{
    return names->count;
}

const char *names_text(const struct names *names, uint32_t number, size_t *len)
{
    *len = names->names[number].len;
    return names->names[number].text;
}

size_t names_size(const struct names *names)
{
    return names->size;
}
