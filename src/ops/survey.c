#include "ops/survey.h"

#include <stdio.h>
#include <string.h>

#include "db/relation.h"
#include "entity/json_write.h"
#include "ops/mend.h"
#include "pull/changelog.h"

enum { SAMPLE_ROWS = 100 };

/* A table that is looked at. */
struct looking {
    struct survey *survey;
    const struct driver *driver;
    struct conn *conn;
    struct arena *arena;
    struct relation *relation;
    bool *worn;
    struct err *err;
};

static bool is_fatal(const struct err *err)
{
    return err->code == ERR_LOST || err->code == ERR_AWAY || err->code == ERR_INTERNAL;
}

static struct subject subject_of(const struct looking *look, const char *updated)
{
    const struct listed *listed = look->survey->listed;
    return (struct subject){.schema = listed->schema, .table = listed->name, .updated = updated};
}

/* what cannot be read */

static int note_unreadable(const struct looking *look, const struct err *why)
{
    struct buf mend = {0};
    struct err ignored = {0};
    const struct listed *listed = look->survey->listed;
    if (is_fatal(why))
        return err_set(look->err, why->code, "%s", why->text);
    buf_printf(&look->survey->notes, "  left out: %s\n", why->text);
    if (!*look->worn && look->driver->reading &&
        look->driver->reading(look->conn, listed->schema, listed->name, &mend, &ignored) == 0 && mend.len &&
        buf_text(&mend))
        buf_printf(&look->survey->notes, "  mend with:\n    %.*s\n", (int)mend.len - 1, mend.data);
    else if (why->hint[0])
        buf_printf(&look->survey->notes, "            %s\n", why->hint);
    buf_free(&mend);
    return 0;
}

/* samples */

static size_t choose_columns(const struct looking *look, size_t *columns)
{
    const struct relation *relation = look->relation;
    size_t count = 0;
    columns[count++] = relation->key[0]; /* so that there is one, whatever it is worth */
    for (size_t i = 0; i < relation->column_count; i++)
        if (i != relation->key[0] && guess_is_worth_it(&relation->columns[i], look->survey->listed->name))
            columns[count++] = i;
    return count;
}

static int read_rows(const struct looking *look, const struct plan *plan, struct sample *samples, struct err *err)
{
    const struct value *row;
    int got = look->driver->read_open(look->conn, plan, err) ? -1 : 1;
    while (got > 0 && (got = look->driver->read_next(look->conn, &row, err)) > 0)
        for (size_t i = 0; i < plan->column_count; i++)
            sample_add(&samples[plan->columns[i]], &row[i]);
    if (look->driver->read_close(look->conn))
        *look->worn = true;
    return got;
}

/* Any rows will do. 1: they were read, 0: they may not be, which is noted; or -1. */
static int take_samples(const struct looking *look)
{
    const struct relation *relation = look->relation;
    struct sample *samples = arena_array(look->arena, relation->column_count + 1, sizeof *samples);
    size_t *columns = arena_array(look->arena, relation->column_count + 1, sizeof *columns);
    struct err err = {0};
    if (!samples || !columns)
        return err_memory(look->err);
    const struct plan plan = {.relation = relation,
                              .columns = columns,
                              .column_count = choose_columns(look, columns),
                              .updated = SIZE_MAX,
                              .order = ORDER_NONE,
                              .limit = SAMPLE_ROWS,
                              .fetch_size = SAMPLE_ROWS};
    look->survey->samples = samples;
    if (read_rows(look, &plan, samples, &err) == 0)
        return 1;
    return note_unreadable(look, &err);
}

/* the change log */

/* One that is there was made for this. */
static int find_log(const struct looking *look)
{
    struct changelog changelog = {.table = NULL};
    struct err err = {0};
    int failed = changelog_describe(&changelog, look->driver, look->conn, look->relation, look->arena, &err);
    if (failed && is_fatal(&err))
        return err_set(look->err, err.code, "%s", err.text);
    if (failed && changelog.log.exists) {
        buf_printf(&look->survey->notes, "  WARNING: %s, so it is not used; %s\n", err.text, err.hint);
        return 0;
    }
    if (failed)
        return 0;
    look->survey->changelog = true;
    look->survey->comparable = true;
    for (size_t i = 0; i < changelog.relation->key_count; i++)
        look->survey->comparable &= changelog.relation->columns[changelog.relation->key[i]].bytewise;
    buf_printf(&look->survey->notes, "  changes and deletions: by its change log, %s\n", changelog.log.name);
    return 0;
}

/* the updated column */

/* Is there an index of the column and the key? The description is asked for again, since that is what tells. */
static int is_indexed(const struct looking *look, const char *updated, bool *indexed)
{
    const struct subject subject = subject_of(look, updated);
    struct relation *relation;
    if (look->driver->describe(look->conn, &subject, look->arena, &relation, look->err))
        return -1;
    *indexed = relation->updated_indexed;
    return 0;
}

static bool is_comparable(const struct relation *relation, size_t updated)
{
    bool bytewise = relation->columns[updated].bytewise;
    for (size_t i = 0; i < relation->key_count; i++)
        bytewise = bytewise && relation->columns[relation->key[i]].bytewise;
    return bytewise;
}

static void note_others(const struct looking *look, const struct guess *guesses, size_t count, size_t best)
{
    struct buf *notes = &look->survey->notes;
    for (size_t i = 0, others = 0; i < count; i++)
        if (i != best)
            buf_printf(notes, "%s%s",
                       others++ ? ", " : "    others that could be: ", look->relation->columns[guesses[i].column].name);
    if (count > 1)
        buf_putc(notes, '\n');
}

static void note_updated(const struct looking *look, const struct guess *guess, bool indexed)
{
    const struct column *column = &look->relation->columns[guess->column];
    struct buf *notes = &look->survey->notes;
    buf_printf(notes, "  updated column: %s (%s): %s%s\n", column->name, column->type, guess->why,
               indexed ? "; an index serves the reads" : "");
    if (column->transaction && !look->relation->triggers)
        buf_printf(notes,
                   "  WARNING: no trigger of the table sets %s when a row is updated, and its default does so for new "
                   "ones only\n",
                   column->name);
    if (column->nullable)
        buf_printf(notes, "  WARNING: %s may be NULL: such rows come in full reads only\n", column->name);
    if (indexed)
        return;
    buf_puts(notes, "  WARNING: no index serves the order of the reads; mend with:\n    ");
    mend_index(notes, look->driver, look->conn, look->relation, look->survey->listed->name, column->name);
    buf_putc(notes, '\n');
}

/* A word for the shell. */
static void put_word(struct buf *out, const char *schema, const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    bool quoted = name[strspn(name, plain)] || (schema && schema[strspn(schema, plain)]);
    const char *const parts[] = {schema ? schema : "", schema ? "." : "", name};
    buf_puts(out, quoted ? "'" : "");
    for (size_t i = 0; i < 3; i++)
        for (const char *c = parts[i]; *c; c++)
            *c == '\'' ? buf_puts(out, "'\\''") : buf_putc(out, *c);
    buf_puts(out, quoted ? "'" : "");
}

static void note_full_reads(const struct looking *look)
{
    struct buf *notes = &look->survey->notes;
    buf_puts(notes,
             "  WARNING: no column tells when a row was changed, so it is always read in full; to follow changes and\n"
             "  deletions write \"tracking\": \"changelog\" instead, and run what this prints:\n");
    buf_printf(notes, "    sesam-sql ddl %s --config FILE --table ", look->driver->type);
    put_word(notes, look->survey->listed->schema, look->survey->listed->name);
    buf_putc(notes, '\n');
}

static int find_updated(const struct looking *look)
{
    struct guess guesses[GUESS_MOST];
    bool indexed[GUESS_MOST] = {false};
    size_t count = guess_updated(look->relation, look->survey->samples, look->survey->listed->name, guesses), best = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_indexed(look, look->relation->columns[guesses[i].column].name, &indexed[i]))
            return -1;
        guesses[i].score += indexed[i] ? GUESS_INDEX : 0;
        best = guesses[i].score > guesses[best].score ? i : best;
    }
    if (!count) {
        note_full_reads(look);
        return 0;
    }
    look->survey->updated = guesses[best].column;
    look->survey->unit = guesses[best].unit;
    look->survey->comparable = is_comparable(look->relation, guesses[best].column);
    note_updated(look, &guesses[best], indexed[best]);
    note_others(look, guesses, count, best);
    return 0;
}

/* other columns */

static void find_roles(const struct looking *look)
{
    struct survey *survey = look->survey;
    const struct relation *relation = look->relation;
    survey->version = guess_version(relation, survey->listed->name);
    survey->deleted = survey->changelog ? SIZE_MAX : guess_deleted(relation, survey->samples, survey->listed->name);
    if (survey->deleted != SIZE_MAX) {
        const struct column *column = &relation->columns[survey->deleted];
        survey->marks_by_value = guess_marks_by_value(column, &survey->samples[survey->deleted]);
        buf_printf(&survey->notes, "  deletions: rows where %s (%s) is %s, by its name\n", column->name, column->type,
                   !survey->marks_by_value     ? "not NULL"
                   : column->kind == KIND_BOOL ? "true"
                                               : "1");
    }
    if (survey->version == SIZE_MAX)
        return;
    const char *version = relation->columns[survey->version].name;
    buf_printf(&survey->notes, "  optimistic lock of the sink: %s, by its name\n", version);
    if (relation->triggers)
        buf_printf(&survey->notes,
                   "  WARNING: the table has triggers; if one of them sets %s, write \"maintained_by\": \"database\" "
                   "in optimistic_lock\n",
                   version);
}

static bool is_free(const struct relation *relation, const char *const *properties, size_t until, const char *name)
{
    for (size_t i = 0; i < until; i++)
        if (strcmp(properties[i], name) == 0)
            return false;
    return relation_find(relation, name) == SIZE_MAX;
}

/* Properties that begin with "_" are Sesam's own. */
static int name_properties(const struct looking *look)
{
    const struct relation *relation = look->relation;
    const char **properties = look->survey->properties =
        arena_array(look->arena, relation->column_count + 1, sizeof *properties);
    for (size_t i = 0; properties && i < relation->column_count; i++) {
        const char *name = relation->columns[i].name, *bare = name + strspn(name, "_");
        properties[i] = name;
        if (*name != '_')
            continue;
        bare = *bare ? bare : "column";
        properties[i] = bare;
        for (unsigned n = 2; properties[i] && !is_free(relation, properties, i, properties[i]); n++)
            properties[i] = arena_printf(look->arena, "%s_%u", bare, n);
        if (!properties[i])
            return err_memory(look->err);
        buf_printf(&look->survey->notes,
                   "  column %s is called %s in Sesam, which keeps names that begin with '_' to itself\n", name,
                   properties[i]);
    }
    return properties ? 0 : err_memory(look->err);
}

static void note_key(const struct looking *look)
{
    buf_puts(&look->survey->notes, "  key:");
    for (size_t i = 0; i < look->relation->key_count; i++)
        buf_printf(&look->survey->notes, "%s %s", i ? "," : "", look->relation->columns[look->relation->key[i]].name);
    buf_putc(&look->survey->notes, '\n');
}

static int look_closely(const struct looking *look)
{
    int readable = take_samples(look);
    if (readable <= 0)
        return readable;
    note_key(look);
    look->survey->relation = look->relation;
    if (name_properties(look) || find_log(look) || (!look->survey->changelog && find_updated(look)))
        return -1;
    find_roles(look);
    return 0;
}

/* JSON has no other. */
static bool is_utf8(const struct looking *look)
{
    const struct listed *listed = look->survey->listed;
    bool all = json_write_is_utf8(listed->name, strlen(listed->name)) &&
               (!listed->schema || json_write_is_utf8(listed->schema, strlen(listed->schema)));
    for (size_t i = 0; i < look->relation->column_count; i++)
        all = all && json_write_is_utf8(look->relation->columns[i].name, strlen(look->relation->columns[i].name));
    return all;
}

int survey_take(struct survey *survey, const struct db *db, struct conn *conn, struct arena *arena, bool *worn,
                struct err *err)
{
    struct looking look = {survey, db->driver, conn, arena, NULL, worn, err};
    const struct subject subject = subject_of(&look, NULL);
    struct err own = {0};
    survey->updated = survey->version = survey->deleted = SIZE_MAX;
    if (db->driver->describe(conn, &subject, arena, &look.relation, &own))
        return note_unreadable(&look, &own);
    if (look.relation->key_count && is_utf8(&look))
        return look_closely(&look);
    if (look.relation->key_count)
        buf_puts(&survey->notes, "  left out: its name or a column's is not UTF-8\n");
    else
        buf_puts(&survey->notes,
                 "  left out: it has no primary key; give it one, or write a source with columns that are unique and\n"
                 "  never NULL as \"primary_key\"\n");
    return 0;
}

void survey_zone(const struct survey *survey, const struct db *db, struct conn *conn, char zone[64])
{
    struct horizon_question question = {.relation = survey->relation, .updated = survey->updated, .clock_only = true};
    struct horizon horizon = {.known = false};
    struct err ignored = {0};
    if (!survey->relation || survey->updated == SIZE_MAX)
        return;
    const struct column *column = &survey->relation->columns[survey->updated];
    if ((!column->zoneless && column->kind != KIND_DATE) ||
        db->driver->horizon(conn, db->sampler, &question, &horizon, &ignored))
        return;
    snprintf(zone, 64, "%s", horizon.zone);
}
