#include "http/query.h"

#include <string.h>
#include <strings.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. In parameters "+" is a space. */
static int decode(char *text, bool plus, struct err *err)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from != '%') {
            *to++ = plus && *from == '+' ? ' ' : *from;
            continue;
        }
        int high = digit(from[1]), low = high < 0 ? -1 : digit(from[2]);
        if (low < 0)
            return err_set(err, ERR_INPUT, "the URL has a '%%' without two hexadecimal digits behind it");
        if (high == 0 && low == 0)
            return err_set(err, ERR_INPUT, "the URL has a '%%00', which no name and no value can hold");
        *to++ = (char)(high << 4 | low);
        from += 2;
    }
    *to = '\0';
    return 0;
}

static size_t count_parameters(const char *text)
{
    size_t count = 1;
    for (; *text; text++)
        count += *text == '&';
    return count;
}

static int parse_parameter(struct query *query, char *text, struct err *err)
{
    char *value = strchr(text, '=');
    if (!*text)
        return 0;
    if (value)
        *value++ = '\0';
    else
        value = text + strlen(text);
    if (decode(text, true, err) || decode(value, true, err))
        return -1;
    query->parameters[query->count++] = (struct pull_parameter){.name = text, .value = value};
    return 0;
}

/* A target may come with scheme and host, as to a proxy (RFC 9112, 3.2.2). */
static char *without_host(char *uri)
{
    char *host = strncasecmp(uri, "http://", 7) == 0 ? uri + 7 : strncasecmp(uri, "https://", 8) == 0 ? uri + 8 : NULL;
    char *path = host ? strchr(host, '/') : NULL;
    return path ? path : uri;
}

int query_parse(struct query *query, char *uri, struct arena *arena, struct err *err)
{
    uri = without_host(uri);
    char *rest = strchr(uri, '?');
    *query = (struct query){.path = uri};
    if (rest) {
        *rest++ = '\0';
        query->parameters = arena_array(arena, count_parameters(rest), sizeof *query->parameters);
        if (!query->parameters)
            return err_memory(err);
    }
    if (decode(uri, false, err))
        return -1;
    for (char *at = rest; at;) {
        char *next = strchr(at, '&');
        if (next)
            *next++ = '\0';
        if (parse_parameter(query, at, err))
            return -1;
        at = next;
    }
    return 0;
}
