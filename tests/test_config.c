/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "config/config.h"
#include "config/schema.h"

/* The systems every case may use. */
#define SYSTEMS                                                                                              \
    "\"systems\":{\"pg\":{\"type\":\"postgresql\",\"database\":\"d\",\"username\":\"u\"},"                   \
    "\"my\":{\"type\":\"mysql\",\"database\":\"d\",\"username\":\"u\"},\"lite\":{\"type\":\"sqlite\","       \
    "\"path\":\"p\"}}"
#define SOURCE(keys) "{" SYSTEMS ",\"sources\":{\"s\":{" keys "}}}"
#define SINK(keys)                                                                                           \
    "{" SYSTEMS ",\"sources\":{\"h\":{\"system\":\"pg\",\"table\":\"t\",\"hash_property\":\"h\"},"           \
    "\"n\":{\"system\":\"pg\",\"table\":\"t\"}},\"sinks\":{\"s\":{\"system\":\"pg\",\"table\":\"t\"," keys   \
    "}}}"
#define SYSTEM(keys) "{\"systems\":{\"s\":{" keys "}}}"
#define POSTGRESQL(keys) SYSTEM("\"type\":\"postgresql\",\"database\":\"d\",\"username\":\"u\"," keys)
#define LISTEN(keys) "{\"listen\":{" keys "}}"
#define QUERY(keys) SOURCE("\"system\":\"pg\",\"primary_key\":\"id\"," keys)
#define TABLE(keys) SOURCE("\"system\":\"pg\",\"table\":\"t\"," keys)

static struct config *read_good(const char *text)
{
    struct config *config = NULL;
    struct buf mistakes = {0};
    struct err err = {0};
    if (config_parse(&config, text, strlen(text), "test", &mistakes, &err))
        fail_msg("%s\n%s: %s", text, err.text, buf_text(&mistakes));
    assert_int_equal(mistakes.len, 0);
    buf_free(&mistakes);
    return config;
}

struct bad {
    const char *text, *mistakes;
};

static void check_bad(const struct bad *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct config *config = NULL;
        struct buf mistakes = {0};
        struct err err = {0};
        if (!config_parse(&config, cases[i].text, strlen(cases[i].text), "test", &mistakes, &err))
            fail_msg("%s was accepted", cases[i].text);
        assert_null(config);
        assert_int_equal(err.code, ERR_CONFIG);
        if (strcmp(buf_text(&mistakes), cases[i].mistakes) != 0)
            fail_msg("%s\n got %s\nwant %s", cases[i].text, mistakes.data, cases[i].mistakes);
        buf_free(&mistakes);
    }
}
#define CHECK_BAD(cases) check_bad(cases, sizeof cases / sizeof *cases)

static void check_good(const char *const *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        config_free(read_good(cases[i]));
}
#define CHECK_GOOD(cases) check_good(cases, sizeof cases / sizeof *cases)

static void an_empty_document_has_all_defaults(void **state)
{
    struct config *config = read_good("{}");
    (void)state;
    assert_string_equal(config->origin, "test");
    assert_string_equal(config->listen.address, "127.0.0.1");
    assert_int_equal(config->listen.port, 5000);
    assert_null(config->listen.tls_certificate);
    assert_null(config->listen.tls_key);
    assert_false(config->listen.authentication_written);
    assert_int_equal(config->listen.authentication, AUTH_NONE);
    assert_int_equal(config->listen.max_connections, 64);
    assert_int_equal(config->listen.max_body_bytes, 67108864);
    assert_int_equal(config->listen.max_buffered_bytes, 67108864);
    assert_int_equal(config->listen.max_entity_bytes, 16777216);
    assert_true(config->listen.request_timeout == 60 && config->listen.send_timeout == 300);
    assert_true(config->listen.head_timeout == 20 && config->listen.idle_timeout == 60);
    assert_true(config->listen.body_timeout == 60 && config->listen.min_body_rate == 8192);
    assert_string_equal(config->listen.spool_directory, "/var/tmp");
    assert_int_equal(config->log_level, LOG_INFO);
    assert_int_equal(config->log_format, LOG_TEXT);
    assert_int_equal(config->system_count + config->source_count + config->sink_count, 0);
    config_free(config);
    config_free(NULL);
}

static void a_system_has_its_keys_and_defaults(void **state)
{
    struct config *config = read_good(
        "{\"systems\":{\"a\":{\"type\":\"mariadb\",\"host\":\"h\",\"port\":3307,\"database\":\"d\","
        "\"username\":\"u\","
        "\"password\":\"\",\"sslmode\":\"required\",\"sslrootcert\":\"r\",\"sslcert\":\"c\",\"sslkey\":\"k\","
        "\"timezone\":\"Europe/Oslo\",\"pool_size\":3,\"pool_timeout\":0.5,\"pool_recycle\":60},"
        "\"b\":{\"type\":\"sqlite\",\"path\":\"demo.db\"}}}");
    (void)state;
    const struct config_system *a = config_system(config, "a"), *b = config_system(config, "b");
    assert_int_equal(a->type, DATABASE_MYSQL);
    assert_int_equal(a->port, 3307);
    assert_string_equal(a->host, "h");
    assert_string_equal(a->password, "");
    assert_string_equal(a->sslmode, "required");
    assert_string_equal(a->sslrootcert, "r");
    assert_string_equal(a->sslcert, "c");
    assert_string_equal(a->sslkey, "k");
    assert_string_equal(a->timezone, "Europe/Oslo");
    assert_true(a->timezone_written);
    assert_int_equal(a->pool_size, 3);
    assert_true(a->pool_timeout == 0.5 && a->pool_recycle == 60);
    assert_int_equal(b->type, DATABASE_SQLITE);
    assert_string_equal(b->name, "b");
    assert_string_equal(b->path, "demo.db");
    assert_true(!b->host && !b->database && !b->username && !b->password && !b->sslmode && b->port == 0);
    assert_string_equal(b->timezone, "UTC");
    assert_false(b->timezone_written);
    assert_int_equal(b->pool_size, 10);
    assert_true(b->pool_timeout == 30 && b->pool_recycle == 1800);
    assert_null(config_system(config, "c"));
    config_free(config);
}

static void a_source_has_its_defaults(void **state)
{
    struct config *config = read_good(TABLE("\"preserve_null_values\":false"));
    const struct config_source *source = config_source(config, "s");
    (void)state;
    assert_ptr_equal(source->system, config_system(config, "pg"));
    assert_string_equal(source->table, "t");
    assert_true(!source->schema && !source->query && !source->updated_query && !source->updated_column);
    assert_int_equal(source->primary_key.count, 0);
    assert_int_equal(source->updated_unit, UNIT_NONE);
    assert_null(source->deleted.column);
    assert_false(source->has_whitelist);
    assert_int_equal(source->blacklist.count + source->property_count + source->parameter_count, 0);
    assert_false(source->preserve_null_values);
    assert_true(!source->hash_property && !source->xmin_property);
    assert_int_equal(source->late_commits.mode, LATE_AUTO);
    assert_true(source->late_commits.seconds == 1);
    assert_false(source->late_commits_written);
    assert_false(source->token_plain);
    assert_true(source->is_chronological_full);
    assert_int_equal(source->fetch_size, 10000);
    assert_null(config_source(config, "x"));
    config_free(config);
}

static void a_source_has_its_keys(void **state)
{
    struct config *config = read_good(TABLE(
        "\"schema\":\"c\",\"primary_key\":[\"a\",\"b\"],\"updated_column\":{\"column\":\"u\",\"unit\":\"ms\"}"
        ","
        "\"updated_query\":[\"select *\",\"from t where u >= "
        ":since\"],\"deleted\":{\"column\":\"d\",\"value\":[1,true,"
        "\"x\",null,1.5]},\"whitelist\":[\"a\",\"b\"],\"blacklist\":[\"c\"],\"properties\":{\"a\":\"A\"},"
        "\"preserve_null_values\":true,\"hash_property\":\"h\",\"xmin_property\":\"x\",\"late_commits\":{"
        "\"settle\":60},"
        "\"token\":\"plain\",\"is_chronological_full\":false,\"fetch_size\":5"));
    const struct config_source *source = config_source(config, "s");
    (void)state;
    assert_string_equal(source->schema, "c");
    assert_int_equal(source->primary_key.count, 2);
    assert_string_equal(source->primary_key.items[1], "b");
    assert_string_equal(source->updated_column, "u");
    assert_int_equal(source->updated_unit, UNIT_MS);
    assert_string_equal(source->updated_query, "select *\nfrom t where u >= :since");
    assert_string_equal(source->deleted.column, "d");
    assert_int_equal(source->deleted.value_count, 5);
    const struct config_value *values = source->deleted.values;
    assert_true(values[0].type == CONFIG_INTEGER && strcmp(values[0].text, "1") == 0);
    assert_true(values[1].type == CONFIG_BOOL && values[1].boolean);
    assert_true(values[2].type == CONFIG_STRING && strcmp(values[2].text, "x") == 0);
    assert_true(values[3].type == CONFIG_NULL && !values[3].text);
    assert_true(values[4].type == CONFIG_REAL && strcmp(values[4].text, "1.5") == 0);
    assert_true(source->has_whitelist && source->whitelist.count == 2 && source->blacklist.count == 1);
    assert_int_equal(source->property_count, 1);
    assert_string_equal(source->properties[0].from, "a");
    assert_string_equal(source->properties[0].to, "A");
    assert_true(source->preserve_null_values);
    assert_string_equal(source->hash_property, "h");
    assert_string_equal(source->xmin_property, "x");
    assert_int_equal(source->late_commits.mode, LATE_SETTLE);
    assert_true(source->late_commits.seconds == 60 && source->late_commits_written);
    assert_true(source->token_plain && !source->is_chronological_full && source->fetch_size == 5);
    config_free(config);
}

static void late_commits_have_four_forms(void **state)
{
    static const struct {
        const char *text;
        enum config_late_mode mode;
        double seconds;
    } cases[] = {
        {TABLE("\"late_commits\":\"auto\""), LATE_AUTO, 1},
        {TABLE("\"late_commits\":\"ignore\""), LATE_IGNORE, 1},
        {TABLE("\"late_commits\":{\"margin\":2.5}"), LATE_AUTO, 2.5},
        {TABLE("\"late_commits\":{\"margin\":0}"), LATE_AUTO, 0},
        {TABLE("\"late_commits\":{\"settle\":60}"), LATE_SETTLE, 60},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *config = read_good(cases[i].text);
        const struct config_late *late = &config->sources[0].late_commits;
        assert_int_equal(late->mode, cases[i].mode);
        assert_true(i == 1 || late->seconds == cases[i].seconds);
        config_free(config);
    }
}

static void parameters_have_types_and_defaults(void **state)
{
    struct config *config = read_good(QUERY("\"query\":\"select :a, :b, :c, :d, :e, :f, "
                                            "':x'\",\"parameters\":{\"a\":{},\"b\":{\"type\":\"integer\","
                                            "\"default\":-3},\"c\":{\"type\":\"decimal\",\"default\":\"1."
                                            "50\"},\"d\":{\"type\":\"boolean\",\"default\":true},"
                                            "\"e\":{\"type\":\"datetime\",\"required\":true},\"f\":{\"type\":"
                                            "\"date\",\"default\":\"2024-02-29\"}}"));
    const struct config_source *source = config_source(config, "s");
    const struct config_parameter *p = source->parameters;
    (void)state;
    assert_int_equal(source->parameter_count, 6);
    assert_true(strcmp(p[0].name, "a") == 0 && p[0].type == PARAMETER_STRING && !p[0].has_default &&
                !p[0].required);
    assert_true(p[1].type == PARAMETER_INTEGER && p[1].has_default && strcmp(p[1].def.text, "-3") == 0);
    assert_true(p[2].type == PARAMETER_DECIMAL && strcmp(p[2].def.text, "1.50") == 0);
    assert_true(p[3].type == PARAMETER_BOOLEAN && p[3].def.type == CONFIG_BOOL && p[3].def.boolean);
    assert_true(p[4].type == PARAMETER_DATETIME && p[4].required && !p[4].has_default);
    assert_true(p[5].type == PARAMETER_DATE && strcmp(p[5].def.text, "2024-02-29") == 0);
    config_free(config);
}

static void authentication_is_read(void **state)
{
    struct config *config = read_good(LISTEN(
        "\"address\":\"0.0.0.0\",\"tls\":{\"certificate\":\"c\",\"key\":\"k\"},\"authentication\":{\"type\":"
        "\"basic\","
        "\"users\":[{\"username\":\"a\",\"password\":\"b\"},{\"username\":\"c\",\"password\":\"d:e\"}]}"));
    (void)state;
    assert_int_equal(config->listen.authentication, AUTH_BASIC);
    assert_true(config->listen.authentication_written);
    assert_int_equal(config->listen.user_count, 2);
    assert_string_equal(config->listen.users[1].username, "c");
    assert_string_equal(config->listen.users[1].password, "d:e");
    assert_string_equal(config->listen.tls_certificate, "c");
    assert_string_equal(config->listen.tls_key, "k");
    config_free(config);
    config = read_good(LISTEN("\"authentication\":{\"type\":\"bearer\",\"tokens\":[\"x\",\"y\"]}"));
    assert_int_equal(config->listen.authentication, AUTH_BEARER);
    assert_int_equal(config->listen.tokens.count, 2);
    config_free(config);
}

static void unknown_keys_name_their_path_and_the_nearest(void **state)
{
    static const struct bad cases[] = {
        {"{\"sorces\":{}}", "sorces: unknown key, did you mean 'sources'?\n"},
        {"{\"colour\":1}", "colour: unknown key\n"},
        {LISTEN("\"prot\":1"), "listen.prot: unknown key, did you mean 'port'?\n"},
        {TABLE("\"tabel\":\"x\""), "sources.s.tabel: unknown key, did you mean 'table'?\n"},
        {TABLE("\"deleted\":{\"column\":\"d\",\"vlaue\":1}"),
         "sources.s.deleted.vlaue: unknown key, did you mean 'value'?\n"},
        {POSTGRESQL("\"pasword\":\"x\""), "systems.s.pasword: unknown key, did you mean 'password'?\n"},
        {SINK("\"optimistic_lock\":{\"colum\":\"v\"}"),
         "sinks.s.optimistic_lock.colum: unknown key, did you mean 'column'?\n"
         "sinks.s.optimistic_lock: must have either a column or a hash\n"},
        {SINK("\"schema_definition\":[{\"name\":\"a\",\"type\":\"string\",\"defualt\":1}]"),
         "sinks.s.schema_definition[0].defualt: unknown key, did you mean 'default'?\n"},
        {"{\"a\\nb\\u007f\":1}", "a?b?: unknown key\n"},
        {"{\"\":1}", ": unknown key\n"},
    };
    (void)state;
    CHECK_BAD(cases);
}

static void what_is_not_json_tells_its_place_and_no_content(void **state)
{
    static const struct bad cases[] = {
        {"", "the document: line 1, column 0: the document ends too early\n"},
        {"{\n\"secret", "the document: line 2, column 7: the document ends too early\n"},
        {"{\n  secret}", "the document: line 2, column 8: this is not JSON\n"},
        {"{\"a\":1,\n\"a\":2}", "the document: line 2, column 3: this key stands in its object twice\n"},
        {"{} {}", "the document: line 1, column 4: there is something behind the end of the document\n"},
        {"{\"a\":\"\\u0000\"}", "the document: line 1, column 13: a string must not hold \\u0000\n"},
        {"{\"a\":99999999999999999999}", "the document: line 1, column 25: this number is too large\n"},
        {"{\"a\":\"\xFF\"}", "the document: line 1, column 6: this is not UTF-8\n"},
        {"[]", "the document: expected an object, found a list\n"},
    };
    (void)state;
    CHECK_BAD(cases);
}

static void types_are_checked(void **state)
{
    static const struct bad cases[] = {
        {"{\"listen\":[]}", "listen: expected an object, found a list\n"},
        {"{\"systems\":\"x\"}", "systems: expected an object, found a string\n"},
        {"{\"systems\":{\"a\":null}}", "systems.a: expected an object, found null\n"},
        {LISTEN("\"address\":1"), "listen.address: expected a string, found a number\n"},
        {LISTEN("\"address\":\"\""), "listen.address: must not be empty\n"},
        {LISTEN("\"port\":true"), "listen.port: expected a number, found a boolean\n"},
        {LISTEN("\"port\":\"http\""), "listen.port: expected a number\n"},
        {LISTEN("\"port\":\"\""), "listen.port: expected a number\n"},
        {LISTEN("\"port\":\"0x10\""), "listen.port: expected a number\n"},
        {LISTEN("\"port\":\"nan\""), "listen.port: expected a number\n"},
        {LISTEN("\"port\":80.5"), "listen.port: must be a whole number\n"},
        {LISTEN("\"port\":-1"), "listen.port: must be at least 0\n"},
        {LISTEN("\"port\":65536"), "listen.port: must be at most 65535\n"},
        {LISTEN("\"max_connections\":0"), "listen.max_connections: must be at least 1\n"},
        {LISTEN("\"send_timeout\":-0.5"), "listen.send_timeout: must be at least 0\n"},
        {LISTEN("\"max_body_bytes\":2000,\"max_buffered_bytes\":1000"),
         "listen.max_buffered_bytes: must not be less than max_body_bytes\n"},
        {LISTEN("\"max_body_bytes\":1e30"), "listen.max_body_bytes: must be at most 4.61168601842739e+18\n"},
        {"{\"log\":{\"level\":\"secret\"}}", "log.level: must be debug, info, warning or error\n"},
        {"{\"log\":{\"format\":1}}", "log.format: expected a string, found a number\n"},
        {TABLE("\"preserve_null_values\":1"),
         "sources.s.preserve_null_values: expected true or false, found a number\n"},
        {TABLE("\"preserve_null_values\":\"yes\""),
         "sources.s.preserve_null_values: must be true or false\n"},
        {TABLE("\"whitelist\":\"a\""), "sources.s.whitelist: expected a list of strings, found a string\n"},
        {TABLE("\"whitelist\":[\"a\",1,\"\"]"), "sources.s.whitelist[1]: expected a string, found a number\n"
                                                "sources.s.whitelist[2]: must not be empty\n"},
        {TABLE("\"primary_key\":[]"), "sources.s.primary_key: must not be empty\n"},
        {TABLE("\"primary_key\":[\"a\",\"a\"]"), "sources.s.primary_key[1]: is in the list already\n"},
        {TABLE("\"primary_key\":{}"), "sources.s.primary_key: expected a string, found an object\n"},
        {TABLE("\"properties\":[]"), "sources.s.properties: expected an object of strings, found a list\n"},
        {TABLE("\"properties\":{\"a\":1}"), "sources.s.properties.a: expected a string, found a number\n"},
        {TABLE("\"deleted\":{\"column\":\"d\",\"value\":[[]]}"),
         "sources.s.deleted.value[0]: expected a string, number, boolean or null, found a list\n"},
        {TABLE("\"deleted\":{\"column\":\"d\",\"value\":[]}"),
         "sources.s.deleted.value: must not be empty\n"},
        {TABLE("\"deleted\":{}"), "sources.s.deleted.column: is missing\n"},
        {TABLE("\"fetch_size\":0"), "sources.s.fetch_size: must be at least 1\n"},
        {TABLE("\"token\":\"x\""), "sources.s.token: must be keyset or plain\n"},
    };
    (void)state;
    CHECK_BAD(cases);
}

static void all_mistakes_are_told_at_once(void **state)
{
    static const struct bad cases[] = {
        {"{\"listen\":{\"port\":-1,\"prot\":1},\"systems\":{\"a/b\":{\"type\":\"oracle\"},\"c\":{}},"
         "\"sources\":{\"s\":{\"system\":\"d\"}},\"sinks\":{\"t\":{}},\"x\":1}",
         "x: unknown key\n"
         "listen.prot: unknown key, did you mean 'port'?\n"
         "listen.port: must be at least 0\n"
         "systems.a/b.type: must be postgresql, mysql, mariadb or sqlite\n"
         "systems.a/b: a name must not contain '/', since it stands in a URL\n"
         "systems.c.type: is missing\n"
         "sources.s.system: there is no such system, did you mean 'c'?\n"
         "sources.s: needs a table or a query\n"
         "sinks.t.system: is missing\n"
         "sinks.t.table: is missing\n"},
    };
    (void)state;
    CHECK_BAD(cases);
}

static void listen_must_make_sense(void **state)
{
    static const struct bad cases[] = {
        {LISTEN("\"address\":\"0.0.0.0\""), "listen.authentication: must be written on an address that is "
                                            "not loopback, if only as {\"type\": \"none\"}\n"},
        {LISTEN("\"address\":\"/run/socket\""),
         "listen.address: must be an address; sockets cannot be listened on\n"},
        {LISTEN("\"tls\":{\"key\":\"k\"}"), "listen.tls.certificate: is missing\n"},
        {LISTEN("\"tls\":{\"certificate\":\"k\"}"), "listen.tls.key: is missing\n"},
        {LISTEN("\"authentication\":{}"), "listen.authentication.type: is missing\n"},
        {LISTEN("\"authentication\":{\"type\":\"digest\",\"users\":[]}"),
         "listen.authentication.type: must be none, basic or bearer\n"},
        {LISTEN("\"authentication\":{\"type\":\"basic\"}"),
         "listen.authentication.users: basic authentication needs at least one user\n"},
        {LISTEN("\"authentication\":{\"type\":\"basic\",\"users\":[]}"),
         "listen.authentication.users: basic authentication needs at least one user\n"},
        {LISTEN("\"authentication\":{\"type\":\"basic\",\"users\":{}}"),
         "listen.authentication.users: expected a list of objects, found an object\n"},
        {LISTEN(
             "\"authentication\":{\"type\":\"basic\",\"users\":[{\"username\":\"a:b\",\"password\":\"\"}]}"),
         "listen.authentication.users[0].password: must not be empty\n"
         "listen.authentication.users[0].username: must not contain ':' (RFC 7617)\n"},
        {LISTEN("\"authentication\":{\"type\":\"basic\",\"users\":[{\"username\":\"a\",\"password\":\"b\"},"
                "{\"username\":\"a\",\"password\":\"c\"}]}"),
         "listen.authentication.users[1]: this username stands in the list already\n"},
        {LISTEN("\"authentication\":{\"type\":\"bearer\"}"),
         "listen.authentication.tokens: bearer authentication needs at least one token\n"},
        {LISTEN("\"authentication\":{\"type\":\"bearer\",\"tokens\":[\"a b\"]}"),
         "listen.authentication.tokens[0]: a token is made of printable ASCII without blanks\n"},
        {LISTEN("\"authentication\":{\"type\":\"none\",\"tokens\":[\"a\"],\"users\":[]}"),
         "listen.authentication.users: belongs to basic authentication\n"
         "listen.authentication.tokens: belongs to bearer authentication\n"},
    };
    static const char *const good[] = {
        LISTEN("\"address\":\"0.0.0.0\",\"authentication\":{\"type\":\"none\"}"),
        LISTEN("\"address\":\"::1\""),
        LISTEN("\"address\":\"localhost\",\"port\":0"),
    };
    (void)state;
    CHECK_BAD(cases);
    CHECK_GOOD(good);
}

static void systems_must_make_sense(void **state)
{
    static const struct bad cases[] = {
        {SYSTEM("\"type\":\"postgresql\""),
         "systems.s.database: is missing\nsystems.s.username: is missing\n"},
        {SYSTEM("\"type\":\"mysql\",\"database\":\"d\""), "systems.s.username: is missing\n"},
        {SYSTEM("\"type\":\"sqlite\""), "systems.s.path: is missing\n"},
        {SYSTEM("\"type\":\"sqlite\",\"path\":\"p\",\"host\":\"h\",\"sslmode\":\"x\""),
         "systems.s.host: does not go with the type sqlite\nsystems.s.sslmode: does not go with the type "
         "sqlite\n"},
        {POSTGRESQL("\"path\":\"p\""), "systems.s.path: does not go with the type postgresql\n"},
        {POSTGRESQL("\"sslmode\":\"required\""),
         "systems.s.sslmode: must be disable, allow, prefer, require, verify-ca or verify-full\n"},
        {SYSTEM("\"type\":\"mysql\",\"database\":\"d\",\"username\":\"u\",\"sslmode\":\"require\""),
         "systems.s.sslmode: must be disabled, preferred, required, verify-ca or verify-full\n"},
        {POSTGRESQL("\"target_session_attrs\":\"prefer-standby\""),
         "systems.s.target_session_attrs: must be any, read-write, read-only, primary or standby\n"},
        {SYSTEM("\"type\":\"mysql\",\"database\":\"d\",\"username\":\"u\",\"target_session_attrs\":\"any\""),
         "systems.s.target_session_attrs: does not go with the type mysql\n"},
        {POSTGRESQL("\"sslcert\":\"c\""), "systems.s.sslkey: is missing\n"},
        {POSTGRESQL("\"sslkey\":\"c\""), "systems.s.sslcert: is missing\n"},
        {POSTGRESQL("\"timezone\":\"Europe/Olso\""),
         "systems.s.timezone: is no time zone that can be read here; names are like 'Europe/Oslo', 'UTC' or "
         "'+02:00'\n"},
        {POSTGRESQL("\"port\":0"), "systems.s.port: must be at least 1\n"},
        {POSTGRESQL("\"pool_size\":0"), "systems.s.pool_size: must be at least 1\n"},
        {POSTGRESQL("\"pool_timeout\":-1"), "systems.s.pool_timeout: must be at least 0\n"},
        {POSTGRESQL("\"pool_recycle\":-1"), "systems.s.pool_recycle: must be at least 0\n"},
    };
    static const char *const good[] = {
        POSTGRESQL("\"sslmode\":\"verify-ca\",\"host\":\"a,b\""),
        POSTGRESQL("\"target_session_attrs\":\"standby\",\"host\":\"a,b\""),
        POSTGRESQL("\"sslmode\":\"disable\",\"host\":\"/run/postgresql\",\"timezone\":\"+02:00\""),
        SYSTEM("\"type\":\"mysql\",\"database\":\"d\",\"username\":\"u\",\"sslmode\":\"verify-full\""),
    };
    (void)state;
    CHECK_BAD(cases);
    CHECK_GOOD(good);
}

static void names_must_fit_into_a_url(void **state)
{
#define NAMED(name) "{\"systems\":{\"" name "\":{\"type\":\"sqlite\",\"path\":\"p\"}}}"
    static const struct bad cases[] = {
        {NAMED(""), "systems.: a name must not be empty\n"},
        {NAMED("a/b"), "systems.a/b: a name must not contain '/', since it stands in a URL\n"},
        {NAMED("a?"), "systems.a?: a name must not contain '?', since it stands in a URL\n"},
        {NAMED("#a"), "systems.#a: a name must not contain '#', since it stands in a URL\n"},
        {NAMED("a%20"), "systems.a%20: a name must not contain '%', since it stands in a URL\n"},
        {NAMED("a\\nb"), "systems.a?b: a name must not contain control characters\n"},
        {NAMED("a\\u0085"), "systems.a\xC2\x85: a name must not contain control characters\n"},
        {NAMED(".."), "systems...: this cannot be a name, since it stands in a URL\n"},
    };
    static const char *const good[] = {NAMED("a b"), NAMED("\xC3\xA6\xC3\xB8\xC3\xA5"), NAMED("a.b-c_d:e"),
                                       NAMED("...")};
    (void)state;
    CHECK_BAD(cases);
    CHECK_GOOD(good);
}

#define NO_HOST "systems.s.host: is no name or address; whatever else a URL holds has keys of its own\n"
#define NO_DATABASE "systems.s.database: is no name; whatever else a URL holds has keys of its own\n"

static void hosts_hold_no_passwords(void **state)
{
    static const struct bad cases[] = {
        {POSTGRESQL("\"host\":\"postgresql://u:secret@db\""), NO_HOST},
        {POSTGRESQL("\"host\":\"u:secret@db\""), NO_HOST},
        {POSTGRESQL("\"host\":\"a,u:secret@b\""), NO_HOST},
        {POSTGRESQL("\"host\":\"host=a password=secret\""), NO_HOST},
        {POSTGRESQL("\"host\":\"db?password\""), NO_HOST},
        {POSTGRESQL("\"host\":\"db/crm\""), NO_HOST},
        {SYSTEM("\"type\":\"mysql\",\"username\":\"u\",\"database\":\"mysql://u:secret@db/crm\""), NO_DATABASE},
        {SYSTEM("\"type\":\"postgresql\",\"username\":\"u\",\"database\":\"dbname=x password=secret\""), NO_DATABASE},
    };
    static const char *const good[] = {
        POSTGRESQL("\"host\":\"db.example.com\""),     POSTGRESQL("\"host\":\"fe80::1%eth0\""),
        POSTGRESQL("\"host\":\"a,/run/pg=@1,10.0.0.1\""), POSTGRESQL("\"host\":\"@abstract\""),
        SYSTEM("\"type\":\"mysql\",\"username\":\"u\",\"database\":\"a=b@c\",\"host\":\"/run/mysqld/mysqld.sock\""),
    };
    (void)state;
    CHECK_BAD(cases);
    CHECK_GOOD(good);
}

static void sources_must_make_sense(void **state)
{
    static const struct bad cases[] = {
        {SOURCE("\"table\":\"t\""), "sources.s.system: is missing\n"},
        {SOURCE("\"system\":\"ph\",\"table\":\"t\""),
         "sources.s.system: there is no such system, did you mean 'pg'?\n"},
        {SOURCE("\"system\":\"customers\",\"table\":\"t\""), "sources.s.system: there is no such system\n"},
        {QUERY("\"table\":\"t\",\"query\":\"select 1\""),
         "sources.s: has both a table and a query; one of them must go\n"},
        {SOURCE("\"system\":\"pg\""), "sources.s: needs a table or a query\n"},
        {SOURCE("\"system\":\"pg\",\"query\":\"select 1\""),
         "sources.s.primary_key: is missing; a query does not tell its key\n"},
        {QUERY("\"query\":\"select 1\",\"schema\":\"c\""),
         "sources.s.schema: goes with a table; a query names its schemas itself\n"},
        {TABLE("\"updated_query\":\"select 1\""),
         "sources.s.updated_column: is missing; the updated_query needs it\n"},
        {TABLE("\"updated_column\":{\"unit\":\"s\"}"), "sources.s.updated_column.column: is missing\n"},
        {TABLE("\"updated_column\":{\"column\":\"u\",\"unit\":\"min\"}"),
         "sources.s.updated_column.unit: must be s, ms or us\n"},
        {TABLE("\"updated_column\":[\"u\"]"),
         "sources.s.updated_column: expected a string or an object, found a list\n"},
        {TABLE("\"late_commits\":\"none\""),
         "sources.s.late_commits: must be auto, ignore, {\"margin\": SECONDS} or {\"settle\": SECONDS}\n"},
        {TABLE("\"late_commits\":{}"), "sources.s.late_commits: must have either margin or settle\n"},
        {TABLE("\"late_commits\":{\"margin\":1,\"settle\":2}"),
         "sources.s.late_commits: must have either margin or settle\n"},
        {TABLE("\"late_commits\":{\"margin\":-1}"), "sources.s.late_commits.margin: must be at least 0\n"},
        {TABLE("\"late_commits\":{\"settle\":0}"), "sources.s.late_commits.settle: must be at least 0.001\n"},
        {TABLE("\"late_commits\":60"),
         "sources.s.late_commits: expected a string or an object, found a number\n"},
        {SOURCE("\"system\":\"my\",\"table\":\"t\",\"xmin_property\":\"x\""),
         "sources.s.xmin_property: only PostgreSQL has an xmin; hash_property would do\n"},
        {QUERY("\"query\":\"select 1\",\"xmin_property\":\"x\""),
         "sources.s.xmin_property: only a table has an xmin; hash_property would do\n"},
    };
    (void)state;
    CHECK_BAD(cases);
}

static void a_change_log_needs_no_updated_column(void **state)
{
    struct config *config = read_good(TABLE("\"tracking\":\"changelog\""));
    const struct config_source *source = config_source(config, "s");
    (void)state;
    assert_true(source->changelog);
    assert_string_equal(source->updated_column, "sesam_change");
    config_free(config);
    config = read_good(TABLE("\"tracking\":\"updated\""));
    assert_false(config_source(config, "s")->changelog);
    assert_null(config_source(config, "s")->updated_column);
    config_free(config);
}

static void what_does_not_go_with_a_change_log_is_refused(void **state)
{
#define LOGGED "\"tracking\":\"changelog\","
    static const struct bad cases[] = {
        {TABLE("\"tracking\":\"log\""), "sources.s.tracking: must be updated or changelog\n"},
        {QUERY(LOGGED "\"query\":\"select 1\""),
         "sources.s.query: does not go with \"tracking\": \"changelog\"\n"},
        {TABLE(LOGGED "\"updated_column\":\"u\""),
         "sources.s.updated_column: does not go with \"tracking\": \"changelog\"\n"},
        {TABLE(LOGGED "\"xmin_property\":\"x\""),
         "sources.s.xmin_property: does not go with \"tracking\": \"changelog\"; hash_property would do\n"},
        {TABLE(LOGGED "\"token\":\"plain\""), "sources.s.token: the changes of a log have no plain tokens\n"},
    };
    (void)state;
    CHECK_BAD(cases);
}

static void properties_must_not_collide(void **state)
{
    static const struct bad cases[] = {
        {TABLE("\"properties\":{\"a\":\"x\",\"b\":\"x\"}"),
         "sources.s.properties.b: another property of this source has the same name\n"},
        {TABLE("\"properties\":{\"a\":\"_id\",\"b\":\"_updated\",\"c\":\"_deleted\"}"),
         "sources.s.properties.a: must not be '_id', which is made by the service\n"
         "sources.s.properties.b: must not be '_updated', which is made by the service\n"
         "sources.s.properties.c: must not be '_deleted', which is made by the service\n"},
        {TABLE("\"hash_property\":\"_id\",\"xmin_property\":\"_updated\""),
         "sources.s.hash_property: must not be '_id', which is made by the service\n"
         "sources.s.xmin_property: must not be '_updated', which is made by the service\n"},
        {TABLE("\"hash_property\":\"v\",\"xmin_property\":\"v\""),
         "sources.s.xmin_property: another property of this source has the same name\n"},
        {TABLE("\"properties\":{\"a\":\"v\"},\"hash_property\":\"v\""),
         "sources.s.hash_property: another property of this source has the same name\n"},
        {TABLE("\"properties\":{\"a\":\"b\"},\"whitelist\":[\"a\",\"b\"]"),
         "sources.s.properties.a: another property of this source has the same name\n"},
        {TABLE("\"hash_property\":\"b\",\"whitelist\":[\"a\",\"b\"]"),
         "sources.s.hash_property: another property of this source has the same name\n"},
    };
    static const char *const good[] = {
        TABLE("\"properties\":{\"a\":\"b\",\"b\":\"a\"},\"whitelist\":[\"a\",\"b\"]"),
        TABLE("\"properties\":{\"a\":\"b\"},\"whitelist\":[\"a\",\"b\"],\"blacklist\":[\"b\"]"),
        TABLE("\"properties\":{\"a\":\"x\",\"b\":\"x\"},\"blacklist\":[\"b\"]"),
        TABLE("\"properties\":{\"_id\":\"id\",\"_updated\":\"updated\"}"),
        TABLE("\"properties\":{\"a\":\"a\"}"),
    };
    (void)state;
    CHECK_BAD(cases);
    CHECK_GOOD(good);
}

static void parameters_must_be_declared_and_used(void **state)
{
    static const struct bad cases[] = {
        {QUERY("\"query\":\"select :regoin, :regoin\",\"parameters\":{\"region\":{}}"),
         "sources.s.query: ':regoin' is not declared in parameters, did you mean ':region'?\n"
         "sources.s.parameters.region: is not used in the query\n"},
        {QUERY("\"query\":\"select :a\""), "sources.s.query: ':a' is not declared in parameters\n"},
        {QUERY("\"query\":\"select ':a' -- :a\",\"parameters\":{\"a\":{}}"),
         "sources.s.parameters.a: is not used in the query\n"},
        {TABLE("\"parameters\":{\"a\":{}}"),
         "sources.s.parameters.a: is not used; parameters go with a query\n"},
        {QUERY("\"query\":\"select :since\""), "sources.s.query: ':since' belongs into an updated_query\n"},
        {QUERY("\"query\":\"select :since\",\"parameters\":{\"since\":{}}"),
         "sources.s.parameters.since: this name is Sesam's own in the URL\n"
         "sources.s.query: ':since' belongs into an updated_query\n"},
        {QUERY("\"query\":\"select :limit\",\"parameters\":{\"limit\":{}}"),
         "sources.s.parameters.limit: this name is Sesam's own in the URL\n"},
        {QUERY("\"query\":\"select 'secret\",\"parameters\":{\"a\":{}}"),
         "sources.s.query: a literal that begins in line 1 does not end\n"},
        {QUERY("\"query\":\"select 1\",\"parameters\":{\"a-b\":{}}"),
         "sources.s.parameters.a-b: a parameter's name is made of letters, digits and _, a digit not first\n"
         "sources.s.parameters.a-b: is not used in the query\n"},
        {QUERY("\"query\":\"select :a\",\"parameters\":{\"a\":{\"type\":\"number\"}}"),
         "sources.s.parameters.a.type: must be string, integer, decimal, boolean, datetime or date\n"},
        {QUERY("\"query\":\"select :a\",\"parameters\":{\"a\":{\"required\":true,\"default\":\"x\"}}"),
         "sources.s.parameters.a.default: a required parameter has no default\n"},
        {QUERY(
             "\"query\":\"select :a,:b,:c,:d,:e,:f,:g\",\"parameters\":{\"a\":{\"default\":1},"
             "\"b\":{\"type\":\"integer\",\"default\":\"1.5\"},\"c\":{\"type\":\"integer\",\"default\":1.5},"
             "\"d\":{\"type\":\"decimal\",\"default\":\"1.\"},\"e\":{\"type\":\"boolean\",\"default\":"
             "\"yes\"},"
             "\"f\":{\"type\":\"date\",\"default\":\"2023-02-29\"},\"g\":{\"type\":\"datetime\",\"default\":"
             "5}}"),
         "sources.s.parameters.a.default: does not fit the parameter's type\n"
         "sources.s.parameters.b.default: does not fit the parameter's type\n"
         "sources.s.parameters.c.default: does not fit the parameter's type\n"
         "sources.s.parameters.d.default: does not fit the parameter's type\n"
         "sources.s.parameters.e.default: does not fit the parameter's type\n"
         "sources.s.parameters.f.default: does not fit the parameter's type\n"
         "sources.s.parameters.g.default: does not fit the parameter's type\n"},
    };
    static const char *const good[] = {
        QUERY("\"query\":\"select :a::text\",\"parameters\":{\"a\":{\"default\":null}}"),
        QUERY("\"query\":[\"select 1 -- :x\",\"where "
              ":a\"],\"parameters\":{\"a\":{\"type\":\"integer\",\"default\":\"12\"}}"),
        QUERY("\"query\":\"select 1\",\"updated_query\":\"select :a, :since\",\"updated_column\":\"u\","
              "\"parameters\":{\"a\":{}}"),
        SOURCE("\"system\":\"my\",\"primary_key\":\"id\",\"query\":\"select '\\\\' :a', `:b` # :c\""),
    };
    (void)state;
    CHECK_BAD(cases);
    CHECK_GOOD(good);
}

/* A sink with a lock on the hash of a source of its own. */
#define HASHED(system, what)                                                                                 \
    "{" SYSTEMS ",\"sources\":{\"q\":{\"system\":" system "," what ",\"hash_property\":\"h\"}},"              \
    "\"sinks\":{\"s\":{\"system\":\"pg\",\"table\":\"t\",\"optimistic_lock\":{\"hash\":\"h\","                 \
    "\"source\":\"q\"}}}}"

static void sinks_must_make_sense(void **state)
{
    static const struct bad cases[] = {
        {SINK("\"on_conflict\":\"retry\""), "sinks.s.on_conflict: must be reject, skip or overwrite\n"},
        {SINK("\"missing_properties\":\"drop\""), "sinks.s.missing_properties: must be keep or null\n"},
        {SINK("\"unknown_properties\":\"drop\""), "sinks.s.unknown_properties: must be ignore or reject\n"},
        {SINK("\"optimistic_lock\":{\"column\":\"v\",\"hash\":\"h\"}"),
         "sinks.s.optimistic_lock: must have either a column or a hash\n"},
        {SINK("\"optimistic_lock\":{\"column\":\"xmin\"}"),
         "sinks.s.optimistic_lock.property: is missing; it is the property that holds the xmin\n"},
        {SINK("\"optimistic_lock\":{\"hash\":\"h\"}"),
         "sinks.s.optimistic_lock.source: is missing; it is the source whose hash the property holds\n"},
        {SINK("\"optimistic_lock\":{\"hash\":\"h\",\"source\":\"n\"}"),
         "sinks.s.optimistic_lock.source: this source has no hash_property\n"},
        {SINK("\"optimistic_lock\":{\"hash\":\"h\",\"source\":\"hh\"}"),
         "sinks.s.optimistic_lock.source: there is no such source, did you mean 'h'?\n"},
        {SINK("\"optimistic_lock\":{\"column\":\"v\",\"source\":\"h\"}"),
         "sinks.s.optimistic_lock.source: goes with a hash\n"},
        {SINK("\"optimistic_lock\":{\"column\":\"v\",\"maintained_by\":\"me\"}"),
         "sinks.s.optimistic_lock.maintained_by: must be service or database\n"},
        {"{" SYSTEMS
         ",\"sinks\":{\"s\":{\"system\":\"my\",\"table\":\"t\",\"optimistic_lock\":{\"column\":\"xmin\","
         "\"property\":\"p\"}}}}",
         "sinks.s.optimistic_lock.column: only PostgreSQL has an xmin; a hash would do\n"},
        {SINK("\"deletes\":\"drop\""),
         "sinks.s.deletes: must be delete, ignore or an object with a column\n"},
        {SINK("\"deletes\":{\"value\":1}"), "sinks.s.deletes.column: is missing\n"},
        {SINK("\"deletes\":{\"column\":\"d\"}"), "sinks.s.deletes.value: is missing\n"},
        {SINK("\"scope\":{}"), "sinks.s.scope.column: is missing\nsinks.s.scope.value: is missing\n"},
        {SINK("\"delete_guard\":true"),
         "sinks.s.delete_guard: expected an object or false, found a boolean\n"},
        {SINK("\"delete_guard\":{\"fraction\":1.5}"), "sinks.s.delete_guard.fraction: must be at most 1\n"},
        {SINK("\"properties\":{\"a\":\"x\",\"b\":\"x\"}"),
         "sinks.s.properties.b: another property is renamed to the same column\n"},
        {SINK("\"schema_definition\":[{\"name\":\"a\",\"type\":\"text\",\"max_size\":1,\"max_value\":2}]"),
         "sinks.s.schema_definition[0].type: must be string, integer, decimal, float, binary, datetime, "
         "date, time, "
         "uuid or boolean\nsinks.s.schema_definition[0].max_value: means the same as max_size; one of them "
         "must go\n"},
        {SINK("\"properties\":{\"a\":\"x\"},\"schema_definition\":[{\"name\":\"x\",\"type\":\"uuid\"},"
              "{\"source_property\":\"a\",\"name\":\"z\",\"type\":\"uuid\"}]"),
         "sinks.s.schema_definition[0]: another property is renamed to the same column\n"
         "sinks.s.schema_definition[1]: this property is renamed to another column already\n"},
        {SINK("\"schema_definition\":[{\"name\":\"a\",\"type\":\"decimal\",\"min_value\":2,\"max_value\":1,"
              "\"precision\":3,\"scale\":4}]"),
         "sinks.s.schema_definition[0].max_value: is less than the least\n"
         "sinks.s.schema_definition[0].scale: is more than the precision\n"},
        {SINK("\"schema_definition\":[{\"type\":\"uuid\"}]"), "sinks.s.schema_definition[0].name: is missing\n"},
        {SINK("\"create_table_if_missing\":true"),
         "sinks.s.create_table_if_missing: needs a schema_definition with a column that is primary_key\n"},
        {SINK("\"create_table_if_missing\":true,\"schema_definition\":[{\"name\":\"a\",\"type\":\"uuid\"}]"),
         "sinks.s.create_table_if_missing: needs a schema_definition with a column that is primary_key\n"},
        {SINK("\"deletes\":{\"column\":\"d\",\"value\":false}"),
         "sinks.s.deletes.live: is missing; the value is what a living row would get\n"},
        {SINK("\"deletes\":{\"column\":\"d\",\"value\":null}"),
         "sinks.s.deletes.live: is missing; the value is what a living row would get\n"},
        {SINK("\"deletes\":{\"column\":\"d\",\"value\":\"x\",\"live\":\"x\"}"),
         "sinks.s.deletes.live: is the same as the value\n"},
        {SINK("\"optimistic_lock\":{\"column\":\"v\"},\"deletes\":{\"column\":\"v\",\"value\":1},"
              "\"scope\":{\"column\":\"v\",\"value\":1},\"timestamp\":\"v\""),
         "sinks.s.deletes.column: is the lock's column\n"
         "sinks.s.scope.column: is the lock's column\n"
         "sinks.s.scope.column: is the column of deletions\n"
         "sinks.s.timestamp: is the lock's column\n"
         "sinks.s.timestamp: is the column of deletions\n"
         "sinks.s.timestamp: is the scope's column\n"},
        {SINK("\"primary_key\":[\"v\",\"d\",\"c\",\"t\"],\"optimistic_lock\":{\"column\":\"v\"},"
              "\"deletes\":{\"column\":\"d\",\"value\":1},\"scope\":{\"column\":\"c\",\"value\":1},"
              "\"timestamp\":\"t\""),
         "sinks.s.optimistic_lock.column: is part of the primary_key\n"
         "sinks.s.deletes.column: is part of the primary_key\n"
         "sinks.s.timestamp: is part of the primary_key\n"},
        {SINK("\"optimistic_lock\":{\"column\":\"xmin\",\"property\":\"p\",\"coarse\":true}"),
         "sinks.s.optimistic_lock.coarse: does not go with xmin\n"},
        {HASHED("\"lite\"", "\"table\":\"t\""), "sinks.s.optimistic_lock.source: this source reads another system\n"},
        {HASHED("\"pg\"", "\"query\":\"select 1\",\"primary_key\":\"a\""),
         "sinks.s.optimistic_lock.source: this source reads a query; a hash needs the table\n"},
        {HASHED("\"pg\"", "\"table\":\"tt\""), "sinks.s.optimistic_lock.source: this source reads another table\n"},
        {HASHED("\"pg\"", "\"table\":\"t\",\"schema\":\"c\""),
         "sinks.s.optimistic_lock.source: this source reads a table of another schema\n"},
        {SINK("\"truncate_table_on_first_run\":true"),
         "sinks.s.truncate_table_on_first_run: does not exist here: a full sync deletes what did not come, "
         "without a "
         "moment in which the table is empty\n"},
        {SINK("\"recreate_table_on_first_run\":true"),
         "sinks.s.recreate_table_on_first_run: does not exist here: a full sync deletes what did not come, "
         "without a "
         "moment in which the table is empty\n"},
    };
    static const char *const good[] = {
        SINK(
            "\"schema\":\"c\",\"primary_key\":[\"a\",\"b\"],\"optimistic_lock\":{\"column\":\"v\","
            "\"maintained_by\":"
            "\"database\",\"coarse\":true},\"on_conflict\":\"skip\",\"missing_properties\":\"null\","
            "\"unknown_properties\":\"reject\",\"properties\":{\"x\":\"y\"},\"strip_namespaces\":true,"
            "\"deletes\":"
            "{\"column\":\"d\",\"value\":\"now\",\"live\":null},\"scope\":{\"column\":\"c\",\"value\":1},"
            "\"full_sync_deletes\":true,\"delete_guard\":{\"rows\":5,\"fraction\":0.1},\"whitelist\":[\"a\"],"
            "\"blacklist\":[\"b\"],\"timestamp\":\"ts\",\"skip_identity_columns\":true,"
            "\"remove_pk_char_trailing_spaces\":true,\"create_table_if_missing\":true,\"schema_definition\":["
            "{\"source_property\":\"a\",\"name\":\"a\",\"type\":\"string\",\"max_size\":10,\"min_size\":1,"
            "\"allow_null\":false,\"primary_key\":true,\"index\":true,\"default\":\"x\"},{\"name\":\"b\","
            "\"type\":"
            "\"decimal\",\"precision\":10,\"scale\":2,\"max_value\":5.5,\"min_value\":-5}]"),
        SINK("\"deletes\":\"ignore\",\"delete_guard\":false,\"primary_key\":\"a\""),
        SINK("\"optimistic_lock\":{\"hash\":\"p\",\"source\":\"h\"}"),
        SINK("\"optimistic_lock\":{\"column\":\"xmin\",\"property\":\"p\"}"),
    };
    (void)state;
    CHECK_BAD(cases);
    CHECK_GOOD(good);
}

static void a_sink_has_its_defaults(void **state)
{
    struct config *config = read_good(SINK("\"strip_namespaces\":false"));
    const struct config_sink *sink = config_sink(config, "s");
    (void)state;
    assert_ptr_equal(sink->system, config_system(config, "pg"));
    assert_string_equal(sink->table, "t");
    assert_true(!sink->schema && !sink->timestamp && !sink->scope_column);
    assert_int_equal(sink->primary_key.count + sink->property_count + sink->column_count, 0);
    assert_int_equal(sink->lock.kind, LOCK_NONE);
    assert_int_equal(sink->on_conflict, CONFLICT_REJECT);
    assert_int_equal(sink->deletes, DELETES_DELETE);
    assert_true(!sink->missing_null && !sink->missing_written && !sink->reject_unknown);
    assert_true(sink->full_sync_deletes);
    assert_false(sink->delete_guard.off);
    assert_int_equal(sink->delete_guard.rows, 100);
    assert_true(sink->delete_guard.fraction == 0.5);
    assert_false(sink->has_whitelist);
    assert_int_equal(sink->blacklist.count, 0);
    assert_false(sink->strip_namespaces || sink->skip_identity_columns || sink->remove_pk_char_trailing_spaces);
    assert_false(sink->create_table_if_missing);
    config_free(config);
}

static void a_sink_has_its_keys(void **state)
{
    struct config *config = read_good(
        SINK("\"schema\":\"c\",\"primary_key\":[\"a\",\"b\"],\"optimistic_lock\":{\"column\":\"v\","
             "\"property\":\"w\",\"maintained_by\":\"database\",\"coarse\":true},\"on_conflict\":\"overwrite\","
             "\"unknown_properties\":\"reject\",\"properties\":{\"x\":\"y\"},\"strip_namespaces\":true,"
             "\"scope\":{\"column\":\"b\",\"value\":7},\"delete_guard\":{\"rows\":5},"
             "\"blacklist\":[\"z\"],\"timestamp\":\"ts\",\"skip_identity_columns\":true,"
             "\"remove_pk_char_trailing_spaces\":true"));
    const struct config_sink *sink = config_sink(config, "s");
    (void)state;
    assert_string_equal(sink->schema, "c");
    assert_int_equal(sink->primary_key.count, 2);
    assert_string_equal(sink->primary_key.items[1], "b");
    assert_int_equal(sink->lock.kind, LOCK_COLUMN);
    assert_string_equal(sink->lock.column, "v");
    assert_string_equal(sink->lock.property, "w");
    assert_true(sink->lock.by_database && sink->lock.coarse);
    assert_int_equal(sink->on_conflict, CONFLICT_OVERWRITE);
    assert_true(sink->reject_unknown && sink->strip_namespaces);
    assert_int_equal(sink->property_count, 1);
    assert_string_equal(sink->properties[0].from, "x");
    assert_string_equal(sink->properties[0].to, "y");
    assert_string_equal(sink->scope_column, "b");
    assert_string_equal(sink->scope_value.text, "7");
    assert_int_equal(sink->delete_guard.rows, 5);
    assert_true(sink->delete_guard.fraction == 0.5 && !sink->delete_guard.off);
    assert_string_equal(sink->blacklist.items[0], "z");
    assert_string_equal(sink->timestamp, "ts");
    assert_true(sink->skip_identity_columns && sink->remove_pk_char_trailing_spaces);
    config_free(config);
}

static void a_lock_is_a_column_an_xmin_or_a_hash(void **state)
{
    struct config *config = read_good(SINK("\"optimistic_lock\":{\"column\":\"v\"}"));
    const struct config_optimistic_lock *lock = &config_sink(config, "s")->lock;
    (void)state;
    assert_int_equal(lock->kind, LOCK_COLUMN);
    assert_true(!lock->property && !lock->by_database && !lock->coarse && !lock->source);
    config_free(config);
    config = read_good(SINK("\"optimistic_lock\":{\"column\":\"xmin\",\"property\":\"p\"}"));
    lock = &config_sink(config, "s")->lock;
    assert_int_equal(lock->kind, LOCK_XMIN);
    assert_null(lock->column);
    assert_string_equal(lock->property, "p");
    config_free(config);
    config = read_good(SINK("\"optimistic_lock\":{\"hash\":\"p\",\"source\":\"h\"}"));
    lock = &config_sink(config, "s")->lock;
    assert_int_equal(lock->kind, LOCK_HASH);
    assert_string_equal(lock->property, "p");
    assert_ptr_equal(lock->source, config_source(config, "h"));
    config_free(config);
}

static void defaults_of_a_sink_depend_on_its_other_keys(void **state)
{
    static const struct {
        const char *text;
        bool missing_null, full_sync_deletes;
    } cases[] = {
        {SINK("\"on_conflict\":\"skip\""), false, true},
        {SINK("\"whitelist\":[\"a\"]"), true, true},
        {SINK("\"whitelist\":[\"a\"],\"missing_properties\":\"keep\""), false, true},
        {SINK("\"missing_properties\":\"null\""), true, true},
        {SINK("\"schema_definition\":[{\"name\":\"a\",\"type\":\"uuid\"}]"), true, true},
        {SINK("\"schema_definition\":[]"), false, true},
        {SINK("\"optimistic_lock\":{\"column\":\"v\"}"), false, false},
        {SINK("\"optimistic_lock\":{\"column\":\"v\"},\"full_sync_deletes\":true"), false, true},
        {SINK("\"optimistic_lock\":{\"column\":\"v\"},\"scope\":{\"column\":\"c\",\"value\":1}"), false, true},
        {SINK("\"scope\":{\"column\":\"c\",\"value\":1},\"full_sync_deletes\":false"), false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *config = read_good(cases[i].text);
        const struct config_sink *sink = config_sink(config, "s");
        if (sink->missing_null != cases[i].missing_null || sink->full_sync_deletes != cases[i].full_sync_deletes)
            fail_msg("%s", cases[i].text);
        config_free(config);
    }
}

static void deletes_have_three_forms(void **state)
{
    struct config *config = read_good(SINK("\"deletes\":\"ignore\",\"delete_guard\":false"));
    const struct config_sink *sink = config_sink(config, "s");
    (void)state;
    assert_int_equal(sink->deletes, DELETES_IGNORE);
    assert_true(sink->delete_guard.off);
    config_free(config);
    config = read_good(SINK("\"deletes\":{\"column\":\"d\",\"value\":\"now\"}"));
    sink = config_sink(config, "s");
    assert_int_equal(sink->deletes, DELETES_MARK);
    assert_string_equal(sink->mark.column, "d");
    assert_true(sink->mark.now);
    assert_int_equal(sink->mark.live.type, CONFIG_ABSENT);
    config_free(config);
    config = read_good(SINK("\"deletes\":{\"column\":\"d\",\"value\":true,\"live\":null}"));
    sink = config_sink(config, "s");
    assert_false(sink->mark.now);
    assert_int_equal(sink->mark.value.type, CONFIG_BOOL);
    assert_int_equal(sink->mark.live.type, CONFIG_NULL);
    config_free(config);
}

static void columns_of_a_sink_are_defined(void **state)
{
    struct config *config =
        read_good(SINK("\"create_table_if_missing\":true,\"schema_definition\":["
                       "{\"source_property\":\"p\",\"name\":\"a\",\"type\":\"string\",\"max_size\":10,"
                       "\"min_size\":1,\"primary_key\":true,\"index\":true,\"default\":\"x\"},"
                       "{\"name\":\"b\",\"type\":\"decimal\",\"precision\":10,\"scale\":2},"
                       "{\"source_property\":\"c\",\"type\":\"boolean\",\"max_value\":-5,\"allow_null\":false}]"));
    const struct config_sink *sink = config_sink(config, "s");
    const struct config_column *column = sink->columns;
    (void)state;
    assert_true(sink->create_table_if_missing);
    assert_int_equal(sink->column_count, 3);
    assert_string_equal(column[0].property, "p");
    assert_string_equal(column[0].name, "a");
    assert_int_equal(column[0].type, COLUMN_STRING);
    assert_true(column[0].has_max && column[0].has_min && column[0].max == 10 && column[0].min == 1);
    assert_true(column[0].primary_key && column[0].index && !column[0].allow_null);
    assert_string_equal(column[0].def.text, "x");
    assert_string_equal(column[1].property, "b");
    assert_int_equal(column[1].type, COLUMN_DECIMAL);
    assert_true(column[1].precision == 10 && column[1].scale == 2 && column[1].allow_null);
    assert_true(!column[1].has_max && !column[1].has_min && !column[1].primary_key && !column[1].index);
    assert_int_equal(column[1].def.type, CONFIG_ABSENT);
    assert_string_equal(column[2].name, "c");
    assert_true(column[2].has_max && !column[2].has_min && column[2].max == -5 && !column[2].allow_null);
    config_free(config);
}

static void keys_without_effect_are_collected(void **state)
{
    struct config *config = read_good(
        "{\"systems\":{\"a\":{\"type\":\"sqlite\",\"path\":\"p\",\"pool_max_overflow\":5}},\"sources\":{"
        "\"b\":{\"type\":"
        "\"sql\",\"system\":\"a\",\"table\":\"t\"}},\"sinks\":{\"c\":{\"system\":\"a\",\"table\":\"t\","
        "\"use_bulk_operations\":true,\"batch_size\":100,\"truncate_table_on_first_run\":false}}}");
    (void)state;
    assert_int_equal(config->ignored.count, 5);
    assert_string_equal(config->ignored.items[0], "systems.a.pool_max_overflow");
    assert_string_equal(config->ignored.items[1], "sources.b.type");
    assert_string_equal(config->ignored.items[2], "sinks.c.batch_size");
    assert_string_equal(config->ignored.items[3], "sinks.c.use_bulk_operations");
    assert_string_equal(config->ignored.items[4], "sinks.c.truncate_table_on_first_run");
    assert_ptr_equal(config_sink(config, "c")->system, config_system(config, "a"));
    assert_null(config_sink(config, "b"));
    config_free(config);
}

static void variables_are_put_into_every_string(void **state)
{
    setenv("TEST_A", "one ${TEST_B}", 1);
    setenv("TEST_PORT", "8080", 1);
    setenv("TEST_YES", "true", 1);
    setenv("TEST_EMPTY", "", 1);
    struct config *config = read_good("{\"listen\":{\"port\":\"${TEST_PORT}\"},\"systems\":{\"pg\":{\"type\":"
                                      "\"postgresql\",\"database\":\"<${TEST_A}>\","
                                      "\"username\":\"$${TEST_A}$\",\"password\":\"${TEST_EMPTY}\"}},"
                                      "\"sources\":{\"s\":{\"system\":\"p${TEST_EMPTY}g\","
                                      "\"table\":\"$$${TEST_A}\",\"is_chronological_full\":\"${TEST_YES}\","
                                      "\"whitelist\":[\"${TEST_PORT}\"],"
                                      "\"properties\":{\"${TEST_A}\":\"x${TEST_PORT}y${TEST_PORT}\"}}}}");
    (void)state;
    assert_int_equal(config->listen.port, 8080);
    assert_string_equal(config->systems[0].database, "<one ${TEST_B}>");
    assert_string_equal(config->systems[0].username, "${TEST_A}$");
    assert_string_equal(config->systems[0].password, "");
    assert_string_equal(config->sources[0].table, "$${TEST_A}");
    assert_true(config->sources[0].is_chronological_full);
    assert_string_equal(config->sources[0].whitelist.items[0], "8080");
    assert_string_equal(config->sources[0].properties[0].from, "${TEST_A}");
    assert_string_equal(config->sources[0].properties[0].to, "x8080y8080");
    config_free(config);
}

static void write_file(const char *path, const char *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(bytes, 1, len, file);
    assert_int_equal(fclose(file), 0);
}

static void files_lose_their_last_line_end_only(void **state)
{
    static const struct {
        const char *content, *text;
    } cases[] = {{"pw", "pw"},     {"pw\n", "pw"}, {"pw\n\n", "pw\n"}, {"a\nb\r\n", "a\nb"},
                 {"pw\r", "pw\r"}, {"", ""},       {"\n", ""}};
    char path[] = "/tmp/test_config.XXXXXX", text[256];
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    close(fd);
    snprintf(text, sizeof text, POSTGRESQL("\"password\":\"<${file:%s}>\""), path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[32];
        write_file(path, cases[i].content, strlen(cases[i].content));
        struct config *config = read_good(text);
        snprintf(want, sizeof want, "<%s>", cases[i].text);
        assert_string_equal(config->systems[0].password, want);
        config_free(config);
    }
    char mistake[256];
    const struct bad zero[] = {{text, mistake}};
    snprintf(mistake, sizeof mistake, "systems.s.password: the file '%s' holds a zero byte\n", path);
    write_file(path, "a\0b", 3);
    CHECK_BAD(zero);
    unlink(path);
}

static void what_cannot_be_put_in_is_named_but_not_quoted(void **state)
{
    static const struct bad cases[] = {
        {POSTGRESQL("\"password\":\"secret${TEST_UNKNOWN}\""),
         "systems.s.password: the environment variable 'TEST_UNKNOWN' is not set\n"},
        {POSTGRESQL("\"password\":\"${file:/nonexistent/file}\""),
         "systems.s.password: cannot open the file '/nonexistent/file': No such file or directory\n"},
        {POSTGRESQL("\"password\":\"${file:/}\""),
         "systems.s.password: cannot read the file '/': Is a directory\n"},
        {POSTGRESQL("\"password\":\"secret${\""),
         "systems.s.password: there is a '${' without its '}'; write $${ for a literal ${\n"},
        {POSTGRESQL("\"password\":\"sec${ret!}\""),
         "systems.s.password: '${' is not followed by the name of a "
         "variable and '}'; write $${ for a literal ${\n"},
        {POSTGRESQL("\"port\":\"${TEST_UNKNOWN}\""),
         "systems.s.port: the environment variable 'TEST_UNKNOWN' is not set\n"},
        {QUERY("\"query\":\"${TEST_UNKNOWN}\",\"parameters\":{\"a\":{}}"),
         "sources.s.query: the environment variable 'TEST_UNKNOWN' is not set\n"},
        {TABLE("\"whitelist\":[\"${TEST_UNKNOWN}\"]"),
         "sources.s.whitelist[0]: the environment variable 'TEST_UNKNOWN' is not set\n"},
    };
    (void)state;
    unsetenv("TEST_UNKNOWN");
    CHECK_BAD(cases);
}

/* Every key takes the secret once, as a string, in a list, in an object, where most of them are wrong. */
static void no_mistake_quotes_a_string(void **state)
{
    static const char *const values[] = {"\"hunter2\"", "[\"hunter2\"]", "{\"column\":\"hunter2\"}",
                                         "{\"hunter\":\"hunter2\"}", "[{\"type\":\"hunter2\"}]"};
    static const char *const keys[] = {"type",
                                       "host",
                                       "port",
                                       "database",
                                       "username",
                                       "password",
                                       "sslmode",
                                       "sslrootcert",
                                       "target_session_attrs",
                                       "timezone",
                                       "path",
                                       "pool_size",
                                       "pool_timeout",
                                       "system",
                                       "table",
                                       "query",
                                       "updated_query",
                                       "primary_key",
                                       "updated_column",
                                       "deleted",
                                       "whitelist",
                                       "properties",
                                       "late_commits",
                                       "token",
                                       "fetch_size",
                                       "parameters",
                                       "optimistic_lock",
                                       "on_conflict",
                                       "deletes",
                                       "scope",
                                       "delete_guard",
                                       "schema_definition",
                                       "address",
                                       "tls",
                                       "authentication",
                                       "level",
                                       "users",
                                       "tokens"};
    static const char *const places[] = {"{\"systems\":{\"s\":{%s}}}",
                                         "{\"sources\":{\"s\":{%s}}}",
                                         "{\"sinks\":{\"s\":{%s}}}",
                                         "{\"listen\":{%s}}",
                                         "{\"log\":{%s}}",
                                         "{\"listen\":{\"authentication\":{%s}}}"};
    size_t refused = 0;
    (void)state;
    for (size_t n = 0; n < 5 * 37 * 6; n++) {
        char member[128], text[256];
        struct config *config = NULL;
        struct buf mistakes = {0};
        struct err err = {0};
        snprintf(member, sizeof member, "\"%s\":%s", keys[n / 5 % 37], values[n % 5]);
        int len = snprintf(text, sizeof text, places[n / 185], member);
        if (config_parse(&config, text, (size_t)len, "test", &mistakes, &err)) {
            refused++;
            if (strstr(buf_text(&mistakes), "hunter2") || strstr(err.text, "hunter2"))
                fail_msg("%s: %s", text, mistakes.data);
        }
        config_free(config);
        buf_free(&mistakes);
    }
    assert_true(refused > 1000);
}

static void a_document_cut_anywhere_is_refused_in_peace(void **state)
{
    static const char text[] =
        SINK("\"schema_definition\":[{\"name\":\"a\",\"type\":\"string\"}],\"deletes\":{\"column\":"
             "\"d\",\"value\":1}");
    (void)state;
    for (size_t cut = 0; cut < sizeof text - 1; cut++) {
        struct config *config = NULL;
        struct buf mistakes = {0};
        struct err err = {0};
        assert_int_equal(config_parse(&config, text, cut, "test", &mistakes, &err), -1);
        buf_free(&mistakes);
    }
    config_free(read_good(text));
}

static void the_environment_overrides_port_and_address(void **state)
{
    static const struct bad exposed[] = {
        {"{}",
         "listen.authentication: must be written on an address that is not loopback, if only as {\"type\": "
         "\"none\"}\n"}};
    static const struct bad port[] = {{"{}", "$PORT: expected a port, 0 to 65535\n"}};
    static const char *const wrong[] = {"http", "65536", "-1", "1 ", "99999999999999999999", "0x1"};
    (void)state;
    setenv("PORT", "8123", 1);
    setenv("LISTEN_ADDRESS", "127.0.0.2", 1);
    struct config *config = read_good(LISTEN("\"port\":1,\"address\":\"::1\""));
    assert_int_equal(config->listen.port, 8123);
    assert_string_equal(config->listen.address, "127.0.0.2");
    config_free(config);
    setenv("LISTEN_ADDRESS", "0.0.0.0", 1);
    CHECK_BAD(exposed);
    setenv("LISTEN_ADDRESS", "", 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("PORT", wrong[i], 1);
        CHECK_BAD(port);
    }
    setenv("PORT", "", 1);
    config_free(read_good("{}"));
    unsetenv("PORT");
    unsetenv("LISTEN_ADDRESS");
}

static void the_document_comes_from_the_first_place_that_is_named(void **state)
{
    char first[] = "/tmp/test_config.XXXXXX", second[] = "/tmp/test_config.XXXXXX";
    struct config *config;
    struct buf mistakes = {0};
    struct err err = {0};
    (void)state;
    close(mkstemp(first));
    close(mkstemp(second));
    write_file(first, LISTEN("\"port\":1"), strlen(LISTEN("\"port\":1")));
    write_file(second, LISTEN("\"port\":3"), strlen(LISTEN("\"port\":3")));
    setenv("SESAM_SQL_CONFIG", LISTEN("\"port\":2"), 1);
    setenv("SESAM_SQL_CONFIG_FILE", second, 1);
    assert_int_equal(config_read(&config, first, &mistakes, &err), 0);
    assert_true(config->listen.port == 1 && strcmp(config->origin, first) == 0);
    config_free(config);
    assert_int_equal(config_read(&config, NULL, &mistakes, &err), 0);
    assert_true(config->listen.port == 2 && strcmp(config->origin, "$SESAM_SQL_CONFIG") == 0);
    config_free(config);
    setenv("SESAM_SQL_CONFIG", "", 1);
    assert_int_equal(config_read(&config, NULL, &mistakes, &err), 0);
    assert_true(config->listen.port == 3 && strcmp(config->origin, second) == 0);
    config_free(config);
    unsetenv("SESAM_SQL_CONFIG");
    unsetenv("SESAM_SQL_CONFIG_FILE");
    unlink(first);
    unlink(second);
    buf_free(&mistakes);
}

static void without_a_document_the_three_ways_are_told(void **state)
{
    static const char *const ways[] = {"--config", "$SESAM_SQL_CONFIG_FILE", "$SESAM_SQL_CONFIG"};
    struct config *config;
    struct buf mistakes = {0};
    struct err err = {0};
    (void)state;
    assert_int_equal(config_read(&config, NULL, &mistakes, &err), -1);
    assert_int_equal(err.code, ERR_CONFIG);
    for (size_t i = 0; i < 3; i++)
        assert_non_null(strstr(err.hint, ways[i]));
    err_clear(&err);
    assert_int_equal(config_read(&config, "/nonexistent/file", &mistakes, &err), -1);
    assert_non_null(strstr(err.text, "/nonexistent/file"));
    assert_int_equal(mistakes.len, 0);
    buf_free(&mistakes);
}

static void the_sum_counts_the_mistakes(void **state)
{
    struct config *config;
    struct buf mistakes = {0};
    struct err err = {0};
    (void)state;
    config_parse(&config, "{\"a\":1}", 7, "place", &mistakes, &err);
    assert_string_equal(err.text, "the configuration in place has 1 mistake");
    err_clear(&err);
    config_parse(&config, "{\"a\":1,\"b\":2}", 13, "place", &mistakes, &err);
    assert_string_equal(err.text, "the configuration in place has 2 mistakes");
    buf_free(&mistakes);
}

static void loopback_is_told_from_the_rest(void **state)
{
    static const char *const near[] = {NULL,
                                       "127.0.0.1",
                                       "127.255.0.9",
                                       "::1",
                                       "0:0:0:0:0:0:0:1",
                                       "localhost",
                                       "LOCALHOST",
                                       "::ffff:127.0.0.1",
                                       "/run/postgresql",
                                       "@abstract",
                                       "",
                                       "127.0.0.1,::1"};
    static const char *const far[] = {"0.0.0.0",
                                      "::",
                                      "10.0.0.1",
                                      "128.0.0.1",
                                      "127.0.0.1.example.com",
                                      "127.1",
                                      "localhost.example.com",
                                      "db",
                                      "::ffff:10.0.0.1",
                                      "::2",
                                      "127.0.0.1,db",
                                      "db,127.0.0.1",
                                      "*"};
    (void)state;
    for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
        if (!config_is_loopback(near[i]))
            fail_msg("%s is loopback", near[i]);
    }
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        if (config_is_loopback(far[i]))
            fail_msg("%s is not loopback", far[i]);
    }
}

static void the_reference_has_every_section(void **state)
{
    static const char *const parts[] = {
        "## `listen.authentication.users[]`\n",
        "## `systems.NAME`\n",
        "## `sources.NAME.late_commits`\n",
        "## `sources.NAME.parameters.PARAMETER`\n",
        "## `sinks.NAME.schema_definition[]`\n",
        "| `port` | integer | `5000` | 0 takes any free port; `$PORT` overrides it |\n",
        "| `table` | string | required | the table |\n",
        "| `path` | string |  | the file; required (SQLite) |\n",
        "`truncate_table_on_first_run` (does not exist here",
        "`pool_max_overflow` (",
    };
    struct buf out = {0};
    (void)state;
    assert_int_equal(config_reference(&out), 0);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!strstr(buf_text(&out), parts[i]))
            fail_msg("%s is not in the reference", parts[i]);
    }
    buf_free(&out);
}

/* automake tells where the sources are. */
static void the_documentation_holds_the_reference(void **state)
{
    (void)state;
    char path[4096];
    struct buf page = {0}, reference = {0};
    const char *folder = getenv("srcdir");
    snprintf(path, sizeof path, "%s/docs/configuration.md", folder ? folder : ".");
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("cannot read %s", path);
    for (int c; (c = getc(file)) != EOF;)
        buf_putc(&page, (char)c);
    fclose(file);
    assert_int_equal(config_reference(&reference), 0);
    const char *text = buf_text(&reference);
    if (!strstr(buf_text(&page), text))
        fail_msg("docs/configuration.md does not hold what sesam-sql --keys prints");
    buf_free(&page);
    buf_free(&reference);
}

/* what /status shows */

static void check_secrets(const struct section *section)
{
    for (const struct key *key = section->keys; key->name; key++) {
        bool secret = key->type == KEY_SECRET || strcmp(key->name, "password") == 0 || strcmp(key->name, "tokens") == 0;
        if (secret != key->secret)
            fail_msg("%s.%s is %s", section->title, key->name, secret ? "a secret" : "no secret");
        if (key->section)
            check_secrets(key->section);
    }
}

static void every_secret_of_the_schema_is_marked_as_one(void **state)
{
    (void)state;
    check_secrets(&section_root);
}

static void what_is_shown_has_stars_for_secrets_and_references_as_they_were(void **state)
{
    static const char text[] =
        "{\"systems\":{\"s\":{\"type\":\"postgresql\",\"host\":\"${TEST_HOST}\",\"database\":\"d\",\"username\":"
        "\"u\",\"password\":\"hunter2${TEST_HOST}\"}},\"sources\":{\"t\":{\"system\":\"s\",\"table\":\"t\","
        "\"supports_since\":true}},\"listen\":{\"port\":\"7\",\"authentication\":{\"type\":\"bearer\","
        "\"tokens\":[\"hunter2\",\"${TEST_HOST}\"]}}}";
    static const char *const wanted[] = {
        "\"host\":\"${TEST_HOST}\"", "\"password\":\"***\"",      "\"tokens\":[\"***\",\"***\"]",
        "\"port\":7,",               "\"late_commits\":\"auto\"", "\"pool_size\":10",
        "\"log\":{\"level\":\"info\"", "\"sinks\":{}"};
    (void)state;
    setenv("TEST_HOST", "hunter2.example", 1);
    struct config *config = read_good(text);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr(config->shown, wanted[i]))
            fail_msg("%s is not in %s", wanted[i], config->shown);
    assert_null(strstr(config->shown, "hunter2"));
    assert_null(strstr(config->shown, "supports_since"));
    config_free(config);
    unsetenv("TEST_HOST");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_document_has_all_defaults),
        cmocka_unit_test(a_system_has_its_keys_and_defaults),
        cmocka_unit_test(a_source_has_its_defaults),
        cmocka_unit_test(a_source_has_its_keys),
        cmocka_unit_test(late_commits_have_four_forms),
        cmocka_unit_test(parameters_have_types_and_defaults),
        cmocka_unit_test(authentication_is_read),
        cmocka_unit_test(unknown_keys_name_their_path_and_the_nearest),
        cmocka_unit_test(what_is_not_json_tells_its_place_and_no_content),
        cmocka_unit_test(types_are_checked),
        cmocka_unit_test(all_mistakes_are_told_at_once),
        cmocka_unit_test(listen_must_make_sense),
        cmocka_unit_test(systems_must_make_sense),
        cmocka_unit_test(names_must_fit_into_a_url),
        cmocka_unit_test(hosts_hold_no_passwords),
        cmocka_unit_test(sources_must_make_sense),
        cmocka_unit_test(a_change_log_needs_no_updated_column),
        cmocka_unit_test(what_does_not_go_with_a_change_log_is_refused),
        cmocka_unit_test(properties_must_not_collide),
        cmocka_unit_test(parameters_must_be_declared_and_used),
        cmocka_unit_test(sinks_must_make_sense),
        cmocka_unit_test(a_sink_has_its_defaults),
        cmocka_unit_test(a_sink_has_its_keys),
        cmocka_unit_test(a_lock_is_a_column_an_xmin_or_a_hash),
        cmocka_unit_test(defaults_of_a_sink_depend_on_its_other_keys),
        cmocka_unit_test(deletes_have_three_forms),
        cmocka_unit_test(columns_of_a_sink_are_defined),
        cmocka_unit_test(keys_without_effect_are_collected),
        cmocka_unit_test(variables_are_put_into_every_string),
        cmocka_unit_test(files_lose_their_last_line_end_only),
        cmocka_unit_test(what_cannot_be_put_in_is_named_but_not_quoted),
        cmocka_unit_test(no_mistake_quotes_a_string),
        cmocka_unit_test(a_document_cut_anywhere_is_refused_in_peace),
        cmocka_unit_test(the_environment_overrides_port_and_address),
        cmocka_unit_test(the_document_comes_from_the_first_place_that_is_named),
        cmocka_unit_test(without_a_document_the_three_ways_are_told),
        cmocka_unit_test(the_sum_counts_the_mistakes),
        cmocka_unit_test(loopback_is_told_from_the_rest),
        cmocka_unit_test(the_reference_has_every_section),
        cmocka_unit_test(the_documentation_holds_the_reference),
        cmocka_unit_test(every_secret_of_the_schema_is_marked_as_one),
        cmocka_unit_test(what_is_shown_has_stars_for_secrets_and_references_as_they_were),
    };
    static const char *const variables[] = {"PORT", "LISTEN_ADDRESS", "SESAM_SQL_CONFIG",
                                            "SESAM_SQL_CONFIG_FILE"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
