/* Runs of seen keys. Integers that a request has seen mostly follow each other, so that their list is kept as the first
 * and last of each run: "[[1,9],[12,12]]" for "[1,2,3,4,5,6,7,8,9,12]". Whoever sweeps then looks into the gaps between
 * the runs and at no other row. Where a list has so many runs that looking into each gap would take longer than
 * comparing all keys, it stays as it is. */
#include "db/postgres.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEYS_A_RUN = 8, /* on average: a look into a gap takes the time of six keys in a hash table */
    RUNS_FEW = 8,   /* are runs however few keys they have: a short last request is kept like the others */
};

bool postgres_has_runs(const struct target *target)
{
    const struct column *key = &target->relation->columns[target->columns[0]];
    return target->relation->key_count == 1 && (key->number == PG_INT2 || key->number == PG_INT4 || key->number == PG_INT8);
}

bool postgres_is_runs(const char *list)
{
    return strncmp(list, "[[", 2) == 0 || strcmp(list, "[]") == 0;
}

/* The next integer of "1,2]"; false when there is none. */
static bool next_key(const char **at, int64_t *key)
{
    char *end;
    *key = strtoll(*at, &end, 10);
    if (end == *at || (*end != ',' && *end != ']'))
        return false;
    *at = end + (*end == ',');
    return true;
}

/* The next run of "1,2,3,7]"; *keys grows by its length. */
static bool next_run(const char **at, int64_t *first, int64_t *last, size_t *keys)
{
    int64_t key;
    if (!next_key(at, first))
        return false;
    *last = *first;
    ++*keys;
    for (const char *ahead = *at; next_key(&ahead, &key) && *last < key && key - 1 == *last; *at = ahead) {
        *last = key;
        ++*keys;
    }
    return true;
}

static bool has_few_runs(const char *list)
{
    const char *at = list + 1;
    size_t runs = 0, keys = 0;
    for (int64_t first, last; next_run(&at, &first, &last, &keys);)
        runs++;
    return runs && *at == ']' && (runs <= RUNS_FEW || runs <= keys / KEYS_A_RUN);
}

void postgres_put_runs(struct buf *out, const char *list, size_t len)
{
    const char *at = list + 1;
    size_t keys = 0;
    if (!has_few_runs(list)) {
        buf_put(out, list, len);
        return;
    }
    buf_putc(out, '[');
    for (int64_t first, last; next_run(&at, &first, &last, &keys);)
        buf_printf(out, "%s[%" PRId64 ",%" PRId64 "]", out->data[out->len - 1] == '[' ? "" : ",", first, last);
    buf_putc(out, ']');
}
