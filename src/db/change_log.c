#include "db/change_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const change_log_events[CHANGE_LOG_TRIGGERS] = {"insert", "update", "delete"};

/* FNV-1a: two long names with one beginning need only be told apart. */
static uint32_t hash_of(const char *text)
{
    uint32_t hash = 2166136261;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619;
    return hash;
}

void change_log_name(char name[CHANGE_LOG_NAME], const char *table)
{
    enum { HASH = 9 };
    if (snprintf(name, CHANGE_LOG_NAME, "sesam_sql_log_%s", table) < CHANGE_LOG_NAME)
        return;
    size_t len = CHANGE_LOG_NAME - 1 - HASH;
    while (len && (name[len] & 0xC0) == 0x80) /* never within a character */
        len--;
    snprintf(name + len, CHANGE_LOG_NAME - len, "_%08" PRIx32, hash_of(table));
}

void change_log_each(struct buf *out, const struct change_log_names *names, const char *form, const char *between)
{
    const struct relation *table = names->table;
    for (size_t i = 0; i < table->key_count; i++) {
        buf_puts(out, i ? between : "");
        for (const char *at = form; *at; at++) {
            if (*at == '%')
                names->driver->quote(names->conn, out, table->columns[table->key[i]].name);
            else
                buf_putc(out, *at);
        }
    }
}

static struct buf *find_word(struct change_log_word *words, size_t count, const char *word, size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(words[i].word) == len && memcmp(words[i].word, word, len) == 0)
            return &words[i].text;
    return NULL;
}

int change_log_fill(struct buf *out, const char *pattern, struct change_log_word *words, size_t count, struct err *err)
{
    for (const char *brace; (brace = strchr(pattern, '{')); ) {
        const char *end = strchr(brace, '}');
        struct buf *text = end ? find_word(words, count, brace + 1, (size_t)(end - brace - 1)) : NULL;
        if (!text)
            return err_set(err, ERR_INTERNAL, "a statement has a gap that nothing fills: %.20s", brace);
        if (buf_failed(text))
            return err_memory(err);
        buf_put(out, pattern, (size_t)(brace - pattern));
        buf_put(out, text->data, text->len);
        pattern = end + 1;
    }
    buf_puts(out, pattern);
    return buf_failed(out) ? err_memory(err) : 0;
}

void change_log_free(struct change_log_word *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_free(&words[i].text);
}

void change_log_title(struct buf *out, const struct relation *table)
{
    for (const char *at = table->title; *at; at++)
        buf_putc(out, (unsigned char)*at < ' ' ? '?' : *at);
}

void change_log_missed(struct buf *out, const struct change_log_names *names, const struct change_log *log)
{
    struct buf first = {0};
    names->driver->quote(names->conn, &first, names->table->columns[names->table->key[0]].name);
    const char *name = buf_text(&first);
    buf_printf(out,
               "SELECT (SELECT count(*) FROM %s AS t LEFT JOIN %s AS l ON %s WHERE l.%s IS NULL"
               " OR l." CHANGE_LOG_GONE " IS NOT NULL),"
               " (SELECT count(*) FROM %s AS l LEFT JOIN %s AS t ON %s WHERE t.%s IS NULL"
               " AND l." CHANGE_LOG_GONE " IS NULL)",
               names->table->from, log->from, log->same, name ? name : "?", log->from, names->table->from, log->same,
               name ? name : "?");
    buf_free(&first);
}
