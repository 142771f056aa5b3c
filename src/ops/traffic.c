#include "ops/traffic.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char *const methods[TRAFFIC_METHODS] = {"GET", "HEAD", "POST", "other"};

struct traffic {
    pthread_mutex_t mutex; /* of all but the patterns */
    size_t route_count;
    unsigned statuses[TRAFFIC_STATUSES]; /* in the order in which they were first seen */
    size_t status_count;
    struct traffic_route routes[];
};

struct traffic *traffic_new(const char *const *routes, size_t count)
{
    struct traffic *traffic = calloc(1, sizeof *traffic + (count + 1) * sizeof *traffic->routes);
    if (!traffic)
        return NULL;
    for (size_t i = 0; i < count; i++)
        traffic->routes[i].pattern = routes[i];
    traffic->routes[count].pattern = "other";
    traffic->route_count = count + 1;
    pthread_mutex_init(&traffic->mutex, NULL);
    return traffic;
}

void traffic_free(struct traffic *traffic)
{
    if (!traffic)
        return;
    pthread_mutex_destroy(&traffic->mutex);
    free(traffic);
}

static size_t method_of(const char *method)
{
    size_t place = 0;
    while (place < TRAFFIC_METHODS - 1 && strcmp(methods[place], method) != 0)
        place++;
    return place;
}

/* The service has about a dozen; the last place takes what should never be: yet more. */
static size_t status_of(struct traffic *traffic, unsigned status)
{
    size_t place = 0;
    while (place < traffic->status_count && traffic->statuses[place] != status)
        place++;
    if (place == TRAFFIC_STATUSES)
        return place - 1;
    if (place == traffic->status_count)
        traffic->statuses[traffic->status_count++] = status;
    return place;
}

void traffic_note(struct traffic *traffic, size_t route, const char *method, unsigned status, double seconds)
{
    size_t last = traffic->route_count - 1;
    pthread_mutex_lock(&traffic->mutex);
    struct traffic_route *counted = &traffic->routes[route < last ? route : last];
    counted->counts[method_of(method)][status_of(traffic, status)]++;
    histogram_add(&counted->durations, seconds);
    pthread_mutex_unlock(&traffic->mutex);
}

size_t traffic_routes(const struct traffic *traffic)
{
    return traffic->route_count;
}

void traffic_route(struct traffic *traffic, size_t route, struct traffic_route *out)
{
    pthread_mutex_lock(&traffic->mutex);
    *out = traffic->routes[route];
    pthread_mutex_unlock(&traffic->mutex);
}

const char *traffic_method(size_t method)
{
    return methods[method];
}

size_t traffic_statuses(struct traffic *traffic, unsigned statuses[TRAFFIC_STATUSES])
{
    pthread_mutex_lock(&traffic->mutex);
    size_t count = traffic->status_count;
    memcpy(statuses, traffic->statuses, sizeof traffic->statuses);
    pthread_mutex_unlock(&traffic->mutex);
    return count;
}
