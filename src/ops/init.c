#include "ops/init.h"

#include <stdlib.h>
#include <string.h>

#include "base/zone.h"
#include "ops/draft.h"
#include "ops/password.h"
#include "ops/segment.h"
#include "ops/trial.h"

struct initing {
    const struct init *init;
    FILE *notes;
    struct arena *arena;
    struct url url;
    bool asked; /* the password came from the terminal */
    struct draft draft;
    struct survey *surveys;
    bool *sinks;
    struct listed *list;
    size_t list_count;
    char zone[64];
    struct err *err;
};

/* A configuration that is drafted and opened, to be looked at like a user's. */
struct opened {
    struct config *config;
    struct db *dbs;
    struct source **sources;
    struct sink **sinks;
};

/* opening a draft */

static void close_draft(struct opened *opened)
{
    if (opened->config) {
        sink_close_all(opened->sinks, opened->config->sink_count);
        source_close_all(opened->sources, opened->config->source_count);
        db_close_all(opened->config, opened->dbs);
    }
    config_free(opened->config);
}

static int parse_draft(struct opened *opened, const struct buf *text, struct err *err)
{
    struct buf mistakes = {0};
    int failed = config_parse(&opened->config, text->data, text->len, "the proposed configuration", &mistakes, err);
    if (failed && mistakes.len && buf_text(&mistakes))
        err_hint(err, "%.400s", mistakes.data);
    buf_free(&mistakes);
    return failed;
}

static int draft_failed(struct err *err)
{
    return err_set(err, ERR_CONFIG, "a name in the URL is not UTF-8, or there is no memory");
}

static int open_draft(struct opened *opened, struct initing *initing)
{
    struct buf text = {0};
    struct err *err = initing->err;
    json_t *document = draft_config(&initing->draft, false);
    int failed = document ? draft_print(document, &text) : draft_failed(err);
    json_decref(document);
    if (failed)
        err_memory(err);
    failed = failed || !buf_text(&text) || parse_draft(opened, &text, err) ||
             db_open_all(opened->config, &opened->dbs, err) ||
             source_open_all(&opened->sources, opened->config, opened->dbs, err) ||
             sink_open_all(&opened->sinks, opened->config, opened->dbs, opened->sources, err);
    buf_free(&text);
    return failed ? -1 : 0;
}

/* what is there */

/* Names come from the database, and must not drive a terminal. */
static void say(const struct initing *initing, const char *text)
{
    for (; *text; text++)
        putc(((unsigned char)*text < ' ' && *text != '\n') || *text == 127 ? '?' : *text, initing->notes);
}

static void say_name(const struct initing *initing, const struct listed *listed)
{
    if (listed->schema) {
        say(initing, listed->schema);
        say(initing, ".");
    }
    say(initing, listed->name);
}

static bool is_ours(const char *name)
{
    return strncmp(name, "sesam_sql_", strlen("sesam_sql_")) == 0;
}

static void note_others(const struct initing *initing, enum listed_kind kind, const char *what)
{
    size_t count = 0;
    for (size_t i = 0; i < initing->list_count; i++) {
        const struct listed *listed = &initing->list[i];
        if (listed->kind != kind || is_ours(listed->name))
            continue;
        say(initing, count++ ? ", " : what);
        say_name(initing, listed);
    }
    say(initing, count ? "\n" : "");
}

/* Keeps the tables that are not ours, and says what else there is. */
static void choose_tables(struct initing *initing)
{
    size_t kept = 0;
    note_others(initing, LISTED_VIEW, "left out, views (a source with \"table\" and \"primary_key\" reads one): ");
    note_others(initing, LISTED_OTHER, "left out, no tables of this database's own: ");
    for (size_t i = 0; i < initing->list_count; i++)
        if (initing->list[i].kind == LISTED_TABLE && !is_ours(initing->list[i].name))
            initing->list[kept++] = initing->list[i];
    initing->list_count = kept;
}

static int no_tables(const struct initing *initing)
{
    if (!initing->init->schema)
        return err_set(initing->err, ERR_NOT_FOUND, "the database has no tables that the role may see");
    err_set(initing->err, ERR_NOT_FOUND, "there are no tables in schema '%s' that the role may see",
            initing->init->schema);
    return err_hint(initing->err, "leave out --schema to see those of %s",
                    initing->url.type == DATABASE_POSTGRESQL ? "all" : "the database");
}

static int list_tables(struct initing *initing, struct db *db)
{
    struct conn *conn = NULL;
    bool fresh;
    if (pool_take(db->pool, NULL, &conn, &fresh, initing->err))
        return -1;
    fprintf(initing->notes, "%s\n", db->driver->server(conn));
    int failed = db->driver->list(conn, initing->init->schema, initing->arena, &initing->list, &initing->list_count,
                                  initing->err);
    pool_give(db->pool, NULL, conn, failed ? "the tables could not be listed" : NULL);
    if (failed)
        return -1;
    choose_tables(initing);
    return initing->list_count ? 0 : no_tables(initing);
}

/* looking at tables */

static int take_survey(struct initing *initing, struct db *db, struct survey *survey)
{
    struct conn *conn = NULL;
    bool fresh, worn = false;
    if (pool_take(db->pool, NULL, &conn, &fresh, initing->err))
        return -1;
    int failed = survey_take(survey, db, conn, initing->arena, &worn, initing->err);
    if (!failed && !worn && !initing->zone[0])
        survey_zone(survey, db, conn, initing->zone);
    pool_give(db->pool, NULL, conn, failed || worn ? "a look at a table failed on it" : NULL);
    return failed;
}

static int survey_tables(struct initing *initing, struct db *db)
{
    const char **names = arena_array(initing->arena, initing->list_count + 1, sizeof *names);
    initing->surveys = arena_array(initing->arena, initing->list_count + 1, sizeof *initing->surveys);
    initing->sinks = arena_array(initing->arena, initing->list_count + 1, sizeof *initing->sinks);
    if (!names || !initing->surveys || !initing->sinks ||
        segment_names(initing->list, initing->list_count, names, initing->arena))
        return err_memory(initing->err);
    initing->draft.surveys = initing->surveys;
    initing->draft.sinks = initing->sinks;
    for (size_t i = 0; i < initing->list_count; i++) {
        struct survey *survey = &initing->surveys[i];
        *survey = (struct survey){.listed = &initing->list[i], .name = names[i]};
        initing->draft.count = i + 1;
        if (take_survey(initing, db, survey))
            return -1;
        initing->sinks[i] = survey->relation != NULL;
    }
    return 0;
}

/* The zone in which the server writes is most likely the one in which its clients do. */
static void choose_zone(struct initing *initing)
{
    struct zone *zone = NULL;
    struct err ignored = {0};
    if (!initing->zone[0] || zone_is_utc(initing->zone))
        return;
    if (zone_open(&zone, initing->zone, &ignored)) {
        fprintf(
            initing->notes,
            "WARNING: times without a zone are those of %s to the server, which is no zone here; write the \"timezone\""
            " of the system by hand\n",
            initing->zone);
        return;
    }
    zone_close(zone);
    initing->draft.timezone = initing->zone;
    fprintf(initing->notes, "timezone: %s, the server's own, is taken for that of times without a zone\n",
            initing->zone);
}

static int look_around(struct initing *initing)
{
    struct opened opened = {.config = NULL};
    int failed = open_draft(&opened, initing);
    failed = failed || list_tables(initing, &opened.dbs[0]) || survey_tables(initing, &opened.dbs[0]);
    close_draft(&opened);
    return failed ? -1 : 0;
}

/* trying what was found */

static int try_out(struct initing *initing)
{
    struct opened opened = {.config = NULL};
    struct trial trial = {.surveys = initing->surveys, .sinks = initing->sinks, .count = initing->draft.count};
    int failed = open_draft(&opened, initing);
    for (size_t i = 0; !failed && i < opened.config->source_count; i++)
        failed = trial_source(&trial, opened.sources[i], initing->err);
    for (size_t i = 0; !failed && i < opened.config->sink_count; i++)
        failed = trial_sink(&trial, opened.sinks[i], initing->err);
    trial_free(&trial);
    close_draft(&opened);
    return failed;
}

/* telling */

/* What the sink writes must be seen by the source, too. */
static void note_sink(struct survey *survey)
{
    if (survey->updated == SIZE_MAX || draft_sets_updated(survey))
        return;
    const struct column *column = &survey->relation->columns[survey->updated];
    if (!column->refreshed && !column->transaction && !column->generated)
        buf_printf(&survey->notes,
                   "  WARNING: the sink does not set %s; unless a trigger does, the source misses what it writes\n",
                   column->name);
}

static void tell(const struct initing *initing)
{
    for (size_t i = 0; i < initing->draft.count; i++) {
        struct survey *survey = &initing->surveys[i];
        if (initing->sinks[i])
            note_sink(survey);
        say_name(initing, survey->listed);
        say(initing, ":\n");
        say(initing, buf_text(&survey->notes) ? survey->notes.data : "  no memory for what there is to say\n");
    }
    if (initing->asked)
        fprintf(initing->notes,
                "The configuration reads the password from $" PASSWORD_VARIABLE ", which the service then needs.\n");
    if (initing->init->sesam && (initing->url.path || config_is_loopback(initing->url.host)))
        fprintf(initing->notes, "WARNING: in Sesam's container this database is not where it is here; change its %s\n",
                initing->url.path ? "path" : "host");
    if (!initing->init->sesam)
        fprintf(initing->notes, "Look it over, and run: sesam-sql check --config FILE\n");
}

static int print(struct initing *initing, FILE *out)
{
    struct buf text = {0};
    if (initing->init->sesam && initing->draft.password)
        initing->draft.password = "${" PASSWORD_VARIABLE "}"; /* files of this machine are not there */
    json_t *document = initing->init->sesam ? draft_sesam(&initing->draft) : draft_config(&initing->draft, false);
    int failed = document ? draft_print(document, &text) : -1;
    json_decref(document);
    if (failed)
        err_memory(initing->err);
    else if (fwrite(text.data, 1, text.len, out) != text.len || fflush(out))
        failed = err_set(initing->err, ERR_INTERNAL, "cannot write to standard output");
    buf_free(&text);
    return failed;
}

/* the beginning */

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A file's name without what it ends with. */
static int name_system(struct initing *initing)
{
    const char *name = initing->url.path ? file_name(initing->url.path) : initing->url.database;
    const char *point = initing->url.path ? strrchr(name, '.') : NULL;
    if (point && point > name)
        name = arena_copy(initing->arena, name, (size_t)(point - name));
    initing->draft.system = name ? segment_of(name, "db", initing->arena) : NULL;
    return initing->draft.system ? 0 : err_memory(initing->err);
}

static int make_paths_whole(struct initing *initing)
{
    const char **paths[] = {&initing->url.path, &initing->url.sslrootcert, &initing->url.sslcert, &initing->url.sslkey};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (*paths[i] && !(*paths[i] = password_path(*paths[i], initing->arena)))
            return err_memory(initing->err);
    return 0;
}

static int begin(struct initing *initing)
{
    const struct init *init = initing->init;
    struct url *url = &initing->url;
    if (url_parse(url, init->url, initing->arena, initing->err) || name_system(initing) || make_paths_whole(initing))
        return -1;
    initing->draft.url = url;
    if (url->path)
        return init->password_file ? err_set(initing->err, ERR_CONFIG, "--password-file: SQLite has no passwords") : 0;
    const char *whom = arena_printf(initing->arena, "%s at %s", url->username, url->host ? url->host : "this machine");
    return whom ? password_find(&initing->draft.password, &initing->asked, init->password_file, whom, initing->arena,
                                initing->err)
                : err_memory(initing->err);
}

/* Nobody was asked for one, so that may be all that is wrong. */
static int hint_password(const struct initing *initing)
{
    static const char advice[] =
        "if it wants a password: put it into $" PASSWORD_VARIABLE ", or into a file for --password-file";
    struct err *err = initing->err;
    size_t len = strlen(err->hint);
    if (!initing->url.path && !initing->draft.password && (err->code == ERR_DATABASE || err->code == ERR_AWAY))
        snprintf(err->hint + len, sizeof err->hint - len, "%s%s", len ? "; " : "", advice);
    return -1;
}

int init_run(const struct init *init, FILE *out, FILE *notes, struct err *err)
{
    struct initing initing = {.init = init, .notes = notes, .arena = arena_new(), .err = err};
    if (!initing.arena)
        return err_memory(err);
    int failed = begin(&initing);
    if (!failed && look_around(&initing))
        failed = hint_password(&initing);
    if (!failed) {
        choose_zone(&initing);
        failed = try_out(&initing);
    }
    if (!failed) {
        tell(&initing);
        failed = print(&initing, out);
    }
    for (size_t i = 0; i < initing.draft.count; i++)
        buf_free(&initing.surveys[i].notes);
    arena_free(initing.arena);
    return failed ? -1 : 0;
}
