#include <stdlib.h>
#include <string.h>

#include "config/reader.h"

#define AT(member) offsetof(struct config_listen, member)

static const struct choice authentications[] = {
    {"none", AUTH_NONE}, {"basic", AUTH_BASIC}, {"bearer", AUTH_BEARER}, {NULL, 0}};

static const struct key tls_keys[] = {
    {.name = "certificate",
     .type = KEY_TEXT,
     .required = true,
     .at = AT(tls_certificate),
     .help = "path of the certificate and its chain, PEM"},
    {.name = "key",
     .type = KEY_TEXT,
     .required = true,
     .at = AT(tls_key),
     .help = "path of its private key, PEM"},
    {.name = NULL},
};
static const struct section section_tls = {
    .title = "listen.tls", .help = "Without it the service speaks plain HTTP.", .keys = tls_keys};

static int check_user(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    const struct config_user *user = target;
    (void)object;
    if (user && user->username && strchr(user->username, ':'))
        return reader_mistake_at(reader, path, "username", "must not contain ':' (RFC 7617)");
    return 0;
}

static const struct key user_keys[] = {
    {.name = "username",
     .type = KEY_TEXT,
     .required = true,
     .at = offsetof(struct config_user, username),
     .help = "without a colon"},
    {.name = "password",
     .type = KEY_TEXT,
     .required = true,
     .secret = true,
     .at = offsetof(struct config_user, password),
     .help = "as `${NAME}` or `${file:PATH}`, so that it does not stand in the document"},
    {.name = NULL},
};
static const struct section section_user = {.title = "listen.authentication.users[]",
                                            .keys = user_keys,
                                            .size = sizeof(struct config_user),
                                            .check = check_user};

static int check_users(struct reader *reader, const struct path *path, const struct config_listen *listen)
{
    int result = 0;
    for (size_t i = 0; i < listen->user_count; i++) {
        for (size_t j = 0; j < i; j++) {
            const char *a = listen->users[i].username, *b = listen->users[j].username;
            struct path users = {.up = path, .name = "users"}, user = {.up = &users, .index = i};
            if (a && b && strcmp(a, b) == 0)
                result = reader_mistake(reader, &user, "this username stands in the list already");
        }
    }
    return result;
}

/* What an Authorization header carries without doubt. */
static bool is_token(const char *token)
{
    while (*token > ' ' && *token < 0x7F)
        token++;
    return *token == '\0';
}

static int check_tokens(struct reader *reader, const struct path *path, const struct config_listen *listen)
{
    int result = 0;
    for (size_t i = 0; i < listen->tokens.count; i++) {
        struct path tokens = {.up = path, .name = "tokens"}, token = {.up = &tokens, .index = i};
        if (!is_token(listen->tokens.items[i]))
            result = reader_mistake(reader, &token, "a token is made of printable ASCII without blanks");
    }
    return result;
}

static int check_authentication(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    const struct config_listen *listen = target;
    int result = 0;
    if (!reader_told((int)listen->authentication))
        return -1;
    if (listen->authentication == AUTH_BASIC && reader_lacks(object, "users"))
        result = reader_mistake_at(reader, path, "users", "basic authentication needs at least one user");
    if (listen->authentication == AUTH_BEARER && reader_lacks(object, "tokens"))
        result = reader_mistake_at(reader, path, "tokens", "bearer authentication needs at least one token");
    if (check_users(reader, path, listen) || check_tokens(reader, path, listen))
        result = -1;
    if (listen->authentication != AUTH_BASIC && reader_has(object, "users"))
        result = reader_mistake_at(reader, path, "users", "belongs to basic authentication");
    if (listen->authentication != AUTH_BEARER && reader_has(object, "tokens"))
        result = reader_mistake_at(reader, path, "tokens", "belongs to bearer authentication");
    return result;
}

static const struct key authentication_keys[] = {
    {.name = "type",
     .type = KEY_CHOICE,
     .required = true,
     .choices = authentications,
     .at = AT(authentication),
     .help = "how clients say who they are"},
    {.name = "users",
     .type = KEY_OBJECTS,
     .section = &section_user,
     .at = AT(users),
     .count_at = AT(user_count),
     .help = "who may come; `basic` only"},
    {.name = "tokens",
     .type = KEY_LIST,
     .secret = true,
     .at = AT(tokens),
     .help = "one of these must be sent; `bearer` only"},
    {.name = NULL},
};
static const struct section section_authentication = {
    .title = "listen.authentication",
    .help = "It must be written, if only as `{\"type\": \"none\"}`, on an address that is not loopback.",
    .keys = authentication_keys,
    .check = check_authentication};

static int take_port(struct reader *reader, struct config_listen *listen)
{
    struct path root = {.up = NULL}, variable = {.up = &root, .name = "$PORT"};
    const char *text = getenv("PORT");
    if (!text || !*text)
        return 0;
    size_t len = strlen(text);
    if (len > 5 || strspn(text, "0123456789") != len || strtoul(text, NULL, 10) > 65535)
        return reader_mistake(reader, &variable, "expected a port, 0 to 65535");
    listen->port = (unsigned)strtoul(text, NULL, 10);
    return 0;
}

static int take_address(struct reader *reader, struct config_listen *listen)
{
    const char *text = getenv("LISTEN_ADDRESS");
    if (!text || !*text)
        return 0;
    const char *copy = arena_strdup(reader->arena, text);
    if (!copy)
        return err_memory(reader->err);
    listen->address = copy;
    return 0;
}

/* One body alone must fit. Who writes only one of the two is not told to write the other: a body that is alone
 * may pass the bound. */
static int check_sizes(struct reader *reader, const struct path *path, json_t *object,
                       const struct config_listen *listen)
{
    bool written = reader_has(object, "max_buffered_bytes") && reader_has(object, "max_body_bytes");
    if (!written || listen->max_buffered_bytes >= listen->max_body_bytes)
        return 0;
    return reader_mistake_at(reader, path, "max_buffered_bytes", "must not be less than max_body_bytes");
}

static int check_listen(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    struct config_listen *listen = target;
    int result = take_port(reader, listen);
    if (check_sizes(reader, path, object, listen))
        result = -1;
    if (take_address(reader, listen))
        return -1;
    if (listen->address[0] == '/' || listen->address[0] == '@')
        result =
            reader_mistake_at(reader, path, "address", "must be an address; sockets cannot be listened on");
    else if (!config_is_loopback(listen->address) && !listen->authentication_written)
        result = reader_mistake_at(
            reader, path, "authentication",
            "must be written on an address that is not loopback, if only as {\"type\": \"none\"}");
    return result;
}

static const struct key listen_keys[] = {
    {.name = "address",
     .type = KEY_TEXT,
     .at = AT(address),
     .def = "\"127.0.0.1\"",
     .help = "the address to listen on; `$LISTEN_ADDRESS` overrides it"},
    {.name = "port",
     .type = KEY_UNSIGNED,
     .max = 65535,
     .at = AT(port),
     .def = "5000",
     .help = "0 takes any free port; `$PORT` overrides it"},
    {.name = "tls", .type = KEY_OBJECT, .section = &section_tls, .at = 0, .shown = "none", .help = "HTTPS"},
    {.name = "authentication",
     .type = KEY_OBJECT,
     .section = &section_authentication,
     .at = 0,
     .told_at = AT(authentication_written),
     .shown = "none",
     .help = "who may come"},
    {.name = "max_connections",
     .type = KEY_UNSIGNED,
     .min = 1,
     .max = 65536,
     .at = AT(max_connections),
     .def = "64",
     .help = "pulls and pushes at the same time; 256 connections more are taken for everything else"},
    {.name = "max_body_bytes",
     .type = KEY_SIZE,
     .min = 1,
     .at = AT(max_body_bytes),
     .def = "67108864",
     .help = "a larger body is 413"},
    {.name = "max_buffered_bytes",
     .type = KEY_SIZE,
     .min = 1,
     .at = AT(max_buffered_bytes),
     .def = "67108864",
     .help = "what all requests together hold in memory and spool; beyond it a body waits"},
    {.name = "max_entity_bytes",
     .type = KEY_SIZE,
     .min = 1,
     .at = AT(max_entity_bytes),
     .def = "16777216",
     .help = "a larger entity is 413"},
    {.name = "request_timeout",
     .type = KEY_NUMBER,
     .min = 0,
     .max = 1e9,
     .at = AT(request_timeout),
     .def = "60",
     .help = "seconds from a push's last byte to its commit, and between two of its bytes; 0: no limit"},
    {.name = "send_timeout",
     .type = KEY_NUMBER,
     .min = 0,
     .max = 1e9,
     .at = AT(send_timeout),
     .def = "300",
     .help = "seconds after which a reader that takes nothing is cut off"},
    {.name = "head_timeout",
     .type = KEY_NUMBER,
     .min = 0,
     .max = 1e9,
     .at = AT(head_timeout),
     .def = "20",
     .help = "seconds until a new connection's TLS handshake and the head of its request have to be in; 0: "
             "no limit"},
    {.name = "idle_timeout",
     .type = KEY_NUMBER,
     .min = 0,
     .max = 1e9,
     .at = AT(idle_timeout),
     .def = "60",
     .help = "seconds after which a connection without another request is closed; 0: no limit"},
    {.name = "body_timeout",
     .type = KEY_NUMBER,
     .min = 0,
     .max = 1e9,
     .at = AT(body_timeout),
     .def = "60",
     .help =
         "seconds until a body has to be in, and one more for each `min_body_rate` bytes of it; 0: no limit"},
    {.name = "min_body_rate",
     .type = KEY_UNSIGNED,
     .min = 1,
     .max = 1000000000,
     .at = AT(min_body_rate),
     .def = "8192",
     .help = "bytes a second"},
    {.name = "spool_directory",
     .type = KEY_TEXT,
     .at = AT(spool_directory),
     .def = "\"/var/tmp\"",
     .help = "where temporary files are made, without a name"},
    {.name = NULL},
};
const struct section section_listen = {.title = "listen", .keys = listen_keys, .check = check_listen};
