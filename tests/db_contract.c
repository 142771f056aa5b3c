#include "db_contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_session.h"

const struct config_system *db_contract_system_json(const char *json, struct config **config)
{
    struct buf text = {0}, mistakes = {0};
    struct err err = {0};
    buf_printf(&text, "{\"systems\": {\"test\": %s}}", json);
    if (config_parse(config, buf_text(&text), text.len, "the test's system", &mistakes, &err)) {
        fprintf(stderr, "%s\n%s\n", err.text, buf_text(&mistakes));
        exit(99);
    }
    buf_free(&text);
    buf_free(&mistakes);
    return config_system(*config, "test");
}

const struct config_system *db_contract_system(const char *variable, struct config **config)
{
    const char *json = getenv(variable);
    if (!json || !*json) {
        printf("skipped: %s is not set; run it by tests/with-servers\n", variable);
        return NULL;
    }
    return db_contract_system_json(json, config);
}

/* contract_numbers: 0 .. 99999, in a way that every database understands. */
static void make_numbers(void)
{
    sql_table("digits", "d {integer} not null primary key");
    sql("insert into contract_digits values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)");
    sql_table("numbers", "n {integer} not null primary key");
    sql("insert into contract_numbers select a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d"
        " from contract_digits a, contract_digits b, contract_digits c, contract_digits d, contract_digits e"
        " order by 1");
}

static int group_setup(void **state)
{
    (void)state;
    make_numbers();
    sql_table("written", "id {integer} not null primary key");
    for (const char *const *next = contract->dialect.setup; next && *next; next++)
        sql("%s", *next);
    return 0;
}

static struct CMUnitTest *add(struct CMUnitTest *to, const struct CMUnitTest *from, size_t count)
{
    memcpy(to, from, count * sizeof *to);
    return to + count;
}

struct part {
    const struct CMUnitTest *tests;
    size_t count;
};

static int run_parts(const char *name, const struct part *parts, size_t part_count)
{
    size_t count = 0;
    for (size_t i = 0; i < part_count; i++)
        count += parts[i].count;
    struct CMUnitTest *tests = calloc(count, sizeof *tests), *end = tests;
    if (!tests)
        return 1;
    for (size_t i = 0; i < part_count; i++)
        end = add(end, parts[i].tests, parts[i].count);
    for (size_t i = 0; i < count; i++) {
        tests[i].setup_func = session_setup;
        tests[i].teardown_func = session_teardown;
    }
    int failed = _cmocka_run_group_tests(name, tests, count, group_setup, NULL);
    free(tests);
    return failed;
}

int db_contract_run(const struct db_contract *given)
{
    const struct part parts[] = {
        {contract_describe_tests, contract_describe_count},
        {contract_read_tests, contract_read_count},
        {contract_resume_tests, contract_resume_count},
        {contract_failure_tests, contract_failure_count},
    };
    contract = given;
    return run_parts("db_contract", parts, sizeof parts / sizeof *parts);
}

int db_contract_write_run(const struct db_contract *given)
{
    const struct part parts[] = {
        {contract_write_tests, contract_write_count},
        {contract_sync_tests, contract_sync_count},
    };
    if (!given->driver->insert) {
        fprintf(stderr, "%s: there is no writing side\n", given->driver->type);
        return 1;
    }
    contract = given;
    return run_parts("db_contract_write", parts, sizeof parts / sizeof *parts);
}
