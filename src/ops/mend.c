#include "ops/mend.h"

#include <string.h>

#include "pull/changelog.h"

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

bool mend_reading(struct buf *out, const struct driver *driver, struct conn *conn, const char *schema,
                  const char *table)
{
    struct err ignored = {0};
    size_t before = out->len;
    return driver->reading && driver->reading(conn, schema, table, out, &ignored) == 0 && out->len > before &&
           buf_text(out);
}

/* The statements that make a log, or mend the one that is there; and the rights on it where it is whole. */
static void put_log(struct buf *out, const struct driver *driver, struct conn *conn, const struct config_source *config,
                    struct arena *arena)
{
    const struct subject subject = {.schema = config->schema,
                                    .table = config->table,
                                    .key = config->primary_key.items,
                                    .key_count = config->primary_key.count};
    struct relation *table = NULL;
    struct change_log log = {.exists = false};
    struct err ignored = {0};
    if (driver->describe(conn, &subject, arena, &table, &ignored) ||
        changelog_find(&log, driver, conn, table, arena, &ignored))
        return;
    if (log.exists) {
        mend_reading(out, driver, conn, log.schema, log.name);
        mend_reading(out, driver, conn, log.schema, CHANGE_LOG_LIST);
    }
    size_t before = out->len;
    if ((!log.exists || log.fault) && driver->log_sql(conn, table, &log, out, &ignored))
        buf_rewind(out, before);
}

void mend_source(FILE *out, const struct driver *driver, struct conn *conn, const struct config_source *config,
                 bool changed)
{
    struct buf sql = {0};
    struct arena *arena = arena_new();
    bool reads = !config->table || !mend_reading(&sql, driver, conn, config->schema, config->table);
    if (reads && arena && config->changelog)
        put_log(&sql, driver, conn, config, arena);
    if (sql.len && buf_text(&sql)) {
        fprintf(out, !reads && changed ? "  if it is there, mend with:\n" : "  mend with:\n");
        mend_show(out, sql.data);
    }
    arena_free(arena);
    buf_free(&sql);
}
