#include "ops/roles.h"

#include <string.h>

#include "db/change_log.h"
#include "db/db.h"

/* The words of sql/TYPE/roles.sql. Names are quoted; those of the second line are for comments, and those of the third
 * stand within a text. */
enum word {
    DATABASE, PATTERN, SCHEMA, TABLE, COLUMNS, LIST, LOG, ROLE, RIGHTS, HORIZON, STATE,
    SYSTEM, WHERE, NAME, TABLE_SAID, ROLE_SAID,
    ROLE_TEXT, DATABASE_TEXT, HOST_TEXT, PORT_TEXT,
    WORDS
};

static const char *const names[WORDS] = {
    [DATABASE] = "database",     [PATTERN] = "pattern",     [SCHEMA] = "schema",
    [TABLE] = "table",           [LIST] = "list",           [LOG] = "log",
    [ROLE] = "role",             [RIGHTS] = "rights",       [HORIZON] = "horizon",
    [STATE] = "state",           [SYSTEM] = "system",       [WHERE] = "where",
    [NAME] = "name",             [TABLE_SAID] = "table_said", [ROLE_SAID] = "role_said",
    [ROLE_TEXT] = "role_text",   [DATABASE_TEXT] = "database_text", [HOST_TEXT] = "host_text",
    [PORT_TEXT] = "port_text",   [COLUMNS] = "columns",
};

struct roles {
    const struct config *config;
    const struct driver *driver;
    const struct config_system *system; /* the one whose role is written */
    bool many;                          /* the systems are not all in one database */
    struct change_log_word words[WORDS];
    struct buf out;
    struct err *err;
};

static const char no_name[] = "";

/* words */

static struct buf *begin(struct roles *roles, enum word word)
{
    buf_reset(&roles->words[word].text);
    return &roles->words[word].text;
}

static void put_name(struct roles *roles, enum word word, const char *name)
{
    roles->driver->quote(NULL, begin(roles, word), name);
}

/* For a comment, which a line end would end. */
static void put_said(struct buf *out, const char *text)
{
    for (; *text; text++)
        buf_putc(out, (unsigned char)*text < ' ' || *text == 0x7F ? '?' : *text);
}

/* A name that stands within quotes of its own kind and another's. */
static void put_doubled(struct buf *out, const char *text, const char *doubled)
{
    for (; *text; text++) {
        if (strchr(doubled, *text))
            buf_putc(out, *text);
        buf_putc(out, *text);
    }
}

/* An argument of psql's \connect, or what stands for the one before. */
static void put_argument(struct roles *roles, enum word word, const char *text)
{
    struct buf *out = begin(roles, word);
    buf_putc(out, text ? '\'' : '-');
    put_doubled(out, text ? text : "", "'\\");
    buf_puts(out, text ? "'" : "");
}

static void put_table(struct roles *roles, enum word word, const char *schema, const char *table)
{
    put_name(roles, word, schema);
    buf_putc(&roles->words[word].text, '.');
    roles->driver->quote(NULL, &roles->words[word].text, table);
}

/* Of a database in a right on all its tables: there, % and _ would stand for others. */
static void put_pattern(struct roles *roles, const char *schema)
{
    struct buf escaped = {0};
    for (const char *at = schema; *at; at++) {
        if (strchr("%_\\", *at))
            buf_putc(&escaped, '\\');
        buf_putc(&escaped, *at);
    }
    put_name(roles, PATTERN, buf_text(&escaped) ? escaped.data : no_name);
    buf_free(&escaped);
}

static void put_where(struct roles *roles)
{
    const struct config_system *system = roles->system;
    struct buf *out = begin(roles, WHERE);
    if (!system->database) {
        put_said(out, system->path);
        return;
    }
    buf_puts(out, "database ");
    put_said(out, system->database);
    buf_puts(out, " on ");
    put_said(out, system->host ? system->host : "this machine");
    if (system->port)
        buf_printf(out, ":%u", system->port);
}

static void put_system(struct roles *roles)
{
    const struct config_system *system = roles->system;
    const char *role = system->username ? system->username : no_name;
    const char *database = system->database ? system->database : no_name;
    char port[16];
    snprintf(port, sizeof port, "%u", system->port);
    put_name(roles, ROLE, role);
    put_name(roles, DATABASE, database);
    put_said(begin(roles, SYSTEM), system->name);
    put_where(roles);
    if (buf_text(&roles->words[ROLE].text)) {
        put_said(begin(roles, ROLE_SAID), roles->words[ROLE].text.data);
        put_doubled(begin(roles, ROLE_TEXT), roles->words[ROLE].text.data, "'");
    }
    put_argument(roles, DATABASE_TEXT, database);
    put_argument(roles, HOST_TEXT, system->host);
    put_argument(roles, PORT_TEXT, system->port ? port : NULL);
}

/* sections */

/* What stands between "--- name" and the next such line; NULL: this database needs no such section. */
static const char *find_section(const char *text, const char *name, size_t *len)
{
    size_t name_len = strlen(name);
    for (const char *at = text; (at = strstr(at, "--- "));) {
        at += strlen("--- ");
        const char *line = at + strcspn(at, "\n");
        if (!*line || (size_t)(line - at) != name_len || memcmp(at, name, name_len) != 0)
            continue;
        const char *end = strstr(line, "\n--- ");
        *len = end ? (size_t)(end - line) : strlen(line + 1);
        return line + 1;
    }
    return NULL;
}

static int put_section(struct roles *roles, const char *name)
{
    struct buf pattern = {0};
    size_t len;
    const char *text = find_section(roles->driver->roles_sql, name, &len);
    if (!text)
        return 0;
    buf_put(&pattern, text, len);
    int failed = buf_text(&pattern) ? change_log_fill(&roles->out, pattern.data, roles->words, WORDS, roles->err)
                                    : err_memory(roles->err);
    buf_free(&pattern);
    return failed;
}

/* what the systems need */

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_database(const struct config_system *a, const struct config_system *b)
{
    return a->type == b->type && a->port == b->port && is_same(a->host, b->host) && is_same(a->database, b->database);
}

static const char *schema_of(const struct roles *roles, const char *schema)
{
    if (schema)
        return schema;
    if (roles->driver->default_schema)
        return roles->driver->default_schema;
    return roles->system->database ? roles->system->database : no_name;
}

static bool asks_for_horizon(const struct roles *roles, const struct config_source *source)
{
    if (source->late_commits.mode != LATE_AUTO)
        return false;
    return source->changelog ? !(roles->driver->features & FEATURE_EXACT_LOG) : source->updated_column != NULL;
}

static bool needs_horizon(const struct roles *roles, const struct config_system *system)
{
    for (size_t i = 0; i < roles->config->source_count; i++)
        if (roles->config->sources[i].system == system && asks_for_horizon(roles, &roles->config->sources[i]))
            return true;
    return false;
}

/* Whether an earlier system of this database had the horizon's routines made. */
static bool has_horizon(const struct roles *roles)
{
    for (const struct config_system *at = roles->config->systems; at < roles->system; at++)
        if (is_same_database(at, roles->system) && needs_horizon(roles, at))
            return true;
    return false;
}

static int put_horizon(struct roles *roles)
{
    if (!needs_horizon(roles, roles->system))
        return 0;
    return (!has_horizon(roles) && put_section(roles, "horizon")) || put_section(roles, "horizon_grant") ? -1 : 0;
}

/* schemas */

/* The schema of the nth table of the system: those of sources, then those of sinks; NULL for others. */
static const char *nth_schema(const struct roles *roles, size_t n)
{
    const struct config *config = roles->config;
    const struct config_source *source = n < config->source_count ? &config->sources[n] : NULL;
    if (source)
        return source->system == roles->system && source->table ? schema_of(roles, source->schema) : NULL;
    const struct config_sink *sink = &config->sinks[n - config->source_count];
    return sink->system == roles->system ? schema_of(roles, sink->schema) : NULL;
}

/* Puts sections for the schema of the nth table unless one of those before it, from first on, has the same. */
static int put_schema(struct roles *roles, size_t first, size_t n, const char *const *sections, size_t count)
{
    const char *schema = nth_schema(roles, n);
    if (!schema)
        return 0;
    for (size_t i = first; i < n; i++)
        if (is_same(nth_schema(roles, i), schema))
            return 0;
    put_name(roles, SCHEMA, schema);
    put_pattern(roles, schema);
    for (size_t i = 0; i < count; i++)
        if (put_section(roles, sections[i]))
            return -1;
    return 0;
}

static int put_schemas(struct roles *roles)
{
    static const char *const sections[] = {"schema"};
    for (size_t n = 0; n < roles->config->source_count + roles->config->sink_count; n++)
        if (put_schema(roles, 0, n, sections, 1))
            return -1;
    return 0;
}

/* A server may let nobody into a database in which he has no right. */
static int put_home(struct roles *roles)
{
    const char *home = roles->system->database ? roles->system->database : no_name;
    bool has_right = needs_horizon(roles, roles->system);
    for (size_t n = 0; n < roles->config->source_count + roles->config->sink_count && !has_right; n++)
        has_right = is_same(nth_schema(roles, n), home);
    put_pattern(roles, home);
    return has_right ? 0 : put_section(roles, "home");
}

static int put_states(struct roles *roles)
{
    static const char *const sections[] = {"state", "state_grant"};
    size_t first = roles->config->source_count;
    for (size_t n = first; n < first + roles->config->sink_count; n++)
        if (put_schema(roles, first, n, sections, 2))
            return -1;
    return 0;
}

/* sources and sinks */

static bool has_name(const struct config_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], name) == 0)
            return true;
    return false;
}

static void put_column(struct roles *roles, const char *name)
{
    struct buf *out = &roles->words[COLUMNS].text;
    buf_puts(out, out->len ? ", " : " (");
    roles->driver->quote(NULL, out, name);
}

/* " (a, b)", where the configuration tells all columns that are read, and names no others: MySQL takes those for
 * missing. */
static void put_columns(struct roles *roles, const struct config_source *source)
{
    const char *updated = source->updated_column, *deleted = source->deleted.column;
    const struct config_list *key = &source->primary_key, *read = &source->whitelist;
    bool known = source->has_whitelist && key->count && !source->blacklist.count && !source->changelog &&
                 !source->xmin_property;
    begin(roles, COLUMNS);
    for (size_t i = 0; i < source->property_count; i++)
        known = known && (has_name(read, source->properties[i].from) || has_name(key, source->properties[i].from));
    if (!known)
        return;
    for (size_t i = 0; i < key->count; i++)
        put_column(roles, key->items[i]);
    if (updated && !has_name(key, updated))
        put_column(roles, updated);
    if (deleted && !has_name(key, deleted) && !is_same(deleted, updated))
        put_column(roles, deleted);
    for (size_t i = 0; i < read->count; i++)
        if (!has_name(key, read->items[i]) && !is_same(read->items[i], updated) && !is_same(read->items[i], deleted))
            put_column(roles, read->items[i]);
    buf_putc(&roles->words[COLUMNS].text, ')');
}

static int put_source(struct roles *roles, const struct config_source *source)
{
    char log[CHANGE_LOG_NAME];
    put_said(begin(roles, NAME), source->name);
    if (!source->table)
        return put_section(roles, "query");
    const char *schema = schema_of(roles, source->schema);
    put_table(roles, TABLE, schema, source->table);
    put_columns(roles, source);
    change_log_name(log, source->table);
    put_table(roles, LOG, schema, log);
    put_table(roles, LIST, schema, "sesam_sql_log");
    return put_section(roles, "source") || (source->changelog && put_section(roles, "log")) ? -1 : 0;
}

static int put_sink(struct roles *roles, const struct config_sink *sink)
{
    const char *schema = schema_of(roles, sink->schema);
    put_said(begin(roles, NAME), sink->name);
    put_name(roles, SCHEMA, schema);
    put_table(roles, TABLE, schema, sink->table);
    if (buf_text(&roles->words[TABLE].text))
        put_said(begin(roles, TABLE_SAID), roles->words[TABLE].text.data);
    buf_puts(begin(roles, RIGHTS), "SELECT, INSERT, UPDATE");
    buf_puts(&roles->words[RIGHTS].text, sink->deletes == DELETES_DELETE ? ", DELETE" : "");
    return put_section(roles, sink->create_table_if_missing ? "create" : "sink");
}

static int put_all(struct roles *roles)
{
    const struct config *config = roles->config;
    put_system(roles);
    if ((roles->many && put_section(roles, "connect")) || put_section(roles, "system") || put_home(roles) ||
        put_schemas(roles))
        return -1;
    for (size_t i = 0; i < config->source_count; i++)
        if (config->sources[i].system == roles->system && put_source(roles, &config->sources[i]))
            return -1;
    if (put_horizon(roles))
        return -1;
    for (size_t i = 0; i < config->sink_count; i++)
        if (config->sinks[i].system == roles->system && put_sink(roles, &config->sinks[i]))
            return -1;
    return put_states(roles);
}

static int put_systems(struct roles *roles, enum config_database type)
{
    const struct config_system *first = NULL, *end = roles->config->systems + roles->config->system_count;
    for (const struct config_system *at = roles->config->systems; at < end; at++) {
        if (at->type != type)
            continue;
        first = first ? first : at;
        roles->many = roles->many || !is_same_database(first, at);
    }
    if (!first)
        return err_set(roles->err, ERR_CONFIG, "the configuration has no system of this type");
    buf_puts(begin(roles, HORIZON), roles->driver->horizon_sql ? roles->driver->horizon_sql : "");
    buf_puts(begin(roles, STATE), roles->driver->state_sql);
    int failed = put_section(roles, "head");
    for (roles->system = first; !failed && roles->system < end; roles->system++)
        failed = roles->system->type == type ? put_all(roles) : 0;
    return failed || put_section(roles, "end") ? -1 : 0;
}

/* printing */

/* An example of what a configuration may say, in which each role does one thing. */
static int make_example(struct config **config, const struct driver *driver, struct err *err)
{
    struct buf mistakes = {0};
    size_t len;
    const char *text = find_section(driver->roles_sql, "example", &len);
    int failed = config_parse(config, text ? text : "", text ? len : 0, "the example", &mistakes, err);
    buf_free(&mistakes);
    return failed;
}

static int write_out(struct roles *roles, FILE *out)
{
    const char *text = buf_text(&roles->out);
    if (!text)
        return err_memory(roles->err);
    if (fputs(text, out) < 0 || fflush(out))
        return err_set(roles->err, ERR_INTERNAL, "cannot write to standard output");
    return 0;
}

int roles_print(const struct config *config, enum config_database type, FILE *out, struct err *err)
{
    struct roles roles = {.config = config, .driver = db_driver(type, err), .err = err};
    struct config *made = NULL;
    for (size_t i = 0; i < WORDS; i++)
        roles.words[i].word = names[i];
    if (!roles.driver || (!config && make_example(&made, roles.driver, err)))
        return -1;
    if (made)
        roles.config = made;
    int failed = put_systems(&roles, type) || write_out(&roles, out) ? -1 : 0;
    change_log_free(roles.words, WORDS);
    buf_free(&roles.out);
    config_free(made);
    return failed;
}
