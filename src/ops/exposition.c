#include "ops/exposition.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/shortest.h"

void exposition_family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_escaped(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\' || *text == '\n')
            buf_putc(out, '\\');
        buf_putc(out, *text == '\n' ? 'n' : *text);
    }
}

static void put_series(struct buf *out, const char *name, const char *suffix, const struct labels *labels)
{
    const char *before = "{";
    buf_printf(out, "%s%s", name, suffix);
    for (size_t i = 0; labels && i < EXPOSITION_LABELS; i++) {
        if (!labels->names[i])
            continue;
        buf_printf(out, "%s%s=\"", before, labels->names[i]);
        put_escaped(out, labels->values[i]);
        buf_putc(out, '"');
        before = ",";
    }
    buf_puts(out, *before == ',' ? "} " : " ");
}

static void put_number(struct buf *out, double number)
{
    char text[SHORTEST_SIZE];
    if (isnan(number))
        buf_puts(out, "NaN");
    else if (isinf(number))
        buf_puts(out, number > 0 ? "+Inf" : "-Inf");
    else
        buf_put(out, text, shortest_double(number, text));
    buf_putc(out, '\n');
}

void exposition_count(struct buf *out, const char *name, const struct labels *labels, uint64_t count)
{
    put_series(out, name, "", labels);
    buf_printf(out, "%" PRIu64 "\n", count);
}

void exposition_number(struct buf *out, const char *name, const struct labels *labels, double number)
{
    put_series(out, name, "", labels);
    put_number(out, number);
}

void exposition_histogram(struct buf *out, const char *name, const struct labels *labels,
                          const struct histogram *histogram)
{
    struct labels bucket = *labels;
    char bound[SHORTEST_SIZE];
    uint64_t count = 0;
    bucket.names[EXPOSITION_LABELS - 1] = "le";
    bucket.values[EXPOSITION_LABELS - 1] = bound;
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        count += histogram->counts[i];
        if (i < HISTOGRAM_BOUNDS)
            shortest_double(histogram_bounds[i], bound);
        else
            snprintf(bound, sizeof bound, "+Inf");
        put_series(out, name, "_bucket", &bucket);
        buf_printf(out, "%" PRIu64 "\n", count);
    }
    put_series(out, name, "_sum", labels);
    put_number(out, histogram->sum);
    put_series(out, name, "_count", labels);
    buf_printf(out, "%" PRIu64 "\n", count);
}
