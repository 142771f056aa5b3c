/* What samples of a server's sessions and transactions, one after the other, tell about the rows that can still appear. It
 * knows no SQL and no thread: mysql_sample.c looks, mysql_sampler.c keeps looking.
 *
 * Each look gives the server's clock, then the statements that run, each with its beginning, and then the transactions that
 * InnoDB has open. The picture of transactions is only known to be complete some time after the statements were read, but
 * to have been begun after those of the look before (mysql_sample.c says why). So a sample i is a picture with the
 * clock T and the statements of the look before it.
 *
 * Claim: a row that is committed after the picture of sample i has an updated value u of at least H(i), where u is the
 * time at which the statement that wrote it began, as NOW() and CURRENT_TIMESTAMP have it.
 *
 *     H(i) = the lowest of T(i), the beginnings of the statements that ran, and the bounds of the transactions
 *     bound of a transaction seen for the first time in sample i =
 *            the lower of T(i-1) and the beginning of what its session ran in sample i-1
 *     and a transaction keeps its bound for as long as it is seen
 *
 * Proof. Let S be the statement during which InnoDB opened the row's transaction X, so that u >= the beginning of S: X is
 * opened by the first access to a table, which can come long after NOW() was fixed, since S waits for metadata locks in
 * between. A session runs a statement as far as the process list can tell from before NOW() is fixed until after X is
 * over or handed on to the session's next statement.
 * - X is not in the picture i. Since it is committed later, it is opened later than its place there was looked at. Either
 *   S began after T(i); or it ran while the list of statements was read, and its beginning is in H(i).
 * - X is in the picture i and was first seen in sample j <= i, j > 1. It was not in the picture j-1. By the case before, S
 *   began after T(j-1), or ran in sample j-1: the bound is no higher than its beginning.
 * - X was there in the first sample already: nobody knows when S began, and nothing is known until X is over.
 *
 * H only rises: what was right for all commits after an earlier picture is right for those after a later one, so the
 * highest so far is kept. By the same argument H(i-1) is a bound for every transaction first seen in sample i. That is
 * what one without a session gets (thread 0), such as a prepared XA transaction whose session has gone: which session
 * that was is not told any more. Mostly it is recognised by its id, and keeps the bound it had.
 *
 * A transaction that was declared READ ONLY writes no row of a table that others see. It is left out, and so is what its
 * session ran, though the list of statements is the older one of the two: a session has one transaction at a time,
 * so that whatever it wrote before was over when the picture was taken (or is a prepared XA transaction of its own
 * there), and what it will write comes from a statement that begins later; statements of a procedure have each
 * their own NOW(). A SELECT outside of a transaction also has a transaction that only reads, but may be inside of a
 * statement that writes: it is not left out. */
#include "db/mysql.h"

#include <stdlib.h>
#include <string.h>

void mydb_sample_reset(struct mydb_sample *sample)
{
    sample->session_count = sample->trx_count = 0;
    sample->time = 0;
    sample->replica = false;
}

void mydb_sample_free(struct mydb_sample *sample)
{
    free(sample->sessions);
    free(sample->trxs);
    *sample = (struct mydb_sample){0};
}

static void *grown(void *items, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return items;
    size_t more = *cap ? 2 * *cap : 64;
    void *larger = realloc(items, more * size);
    if (larger)
        *cap = more;
    return larger;
}

int mydb_sample_session(struct mydb_sample *sample, struct mydb_session session)
{
    struct mydb_session *sessions =
        grown(sample->sessions, sample->session_count, &sample->session_cap, sizeof *sessions);
    if (!sessions)
        return -1;
    sample->sessions = sessions;
    sessions[sample->session_count++] = session;
    return 0;
}

int mydb_sample_trx(struct mydb_sample *sample, struct mydb_trx trx)
{
    struct mydb_trx *trxs = grown(sample->trxs, sample->trx_count, &sample->trx_cap, sizeof *trxs);
    if (!trxs)
        return -1;
    sample->trxs = trxs;
    trxs[sample->trx_count++] = trx;
    return 0;
}

/* one sample */

static bool only_reads(const struct mydb_sample *sample, uint64_t thread)
{
    for (size_t i = 0; i < sample->trx_count; i++)
        if (sample->trxs[i].reads && sample->trxs[i].thread == thread)
            return true;
    return false;
}

static void leave_out_readers(struct mydb_sample *sample)
{
    size_t kept = 0;
    for (size_t i = 0; i < sample->session_count; i++)
        if (!only_reads(sample, sample->sessions[i].thread))
            sample->sessions[kept++] = sample->sessions[i];
    sample->session_count = kept;
    kept = 0;
    for (size_t i = 0; i < sample->trx_count; i++)
        if (!sample->trxs[i].reads)
            sample->trxs[kept++] = sample->trxs[i];
    sample->trx_count = kept;
}

/* two samples */

/* A transaction gets an id when it first writes, and keeps it. Without one it is known by its session and the second
 * in which it was opened; the next one of that session in the same second is taken for it, which makes a bound too
 * low, never too high. */
static bool is_same(const struct mydb_trx *before, const struct mydb_trx *now)
{
    if (before->id && before->id == now->id)
        return true;
    return !before->id && before->thread == now->thread && before->started == now->started;
}

static int64_t ran_since(const struct mydb_sample *sample, uint64_t thread)
{
    for (size_t i = 0; i < sample->session_count; i++)
        if (sample->sessions[i].thread == thread)
            return sample->sessions[i].since < sample->time ? sample->sessions[i].since : sample->time;
    return sample->time;
}

static void bound_new(const struct mydb_watch *watch, struct mydb_trx *trx)
{
    int64_t bound = trx->thread ? ran_since(&watch->last, trx->thread) : INT64_MIN;
    if (watch->known && watch->horizon > bound)
        bound = watch->horizon;
    trx->bound = bound;
    trx->unknown = !watch->samples || bound == INT64_MIN;
}

static void bound_trx(const struct mydb_watch *watch, struct mydb_trx *trx)
{
    bool found = false;
    for (size_t i = 0; i < watch->last.trx_count; i++) {
        const struct mydb_trx *before = &watch->last.trxs[i];
        if (!is_same(before, trx))
            continue;
        trx->unknown = before->unknown || (found && trx->unknown);
        trx->bound = found && trx->bound < before->bound ? trx->bound : before->bound;
        found = true;
    }
    if (!found)
        bound_new(watch, trx);
}

static void hold_back(struct mydb_watch *watch, int64_t time, uint64_t thread, enum mydb_hold hold)
{
    if (time >= watch->lowest)
        return;
    watch->lowest = time;
    watch->holder = thread;
    watch->hold = hold;
}

/* Sets lowest, and who it is. An unknown transaction is lower than any. */
static void find_lowest(struct mydb_watch *watch, const struct mydb_sample *sample)
{
    watch->lowest = sample->time;
    watch->holder = 0;
    watch->hold = MYDB_HOLD_NONE;
    for (size_t i = 0; i < sample->trx_count; i++) {
        const struct mydb_trx *trx = &sample->trxs[i];
        hold_back(watch, trx->unknown ? INT64_MIN : trx->bound, trx->thread,
                  trx->unknown ? MYDB_HOLD_UNKNOWN : MYDB_HOLD_TRX);
    }
    for (size_t i = 0; i < sample->session_count; i++)
        hold_back(watch, sample->sessions[i].since, sample->sessions[i].thread, MYDB_HOLD_STATEMENT);
}

/* Gives the sample the clock and the statements of the look before, and keeps its own for the next. False: there was
 * none before. */
static bool step_back(struct mydb_watch *watch, struct mydb_sample *sample)
{
    struct mydb_sample before = watch->ahead;
    bool first = !before.time;
    watch->ahead = (struct mydb_sample){.time = sample->time, .sessions = sample->sessions,
                                        .session_count = sample->session_count, .session_cap = sample->session_cap};
    sample->time = before.time;
    sample->sessions = before.sessions;
    sample->session_count = before.session_count;
    sample->session_cap = before.session_cap;
    return !first;
}

void mydb_watch_add(struct mydb_watch *watch, struct mydb_sample *sample)
{
    if (!step_back(watch, sample))
        return;
    leave_out_readers(sample);
    for (size_t i = 0; i < sample->trx_count; i++)
        bound_trx(watch, &sample->trxs[i]);
    find_lowest(watch, sample);
    if (watch->hold != MYDB_HOLD_UNKNOWN) {
        if (!watch->known || watch->lowest > watch->horizon)
            watch->horizon = watch->lowest;
        watch->known = true;
    }
    watch->samples++;
    struct mydb_sample last = watch->last;
    watch->last = *sample;
    *sample = last;
}

void mydb_watch_free(struct mydb_watch *watch)
{
    mydb_sample_free(&watch->ahead);
    mydb_sample_free(&watch->last);
    *watch = (struct mydb_watch){0};
}
