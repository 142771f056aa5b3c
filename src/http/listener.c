#include "http/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int bind_first(struct listener *listener, const struct addrinfo *list)
{
    for (; list; list = list->ai_next) {
        int on = 1;
        listener->fd = socket(list->ai_family, list->ai_socktype | SOCK_CLOEXEC, 0);
        if (listener->fd < 0)
            continue;
        setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(listener->fd, list->ai_addr, list->ai_addrlen) == 0 && listen(listener->fd, SOMAXCONN) == 0)
            return 0;
        int why = errno;
        close(listener->fd);
        listener->fd = -1;
        errno = why;
    }
    return -1;
}

static void write_url(struct listener *listener, const struct config_listen *config)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[64] = "?", port[16] = "?";
    if (getsockname(listener->fd, (struct sockaddr *)&address, &size) == 0)
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    bool v6 = strchr(host, ':');
    snprintf(listener->url, sizeof listener->url, "%s://%s%s%s:%s", config->tls_certificate ? "https" : "http",
             v6 ? "[" : "", host, v6 ? "]" : "", port);
}

int listener_open(struct listener *listener, const struct config_listen *config, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
    char port[16];
    *listener = (struct listener){.fd = -1};
    snprintf(port, sizeof port, "%u", config->port);
    int failed = getaddrinfo(config->address, port, &hints, &list);
    if (failed) {
        err_set(err, ERR_CONFIG, "cannot listen on '%s': %s", config->address, gai_strerror(failed));
        return err_hint(err, "look at 'address' in 'listen', or $LISTEN_ADDRESS");
    }
    if (bind_first(listener, list)) {
        err_set(err, ERR_CONFIG, "cannot listen on '%s' port %u: %s", config->address, config->port, strerror(errno));
        err_hint(err, "choose another 'port' in 'listen' (0 takes a free one), or set $PORT");
    }
    freeaddrinfo(list);
    if (listener->fd < 0)
        return -1;
    write_url(listener, config);
    return 0;
}

void listener_close(struct listener *listener)
{
    if (listener->fd >= 0)
        close(listener->fd);
    *listener = (struct listener){.fd = -1};
}
