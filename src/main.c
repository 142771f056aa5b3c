/* The command line, the wiring and the signals. */
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/wall.h"
#include "config.h"
#include "config/config.h"
#include "db/db.h"
#include "http/http.h"
#include "ops/check.h"
#include "ops/copy.h"
#include "ops/ddl.h"
#include "ops/init.h"
#include "ops/roles.h"
#include "ops/traffic.h"
#include "push/gate.h"
#include "push/sink.h"

enum { USAGE = 2 }; /* the exit status of a command line that cannot be used */

struct arguments {
    const char *config, *since, *limit, *table, *name, *system, *schema, *password_file;
    bool roles, sesam;
};

/* What most commands need: a configuration, its systems, its sources and its sinks. */
struct app {
    struct config *config;
    struct db *dbs;
    struct source **sources;
    struct sink **sinks;
};

static int fail(const struct err *err)
{
    fprintf(stderr, "sesam-sql: %s\n", err->text);
    if (err->hint[0])
        fprintf(stderr, "sesam-sql: %s\n", err->hint);
    return EXIT_FAILURE;
}

static int usage(const char *what, const char *which)
{
    fprintf(stderr, "sesam-sql: %s%s\nTry 'sesam-sql --help'.\n", what, which);
    return USAGE;
}

static void app_close(struct app *app)
{
    if (app->config) {
        sink_close_all(app->sinks, app->config->sink_count);
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

/* Says what is wrong with it. */
static int read_config(struct config **config, const char *file)
{
    struct err err = {0};
    struct buf mistakes = {0};
    int failed = config_read(config, file, &mistakes, &err);
    if (failed)
        fail(&err);
    if (failed && mistakes.len)
        fprintf(stderr, "%s\n", buf_text(&mistakes));
    buf_free(&mistakes);
    return failed;
}

static int app_open(struct app *app, const char *file, bool serves)
{
    struct err err = {0};
    if (read_config(&app->config, file))
        return -1;
    log_setup(level_of(app->config, serves), app->config->log_format);
    setenv("SQLITE_TMPDIR", app->config->listen.spool_directory, 0); /* no other thread runs yet */
    if (db_open_all(app->config, &app->dbs, &err) || source_open_all(&app->sources, app->config, app->dbs, &err) ||
        sink_open_all(&app->sinks, app->config, app->dbs, app->sources, &err)) {
        fail(&err);
        return -1;
    }
    return 0;
}

/* serve */

static void log_start(const struct config *config, const struct http *http)
{
    log_info("sesam-sql", "version %s, configuration from %s, %zu systems, %zu sources, %zu sinks, listening on %s",
             PACKAGE_VERSION, config->origin, config->system_count, config->source_count, config->sink_count,
             http_url(http));
    for (size_t i = 0; i < config->ignored.count; i++)
        log_info("config", "%s makes no difference here", config->ignored.items[i]);
    for (size_t i = 0; i < config->source_count; i++)
        if (config->sources[i].updated_column && config->sources[i].late_commits.mode != LATE_AUTO)
            log_warning("config", "sources.%s: late_commits %s: rows of %s can be missed until the next full read",
                        config->sources[i].name, config->sources[i].late_commits.mode == LATE_IGNORE ? "ignores" : "settles",
                        config->sources[i].late_commits.mode == LATE_IGNORE ? "transactions that are committed late"
                                                                            : "longer transactions");
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

/* Until a signal to end. SIGHUP is none: it is what renewals of a certificate are told with. */
static void wait_for_signal(struct finish *finish)
{
    int number;
    while (sigwait(&finish->signals, &number) == 0 && number == SIGHUP)
        http_reload(finish->http);
}

/* A second signal does not wait for those who are at work. */
static void *wait_again(void *arg)
{
    struct finish *finish = arg;
    wait_for_signal(finish);
    if (!atomic_load(&finish->drained)) {
        log_warning("sesam-sql", "stopping at once");
        http_abort(finish->http);
    }
    return NULL;
}

static void wait_for_end(struct finish *finish)
{
    pthread_t impatient;
    wait_for_signal(finish);
    log_info("sesam-sql", "stopping: taking no more requests, finishing those at work");
    bool second = pthread_create(&impatient, NULL, wait_again, finish) == 0;
    http_drain(finish->http);
    atomic_store(&finish->drained, true);
    if (second) {
        pthread_kill(impatient, SIGTERM); /* blocked, so only its sigwait takes it */
        pthread_join(impatient, NULL);
    }
}

static int serve_until_end(struct service *service)
{
    struct err err = {0};
    struct finish finish = {.http = NULL};
    sigemptyset(&finish.signals);
    sigaddset(&finish.signals, SIGTERM);
    sigaddset(&finish.signals, SIGINT);
    sigaddset(&finish.signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &finish.signals, NULL); /* before the first thread: all inherit it */
    signal(SIGPIPE, SIG_IGN);
    if (http_start(&finish.http, service, &err))
        return fail(&err);
    log_start(service->config, finish.http);
    log_systems(service->config, service->dbs);
    wait_for_end(&finish);
    http_stop(finish.http);
    log_info("sesam-sql", "stopped");
    return EXIT_SUCCESS;
}

static int serve(struct app *app)
{
    struct err err = {0};
    struct service service = {
        .config = app->config, .dbs = app->dbs, .sources = app->sources, .sinks = app->sinks};
    service.started = wall_microseconds();
    service.gate = gate_new(app->config->listen.max_buffered_bytes);
    service.traffic = routes_traffic();
    int status = EXIT_FAILURE;
    if (service.gate && service.traffic) {
        status = serve_until_end(&service);
    } else {
        err_memory(&err);
        fail(&err);
    }
    traffic_free(service.traffic);
    gate_free(service.gate);
    return status;
}

/* pull */

static struct source *find_source(const struct app *app, const char *name)
{
    for (size_t i = 0; i < app->config->source_count; i++)
        if (strcmp(app->config->sources[i].name, name) == 0)
            return app->sources[i];
    return NULL;
}

static int pull_command(struct app *app, const struct arguments *arguments)
{
    struct err err = {0};
    struct source *source = find_source(app, arguments->name);
    if (!source) {
        err_set(&err, ERR_NOT_FOUND, "the configuration has no source '%s'", arguments->name);
        return fail(&err);
    }
    signal(SIGPIPE, SIG_IGN);
    return copy_run(source, arguments->since, arguments->limit, stdout, &err) ? fail(&err) : EXIT_SUCCESS;
}

/* init */

static int init_command(const struct arguments *arguments)
{
    struct err err = {0};
    const struct init init = {.url = arguments->system,
                              .schema = arguments->schema,
                              .password_file = arguments->password_file,
                              .sesam = arguments->sesam};
    if (!init.url)
        return usage("init lacks --system URL", "");
    log_setup(LOG_WARNING, LOG_TEXT);
    signal(SIGPIPE, SIG_IGN);
    return init_run(&init, stdout, stderr, &err) ? fail(&err) : EXIT_SUCCESS;
}

/* ddl */

/* From the configuration, or an example where there is none. */
static int roles_command(const struct arguments *arguments, enum config_database type)
{
    struct err err = {0};
    struct config *config = NULL;
    if (config_is_given(arguments->config) && read_config(&config, arguments->config))
        return EXIT_FAILURE;
    int failed = roles_print(config, type, stdout, &err);
    config_free(config);
    return failed ? fail(&err) : EXIT_SUCCESS;
}

static int ddl_command(const struct arguments *arguments)
{
    struct err err = {0};
    struct app app = {0};
    enum config_database type;
    if (arguments->roles && arguments->table)
        return usage("--roles and --table are two things", "");
    if (ddl_type(&type, arguments->name))
        return usage("ddl knows postgresql, mysql, mariadb and sqlite, not: ", arguments->name);
    if (arguments->roles)
        return roles_command(arguments, type);
    if (!arguments->table)
        return ddl_print(type, stdout, &err) ? fail(&err) : EXIT_SUCCESS;
    int status = EXIT_FAILURE;
    if (app_open(&app, arguments->config, false) == 0)
        status = ddl_print_log(app.config, app.dbs, type, arguments->table, stdout, &err) ? fail(&err) : EXIT_SUCCESS;
    app_close(&app);
    return status;
}

/* the command line */

static void print_help(FILE *out)
{
    fputs("sesam-sql connects SQL databases to Sesam: it exposes tables over Sesam's JSON pull and push protocols.\n"
          "\n"
          "  sesam-sql init --system URL [--schema NAME] [--password-file FILE] [--sesam]\n"
          "                                      look into a database, and print a configuration for it\n"
          "                                      (with --sesam instead: Sesam's system and pipes, one JSON array)\n"
          "  sesam-sql serve [--config FILE]     run the service until SIGTERM or SIGINT; SIGHUP reads its\n"
          "                                      certificate again\n"
          "  sesam-sql check [--config FILE]     look at everything the configuration names, and report\n"
          "  sesam-sql pull NAME [--since T] [--limit N] [--config FILE]\n"
          "                                      write a source's entities to standard output\n"
          "  sesam-sql ddl TYPE                  print the SQL of our own tables in a database of this type:\n"
          "                                      postgresql, mysql, mariadb or sqlite\n"
          "  sesam-sql ddl TYPE --table [SCHEMA.]NAME [--config FILE]\n"
          "                                      print the SQL of the change log of a table\n"
          "  sesam-sql ddl TYPE --roles [--config FILE]\n"
          "                                      print the SQL that gives roles what the configuration needs, and\n"
          "                                      nothing else\n"
          "  sesam-sql --keys                    print every key of the configuration, as Markdown\n"
          "  sesam-sql --version | --help\n"
          "\n"
          "The configuration is the JSON in FILE, else in $SESAM_SQL_CONFIG, else in the file that\n"
          "$SESAM_SQL_CONFIG_FILE names. A URL is postgresql://USER@HOST:PORT/DATABASE, mysql:// or mariadb://\n"
          "likewise, or sqlite:PATH; its password comes from $SESAM_SQL_PASSWORD, the file, or the terminal.\n",
          out);
}

static int print_keys(void)
{
    struct buf text = {0};
    int failed = config_reference(&text) || fwrite(text.data, 1, text.len, stdout) != text.len;
    buf_free(&text);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(const char *command, const struct arguments *arguments)
{
    struct app app = {0};
    int status = EXIT_FAILURE;
    if (app_open(&app, arguments->config, strcmp(command, "serve") == 0) == 0) {
        if (strcmp(command, "serve") == 0)
            status = serve(&app);
        else if (strcmp(command, "check") == 0)
            status = check_run(app.config, app.dbs, app.sources, app.sinks, stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
        else
            status = pull_command(&app, arguments);
    }
    app_close(&app);
    return status;
}

/* The commands, and what they want behind them. */
static const struct command {
    const char *word, *wants; /* wants NULL: nothing */
} commands[] = {{"init", NULL},
                {"serve", NULL},
                {"check", NULL},
                {"pull", "the name of a source"},
                {"ddl", "a type of database"}};

static const struct command *find_command(const char *word)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].word, word) == 0)
            return &commands[i];
    return NULL;
}

static int parse_words(int argc, char **argv, struct arguments *arguments)
{
    if (optind == argc)
        return usage("a command is missing", "");
    const char *word = argv[optind++];
    const struct command *command = find_command(word);
    if (!command)
        return usage("unknown command: ", word);
    if (command->wants && optind == argc)
        return usage("the command line lacks ", command->wants);
    if (command->wants)
        arguments->name = argv[optind++];
    if (optind < argc)
        return usage("too many arguments, from: ", argv[optind]);
    if (strcmp(word, "pull") != 0 && (arguments->since || arguments->limit))
        return usage("--since and --limit are for pull", "");
    if (strcmp(word, "ddl") != 0 && (arguments->table || arguments->roles))
        return usage("--table and --roles are for ddl", "");
    if (strcmp(word, "init") != 0 &&
        (arguments->system || arguments->schema || arguments->password_file || arguments->sesam))
        return usage("--system, --schema, --password-file and --sesam are for init", "");
    if (strcmp(word, "init") == 0)
        return arguments->config ? usage("init takes no --config: it prints one", "") : init_command(arguments);
    return strcmp(word, "ddl") == 0 ? ddl_command(arguments) : run(word, arguments);
}

/* What a request has held goes back to the system. By itself, glibc takes the size of the largest block that was given
 * back for the least that is mapped alone, keeps all smaller ones, and has eight arenas a processor to keep them in. */
static void give_memory_back(void)
{
#ifdef __GLIBC__
    enum { MAPPED_ALONE = 128 * 1024, KEPT = 256 * 1024, ARENAS = 4 };
    mallopt(M_MMAP_THRESHOLD, MAPPED_ALONE);
    mallopt(M_TRIM_THRESHOLD, KEPT);
    mallopt(M_ARENA_MAX, ARENAS);
#endif
}

int main(int argc, char **argv)
{
    give_memory_back();
    enum { OPTION_CONFIG = 1, OPTION_SINCE, OPTION_LIMIT, OPTION_TABLE, OPTION_ROLES, OPTION_KEYS, OPTION_VERSION,
           OPTION_SYSTEM, OPTION_SCHEMA, OPTION_PASSWORD_FILE, OPTION_SESAM };
    static const struct option options[] = {
        {"config", required_argument, NULL, OPTION_CONFIG}, {"since", required_argument, NULL, OPTION_SINCE},
        {"limit", required_argument, NULL, OPTION_LIMIT},   {"table", required_argument, NULL, OPTION_TABLE},
        {"roles", no_argument, NULL, OPTION_ROLES},         {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, 'h'},                   {"keys", no_argument, NULL, OPTION_KEYS},
        {"system", required_argument, NULL, OPTION_SYSTEM}, {"schema", required_argument, NULL, OPTION_SCHEMA},
        {"sesam", no_argument, NULL, OPTION_SESAM},         {"password-file", required_argument, NULL, OPTION_PASSWORD_FILE},
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
        case OPTION_TABLE:
            arguments.table = optarg;
            break;
        case OPTION_ROLES:
            arguments.roles = true;
            break;
        case OPTION_SYSTEM:
            arguments.system = optarg;
            break;
        case OPTION_SCHEMA:
            arguments.schema = optarg;
            break;
        case OPTION_PASSWORD_FILE:
            arguments.password_file = optarg;
            break;
        case OPTION_SESAM:
            arguments.sesam = true;
            break;
        case OPTION_VERSION:
            puts("sesam-sql " PACKAGE_VERSION);
            return EXIT_SUCCESS;
        case OPTION_KEYS:
            return print_keys();
        case 'h':
            print_help(stdout);
            return EXIT_SUCCESS;
        default:
            return usage("the command line cannot be used", "");
        }
    }
    return parse_words(argc, argv, &arguments);
}
