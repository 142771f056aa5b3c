#include "http/reply.h"

#include <string.h>

#include "base/log.h"
#include "entity/json_write.h"

enum { RETRY_SECONDS = 5 };

static const char *title_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *title;
    } titles[] = {
        {400, "Bad Request"},         {401, "Unauthorized"},        {404, "Not Found"},
        {405, "Method Not Allowed"},  {409, "Conflict"},            {410, "Gone"},
        {412, "Precondition Failed"}, {413, "Content Too Large"},   {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"}, {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Internal Server Error";
}

static unsigned status_of(enum err_code code)
{
    switch (code) {
    case ERR_INPUT:
        return 400;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_CHAIN:
        return 409;
    case ERR_GONE:
        return 410;
    case ERR_CONFLICT:
        return 412;
    case ERR_LARGE:
        return 413;
    case ERR_REFUSED:
        return 422;
    case ERR_AWAY:
    case ERR_LOST:
    case ERR_RACE:
    case ERR_BUSY:
    case ERR_CANCELLED:
        return 503;
    default:
        return 500;
    }
}

void reply_member(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "\"%s\":", name);
    json_write_text(out, text);
}

void reply_json(struct reply *reply)
{
    buf_reset(&reply->body);
    reply->status = 200;
    reply->type = "application/json";
}

void reply_problem(struct reply *reply, unsigned status, const char *detail, const char *hint, struct buf *members)
{
    struct buf *out = &reply->body;
    buf_reset(out);
    buf_puts(out, "{\"type\":\"about:blank\",");
    reply_member(out, "title", title_of(status));
    buf_printf(out, ",\"status\":%u,", status);
    reply_member(out, "detail", detail);
    if (hint && *hint) {
        buf_putc(out, ',');
        reply_member(out, "hint", hint);
    }
    if (members && !buf_failed(members))
        buf_put(out, members->data, members->len);
    buf_puts(out, "}\n");
    reply->status = status;
    reply->type = "application/problem+json";
    reply->retry_after = status == 503 ? RETRY_SECONDS : 0;
}

void reply_error(struct reply *reply, const char *subject, const struct err *err, struct buf *members)
{
    unsigned status = status_of(err->code);
    reply->abandoned = err->code == ERR_CANCELLED;
    reply_problem(reply, status, err->text, err->hint, members);
    if (subject)
        log_warning(subject, "answered %u: %s%s%s", status, err->text, err->hint[0] ? "; " : "", err->hint);
}
