#include "db/mysql.h"

#include <errmsg.h>
#include <stdio.h>
#include <string.h>

/* The numbers of the two servers' manuals; where they share one, they mean the same by it. */
enum { READ_ONLY = 1792, OUT_OF_TIME = 1969 };

struct meaning {
    unsigned first, last;
    enum err_code code;
    const char *hint; /* NULL: the text says enough */
};

#define GRANTS "grant the role SELECT on the table (a sink: INSERT, UPDATE and DELETE, too), or name another schema"
#define LOGIN "check username, password and the host the role may come from"

static const struct meaning meanings[] = {
    {1020, 1020, ERR_RACE, NULL},  /* record has changed since last read */
    {1021, 1021, ERR_AWAY, "the server's disk is full"},
    {1037, 1038, ERR_AWAY, "the server is out of memory; see its sort_buffer_size"},
    {1040, 1040, ERR_AWAY, "the server has no free connection: raise its max_connections or lower pool_size"},
    {1041, 1041, ERR_AWAY, NULL},  /* out of resources */
    {1042, 1043, ERR_AWAY, NULL},  /* bad handshake */
    {1044, 1044, ERR_DATABASE, "grant the role rights on the database"},
    {1045, 1045, ERR_DATABASE, LOGIN},
    {1046, 1046, ERR_DATABASE, "write 'database' in the system, or 'schema' in the source"},
    {1048, 1048, ERR_VALUE, NULL}, /* column cannot be NULL */
    {1049, 1049, ERR_DATABASE, "check 'database' of the system"},
    {1051, 1051, ERR_CHANGED, NULL}, /* unknown table */
    {1053, 1053, ERR_LOST, NULL},    /* shutdown in progress */
    {1054, 1054, ERR_CHANGED, NULL}, /* unknown column */
    {1062, 1062, ERR_VALUE, NULL},   /* duplicate */
    {1077, 1080, ERR_LOST, NULL},    /* shutdown */
    {1109, 1109, ERR_CHANGED, NULL}, /* unknown table */
    {1114, 1114, ERR_AWAY, "a table of the server is full; is its disk, or tmp_table_size?"},
    {1129, 1129, ERR_AWAY, "the server blocks this host after failed connections: run FLUSH HOSTS on it"},
    {1130, 1130, ERR_DATABASE, LOGIN},
    {1135, 1135, ERR_AWAY, NULL}, /* cannot create a thread */
    {1142, 1143, ERR_DATABASE, GRANTS},
    {1146, 1146, ERR_CHANGED, NULL}, /* no such table */
    {1152, 1152, ERR_LOST, NULL},    /* aborted connection */
    {1153, 1153, ERR_VALUE, "raise the server's max_allowed_packet"},
    {1158, 1161, ERR_LOST, NULL},    /* network */
    {1169, 1169, ERR_VALUE, NULL},   /* duplicate */
    {1184, 1184, ERR_LOST, NULL},    /* aborted connection */
    {1203, 1203, ERR_AWAY, "the role has no free connection: raise its max_user_connections or lower pool_size"},
    {1205, 1205, ERR_BUSY, NULL}, /* lock wait */
    {1213, 1213, ERR_RACE, NULL},   /* deadlock */
    {1216, 1217, ERR_VALUE, NULL}, /* foreign key */
    {1226, 1226, ERR_AWAY, "the role has used up a limit of its account"},
    {1227, 1227, ERR_DATABASE, "grant the role the privilege that is named"},
    {1251, 1251, ERR_DATABASE, "the client library does not know the role's authentication method"},
    {1264, 1265, ERR_VALUE, NULL},   /* out of range, cut */
    {1290, 1290, ERR_AWAY, NULL},    /* --read-only */
    {1292, 1292, ERR_VALUE, NULL},   /* no value of the type */
    {1317, 1317, ERR_AWAY, NULL},    /* interrupted by KILL QUERY */
    {1356, 1356, ERR_CHANGED, NULL}, /* a view's tables are gone */
    {1364, 1364, ERR_VALUE, NULL},   /* no default */
    {1366, 1367, ERR_VALUE, NULL},   /* no value of the type */
    {1370, 1370, ERR_DATABASE, "grant the role EXECUTE on the routine"},
    {1406, 1406, ERR_VALUE, NULL},   /* too long */
    {1411, 1411, ERR_VALUE, NULL},   /* no value for a function */
    {1412, 1412, ERR_CHANGED, NULL}, /* table definition has changed */
    {1416, 1416, ERR_VALUE, NULL}, /* no geometry */
    {1451, 1452, ERR_VALUE, NULL}, /* foreign key */
    {1524, 1524, ERR_DATABASE, "the server does not have the role's authentication method"},
    {1526, 1526, ERR_VALUE, NULL}, /* no partition for the value */
    {1557, 1557, ERR_VALUE, NULL}, /* foreign key, duplicate */
    {1586, 1586, ERR_VALUE, NULL}, /* duplicate */
    {1615, 1615, ERR_CHANGED, NULL}, /* must be prepared again */
    {1644, 1644, ERR_VALUE, NULL}, /* SIGNAL: a trigger's own refusal */
    {1665, 1665, ERR_DATABASE, "a sink needs row based logging: set the server's binlog_format to ROW or MIXED"},
    {1690, 1690, ERR_VALUE, NULL}, /* a sum is out of range */
    {1698, 1698, ERR_DATABASE, LOGIN},
    {1792, 1792, ERR_DATABASE, "a source only reads: take what writes out of the query, its functions and views"},
    {1836, 1836, ERR_AWAY, NULL}, /* read-only mode */
    {1859, 1859, ERR_VALUE, NULL}, /* duplicate */
    {1927, 1927, ERR_LOST, NULL}, /* killed */
    {1969, 1969, ERR_AWAY, "the server's max_statement_time for the role is too short for this read"},
    {1977, 1977, ERR_VALUE, NULL}, /* no such letter in a character set */
    {CR_UNKNOWN_ERROR, CR_UNKNOWN_ERROR, ERR_LOST, NULL},
    {CR_SOCKET_CREATE_ERROR, CR_UNKNOWN_HOST, ERR_AWAY, "is the server running, and are host and port right?"},
    {CR_SERVER_GONE_ERROR, CR_SERVER_GONE_ERROR, ERR_LOST, NULL},
    {CR_OUT_OF_MEMORY, CR_OUT_OF_MEMORY, ERR_INTERNAL, NULL},
    {2011, 2013, ERR_LOST, NULL}, /* handshake, lost */
    {CR_NET_PACKET_TOO_LARGE, CR_NET_PACKET_TOO_LARGE, ERR_LOST, NULL},
    {CR_SSL_CONNECTION_ERROR, CR_SSL_CONNECTION_ERROR, ERR_DATABASE,
     "see 'sslmode' (disabled, preferred, required, verify-ca, verify-full) and 'sslrootcert' of the system; verify-full "
     "wants the name of 'host' in the certificate"},
    {CR_MALFORMED_PACKET, CR_MALFORMED_PACKET, ERR_LOST, NULL},
    {2055, 2055, ERR_LOST, NULL}, /* lost, with the system's reason */
    {2059, 2061, ERR_DATABASE, "the client library cannot use the role's authentication method"},
    {3024, 3024, ERR_AWAY, "the server's max_execution_time is too short for this read"},
    {3032, 3032, ERR_AWAY, NULL}, /* offline mode */
    {3140, 3140, ERR_VALUE, NULL}, /* no JSON */
    {3168, 3169, ERR_LOST, NULL}, /* killed */
    {3572, 3572, ERR_BUSY, NULL}, /* NOWAIT */
    {3819, 3819, ERR_VALUE, NULL}, /* MySQL: check */
    {4025, 4025, ERR_VALUE, NULL}, /* MariaDB: check */
    {4031, 4031, ERR_LOST, NULL}, /* idle for too long */
};

static const struct meaning *find(unsigned number)
{
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (number >= meanings[i].first && number <= meanings[i].last)
            return &meanings[i];
    return NULL;
}

bool mydb_is_loss(unsigned number)
{
    const struct meaning *meaning = find(number);
    bool from_library = number >= CR_MIN_ERROR && number <= CR_MAX_ERROR;
    return from_library || (meaning && meaning->code == ERR_LOST);
}

/* Messages of these name columns and constraints only. */
static bool tells_names(unsigned number)
{
    static const unsigned numbers[] = {1048, 1216, 1217, 1264, 1265, 1364, 1406, 1451, 1452, 3819, 4025};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (number == numbers[i])
            return true;
    return false;
}

/* Messages of these quote values of the row or of a parameter. */
static bool tells_values(unsigned number, const char *state)
{
    if (tells_names(number))
        return false;
    static const unsigned numbers[] = {1062, 1210, 1292, 1366, 1367, 1411, 1416, 1525, 1582, 1586, 1690,
                                       1761, 1762, 1977, 3140, 3141, 3156, 3854, 4079};
    if (!strncmp(state, "22", 2) || !strncmp(state, "23", 2))
        return true;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (number == numbers[i])
            return true;
    return false;
}

/* Behind the value that a message quotes stands the column or index, in quotes; what looks like it within the
 * value comes before. */
static const char *last_behind(const char *message, const char *words)
{
    const char *found = NULL;
    for (const char *at = message; (at = strstr(at, words)); at++)
        found = at + strlen(words);
    return found;
}

/* The last name of 'c' or `d`.`t`.`c`. */
static bool take_name(const char *at, char *name, size_t size)
{
    char quote = at ? *at : '\0';
    size_t len = 0;
    if (quote != '\'' && quote != '`')
        return false;
    for (at++; *at && len + 1 < size; at++) {
        if (at[0] != quote)
            name[len++] = *at;
        else if (at[1] == quote)
            name[len++] = *at++;
        else if (at[1] == '.' && at[2] == quote)
            at += 2, len = 0;
        else
            break;
    }
    name[len] = '\0';
    return *at == quote && len;
}

bool mydb_error_column(const char *message, char *name, size_t size)
{
    static const char *const behind[] = {" for column ", "Data too long for column ", "Data truncated for column "};
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++)
        if (take_name(last_behind(message, behind[i]), name, size))
            return true;
    if (strncmp(message, "Column ", 7) == 0 || strncmp(message, "Field ", 6) == 0)
        return take_name(strchr(message, '\''), name, size);
    return false;
}

bool mydb_is_duplicate(unsigned number)
{
    return number == 1062 || number == 1169 || number == 1557 || number == 1586 || number == 1859;
}

/* The server names it as "PRIMARY", or as "table.PRIMARY". */
bool mydb_is_key(const struct relation *relation, const char *message)
{
    char name[200];
    struct buf quoted = {0};
    bool same = false;
    if (!relation->key_index || !take_name(last_behind(message, " for key "), name, sizeof name))
        return false;
    for (const char *at = name; at && !same; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL) {
        buf_reset(&quoted);
        mydb_name(&quoted, at);
        const char *text = buf_text(&quoted);
        same = text && strcmp(text, relation->key_index) == 0;
    }
    buf_free(&quoted);
    return same;
}

/* What is known when the message itself must not be shown. */
static void explain(unsigned number, const char *state, const char *message, char *text, size_t size)
{
    char name[200];
    if (mydb_is_duplicate(number) && take_name(last_behind(message, " for key "), name, sizeof name))
        snprintf(text, size, "the unique index '%s' has the value already (error %u)", name, number);
    else if (mydb_error_column(message, name, sizeof name))
        snprintf(text, size, "the server could not use a value for column '%s' (error %u, SQLSTATE %s)", name, number,
                 state);
    else
        snprintf(text, size, "the server could not use a value (error %u, SQLSTATE %s)", number, state);
}

int mydb_fault(unsigned number, const char *state, const char *message, const char *what, struct err *err)
{
    const struct meaning *meaning = find(number);
    bool value = !meaning && (!strncmp(state, "22", 2) || !strncmp(state, "23", 2));
    char text[320];
    if (tells_values(number, state))
        explain(number, state, message, text, sizeof text);
    else
        snprintf(text, sizeof text, "%s (error %u)", message, number);
    err_set(err, meaning ? meaning->code : value ? ERR_VALUE : ERR_DATABASE, "%s: %s", what, text);
    if (meaning && meaning->hint)
        err_hint(err, "%s", meaning->hint);
    return -1;
}

static int failed(struct conn *conn, unsigned number, const char *state, const char *message,
                  const char *what, struct err *err)
{
    if (atomic_load(&conn->cancelled))
        return err_set(err, ERR_CANCELLED, "%s: called off", what);
    if (number == READ_ONLY && conn->writing)
        return err_set(err, ERR_AWAY, "%s: the server only reads (error %u)", what, number);
    if (number == OUT_OF_TIME && conn->limit)
        return err_set(err, ERR_BUSY, "%s: it took more than %u seconds (error %u)", what, conn->limit, number);
    return mydb_fault(number, state, message, what, err);
}

int mydb_failed(struct conn *conn, const char *what, struct err *err)
{
    return failed(conn, mysql_errno(conn->mysql), mysql_sqlstate(conn->mysql), mysql_error(conn->mysql), what,
                  err);
}

/* libmariadb leaves the error of a fetch with the connection. */
unsigned mydb_stmt_number(struct conn *conn, MYSQL_STMT *stmt)
{
    unsigned number = mysql_stmt_errno(stmt);
    return number ? number : mysql_errno(conn->mysql);
}

int mydb_stmt_failed(struct conn *conn, MYSQL_STMT *stmt, const char *what, struct err *err)
{
    if (!mysql_stmt_errno(stmt))
        return mydb_failed(conn, what, err);
    return failed(conn, mysql_stmt_errno(stmt), mysql_stmt_sqlstate(stmt), mysql_stmt_error(stmt), what, err);
}
