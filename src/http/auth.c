#include "http/auth.h"

#include <nettle/base64.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <string.h>
#include <strings.h>

/* Compares digests, so that not even the lengths can be told from the time. */
static bool same(const char *given, size_t len, const char *wanted)
{
    uint8_t digests[2][SHA256_DIGEST_SIZE];
    struct sha256_ctx sha;
    sha256_init(&sha);
    sha256_update(&sha, len, (const uint8_t *)given);
    sha256_digest(&sha, sizeof digests[0], digests[0]);
    sha256_update(&sha, strlen(wanted), (const uint8_t *)wanted);
    sha256_digest(&sha, sizeof digests[1], digests[1]);
    return memeql_sec(digests[0], digests[1], sizeof digests[0]);
}

/* What follows the scheme in the header; NULL if it is another scheme. */
static const char *credentials(const char *header, const char *scheme)
{
    size_t len = strlen(scheme);
    if (!header || strncasecmp(header, scheme, len) != 0 || header[len] != ' ')
        return NULL;
    return header + len + strspn(header + len, " ");
}

static bool basic(const struct config_listen *listen, const char *header)
{
    const char *encoded = credentials(header, "Basic");
    uint8_t decoded[1024];
    size_t len = sizeof decoded;
    struct base64_decode_ctx base64;
    if (!encoded || BASE64_DECODE_LENGTH(strlen(encoded)) > sizeof decoded)
        return false;
    base64_decode_init(&base64);
    if (!base64_decode_update(&base64, &len, decoded, strlen(encoded), encoded) || !base64_decode_final(&base64))
        return false;
    const uint8_t *colon = memchr(decoded, ':', len);
    if (!colon)
        return false;
    size_t name = (size_t)(colon - decoded);
    bool allowed = false;
    for (size_t i = 0; i < listen->user_count; i++) {
        bool user = same((const char *)decoded, name, listen->users[i].username);
        bool password = same((const char *)colon + 1, len - name - 1, listen->users[i].password);
        allowed |= user & password;
    }
    return allowed;
}

static bool bearer(const struct config_listen *listen, const char *header)
{
    const char *token = credentials(header, "Bearer");
    bool allowed = false;
    for (size_t i = 0; token && i < listen->tokens.count; i++)
        allowed |= same(token, strlen(token), listen->tokens.items[i]);
    return allowed;
}

bool auth_allows(const struct config_listen *listen, const char *header)
{
    switch (listen->authentication) {
    case AUTH_NONE:
        return true;
    case AUTH_BASIC:
        return basic(listen, header);
    case AUTH_BEARER:
        return bearer(listen, header);
    }
    return false;
}

const char *auth_challenge(const struct config_listen *listen)
{
    return listen->authentication == AUTH_BEARER ? "Bearer" : "Basic realm=\"sesam-sql\", charset=\"UTF-8\"";
}
