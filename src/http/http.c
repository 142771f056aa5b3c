#include "http/http.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "http/certificate.h"
#include "http/head.h"
#include "http/listener.h"
#include "http/work.h"

enum {
    /* Of a connection: the request's head, which bounds it, and the block of a stream that is sent at once.
     * The library clears all of it between two requests, so each idle connection has it for good; streams are
     * no faster with more. */
    CONNECTION_MEMORY = 64 * 1024,
    SPARE_CONNECTIONS = 256,   /* for health and status, and for saying no, while all streams are busy */
    LEAVING_CONNECTIONS = 128, /* shown out, and not quite gone */
    STACK = 1024 * 1024,       /* of a connection's thread */
};

struct http {
    struct service *service;
    struct MHD_Daemon *daemon;
    struct works works;
    struct listener listener;
    size_t room; /* connections before those that wait are closed for others */
};

static const struct config_listen *listen_of(const struct http *http)
{
    return &http->service->config->listen;
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
#define OPTION(name, number, pointer)                                                                        \
    options[used++] = (struct MHD_OptionItem){name, (intptr_t)(number), pointer}
    OPTION(MHD_OPTION_LISTEN_SOCKET, http->listener.fd, NULL);
    OPTION(MHD_OPTION_CONNECTION_LIMIT, http->room + LEAVING_CONNECTIONS, NULL);
    OPTION(MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL);
    OPTION(MHD_OPTION_THREAD_STACK_SIZE, STACK, NULL);
    OPTION(MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL);
    if (config->tls_certificate) {
        OPTION(MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, certificate_callback());
        OPTION(MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2");
    }
    OPTION(MHD_OPTION_END, 0, NULL);
#undef OPTION
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
                     MHD_USE_ITC | MHD_USE_ERROR_LOG | (config->tls_certificate ? MHD_USE_TLS : 0);
    struct works *works = &http->works;
    return MHD_start_daemon(flags, 0, NULL, NULL, work_answer, works, MHD_OPTION_EXTERNAL_LOGGER, log_library,
                            NULL, MHD_OPTION_NOTIFY_CONNECTION, work_connection, works,
                            MHD_OPTION_URI_LOG_CALLBACK, work_begin, works, MHD_OPTION_NOTIFY_COMPLETED,
                            work_end, works, MHD_OPTION_UNESCAPE_CALLBACK, head_leave_encoded, NULL,
                            MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

/* Connections may be half of the files that the process may open: the databases need some, too, and when
 * there are none left, nobody is told any more that another client has come. */
static size_t room_of(const struct config_listen *config)
{
    size_t wanted = config->max_connections + SPARE_CONNECTIONS;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur / 2 >= wanted)
        return wanted;
    size_t room = files.rlim_cur / 2;
    log_warning("http", "room for %zu connections instead of %zu: the process may open %zu files", room,
                wanted, (size_t)files.rlim_cur);
    return room;
}

int http_start(struct http **out, struct service *service, struct err *err)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return err_memory(err);
    http->listener.fd = -1;
    const struct config_listen *config = &service->config->listen;
    http->service = service;
    http->room = room_of(config);
    if (config->tls_certificate && certificate_read(config, err))
        goto failed;
    if (listener_open(&http->listener, config, err) || works_open(&http->works, service, http->room, err))
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
        log_error("tls", "the certificate of before stays in use: %s%s%s", err.text, err.hint[0] ? "; " : "",
                  err.hint);
}

void http_drain(struct http *http)
{
    atomic_store(&http->service->draining, true);
    MHD_socket fd = MHD_quiesce_daemon(http->daemon);
    if (fd != MHD_INVALID_SOCKET) {
        close(fd);
        http->listener.fd = -1;
    }
    works_wait(&http->works);
}

void http_abort(struct http *http)
{
    works_abort(&http->works);
}

void http_stop(struct http *http)
{
    if (!http)
        return;
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    works_close(&http->works);
    listener_close(&http->listener);
    certificate_forget();
    free(http);
}
