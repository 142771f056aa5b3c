/* What is remembered of prepared transactions, so that each holds the horizon where it belongs.
 *
 * The server tells when a transaction was prepared, but its rows have the time at which it began. That was announced
 * until it was prepared: so if it is not in one sample's list of prepared transactions, then it was, when that sample's
 * list of sessions was read before, either announced or not begun, and none of its rows is older than what that list
 * gave as the oldest (or it is over, and every snapshot from now on sees its rows). It holds the horizon there from then
 * on, and no lower, however long it stays and whoever comes after it. One that is there in the first sample of a server
 * may be of any age: while it stays, nothing is known.
 *
 * Samples need no order. Each is remembered as a whole, the oldest of its sessions with the list that was read behind
 * it, and the argument holds for any one sample and any later or concurrent list. */
#include "db/postgres.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct prepared {
    char *key; /* its id, time and name */
    bool known;
    int64_t hold;
};

struct sampler {
    pthread_mutex_t mutex;
    char *server;     /* whose sample it is; NULL: there is none */
    int64_t activity; /* when the oldest of its sessions began */
    struct prepared *list;
    size_t count;
};

struct sampler *postgres_sampler_new(const struct config_system *system)
{
    (void)system;
    struct sampler *sampler = calloc(1, sizeof *sampler);
    if (sampler)
        pthread_mutex_init(&sampler->mutex, NULL);
    return sampler;
}

static void list_free(struct prepared *list, size_t count)
{
    for (size_t i = 0; list && i < count; i++)
        free(list[i].key);
    free(list);
}

static void forget(struct sampler *sampler)
{
    list_free(sampler->list, sampler->count);
    free(sampler->server);
    sampler->list = NULL;
    sampler->count = 0;
    sampler->server = NULL;
}

void postgres_sampler_free(struct sampler *sampler)
{
    if (!sampler)
        return;
    forget(sampler);
    pthread_mutex_destroy(&sampler->mutex);
    free(sampler);
}

static const struct prepared *find(const struct sampler *sampler, const char *key)
{
    for (size_t i = 0; i < sampler->count; i++)
        if (strcmp(sampler->list[i].key, key) == 0)
            return &sampler->list[i];
    return NULL;
}

/* The list of this sample, each with the hold it had, or that of the sample before. NULL: no memory. */
static struct prepared *list_new(const struct sampler *sampler, const PGresult *result, size_t count)
{
    struct prepared *list = calloc(count + 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++) {
        const char *key = PQgetvalue(result, (int)i, 0);
        const struct prepared *before = find(sampler, key);
        list[i].known = before ? before->known : sampler->server != NULL;
        list[i].hold = before ? before->hold : sampler->activity;
        list[i].key = strdup(key);
        if (!list[i].key) {
            list_free(list, i);
            return NULL;
        }
    }
    return list;
}

static int remember(struct sampler *sampler, const char *server, int64_t activity, const PGresult *result, struct err *err)
{
    size_t count = (size_t)PQntuples(result);
    if (sampler->server && strcmp(sampler->server, server) != 0)
        forget(sampler);
    struct prepared *list = list_new(sampler, result, count);
    char *name = list ? strdup(server) : NULL;
    if (!name) {
        list_free(list, count);
        return err_memory(err);
    }
    forget(sampler);
    sampler->server = name;
    sampler->activity = activity;
    sampler->list = list;
    sampler->count = count;
    return 0;
}

/* Takes the horizon back to where the prepared transactions hold it. One of unknown age is who is told of. */
static void hold(const struct sampler *sampler, const PGresult *result, struct horizon *horizon)
{
    for (size_t i = 0; i < sampler->count; i++) {
        const struct prepared *prepared = &sampler->list[i];
        bool told = horizon->known && (!prepared->known || prepared->hold < horizon->time);
        horizon->known = horizon->known && prepared->known;
        if (prepared->known && prepared->hold < horizon->time)
            horizon->time = prepared->hold;
        if (told)
            postgres_holder(horizon, PQgetvalue(result, (int)i, 1));
    }
}

int postgres_hold(struct sampler *sampler, const char *server, const PGresult *prepared, struct horizon *horizon,
                  struct err *err)
{
    pthread_mutex_lock(&sampler->mutex);
    int failed = remember(sampler, server, horizon->time, prepared, err);
    if (!failed)
        hold(sampler, prepared, horizon);
    pthread_mutex_unlock(&sampler->mutex);
    return failed;
}
