/* The chain of requests that a full sync is: which request may come now, and which one came already. Its state is
 * in the target's database, so that every replica of the service sees the same. */
#ifndef PUSH_SEQUENCE_H
#define PUSH_SEQUENCE_H

#include "push/sink.h"

struct push_parameter;

/* What the URL says. Texts live in the arena of the parsing. */
struct sequence_request {
    bool full;
    bool chained; /* full, and one of several requests: it has ids */
    bool first, last;
    bool guarded; /* delete_guard was not turned off */
    const char *sequence_id, *request_id, *previous_id; /* NULL when absent */
};

/* ERR_INPUT. */
int sequence_parse(struct sequence_request *request, const struct push_parameter *parameters, size_t count,
                   struct arena *arena, struct err *err);

/* Everything that makes two requests the same, as hex: ids, flags and body. */
enum { SEQUENCE_DIGEST_SIZE = 65 };
void sequence_digest(const struct sequence_request *request, const char *body_digest,
                     char digest[SEQUENCE_DIGEST_SIZE]);

/* Within the transaction that will apply the request: locks and reads the state, and says whether the request may
 * come now (else ERR_CHAIN). A chained first one begins its sequence. *answer: what the same request was answered
 * before, in arena; NULL: it is new. */
int sequence_enter(const struct sequence_request *request, const char *digest, const struct sink *sink,
                   const struct target *target, struct conn *conn, struct sync_state *state, const char **answer,
                   struct arena *arena, struct err *err);

#endif
