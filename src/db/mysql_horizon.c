/* The horizon of MySQL and MariaDB, as a request asks for it on the connection that will read. */
#include "db/mysql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The clock, the zone, and who holds the lock of the connection that watches. */
struct view {
    int64_t clock;
    char zone[64];
    unsigned long holder; /* 0: nobody */
};

static int look(struct conn *conn, const char *lock, struct view *view, struct err *err)
{
    static const char what[] = "cannot ask for the server's clock";
    char sql[320];
    snprintf(sql, sizeof sql,
             "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED), IF(@@GLOBAL.time_zone = 'SYSTEM',"
             " @@GLOBAL.system_time_zone, @@GLOBAL.time_zone), IS_USED_LOCK('%s')", lock);
    if (mydb_run(conn, sql, what, err))
        return -1;
    MYSQL_RES *rows = mysql_store_result(conn->mysql);
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    bool known = row && row[0];
    if (known) {
        view->clock = strtoll(row[0], NULL, 10);
        snprintf(view->zone, sizeof view->zone, "%s", row[1] ? row[1] : "");
        view->holder = row[2] ? strtoul(row[2], NULL, 10) : 0;
    }
    if (rows)
        mysql_free_result(rows);
    return known ? 0 : rows ? err_set(err, ERR_DATABASE, "%s: it does not say", what) : mydb_failed(conn, what, err);
}

/* What was watched elsewhere, or before this server was started, is of no use here. */
static int ask_watcher(struct conn *conn, struct sampler *sampler, struct mydb_answer *answer, struct view *view,
                       struct err *err)
{
    for (int attempt = 0; attempt < 3; attempt++) {
        if (mydb_sampler_ask(sampler, conn, answer, err) || look(conn, answer->lock, view, err))
            return -1;
        if (view->holder == answer->thread)
            return 0;
        mydb_sampler_renew(sampler, answer->epoch);
    }
    err_set(err, ERR_DATABASE, "system '%s': the connection that reads and the one that watches the open transactions"
                               " have reached different servers", conn->system->name);
    return err_hint(err, "write the host and port of one server, not of what stands before several, or write"
                         " {\"settle\": 60} as late_commits");
}

int mydb_horizon(struct conn *conn, struct sampler *sampler, const struct horizon_question *question,
                 struct horizon *horizon, struct err *err)
{
    struct mydb_answer answer = {.epoch = 0};
    struct view view = {.clock = 0};
    mydb_thread();
    *horizon = (struct horizon){.known = false};
    if (question->clock_only ? look(conn, "", &view, err) : ask_watcher(conn, sampler, &answer, &view, err))
        return -1;
    *horizon = answer.horizon;
    if (question->clock_only) {
        horizon->known = true;
        horizon->time = view.clock;
    }
    horizon->clock = view.clock;
    memcpy(horizon->zone, view.zone, sizeof horizon->zone);
    return 0;
}

/* the highest value */

/* The value is the statement's, which is closed before anybody looks at it. */
static int keep(const struct value *from, struct arena *arena, struct value *to, struct err *err)
{
    *to = *from;
    if (!value_has_text(from))
        return 0;
    to->text.bytes = arena_copy(arena, from->text.bytes, from->text.len);
    return to->text.bytes ? 0 : err_memory(err);
}

int mydb_newest(struct conn *conn, const struct plan *plan, struct arena *arena, struct value *value, struct err *err)
{
    const struct column *column = &plan->relation->columns[plan->updated];
    const struct value *row;
    struct mydb_statement statement = {.arena = arena};
    struct mydb_cells *cells = NULL;
    char what[200];
    mydb_thread();
    snprintf(what, sizeof what, "cannot read the highest '%s' of %s", column->name, plan->relation->title);
    value->kind = KIND_NULL;
    MYSQL_STMT *stmt = mysql_stmt_init(conn->mysql);
    int failed = stmt ? 0 : err_memory(err);
    if (!failed)
        failed = mydb_select_newest(&statement, plan, err) || mydb_execute_on(conn, stmt, &statement, what, err) ||
                 !(cells = mydb_cells_new(&column, 1, plan->relation->title, err)) ||
                 mydb_cells_bind(conn, cells, stmt, err);
    int got = failed ? -1 : mydb_cells_fetch(conn, cells, stmt, &row, err);
    if (got > 0)
        got = keep(row, arena, value, err);
    if (stmt)
        mysql_stmt_close(stmt);
    mydb_cells_free(cells);
    buf_free(&statement.sql);
    conn->busy = false;
    return got < 0 ? -1 : 0;
}
