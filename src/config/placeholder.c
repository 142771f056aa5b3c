#include "config/placeholder.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct scan {
    const char *sql;
    size_t at;
    enum config_database database;
    struct arena *arena;
    struct placeholder *list;
    size_t count, room;
    struct err *err;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What may stand inside an unquoted name in all three databases. */
static bool is_word(char c)
{
    return is_letter(c) || is_digit(c) || c == '$' || (unsigned char)c >= 0x80;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Tells the line only: the text may hold what is nobody's business. */
static int unfinished(struct scan *scan, size_t start, const char *what)
{
    size_t line = 1;
    for (size_t i = 0; i < start; i++)
        line += scan->sql[i] == '\n';
    return err_set(scan->err, ERR_CONFIG, "%s that begins in line %zu does not end", what, line);
}

/* Skips what stands between two quotes; a doubled one belongs to it. */
static int skip_quoted(struct scan *scan, char quote, bool backslash, const char *what)
{
    const char *sql = scan->sql;
    size_t start = scan->at++;
    for (; sql[scan->at]; scan->at++) {
        if (backslash && sql[scan->at] == '\\' && sql[scan->at + 1]) {
            scan->at++;
        } else if (sql[scan->at] == quote) {
            scan->at++;
            if (sql[scan->at] != quote)
                return 0;
        }
    }
    return unfinished(scan, start, what);
}

/* PostgreSQL joins literals that only white space with a line end divides, and the E holds for all. */
static int skip_escape_string(struct scan *scan)
{
    bool joined;
    do {
        size_t next;
        if (skip_quoted(scan, '\'', true, "a literal"))
            return -1;
        joined = false;
        for (next = scan->at; is_space(scan->sql[next]); next++)
            joined |= scan->sql[next] == '\n' || scan->sql[next] == '\r';
        joined = joined && scan->sql[next] == '\'';
        if (joined)
            scan->at = next;
    } while (joined);
    return 0;
}

static int skip_word(struct scan *scan)
{
    size_t start = scan->at;
    while (is_word(scan->sql[scan->at]))
        scan->at++;
    bool escape = scan->at == start + 1 && (scan->sql[start] == 'e' || scan->sql[start] == 'E');
    if (escape && scan->database == DATABASE_POSTGRESQL && scan->sql[scan->at] == '\'')
        return skip_escape_string(scan);
    return 0;
}

/* A lone carriage return ends a line for PostgreSQL only. */
static int skip_line(struct scan *scan)
{
    scan->at += strcspn(scan->sql + scan->at, scan->database == DATABASE_POSTGRESQL ? "\r\n" : "\n");
    return 0;
}

/* Only PostgreSQL has comments inside of comments. */
static int skip_comment(struct scan *scan)
{
    const char *sql = scan->sql;
    size_t start = scan->at, depth = 1;
    for (scan->at += 2; sql[scan->at]; scan->at++) {
        if (sql[scan->at] == '*' && sql[scan->at + 1] == '/') {
            scan->at++;
            if (--depth == 0) {
                scan->at++;
                return 0;
            }
        } else if (sql[scan->at] == '/' && sql[scan->at + 1] == '*' &&
                   scan->database == DATABASE_POSTGRESQL) {
            scan->at++;
            depth++;
        }
    }
    return unfinished(scan, start, "a comment");
}

/* $$...$$ or $tag$...$tag$; a lone $ is nothing special. */
static int skip_dollar_quoted(struct scan *scan)
{
    const char *open = scan->sql + scan->at;
    size_t len = 1;
    if (is_digit(open[len])) { /* $1 */
        scan->at++;
        return 0;
    }
    while (is_word(open[len]) && open[len] != '$')
        len++;
    if (open[len] != '$') {
        scan->at++;
        return 0;
    }
    len++;
    for (const char *c = open + len; *c; c++) {
        if (strncmp(c, open, len) == 0) {
            scan->at = (size_t)(c - scan->sql) + len;
            return 0;
        }
    }
    return unfinished(scan, scan->at, "a literal");
}

static int make_room(struct scan *scan)
{
    if (scan->count < scan->room)
        return 0;
    size_t room = scan->room ? scan->room * 2 : 8;
    struct placeholder *list = arena_array(scan->arena, room, sizeof *list);
    if (!list)
        return err_memory(scan->err);
    if (scan->count)
        memcpy(list, scan->list, scan->count * sizeof *list);
    scan->list = list;
    scan->room = room;
    return 0;
}

/* ::type, := and [1:2] are none; a name begins with a letter. */
static int take_colon(struct scan *scan)
{
    size_t start = scan->at++;
    char next = scan->sql[scan->at];
    if (next == ':' || next == '=')
        scan->at++;
    if (!is_letter(next))
        return 0;
    if (make_room(scan))
        return -1;
    while (is_letter(scan->sql[scan->at]) || is_digit(scan->sql[scan->at]))
        scan->at++;
    const char *name = arena_copy(scan->arena, scan->sql + start + 1, scan->at - start - 1);
    if (!name)
        return err_memory(scan->err);
    scan->list[scan->count++] = (struct placeholder){.start = start, .end = scan->at, .name = name};
    return 0;
}

/* MySQL takes -- for a comment only before white space, since 5--1 is a number. */
static bool at_dashes(const struct scan *scan)
{
    const char *c = scan->sql + scan->at;
    if (c[0] != '-' || c[1] != '-')
        return false;
    return scan->database != DATABASE_MYSQL || c[2] == '\0' || (unsigned char)c[2] <= ' ' || c[2] == 0x7F;
}

static int step(struct scan *scan)
{
    bool mysql = scan->database == DATABASE_MYSQL;
    bool postgresql = scan->database == DATABASE_POSTGRESQL;
    char c = scan->sql[scan->at];
    if (c == '\'')
        return skip_quoted(scan, c, mysql, "a literal");
    if (c == '"')
        return skip_quoted(scan, c, mysql, "a quoted name");
    if (c == '`' && !postgresql)
        return skip_quoted(scan, c, false, "a quoted name");
    if (c == '[' && scan->database == DATABASE_SQLITE)
        return skip_quoted(scan, ']', false, "a quoted name");
    if (c == '/' && scan->sql[scan->at + 1] == '*')
        return skip_comment(scan);
    if (at_dashes(scan) || (c == '#' && mysql))
        return skip_line(scan);
    if (c == '$' && postgresql)
        return skip_dollar_quoted(scan);
    if (c == ':')
        return take_colon(scan);
    if (is_word(c))
        return skip_word(scan);
    scan->at++;
    return 0;
}

int placeholder_find(const char *sql, enum config_database database, struct arena *arena,
                     struct placeholder **list, size_t *count, struct err *err)
{
    struct scan scan = {.sql = sql, .database = database, .arena = arena, .err = err};
    while (sql[scan.at]) {
        if (step(&scan))
            return -1;
    }
    *list = scan.list;
    *count = scan.count;
    return 0;
}
