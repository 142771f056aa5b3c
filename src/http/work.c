#include "http/work.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/monotonic.h"
#include "http/door.h"
#include "http/head.h"
#include "http/watch.h"

enum {
    IDENTITY_BLOCK = 128 * 1024, /* of a stream to an HTTP/1.0 client */
    PIECE = 16 * 1024,           /* of a body, taken at once */
};

/* A request, from its first line to the last byte of its answer. */
struct work {
    struct works *works;
    struct MHD_Connection *connection;
    struct guest *guest; /* the connection, at the door; NULL: there was no memory */
    bool begun, answered;
    bool unread; /* it was answered at its head, and its body, if any, was left */
    struct cancel cancel;
    struct watched watched;
    bool watching;
    struct exchange exchange;
};

static const struct config_listen *listen_of(const struct works *works)
{
    return &works->service->config->listen;
}

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

/* how long a connection may do what */

static struct stay head_stay(const struct works *works)
{
    return (struct stay){.seconds = listen_of(works)->head_timeout,
                         .late = "no request's head came within head_timeout",
                         .spare = true};
}

static struct stay idle_stay(const struct works *works)
{
    return (struct stay){.seconds = listen_of(works)->idle_timeout,
                         .late = "no other request came within idle_timeout",
                         .spare = true};
}

/* A body that nobody wants any more takes no place from others. */
static struct stay body_stay(const struct work *work, double seconds)
{
    return (struct stay){.seconds = seconds,
                         .late = "the body came more slowly than body_timeout and min_body_rate allow",
                         .spare = !work->exchange.counted};
}

/* A stream may take as long as its reader takes something of it. */
static struct stay answer_stay(const struct work *work)
{
    bool streamed = work->exchange.reply.streamed;
    return (struct stay){.seconds = streamed ? 0 : listen_of(work->works)->send_timeout,
                         .late = "the reader did not take the answer within send_timeout",
                         .spare = !work->exchange.counted};
}

static void let(struct work *work, struct stay stay)
{
    if (work->guest)
        door_let(work->works->door, work->guest, stay);
}

/* a connection's life */

static struct guest *guest_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static int socket_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

void work_connection(void *arg, struct MHD_Connection *connection, void **guest,
                     enum MHD_ConnectionNotificationCode code)
{
    struct works *works = arg;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        int fd = socket_of(connection);
        *guest = calloc(1, sizeof(struct guest));
        if (*guest)
            door_enter(works->door, *guest, fd, head_stay(works));
        else
            shutdown(fd, SHUT_RDWR); /* nobody would look after it */
    } else if (*guest) {
        door_leave(works->door, *guest);
        free(*guest);
        *guest = NULL;
    }
}

/* a request's life */

void *work_begin(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct work *work = calloc(1, sizeof *work);
    if (!work)
        return NULL;
    work->works = arg;
    work->guest = guest_of(connection);
    work->connection = connection;
    cancel_init(&work->cancel);
    work->exchange.service = work->works->service;
    work->exchange.cancel = &work->cancel;
    work->exchange.arena = arena_new();
    if (work->exchange.arena)
        work->exchange.request.uri = head_uri(work->exchange.arena, uri);
    /* That of a first request counts from the connection's beginning. */
    if (work->guest && work->guest->requests++)
        door_let(work->works->door, work->guest, head_stay(work->works));
    return work;
}

static const char *why_ended(enum MHD_RequestTerminationCode code, const struct work *work)
{
    if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        return NULL; /* also when the client closed at once, having all it wanted */
    const char *shown_out = work->guest ? door_why(work->works->door, work->guest) : NULL;
    if (shown_out)
        return shown_out;
    if (cancel_fired(&work->cancel))
        return cancel_why(&work->cancel);
    switch (code) {
    case MHD_REQUEST_TERMINATED_TIMEOUT_REACHED:
        return work->answered ? "the reader took nothing for send_timeout"
                              : "the client sent nothing for request_timeout";
    case MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN:
        return CANCEL_STOPPED;
    default:
        return CANCEL_GONE;
    }
}

/* What a reader does not take would else stay in the kernel's buffers for minutes after the connection is
 * closed. */
static void forget_unsent(struct MHD_Connection *connection)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(socket_of(connection), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void work_end(void *arg, struct MHD_Connection *connection, void **memory,
              enum MHD_RequestTerminationCode code)
{
    struct works *works = arg;
    struct work *work = *memory;
    if (!work)
        return;
    *memory = NULL;
    if (work->watching)
        watch_remove(works->watch, &work->watched);
    bool shown_out = work->guest && door_why(works->door, work->guest);
    if (work->answered && (shown_out || code == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED))
        forget_unsent(connection);
    routes_finish(&work->exchange, why_ended(code, work));
    cancel_destroy(&work->cancel);
    if (work->begun) {
        pthread_mutex_lock(&works->mutex);
        if (--works->working == 0)
            pthread_cond_broadcast(&works->idle);
        pthread_mutex_unlock(&works->mutex);
    }
    if (work->guest && code == MHD_REQUEST_TERMINATED_COMPLETED_OK) {
        MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
        door_let(works->door, work->guest, idle_stay(works));
    }
    free(work);
}

static void watch_client(struct work *work)
{
    work->watched.fd = socket_of(work->connection);
    work->watched.cancel = &work->cancel;
    watch_add(work->works->watch, &work->watched);
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
    set_timeout(work, listen_of(work->works)->send_timeout);
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
    if (reply->policy) {
        MHD_add_response_header(response, "Content-Security-Policy", reply->policy);
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
        MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    }
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
    bool last = atomic_load(&work->works->service->draining) || work->unread;
    if (last)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    set_timeout(work, listen_of(work->works)->send_timeout);
    let(work, answer_stay(work));
    enum MHD_Result queued = MHD_queue_response(work->connection, reply->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* A push has its time from the last byte of its body on, which is now. */
static enum MHD_Result answer_now(struct work *work)
{
    double seconds = listen_of(work->works)->request_timeout;
    work->answered = true;
    let(work, (struct stay){.seconds = 0});
    if (work->exchange.push && seconds > 0)
        watch_deadline(work->works->watch, &work->watched, monotonic_seconds() + seconds);
    routes_answer(&work->exchange);
    watch_deadline(work->works->watch, &work->watched, 0);
    return send_reply(work);
}

static enum MHD_Result begin_request(struct work *work, const char *method)
{
    work->begun = true;
    pthread_mutex_lock(&work->works->mutex);
    work->works->working++;
    pthread_mutex_unlock(&work->works->mutex);
    head_take(&work->exchange.request, work->exchange.arena, work->connection, method);
    if (!work->exchange.request.method)
        return MHD_NO;
    watch_client(work);
    set_timeout(work, listen_of(work->works)->request_timeout);
    if (routes_begin(&work->exchange)) {
        let(work, body_stay(work, listen_of(work->works)->body_timeout));
        return MHD_YES;
    }
    work->unread = true;
    return answer_now(work);
}

/* May block for longer than a client may be idle or slow: it is not its fault, and costs none of its time. */
static enum MHD_Result read_body(struct work *work, const char *data, size_t size)
{
    char piece[PIECE];
    if (work->answered)
        return MHD_YES;
    double left = work->guest ? door_pause(work->works->door, work->guest) : 0;
    for (size_t at = 0, len; at < size; at += len) {
        len = size - at < PIECE ? size - at : PIECE;
        head_take_body(piece, data + at, len);
        if (routes_feed(&work->exchange, piece, len))
            return MHD_NO;
    }
    set_timeout(work, listen_of(work->works)->request_timeout);
    let(work, body_stay(work, left > 0 ? left + (double)size / listen_of(work->works)->min_body_rate : 0));
    return MHD_YES;
}

/* Called with the head of a request, then with its body in pieces, then with nothing: only then the library
 * takes an answer after which the connection goes on. Between the head and the end it takes none at all. */
enum MHD_Result work_answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
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

/* all of them */

int works_open(struct works *works, struct service *service, size_t room, struct err *err)
{
    *works = (struct works){.service = service};
    pthread_mutex_init(&works->mutex, NULL);
    pthread_cond_init(&works->idle, NULL);
    return watch_start(&works->watch, err) || door_open(&works->door, room, err) ? -1 : 0;
}

void works_close(struct works *works)
{
    if (!works->service)
        return;
    door_close(works->door);
    watch_stop(works->watch);
    pthread_cond_destroy(&works->idle);
    pthread_mutex_destroy(&works->mutex);
}

void works_wait(struct works *works)
{
    pthread_mutex_lock(&works->mutex);
    while (works->working && !works->aborted)
        pthread_cond_wait(&works->idle, &works->mutex);
    pthread_mutex_unlock(&works->mutex);
}

void works_abort(struct works *works)
{
    pthread_mutex_lock(&works->mutex);
    works->aborted = true;
    pthread_cond_broadcast(&works->idle);
    pthread_mutex_unlock(&works->mutex);
    watch_fire_all(works->watch);
}
