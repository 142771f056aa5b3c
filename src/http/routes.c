#include "http/routes.h"

#include <string.h>

#include "base/log.h"
#include "base/monotonic.h"
#include "config.h"
#include "http/auth.h"
#include "http/openapi.h"
#include "http/upload.h"
#include "ops/metrics.h"
#include "ops/page.h"
#include "ops/ready.h"
#include "ops/status.h"

enum { FIRST_BLOCK = 65536 };

struct route {
    const char *pattern; /* "{" ends what the path must begin with: what follows is a name */
    const char *methods;
    bool open;                                /* needs no authentication */
    bool watches;                             /* answers also while the service shuts down */
    void (*begin)(struct exchange *exchange); /* takes bodies; NULL: nobody wants one */
    void (*answer)(struct exchange *exchange);
};

/* sources */

static struct source *find_source(const struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->service->config->source_count; i++)
        if (strcmp(exchange->service->config->sources[i].name, exchange->name) == 0)
            return exchange->service->sources[i];
    return NULL;
}

bool routes_take_place(struct exchange *exchange)
{
    struct service *service = exchange->service;
    exchange->counted = atomic_fetch_add(&service->streams, 1) < service->config->listen.max_connections;
    if (exchange->counted)
        return true;
    atomic_fetch_sub(&service->streams, 1);
    log_warning("http", "answered 503: max_connections pulls and pushes are at work");
    reply_problem(&exchange->reply, 503, "the service is at work for as many clients as it may be",
                  "raise max_connections in 'listen', or let fewer pipes run at the same time", NULL);
    return false;
}

/* Reads the first block before the status is sent, so that what goes wrong early is an honest error and a
 * short answer comes in one piece. */
static int read_first(struct reply *reply, struct err *err)
{
    if (buf_reserve(&reply->body, FIRST_BLOCK))
        return err_memory(err);
    ssize_t got;
    do {
        got = pull_read(reply->pull, reply->body.data + reply->body.len, FIRST_BLOCK - reply->body.len, err);
        if (got < 0)
            return -1;
        reply->body.len += (size_t)got;
    } while (got && reply->body.len < FIRST_BLOCK);
    reply->streamed = got != 0;
    return 0;
}

static void answer_pull(struct exchange *exchange, struct source *source)
{
    struct reply *reply = &exchange->reply;
    struct err err = {0};
    const struct pull_request request = {
        .parameters = exchange->query.parameters,
        .count = exchange->query.count,
        .cancel = exchange->cancel,
    };
    if (pull_open(&reply->pull, source, &request, &err) == 0 && read_first(reply, &err) == 0) {
        reply->status = 200;
        reply->dataset = true;
        reply->filtered = pull_is_filtered(reply->pull);
        if (!pull_completeness(reply->pull, &reply->completeness))
            reply->completeness = -1;
        if (reply->streamed && strcmp(exchange->request.method, "HEAD") == 0)
            pull_stop(reply->pull);
        return;
    }
    bool opened = reply->pull;
    reply_error(reply, opened ? NULL : source_title(source), &err, NULL);
    if (opened)
        pull_close(reply->pull, err.text);
    reply->pull = NULL;
}

static void get_source(struct exchange *exchange)
{
    struct source *source = find_source(exchange);
    if (!source) {
        struct err err = {0};
        err_set(&err, ERR_NOT_FOUND, "there is no source '%.80s'", exchange->name);
        err_hint(&err, "/sources lists them");
        reply_error(&exchange->reply, "http", &err, NULL);
        return;
    }
    if (routes_take_place(exchange))
        answer_pull(exchange, source);
}

/* lists */

static void get_sources(struct exchange *exchange)
{
    const struct config *config = exchange->service->config;
    struct buf *out = &exchange->reply.body;
    reply_json(&exchange->reply);
    buf_putc(out, '[');
    for (size_t i = 0; i < config->source_count; i++) {
        const struct config_source *source = &config->sources[i];
        buf_puts(out, i ? ",\n{" : "{");
        reply_member(out, "name", source->name);
        buf_putc(out, ',');
        reply_member(out, "system", source->system->name);
        buf_putc(out, ',');
        reply_member(out, source->table ? "table" : "query", source->table ? source->table : source->query);
        if (source->updated_column) {
            buf_putc(out, ',');
            reply_member(out, "updated_column", source->updated_column);
        }
        buf_putc(out, '}');
    }
    buf_puts(out, "]\n");
}

static void put_lock(struct buf *out, const struct config_sink *sink)
{
    static const char *const locks[] = {
        [LOCK_NONE] = "none", [LOCK_COLUMN] = "column", [LOCK_XMIN] = "xmin", [LOCK_HASH] = "hash"};
    static const char *const conflicts[] = {
        [CONFLICT_REJECT] = "reject", [CONFLICT_SKIP] = "skip", [CONFLICT_OVERWRITE] = "overwrite"};
    buf_putc(out, ',');
    reply_member(out, "optimistic_lock", locks[sink->lock.kind]);
    buf_putc(out, ',');
    reply_member(out, "on_conflict", conflicts[sink->on_conflict]);
}

static void get_sinks(struct exchange *exchange)
{
    const struct config *config = exchange->service->config;
    struct buf *out = &exchange->reply.body;
    reply_json(&exchange->reply);
    buf_putc(out, '[');
    for (size_t i = 0; i < config->sink_count; i++) {
        buf_puts(out, i ? ",\n{" : "{");
        reply_member(out, "name", config->sinks[i].name);
        buf_putc(out, ',');
        reply_member(out, "system", config->sinks[i].system->name);
        buf_putc(out, ',');
        reply_member(out, "table", config->sinks[i].table);
        put_lock(out, &config->sinks[i]);
        buf_putc(out, '}');
    }
    buf_puts(out, "]\n");
}

/* health */

static void get_health(struct exchange *exchange)
{
    reply_json(&exchange->reply);
    buf_puts(&exchange->reply.body, "{\"status\":\"ok\",\"version\":\"" PACKAGE_VERSION "\"}\n");
}

static const char *parameter(const struct exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->query.count; i++)
        if (strcmp(exchange->query.parameters[i].name, name) == 0)
            return exchange->query.parameters[i].value;
    return NULL;
}

static void get_ready(struct exchange *exchange)
{
    const struct service *service = exchange->service;
    const char *only = parameter(exchange, "system");
    size_t asked;
    reply_json(&exchange->reply);
    bool known = auth_allows(&service->config->listen, exchange->request.authorization);
    size_t ready = ready_write(service->config, service->dbs, only, known, &exchange->reply.body, &asked);
    bool draining = atomic_load(&service->draining);
    if (only && !asked)
        reply_problem(&exchange->reply, 404, "there is no such system", NULL, NULL);
    else
        exchange->reply.status = (ready || !asked) && !draining ? 200 : 503;
}

/* watching */

static struct observed observe(struct service *service)
{
    return (struct observed){
        .config = service->config,
        .dbs = service->dbs,
        .sources = service->sources,
        .sinks = service->sinks,
        .gate = service->gate,
        .traffic = service->traffic,
        .started = service->started,
        .at_work = atomic_load(&service->streams),
        .draining = atomic_load(&service->draining),
    };
}

static void get_metrics(struct exchange *exchange)
{
    const struct observed observed = observe(exchange->service);
    reply_json(&exchange->reply);
    exchange->reply.type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_write(&observed, &exchange->reply.body);
}

static void get_status(struct exchange *exchange)
{
    const struct observed observed = observe(exchange->service);
    reply_json(&exchange->reply);
    status_write(&observed, &exchange->reply.body);
}

static void get_openapi(struct exchange *exchange)
{
    reply_json(&exchange->reply);
    buf_puts(&exchange->reply.body, openapi_text);
}

static void get_page(struct exchange *exchange)
{
    struct reply *reply = &exchange->reply;
    struct err err = {0};
    reply->status = 200;
    reply->type = "text/html; charset=utf-8";
    reply->policy = page_policy(exchange->arena);
    if (!reply->policy) {
        err_memory(&err);
        reply_error(reply, "http", &err, NULL);
        return;
    }
    buf_puts(&reply->body, web_page);
}

/* routing */

static const struct route routes[] = {
    {"/", "GET, HEAD", false, true, NULL, get_page},
    {"/sources/{name}", "GET, HEAD", false, false, NULL, get_source},
    {"/sources", "GET, HEAD", false, false, NULL, get_sources},
    {"/sinks/{name}", "POST", false, false, upload_begin, upload_answer},
    {"/sinks", "GET, HEAD", false, false, NULL, get_sinks},
    {"/metrics", "GET, HEAD", false, true, NULL, get_metrics},
    {"/status", "GET, HEAD", false, true, NULL, get_status},
    {"/openapi.json", "GET, HEAD", false, true, NULL, get_openapi},
    {"/health", "GET, HEAD", true, true, NULL, get_health},
    {"/ready", "GET, HEAD", true, true, NULL, get_ready},
};

enum { ROUTES = sizeof routes / sizeof *routes };

struct traffic *routes_traffic(void)
{
    const char *patterns[ROUTES];
    for (size_t i = 0; i < ROUTES; i++)
        patterns[i] = routes[i].pattern;
    return traffic_new(patterns, ROUTES);
}

static const struct route *find_route(const char *path, const char **name)
{
    for (size_t i = 0; i < ROUTES; i++) {
        const char *pattern = routes[i].pattern;
        size_t len = strcspn(pattern, "{");
        if (pattern[len] ? strncmp(path, pattern, len) == 0 && path[len] : strcmp(path, pattern) == 0) {
            *name = path + len;
            return &routes[i];
        }
    }
    return NULL;
}

static bool has_method(const char *methods, const char *method)
{
    size_t len = strlen(method);
    for (const char *at = methods; (at = strstr(at, method)); at += len)
        if ((at == methods || at[-1] == ' ') && (at[len] == ',' || at[len] == '\0'))
            return len > 0;
    return false;
}

static void find_answerer(struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    struct reply *reply = &exchange->reply;
    const struct route *found = find_route(exchange->query.path, &exchange->name);
    const struct config_listen *listen = &exchange->service->config->listen;
    exchange->found = found;
    if (!(found && found->open) && !auth_allows(listen, request->authorization)) {
        reply_problem(reply, 401, "the request carries no valid credentials", NULL, NULL);
        log_warning("http", "answered 401: a request carries no valid credentials");
        reply->challenge = auth_challenge(listen);
    } else if (!found) {
        reply_problem(reply, 404, "there is nothing at this path", "/openapi.json has all paths", NULL);
    } else if (!has_method(found->methods, request->method)) {
        reply_problem(reply, 405, "this path does not take this method", NULL, NULL);
        reply->allow = found->methods;
    } else if (atomic_load(&exchange->service->draining) && !found->watches) {
        reply_problem(reply, 503, "the service is shutting down", NULL, NULL);
    } else {
        exchange->route = found;
    }
}

bool routes_begin(struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    struct reply *reply = &exchange->reply;
    struct err err = {0};
    reply->type = "application/json";
    exchange->began = monotonic_seconds();
    if (request->ambiguous)
        reply_problem(reply, 400, "the request tells the length of its body in more than one way", NULL, NULL);
    else if (query_parse(&exchange->query, request->uri, exchange->arena, &err))
        reply_error(reply, "http", &err, NULL);
    else
        find_answerer(exchange);
    if (exchange->route && exchange->route->begin)
        exchange->route->begin(exchange);
    if (exchange->push || !request->body)
        return true;
    bool endless = request->length != UINT64_MAX && request->length > exchange->service->config->listen.max_body_bytes;
    return !request->ambiguous && !request->expects && !endless;
}

int routes_feed(struct exchange *exchange, const char *data, size_t len)
{
    size_t most = exchange->service->config->listen.max_body_bytes;
    exchange->received += len;
    if (exchange->push)
        upload_feed(exchange, data, len);
    bool deaf = !exchange->push && exchange->received / 2 > most;
    return deaf || exchange->reply.abandoned ? -1 : 0;
}

void routes_answer(struct exchange *exchange)
{
    if (exchange->reply.status == 0)
        exchange->route->answer(exchange);
}

static void count_request(const struct exchange *exchange)
{
    size_t route = exchange->found ? (size_t)(exchange->found - routes) : SIZE_MAX;
    unsigned status = exchange->reply.abandoned ? 0 : exchange->reply.status;
    if (exchange->began > 0)
        traffic_note(exchange->service->traffic, route, exchange->request.method, status,
                     monotonic_seconds() - exchange->began);
}

void routes_finish(struct exchange *exchange, const char *why)
{
    struct reply *reply = &exchange->reply;
    count_request(exchange);
    push_close(exchange->push, NULL, why);
    exchange->push = NULL;
    pull_close(reply->pull, why);
    reply->pull = NULL;
    if (exchange->counted)
        atomic_fetch_sub(&exchange->service->streams, 1);
    exchange->counted = false;
    buf_free(&reply->body);
    arena_free(exchange->arena);
    exchange->arena = NULL;
}
