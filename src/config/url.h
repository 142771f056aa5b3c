/* A system as a URL says it, for the command line: RFC 3986 in the forms that users of the databases know.
 *
 *     postgresql://user@host:5432/database?sslmode=verify-full&sslrootcert=ca.pem
 *     mysql://user@host/database      mariadb://user@[::1]/database postgresql://user@/database?host=/run/postgresql
 *     sqlite:path                     sqlite:///absolute/path
 *
 * What is percent-encoded is decoded. A password is refused: a command line can be read by everybody. */
#ifndef CONFIG_URL_H
#define CONFIG_URL_H

#include "base/arena.h"
#include "base/err.h"
#include "config/config.h"

/* Texts live in the arena; NULL: not given. */
struct url {
    enum config_database type;
    const char *type_name; /* as the configuration writes it: "mariadb" */
    const char *host;      /* without brackets */
    unsigned port;         /* 0: not given */
    const char *database, *username;
    const char *sslmode, *sslrootcert, *sslcert, *sslkey;
    const char *path; /* SQLite's */
};

/* ERR_CONFIG where it is none. The error says which part is wrong and never quotes one: it could be a password. */
int url_parse(struct url *url, const char *text, struct arena *arena, struct err *err);

#endif
