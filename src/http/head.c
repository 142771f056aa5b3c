#include "http/head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

char *head_uri(struct arena *arena, const char *uri)
{
    return arena_strdup(arena, uri);
}

/* How a request tells the length of its body. */
struct lengths {
    unsigned told;
    bool body;
    uint64_t length;
};

static enum MHD_Result count_length(void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
    struct lengths *lengths = arg;
    bool content_length = strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
    (void)kind;
    if (content_length || strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        lengths->told++;
        lengths->length = content_length ? strtoull(value, NULL, 10) : UINT64_MAX;
        lengths->body = lengths->body || lengths->length > 0;
    }
    return MHD_YES;
}

static const char *take_header(struct arena *arena, struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value ? arena_strdup(arena, value) : NULL;
}

/* Two parties that take the end of a body for different places can be made to disagree about who asked what
 * (RFC 9112, 6.3), so a length may be told only once. */
void head_take(struct request *request, struct arena *arena, struct MHD_Connection *connection,
               const char *method)
{
    struct lengths lengths = {.length = UINT64_MAX};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, count_length, &lengths);
    request->method = arena_strdup(arena, method);
    request->authorization = take_header(arena, connection, MHD_HTTP_HEADER_AUTHORIZATION);
    request->content_type = take_header(arena, connection, MHD_HTTP_HEADER_CONTENT_TYPE);
    request->content_encoding = take_header(arena, connection, MHD_HTTP_HEADER_CONTENT_ENCODING);
    request->expects = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    request->ambiguous = lengths.told > 1;
    request->body = lengths.body || request->ambiguous;
    request->length = lengths.length;
}

void head_take_body(char *piece, const char *data, size_t len)
{
    memcpy(piece, data, len);
}

size_t head_leave_encoded(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
}
