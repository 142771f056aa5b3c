#include <string.h>

#include "base/zone.h"
#include "config/reader.h"

#define AT(member) offsetof(struct config_system, member)

enum { SERVERS = 1 << DATABASE_POSTGRESQL | 1 << DATABASE_MYSQL, FILES = 1 << DATABASE_SQLITE };

static const struct choice types[] = {{"postgresql", DATABASE_POSTGRESQL},
                                      {"mysql", DATABASE_MYSQL},
                                      {"mariadb", DATABASE_MYSQL},
                                      {"sqlite", DATABASE_SQLITE},
                                      {NULL, 0}};

static const char *const type_names[] = {
    [DATABASE_POSTGRESQL] = "postgresql", [DATABASE_MYSQL] = "mysql", [DATABASE_SQLITE] = "sqlite"};

/* libpq's, but for prefer-standby. */
static const char *const session_attrs[] = {"any", "read-write", "read-only", "primary", "standby", NULL};

static const char *const postgresql_modes[] = {"disable",   "allow",       "prefer", "require",
                                               "verify-ca", "verify-full", NULL};
static const char *const mysql_modes[] = {"disabled",  "preferred",   "required",
                                          "verify-ca", "verify-full", NULL};

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static int check_session_attrs(struct reader *reader, const struct path *path, const struct config_system *system)
{
    if (!system->target_session_attrs || is_one_of(system->target_session_attrs, session_attrs))
        return 0;
    return reader_mistake_at(reader, path, "target_session_attrs",
                             "must be any, read-write, read-only, primary or standby");
}

static int check_sslmode(struct reader *reader, const struct path *path, const struct config_system *system)
{
    const char *const *modes = system->type == DATABASE_POSTGRESQL ? postgresql_modes : mysql_modes;
    if (!system->sslmode || system->type == DATABASE_SQLITE || is_one_of(system->sslmode, modes))
        return 0;
    return reader_mistake_at(reader, path, "sslmode", "must be %s",
                             system->type == DATABASE_POSTGRESQL
                                 ? "disable, allow, prefer, require, verify-ca or verify-full"
                                 : "disabled, preferred, required, verify-ca or verify-full");
}

static int check_timezone(struct reader *reader, const struct path *path, const struct config_system *system)
{
    struct zone *zone = NULL;
    struct err err = {0};
    if (zone_open(&zone, system->timezone, &err)) {
        if (err.code != ERR_CONFIG)
            return err_memory(reader->err);
        return reader_mistake_at(reader, path, "timezone", "is no time zone that can be read here%s%s",
                                 err.hint[0] ? "; " : "", err.hint);
    }
    zone_close(zone);
    return 0;
}

/* Several are divided by commas. A socket is a path, or begins with @. */
static bool is_address(const char *host)
{
    for (; *host; host += strcspn(host, ",") + (host[strcspn(host, ",")] == ','))
        if (!strchr("/@", *host) && strcspn(host, "@=?/ \t\n") < strcspn(host, ","))
            return false;
    return true;
}

/* What belongs into keys of its own would stand in logs and errors. */
static int check_address(struct reader *reader, const struct path *path, const struct config_system *system)
{
    int result = 0;
    if (system->host && !is_address(system->host))
        result = reader_mistake_at(reader, path, "host", "is no name or address; whatever else a URL holds has keys of its own");
    if (system->database && (strstr(system->database, "://") || strstr(system->database, "password=")))
        result = reader_mistake_at(reader, path, "database", "is no name; whatever else a URL holds has keys of its own");
    return result;
}

static int check_databases(struct reader *reader, const struct path *path, json_t *object,
                           const struct config_system *system)
{
    int result = 0;
    for (const struct key *key = section_system.keys; key->name; key++) {
        if (key->databases && !(key->databases & 1U << system->type) && reader_has(object, key->name))
            result = reader_mistake_at(reader, path, key->name, "does not go with the type %s",
                                       type_names[system->type]);
    }
    return result;
}

static int need(struct reader *reader, const struct path *path, json_t *object, const char *name)
{
    return reader_has(object, name) ? 0 : reader_mistake_at(reader, path, name, "is missing");
}

static int check_system(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    const struct config_system *system = target;
    int result = reader_check_name(reader, path, path->name);
    if (check_timezone(reader, path, system))
        result = -1;
    if (!reader_told((int)system->type))
        return -1;
    if (check_databases(reader, path, object, system) || check_sslmode(reader, path, system))
        result = -1;
    if (check_address(reader, path, system))
        result = -1;
    if (system->type == DATABASE_SQLITE)
        return need(reader, path, object, "path") ? -1 : result;
    if (check_session_attrs(reader, path, system))
        result = -1;
    if (need(reader, path, object, "database"))
        result = -1;
    if (need(reader, path, object, "username"))
        result = -1;
    if (reader_has(object, "sslcert") != reader_has(object, "sslkey"))
        result = reader_mistake_at(reader, path, reader_has(object, "sslcert") ? "sslkey" : "sslcert",
                                   "is missing");
    return result;
}

static const struct key system_keys[] = {
    {.name = "type",
     .type = KEY_CHOICE,
     .required = true,
     .choices = types,
     .at = AT(type),
     .help = "the database"},
    {.name = "host",
     .type = KEY_TEXT,
     .at = AT(host),
     .databases = SERVERS,
     .shown = "a local socket",
     .help = "a name, an address or a socket's path; PostgreSQL also takes several, divided by commas"},
    {.name = "port",
     .type = KEY_UNSIGNED,
     .min = 1,
     .max = 65535,
     .at = AT(port),
     .databases = SERVERS,
     .shown = "the database's own",
     .help = "the server's port"},
    {.name = "target_session_attrs",
     .type = KEY_TEXT,
     .at = AT(target_session_attrs),
     .databases = 1 << DATABASE_POSTGRESQL,
     .shown = "`primary` of several hosts, `any` of one",
     .help = "which server will do: `any`, `read-write`, `read-only`, `primary`, `standby`"},
    {.name = "database",
     .type = KEY_TEXT,
     .at = AT(database),
     .databases = SERVERS,
     .help = "the database's name; required"},
    {.name = "username",
     .type = KEY_TEXT,
     .at = AT(username),
     .databases = SERVERS,
     .help = "the role; required"},
    {.name = "password",
     .type = KEY_SECRET,
     .secret = true,
     .at = AT(password),
     .databases = SERVERS,
     .shown = "none",
     .help = "as `${NAME}` or `${file:PATH}`, so that it does not stand in the document"},
    {.name = "sslmode",
     .type = KEY_TEXT,
     .at = AT(sslmode),
     .databases = SERVERS,
     .shown = "`verify-full`, but a local server is taken as it comes",
     .help = "PostgreSQL: `disable`, `allow`, `prefer`, `require`, `verify-ca`, `verify-full`; MySQL: "
             "`disabled`, "
             "`preferred`, `required`, `verify-ca`, `verify-full`"},
    {.name = "sslrootcert",
     .type = KEY_TEXT,
     .at = AT(sslrootcert),
     .databases = SERVERS,
     .shown = "the system's bundle",
     .help = "path of the certificates of trusted authorities, PEM"},
    {.name = "sslcert",
     .type = KEY_TEXT,
     .at = AT(sslcert),
     .databases = SERVERS,
     .shown = "none",
     .help = "path of our own certificate, PEM"},
    {.name = "sslkey",
     .type = KEY_TEXT,
     .at = AT(sslkey),
     .databases = SERVERS,
     .shown = "none",
     .help = "path of its private key, PEM"},
    {.name = "path", .type = KEY_TEXT, .at = AT(path), .databases = FILES, .help = "the file; required"},
    {.name = "timezone",
     .type = KEY_TEXT,
     .at = AT(timezone),
     .told_at = AT(timezone_written),
     .def = "\"UTC\"",
     .help = "how datetimes without a zone are read: `Europe/Oslo`, `UTC`, `+02:00`"},
    {.name = "pool_size",
     .type = KEY_UNSIGNED,
     .min = 1,
     .max = 65536,
     .at = AT(pool_size),
     .def = "10",
     .help = "connections at most"},
    {.name = "pool_timeout",
     .type = KEY_NUMBER,
     .min = 0,
     .max = 1e9,
     .at = AT(pool_timeout),
     .def = "30",
     .help = "seconds to wait for a connection"},
    {.name = "pool_recycle",
     .type = KEY_NUMBER,
     .min = 0,
     .max = 1e9,
     .at = AT(pool_recycle),
     .def = "1800",
     .help = "seconds after which a connection is not used again"},
    {.name = "pool_max_overflow", .type = KEY_IGNORED, .help = "`pool_size` is the limit"},
    {.name = NULL},
};
const struct section section_system = {.title = "systems.NAME",
                                       .keys = system_keys,
                                       .size = sizeof(struct config_system),
                                       .check = check_system};
