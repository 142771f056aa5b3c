#include "http/upload.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"

/* Longer than any request is let run where the configuration sets no limit, and still fit for every driver. */
#define NO_HURRY 1e6 /* seconds */

static struct sink *find_sink(const struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->service->config->sink_count; i++)
        if (strcmp(exchange->service->config->sinks[i].name, exchange->name) == 0)
            return exchange->service->sinks[i];
    return NULL;
}

/* A media type may have parameters behind it (RFC 9110, 8.3). */
static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    size_t len = sizeof json - 1;
    if (!type)
        return true;
    if (strncasecmp(type, json, len) != 0)
        return false;
    type += len + strspn(type + len, " \t");
    return *type == '\0' || *type == ';';
}

static bool is_plain(const char *encoding)
{
    return !encoding || !*encoding || strcasecmp(encoding, "identity") == 0;
}

/* Also for bodies that do not tell their length: those are counted as they come. */
static bool check_head(struct exchange *exchange, const char *title)
{
    static const char not_json[] = "the body is not said to be JSON", encoded[] = "the body is encoded";
    const struct request *request = &exchange->request;
    size_t most = exchange->service->config->listen.max_body_bytes;
    struct err err = {0};
    if (!is_json(request->content_type)) {
        reply_problem(&exchange->reply, 415, not_json, "send it as Content-Type: application/json", NULL);
        log_warning(title, "answered 415: %s", not_json);
    } else if (!is_plain(request->content_encoding)) {
        reply_problem(&exchange->reply, 415, encoded, "send it without Content-Encoding", NULL);
        log_warning(title, "answered 415: %s", encoded);
    } else if (request->length != UINT64_MAX && request->length > most) {
        err_set(&err, ERR_LARGE, "the body has %" PRIu64 " bytes, and may have %zu", request->length, most);
        err_hint(&err, "send smaller batches, or raise max_body_bytes in 'listen'");
        reply_error(&exchange->reply, title, &err, NULL);
    }
    return exchange->reply.status == 0;
}

static int open_push(struct exchange *exchange, struct sink *sink, struct err *err)
{
    const struct query *query = &exchange->query;
    struct push_parameter *parameters = arena_array(exchange->arena, query->count, sizeof *parameters);
    if (!parameters)
        return err_memory(err);
    for (size_t i = 0; i < query->count; i++)
        parameters[i] = (struct push_parameter){query->parameters[i].name, query->parameters[i].value};
    const struct push_request request = {
        .parameters = parameters,
        .count = query->count,
        .listen = &exchange->service->config->listen,
        .gate = exchange->service->gate,
        .cancel = exchange->cancel,
    };
    return push_open(&exchange->push, sink, &request, err);
}

void upload_begin(struct exchange *exchange)
{
    struct sink *sink = find_sink(exchange);
    struct err err = {0};
    if (!sink) {
        err_set(&err, ERR_NOT_FOUND, "there is no sink '%.80s'", exchange->name);
        err_hint(&err, "/sinks lists them");
        reply_error(&exchange->reply, "http", &err, NULL);
        return;
    }
    if (check_head(exchange, sink_title(sink)) && routes_take_place(exchange) && open_push(exchange, sink, &err))
        reply_error(&exchange->reply, sink_title(sink), &err, NULL);
}

/* Gives back what the push holds as soon as its end is known: the client may take its time. */
static void end_push(struct exchange *exchange, const struct err *err)
{
    bool failed = err->code != ERR_NONE;
    bool left = err->code == ERR_CANCELLED;
    push_close(exchange->push, failed ? err : NULL, left ? cancel_why(exchange->cancel) : NULL);
    exchange->push = NULL;
}

void upload_feed(struct exchange *exchange, const char *data, size_t len)
{
    struct err err = {0};
    if (push_feed(exchange->push, data, len, &err) == 0)
        return;
    reply_error(&exchange->reply, NULL, &err, NULL);
    end_push(exchange, &err);
}

/* It was called off, but not because nobody waits any more. */
static void out_of_time(struct err *err)
{
    err_clear(err);
    err_set(err, ERR_BUSY, "the push was not committed within request_timeout");
}

void upload_answer(struct exchange *exchange)
{
    double seconds = exchange->service->config->listen.request_timeout;
    struct reply *reply = &exchange->reply;
    struct buf members = {0};
    struct err err = {0};
    if (seconds <= 0 || seconds > NO_HURRY)
        seconds = NO_HURRY;
    reply_json(reply);
    if (push_finish(exchange->push, seconds, &reply->body, &members, &err)) {
        if (err.code == ERR_CANCELLED && cancel_expired(exchange->cancel))
            out_of_time(&err);
        reply_error(reply, NULL, &err, &members);
    } else {
        buf_putc(&reply->body, '\n');
    }
    end_push(exchange, &err);
    buf_free(&members);
}
