#include "config/url.h"

#include <string.h>
#include <strings.h>

static const char forms[] =
    "the forms are postgresql://USER@HOST:PORT/DATABASE, mysql:// and mariadb:// likewise, sqlite:PATH";

static int refuse(struct err *err, const char *why)
{
    err_set(err, ERR_CONFIG, "the URL of the system cannot be used: %s", why);
    return err_hint(err, "%s", forms);
}

static int refuse_password(struct err *err)
{
    err_set(err, ERR_CONFIG,
            "the URL of the system holds a password, which a command line shows to everybody on this machine");
    return err_hint(
        err, "take it out, and change it if others may have seen it; the password comes from $SESAM_SQL_PASSWORD, "
             "--password-file FILE or a question on the terminal");
}

/* parts */

static int digit_of(char c)
{
    static const char hex[] = "0123456789abcdef";
    const char *at = c ? strchr(hex, c >= 'A' && c <= 'F' ? c + 'a' - 'A' : c) : NULL;
    return at ? (int)(at - hex) : -1;
}

/* The bytes from begin to end, decoded; NULL with err set. An empty part is "". */
static const char *decode(const char *begin, const char *end, struct arena *arena, struct err *err)
{
    char *text = arena_copy(arena, begin, (size_t)(end - begin)), *to = text;
    if (!text)
        err_memory(err);
    for (const char *from = begin; text && from < end; from++) {
        int high = 0, low = 0;
        if (*from == '%') {
            high = end - from > 2 ? digit_of(from[1]) : -1;
            low = high >= 0 ? digit_of(from[2]) : -1;
            if (low < 0 || high + low == 0) {
                refuse(err, "a '%' in it is not followed by two hexadecimal digits of a byte other than zero");
                return NULL;
            }
            from += 2;
        }
        *to++ = high + low ? (char)(high << 4 | low) : *from;
    }
    if (text)
        *to = '\0';
    return text;
}

/* The same, where an empty part is none. */
static int take(const char **place, const char *begin, const char *end, struct arena *arena, struct err *err)
{
    *place = NULL;
    if (begin == end)
        return 0;
    *place = decode(begin, end, arena, err);
    return *place ? 0 : -1;
}

static const char *find(const char *begin, const char *end, char c)
{
    return memchr(begin, c, (size_t)(end - begin));
}

static const char *find_last(const char *begin, const char *end, char c)
{
    return memrchr(begin, c, (size_t)(end - begin));
}

/* the scheme */

static const struct scheme {
    const char *name, *type;
    enum config_database database;
} schemes[] = {{"postgresql", "postgresql", DATABASE_POSTGRESQL},
               {"postgres", "postgresql", DATABASE_POSTGRESQL},
               {"mysql", "mysql", DATABASE_MYSQL},
               {"mariadb", "mariadb", DATABASE_MYSQL},
               {"sqlite", "sqlite", DATABASE_SQLITE}};

static const struct scheme *find_scheme(const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strlen(schemes[i].name) == len && strncasecmp(schemes[i].name, text, len) == 0)
            return &schemes[i];
    return NULL;
}

/* servers */

static int take_port(struct url *url, const char *begin, const char *end, struct err *err)
{
    unsigned port = 0;
    if (begin == end)
        return 0;
    for (const char *c = begin; c < end && port <= 65535; c++) {
        if (*c < '0' || *c > '9')
            return refuse(err, "the port is no number; what a name or a user has of :, /, ? and @ is written as %3A, "
                               "%2F, %3F and %40");
        port = port * 10 + (unsigned)(*c - '0');
    }
    if (port < 1 || port > 65535)
        return refuse(err, "the port is not between 1 and 65535");
    url->port = port;
    return 0;
}

/* host, host:port, [ipv6], [ipv6]:port */
static int take_host(struct url *url, const char *begin, const char *end, struct arena *arena, struct err *err)
{
    const char *after;
    if (begin < end && *begin == '[') {
        const char *close = find(begin, end, ']');
        if (!close || close == begin + 1)
            return refuse(err, "an address in brackets has no end");
        if (take(&url->host, begin + 1, close, arena, err))
            return -1;
        after = close + 1;
        if (after < end && *after != ':')
            return refuse(err, "something stands behind the ']' of an address");
    } else {
        after = find(begin, end, ':');
        if (take(&url->host, begin, after ? after : end, arena, err))
            return -1;
    }
    return after && after < end ? take_port(url, after + 1, end, err) : 0;
}

static int take_authority(struct url *url, const char *begin, const char *end, struct arena *arena, struct err *err)
{
    const char *at = find_last(begin, end, '@');
    if (at && find(begin, at, ':'))
        return refuse_password(err);
    if (at && take(&url->username, begin, at, arena, err))
        return -1;
    return take_host(url, at ? at + 1 : begin, end, arena, err);
}

/* one parameter of the query */

static int take_parameter(struct url *url, const char *begin, const char *end, struct arena *arena, struct err *err)
{
    const struct {
        const char *name;
        const char **place;
    } known[] = {{"sslmode", &url->sslmode},
                 {"sslrootcert", &url->sslrootcert},
                 {"sslcert", &url->sslcert},
                 {"sslkey", &url->sslkey},
                 {"host", &url->host}};
    const char *is = find(begin, end, '=');
    const char *name = decode(begin, is ? is : end, arena, err);
    if (!name)
        return -1;
    if (strcasecmp(name, "password") == 0 || strcasecmp(name, "passwd") == 0)
        return refuse_password(err);
    for (size_t i = 0; is && i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0)
            return *known[i].place ? refuse(err, "a parameter is there twice")
                                   : take(known[i].place, is + 1, end, arena, err);
    return refuse(
        err,
        "its parameters can be sslmode, sslrootcert, sslcert, sslkey and host (a socket's path), each with a value");
}

static int take_parameters(struct url *url, const char *text, struct arena *arena, struct err *err)
{
    while (*text) {
        size_t len = strcspn(text, "&");
        if (len && take_parameter(url, text, text + len, arena, err))
            return -1;
        text += len + (text[len] == '&');
    }
    return 0;
}

static int take_server(struct url *url, const char *text, struct arena *arena, struct err *err)
{
    if (strncmp(text, "//", 2) != 0)
        return refuse(err, "'//' is missing behind the type");
    text += 2;
    const char *path = text + strcspn(text, "/?"), *end = path + strcspn(path, "?");
    if (strchr(text, '#'))
        return refuse(err, "a '#' in it has to be written as %23");
    if (take_authority(url, text, path, arena, err))
        return -1;
    if (path < end && take(&url->database, path + 1, end, arena, err))
        return -1;
    if (*end && take_parameters(url, end + 1, arena, err))
        return -1;
    if (!url->username)
        return refuse(err, "it names no user");
    return url->database ? 0 : refuse(err, "it names no database");
}

/* files */

/* What stands between // and the next / would be a host. */
static int take_path(struct url *url, const char *text, struct arena *arena, struct err *err)
{
    const char *end = text + strlen(text);
    if (text[strcspn(text, "?#")])
        return refuse(err, "a '?' in a path is written as %3F, a '#' as %23");
    if (strncmp(text, "//", 2) == 0) {
        if (text[2] != '/')
            return refuse(
                err, "a path behind // has to be absolute: sqlite:///folder/file.db; a relative one is sqlite:file.db");
        text += 2;
    }
    if (take(&url->path, text, end, arena, err))
        return -1;
    return url->path ? 0 : refuse(err, "it names no file");
}

int url_parse(struct url *url, const char *text, struct arena *arena, struct err *err)
{
    const char *colon = strchr(text, ':');
    const struct scheme *scheme = colon ? find_scheme(text, (size_t)(colon - text)) : NULL;
    *url = (struct url){.type = DATABASE_SQLITE};
    if (!scheme)
        return refuse(err, "its type is none of postgresql, mysql, mariadb and sqlite");
    url->type = scheme->database;
    url->type_name = scheme->type;
    return scheme->database == DATABASE_SQLITE ? take_path(url, colon + 1, arena, err)
                                               : take_server(url, colon + 1, arena, err);
}
