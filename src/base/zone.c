#include "base/zone.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/iso.h"
#include "base/zone_rule.h"

enum { FILE_MAX = 1 << 20, NAME_MAX_LEN = 200, HEADER = 44, TYPE = 6, OFFSET_MAX = 26 * 3600 };

/* The oldest files begin at the Big Bang, -2^59 (RFC 8536, 3.2). */
static const int64_t time_max = INT64_C(1) << 60;

struct transition {
    int64_t time; /* seconds since 1970, UTC */
    int32_t before, after;
};

struct zone {
    int32_t first; /* the offset before all transitions, or always */
    size_t count;
    bool has_rule; /* for the time after the last transition */
    struct zone_rule rule;
    struct transition transitions[];
};

/* A part of a zone file, for one width of its times (RFC 8536, 3.1 and 3.2). */
struct block {
    size_t width; /* 4 or 8 */
    size_t leaps, times, types, names, standards, universals;
    const unsigned char *data;
};

struct bytes {
    const unsigned char *at;
    size_t len;
};

static int64_t big_endian(const unsigned char *bytes, size_t width)
{
    uint64_t sum = bytes[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < width; i++)
        sum = sum << 8 | bytes[i];
    int64_t value;
    memcpy(&value, &sum, sizeof value);
    return value;
}

static size_t count_at(const unsigned char *header, size_t index)
{
    return (size_t)big_endian(header + 20 + 4 * index, 4) & UINT32_MAX;
}

/* Takes a header and its data off the bytes. */
static int read_block(struct bytes *bytes, size_t width, struct block *block)
{
    const unsigned char *header = bytes->at;
    if (bytes->len < HEADER || memcmp(header, "TZif", 4) != 0)
        return -1;
    *block = (struct block){.width = width,
                            .universals = count_at(header, 0),
                            .standards = count_at(header, 1),
                            .leaps = count_at(header, 2),
                            .times = count_at(header, 3),
                            .types = count_at(header, 4),
                            .names = count_at(header, 5),
                            .data = header + HEADER};
    uint64_t size = (uint64_t)block->times * (width + 1) + (uint64_t)block->types * TYPE + block->names +
                    (uint64_t)block->leaps * (width + 4) + block->standards + block->universals;
    if (size > bytes->len - HEADER)
        return -1;
    bytes->at += HEADER + size;
    bytes->len -= HEADER + (size_t)size;
    return 0;
}

static int read_offset(const struct block *block, size_t type, int32_t *offset)
{
    if (type >= block->types)
        return -1;
    const unsigned char *types = block->data + block->times * (block->width + 1);
    *offset = (int32_t)big_endian(types + type * TYPE, 4);
    return *offset > OFFSET_MAX || *offset < -OFFSET_MAX ? -1 : 0;
}

static int read_transitions(struct zone *zone, const struct block *block)
{
    const unsigned char *types = block->data + block->times * block->width;
    int32_t before;
    if (read_offset(block, 0, &zone->first))
        return -1;
    before = zone->first;
    for (size_t i = 0; i < block->times; i++) {
        struct transition *transition = &zone->transitions[i];
        transition->time = big_endian(block->data + i * block->width, block->width);
        transition->before = before;
        if (transition->time > time_max || transition->time < -time_max)
            return -1;
        if (read_offset(block, types[i], &transition->after))
            return -1;
        if (i > 0 && transition->time <= transition[-1].time)
            return -1;
        before = transition->after;
    }
    zone->count = block->times;
    return 0;
}

/* What stands between two line ends behind the second block. An empty rule means: nobody knows. */
static int read_footer(struct zone *zone, const struct bytes *rest)
{
    if (rest->len < 2 || rest->at[0] != '\n')
        return -1;
    const unsigned char *end = memchr(rest->at + 1, '\n', rest->len - 1);
    if (!end)
        return -1;
    size_t len = (size_t)(end - rest->at) - 1;
    zone->has_rule = len > 0;
    return len ? zone_rule_parse(&zone->rule, (const char *)rest->at + 1, len) : 0;
}

/* NULL with errno 0: the bytes are no zone file. */
static struct zone *parse_file(struct bytes bytes)
{
    struct block block;
    char version = bytes.len > 4 ? (char)bytes.at[4] : '\0';
    errno = 0;
    if (read_block(&bytes, 4, &block) || (version && read_block(&bytes, 8, &block)))
        return NULL;
    if (block.leaps) /* "right/" zones count seconds that nobody else counts */
        return NULL;
    struct zone *zone = calloc(1, sizeof *zone + block.times * sizeof *zone->transitions);
    if (!zone)
        return NULL;
    if (read_transitions(zone, &block) || (version && read_footer(zone, &bytes))) {
        free(zone);
        errno = 0;
        return NULL;
    }
    return zone;
}

static struct zone *read_file(FILE *file)
{
    unsigned char *data = malloc(FILE_MAX);
    if (!data)
        return NULL;
    errno = 0;
    size_t len = fread(data, 1, FILE_MAX, file);
    struct zone *zone = ferror(file) ? NULL : parse_file((struct bytes){data, len});
    int saved = errno;
    free(data);
    errno = saved;
    return zone;
}

static const char *folder(void)
{
    const char *named = getenv("TZDIR");
    return named && *named ? named : "/usr/share/zoneinfo";
}

/* Only what such names are made of, so that none leads out of the folder. */
static bool is_name(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
    size_t len = strlen(name);
    return len > 0 && len < NAME_MAX_LEN && name[0] != '/' && strspn(name, letters) == len;
}

static int no_such_zone(const char *name, struct err *err)
{
    struct stat status;
    if (stat(folder(), &status)) {
        err_set(err, ERR_CONFIG, "cannot read time zone '%s': there are no zone files in %s", name, folder());
        return err_hint(err, "install the package tzdata, or name their folder in $TZDIR");
    }
    err_set(err, ERR_CONFIG, "there is no time zone '%.*s'", NAME_MAX_LEN, name);
    return err_hint(err, "names are like 'Europe/Oslo', 'UTC' or '+02:00'");
}

static int open_file(struct zone **zone, const char *name, struct err *err)
{
    char path[4096];
    if (!is_name(name))
        return no_such_zone(name, err);
    int need = snprintf(path, sizeof path, "%s/%s", folder(), name);
    FILE *file = need > 0 && (size_t)need < sizeof path ? fopen(path, "rb") : NULL;
    if (!file)
        return no_such_zone(name, err);
    *zone = read_file(file);
    int saved = errno;
    fclose(file);
    if (*zone)
        return 0;
    if (saved == ENOMEM)
        return err_memory(err);
    if (saved == EISDIR)
        return no_such_zone(name, err);
    return err_set(err, ERR_CONFIG, "cannot read time zone '%s': %s", name,
                   saved ? strerror(saved) : "its file is no zone file, or damaged");
}

static bool two_digits(const char *text, int32_t *number)
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return false;
    *number = (text[0] - '0') * 10 + (text[1] - '0');
    return true;
}

/* "+02:00", "-0330", "+02" */
static bool parse_fixed(const char *name, int32_t *offset)
{
    int32_t hours, minutes = 0;
    if ((name[0] != '+' && name[0] != '-') || !two_digits(name + 1, &hours))
        return false;
    const char *rest = name + 3;
    if (*rest && !two_digits(rest + (*rest == ':'), &minutes))
        return false;
    if (*rest && rest[(*rest == ':') + 2])
        return false;
    *offset = (hours * 60 + minutes) * (name[0] == '-' ? -60 : 60);
    return hours <= 18 && minutes < 60;
}

int zone_open(struct zone **zone, const char *name, struct err *err)
{
    int32_t offset = 0;
    if (strcmp(name, "UTC") != 0 && strcmp(name, "Z") != 0 && !parse_fixed(name, &offset))
        return open_file(zone, name, err);
    *zone = calloc(1, sizeof **zone);
    if (!*zone)
        return err_memory(err);
    (*zone)->first = offset;
    return 0;
}

void zone_close(struct zone *zone)
{
    free(zone);
}

/* Where the transition is on the axis we search: UTC, or the clock. On the clock the offset before it is
 * valid up to the later of its two readings: past a gap, and all through what comes twice. */
static int64_t reading(const struct transition *transition, bool wall)
{
    if (!wall)
        return transition->time;
    int32_t shift = transition->before > transition->after ? transition->before : transition->after;
    return transition->time + shift;
}

static int32_t offset_at(const struct zone *zone, int64_t seconds, bool wall)
{
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (reading(&zone->transitions[middle], wall) <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->count && zone->has_rule)
        return zone_rule_offset(&zone->rule, seconds, wall);
    return low ? zone->transitions[low - 1].after : zone->first;
}

static int64_t floor_seconds(int64_t time)
{
    return time / ISO_SECOND - (time % ISO_SECOND < 0);
}

/* At the ends of the number's range there is no calendar; a time stays there. */
static int64_t shifted(int64_t time, int64_t seconds)
{
    int64_t shift = seconds * ISO_SECOND;
    if (shift > 0 ? time > INT64_MAX - shift : time < INT64_MIN - shift)
        return time;
    return time + shift;
}

int64_t zone_to_utc(const struct zone *zone, int64_t wall)
{
    return zone ? shifted(wall, -(int64_t)offset_at(zone, floor_seconds(wall), true)) : wall;
}

int64_t zone_to_wall(const struct zone *zone, int64_t utc)
{
    return zone ? shifted(utc, offset_at(zone, floor_seconds(utc), false)) : utc;
}

bool zone_is_utc(const char *name)
{
    static const char *const names[] = {"UTC", "Etc/UTC", "GMT", "Etc/GMT", "UCT", "Etc/UCT", "Zulu", "Etc/Zulu", "Universal",
                                        "Etc/Universal", "Greenwich", "Etc/Greenwich", "GMT0", "+00:00", "Z"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}
