/* The horizon of SQLite: a barrier. A database file has one writer at a time, and whoever holds the write
 * lock, be it for the time of a few system calls, knows that nobody else has a transaction that wrote: what
 * was written is committed, and will be seen by every snapshot that begins later. What is not yet written
 * will be written by a statement that has the lock first: SQLite takes the lock at the beginning of a
 * statement and asks the clock afterwards, when the statement first needs it, so who waits for us stores a
 * time that is not earlier than the one we read *while we hold the lock*. Read before, it would only be older
 * than needed; read after, somebody could have begun in between.
 *
 * It holds for times that SQL computes in the statement that writes (a default, a trigger), in every journal
 * mode: the lock is that of the WAL, or RESERVED. It changes no byte of the file, and readers do not notice.
 */
#include "db/sqlite.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/iso.h"
#include "base/shortest.h"

static const char attempt[] = "asking for the horizon";

/* How long we look for a gap between writers, in seconds. Without a former horizon a full read would have to
 * be repeated as a whole, so it is worth a little more. */
static const double patience = 0.05, first_patience = 1;

/* What was known of one file. A file that is made anew cannot have the number of one that we still have open,
 * and what was found before it was made holds for it, too: nobody can have written to it earlier. */
struct sampler {
    pthread_mutex_t mutex;
    dev_t device;
    ino_t inode;
    bool known;         /* there was a barrier, */
    int64_t time;       /* the last one */
    int64_t held_since; /* when the lock was first found taken since then; 0: it was not */
};

struct sampler *sqlite_sampler_new(const struct config_system *system)
{
    (void)system;
    struct sampler *sampler = calloc(1, sizeof *sampler);
    if (!sampler)
        return NULL;
    pthread_mutex_init(&sampler->mutex, NULL);
    return sampler;
}

void sqlite_sampler_free(struct sampler *sampler)
{
    if (!sampler)
        return;
    pthread_mutex_destroy(&sampler->mutex);
    free(sampler);
}

/* The clock that SQLite asks. */
static int64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * ISO_SECOND + now.tv_nsec / 1000;
}

/* SQLite cuts its times to milliseconds. */
static int64_t as_written(int64_t time)
{
    return iso_floor(time, 1000) * 1000;
}

/* memory; the mutex is held */

/* Forgets what was known of another file. */
static void look_at(struct sampler *sampler, const struct conn *conn)
{
    if (sampler->device == conn->device && sampler->inode == conn->inode)
        return;
    sampler->known = false;
    sampler->held_since = 0;
    sampler->device = conn->device;
    sampler->inode = conn->inode;
}

static bool is_known(struct sampler *sampler, const struct conn *conn)
{
    pthread_mutex_lock(&sampler->mutex);
    look_at(sampler, conn);
    bool known = sampler->known;
    pthread_mutex_unlock(&sampler->mutex);
    return known;
}

static void remember(struct sampler *sampler, const struct conn *conn, int64_t time)
{
    pthread_mutex_lock(&sampler->mutex);
    look_at(sampler, conn);
    sampler->known = true;
    sampler->time = time;
    sampler->held_since = 0;
    pthread_mutex_unlock(&sampler->mutex);
}

/* Somebody else has the lock. What was known stays true: he took it later. */
static void recall(struct sampler *sampler, const struct conn *conn, struct horizon *horizon)
{
    pthread_mutex_lock(&sampler->mutex);
    look_at(sampler, conn);
    if (!sampler->held_since)
        sampler->held_since = horizon->clock;
    int64_t since = sampler->held_since;
    horizon->known = sampler->known;
    if (sampler->known) /* a clock that was set back is what the next rows are written by */
        horizon->time =
            sampler->time < as_written(horizon->clock) ? sampler->time : as_written(horizon->clock);
    pthread_mutex_unlock(&sampler->mutex);
    horizon->waits = true;
    sqlite_holder(conn, since, horizon->holder, sizeof horizon->holder);
}

/* the barrier */

static int no_right(const struct conn *conn, struct err *err)
{
    const char *path = conn->system->path;
    err_set(err, ERR_DATABASE,
            "system '%s': %s: '%s' can only be read, and only who may take the write lock can tell that "
            "nobody writes",
            conn->system->name, attempt, path);
    return err_hint(
        err,
        "the service's user needs the right to write to '%s' and into its folder, though it only locks it; "
        "or write \"late_commits\": {\"settle\": 60}: rows of transactions that take longer are lost "
        "until the next full read",
        path);
}

/* Takes the write lock, or nothing: 1, 0 when somebody else has it, or -1. */
static int lock(struct conn *conn, struct err *err)
{
    int rc = sqlite3_db_readonly(conn->db, "main") == 1
                 ? SQLITE_READONLY
                 : sqlite3_exec(conn->db, "PRAGMA query_only = OFF; BEGIN IMMEDIATE", NULL, NULL, NULL);
    /* A file that can only be read is not locked, and BEGIN IMMEDIATE says nothing. */
    if (rc == SQLITE_OK)
        rc = sqlite3_txn_state(conn->db, "main") == SQLITE_TXN_WRITE ? SQLITE_OK : SQLITE_READONLY;
    int primary = rc & 0xFF;
    bool cancelled = atomic_load(&conn->cancelled);
    if (rc == SQLITE_OK)
        return 1;
    if ((primary == SQLITE_BUSY || primary == SQLITE_PROTOCOL) && !cancelled)
        return 0;
    return primary == SQLITE_READONLY && !cancelled ? no_right(conn, err)
                                                    : sqlite_fail(conn, rc, attempt, err);
}

/* The session shall only read again. */
static void release(struct conn *conn)
{
    if ((!sqlite3_get_autocommit(conn->db) &&
         sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK) ||
        sqlite3_exec(conn->db, "PRAGMA query_only = ON", NULL, NULL, NULL) != SQLITE_OK)
        conn->broken = true;
}

static int barrier(struct conn *conn, struct sampler *sampler, struct horizon *horizon, struct err *err)
{
    conn->seconds = is_known(sampler, conn) ? patience : first_patience;
    int locked = lock(conn, err);
    horizon->clock = clock_now();
    release(conn);
    conn->seconds = 0;
    if (locked < 0)
        return -1;
    if (!locked) {
        recall(sampler, conn, horizon);
        return 0;
    }
    horizon->known = true;
    horizon->time = as_written(horizon->clock);
    remember(sampler, conn, horizon->time);
    return 0;
}

int sqlite_horizon(struct conn *conn, struct sampler *sampler, const struct horizon_question *question,
                   struct horizon *horizon, struct err *err)
{
    *horizon = (struct horizon){.known = false};
    if (atomic_load(&conn->cancelled))
        return sqlite_fail(conn, SQLITE_INTERRUPT, attempt, err);
    if (!question->clock_only)
        return barrier(conn, sampler, horizon, err);
    horizon->known = true;
    horizon->time = horizon->clock = clock_now();
    return 0;
}

/* the newest */

/* A copy in arena; digits of a floating point number are the caller's. */
static int keep(struct value *value, struct arena *arena, struct err *err)
{
    if (!value_has_text(value))
        return 0;
    value->text.bytes = arena_copy(arena, value->text.bytes, value->text.len);
    return value->text.bytes ? 0 : err_memory(err);
}

int sqlite_newest(struct conn *conn, const struct plan *plan, struct arena *arena, struct value *value,
                  struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    struct cell cell = {.type = SQLITE_NULL};
    char digits[SHORTEST_SIZE];
    if (sqlite_select_newest(conn, plan, &stmt, err))
        return -1;
    int row = sqlite_step(conn, stmt, "looking for the newest row", err);
    int failed = row < 0 || (row && sqlite_cell(conn, stmt, 0, &cell, err));
    *value = sqlite_value(&cell, digits);
    failed = failed || keep(value, arena, err);
    sqlite3_finalize(stmt);
    return failed ? -1 : 0;
}
