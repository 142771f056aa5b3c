/* Writes the documentation of all keys from the tables they are read by. */
#include <string.h>

#include "config/schema.h"

/* A pipe would end a cell of the table. */
static void put_cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            buf_putc(out, '\\');
        buf_putc(out, *text);
    }
}

static void put_choices(struct buf *out, const struct choice *choices)
{
    for (const struct choice *choice = choices; choice->word; choice++)
        buf_printf(out, "%s`%s`", choice > choices ? ", " : "", choice->word);
}

static void put_databases(struct buf *out, unsigned databases)
{
    static const char *const names[] = {
        [DATABASE_POSTGRESQL] = "PostgreSQL", [DATABASE_MYSQL] = "MySQL", [DATABASE_SQLITE] = "SQLite"};
    const char *between = " (";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!(databases & 1U << i))
            continue;
        buf_printf(out, "%s%s", between, names[i]);
        between = ", ";
    }
    if (databases)
        buf_puts(out, ")");
}

static void put_key(struct buf *out, const struct key *key)
{
    buf_printf(out, "| `%s` | %s | ", key->name, schema_type(key));
    if (key->required)
        buf_puts(out, "required");
    else if (key->shown)
        put_cell(out, key->shown);
    else if (key->def && strcmp(key->def, "{}") != 0)
        buf_printf(out, "`%s`", key->def);
    buf_puts(out, " | ");
    put_cell(out, key->help);
    if (key->choices) {
        buf_puts(out, ": ");
        put_choices(out, key->choices);
    }
    put_databases(out, key->databases);
    buf_puts(out, " |\n");
}

static void put_keys(struct buf *out, const struct section *section)
{
    buf_puts(out, "| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for (const struct key *key = section->keys; key->name; key++) {
        if (key->type != KEY_IGNORED && key->type != KEY_REFUSED)
            put_key(out, key);
    }
}

/* Sesam's own keys that somebody may look for. */
static void put_others(struct buf *out, const struct section *section, enum key_type type, const char *title)
{
    const char *between = title;
    for (const struct key *key = section->keys; key->name; key++) {
        if (key->type != type)
            continue;
        buf_printf(out, "%s`%s` (", between, key->name);
        put_cell(out, key->help);
        buf_puts(out, ")");
        between = ", ";
    }
    if (between != title)
        buf_puts(out, ".\n");
}

static void put_section(struct buf *out, const struct section *section)
{
    buf_printf(out, "## %s%s%s\n\n", *section->title ? "`" : "",
               *section->title ? section->title : "The document", *section->title ? "`" : "");
    if (section->help)
        buf_printf(out, "%s\n\n", section->help);
    put_keys(out, section);
    put_others(out, section, KEY_IGNORED, "\nAccepted, and without effect: ");
    put_others(out, section, KEY_REFUSED, "\nRefused: ");
    buf_puts(out, "\n");
    for (const struct key *key = section->keys; key->name; key++) {
        if (key->section)
            put_section(out, key->section);
    }
}

int config_reference(struct buf *out)
{
    put_section(out, &section_root);
    return buf_failed(out) ? -1 : 0;
}
