/* Failures of what sinks do with PostgreSQL: what they mean, and which row and column they are about. Messages may
 * quote a value; that part is taken out. */
#include "db/postgres.h"

#include <stdlib.h>
#include <string.h>

struct verdict {
    const char *state; /* beginning of a SQLSTATE */
    enum err_code code;
    const char *hint;
};

/* The first that fits. PostgreSQL's manual, appendix A. */
static const struct verdict verdicts[] = {
    {"08P01", ERR_CHANGED, NULL}, /* fewer bytes than the type takes: it is another type now */
    {"08", ERR_LOST, NULL},
    {"22P03", ERR_CHANGED, NULL}, /* more bytes than the type takes */
    {"22", ERR_VALUE, NULL},
    {"23", ERR_VALUE, NULL},
    {"25006", ERR_AWAY, "the server is read only now; a standby cannot be written to"},
    {"25P03", ERR_LOST, NULL},
    {"28", ERR_DATABASE, "check username and password of the system, and pg_hba.conf on the server"},
    {"3D", ERR_DATABASE, "check the database's name in the system"},
    {"3F000", ERR_CHANGED, "look for the schema's name in the configuration"},
    {"40", ERR_RACE, NULL},
    {"42501", ERR_DATABASE, "grant the role of this system SELECT, INSERT, UPDATE and DELETE on the sink's table,"
                            " and USAGE on its schema and on the sequences of its columns"},
    {"42601", ERR_VALUE, NULL}, /* our statements are well formed: what is not is a tsvector, a jsonpath, an ltree ... */
    {"42602", ERR_VALUE, NULL},
    {"42P01", ERR_CHANGED, "look for the table's name and schema in the configuration"},
    {"42703", ERR_CHANGED, "look for the column's name in the configuration"},
    {"42804", ERR_CHANGED, NULL},
    {"42883", ERR_CHANGED, NULL},
    {"0A000", ERR_CHANGED, NULL},
    {"53", ERR_AWAY, NULL},
    {"54000", ERR_VALUE, NULL}, /* too large for an index, for one */
    {"55", ERR_BUSY, NULL},
    {"57P", ERR_LOST, NULL},
    {"57", ERR_AWAY, NULL},
};

static const struct verdict *find_verdict(const char *state)
{
    static const struct verdict other = {"", ERR_DATABASE, NULL};
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
        if (strncmp(state, verdicts[i].state, strlen(verdicts[i].state)) == 0)
            return &verdicts[i];
    return &other;
}

/* Takes out of "value "123" is out of range" what is quoted. Other languages quote otherwise: from such a mark
 * on, nothing is kept. */
static void without_values(const char *message, struct buf *out)
{
    const char *first = strchr(message, '"'), *last = strrchr(message, '"');
    size_t len = strcspn(message, "\xC2\xE2'"); /* where « » and “ ” begin, and ' */
    if (!first || (size_t)(first - message) > len) {
        buf_put(out, message, len);
    } else {
        size_t before = (size_t)(first - message);
        if (before && message[before - 1] == ' ')
            before--;
        buf_put(out, message, before);
        buf_put(out, last + 1, strcspn(last + 1, "\xC2\xE2'"));
    }
    while (out->len && strchr(": ", out->data[out->len - 1]))
        out->len--;
}

/* The context of a COPY: "COPY customers, line 5, column name: ..." in the server's language. In binary form a line
 * is a row, and in text form, too, since we escape line ends. */
static void read_context(const char *context, const struct relation *relation, struct fault *fault)
{
    if (!context || strncmp(context, "COPY ", 5) != 0)
        return;
    /* The table's name comes first, and may hold anything; its quoted form ends what the title begins. */
    const char *name = strrchr(relation->title, '.');
    name = name ? name + 1 : relation->title;
    const char *at = strncmp(context + 5, name, strlen(name)) == 0 ? context + 5 + strlen(name) : context + 5;
    at += strcspn(at, "0123456789\n:");
    if (*at < '0' || *at > '9')
        return;
    char *end;
    unsigned long line = strtoul(at, &end, 10);
    fault->row = line ? line - 1 : SIZE_MAX;
    if (*end != ',')
        return;
    end++;
    end += strspn(end, " ");
    end += strcspn(end, " \n"); /* "column", in the server's language */
    end += strspn(end, " ");
    for (size_t i = 0, best = 0; i < relation->column_count; i++) {
        size_t len = strlen(relation->columns[i].name);
        if (len > best && strncmp(end, relation->columns[i].name, len) == 0 && strchr(": \n", end[len])) {
            fault->column = i;
            best = len;
        }
    }
}

static void find_fault(const PGresult *result, const char *state, const struct relation *relation, struct fault *fault)
{
    fault->duplicate = strcmp(state, "23505") == 0;
    if (!relation)
        return;
    const char *index = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    fault->key = fault->duplicate && index && relation->key_index && strcmp(index, relation->key_index) == 0;
    read_context(PQresultErrorField(result, PG_DIAG_CONTEXT), relation, fault);
    const char *column = PQresultErrorField(result, PG_DIAG_COLUMN_NAME);
    for (size_t i = 0; column && i < relation->column_count; i++)
        if (strcmp(relation->columns[i].name, column) == 0)
            fault->column = i;
}

/* These messages quote the value. 22021 tells bytes of an encoding, class 23 names of constraints. */
static bool quotes_value(const char *state)
{
    return (strncmp(state, "22", 2) == 0 && strcmp(state, "22021") != 0) || strcmp(state, "42601") == 0 ||
           strcmp(state, "42602") == 0;
}

int postgres_write_error(struct conn *conn, const PGresult *result, const char *what, const struct relation *relation,
                         struct fault *fault, struct err *err)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (!state)
        return postgres_error(conn->pg, NULL, what, err);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const struct verdict *verdict = find_verdict(state);
    struct buf text = {0};
    if (fault)
        find_fault(result, state, relation, fault);
    if (quotes_value(state))
        without_values(message, &text);
    else
        buf_puts(&text, message);
    const char *told = buf_text(&text);
    err_set(err, verdict->code, "%s: %s (SQLSTATE %s)", what, told ? told : "", state);
    buf_free(&text);
    return verdict->hint ? err_hint(err, "%s", verdict->hint) : -1;
}
