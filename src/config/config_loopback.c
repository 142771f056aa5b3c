#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "config/config.h"

static bool is_loopback_ipv6(const struct in6_addr *address)
{
    /* An IPv4 address in IPv6's clothes has its first byte at 12. */
    return IN6_IS_ADDR_LOOPBACK(address) || (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

static bool is_loopback(const char *host)
{
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (!*host || *host == '/' || *host == '@')
        return true;
    if (inet_pton(AF_INET, host, &ipv4) == 1)
        return ntohl(ipv4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &ipv6) == 1)
        return is_loopback_ipv6(&ipv6);
    return strcasecmp(host, "localhost") == 0 || strcasecmp(host, "localhost.") == 0;
}

/* A list of hosts is this machine when each of them is. */
bool config_is_loopback(const char *host)
{
    char one[256];
    while (host) {
        const char *comma = strchr(host, ',');
        size_t len = comma ? (size_t)(comma - host) : strlen(host);
        /* A socket's path may be longer than any name. */
        size_t kept = len < sizeof one ? len : sizeof one - 1;
        memcpy(one, host, kept);
        one[kept] = '\0';
        if (!is_loopback(one))
            return false;
        host = comma ? comma + 1 : NULL;
    }
    return true;
}
