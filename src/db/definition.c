#include "db/definition.h"

#include <stdio.h>
#include <string.h>

#include "base/iso.h"
#include "base/zone.h"

/* bounds */

static bool within(const struct config_column *column, double least, double most)
{
    double low = column->has_min ? column->min : column->max > 0 ? -column->max : column->max;
    return column->max <= most && low >= least;
}

/* Who does not tell the greatest gets the most. As doubles 2^63 - 1 and 2^63 are the same. */
unsigned definition_bits(const struct config_column *column)
{
    if (!column->has_max)
        return column->has_min && column->min < -9223372036854775808.0 ? 0 : 64;
    if (within(column, -32768, 32767))
        return 16;
    if (within(column, -2147483648.0, 2147483647.0))
        return 32;
    return within(column, -9223372036854775808.0, 9223372036854775808.0) ? 64 : 0;
}

unsigned definition_digits(const struct config_column *column)
{
    double max = column->has_max ? column->max : 0, min = column->has_min ? -column->min : 0;
    unsigned digits = 1;
    for (double bound = 10; bound <= max || bound <= min; bound *= 10)
        digits++;
    return digits;
}

size_t definition_size(const struct config_column *column)
{
    return column->has_max && column->max >= 1 && column->max < 1e9 ? (size_t)column->max : 0;
}

/* defaults */

/* Sesam's own tag is no part of a value. */
static const char *without_tag(const char *text)
{
    bool tagged = text[0] == '~' && text[1];
    if (tagged && strchr("tuf", text[1]))
        return text + 2;
    return tagged && text[1] == '~' ? text + 1 : text;
}

/* Databases want a datetime in their own form, and in the zone they keep. */
static int put_datetime(const struct definition *definition, struct buf *out, const char *text, struct err *err)
{
    struct iso_time iso;
    struct zone *zone = NULL;
    char own[ISO_SIZE + 1];
    if (iso_parse(text, strlen(text), &iso))
        return definition->put_text(definition->conn, out, text, err);
    if (definition->timezone && strcmp(definition->timezone, "UTC") != 0 && iso.zoned &&
        zone_open(&zone, definition->timezone, err))
        return -1;
    size_t len = iso_datetime(own, zone ? zone_to_wall(zone, iso.time) : iso.time, iso.time % ISO_SECOND ? 6 : 0, "");
    zone_close(zone);
    own[len] = '\0';
    *strchr(own, 'T') = ' ';
    return definition->put_text(definition->conn, out, own, err);
}

static int put_value(const struct definition *definition, struct buf *out, const struct config_column *column,
                     struct err *err)
{
    const struct config_value *def = &column->def;
    if (def->type == CONFIG_NULL || def->type == CONFIG_BOOL) {
        buf_puts(out, def->type == CONFIG_NULL ? "NULL" : def->boolean ? "TRUE" : "FALSE");
        return 0;
    }
    if (column->type == COLUMN_BINARY) {
        err_set(err, ERR_DATABASE, "the default of column '%s' cannot be written: it is of bytes", column->name);
        return err_hint(err, "leave it out of the schema_definition of sink '%s'", definition->sink->name);
    }
    const char *text = without_tag(def->text);
    if (def->type == CONFIG_STRING && column->type == COLUMN_DATETIME)
        return put_datetime(definition, out, text, err);
    if (def->type == CONFIG_STRING || column->type == COLUMN_STRING)
        return definition->put_text(definition->conn, out, text, err);
    buf_puts(out, text);
    return 0;
}

static int put_default(const struct definition *definition, struct buf *out, const struct config_column *column,
                       struct err *err)
{
    if (column->def.type == CONFIG_ABSENT)
        return 0;
    /* In parentheses MySQL takes one for long texts, too, and nobody minds. */
    buf_puts(out, " DEFAULT (");
    int failed = put_value(definition, out, column, err);
    buf_putc(out, ')');
    return failed;
}

/* statements */

static void put_table(const struct definition *definition, struct buf *out)
{
    if (definition->sink->schema) {
        definition->quote(definition->conn, out, definition->sink->schema);
        buf_putc(out, '.');
    }
    definition->quote(definition->conn, out, definition->sink->table);
}

static void put_key(const struct definition *definition, struct buf *out)
{
    const char *link = ",\n    PRIMARY KEY (";
    for (size_t i = 0; i < definition->sink->column_count; i++) {
        const struct config_column *column = &definition->sink->columns[i];
        if (!column->primary_key)
            continue;
        buf_puts(out, link);
        definition->quote(definition->conn, out, column->name);
        link = ", ";
    }
    if (*link == ',' && link[1] == ' ')
        buf_putc(out, ')');
}

static bool has_index(const struct config_column *column)
{
    return column->index && !column->primary_key;
}

static int put_columns(const struct definition *definition, struct buf *out, struct err *err)
{
    const struct config_sink *sink = definition->sink;
    for (size_t i = 0; i < sink->column_count; i++) {
        const struct config_column *column = &sink->columns[i];
        buf_puts(out, i ? ",\n    " : "    ");
        definition->quote(definition->conn, out, column->name);
        buf_putc(out, ' ');
        definition->put_type(definition, out, column);
        buf_puts(out, column->allow_null && !column->primary_key ? "" : " NOT NULL");
        if (put_default(definition, out, column, err))
            return -1;
    }
    put_key(definition, out);
    for (size_t i = 0; definition->put_index && i < sink->column_count; i++)
        if (has_index(&sink->columns[i])) {
            buf_puts(out, ",\n    ");
            definition->put_index(definition, out, &sink->columns[i]);
        }
    return 0;
}

/* Names of indexes are those of the schema: the table's is in it. Too long ones would be cut by the server. */
static void put_statement(const struct definition *definition, struct buf *out, size_t i)
{
    const struct config_sink *sink = definition->sink;
    const struct config_column *column = &sink->columns[i];
    char name[64];
    if (snprintf(name, sizeof name, "%s_%s_sesam_sql", sink->table, column->name) >= (int)sizeof name) {
        int len = 30;
        while (len > 0 && ((unsigned char)sink->table[len] & 0xC0) == 0x80) /* a whole character */
            len--;
        snprintf(name, sizeof name, "%.*s_%zu_sesam_sql", len, sink->table, i + 1);
    }
    buf_puts(out, "CREATE INDEX IF NOT EXISTS ");
    definition->quote(definition->conn, out, name);
    buf_puts(out, " ON ");
    put_table(definition, out);
    buf_puts(out, " (");
    definition->quote(definition->conn, out, column->name);
    buf_puts(out, ");\n");
}

int definition_write(const struct definition *definition, struct buf *out, struct err *err)
{
    buf_puts(out, "CREATE TABLE IF NOT EXISTS ");
    put_table(definition, out);
    buf_puts(out, " (\n");
    if (put_columns(definition, out, err))
        return -1;
    buf_printf(out, "\n)%s;\n", definition->options ? definition->options : "");
    for (size_t i = 0; !definition->put_index && i < definition->sink->column_count; i++)
        if (has_index(&definition->sink->columns[i]))
            put_statement(definition, out, i);
    return buf_failed(out) ? err_memory(err) : 0;
}

int definition_refused(const struct config_sink *sink, const char *why, const char *sql, struct err *err)
{
    struct buf line = {0};
    err_set(err, ERR_DATABASE, "table '%s' is not there, and the role may not make it: %s", sink->table, why);
    for (; *sql; sql++) {
        char c = *sql == '\n' ? ' ' : *sql;
        if (c != ' ' || (line.len && line.data[line.len - 1] != ' '))
            buf_putc(&line, c);
    }
    if (!buf_text(&line))
        err_memory(err);
    else if (line.len < 400)
        err_hint(err, "let somebody who may run: %s", line.data);
    else /* a hint that ends in the middle of a statement is of no use */
        err_hint(err, "let somebody who may run what 'sesam-sql check' prints for sink '%s'; it begins with: %.200s",
                 sink->name, line.data);
    buf_free(&line);
    return -1;
}
