#include "ops/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/monotonic.h"

#define BACK "\r\033[K" /* to the beginning of the line, and nothing behind it: ECMA-48, EL */

static const double EVERY = 0.25;

static void put(int fd, const char *text)
{
    ssize_t ignored = write(fd, text, strlen(text)); /* a terminal that does not take it goes without */
    (void)ignored;
}

void progress_begin(struct progress *progress, int fd)
{
    *progress = (struct progress){.fd = fd >= 0 && isatty(fd) ? fd : -1};
    progress->began = progress->shown = monotonic_seconds();
}

void progress_show(struct progress *progress, uint64_t entities, size_t more)
{
    char line[160];
    progress->bytes += more;
    if (progress->fd < 0)
        return;
    double now = monotonic_seconds(), seconds = now - progress->began;
    if (now - progress->shown < EVERY)
        return;
    snprintf(line, sizeof line, BACK "%" PRIu64 " entities, %.1f MB, %.0f entities/s", entities,
             (double)progress->bytes / 1e6, (double)entities / seconds);
    put(progress->fd, line);
    progress->shown = now;
    progress->written = true;
}

void progress_end(struct progress *progress)
{
    if (progress->written)
        put(progress->fd, BACK);
    progress->written = false;
}
