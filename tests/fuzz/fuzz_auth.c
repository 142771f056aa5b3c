/* Only a header with one of the users or tokens is let in. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config_user users[] = {{"a", "b"}, {"sesam", "secret"}};
static const char *tokens[] = {"t", "0123"};

static bool has_token(const char *header)
{
    if (strncasecmp(header, "Bearer ", 7) != 0)
        return false;
    header += 7 + strspn(header + 7, " ");
    return strcmp(header, tokens[0]) == 0 || strcmp(header, tokens[1]) == 0;
}

/* nettle passes over white space between the characters. */
static bool has_user(const char *header)
{
    char bare[64];
    size_t len = 0;
    if (strncasecmp(header, "Basic ", 6) != 0)
        return false;
    for (header += 6; *header && len < sizeof bare - 1; header++)
        if (!strchr(" \t\r\n\f\v", *header))
            bare[len++] = *header;
    bare[len] = '\0';
    return strcmp(bare, "YTpi") == 0 || strcmp(bare, "c2VzYW06c2VjcmV0") == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct config_listen basic = {.authentication = AUTH_BASIC, .users = users, .user_count = 2};
    const struct config_listen bearer = {.authentication = AUTH_BEARER, .tokens = {tokens, 2}};
    char *header = malloc(size + 1);
    if (!header)
        abort();
    if (size)
        memcpy(header, data, size);
    header[size] = '\0';
    if (auth_allows(&bearer, header) != has_token(header) || auth_allows(&basic, header) != has_user(header))
        abort();
    free(header);
    return 0;
}
