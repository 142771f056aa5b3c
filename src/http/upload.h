/* A push on its way through the service: what its head must say, its body, its answer. */
#ifndef HTTP_UPLOAD_H
#define HTTP_UPLOAD_H

#include "http/routes.h"

/* Opens the push, or answers why not: reply.status is set then. */
void upload_begin(struct exchange *exchange);
/* The next bytes. After a failure the reply is known, and the push is over. */
void upload_feed(struct exchange *exchange, const char *data, size_t len);
/* The body is whole. */
void upload_answer(struct exchange *exchange);

#endif
