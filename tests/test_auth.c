/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <nettle/base64.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "http/auth.h"

static struct config_user users[] = {{"sesam", "secret"}, {"bl\xC3\xA5", "a:b"}, {"empty", ""}};
static const char *tokens[] = {"0123456789abcdef", "another"};

static const struct config_listen none = {.authentication = AUTH_NONE};
static const struct config_listen basic = {.authentication = AUTH_BASIC, .users = users, .user_count = 3};
static const struct config_listen bearer = {.authentication = AUTH_BEARER, .tokens = {tokens, 2}};

struct header {
    const char *text; /* NULL: none came */
    bool allowed;
};

static void check(const struct config_listen *listen, const struct header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (auth_allows(listen, headers[i].text) != headers[i].allowed)
            fail_msg("'%s' was judged wrongly", headers[i].text ? headers[i].text : "no header");
}
#define CHECK(listen, headers) check(listen, headers, sizeof headers / sizeof *headers)

static bool allows_encoded(const char *credentials, size_t len)
{
    struct buf header = {0};
    buf_puts(&header, "Basic ");
    assert_int_equal(buf_reserve(&header, BASE64_ENCODE_RAW_LENGTH(len) + 1), 0);
    base64_encode_raw(header.data + header.len, len, (const uint8_t *)credentials);
    header.len += BASE64_ENCODE_RAW_LENGTH(len);
    bool allowed = auth_allows(&basic, buf_text(&header));
    buf_free(&header);
    return allowed;
}

static void without_authentication_everybody_may_ask(void **state)
{
    static const struct header headers[] = {{NULL, true}, {"", true}, {"Basic !!", true}};
    (void)state;
    CHECK(&none, headers);
}

static void a_user_with_the_password_may_ask(void **state)
{
    static const struct {
        const char *credentials;
        bool allowed;
    } cases[] = {
        {"sesam:secret", true},    {"bl\xC3\xA5:a:b", true}, {"empty:", true},         {"sesam:", false},
        {"sesam", false},          {"", false},              {":", false},             {":secret", false},
        {"sesam:secre", false},    {"sesam:secrets", false}, {"Sesam:secret", false},  {"sesam:Secret", false},
        {"sesam:a:b", false},      {"bl\xC3\xA5:a", false},  {"empty:secret", false},  {"empty", false},
        {"sesam:secret ", false},  {" sesam:secret", false}, {"sesam:secret:", false}, {"sesam::secret", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (allows_encoded(cases[i].credentials, strlen(cases[i].credentials)) != cases[i].allowed)
            fail_msg("'%s' was judged wrongly", cases[i].credentials);
    assert_false(allows_encoded("sesam:secret\0", 13));
    assert_false(allows_encoded("sesam\0:secret", 13));
}

static void only_well_formed_basic_headers_are_taken(void **state)
{
    static const struct header headers[] = {
        {"Basic c2VzYW06c2VjcmV0", true},
        {"basic c2VzYW06c2VjcmV0", true},
        {"BASIC   c2VzYW06c2VjcmV0", true},
        {NULL, false},
        {"", false},
        {"Basic", false},
        {"Basic ", false},
        {"Basicc2VzYW06c2VjcmV0", false},
        {"Bearer c2VzYW06c2VjcmV0", false},
        {"c2VzYW06c2VjcmV0", false},
        {"Basic c2VzYW06c2VjcmV", false},
        {"Basic c2VzYW06c2VjcmV0=", false},
        {"Basic c2VzYW06c2VjcmV0A", false},
        {"Basic c2VzYW06c2VjcmV0!", false},
        {"Basic c2VzYW06c2Vjcm\xC3\xA5", false},
        {"Basic sesam:secret", false},
        {" Basic c2VzYW06c2VjcmV0", false},
    };
    (void)state;
    CHECK(&basic, headers);
}

static void headers_of_every_length_are_judged(void **state)
{
    (void)state;
    for (size_t len = 0; len < 3000; len += 1 + len / 100) {
        char *long_one = malloc(len + 7);
        assert_non_null(long_one);
        memset(long_one, 'x', len + 6);
        memcpy(long_one, "sesam:", 6);
        assert_false(allows_encoded(long_one, len + 6));
        free(long_one);
    }
}

static void a_bearer_of_a_token_may_ask(void **state)
{
    static const struct header headers[] = {
        {"Bearer 0123456789abcdef", true},
        {"bearer 0123456789abcdef", true},
        {"Bearer  another", true},
        {NULL, false},
        {"", false},
        {"Bearer", false},
        {"Bearer ", false},
        {"Bearer 0123456789abcde", false},
        {"Bearer 0123456789abcdef0", false},
        {"Bearer 0123456789ABCDEF", false},
        {"Bearer another ", false},
        {"Beareranother", false},
        {"Basic another", false},
        {"another", false},
    };
    (void)state;
    CHECK(&bearer, headers);
}

static void without_users_or_tokens_nobody_may_ask(void **state)
{
    static const struct config_listen no_users = {.authentication = AUTH_BASIC},
                                      no_tokens = {.authentication = AUTH_BEARER};
    static const struct header headers[] = {
        {NULL, false}, {"Basic Og==", false}, {"Bearer ", false}, {"Bearer x", false}};
    (void)state;
    CHECK(&no_users, headers);
    CHECK(&no_tokens, headers);
}

static void the_challenge_names_the_scheme(void **state)
{
    (void)state;
    assert_int_equal(strncmp(auth_challenge(&basic), "Basic realm=\"", 13), 0);
    assert_int_equal(strncmp(auth_challenge(&bearer), "Bearer", 6), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_authentication_everybody_may_ask),
        cmocka_unit_test(a_user_with_the_password_may_ask),
        cmocka_unit_test(only_well_formed_basic_headers_are_taken),
        cmocka_unit_test(headers_of_every_length_are_judged),
        cmocka_unit_test(a_bearer_of_a_token_may_ask),
        cmocka_unit_test(without_users_or_tokens_nobody_may_ask),
        cmocka_unit_test(the_challenge_names_the_scheme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
