/* The PostgreSQL driver against the contract of drivers. */
#include <stdio.h>

#include <libpq-fe.h>

#include "db_contract.h"

static int run(void *arg, const char *statement)
{
    PGresult *result = PQexec(arg, statement);
    ExecStatusType status = PQresultStatus(result);
    int failed = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : -1;
    if (failed)
        fprintf(stderr, "%s", PQerrorMessage(arg));
    PQclear(result);
    return failed;
}

static PGconn *native(const struct config_system *system)
{
    char port[16];
    snprintf(port, sizeof port, "%u", system->port);
    PGconn *pg =
        PQsetdbLogin(system->host, port, NULL, NULL, system->database, system->username, system->password);
    PQclear(PQexec(pg, "set client_min_messages = warning; set timezone = 'UTC'"));
    return pg;
}

static const char *const setup[] = {
    "create collation if not exists contract_folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    "create or replace function contract_write() returns bigint language sql"
    " as 'insert into contract_written values (1) returning id'",
    NULL,
};

int main(void)
{
    struct config *config = NULL;
    const struct config_system *system = db_contract_system("SESAM_SQL_TEST_POSTGRESQL", &config);
    if (!system)
        return DB_CONTRACT_SKIP;
    PGconn *pg = native(system);
    struct db_contract contract = {
        .driver = &driver_postgresql,
        .system = system,
        .sql = run,
        .arg = pg,
        .dialect = {.quote = '"',
                    .integer = "bigint",
                    .text = "text",
                    .key_text = "text collate \"C\"",
                    .folded = "text collate contract_folded",
                    .text_without_nul = true,
                    .datetime = "timestamp(6) with time zone",
                    .uuid = "uuid",
                    .long_text = "repeat('x', 1048576)",
                    .failing = "10 / (r.id - 5000)",
                    .slow = "select 1 as id from (select pg_sleep(60)) s",
                    .writing = "select contract_write() as id",
                    .setup = setup},
    };
    int failed = db_contract_run(&contract);
    failed += db_contract_write_run(&contract);
    PQfinish(pg);
    config_free(config);
    return failed;
}
