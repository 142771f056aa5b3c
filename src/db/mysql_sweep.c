/* What a full sync leaves over. The keys that were seen go into a temporary table that has the key's own
 * types and its index, then those of the rows that are not among them into another; only these rows are
 * locked, and deleted or marked. So the work grows with the number of keys and not with its square, and other
 * rows stay free. */
#include "db/mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sweeping {
    struct conn *conn;
    const struct sweep *sweep;
    const struct target *target;
    struct arena *arena;
    struct err *err;
    char what[160];
};

static const struct column *part_column(const struct sweeping *s, size_t i)
{
    return &s->target->relation->columns[s->target->columns[i]];
}

static const struct column *column_of(const struct sweeping *s, const struct special *special)
{
    return &s->target->relation->columns[special->column];
}

/* statements */

static void start(const struct sweeping *s, struct mydb_statement *statement)
{
    *statement = (struct mydb_statement){.arena = s->arena};
}

static int finish(const struct sweeping *s, struct mydb_statement *statement, uint64_t *affected)
{
    int failed = mydb_execute(s->conn, statement, s->what, affected, s->err);
    buf_free(&statement->sql);
    return failed;
}

/* Appends the name of a temporary table of ours, beside the target. */
static void put_temporary(const struct sweeping *s, struct buf *out, const char *name)
{
    mydb_put_schema(out, s->target);
    buf_puts(out, name);
}

/* Appends "x.k0 = t.id AND ...". */
static void put_equal(const struct sweeping *s, struct buf *out, const char *alias)
{
    for (size_t i = 0; i < s->target->relation->key_count; i++) {
        buf_printf(out, "%s%s.k%zu = ", i ? " AND " : "", alias, i);
        mydb_column_name(out, "t.", part_column(s, i));
    }
}

static void put_parts(const struct sweeping *s, struct buf *out, const char *prefix)
{
    for (size_t i = 0; i < s->target->relation->key_count; i++)
        buf_printf(out, "%s%sk%zu", i ? ", " : "", prefix, i);
}

static int bind_constant(const struct sweeping *s, struct mydb_statement *statement,
                         const struct special *special)
{
    struct value value;
    return mydb_constant(s->conn, column_of(s, special), &special->value, s->arena, &value, s->err) ||
                   mydb_bind_value(statement, column_of(s, special), &value, s->err)
               ? -1
               : 0;
}

/* Appends the conditions on rows of the scope, and for marks on those that still live. */
static int put_scope(const struct sweeping *s, struct mydb_statement *statement)
{
    const struct special *scope = s->target->scope, *dead = s->sweep->dead;
    bool by_live = s->sweep->kind == SWEEP_MARK && dead->kind == SPECIAL_NOW;
    if (scope) {
        buf_puts(&statement->sql, " AND ");
        mydb_column_name(&statement->sql, "t.", column_of(s, scope));
        buf_puts(&statement->sql, " <=> ?");
        if (bind_constant(s, statement, scope))
            return -1;
    }
    if (s->sweep->kind != SWEEP_MARK)
        return 0;
    buf_puts(&statement->sql, by_live ? " AND (" : " AND NOT (");
    mydb_column_name(&statement->sql, "t.", column_of(s, dead));
    buf_puts(&statement->sql, " <=> ?)");
    return bind_constant(s, statement, by_live ? s->sweep->live : dead);
}

/* temporary tables */

static int drop(const struct sweeping *s, const char *name)
{
    struct mydb_statement statement;
    start(s, &statement);
    buf_puts(&statement.sql, "DROP TEMPORARY TABLE IF EXISTS ");
    put_temporary(s, &statement.sql, name);
    return finish(s, &statement, NULL);
}

/* SELECT ... LIMIT 0 gives the columns their types and collations. The error of a role that may not tells the
 * grant. */
static int create(const struct sweeping *s, const char *name)
{
    struct mydb_statement statement;
    struct buf all = {0};
    start(s, &statement);
    buf_puts(&statement.sql, "CREATE TEMPORARY TABLE ");
    put_temporary(s, &statement.sql, name);
    buf_puts(&statement.sql, " (PRIMARY KEY (");
    put_parts(s, &statement.sql, "");
    buf_puts(&statement.sql, ")) ENGINE=InnoDB SELECT ");
    for (size_t i = 0; i < s->target->relation->key_count; i++) {
        mydb_column_name(&statement.sql, i ? ", t." : "t.", part_column(s, i));
        buf_printf(&statement.sql, " AS k%zu", i);
    }
    buf_printf(&statement.sql, " FROM %s AS t LIMIT 0", s->target->relation->from);
    if (finish(s, &statement, NULL) == 0)
        return 0;
    mydb_put_all(&all, s->target);
    if (s->err->code == ERR_DATABASE && buf_text(&all)) {
        s->err->hint[0] = '\0';
        err_hint(s->err, "GRANT CREATE TEMPORARY TABLES ON %s TO the role", all.data);
    }
    buf_free(&all);
    return -1;
}

/* what was seen */

/* Begins the INSERT of keys from lists, which stand in from, NULL or a table with a comma behind. */
static void put_seen(const struct sweeping *s, struct buf *sql, const char *from, const char *list)
{
    buf_puts(sql, "INSERT INTO ");
    put_temporary(s, sql, "sesam_sql_seen");
    buf_puts(sql, " SELECT ");
    for (size_t i = 0; i < s->target->relation->key_count; i++) {
        buf_puts(sql, i ? ", " : "");
        mydb_put_part(sql, s->target, i);
    }
    buf_puts(sql, " FROM ");
    if (from) {
        put_temporary(s, sql, from);
        buf_puts(sql, ", ");
    }
    mydb_put_keys(sql, s->target, list, true, "");
    buf_puts(sql, " WHERE TRUE");
    mydb_put_kept(sql, s->target);
}

/* A key comes again when it was sent twice. IGNORE would pass over more than that. */
static int finish_seen(const struct sweeping *s, struct mydb_statement *statement)
{
    buf_puts(&statement->sql, " ON DUPLICATE KEY UPDATE k0 = sesam_sql_seen.k0");
    return finish(s, statement, NULL);
}

static int add_list(void *arg, const char *part, size_t len, struct err *err)
{
    struct sweeping *s = arg;
    struct mydb_statement statement;
    start(s, &statement);
    put_seen(s, &statement.sql, NULL, "?");
    int failed = mydb_bind_text(&statement, part, len, err);
    return finish_seen(s, &statement) || failed ? -1 : 0;
}

static int add_sequence(struct sweeping *s)
{
    const char *const texts[] = {s->target->relation->title, s->target->sink, s->sweep->sequence_id};
    struct mydb_statement statement;
    int failed = 0;
    start(s, &statement);
    put_seen(s, &statement.sql, "sesam_sql_request AS r", "r.seen");
    buf_puts(&statement.sql, " AND r.target = ? AND r.sink = ? AND r.sequence_id = ?");
    for (size_t i = 0; i < 3 && !failed; i++) {
        failed = mydb_bind_text(&statement, texts[i], strlen(texts[i]), s->err);
        if (!failed)
            statement.binds[i].buffer_type = MYSQL_TYPE_BLOB;
    }
    return finish_seen(s, &statement) || failed ? -1 : 0;
}

/* what is left */

/* At read committed, what is only selected from is not locked. */
static int find_rest(struct sweeping *s, uint64_t *rows)
{
    struct mydb_statement statement;
    start(s, &statement);
    buf_puts(&statement.sql, "INSERT INTO ");
    put_temporary(s, &statement.sql, "sesam_sql_rest");
    buf_puts(&statement.sql, " SELECT ");
    for (size_t i = 0; i < s->target->relation->key_count; i++)
        mydb_column_name(&statement.sql, i ? ", t." : "t.", part_column(s, i));
    buf_printf(&statement.sql, " FROM %s AS t LEFT JOIN ", s->target->relation->from);
    put_temporary(s, &statement.sql, "sesam_sql_seen AS s FORCE INDEX (PRIMARY) ON ");
    put_equal(s, &statement.sql, "s");
    /* Not IS NULL, which the zero date of a column that is NOT NULL also is, to please ODBC. */
    buf_puts(&statement.sql, " WHERE NOT (s.k0 <=> ");
    mydb_column_name(&statement.sql, "t.", part_column(s, 0));
    buf_putc(&statement.sql, ')');
    if (put_scope(s, &statement)) {
        buf_free(&statement.sql);
        return -1;
    }
    return finish(s, &statement, rows);
}

static int count_all(struct sweeping *s, uint64_t *total)
{
    struct mydb_statement statement;
    start(s, &statement);
    buf_printf(&statement.sql, "SELECT COUNT(*) FROM %s AS t WHERE TRUE", s->target->relation->from);
    int failed = put_scope(s, &statement);
    MYSQL_STMT *stmt = failed ? NULL : mysql_stmt_init(s->conn->mysql);
    static const struct column number = {
        .name = "count", .type = "bigint", .kind = KIND_INT, .number = MYSQL_TYPE_LONGLONG};
    static const struct column *const columns[] = {&number};
    struct mydb_cells *cells = mydb_cells_new(columns, 1, s->what, s->err);
    const struct value *row;
    if (!failed && (!stmt || !cells))
        failed = err_memory(s->err);
    if (!failed)
        failed = mydb_execute_on(s->conn, stmt, &statement, s->what, s->err) ||
                 mydb_cells_bind(s->conn, cells, stmt, s->err) ||
                 mydb_cells_fetch(s->conn, cells, stmt, &row, s->err) != 1;
    if (!failed)
        *total = (uint64_t)row[0].integer;
    if (stmt)
        mysql_stmt_close(stmt);
    s->conn->busy = false;
    mydb_cells_free(cells);
    buf_free(&statement.sql);
    return failed ? -1 : 0;
}

/* Appends the rows that are left, in the order of the key, and the table by the key's index. What changed
 * meanwhile is looked at again: this reads what is there now. */
static int put_rest(struct sweeping *s, struct mydb_statement *statement)
{
    put_temporary(s, &statement->sql, "sesam_sql_rest AS r STRAIGHT_JOIN ");
    mydb_put_target(&statement->sql, s->target);
    buf_puts(&statement->sql, " ON ");
    put_equal(s, &statement->sql, "r");
    return 0;
}

static int delete_rest(struct sweeping *s, uint64_t *rows)
{
    struct mydb_statement statement;
    start(s, &statement);
    buf_puts(&statement.sql, "DELETE t FROM ");
    put_rest(s, &statement);
    buf_puts(&statement.sql, " WHERE TRUE");
    if (put_scope(s, &statement)) {
        buf_free(&statement.sql);
        return -1;
    }
    return finish(s, &statement, rows);
}

static int put_mark(struct sweeping *s, struct mydb_statement *statement, const struct special *special)
{
    struct value value;
    bool bound;
    mydb_column_name(&statement->sql, "t.", column_of(s, special));
    buf_puts(&statement->sql, " = ");
    if (mydb_put_special(s->conn, &statement->sql, "t.", s->target->relation, special, s->arena, &value,
                         &bound, s->err))
        return -1;
    return bound ? mydb_bind_value(statement, column_of(s, special), &value, s->err) : 0;
}

static int mark_rest(struct sweeping *s, uint64_t *rows)
{
    struct mydb_statement statement;
    int failed = 0;
    start(s, &statement);
    buf_puts(&statement.sql, "UPDATE ");
    put_rest(s, &statement);
    buf_puts(&statement.sql, " SET ");
    for (size_t i = 0; i < s->sweep->special_count && !failed; i++) {
        buf_puts(&statement.sql, i ? ", " : "");
        failed = put_mark(s, &statement, &s->sweep->specials[i]);
    }
    buf_puts(&statement.sql, " WHERE TRUE");
    if (failed || put_scope(s, &statement)) {
        buf_free(&statement.sql);
        return -1;
    }
    return finish(s, &statement, rows);
}

static int add_lists(struct sweeping *s)
{
    const struct sweep *sweep = s->sweep;
    if (sweep->sequence_id && add_sequence(s))
        return -1;
    return sweep->seen
               ? mydb_each_part(sweep->seen, strlen(sweep->seen), s->conn->packet, s->err, add_list, s)
               : 0;
}

/* A letter that the column's character set lacks would fail a strict INSERT, where such a key is just none of
 * any row. */
static int add_lossy_lists(struct sweeping *s)
{
    struct err *err = s->err;
    if (mydb_run(s->conn, "SET SESSION sql_mode = '" MYDB_MODE "'", s->what, err))
        return -1;
    int failed = add_lists(s);
    return mydb_run(s->conn, "SET SESSION sql_mode = '" MYDB_STRICT "'", s->what, err) || failed ? -1 : 0;
}

static bool loses_letters(const struct target *target)
{
    struct buf kept = {0};
    mydb_put_kept(&kept, target);
    bool loses = kept.len > 0;
    buf_free(&kept);
    return loses;
}

static int collect(struct sweeping *s, uint64_t *rows)
{
    if (create(s, "sesam_sql_seen") || create(s, "sesam_sql_rest"))
        return -1;
    if (loses_letters(s->target) ? add_lossy_lists(s) : add_lists(s))
        return -1;
    return find_rest(s, rows);
}

static int sweep_rows(struct sweeping *s, uint64_t enough, uint64_t *rows, uint64_t *total)
{
    if (collect(s, rows) || (*rows > enough && count_all(s, total)))
        return -1;
    if (!*rows || s->sweep->kind == SWEEP_COUNT)
        return 0;
    return s->sweep->kind == SWEEP_DELETE ? delete_rest(s, rows) : mark_rest(s, rows);
}

int mydb_sweep(struct conn *conn, const struct sweep *sweep, uint64_t enough, uint64_t *rows, uint64_t *total,
               struct err *err)
{
    struct err own = {0}, ignored = {0};
    struct sweeping s = {.conn = conn, .sweep = sweep, .target = sweep->target, .err = err ? err : &own};
    mydb_thread();
    *rows = *total = 0;
    snprintf(s.what, sizeof s.what, "cannot end a full sync of %s", sweep->target->relation->title);
    s.arena = arena_new();
    if (!s.arena)
        return err_memory(err);
    int failed = mydb_check_key(s.target, s.err) || mydb_packet(conn, s.err) || drop(&s, "sesam_sql_seen") ||
                 drop(&s, "sesam_sql_rest") || sweep_rows(&s, enough, rows, total);
    s.err = &ignored; /* the session may be lent to others: nothing is to stay in it */
    if (drop(&s, "sesam_sql_seen") || drop(&s, "sesam_sql_rest"))
        conn->doomed = true;
    conn->doomed = conn->doomed || failed;
    arena_free(s.arena);
    return failed ? -1 : 0;
}
