#include "ops/mend.h"

#include <string.h>

enum { NAME_MOST = 40 }; /* of the table's in the index's: 63 bytes are the least that a database takes */

/* The beginning of a name, cut at a whole character. */
static int cut(const char *name)
{
    size_t len = strlen(name), most = len < NAME_MOST ? len : NAME_MOST;
    while (most < len && most > 0 && ((unsigned char)name[most] & 0xC0) == 0x80)
        most--;
    return (int)most;
}

void mend_index(struct buf *out, const struct driver *driver, struct conn *conn, const struct relation *relation,
                const char *table, const char *updated)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s_sesam_sql", cut(table), table);
    buf_puts(out, "CREATE INDEX ");
    driver->quote(conn, out, name);
    buf_printf(out, " ON %s (", relation->from);
    driver->quote(conn, out, updated);
    for (size_t i = 0; i < relation->key_count; i++) {
        const char *part = relation->columns[relation->key[i]].name;
        if (strcmp(part, updated) == 0)
            continue;
        buf_puts(out, ", ");
        driver->quote(conn, out, part);
    }
    buf_puts(out, ");");
}

void mend_show(FILE *out, const char *sql)
{
    for (size_t len; *sql; sql += len + (sql[len] == '\n')) {
        len = strcspn(sql, "\n");
        fprintf(out, "    %.*s\n", (int)len, sql);
    }
}
