#include "ops/page.h"

#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <string.h>

enum { HASH = BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE) };

/* Of what stands between two tags, as a browser takes it: each byte, with the newlines at both ends. */
static void hash_between(const char *begin, const char *end, char hash[HASH + 1])
{
    const char *text = strstr(web_page, begin) + strlen(begin);
    struct sha256_ctx sha;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&sha);
    sha256_update(&sha, (size_t)(strstr(text, end) - text), (const uint8_t *)text);
    sha256_digest(&sha, sizeof digest, digest);
    base64_encode_raw(hash, sizeof digest, digest);
    hash[HASH] = '\0';
}

/* require-trusted-types-for makes a browser that knows it refuse innerHTML and its like, should they ever be used. */
const char *page_policy(struct arena *arena)
{
    char style[HASH + 1], script[HASH + 1];
    hash_between("<style>", "</style>", style);
    hash_between("<script type=\"module\">", "</script>", script);
    return arena_printf(arena,
                        "default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; connect-src 'self'; "
                        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
                        "require-trusted-types-for 'script'; trusted-types 'none'",
                        style, script);
}
