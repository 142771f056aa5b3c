#include "ops/metrics.h"

#include <math.h>

#include "config.h"

/* A value of a label, between quotation marks. */
static void put_label(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\' || *text == '\n')
            buf_putc(out, '\\');
        buf_putc(out, *text == '\n' ? 'n' : *text);
    }
}

static void put_build(struct buf *out)
{
    buf_puts(out, "# HELP sesam_sql_build_info Always 1; the version is a label.\n"
                  "# TYPE sesam_sql_build_info gauge\n"
                  "sesam_sql_build_info{version=\"" PACKAGE_VERSION "\"} 1\n");
}

/* Only sources that asked for a horizon have one. */
static void put_lags(const struct config *config, struct source *const *sources, struct buf *out)
{
    buf_puts(out, "# HELP sesam_sql_horizon_lag_seconds Age of the oldest row that was not final at the last pull.\n"
                  "# TYPE sesam_sql_horizon_lag_seconds gauge\n");
    for (size_t i = 0; i < config->source_count; i++) {
        struct source_horizon horizon;
        source_horizon(sources[i], &horizon);
        if (!horizon.asked)
            continue;
        buf_puts(out, "sesam_sql_horizon_lag_seconds{source=\"");
        put_label(out, config->sources[i].name);
        buf_puts(out, "\"} ");
        if (isfinite(horizon.lag))
            buf_printf(out, "%.6f\n", horizon.lag > 0 ? horizon.lag : 0);
        else
            buf_puts(out, "+Inf\n");
    }
}

void metrics_write(const struct config *config, struct source *const *sources, struct buf *out)
{
    put_build(out);
    put_lags(config, sources, out);
}
