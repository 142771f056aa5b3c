/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "pull/request.h"
#include "scripted.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* a source of one column of each kind */

enum { ID, NAME, AMOUNT, FLAG, WHEN, WALL, DAY, CODE, DATA, ANY, LIST, COLUMNS };

static const struct column table[COLUMNS] = {
    [ID] = {.name = "id", .type = "integer", .kind = KIND_INT, .position = POSITION_INTEGER},
    [NAME] = {.name = "name", .type = "text", .kind = KIND_TEXT, .position = POSITION_TEXT},
    [AMOUNT] = {.name = "amount", .type = "numeric", .kind = KIND_DECIMAL, .position = POSITION_TEXT},
    [FLAG] = {.name = "flag", .type = "boolean", .kind = KIND_BOOL, .position = POSITION_TEXT},
    [WHEN] = {.name = "when", .type = "timestamptz", .kind = KIND_DATETIME, .position = POSITION_DATETIME},
    [WALL] = {.name = "wall", .type = "timestamp", .kind = KIND_DATETIME, .position = POSITION_DATETIME, .zoneless = true},
    [DAY] = {.name = "day", .type = "date", .kind = KIND_DATE, .position = POSITION_DATE},
    [CODE] = {.name = "code", .type = "uuid", .kind = KIND_UUID, .position = POSITION_UUID},
    [DATA] = {.name = "data", .type = "bytea", .kind = KIND_BYTES, .position = POSITION_TEXT},
    [ANY] = {.name = "any", .type = "", .kind = KIND_TEXT, .position = POSITION_ANY},
    [LIST] = {.name = "list", .type = "integer[]", .kind = KIND_LIST, .position = POSITION_TEXT},
};

struct world {
    struct script script;
    struct column columns[COLUMNS];
    size_t key[1];
    struct config_source source;
    struct config config;
    struct db db;
    struct source **sources;
    struct conn *conn;
    struct shape *shape;
    struct arena *arena;
};

static void begin_world(struct world *world)
{
    *world = (struct world){
        .source = {.name = "s", .table = "t", .updated_column = "id", .is_chronological_full = true}};
    memcpy(world->columns, table, sizeof table);
    script_begin(&world->script);
    world->script.system.timezone = "Europe/Oslo";
    world->script.relation = (struct relation){
        .columns = world->columns, .column_count = COLUMNS, .key = world->key, .key_count = 1, .title = "t"};
}

static void open_world(struct world *world)
{
    struct err err = {0};
    bool fresh;
    world->source.system = &world->script.system;
    world->config = (struct config){
        .systems = &world->script.system, .system_count = 1, .sources = &world->source, .source_count = 1};
    world->db = (struct db){.system = &world->script.system, .driver = &script_driver};
    world->db.pool = pool_new(&script_driver, &world->script.system);
    world->arena = arena_new();
    if (source_open_all(&world->sources, &world->config, &world->db, &err) ||
        pool_take(world->db.pool, NULL, &world->conn, &fresh, &err) ||
        source_take(world->sources[0], world->conn, true, &world->shape, &fresh, &err))
        fail_msg("%s", err.text);
}

static void close_world(struct world *world)
{
    source_give(world->shape);
    pool_give(world->db.pool, NULL, world->conn, NULL);
    source_close_all(world->sources, 1);
    pool_free(world->db.pool);
    arena_free(world->arena);
}

/* Parameters end with a name of NULL. */
static int check(struct world *world, const struct pull_parameter *parameters, struct wanted *wanted,
                 struct err *err)
{
    struct pull_request request = {.parameters = parameters};
    while (parameters[request.count].name)
        request.count++;
    *err = (struct err){0};
    return request_check(wanted, &request, world->sources[0], world->shape, world->arena, err);
}

static void taken(struct world *world, const struct pull_parameter *parameters, struct wanted *wanted)
{
    struct err err;
    if (check(world, parameters, wanted, &err))
        fail_msg("%s=%s: %s", parameters->name, parameters->value, err.text);
}

static void refused(struct world *world, const struct pull_parameter *parameters, enum err_code code,
                    const char *word)
{
    struct wanted wanted;
    struct err err;
    if (check(world, parameters, &wanted, &err) == 0)
        fail_msg("%s=%s was taken", parameters->name, parameters->value);
    if (err.code != code || !strstr(err.text, word))
        fail_msg("%s=%s: error %d: %s", parameters->name, parameters->value, err.code, err.text);
}
#define PARAMETERS(...) ((const struct pull_parameter[]){__VA_ARGS__, {NULL, NULL}})

/* since and limit */

static void a_request_for_nothing_in_particular_wants_everything(void **state)
{
    struct world world;
    struct wanted wanted;
    (void)state;
    begin_world(&world);
    open_world(&world);
    taken(&world, PARAMETERS({NULL, NULL}), &wanted);
    assert_false(wanted.has_since);
    assert_int_equal(wanted.since.kind, SINCE_START);
    assert_true(wanted.limit == UINT64_MAX);
    assert_int_equal(wanted.filter_count, 0);
    assert_int_equal(wanted.bound_count, 0);
    close_world(&world);
}

static void a_limit_is_a_natural_number(void **state)
{
    static const struct {
        const char *text;
        uint64_t limit;
    } good[] = {{"0", 0},
                {"1", 1},
                {"0010", 10},
                {"9223372036854775806", INT64_MAX - 1},
                {"9223372036854775807", UINT64_MAX},
                {"18446744073709551614", UINT64_MAX},
                {"99999999999999999999999", UINT64_MAX}};
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1.0", "1e3", "all", "0x10"};
    struct world world;
    struct wanted wanted;
    (void)state;
    begin_world(&world);
    open_world(&world);
    for (size_t i = 0; i < COUNT(good); i++) {
        taken(&world, PARAMETERS({"limit", good[i].text}), &wanted);
        assert_true(wanted.limit == good[i].limit);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        refused(&world, PARAMETERS({"limit", bad[i]}), ERR_INPUT, "'limit'");
    close_world(&world);
}

static void a_parameter_that_comes_twice_is_refused(void **state)
{
    struct world world;
    struct wanted wanted;
    (void)state;
    begin_world(&world);
    open_world(&world);
    refused(&world, PARAMETERS({"limit", "1"}, {"limit", "1"}), ERR_INPUT, "more than once");
    refused(&world, PARAMETERS({"since", "1"}, {"limit", "1"}, {"since", "2"}), ERR_INPUT, "more than once");
    taken(&world, PARAMETERS({"other", "1"}, {"other", "2"}, {"limit", "5"}), &wanted);
    assert_int_equal(wanted.limit, 5);
    close_world(&world);
}

static void a_bad_since_keeps_its_code(void **state)
{
    struct world world;
    struct wanted wanted;
    (void)state;
    begin_world(&world);
    open_world(&world);
    refused(&world, PARAMETERS({"since", "x"}), ERR_INPUT, "'since'");
    refused(&world, PARAMETERS({"since", "1!2!3"}), ERR_GONE, "token");
    taken(&world, PARAMETERS({"since", "5"}), &wanted);
    assert_true(wanted.has_since);
    assert_int_equal(wanted.since.kind, SINCE_FROM);
    close_world(&world);
}

/* the query's own parameters */

static struct config_parameter parameters[] = {
    {.name = "text", .type = PARAMETER_STRING},
    {.name = "number",
     .type = PARAMETER_INTEGER,
     .has_default = true,
     .def = {.type = CONFIG_INTEGER, .text = "7"}},
    {.name = "amount", .type = PARAMETER_DECIMAL},
    {.name = "yes",
     .type = PARAMETER_BOOLEAN,
     .has_default = true,
     .def = {.type = CONFIG_BOOL, .boolean = true}},
    {.name = "when", .type = PARAMETER_DATETIME},
    {.name = "day", .type = PARAMETER_DATE},
};

static void begin_query(struct world *world)
{
    begin_world(world);
    world->source.table = NULL;
    world->source.query = "select";
    world->source.parameters = parameters;
    world->source.parameter_count = COUNT(parameters);
}

static const char *bound(const struct wanted *wanted, const char *name)
{
    assert_int_equal(wanted->bound_count, COUNT(parameters));
    for (size_t i = 0; i < wanted->bound_count; i++)
        if (strcmp(wanted->bounds[i].parameter->name, name) == 0)
            return wanted->bounds[i].text;
    fail_msg("no parameter %s", name);
    return NULL;
}

static void parameters_are_bound_as_their_type_says(void **state)
{
    static const struct {
        const char *name, *value, *text; /* text NULL: refused */
    } cases[] = {
        {"text", "", ""},
        {"text", "NO", "NO"},
        {"text", "' or 1=1 --", "' or 1=1 --"},
        {"text", "bl\xC3\xA5", "bl\xC3\xA5"},
        {"text", "\xFF", NULL},
        {"number", "12", "12"},
        {"number", "-12", "-12"},
        {"number", "9223372036854775807", "9223372036854775807"},
        {"number", "-9223372036854775808", "-9223372036854775808"},
        {"number", "9223372036854775808", NULL},
        {"number", "", NULL},
        {"number", "-", NULL},
        {"number", "+1", NULL},
        {"number", "1.0", NULL},
        {"number", "1 or 1", NULL},
        {"number", " 1", NULL},
        {"amount", "12", "12"},
        {"amount", "-12.50", "-12.50"},
        {"amount", "123456789012345678901234567890.5", "123456789012345678901234567890.5"},
        {"amount", "1.", NULL},
        {"amount", ".5", NULL},
        {"amount", "1e5", NULL},
        {"amount", "NaN", NULL},
        {"amount", "1.5.5", NULL},
        {"amount", "", NULL},
        {"yes", "true", "true"},
        {"yes", "1", "true"},
        {"yes", "false", "false"},
        {"yes", "0", "false"},
        {"yes", "yes", NULL},
        {"yes", "", NULL},
        {"when", "2024-01-31T23:59:59Z", "2024-01-31 23:59:59"},
        {"when", "~t2024-01-31T23:59:59.50Z", "2024-01-31 23:59:59.5"},
        {"when", "2024-01-31T23:59:50.000010Z", "2024-01-31 23:59:50.00001"},
        {"when", "2024-01-31T01:00:00+01:00", "2024-01-31 00:00:00"},
        {"when", "2024-01-31", "2024-01-31 00:00:00"},
        {"when", "2024-01-31 10:20", "2024-01-31 10:20:00"},
        {"when", "now", NULL},
        {"when", "", NULL},
        {"day", "2024-01-31", "2024-01-31"},
        {"day", "~t2024-02-29", "2024-02-29"},
        {"day", "2024-01-31T00:00:00Z", NULL},
        {"day", "2023-02-29", NULL},
    };
    struct world world;
    (void)state;
    begin_query(&world);
    open_world(&world);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wanted wanted;
        if (!cases[i].text) {
            refused(&world, PARAMETERS({cases[i].name, cases[i].value}), ERR_INPUT, cases[i].name);
            continue;
        }
        taken(&world, PARAMETERS({cases[i].name, cases[i].value}), &wanted);
        assert_string_equal(bound(&wanted, cases[i].name), cases[i].text);
    }
    close_world(&world);
}

static void what_does_not_come_has_its_default_or_is_null(void **state)
{
    struct world world;
    struct wanted wanted;
    (void)state;
    begin_query(&world);
    open_world(&world);
    taken(&world, PARAMETERS({"limit", "1"}), &wanted);
    assert_string_equal(bound(&wanted, "number"), "7");
    assert_string_equal(bound(&wanted, "yes"), "true");
    assert_null(bound(&wanted, "text"));
    assert_null(bound(&wanted, "when"));
    close_world(&world);
}

static void a_required_parameter_must_come(void **state)
{
    static struct config_parameter required[] = {
        {.name = "text", .type = PARAMETER_STRING, .required = true}};
    struct world world;
    struct wanted wanted;
    (void)state;
    begin_query(&world);
    world.source.parameters = required;
    world.source.parameter_count = 1;
    open_world(&world);
    refused(&world, PARAMETERS({"limit", "1"}), ERR_INPUT, "'text' is missing");
    taken(&world, PARAMETERS({"text", ""}), &wanted);
    close_world(&world);
}

static void a_name_that_nobody_declared_is_refused_where_there_are_parameters(void **state)
{
    struct world world;
    struct wanted wanted;
    (void)state;
    begin_query(&world);
    open_world(&world);
    refused(&world, PARAMETERS({"txet", "NO"}), ERR_INPUT, "'txet'");
    refused(&world, PARAMETERS({"text", "NO"}, {"text", "SE"}), ERR_INPUT, "more than once");
    close_world(&world);
    begin_world(&world);
    open_world(&world);
    taken(&world, PARAMETERS({"txet", "NO"}), &wanted);
    close_world(&world);
}

/* subsets */

static void a_subset_is_a_filter_in_the_columns_own_form(void **state)
{
    static const struct {
        const char *subset;
        size_t column;
        enum config_value_type type;
        const char *text;
    } cases[] = {
        {"[\"eq\",\"_S.id\",5]", ID, CONFIG_INTEGER, "5"},
        {"[\"eq\",\"_S.id\",-5]", ID, CONFIG_INTEGER, "-5"},
        {"[\"eq\",\"_S.id\",\"5\"]", ID, CONFIG_STRING, "5"},
        {" [ \"eq\" , \"_S.title\" , \"NO\" ] ", NAME, CONFIG_STRING, "NO"},
        {"[\"eq\",\"_S.name\",\"NO\"]", NAME, CONFIG_STRING, "NO"},
        {"[\"eq\",\"_S.title\",\"\"]", NAME, CONFIG_STRING, ""},
        {"[\"eq\",\"_S.title\",\"~~t\"]", NAME, CONFIG_STRING, "~t"},
        {"[\"eq\",\"_S.title\",\"bl\\u00e5\"]", NAME, CONFIG_STRING, "bl\xC3\xA5"},
        {"[\"eq\",\"_S.amount\",\"~f1.50\"]", AMOUNT, CONFIG_STRING, "1.50"},
        {"[\"eq\",\"_S.amount\",\"1.50\"]", AMOUNT, CONFIG_STRING, "1.50"},
        {"[\"eq\",\"_S.amount\",2]", AMOUNT, CONFIG_INTEGER, "2"},
        {"[\"eq\",\"_S.flag\",true]", FLAG, CONFIG_BOOL, NULL},
        {"[\"eq\",\"_S.when\",\"~t2024-01-31T10:00:00Z\"]", WHEN, CONFIG_STRING, "2024-01-31 10:00:00"},
        {"[\"eq\",\"_S.wall\",\"~t2024-01-31T10:00:00Z\"]", WALL, CONFIG_STRING, "2024-01-31 11:00:00"},
        {"[\"eq\",\"_S.wall\",\"~t2024-07-31T22:30:00.5Z\"]", WALL, CONFIG_STRING, "2024-08-01 00:30:00.5"},
        {"[\"eq\",\"_S.day\",\"~t2024-01-31\"]", DAY, CONFIG_STRING, "2024-01-31"},
        {"[\"eq\",\"_S.code\",\"~u531A379E31BB4CE18690158DCEB64BE6\"]", CODE, CONFIG_STRING, "531a379e-31bb-4ce1-8690-158dceb64be6"},
        {"[\"eq\",\"_S.any\",5]", ANY, CONFIG_INTEGER, "5"},
        {"[\"eq\",\"_S.any\",false]", ANY, CONFIG_BOOL, NULL},
        {"[\"eq\",\"_S.any\",\"x\"]", ANY, CONFIG_STRING, "x"},
    };
    static struct config_pair properties[] = {{"name", "title"}};
    struct world world;
    (void)state;
    begin_world(&world);
    world.source.properties = properties;
    world.source.property_count = 1;
    open_world(&world);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wanted wanted;
        taken(&world, PARAMETERS({"subset", cases[i].subset}), &wanted);
        assert_int_equal(wanted.filter_count, 1);
        assert_int_equal(wanted.filters->column, cases[i].column);
        assert_int_equal(wanted.filters->value.type, cases[i].type);
        if (cases[i].text)
            assert_string_equal(wanted.filters->value.text, cases[i].text);
        else
            assert_int_equal(wanted.filters->value.boolean, strstr(cases[i].subset, "true") != NULL);
    }
    close_world(&world);
}

static void any_other_subset_is_not_found(void **state)
{
    static const char *const subsets[] = {
        "", "x", "null", "5", "\"eq\"", "{}", "[]", "[\"eq\"]", "[\"eq\",\"_S.id\"]", "[\"eq\",\"_S.id\",5,6]",
        "[\"eq\",\"_S.id\",5", "[\"eq\",\"_S.id\",5]]", "[\"gt\",\"_S.id\",5]", "[\"eq\",\"_T.id\",5]", "[\"eq\",\"id\",5]",
        "[\"eq\",5,\"_S.id\"]", "[\"eq\",\"_S.\",5]", "[\"eq\",\"_S.nothing\",5]", "[\"eq\",\"_S.hidden\",5]",
        "[\"eq\",[\"_S.id\"],5]", "[5,\"_S.id\",5]",
        /* values that the column cannot have */
        "[\"eq\",\"_S.id\",null]", "[\"eq\",\"_S.id\",[5]]", "[\"eq\",\"_S.id\",{}]", "[\"eq\",\"_S.id\",true]",
        "[\"eq\",\"_S.id\",5.5]", "[\"eq\",\"_S.id\",\"x\"]", "[\"eq\",\"_S.id\",\"\"]", "[\"eq\",\"_S.id\",\"5; drop\"]",
        "[\"eq\",\"_S.id\",99999999999999999999]", "[\"eq\",\"_S.amount\",\"~fNaN\"]", "[\"eq\",\"_S.amount\",1.5]",
        "[\"eq\",\"_S.flag\",\"true\"]", "[\"eq\",\"_S.when\",5]", "[\"eq\",\"_S.when\",\"now\"]",
        "[\"eq\",\"_S.day\",\"2024-01-31T10:00Z\"]", "[\"eq\",\"_S.code\",\"x\"]", "[\"eq\",\"_S.data\",\"AA==\"]",
        "[\"eq\",\"_S.list\",\"1\"]", "[\"eq\",\"_S.name\",\"a\\u0000b\"]", "[\"eq\",\"_S.name\",\"\xFF\"]",
        /* the zone pushes it over the edge of the calendar */
        "[\"eq\",\"_S.wall\",\"~t9999-12-31T23:30:00Z\"]",
    };
    static const char *black[] = {"hidden"};
    struct world world;
    (void)state;
    begin_world(&world);
    world.columns[ANY].name = "hidden";
    world.source.blacklist = (struct config_list){black, 1};
    open_world(&world);
    for (size_t i = 0; i < COUNT(subsets); i++)
        refused(&world, PARAMETERS({"subset", subsets[i]}), ERR_NOT_FOUND, "subset");
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_for_nothing_in_particular_wants_everything),
        cmocka_unit_test(a_limit_is_a_natural_number),
        cmocka_unit_test(a_parameter_that_comes_twice_is_refused),
        cmocka_unit_test(a_bad_since_keeps_its_code),
        cmocka_unit_test(parameters_are_bound_as_their_type_says),
        cmocka_unit_test(what_does_not_come_has_its_default_or_is_null),
        cmocka_unit_test(a_required_parameter_must_come),
        cmocka_unit_test(a_name_that_nobody_declared_is_refused_where_there_are_parameters),
        cmocka_unit_test(a_subset_is_a_filter_in_the_columns_own_form),
        cmocka_unit_test(any_other_subset_is_not_found),
    };
    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
