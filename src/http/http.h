/* The HTTP server, on libmicrohttpd: one thread a connection, so that a request may block. It brings
 * requests to the routes and their replies to the client, and knows nothing of either. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/err.h"
#include "http/routes.h"

struct http;

/* Listens as the configuration says and serves until http_stop. service is borrowed. */
int http_start(struct http **http, struct service *service, struct err *err);

/* Reads the certificate again, for connections that begin from now on. When it cannot be used, the log says
 * why and the one before stays in use. Without TLS there is nothing to do, which the log says, too. */
void http_reload(struct http *http);

/* Takes no new connections, and waits until the requests at work are answered or http_abort is called. */
void http_drain(struct http *http);

/* Calls off what is at work. May be called from another thread than http_drain. */
void http_abort(struct http *http);

/* After http_drain. Accepts NULL. */
void http_stop(struct http *http);

/* "http://127.0.0.1:5000", with the port that was really taken. */
const char *http_url(const struct http *http);

#endif
