/* What libmicrohttpd has of a request, copied. Nobody else looks into its memory. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <microhttpd.h>

#include "base/arena.h"
#include "http/routes.h"

/* Texts live in arena; one that there was no memory for is NULL, as one that was not there. */
char *head_uri(struct arena *arena, const char *uri);
void head_take(struct request *request, struct arena *arena, struct MHD_Connection *connection,
               const char *method);

/* The next bytes of its body. */
void head_take_body(char *piece, const char *data, size_t len);

/* An MHD_UnescapeCallback. The library would decode for us, but then "%00" and "%26" could not be told from
 * what they stand for. */
size_t head_leave_encoded(void *arg, struct MHD_Connection *connection, char *text);

#endif
