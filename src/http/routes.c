#include "http/routes.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config.h"
#include "entity/json_write.h"
#include "http/auth.h"
#include "http/query.h"
#include "ops/status.h"

enum { FIRST_BLOCK = 65536, RETRY_SECONDS = 5 };

struct exchange {
    struct service *service;
    const struct request *request;
    const struct query *query;
    const char *name; /* the last part of the path, where the route has one */
    struct reply *reply;
};

static const char *title_of(unsigned status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 410:
        return "Gone";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

static void put_name(struct buf *out, const char *name)
{
    if (json_write_string(out, name, strlen(name)))
        buf_puts(out, "\"?\"");
    buf_putc(out, ':');
}

static void put_member(struct buf *out, const char *name, const char *text)
{
    put_name(out, name);
    if (json_write_string(out, text, strlen(text)) == 0)
        return;
    /* a text of the client's that is not UTF-8, or that was cut within a character */
    buf_putc(out, '"');
    for (; *text; text++)
        json_write_chars(out, (unsigned char)*text < 0x80 ? text : "?", 1);
    buf_putc(out, '"');
}

void routes_problem(struct reply *reply, unsigned status, const char *detail, const char *hint)
{
    struct buf *out = &reply->body;
    buf_reset(out);
    buf_puts(out, "{\"type\":\"about:blank\",");
    put_member(out, "title", title_of(status));
    buf_printf(out, ",\"status\":%u,", status);
    put_member(out, "detail", detail);
    if (hint && *hint) {
        buf_putc(out, ',');
        put_member(out, "hint", hint);
    }
    buf_puts(out, "}\n");
    reply->status = status;
    reply->type = "application/problem+json";
    reply->retry_after = status == 503 ? RETRY_SECONDS : 0;
}

static unsigned status_of(enum err_code code)
{
    switch (code) {
    case ERR_INPUT:
        return 400;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_GONE:
        return 410;
    case ERR_AWAY:
    case ERR_LOST:
    case ERR_BUSY:
    case ERR_CANCELLED:
        return 503;
    default:
        return 500;
    }
}

/* subject NULL: not worth a line of the log. */
static void answer_error(struct exchange *exchange, const char *subject, const struct err *err)
{
    unsigned status = status_of(err->code);
    exchange->reply->abandoned = err->code == ERR_CANCELLED;
    routes_problem(exchange->reply, status, err->text, err->hint);
    if (subject)
        log_warning(subject, "answered %u: %s%s%s", status, err->text, err->hint[0] ? "; " : "", err->hint);
}

/* sources */

static struct source *find_source(const struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->service->config->source_count; i++)
        if (strcmp(exchange->service->config->sources[i].name, exchange->name) == 0)
            return exchange->service->sources[i];
    return NULL;
}

static bool take_stream(struct exchange *exchange)
{
    struct service *service = exchange->service;
    if (atomic_fetch_add(&service->streams, 1) < service->config->listen.max_connections)
        return true;
    atomic_fetch_sub(&service->streams, 1);
    log_warning("http", "answered 503: max_connections pulls are at work");
    routes_problem(exchange->reply, 503, "the service is at work for as many clients as it may be",
                   "raise max_connections in 'listen', or let fewer pipes run at the same time");
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
    struct reply *reply = exchange->reply;
    struct err err = {0};
    const struct pull_request request = {
        .parameters = exchange->query->parameters,
        .count = exchange->query->count,
        .cancel = exchange->request->cancel,
    };
    if (pull_open(&reply->pull, source, &request, &err) == 0 && read_first(reply, &err) == 0) {
        reply->status = 200;
        reply->dataset = true;
        reply->filtered = pull_is_filtered(reply->pull);
        if (reply->streamed && strcmp(exchange->request->method, "HEAD") == 0)
            pull_stop(reply->pull);
        return;
    }
    bool opened = reply->pull;
    answer_error(exchange, opened ? NULL : source_title(source), &err);
    if (opened)
        pull_close(reply->pull, err.text);
    reply->pull = NULL;
    atomic_fetch_sub(&exchange->service->streams, 1);
}

static void get_source(struct exchange *exchange)
{
    struct source *source = find_source(exchange);
    if (!source) {
        struct err err = {0};
        err_set(&err, ERR_NOT_FOUND, "there is no source '%.80s'", exchange->name);
        err_hint(&err, "/sources lists them");
        answer_error(exchange, "http", &err);
        return;
    }
    if (take_stream(exchange))
        answer_pull(exchange, source);
}

/* lists */

static void begin_json(struct exchange *exchange)
{
    exchange->reply->status = 200;
    exchange->reply->type = "application/json";
}

static void get_sources(struct exchange *exchange)
{
    const struct config *config = exchange->service->config;
    struct buf *out = &exchange->reply->body;
    begin_json(exchange);
    buf_putc(out, '[');
    for (size_t i = 0; i < config->source_count; i++) {
        const struct config_source *source = &config->sources[i];
        buf_puts(out, i ? ",\n{" : "{");
        put_member(out, "name", source->name);
        buf_putc(out, ',');
        put_member(out, "system", source->system->name);
        buf_putc(out, ',');
        put_member(out, source->table ? "table" : "query", source->table ? source->table : source->query);
        if (source->updated_column) {
            buf_putc(out, ',');
            put_member(out, "updated_column", source->updated_column);
        }
        buf_putc(out, '}');
    }
    buf_puts(out, "]\n");
}

static void get_sinks(struct exchange *exchange)
{
    const struct config *config = exchange->service->config;
    struct buf *out = &exchange->reply->body;
    begin_json(exchange);
    buf_putc(out, '[');
    for (size_t i = 0; i < config->sink_count; i++) {
        buf_puts(out, i ? ",\n{" : "{");
        put_member(out, "name", config->sinks[i].name);
        buf_putc(out, ',');
        put_member(out, "system", config->sinks[i].system->name);
        buf_putc(out, '}');
    }
    buf_puts(out, "]\n");
}

static void post_sink(struct exchange *exchange)
{
    if (!config_sink(exchange->service->config, exchange->name))
        routes_problem(exchange->reply, 404, "there is no such sink", "/sinks lists them");
    else
        routes_problem(exchange->reply, 501, "this version does not push yet", NULL);
}

/* health */

static void get_health(struct exchange *exchange)
{
    begin_json(exchange);
    buf_puts(&exchange->reply->body, "{\"status\":\"ok\",\"version\":\"" PACKAGE_VERSION "\"}\n");
}

static const char *parameter(const struct exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->query->count; i++)
        if (strcmp(exchange->query->parameters[i].name, name) == 0)
            return exchange->query->parameters[i].value;
    return NULL;
}

static void get_ready(struct exchange *exchange)
{
    const struct service *service = exchange->service;
    const char *only = parameter(exchange, "system");
    size_t asked;
    begin_json(exchange);
    bool known = auth_allows(&service->config->listen, exchange->request->authorization);
    size_t ready = status_ready(service->config, service->dbs, only, known, &exchange->reply->body, &asked);
    bool draining = atomic_load(&service->draining);
    if (only && !asked)
        routes_problem(exchange->reply, 404, "there is no such system", NULL);
    else
        exchange->reply->status = (ready || !asked) && !draining ? 200 : 503;
}

/* routing */

static const struct route {
    const char *path; /* one that ends with "/" takes a name behind it */
    const char *methods;
    bool open; /* needs no authentication */
    void (*answer)(struct exchange *exchange);
} routes[] = {
    {"/sources/", "GET, HEAD", false, get_source},
    {"/sources", "GET, HEAD", false, get_sources},
    {"/sinks/", "POST", false, post_sink},
    {"/sinks", "GET, HEAD", false, get_sinks},
    {"/health", "GET, HEAD", true, get_health},
    {"/ready", "GET, HEAD", true, get_ready},
};

static const struct route *find_route(const char *path, const char **name)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        size_t len = strlen(routes[i].path);
        bool named = routes[i].path[len - 1] == '/';
        if (named ? strncmp(path, routes[i].path, len) == 0 && path[len] : strcmp(path, routes[i].path) == 0) {
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

static void route(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    struct reply *reply = exchange->reply;
    const struct route *found = find_route(exchange->query->path, &exchange->name);
    const struct config_listen *listen = &exchange->service->config->listen;
    if (!(found && found->open) && !auth_allows(listen, request->authorization)) {
        routes_problem(reply, 401, "the request carries no valid credentials", NULL);
        log_warning("http", "answered 401: a request carries no valid credentials");
        reply->challenge = auth_challenge(listen);
    } else if (!found) {
        routes_problem(reply, 404, "there is nothing at this path", "try /sources, /sinks, /health or /ready");
    } else if (!has_method(found->methods, request->method)) {
        routes_problem(reply, 405, "this path does not take this method", NULL);
        reply->allow = found->methods;
    } else if (atomic_load(&exchange->service->draining) && !found->open) {
        routes_problem(reply, 503, "the service is shutting down", NULL);
    } else {
        found->answer(exchange);
    }
}

void routes_answer(struct service *service, const struct request *request, struct reply *reply)
{
    struct err err = {0};
    struct query query = {0};
    struct arena *arena = arena_new();
    struct exchange exchange = {.service = service, .request = request, .query = &query, .reply = reply};
    *reply = (struct reply){.type = "application/json"};
    if (!arena)
        routes_problem(reply, 500, "out of memory", NULL);
    else if (request->ambiguous)
        routes_problem(reply, 400, "the request tells the length of its body in more than one way", NULL);
    else if (query_parse(&query, request->uri, arena, &err))
        answer_error(&exchange, "http", &err);
    else
        route(&exchange);
    arena_free(arena);
}

void routes_finish(struct service *service, struct reply *reply, const char *why)
{
    if (reply->pull) {
        pull_close(reply->pull, why);
        atomic_fetch_sub(&service->streams, 1);
    }
    reply->pull = NULL;
    buf_free(&reply->body);
}
