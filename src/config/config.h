/* The configuration: one JSON document in, one const struct config out. Everything is checked here, all
 * mistakes are reported at once, and nobody else reads JSON configuration or the environment for it.
 * Strings are never NULL unless said so; lists end with their count; times are in seconds. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

struct config_list {
    const char **items;
    size_t count;
};

/* A scalar as the user wrote it, to be compared with a column or bound to a statement. */
enum config_value_type { CONFIG_ABSENT, CONFIG_NULL, CONFIG_BOOL, CONFIG_INTEGER, CONFIG_REAL, CONFIG_STRING };
struct config_value {
    enum config_value_type type;
    bool boolean;
    const char *text; /* the string, or the number's digits ("12", "1.5"); NULL for the other types */
};

struct config_pair {
    const char *from, *to;
};

struct config_user {
    const char *username, *password;
};

enum config_authentication { AUTH_NONE, AUTH_BASIC, AUTH_BEARER };

struct config_listen {
    const char *address;         /* "127.0.0.1"; $LISTEN_ADDRESS wins */
    unsigned port;               /* 5000; 0 takes any free port; $PORT wins */
    const char *tls_certificate; /* paths of PEM files, both or neither; NULL without TLS */
    const char *tls_key;
    bool authentication_written;
    enum config_authentication authentication;
    struct config_user *users; /* basic */
    size_t user_count;
    struct config_list tokens; /* bearer */
    unsigned max_connections;
    size_t max_body_bytes, max_buffered_bytes, max_entity_bytes;
    double request_timeout, send_timeout, head_timeout, idle_timeout, body_timeout; /* seconds */
    unsigned min_body_rate; /* bytes a second */
    const char *spool_directory;
};

enum config_database { DATABASE_POSTGRESQL, DATABASE_MYSQL, DATABASE_SQLITE };

struct config_system {
    const char *name;
    enum config_database type; /* "mariadb" is taken as "mysql" */
    const char *host;          /* NULL: the library's default (a local socket); may be a socket's path */
    unsigned port;             /* 0: the library's default */
    const char *database, *username, *password; /* NULL when absent */
    const char *sslmode;       /* NULL when absent: verified in full unless the host is this machine */
    const char *sslrootcert, *sslcert, *sslkey; /* NULL when absent */
    const char *target_session_attrs; /* NULL when absent: the primary of several hosts, any server of one */
    const char *timezone;      /* "UTC"; how zone-less datetimes are read */
    bool timezone_written;
    unsigned pool_size;
    double pool_timeout, pool_recycle;
    const char *path; /* SQLite's file */
};

/* late_commits; the horizon's rules. */
enum config_late_mode { LATE_AUTO, LATE_SETTLE, LATE_IGNORE };
struct config_late {
    enum config_late_mode mode;
    double seconds; /* LATE_AUTO: the margin, 1 unless written; LATE_SETTLE: the delay */
    bool margin_written;
};

enum config_unit { UNIT_NONE, UNIT_S, UNIT_MS, UNIT_US };

enum config_parameter_type { PARAMETER_STRING, PARAMETER_INTEGER, PARAMETER_DECIMAL, PARAMETER_BOOLEAN,
                             PARAMETER_DATETIME, PARAMETER_DATE };
struct config_parameter {
    const char *name;
    enum config_parameter_type type; /* string, integer, decimal, boolean, datetime, date */
    bool has_default;
    struct config_value def;
    bool required;
};

struct config_deleted {
    const char *column; /* NULL: no soft deletes */
    struct config_value *values; /* none: the column is not NULL */
    size_t value_count;
};

struct config_source {
    const char *name;
    const struct config_system *system;
    const char *schema;        /* NULL: the connection's own */
    const char *table;         /* a table or a query, never both; the other is NULL */
    const char *query;         /* a list of lines is joined by line ends */
    const char *updated_query; /* NULL when absent */
    struct config_list primary_key; /* empty: from the catalogue */
    bool changelog;                 /* tracking: changes come from a log that triggers keep; updated_column is its own */
    const char *updated_column;     /* NULL: full reads only */
    enum config_unit updated_unit;
    struct config_deleted deleted;
    struct config_list whitelist, blacklist; /* whitelist empty: all columns */
    bool has_whitelist;
    struct config_pair *properties; /* column -> property */
    size_t property_count;
    bool preserve_null_values;
    const char *hash_property, *xmin_property; /* NULL when absent */
    struct config_late late_commits;
    bool late_commits_written;
    bool token_plain;
    bool is_chronological_full;
    unsigned fetch_size;
    struct config_parameter *parameters;
    size_t parameter_count;
};

enum config_lock { LOCK_NONE, LOCK_COLUMN, LOCK_XMIN, LOCK_HASH };

struct config_optimistic_lock {
    enum config_lock kind;
    const char *column;   /* LOCK_COLUMN */
    const char *property; /* that holds the version; NULL: the one that is written to the column */
    bool by_database;     /* maintained_by: the column is only compared */
    bool coarse;          /* a timestamp coarser than a millisecond will do */
    const struct config_source *source; /* LOCK_HASH */
};

enum config_conflict { CONFLICT_REJECT, CONFLICT_SKIP, CONFLICT_OVERWRITE };
enum config_deletes { DELETES_DELETE, DELETES_IGNORE, DELETES_MARK };

struct config_mark {
    const char *column;
    struct config_value value; /* unused when now */
    bool now;                  /* value is "now": the time */
    struct config_value live;  /* CONFIG_ABSENT: false for a boolean column, else NULL */
};

struct config_guard {
    bool off;
    size_t rows;
    double fraction;
};

enum config_column_type { COLUMN_STRING, COLUMN_INTEGER, COLUMN_DECIMAL, COLUMN_FLOAT, COLUMN_BINARY, COLUMN_DATETIME,
                          COLUMN_DATE, COLUMN_TIME, COLUMN_UUID, COLUMN_BOOLEAN };

/* Of schema_definition. */
struct config_column {
    const char *property, *name; /* never NULL: each is the other's default */
    enum config_column_type type;
    bool has_max, has_min;
    double max, min;
    unsigned precision, scale; /* 0: not written */
    bool allow_null, primary_key, index;
    struct config_value def;   /* CONFIG_ABSENT: none */
};

struct config_sink {
    const char *name;
    const struct config_system *system;
    const char *schema; /* NULL: the connection's own */
    const char *table;
    struct config_list primary_key; /* empty: from the catalogue */
    struct config_optimistic_lock lock;
    enum config_conflict on_conflict;
    bool missing_null;         /* missing_properties, with its default settled */
    bool missing_written;
    bool reject_unknown;       /* unknown_properties */
    struct config_pair *properties; /* property -> column */
    size_t property_count;
    bool strip_namespaces;
    enum config_deletes deletes;
    struct config_mark mark;   /* DELETES_MARK */
    const char *scope_column;  /* NULL: no scope */
    struct config_value scope_value;
    bool full_sync_deletes;    /* with its default settled */
    struct config_guard delete_guard;
    struct config_list whitelist, blacklist; /* of columns */
    bool has_whitelist;
    const char *timestamp;     /* a column; NULL: none */
    bool skip_identity_columns, remove_pk_char_trailing_spaces;
    struct config_column *columns; /* schema_definition */
    size_t column_count;
    bool create_table_if_missing;
};

struct config {
    struct config_listen listen;
    enum log_level log_level;
    enum log_format log_format;
    struct config_system *systems;
    size_t system_count;
    struct config_source *sources;
    size_t source_count;
    struct config_sink *sinks;
    size_t sink_count;
    const char *origin;          /* where it came from: a path, or "$SESAM_SQL_CONFIG" */
    struct config_list ignored;  /* paths of accepted keys that make no difference here */
    const char *shown;           /* all of it as JSON, without secrets; see shown.h */
};

/* Reads the document from the first of: file (may be NULL), $SESAM_SQL_CONFIG, $SESAM_SQL_CONFIG_FILE.
 * On failure every mistake stands in mistakes, one a line, each beginning with its path
 * ("sources.customers.tabel: unknown key, did you mean 'table'?"), and err sums up. No value of a string
 * is ever quoted in a mistake, since it may hold a secret. */
int config_read(struct config **config, const char *file, struct buf *mistakes, struct err *err);

/* Is there a document to be read? */
bool config_is_given(const char *file);

/* The same from text, for tests and fuzzing. origin is what the mistakes are said to be in. */
int config_parse(struct config **config, const char *text, size_t len, const char *origin,
                 struct buf *mistakes, struct err *err);

void config_free(struct config *config);

const struct config_system *config_system(const struct config *config, const char *name);
const struct config_source *config_source(const struct config *config, const char *name);
const struct config_sink *config_sink(const struct config *config, const char *name);

/* Is this address or host this machine's own (127.0.0.0/8, ::1, localhost, a socket's path, NULL)? */
bool config_is_loopback(const char *host);

/* The column of a change log that tells the order of the changes. */
#define CONFIG_CHANGE "sesam_change"

/* The documentation's table of all keys, as Markdown, made from the table the parser uses. */
int config_reference(struct buf *out);

#endif
