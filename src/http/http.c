#include "http/http.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/log.h"
#include "base/monotonic.h"
#include "http/certificate.h"
#include "http/listener.h"
#include "http/watch.h"

enum {
    /* Of a connection: the request's head, and the block of a stream that is sent at once. Only what is
     * used of it takes memory. */
    CONNECTION_MEMORY = 256 * 1024,
    IDENTITY_BLOCK = 128 * 1024, /* of a stream to an HTTP/1.0 client */
    SPARE_CONNECTIONS = 256,     /* for health and status, and for saying no, while all streams are busy */
    PIECE = 16 * 1024,           /* of a body, taken at once */
};

struct http {
    struct service *service;
    struct MHD_Daemon *daemon;
    struct watch *watch;
    struct listener listener;
    pthread_mutex_t mutex;
    pthread_cond_t idle;
    unsigned working; /* requests that were begun and are not answered yet */
    bool aborted;
};

/* A request, from its first line to the last byte of its answer. */
struct work {
    struct http *http;
    struct MHD_Connection *connection;
    bool begun, answered;
    bool unread; /* it was answered at its head, and its body, if any, was left */
    struct cancel cancel;
    struct watched watched;
    bool watching;
    struct exchange exchange;
};

/* Rounded up: the library takes 0 for no timeout. */
static unsigned whole_seconds(double seconds)
{
    unsigned whole = (unsigned)seconds;
    return whole + (whole < seconds);
}

/* A timeout of 0 is none; setting it anew also starts it anew. So the time that a thread is blocked in a
 * database does not count as the client's idleness. */
static void set_timeout(struct work *work, double seconds)
{
    MHD_set_connection_option(work->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    MHD_set_connection_option(work->connection, MHD_CONNECTION_OPTION_TIMEOUT, whole_seconds(seconds));
}

static const struct config_listen *listen_of(const struct http *http)
{
    return &http->service->config->listen;
}

/* what the library has of a request
 *
 * Only the functions from here to take_body look into its memory, and copy what they find. */

static char *take_uri(struct arena *arena, const char *uri)
{
    return arena_strdup(arena, uri);
}

/* The library would decode for us, but then "%00" and "%26" could not be told from what they stand for. */
static size_t leave_encoded(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
}

/* How a request tells the length of its body. */
struct lengths {
    unsigned told;
    bool body;
    uint64_t length;
};

static enum MHD_Result count_length(void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
    struct lengths *lengths = arg;
    bool content_length = strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
    (void)kind;
    if (content_length || strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        lengths->told++;
        lengths->length = content_length ? strtoull(value, NULL, 10) : UINT64_MAX;
        lengths->body = lengths->body || lengths->length > 0;
    }
    return MHD_YES;
}

static const char *take_header(struct work *work, const char *name)
{
    const char *value = MHD_lookup_connection_value(work->connection, MHD_HEADER_KIND, name);
    return value ? arena_strdup(work->exchange.arena, value) : NULL;
}

/* Two parties that take the end of a body for different places can be made to disagree about who asked what
 * (RFC 9112, 6.3), so a length may be told only once. */
static void take_head(struct work *work, const char *method)
{
    struct request *request = &work->exchange.request;
    struct lengths lengths = {.length = UINT64_MAX};
    MHD_get_connection_values(work->connection, MHD_HEADER_KIND, count_length, &lengths);
    request->method = arena_strdup(work->exchange.arena, method);
    request->authorization = take_header(work, MHD_HTTP_HEADER_AUTHORIZATION);
    request->content_type = take_header(work, MHD_HTTP_HEADER_CONTENT_TYPE);
    request->content_encoding = take_header(work, MHD_HTTP_HEADER_CONTENT_ENCODING);
    request->expects = MHD_lookup_connection_value(work->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    request->ambiguous = lengths.told > 1;
    request->body = lengths.body || request->ambiguous;
    request->length = lengths.length;
}

static void take_body(char *piece, const char *data, size_t len)
{
    memcpy(piece, data, len);
}

/* a request's life */

static void *begin_work(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct work *work = calloc(1, sizeof *work);
    if (!work)
        return NULL;
    work->http = arg;
    work->connection = connection;
    cancel_init(&work->cancel);
    work->exchange.service = work->http->service;
    work->exchange.cancel = &work->cancel;
    work->exchange.arena = arena_new();
    if (work->exchange.arena)
        work->exchange.request.uri = take_uri(work->exchange.arena, uri);
    return work;
}

static const char *why_ended(enum MHD_RequestTerminationCode code, const struct work *work)
{
    if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        return NULL; /* also when the client closed at once, having all it wanted */
    if (cancel_fired(&work->cancel))
        return "the client went away";
    switch (code) {
    case MHD_REQUEST_TERMINATED_TIMEOUT_REACHED:
        return work->answered ? "the reader took nothing for send_timeout"
                              : "the client sent nothing for request_timeout";
    case MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN:
        return "the service was stopped";
    default:
        return "the client went away";
    }
}

static void end_work(void *arg, struct MHD_Connection *connection, void **memory, enum MHD_RequestTerminationCode code)
{
    struct http *http = arg;
    struct work *work = *memory;
    (void)connection;
    if (!work)
        return;
    *memory = NULL;
    if (work->watching)
        watch_remove(http->watch, &work->watched);
    routes_finish(&work->exchange, why_ended(code, work));
    cancel_destroy(&work->cancel);
    if (work->begun) {
        pthread_mutex_lock(&http->mutex);
        if (--http->working == 0)
            pthread_cond_broadcast(&http->idle);
        pthread_mutex_unlock(&http->mutex);
    }
    free(work);
}

static void watch_client(struct work *work)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(work->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!info)
        return;
    work->watched.fd = info->connect_fd;
    work->watched.cancel = &work->cancel;
    watch_add(work->http->watch, &work->watched);
    work->watching = true;
}

/* replies */

static ssize_t send_block(void *arg, uint64_t position, char *block, size_t size)
{
    struct work *work = arg;
    struct buf *first = &work->exchange.reply.body;
    if (position < first->len) {
        size_t len = first->len - (size_t)position;
        if (len > size)
            len = size;
        memcpy(block, first->data + position, len);
        return (ssize_t)len;
    }
    struct err err = {0};
    MHD_set_connection_option(work->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    ssize_t got = pull_read(work->exchange.reply.pull, block, size, &err);
    set_timeout(work, listen_of(work->http)->send_timeout);
    if (got > 0)
        return got;
    return got == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *response_of(struct work *work)
{
    struct reply *reply = &work->exchange.reply;
    if (reply->streamed)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, IDENTITY_BLOCK, send_block, work, NULL);
    return MHD_create_response_from_buffer(reply->body.len, reply->body.data, MHD_RESPMEM_PERSISTENT);
}

static void add_headers(struct MHD_Response *response, const struct reply *reply)
{
    char number[32];
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (reply->allow)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    if (reply->challenge)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, reply->challenge);
    if (reply->retry_after) {
        snprintf(number, sizeof number, "%u", reply->retry_after);
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, number);
    }
    if (reply->dataset)
        MHD_add_response_header(response, "X-Dataset-Populated", "true");
    if (reply->dataset && reply->completeness >= 0) {
        snprintf(number, sizeof number, "%" PRId64, reply->completeness);
        MHD_add_response_header(response, "X-Dataset-Completeness", number);
    }
    if (reply->filtered)
        MHD_add_response_header(response, "X-Dataset-Filtered", "true");
}

static enum MHD_Result send_reply(struct work *work)
{
    struct reply *reply = &work->exchange.reply;
    if (reply->abandoned || buf_failed(&reply->body))
        return MHD_NO;
    struct MHD_Response *response = response_of(work);
    if (!response)
        return MHD_NO;
    add_headers(response, reply);
    /* A body that nobody read would be taken for the next request, and a draining service wants no more. */
    bool last = atomic_load(&work->http->service->draining) || work->unread;
    if (last)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    set_timeout(work, listen_of(work->http)->send_timeout);
    enum MHD_Result queued = MHD_queue_response(work->connection, reply->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* A push has its time from the last byte of its body on, which is now. */
static enum MHD_Result answer_now(struct work *work)
{
    double seconds = listen_of(work->http)->request_timeout;
    work->answered = true;
    if (work->exchange.push && seconds > 0)
        watch_deadline(work->http->watch, &work->watched, monotonic_seconds() + seconds);
    routes_answer(&work->exchange);
    watch_deadline(work->http->watch, &work->watched, 0);
    return send_reply(work);
}

static enum MHD_Result begin_request(struct work *work, const char *method)
{
    work->begun = true;
    pthread_mutex_lock(&work->http->mutex);
    work->http->working++;
    pthread_mutex_unlock(&work->http->mutex);
    take_head(work, method);
    if (!work->exchange.request.method)
        return MHD_NO;
    watch_client(work);
    set_timeout(work, listen_of(work->http)->request_timeout);
    if (routes_begin(&work->exchange))
        return MHD_YES;
    work->unread = true;
    return answer_now(work);
}

/* May block for longer than a client may be idle: it is not its fault. */
static enum MHD_Result read_body(struct work *work, const char *data, size_t size)
{
    char piece[PIECE];
    if (work->answered)
        return MHD_YES;
    for (size_t at = 0, len; at < size; at += len) {
        len = size - at < PIECE ? size - at : PIECE;
        take_body(piece, data + at, len);
        if (routes_feed(&work->exchange, piece, len))
            return MHD_NO;
    }
    set_timeout(work, listen_of(work->http)->request_timeout);
    return MHD_YES;
}

/* Called with the head of a request, then with its body in pieces, then with nothing: only then the library
 * takes an answer after which the connection goes on. Between the head and the end it takes none at all. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *size, void **memory)
{
    struct work *work = *memory;
    size_t len = *size;
    (void)arg;
    (void)connection;
    (void)url;
    (void)version;
    *size = 0;
    if (!work || !work->exchange.request.uri)
        return MHD_NO;
    if (!work->begun)
        return begin_request(work, method);
    if (len)
        return read_body(work, data, len);
    return work->answered ? MHD_YES : answer_now(work);
}

static void log_library(void *arg, const char *format, va_list args)
{
    char line[256];
    (void)arg;
    int len = vsnprintf(line, sizeof line, format, args);
    while (len > 0 && (size_t)len < sizeof line && line[len - 1] == '\n')
        line[--len] = '\0';
    log_debug("http", "%s", line);
}

/* the server's life */

static struct MHD_Daemon *start_daemon(struct http *http)
{
    const struct config_listen *config = listen_of(http);
    struct MHD_OptionItem options[16];
    size_t used = 0;
#define OPTION(name, number, pointer) options[used++] = (struct MHD_OptionItem){name, (intptr_t)(number), pointer}
    OPTION(MHD_OPTION_LISTEN_SOCKET, http->listener.fd, NULL);
    OPTION(MHD_OPTION_CONNECTION_LIMIT, config->max_connections + SPARE_CONNECTIONS, NULL);
    OPTION(MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL);
    OPTION(MHD_OPTION_CONNECTION_TIMEOUT, whole_seconds(config->request_timeout), NULL);
    OPTION(MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL);
    if (config->tls_certificate) {
        OPTION(MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, certificate_callback());
        OPTION(MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2");
    }
    OPTION(MHD_OPTION_END, 0, NULL);
#undef OPTION
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
                     MHD_USE_ERROR_LOG | (config->tls_certificate ? MHD_USE_TLS : 0);
    return MHD_start_daemon(flags, 0, NULL, NULL, answer, http, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,
                            MHD_OPTION_URI_LOG_CALLBACK, begin_work, http, MHD_OPTION_NOTIFY_COMPLETED, end_work, http,
                            MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL, MHD_OPTION_ARRAY, options,
                            MHD_OPTION_END);
}

int http_start(struct http **out, struct service *service, struct err *err)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return err_memory(err);
    http->service = service;
    http->listener.fd = -1;
    pthread_mutex_init(&http->mutex, NULL);
    pthread_cond_init(&http->idle, NULL);
    if (service->config->listen.tls_certificate && certificate_read(&service->config->listen, err))
        goto failed;
    if (listener_open(&http->listener, &service->config->listen, err) || watch_start(&http->watch, err))
        goto failed;
    http->daemon = start_daemon(http);
    if (!http->daemon) {
        err_set(err, ERR_INTERNAL, "cannot start the HTTP server on %s", http->listener.url);
        err_hint(err, "look at the limits for threads and open files");
        goto failed;
    }
    *out = http;
    return 0;
failed:
    http_stop(http);
    return -1;
}

const char *http_url(const struct http *http)
{
    return http->listener.url;
}

void http_reload(struct http *http)
{
    struct err err = {0};
    if (!listen_of(http)->tls_certificate)
        log_info("http", "asked to read the certificate again, but there is none: 'listen' has no tls");
    else if (certificate_read(listen_of(http), &err))
        log_error("tls", "the certificate of before stays in use: %s%s%s", err.text, err.hint[0] ? "; " : "", err.hint);
}

void http_drain(struct http *http)
{
    atomic_store(&http->service->draining, true);
    MHD_socket fd = MHD_quiesce_daemon(http->daemon);
    if (fd != MHD_INVALID_SOCKET) {
        close(fd);
        http->listener.fd = -1;
    }
    pthread_mutex_lock(&http->mutex);
    while (http->working && !http->aborted)
        pthread_cond_wait(&http->idle, &http->mutex);
    pthread_mutex_unlock(&http->mutex);
}

void http_abort(struct http *http)
{
    pthread_mutex_lock(&http->mutex);
    http->aborted = true;
    pthread_cond_broadcast(&http->idle);
    pthread_mutex_unlock(&http->mutex);
    watch_fire_all(http->watch);
}

void http_stop(struct http *http)
{
    if (!http)
        return;
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    watch_stop(http->watch);
    listener_close(&http->listener);
    certificate_forget();
    pthread_cond_destroy(&http->idle);
    pthread_mutex_destroy(&http->mutex);
    free(http);
}
