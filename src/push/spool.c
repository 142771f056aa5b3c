#include "push/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

/* The file has the first bytes, tail the rest. What was put at once is never parted, so nothing that is gotten as it
 * was put needs both. */
struct spool {
    size_t memory;
    const char *folder;
    int fd; /* -1: there is no file yet */
    uint64_t filed;
    struct buf tail;
    char *window; /* a piece of the file, read ahead */
    uint64_t window_at;
    size_t window_len, ahead;
};

enum { AHEAD_LEAST = 1 << 10, AHEAD_MOST = 1 << 18, TAIL_MOST = 1 << 20 };

struct spool *spool_new(size_t memory, const char *folder)
{
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        return NULL;
    spool->memory = memory;
    spool->folder = folder;
    spool->fd = -1;
    spool->ahead = AHEAD_LEAST;
    return spool;
}

void spool_free(struct spool *spool)
{
    if (!spool)
        return;
    if (spool->fd >= 0)
        close(spool->fd);
    buf_free(&spool->tail);
    free(spool->window);
    free(spool);
}

static int file_error(const struct spool *spool, const char *what, struct err *err)
{
    int error = errno;
    bool full = error == ENOSPC || error == EDQUOT;
    if (full)
        err_set(err, ERR_BUSY, "no space left for a request's body in '%s'", spool->folder);
    else
        err_set(err, ERR_INTERNAL, "%s a temporary file in '%s': %s", what, spool->folder, strerror(error));
    return err_hint(err, full ? "make room there, or let listen.spool_directory name another folder"
                              : "listen.spool_directory names the folder");
}

static int open_unnamed(struct spool *spool, struct err *err)
{
    size_t size = strlen(spool->folder) + sizeof "/sesam-sql-XXXXXX";
    char *name = malloc(size);
    if (!name)
        return err_memory(err);
    snprintf(name, size, "%s/sesam-sql-XXXXXX", spool->folder);
    spool->fd = mkostemp(name, O_CLOEXEC);
    int failed = spool->fd < 0 ? file_error(spool, "opening", err) : 0;
    if (!failed)
        unlink(name);
    free(name);
    return failed;
}

static int write_all(struct spool *spool, const char *bytes, size_t len, struct err *err)
{
    if (spool->fd < 0 && open_unnamed(spool, err))
        return -1;
    while (len) {
        ssize_t done = write(spool->fd, bytes, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return file_error(spool, "writing", err);
        bytes += done;
        len -= (size_t)done;
        spool->filed += (size_t)done;
    }
    return 0;
}

static int file_tail(struct spool *spool, struct err *err)
{
    if (spool->tail.len && write_all(spool, spool->tail.data, spool->tail.len, err))
        return -1;
    spool->tail.len = 0;
    if (spool->memory > TAIL_MOST) { /* from now on it only saves calls */
        buf_free(&spool->tail);
        spool->memory = TAIL_MOST;
    }
    return 0;
}

void spool_limit(struct spool *spool, size_t memory)
{
    if (memory < spool->memory)
        spool->memory = memory > spool->tail.len ? memory : spool->tail.len;
}

int spool_put(struct spool *spool, const void *bytes, size_t len, struct err *err)
{
    if (len > spool->memory - spool->tail.len && file_tail(spool, err))
        return -1;
    if (len > spool->memory)
        return write_all(spool, bytes, len, err);
    buf_put(&spool->tail, bytes, len);
    return buf_failed(&spool->tail) ? err_memory(err) : 0;
}

uint64_t spool_size(const struct spool *spool)
{
    return spool->filed + spool->tail.len;
}

bool spool_in_memory(const struct spool *spool)
{
    return spool->filed == 0;
}

static int read_all(struct spool *spool, uint64_t offset, char *to, size_t len, struct err *err)
{
    while (len) {
        ssize_t done = pread(spool->fd, to, len, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done == 0)
            errno = EIO; /* shorter than what was written */
        if (done <= 0)
            return file_error(spool, "reading", err);
        to += done;
        len -= (size_t)done;
        offset += (size_t)done;
    }
    return 0;
}

static bool in_window(const struct spool *spool, uint64_t offset, size_t len)
{
    return offset >= spool->window_at && offset - spool->window_at <= spool->window_len &&
           len <= spool->window_len - (offset - spool->window_at);
}

/* Reading goes ahead the further the longer it goes forwards, and hardly where it jumps. len is at most AHEAD_MOST. */
static int move_window(struct spool *spool, uint64_t offset, size_t len, struct err *err)
{
    uint64_t end = spool->window_at + spool->window_len, left = spool->filed - offset;
    bool forwards = offset >= spool->window_at && offset <= end + spool->ahead;
    spool->ahead = !forwards ? AHEAD_LEAST : spool->ahead * 4 > AHEAD_MOST ? AHEAD_MOST : spool->ahead * 4;
    if (!spool->window && !(spool->window = malloc(AHEAD_MOST)))
        return err_memory(err);
    if (len < spool->ahead)
        len = left < spool->ahead ? (size_t)left : spool->ahead;
    spool->window_at = offset;
    spool->window_len = 0;
    if (read_all(spool, offset, spool->window, len, err))
        return -1;
    spool->window_len = len;
    return 0;
}

/* Of what the file has. */
static int read_file(struct spool *spool, uint64_t offset, char *to, size_t len, struct err *err)
{
    if (len > AHEAD_MOST)
        return read_all(spool, offset, to, len, err);
    if (!in_window(spool, offset, len) && move_window(spool, offset, len, err))
        return -1;
    memcpy(to, spool->window + (offset - spool->window_at), len);
    return 0;
}

const char *spool_get(struct spool *spool, uint64_t offset, size_t len, struct arena *arena, struct err *err)
{
    uint64_t size = spool_size(spool);
    if (offset > size || len > size - offset) {
        err_set(err, ERR_INTERNAL, "reading %zu bytes at %llu of a spool that has %llu", len,
                (unsigned long long)offset, (unsigned long long)size);
        return NULL;
    }
    if (len == 0)
        return "";
    if (offset >= spool->filed)
        return spool->tail.data + (offset - spool->filed);
    char *copy = arena_alloc(arena, len);
    size_t filed = len < spool->filed - offset ? len : (size_t)(spool->filed - offset);
    if (!copy) {
        err_memory(err);
        return NULL;
    }
    if (read_file(spool, offset, copy, filed, err))
        return NULL;
    if (filed < len)
        memcpy(copy + filed, spool->tail.data, len - filed);
    return copy;
}
