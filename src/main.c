/* The command line, the wiring and the signals. */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "config.h"
#include "config/config.h"
#include "db/db.h"
#include "http/http.h"
#include "ops/check.h"
#include "pull/pull.h"

struct arguments {
    const char *config, *since, *limit, *name;
};

/* What every command needs: a configuration, its systems and its sources. */
struct app {
    struct config *config;
    struct db *dbs;
    struct source **sources;
};

static int fail(const struct err *err)
{
    fprintf(stderr, "sesam-sql: %s\n", err->text);
    if (err->hint[0])
        fprintf(stderr, "sesam-sql: %s\n", err->hint);
    return EXIT_FAILURE;
}

static void app_close(struct app *app)
{
    if (app->config) {
        source_close_all(app->sources, app->config->source_count);
        db_close_all(app->config, app->dbs);
    }
    config_free(app->config);
}

/* A command that ends talks by its output: only what is wrong goes to the log. */
static enum log_level level_of(const struct config *config, bool serves)
{
    return serves || config->log_level == LOG_DEBUG || config->log_level > LOG_WARNING ? config->log_level : LOG_WARNING;
}

static int app_open(struct app *app, const char *file, bool serves)
{
    struct err err = {0};
    struct buf mistakes = {0};
    int failed = config_read(&app->config, file, &mistakes, &err) ||
                 db_open_all(app->config, &app->dbs, &err) ||
                 source_open_all(&app->sources, app->config, app->dbs, &err);
    if (failed) {
        fail(&err);
        if (mistakes.len)
            fprintf(stderr, "%s\n", buf_text(&mistakes));
    } else {
        log_setup(level_of(app->config, serves), app->config->log_format);
        setenv("SQLITE_TMPDIR", app->config->listen.spool_directory, 0); /* no other thread runs yet */
    }
    buf_free(&mistakes);
    return failed ? -1 : 0;
}

/* serve */

static void log_start(const struct config *config, const struct http *http)
{
    log_info("sesam-sql", "version %s, configuration from %s, %zu systems, %zu sources, listening on %s",
             PACKAGE_VERSION, config->origin, config->system_count, config->source_count, http_url(http));
    for (size_t i = 0; i < config->ignored.count; i++)
        log_info("config", "%s makes no difference here", config->ignored.items[i]);
    for (size_t i = 0; i < config->source_count; i++)
        if (config->sources[i].updated_column && config->sources[i].late_commits.mode != LATE_IGNORE)
            log_warning("config",
                        "sources.%s: late_commits is taken as \"ignore\" by this version: rows that are committed late "
                        "can be missed until the next full read",
                        config->sources[i].name);
    for (size_t i = 0; i < config->sink_count; i++)
        log_warning("config", "sinks.%s: this version does not push yet", config->sinks[i].name);
}

/* Says which systems do not answer; they are no reason not to start. */
static void log_systems(const struct config *config, struct db *dbs)
{
    for (size_t i = 0; i < config->system_count; i++) {
        struct err err = {0};
        struct conn *conn = NULL;
        bool fresh;
        if (pool_take(dbs[i].pool, NULL, &conn, &fresh, &err)) {
            log_warning("sesam-sql", "%s%s%s", err.text, err.hint[0] ? "; " : "", err.hint);
            continue;
        }
        log_info("sesam-sql", "system %s is %s", dbs[i].system->name, dbs[i].driver->server(conn));
        pool_give(dbs[i].pool, NULL, conn, NULL);
    }
}

struct finish {
    struct http *http;
    sigset_t signals;
    atomic_bool drained;
};

/* A second signal does not wait for those who are at work. */
static void *wait_again(void *arg)
{
    struct finish *finish = arg;
    int number;
    sigwait(&finish->signals, &number);
    if (!atomic_load(&finish->drained)) {
        log_warning("sesam-sql", "stopping at once");
        http_abort(finish->http);
    }
    return NULL;
}

static void wait_for_end(struct finish *finish)
{
    int number;
    pthread_t impatient;
    sigwait(&finish->signals, &number);
    log_info("sesam-sql", "stopping: taking no more requests, finishing those at work");
    bool second = pthread_create(&impatient, NULL, wait_again, finish) == 0;
    http_drain(finish->http);
    atomic_store(&finish->drained, true);
    if (second) {
        pthread_kill(impatient, SIGTERM); /* blocked, so only its sigwait takes it */
        pthread_join(impatient, NULL);
    }
}

static int serve(struct app *app)
{
    struct err err = {0};
    struct service service = {.config = app->config, .dbs = app->dbs, .sources = app->sources};
    struct finish finish = {.http = NULL};
    sigemptyset(&finish.signals);
    sigaddset(&finish.signals, SIGTERM);
    sigaddset(&finish.signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &finish.signals, NULL); /* before the first thread: all inherit it */
    signal(SIGPIPE, SIG_IGN);
    if (http_start(&finish.http, &service, &err))
        return fail(&err);
    log_start(app->config, finish.http);
    log_systems(app->config, app->dbs);
    wait_for_end(&finish);
    http_stop(finish.http);
    log_info("sesam-sql", "stopped");
    return EXIT_SUCCESS;
}

/* pull */

static struct source *find_source(const struct app *app, const char *name)
{
    for (size_t i = 0; i < app->config->source_count; i++)
        if (strcmp(app->config->sources[i].name, name) == 0)
            return app->sources[i];
    return NULL;
}

static int copy_out(struct pull *pull, struct err *err)
{
    enum { BLOCK = 131072 };
    char *block = malloc(BLOCK);
    if (!block)
        return err_memory(err);
    ssize_t got;
    while ((got = pull_read(pull, block, BLOCK, err)) > 0)
        if (fwrite(block, 1, (size_t)got, stdout) != (size_t)got) {
            got = err_set(err, ERR_INTERNAL, "cannot write to standard output");
            break;
        }
    free(block);
    if (got == 0 && fflush(stdout))
        got = err_set(err, ERR_INTERNAL, "cannot write to standard output");
    return got < 0 ? -1 : 0;
}

static int pull_command(struct app *app, const struct arguments *arguments)
{
    struct err err = {0};
    struct pull *pull = NULL;
    struct pull_parameter parameters[2];
    struct pull_request request = {.parameters = parameters};
    struct source *source = find_source(app, arguments->name);
    if (!source) {
        err_set(&err, ERR_NOT_FOUND, "the configuration has no source '%s'", arguments->name);
        return fail(&err);
    }
    if (arguments->since)
        parameters[request.count++] = (struct pull_parameter){"since", arguments->since};
    if (arguments->limit)
        parameters[request.count++] = (struct pull_parameter){"limit", arguments->limit};
    signal(SIGPIPE, SIG_IGN);
    int failed = pull_open(&pull, source, &request, &err) || copy_out(pull, &err);
    pull_close(pull, failed ? err.text : NULL);
    return failed ? fail(&err) : EXIT_SUCCESS;
}

/* the command line */

static void print_help(FILE *out)
{
    fputs("sesam-sql connects SQL databases to Sesam: it exposes tables over Sesam's JSON pull protocol.\n"
          "\n"
          "  sesam-sql serve [--config FILE]     run the service until SIGTERM or SIGINT\n"
          "  sesam-sql check [--config FILE]     look at everything the configuration names, and report\n"
          "  sesam-sql pull NAME [--since T] [--limit N] [--config FILE]\n"
          "                                      write a source's entities to standard output\n"
          "  sesam-sql --keys                    print every key of the configuration, as Markdown\n"
          "  sesam-sql --version | --help\n"
          "\n"
          "The configuration is the JSON in FILE, else in $SESAM_SQL_CONFIG, else in the file that\n"
          "$SESAM_SQL_CONFIG_FILE names.\n",
          out);
}

static int print_keys(void)
{
    struct buf text = {0};
    int failed = config_reference(&text) || fwrite(text.data, 1, text.len, stdout) != text.len;
    buf_free(&text);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int usage(const char *what, const char *which)
{
    fprintf(stderr, "sesam-sql: %s%s\nTry 'sesam-sql --help'.\n", what, which);
    return 2;
}

static int run(const char *command, const struct arguments *arguments)
{
    struct app app = {0};
    int status = EXIT_FAILURE;
    if (app_open(&app, arguments->config, strcmp(command, "serve") == 0) == 0) {
        if (strcmp(command, "serve") == 0)
            status = serve(&app);
        else if (strcmp(command, "check") == 0)
            status = check_run(app.config, app.dbs, app.sources, stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
        else
            status = pull_command(&app, arguments);
    }
    app_close(&app);
    return status;
}

static bool is_command(const char *word)
{
    return strcmp(word, "serve") == 0 || strcmp(word, "check") == 0 || strcmp(word, "pull") == 0;
}

int main(int argc, char **argv)
{
    enum { OPTION_CONFIG = 1, OPTION_SINCE, OPTION_LIMIT, OPTION_KEYS, OPTION_VERSION, OPTION_HELP };
    static const struct option options[] = {
        {"config", required_argument, NULL, OPTION_CONFIG}, {"since", required_argument, NULL, OPTION_SINCE},
        {"limit", required_argument, NULL, OPTION_LIMIT},   {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, OPTION_HELP},           {"keys", no_argument, NULL, OPTION_KEYS},
        {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {0};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case OPTION_CONFIG:
            arguments.config = optarg;
            break;
        case OPTION_SINCE:
            arguments.since = optarg;
            break;
        case OPTION_LIMIT:
            arguments.limit = optarg;
            break;
        case OPTION_VERSION:
            puts("sesam-sql " PACKAGE_VERSION);
            return EXIT_SUCCESS;
        case OPTION_KEYS:
            return print_keys();
        case 'h':
        case OPTION_HELP:
            print_help(stdout);
            return EXIT_SUCCESS;
        default:
            return usage("the command line cannot be used", "");
        }
    }
    if (optind == argc)
        return usage("a command is missing", "");
    const char *command = argv[optind++];
    if (!is_command(command))
        return usage("unknown command: ", command);
    bool pulls = strcmp(command, "pull") == 0;
    if (pulls && optind == argc)
        return usage("pull needs the name of a source", "");
    if (pulls)
        arguments.name = argv[optind++];
    if (optind < argc)
        return usage("too many arguments, from: ", argv[optind]);
    if (!pulls && (arguments.since || arguments.limit))
        return usage("--since and --limit are for pull", "");
    return run(command, &arguments);
}
