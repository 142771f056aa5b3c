/* The socket a service listens on. */
#ifndef HTTP_LISTENER_H
#define HTTP_LISTENER_H

#include "base/err.h"
#include "config/config.h"

struct listener {
    int fd;
    char url[96];
};

/* Fails with a text that names address and port. */
int listener_open(struct listener *listener, const struct config_listen *config, struct err *err);
void listener_close(struct listener *listener);

#endif
