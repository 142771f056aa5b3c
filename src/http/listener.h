/* The socket a service listens on, and the certificate it shows. */
#ifndef HTTP_LISTENER_H
#define HTTP_LISTENER_H

#include "base/err.h"
#include "config/config.h"

struct listener {
    int fd;
    char *certificate, *key; /* PEM texts; NULL without TLS */
    char url[96];
};

/* Fails with a text that names address, port or file. */
int listener_open(struct listener *listener, const struct config_listen *config, struct err *err);
void listener_close(struct listener *listener);

#endif
