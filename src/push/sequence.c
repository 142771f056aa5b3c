#include "push/sequence.h"

#include <nettle/sha2.h>
#include <string.h>
#include <strings.h>

#include "push/push.h"

enum { ID_LENGTH = 200 };

/* the URL */

static const char *value_of(const struct push_parameter *parameters, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(parameters[i].name, name) == 0)
            return parameters[i].value;
    return NULL;
}

static int parse_flag(const struct push_parameter *parameters, size_t count, const char *name, bool *flag,
                      struct err *err)
{
    const char *value = value_of(parameters, count, name);
    *flag = value && strcasecmp(value, "true") == 0;
    if (!value || !*value || *flag || strcasecmp(value, "false") == 0)
        return 0;
    return err_set(err, ERR_INPUT, "the parameter '%s' is neither true nor false", name);
}

static int parse_id(const struct push_parameter *parameters, size_t count, const char *name, const char **id,
                    struct arena *arena, struct err *err)
{
    const char *value = value_of(parameters, count, name);
    *id = NULL;
    if (!value || !*value)
        return 0;
    if (strlen(value) > ID_LENGTH)
        return err_set(err, ERR_INPUT, "the parameter '%s' has more than %d bytes", name, ID_LENGTH);
    *id = arena_strdup(arena, value);
    return *id ? 0 : err_memory(err);
}

static int check_ids(const struct sequence_request *request, struct err *err)
{
    const char *missing = !request->sequence_id                        ? "sequence_id"
                          : !request->request_id                       ? "request_id"
                          : !request->first && !request->previous_id ? "previous_request_id"
                                                                       : NULL;
    if (!missing)
        return 0;
    err_set(err, ERR_INPUT, "a full sync lacks the parameter '%s'", missing);
    return err_hint(err, "only a whole sync in one request, with is_first=true and is_last=true, goes without ids");
}

int sequence_parse(struct sequence_request *request, const struct push_parameter *parameters, size_t count,
                   struct arena *arena, struct err *err)
{
    const char *guard = value_of(parameters, count, "delete_guard");
    *request = (struct sequence_request){.guarded = !guard || strcmp(guard, "off") != 0};
    if (guard && strcmp(guard, "off") != 0 && strcmp(guard, "on") != 0)
        return err_set(err, ERR_INPUT, "the parameter 'delete_guard' is neither on nor off");
    if (parse_flag(parameters, count, "is_full", &request->full, err) ||
        parse_id(parameters, count, "sequence_id", &request->sequence_id, arena, err))
        return -1;
    if (!request->full)
        return 0;
    if (parse_flag(parameters, count, "is_first", &request->first, err) ||
        parse_flag(parameters, count, "is_last", &request->last, err) ||
        parse_id(parameters, count, "request_id", &request->request_id, arena, err) ||
        parse_id(parameters, count, "previous_request_id", &request->previous_id, arena, err))
        return -1;
    bool bare = !request->sequence_id && !request->request_id && !request->previous_id;
    request->chained = !(bare && request->first && request->last);
    return request->chained ? check_ids(request, err) : 0;
}

static void hash_text(struct sha256_ctx *sha, const char *text)
{
    if (text)
        sha256_update(sha, strlen(text), (const uint8_t *)text);
    sha256_update(sha, 1, (const uint8_t *)"");
}

void sequence_digest(const struct sequence_request *request, const char *body_digest, char digest[SEQUENCE_DIGEST_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    struct sha256_ctx sha;
    uint8_t bytes[SHA256_DIGEST_SIZE];
    sha256_init(&sha);
    hash_text(&sha, request->sequence_id);
    hash_text(&sha, request->request_id);
    hash_text(&sha, request->previous_id);
    hash_text(&sha, request->first ? "first" : "");
    hash_text(&sha, request->last ? "last" : "");
    hash_text(&sha, body_digest);
    sha256_digest(&sha, sizeof bytes, bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        digest[2 * i] = hex[bytes[i] >> 4];
        digest[2 * i + 1] = hex[bytes[i] & 15];
    }
    digest[SEQUENCE_DIGEST_SIZE - 1] = '\0';
}

/* the chain */

static bool is_same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static int broken(struct err *err, const char *format, const char *name, const char *why)
{
    err_set(err, ERR_CHAIN, format, name, why);
    return err_hint(err, "begin a new sequence with is_first=true");
}

static int enter_first(const struct sequence_request *request, const struct sink *sink, const struct target *target,
                       struct conn *conn, struct sync_state *state, struct err *err)
{
    const struct driver *driver = sink_db(sink)->driver;
    bool over = false;
    if (request->previous_id)
        return broken(err, "sink '%s': the first request of a sequence names one before it%s", target->sink, "");
    if (is_same(state->sequence_id, request->sequence_id))
        return broken(err, "sink '%s': sequence '%.80s' has begun already, with another request", target->sink,
                      request->sequence_id);
    if (driver->sync_is_over(conn, target, request->sequence_id, &over, err))
        return -1;
    if (over)
        return broken(err, "sink '%s': sequence '%.80s' is over", target->sink, request->sequence_id);
    if (driver->sync_begin(conn, target, request->sequence_id, err))
        return -1;
    *state = (struct sync_state){.exists = true, .open = true, .sequence_id = request->sequence_id};
    return 0;
}

static int enter_next(const struct sequence_request *request, const struct target *target,
                      const struct sync_state *state, struct err *err)
{
    if (!state->open || !is_same(state->sequence_id, request->sequence_id))
        return broken(err, "sink '%s': sequence '%.80s' is not open", target->sink, request->sequence_id);
    if (!is_same(state->request_id, request->previous_id))
        return broken(err, "sink '%s': the request before this one was not '%.80s'", target->sink,
                      request->previous_id);
    return 0;
}

int sequence_enter(const struct sequence_request *request, const char *digest, const struct sink *sink,
                   const struct target *target, struct conn *conn, struct sync_state *state, const char **answer,
                   struct arena *arena, struct err *err)
{
    const struct driver *driver = sink_db(sink)->driver;
    struct receipt receipt = {0};
    *answer = NULL;
    if (driver->sync_lock(conn, target, request->full, state, arena, err))
        return -1;
    bool ours = is_same(state->sequence_id, request->sequence_id);
    if (!request->full)
        return ours && state->open ? broken(err, "sink '%s': is_full changed within sequence '%.80s'", target->sink,
                                            request->sequence_id)
                                   : 0;
    if (!request->chained)
        return 0;
    if (ours && driver->sync_receipt(conn, target, request->sequence_id, request->request_id, &receipt, arena, err))
        return -1;
    if (receipt.request_id) {
        if (!is_same(receipt.digest, digest))
            return broken(err, "sink '%s': request '%.80s' came before, with another content", target->sink,
                          request->request_id);
        *answer = receipt.answer;
        return 0;
    }
    return request->first ? enter_first(request, sink, target, conn, state, err)
                          : enter_next(request, target, state, err);
}
