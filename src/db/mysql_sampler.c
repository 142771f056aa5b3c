/* The thread that watches a server's transactions for as long as somebody asks, on a connection of its own: every quarter
 * of a second while questions come, seldom for an hour after, so that a transaction that is open all the while stays known,
 * and then no more. What it knows is worth nothing on another server or after a break, so all is forgotten with the
 * connection. */
#include "db/mysql.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/iso.h"
#include "base/log.h"
#include "base/monotonic.h"

/* Seconds. */
#define PACE 0.25       /* between samples while somebody asks */
#define PACE_IDLE 5.0   /* and for IDLE seconds more */
#define ATTENTIVE 60.0
#define IDLE 3600.0
#define AGAIN 0.11      /* after which a picture can be taken anew if nobody has read it; and a bit, at random */
#define RETRY 1.0       /* until a failure is tried again */
#define RECENT 1.0      /* how old an answer may be when somebody asks */
#define STARTING 1.5    /* how long what was open at the start may keep a question waiting */
#define NOTICE 1.0      /* for how long the holder has held before its name is asked for */
enum { ANSWER_SECONDS = 10 };

struct sampler {
    const struct config_system *system;
    char title[100]; /* of log lines */
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* anything below */
    pthread_t thread;
    bool running; /* there is a thread */
    bool stop;
    bool renew;   /* the connection is to be opened again */
    struct conn *conn; /* to be cancelled, or NULL */
    double asked; /* the last question */

    struct mydb_answer answer;
    double begun;  /* its connection; 0: there is none */
    double looked; /* when the answer was true; 0: not yet */
    struct err err;
    double failed; /* when err was; 0: it is over */
};

/* What the thread alone uses. */
struct watching {
    struct sampler *sampler;
    struct mydb_look look;
    struct mydb_watch watch;
    struct mydb_sample sample;
    uint64_t named; /* the thread whose name stands in name */
    char name[160];
    unsigned random;
};

/* waiting */

static struct timespec time_of(double seconds)
{
    return (struct timespec){(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
}

static void wait_until(struct sampler *sampler, double when)
{
    struct timespec until = time_of(when);
    pthread_cond_timedwait(&sampler->changed, &sampler->mutex, &until);
}

/* Sleeps, with the mutex held, until a time that may depend on when somebody asked. False: the connection has no
 * future. */
static bool sleep_until(struct sampler *sampler, double (*when)(const struct sampler *sampler, double from))
{
    double from = monotonic_seconds();
    while (!sampler->stop && !sampler->renew && monotonic_seconds() < when(sampler, from))
        wait_until(sampler, when(sampler, from));
    return !sampler->stop && !sampler->renew;
}

static double next_sample(const struct sampler *sampler, double from)
{
    return from + (monotonic_seconds() - sampler->asked < ATTENTIVE ? PACE : PACE_IDLE);
}

/* samplers beside us that look at the same times would keep the picture old for each other. */
static bool sleep_for_picture(struct watching *w)
{
    struct sampler *sampler = w->sampler;
    double until = monotonic_seconds() + AGAIN + (double)(rand_r(&w->random) % 100) / 1000;
    pthread_mutex_lock(&sampler->mutex);
    while (!sampler->stop && !sampler->renew && monotonic_seconds() < until)
        wait_until(sampler, until);
    bool go_on = !sampler->stop && !sampler->renew;
    pthread_mutex_unlock(&sampler->mutex);
    return go_on;
}

/* telling */

static const char *holding(enum mydb_hold hold)
{
    switch (hold) {
    case MYDB_HOLD_STATEMENT:
        return "in a statement";
    case MYDB_HOLD_UNKNOWN:
        return "in a transaction from before it was watched";
    default:
        return "in a transaction";
    }
}

/* A name costs a question, which a short transaction is not worth. */
static void find_name(struct watching *w)
{
    const struct mydb_watch *watch = &w->watch;
    bool long_held = watch->hold == MYDB_HOLD_UNKNOWN ||
                     watch->last.time - watch->lowest > (int64_t)(NOTICE * 1000000);
    if (w->named == watch->holder && *w->name)
        return;
    *w->name = '\0';
    w->named = watch->holder;
    if (watch->hold == MYDB_HOLD_NONE || !long_held)
        return;
    if (watch->holder)
        mydb_look_name(&w->look, watch->holder, w->name, sizeof w->name);
    else
        mydb_look_prepared(&w->look, w->name, sizeof w->name);
}

static void tell_holder(struct watching *w, struct horizon *horizon)
{
    const struct mydb_watch *watch = &w->watch;
    char since[64] = "", name[160];
    horizon->waits = watch->hold != MYDB_HOLD_NONE;
    if (!horizon->waits)
        return;
    if (*w->name)
        snprintf(name, sizeof name, "%s", w->name);
    else if (watch->holder)
        snprintf(name, sizeof name, "session %" PRIu64, watch->holder);
    else
        snprintf(name, sizeof name, "a transaction without a session");
    if (watch->hold != MYDB_HOLD_UNKNOWN)
        since[iso_datetime(since, watch->lowest, 0, "Z")] = '\0';
    snprintf(horizon->holder, sizeof horizon->holder, "%.110s, %s%s%.20s", name, holding(watch->hold),
             *since ? " since " : "", since);
}

/* Publishes what is known. why: nothing new, and why; else NULL. */
static void tell(struct watching *w, const char *why)
{
    struct sampler *sampler = w->sampler;
    struct horizon horizon = {.known = w->watch.known, .time = w->watch.horizon};
    find_name(w);
    tell_holder(w, &horizon);
    if (why) {
        horizon.waits = true;
        snprintf(horizon.holder, sizeof horizon.holder, "%s", why);
    }
    pthread_mutex_lock(&sampler->mutex);
    sampler->answer.horizon = horizon;
    sampler->looked = monotonic_seconds();
    sampler->failed = 0;
    pthread_cond_broadcast(&sampler->changed);
    pthread_mutex_unlock(&sampler->mutex);
}

/* watching */

/* 1: a sample was added, 0: nobody wants it any more, or -1. */
static int take_sample(struct watching *w, struct err *err)
{
    const char *why = NULL;
    double begun = monotonic_seconds();
    if (mydb_look_sessions(&w->look, &w->sample, err))
        return -1;
    for (;;) {
        if (mydb_look_trxs(&w->look, &w->sample, &why, err))
            return -1;
        if (!why)
            break;
        if (monotonic_seconds() - begun > RECENT)
            tell(w, why);
        if (!sleep_for_picture(w))
            return 0;
    }
    mydb_watch_add(&w->watch, &w->sample);
    if (w->watch.samples)
        tell(w, NULL);
    return 1;
}

static bool is_wanted(const struct sampler *sampler)
{
    return !sampler->stop && monotonic_seconds() - sampler->asked < ATTENTIVE + IDLE;
}

static int watch(struct watching *w, struct err *err)
{
    struct sampler *sampler = w->sampler;
    bool go_on = true;
    while (go_on) {
        int taken = take_sample(w, err);
        if (taken <= 0)
            return taken;
        pthread_mutex_lock(&sampler->mutex);
        go_on = sleep_until(sampler, next_sample) && is_wanted(sampler);
        pthread_mutex_unlock(&sampler->mutex);
    }
    return 0;
}

/* Only this connection has the lock, and only on this server: who finds it there talks to the same. */
static int take_lock(struct conn *conn, char *name, size_t size, struct err *err)
{
    unsigned char bytes[16];
    char sql[128];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return err_set(err, ERR_INTERNAL, "there are no random numbers");
    int len = snprintf(name, size, "sesam_sql_");
    for (size_t i = 0; i < sizeof bytes; i++)
        len += snprintf(name + len, size - (size_t)len, "%02x", bytes[i]);
    snprintf(sql, sizeof sql, "DO GET_LOCK('%s', 0)", name);
    return mydb_run(conn, sql, "cannot mark the connection that watches", err);
}

static int open_connection(struct watching *w, struct err *err)
{
    struct sampler *sampler = w->sampler;
    struct mydb_answer answer = {.epoch = 0};
    struct conn *conn = NULL;
    if (mydb_open_bounded(&conn, sampler->system, ANSWER_SECONDS, err))
        return -1;
    pthread_mutex_lock(&sampler->mutex);
    w->look = (struct mydb_look){.conn = conn};
    sampler->conn = conn;
    bool stop = sampler->stop;
    pthread_mutex_unlock(&sampler->mutex);
    if (stop || take_lock(conn, answer.lock, sizeof answer.lock, err) || mydb_look_begin(&w->look, err))
        return -1;
    pthread_mutex_lock(&sampler->mutex);
    answer.epoch = sampler->answer.epoch + 1;
    answer.thread = conn->id;
    sampler->answer = answer;
    sampler->begun = monotonic_seconds();
    sampler->looked = 0;
    pthread_mutex_unlock(&sampler->mutex);
    return 0;
}

/* A connection that was called off is closed without more ado: nothing of it runs for long. */
static void close_connection(struct watching *w)
{
    struct sampler *sampler = w->sampler;
    struct conn *conn = w->look.conn;
    pthread_mutex_lock(&sampler->mutex);
    sampler->conn = NULL;
    sampler->begun = sampler->looked = 0;
    sampler->renew = false;
    pthread_mutex_unlock(&sampler->mutex);
    if (conn) {
        conn->busy = false;
        atomic_store(&conn->cancelled, false);
        driver_mysql.close(conn);
    }
    mydb_sample_free(&w->sample);
    mydb_watch_free(&w->watch);
}

/* From opening a connection to its end. */
static int watch_server(struct sampler *sampler, bool *looked, struct err *err)
{
    struct watching w = {.sampler = sampler, .random = (unsigned)(uintptr_t)sampler ^ (unsigned)sampler->answer.epoch};
    int failed = open_connection(&w, err);
    w.random ^= w.look.conn ? (unsigned)w.look.conn->id : 0;
    if (!failed)
        failed = watch(&w, err);
    *looked = w.watch.samples > 0;
    close_connection(&w);
    return failed;
}

/* Called with the mutex held. A connection that was fine and broke is opened again at once. */
static void note_failure(struct sampler *sampler, bool looked, const struct err *err)
{
    if (looked && err->code == ERR_LOST) {
        log_info(sampler->title, "connection lost, watching begins anew: %s", err->text);
        return;
    }
    sampler->err = *err;
    if (err->code == ERR_LOST)
        sampler->err.code = ERR_AWAY; /* it is not the connection of who asks */
    sampler->failed = monotonic_seconds();
    pthread_cond_broadcast(&sampler->changed);
    while (!sampler->stop && monotonic_seconds() < sampler->failed + RETRY)
        wait_until(sampler, sampler->failed + RETRY);
}

static void *run(void *arg)
{
    struct sampler *sampler = arg;
    mydb_thread();
    pthread_mutex_lock(&sampler->mutex);
    while (!sampler->stop) {
        struct err err = {0};
        bool looked = false;
        if (monotonic_seconds() - sampler->asked > ATTENTIVE) {
            pthread_cond_wait(&sampler->changed, &sampler->mutex);
            continue;
        }
        pthread_mutex_unlock(&sampler->mutex);
        int failed = watch_server(sampler, &looked, &err);
        pthread_mutex_lock(&sampler->mutex);
        if (failed && !sampler->stop)
            note_failure(sampler, looked, &err);
    }
    pthread_mutex_unlock(&sampler->mutex);
    return NULL;
}

/* asking */

/* Signals are for the program's own threads. */
static int start(struct sampler *sampler, struct err *err)
{
    sigset_t all, before;
    if (sampler->running)
        return 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&sampler->thread, NULL, run, sampler);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return err_set(err, ERR_INTERNAL, "cannot start a thread: %s", strerror(failed));
    sampler->running = true;
    return 0;
}

static bool has_answer(const struct sampler *sampler, double asked)
{
    if (!sampler->looked || sampler->renew || sampler->looked < asked - RECENT)
        return false;
    return sampler->answer.horizon.known || monotonic_seconds() - sampler->begun > STARTING;
}

static int wait_for_answer(struct sampler *sampler, struct conn *conn, struct mydb_answer *answer, struct err *err)
{
    double asked = sampler->asked, deadline = asked + sampler->system->pool_timeout;
    while (!has_answer(sampler, asked)) {
        if (sampler->failed > asked - RETRY && sampler->failed > 0) {
            err_set(err, sampler->err.code, "%s", sampler->err.text);
            return *sampler->err.hint ? err_hint(err, "%s", sampler->err.hint) : -1;
        }
        double now = monotonic_seconds();
        if (atomic_load(&conn->cancelled))
            return err_set(err, ERR_CANCELLED, "called off while it waited for the horizon");
        if (now > deadline)
            return err_set(err, ERR_BUSY, "system '%s': its open transactions were not told within %.3g s",
                           sampler->system->name, sampler->system->pool_timeout);
        wait_until(sampler, now + 0.1); /* nobody wakes us when the client goes */
    }
    *answer = sampler->answer;
    return 0;
}

int mydb_sampler_ask(struct sampler *sampler, struct conn *conn, struct mydb_answer *answer, struct err *err)
{
    pthread_mutex_lock(&sampler->mutex);
    sampler->asked = monotonic_seconds();
    int failed = start(sampler, err);
    pthread_cond_broadcast(&sampler->changed);
    if (!failed)
        failed = wait_for_answer(sampler, conn, answer, err);
    pthread_mutex_unlock(&sampler->mutex);
    return failed;
}

void mydb_sampler_renew(struct sampler *sampler, unsigned long epoch)
{
    pthread_mutex_lock(&sampler->mutex);
    if (sampler->begun > 0 && sampler->answer.epoch == epoch)
        sampler->renew = true;
    pthread_cond_broadcast(&sampler->changed);
    pthread_mutex_unlock(&sampler->mutex);
}

/* its life */

struct sampler *mydb_sampler_new(const struct config_system *system)
{
    struct sampler *sampler = calloc(1, sizeof *sampler);
    if (!sampler)
        return NULL;
    sampler->system = system;
    snprintf(sampler->title, sizeof sampler->title, "horizon of %.60s", system->name);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&sampler->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&sampler->mutex, NULL);
    return sampler;
}

void mydb_sampler_free(struct sampler *sampler)
{
    if (!sampler)
        return;
    pthread_mutex_lock(&sampler->mutex);
    sampler->stop = true;
    if (sampler->conn)
        driver_mysql.cancel(sampler->conn);
    pthread_cond_broadcast(&sampler->changed);
    pthread_mutex_unlock(&sampler->mutex);
    if (sampler->running)
        pthread_join(sampler->thread, NULL);
    pthread_cond_destroy(&sampler->changed);
    pthread_mutex_destroy(&sampler->mutex);
    free(sampler);
}
