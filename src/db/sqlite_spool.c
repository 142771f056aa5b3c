/* A table of SQLite's own (CREATE TEMP TABLE AS) could hold the rows too. A plain file is written and read
 * straight through, is gone from the disk when it is closed, and needs no right to write in a session that
 * shall have none. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mkostemp, the unlocked functions of stdio */
#endif

#include "db/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 1 << 16 };

/* The file holds rows, each as its length in bytes and then its values: the type in one byte, then the
 * number, or the length and the bytes. Numbers are in the machine's own form; nobody else reads it. */
struct spool {
    FILE *file;
    size_t columns;
    uint64_t rows; /* put and not yet gotten */
    struct buf row;
};

/* Where SQLite puts its own temporary files. */
static const char *folder(void)
{
    const char *const folders[] = {getenv("SQLITE_TMPDIR"), getenv("TMPDIR"), "/var/tmp", "/tmp"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (folders[i] && faccessat(AT_FDCWD, folders[i], W_OK | X_OK, AT_EACCESS) == 0)
            return folders[i];
    return ".";
}

static int file_error(const char *what, struct err *err)
{
    int error = errno;
    err_set(err, error == ENOSPC || error == EDQUOT ? ERR_AWAY : ERR_INTERNAL,
            "%s a temporary file in '%s': %s", what, folder(), strerror(error));
    return err_hint(
        err, "a database that is not in WAL mode is read into a temporary file first, in $SQLITE_TMPDIR, "
             "$TMPDIR or /var/tmp; with PRAGMA journal_mode=WAL it is not");
}

static FILE *open_unnamed(void)
{
    char *name = sqlite3_mprintf("%s/sesam-sql-XXXXXX", folder());
    int fd = name ? mkostemp(name, O_CLOEXEC) : -1;
    if (fd >= 0)
        unlink(name);
    sqlite3_free(name);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w+");
    if (fd >= 0 && !file)
        close(fd);
    return file;
}

int sqlite_spool_open(struct spool **out, size_t columns, struct err *err)
{
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        return err_memory(err);
    spool->columns = columns;
    spool->file = open_unnamed();
    if (!spool->file || setvbuf(spool->file, NULL, _IOFBF, BLOCK) != 0) {
        file_error("opening", err);
        sqlite_spool_close(spool);
        return -1;
    }
    *out = spool;
    return 0;
}

void sqlite_spool_close(struct spool *spool)
{
    if (!spool)
        return;
    if (spool->file)
        fclose(spool->file);
    buf_free(&spool->row);
    free(spool);
}

static void put_cell(struct buf *row, const struct cell *cell)
{
    buf_putc(row, (char)cell->type);
    switch (cell->type) {
    case SQLITE_INTEGER:
        buf_put(row, &cell->integer, sizeof cell->integer);
        break;
    case SQLITE_FLOAT:
        buf_put(row, &cell->real, sizeof cell->real);
        break;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        buf_put(row, &cell->len, sizeof cell->len);
        buf_put(row, cell->bytes, cell->len);
        break;
    default:
        break;
    }
}

int sqlite_spool_put(struct spool *spool, const struct cell *row, struct err *err)
{
    buf_reset(&spool->row);
    for (size_t i = 0; i < spool->columns; i++)
        put_cell(&spool->row, &row[i]);
    if (buf_failed(&spool->row))
        return err_memory(err);
    size_t len = spool->row.len;
    if (fwrite_unlocked(&len, sizeof len, 1, spool->file) != 1 ||
        (len && fwrite_unlocked(spool->row.data, len, 1, spool->file) != 1))
        return file_error("writing", err);
    spool->rows++;
    return 0;
}

int sqlite_spool_rewind(struct spool *spool, struct err *err)
{
    if (fflush(spool->file) != 0 || fseek(spool->file, 0, SEEK_SET) != 0)
        return file_error("writing", err);
    return 0;
}

/* Takes size bytes off the row. The file is ours alone, but a disk may give back anything. */
static int take(const struct buf *row, size_t *at, void *to, size_t size)
{
    if (size > row->len - *at)
        return -1;
    memcpy(to, row->data + *at, size);
    *at += size;
    return 0;
}

static int get_cell(const struct buf *row, size_t *at, struct cell *cell)
{
    unsigned char type;
    *cell = (struct cell){.type = SQLITE_NULL};
    if (take(row, at, &type, 1))
        return -1;
    cell->type = type;
    switch (type) {
    case SQLITE_INTEGER:
        return take(row, at, &cell->integer, sizeof cell->integer);
    case SQLITE_FLOAT:
        return take(row, at, &cell->real, sizeof cell->real);
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        if (take(row, at, &cell->len, sizeof cell->len) || cell->len > row->len - *at)
            return -1;
        cell->bytes = row->data + *at;
        *at += cell->len;
        return 0;
    default:
        return type == SQLITE_NULL ? 0 : -1;
    }
}

static int read_row(struct spool *spool, struct err *err)
{
    size_t len;
    buf_reset(&spool->row);
    errno = EIO; /* stays when the file is shorter than what was written */
    if (fread_unlocked(&len, sizeof len, 1, spool->file) != 1)
        return file_error("reading", err);
    if (buf_reserve(&spool->row, len))
        return err_memory(err);
    if (len && fread_unlocked(spool->row.data, len, 1, spool->file) != 1)
        return file_error("reading", err);
    spool->row.len = len;
    return 0;
}

int sqlite_spool_get(struct spool *spool, struct cell *row, struct err *err)
{
    if (spool->rows == 0)
        return 0;
    if (read_row(spool, err))
        return -1;
    size_t at = 0;
    for (size_t i = 0; i < spool->columns; i++)
        if (get_cell(&spool->row, &at, &row[i])) {
            errno = EIO;
            return file_error("reading", err);
        }
    spool->rows--;
    return 1;
}
