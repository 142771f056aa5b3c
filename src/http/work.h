/* The requests at work: brings each from its connection to the routes, and their reply back. What happens
 * between is the routes', the daemon itself is http.c's. */
#ifndef HTTP_WORK_H
#define HTTP_WORK_H

#include <microhttpd.h>
#include <pthread.h>

#include "base/err.h"
#include "http/routes.h"

struct door;
struct watch;

/* What the requests of a service share. */
struct works {
    struct service *service; /* borrowed */
    struct watch *watch;
    struct door *door;
    pthread_mutex_t mutex;
    pthread_cond_t idle;
    unsigned working; /* requests that were begun and are not answered yet */
    bool aborted;
};

/* room: how many connections there should be at most, see http/door.h. */
int works_open(struct works *works, struct service *service, size_t room, struct err *err);
/* After the last connection. Also what was not opened whole. */
void works_close(struct works *works);

/* Until no request is at work any more, or works_abort is called. */
void works_wait(struct works *works);
void works_abort(struct works *works);

/* libmicrohttpd's, each with the works as its first argument: MHD_OPTION_NOTIFY_CONNECTION,
 * MHD_OPTION_URI_LOG_CALLBACK, MHD_AccessHandlerCallback and MHD_OPTION_NOTIFY_COMPLETED, in the order in
 * which they come. */
void work_connection(void *arg, struct MHD_Connection *connection, void **guest,
                     enum MHD_ConnectionNotificationCode code);
void *work_begin(void *arg, const char *uri, struct MHD_Connection *connection);
enum MHD_Result work_answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                            const char *version, const char *data, size_t *size, void **memory);
void work_end(void *arg, struct MHD_Connection *connection, void **memory,
              enum MHD_RequestTerminationCode code);

#endif
