#include "http/http.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/log.h"
#include "http/listener.h"
#include "http/watch.h"

enum {
    /* Of a connection: the request's head, and the block of a stream that is sent at once. Only what is
     * used of it takes memory. */
    CONNECTION_MEMORY = 256 * 1024,
    IDENTITY_BLOCK = 128 * 1024, /* of a stream to an HTTP/1.0 client */
    SPARE_CONNECTIONS = 256,     /* for health and status, and for saying no, while all streams are busy */
};

struct http {
    struct service *service;
    struct MHD_Daemon *daemon;
    struct watch *watch;
    struct listener listener;
    pthread_mutex_t mutex;
    pthread_cond_t idle;
    unsigned working; /* requests that are not answered yet */
    bool aborted;
};

/* A request, from its first line to the last byte of its answer. */
struct work {
    struct http *http;
    struct MHD_Connection *connection;
    char *uri;
    bool begun, answered;
    struct cancel cancel;
    struct watched watched;
    bool watching;
    struct reply reply;
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

/* a request's life */

static void *begin_work(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct work *work = calloc(1, sizeof *work);
    if (!work)
        return NULL;
    work->http = arg;
    work->connection = connection;
    work->uri = strdup(uri);
    cancel_init(&work->cancel);
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
        return "the reader took nothing for send_timeout";
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
    routes_finish(http->service, &work->reply, why_ended(code, work));
    cancel_destroy(&work->cancel);
    if (work->answered) {
        pthread_mutex_lock(&http->mutex);
        if (--http->working == 0)
            pthread_cond_broadcast(&http->idle);
        pthread_mutex_unlock(&http->mutex);
    }
    free(work->uri);
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
    struct buf *first = &work->reply.body;
    if (position < first->len) {
        size_t len = first->len - (size_t)position;
        if (len > size)
            len = size;
        memcpy(block, first->data + position, len);
        return (ssize_t)len;
    }
    struct err err = {0};
    MHD_set_connection_option(work->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    ssize_t got = pull_read(work->reply.pull, block, size, &err);
    set_timeout(work, listen_of(work->http)->send_timeout);
    if (got > 0)
        return got;
    return got == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *response_of(struct work *work)
{
    struct reply *reply = &work->reply;
    if (reply->streamed)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, IDENTITY_BLOCK, send_block, work, NULL);
    return MHD_create_response_from_buffer(reply->body.len, reply->body.data, MHD_RESPMEM_PERSISTENT);
}

static void add_headers(struct MHD_Response *response, const struct reply *reply)
{
    char number[16];
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
    if (reply->filtered)
        MHD_add_response_header(response, "X-Dataset-Filtered", "true");
}

static enum MHD_Result send_reply(struct work *work)
{
    struct reply *reply = &work->reply;
    if (reply->abandoned || buf_failed(&reply->body))
        return MHD_NO;
    struct MHD_Response *response = response_of(work);
    if (!response)
        return MHD_NO;
    add_headers(response, reply);
    /* A body that nobody read would be taken for the next request, and a draining service wants no more. */
    bool last = atomic_load(&work->http->service->draining) || reply->status == 400 || reply->status == 405;
    if (last)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    set_timeout(work, listen_of(work->http)->send_timeout);
    enum MHD_Result queued = MHD_queue_response(work->connection, reply->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* How a request tells the length of its body. */
struct lengths {
    unsigned told;
    bool body;
};

static enum MHD_Result count_length(void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
    struct lengths *lengths = arg;
    bool content_length = strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
    (void)kind;
    if (content_length || strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        lengths->told++;
        lengths->body = lengths->body || !content_length || strcmp(value, "0") != 0;
    }
    return MHD_YES;
}

static enum MHD_Result answer_now(struct work *work, const char *method, bool ambiguous)
{
    const struct request request = {
        .method = method,
        .uri = work->uri,
        .authorization = MHD_lookup_connection_value(work->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION),
        .ambiguous = ambiguous,
        .cancel = &work->cancel,
    };
    work->answered = true;
    pthread_mutex_lock(&work->http->mutex);
    work->http->working++;
    pthread_mutex_unlock(&work->http->mutex);
    watch_client(work);
    routes_answer(work->http->service, &request, &work->reply);
    return send_reply(work);
}

/* Called with the head of a request, then with its body in pieces, then with nothing: only then the library
 * takes an answer after which the connection goes on. A request with a body that nobody wants is answered at
 * its head, and its connection ends. Two parties that take the end of a body for different places can be made
 * to disagree about who asked what (RFC 9112, 6.3), so a length may be told only once. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *size, void **memory)
{
    struct work *work = *memory;
    struct lengths lengths = {0};
    (void)arg;
    (void)url;
    (void)version;
    (void)data;
    if (!work || !work->uri)
        return MHD_NO;
    *size = 0;
    if (work->answered)
        return MHD_YES;
    if (work->begun)
        return answer_now(work, method, false);
    work->begun = true;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, count_length, &lengths);
    return lengths.body || lengths.told > 1 ? answer_now(work, method, lengths.told > 1) : MHD_YES;
}

/* The library would decode for us, but then "%00" and "%26" could not be told from what they stand for. */
static size_t leave_encoded(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
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
    if (http->listener.certificate) {
        OPTION(MHD_OPTION_HTTPS_MEM_CERT, 0, http->listener.certificate);
        OPTION(MHD_OPTION_HTTPS_MEM_KEY, 0, http->listener.key);
        OPTION(MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2");
    }
    OPTION(MHD_OPTION_END, 0, NULL);
#undef OPTION
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
                     MHD_USE_ERROR_LOG | (http->listener.certificate ? MHD_USE_TLS : 0);
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
    if (listener_open(&http->listener, &service->config->listen, err) || watch_start(&http->watch, err))
        goto failed;
    http->daemon = start_daemon(http);
    if (!http->daemon) {
        err_set(err, ERR_INTERNAL, "cannot start the HTTP server on %s", http->listener.url);
        err_hint(err, "with tls, look at certificate and key; else at the limits for threads and open files");
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
    pthread_cond_destroy(&http->idle);
    pthread_mutex_destroy(&http->mutex);
    free(http);
}
