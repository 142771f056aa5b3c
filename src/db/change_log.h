/* What the change logs of all databases have in common: their names, and filling in the statements of sql/. */
#ifndef DB_CHANGE_LOG_H
#define DB_CHANGE_LOG_H

#include "db/driver.h"

/* What the triggers of a log are for, in the order of the database's names for them. */
enum { CHANGE_LOG_TRIGGERS = 3 };
extern const char *const change_log_events[CHANGE_LOG_TRIGGERS];

/* The name of a table's log: the table's with "sesam_sql_log_" before it, cut where it gets longer than what leaves room
 * for the names of its index and triggers, and then made unique by its hash. */
void change_log_name(char name[CHANGE_LOG_NAME], const char *table);

/* Names as they stand in statements. */
struct change_log_names {
    const struct driver *driver;
    struct conn *conn;
    const struct relation *table;
};

/* Appends form for each column of the key, with between in between: % stands for the column's name, quoted. */
void change_log_each(struct buf *out, const struct change_log_names *names, const char *form, const char *between);

/* A word in braces of a template, and what stands for it. */
struct change_log_word {
    const char *word;
    struct buf text;
};

/* Appends the template with its words filled in; the texts are not looked at again. Returns 0, or -1 with err set. */
int change_log_fill(struct buf *out, const char *pattern, struct change_log_word *words, size_t count, struct err *err);
void change_log_free(struct change_log_word *words, size_t count);

/* Appends the relation's title, fit for a comment. */
void change_log_title(struct buf *out, const struct relation *table);

/* Appends the statement that counts what is missed: two numbers, rows and deletions. */
void change_log_missed(struct buf *out, const struct change_log_names *names, const struct change_log *log);

#endif
