/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "db/db.h"
#include "http/routes.h"
#include "ops/traffic.h"
#include "scripted.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

enum { MOST = 1000 }; /* bytes of a body */

/* a service with one source and one sink, and a client of it */

struct world {
    struct script script;
    struct config_source source;
    struct config_sink sink;
    struct config config;
    struct db db;
    struct service service;
};

static void begin_world(struct world *world)
{
    struct err err = {0};
    *world = (struct world){.source = {.name = "people", .table = "t"}, .sink = {.name = "people", .table = "t"}};
    script_begin(&world->script);
    world->source.system = world->sink.system = &world->script.system;
    world->config = (struct config){
        .systems = &world->script.system, .system_count = 1, .sources = &world->source, .source_count = 1,
        .sinks = &world->sink, .sink_count = 1,
        .listen = {.max_connections = 2, .max_body_bytes = MOST, .max_buffered_bytes = 10 * MOST,
                   .max_entity_bytes = MOST, .request_timeout = 60, .spool_directory = "/var/tmp"}};
    world->db = (struct db){.system = &world->script.system, .driver = &script_driver};
    world->db.pool = pool_new(&script_driver, &world->script.system);
    world->service = (struct service){.config = &world->config, .dbs = &world->db, .gate = gate_new(10 * MOST),
                                      .traffic = routes_traffic()};
    if (source_open_all(&world->service.sources, &world->config, &world->db, &err) ||
        sink_open_all(&world->service.sinks, &world->config, &world->db, world->service.sources, &err))
        fail_msg("%s", err.text);
}

static void end_world(struct world *world)
{
    assert_int_equal(world->service.streams, 0);
    sink_close_all(world->service.sinks, 1);
    source_close_all(world->service.sources, 1);
    traffic_free(world->service.traffic);
    gate_free(world->service.gate);
    pool_free(world->db.pool);
}

/* A request without a body, until the test says otherwise. */
static struct exchange request_of(struct world *world, const char *method, const char *uri)
{
    struct exchange exchange = {.service = &world->service, .arena = arena_new()};
    exchange.request.method = method;
    exchange.request.uri = arena_strdup(exchange.arena, uri);
    exchange.request.length = UINT64_MAX;
    return exchange;
}

/* A push whose body comes in chunks. */
static struct exchange push_of(struct world *world, const char *uri)
{
    struct exchange exchange = request_of(world, "POST", uri);
    exchange.request.body = true;
    exchange.request.content_type = "application/json";
    return exchange;
}

static int feed(struct exchange *exchange, const char *text)
{
    return routes_feed(exchange, text, strlen(text));
}

static void check_problem(struct exchange *exchange, unsigned status, const char *detail)
{
    assert_int_equal(exchange->reply.status, status);
    assert_string_equal(exchange->reply.type, "application/problem+json");
    assert_null(exchange->push);
    const char *body = buf_text(&exchange->reply.body);
    if (!strstr(body, detail))
        fail_msg("%s\nis not in %s", detail, body);
}

/* heads */

static void a_sink_takes_a_body(void **state)
{
    static const char *const types[] = {NULL, "application/json", "application/json; charset=utf-8",
                                        "Application/JSON\t;x"};
    struct world world;
    (void)state;
    begin_world(&world);
    for (size_t i = 0; i < COUNT(types); i++) {
        struct exchange push = push_of(&world, "/sinks/people?is_full=false");
        push.request.content_type = types[i];
        push.request.content_encoding = i % 2 ? "Identity" : NULL;
        push.request.length = i % 2 ? MOST : UINT64_MAX;
        assert_true(routes_begin(&push));
        assert_int_equal(push.reply.status, 0);
        assert_non_null(push.push);
        assert_int_equal(feed(&push, "["), 0);
        routes_finish(&push, "the client went away");
    }
    end_world(&world);
}

static void a_type_that_is_not_json_is_415(void **state)
{
    static const char *const types[] = {"", "text/plain", "application/jsonx", "application/json+x", "json",
                                        "application/ json", "text/application/json"};
    struct world world;
    (void)state;
    begin_world(&world);
    for (size_t i = 0; i < COUNT(types); i++) {
        struct exchange push = push_of(&world, "/sinks/people");
        push.request.content_type = types[i];
        assert_true(routes_begin(&push));
        check_problem(&push, 415, "application/json");
        routes_finish(&push, NULL);
    }
    struct exchange push = push_of(&world, "/sinks/people");
    push.request.content_encoding = "gzip";
    assert_true(routes_begin(&push));
    check_problem(&push, 415, "Content-Encoding");
    routes_finish(&push, NULL);
    end_world(&world);
}

/* Whoever sends does not listen: an answer before the end of the body would mostly be lost. */
static void a_body_is_read_though_nobody_wants_it(void **state)
{
    static const struct {
        const char *method, *uri;
        unsigned status;
    } cases[] = {
        {"POST", "/sinks/peeple", 404}, {"POST", "/nothing", 404},           {"PUT", "/sinks/people", 405},
        {"POST", "/sources/people", 405}, {"POST", "/sinks/people?is_full=x", 400}, {"POST", "/%zz", 400},
    };
    struct world world;
    (void)state;
    begin_world(&world);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct exchange push = push_of(&world, cases[i].uri);
        push.request.method = cases[i].method;
        assert_true(routes_begin(&push));
        check_problem(&push, cases[i].status, "\"detail\"");
        assert_int_equal(feed(&push, "[{\"_id\":\"1\"}]"), 0);
        routes_answer(&push);
        check_problem(&push, cases[i].status, "\"detail\"");
        routes_finish(&push, NULL);
    }
    end_world(&world);
}

static void what_is_too_long_or_asks_first_is_refused_at_its_head(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world);
    struct exchange push = push_of(&world, "/sinks/people");
    push.request.length = MOST + 1;
    assert_false(routes_begin(&push));
    check_problem(&push, 413, "max_body_bytes");
    routes_finish(&push, NULL);
    push = push_of(&world, "/sinks/peeple");
    push.request.length = MOST + 1;
    assert_false(routes_begin(&push));
    check_problem(&push, 404, "peeple");
    routes_finish(&push, NULL);
    push = push_of(&world, "/sinks/peeple");
    push.request.expects = true;
    assert_false(routes_begin(&push));
    routes_finish(&push, NULL);
    push = push_of(&world, "/sinks/people");
    push.request.ambiguous = true;
    assert_false(routes_begin(&push));
    check_problem(&push, 400, "more than one way");
    routes_finish(&push, NULL);
    push = push_of(&world, "/sinks/people"); /* and who may send is told so */
    push.request.expects = true;
    assert_true(routes_begin(&push));
    routes_finish(&push, NULL);
    end_world(&world);
}

static void a_body_that_goes_on_and_on_is_broken_off(void **state)
{
    struct world world;
    char block[MOST];
    (void)state;
    memset(block, ' ', sizeof block);
    begin_world(&world);
    struct exchange push = push_of(&world, "/sinks/peeple");
    assert_true(routes_begin(&push));
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(routes_feed(&push, block, MOST), 0);
    assert_int_equal(routes_feed(&push, block, MOST), -1);
    routes_finish(&push, "the client went away");
    end_world(&world);
}

static void without_credentials_nothing_is_opened(void **state)
{
    struct config_user user = {.username = "sesam", .password = "x"};
    struct world world;
    (void)state;
    begin_world(&world);
    world.config.listen.authentication = AUTH_BASIC;
    world.config.listen.users = &user;
    world.config.listen.user_count = 1;
    struct exchange push = push_of(&world, "/sinks/people");
    assert_true(routes_begin(&push));
    check_problem(&push, 401, "credentials");
    assert_non_null(push.reply.challenge);
    routes_finish(&push, NULL);
    push = push_of(&world, "/sinks/people");
    push.request.authorization = "Basic c2VzYW06eA==";
    assert_true(routes_begin(&push));
    assert_non_null(push.push);
    routes_finish(&push, NULL);
    end_world(&world);
}

/* bodies */

static void the_first_error_of_a_body_stays(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world);
    struct exchange push = push_of(&world, "/sinks/people");
    assert_true(routes_begin(&push));
    assert_int_equal(feed(&push, "[BAD"), 0);
    check_problem(&push, 400, "\"detail\"");
    char *first = strdup(buf_text(&push.reply.body));
    assert_int_equal(feed(&push, "{\"_id\":\"1\"}]"), 0);
    routes_answer(&push);
    assert_string_equal(buf_text(&push.reply.body), first);
    free(first);
    routes_finish(&push, NULL);
    end_world(&world);
}

static void a_body_without_its_length_is_counted(void **state)
{
    struct world world;
    char block[MOST];
    (void)state;
    memset(block, ' ', sizeof block);
    begin_world(&world);
    struct exchange push = push_of(&world, "/sinks/people");
    assert_true(routes_begin(&push));
    assert_int_equal(feed(&push, "["), 0);
    assert_int_equal(routes_feed(&push, block, MOST), 0);
    check_problem(&push, 413, "\"detail\"");
    routes_finish(&push, NULL);
    end_world(&world);
}

/* places */

static void a_push_has_its_place_from_its_head_on(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world);
    world.config.listen.max_connections = 1;
    struct exchange first = push_of(&world, "/sinks/people"), second = push_of(&world, "/sinks/people");
    struct exchange pull = request_of(&world, "GET", "/sources/people"), third = push_of(&world, "/sinks/people");
    assert_true(routes_begin(&first));
    assert_true(routes_begin(&second));
    check_problem(&second, 503, "max_connections");
    assert_int_not_equal(second.reply.retry_after, 0);
    assert_true(routes_begin(&pull));
    routes_answer(&pull);
    check_problem(&pull, 503, "max_connections");
    routes_finish(&second, NULL);
    routes_finish(&pull, NULL);
    routes_finish(&first, "the client went away");
    assert_true(routes_begin(&third));
    assert_non_null(third.push);
    routes_finish(&third, NULL);
    end_world(&world);
}

static void a_service_that_stops_finishes_what_was_begun(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world);
    struct exchange begun = push_of(&world, "/sinks/people"), late = push_of(&world, "/sinks/people");
    assert_true(routes_begin(&begun));
    atomic_store(&world.service.draining, true);
    assert_true(routes_begin(&late));
    check_problem(&late, 503, "shutting down");
    assert_int_equal(feed(&begun, "["), 0);
    assert_non_null(begun.push);
    routes_finish(&begun, NULL);
    routes_finish(&late, NULL);
    end_world(&world);
}

/* the page */

static void the_page_is_at_the_root_alone(void **state)
{
    static const struct {
        const char *uri;
        unsigned status;
    } cases[] = {{"/", 200}, {"/?x=1", 200}, {"//", 404}, {"/x", 404}, {"/page.js", 404}, {"/sources/", 404}};
    struct world world;
    (void)state;
    begin_world(&world);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct exchange get = request_of(&world, "GET", cases[i].uri);
        assert_true(routes_begin(&get));
        routes_answer(&get);
        assert_int_equal(get.reply.status, cases[i].status);
        assert_int_equal(get.reply.policy != NULL, cases[i].status == 200);
        if (get.reply.policy)
            assert_string_equal(get.reply.type, "text/html; charset=utf-8");
        routes_finish(&get, NULL);
    }
    end_world(&world);
}

/* replies */

static void every_error_has_its_status(void **state)
{
    static const struct {
        enum err_code code;
        unsigned status;
        const char *title;
    } cases[] = {
        {ERR_INPUT, 400, "Bad Request"},
        {ERR_NOT_FOUND, 404, "Not Found"},
        {ERR_CHAIN, 409, "Conflict"},
        {ERR_GONE, 410, "Gone"},
        {ERR_CONFLICT, 412, "Precondition Failed"},
        {ERR_LARGE, 413, "Content Too Large"},
        {ERR_REFUSED, 422, "Unprocessable Content"},
        {ERR_DATABASE, 500, "Internal Server Error"},
        {ERR_CHANGED, 500, "Internal Server Error"},
        {ERR_VALUE, 500, "Internal Server Error"},
        {ERR_INTERNAL, 500, "Internal Server Error"},
        {ERR_AWAY, 503, "Service Unavailable"},
        {ERR_LOST, 503, "Service Unavailable"},
        {ERR_RACE, 503, "Service Unavailable"},
        {ERR_BUSY, 503, "Service Unavailable"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct reply reply = {0};
        struct err err = {0};
        err_set(&err, cases[i].code, "no");
        reply_error(&reply, NULL, &err, NULL);
        assert_int_equal(reply.status, cases[i].status);
        assert_int_equal(reply.retry_after > 0, cases[i].status == 503);
        assert_false(reply.abandoned);
        if (!strstr(buf_text(&reply.body), cases[i].title))
            fail_msg("%s", buf_text(&reply.body));
        buf_free(&reply.body);
    }
}

static void a_problem_has_the_members_of_its_kind(void **state)
{
    struct reply reply = {0};
    struct buf members = {0};
    (void)state;
    reply_json(&reply);
    buf_puts(&reply.body, "{\"half an answer\":");
    buf_puts(&members, ",\"_id\":\"7\",\"property\":\"age\"");
    reply_problem(&reply, 422, "it is \"no\" number", "send \xff one", &members);
    assert_string_equal(buf_text(&reply.body),
                        "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\",\"status\":422,"
                        "\"detail\":\"it is \\\"no\\\" number\",\"hint\":\"send \xEF\xBF\xBD one\",\"_id\":\"7\","
                        "\"property\":\"age\"}\n");
    assert_string_equal(reply.type, "application/problem+json");
    buf_free(&members);
    buf_free(&reply.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sink_takes_a_body),
        cmocka_unit_test(a_type_that_is_not_json_is_415),
        cmocka_unit_test(a_body_is_read_though_nobody_wants_it),
        cmocka_unit_test(what_is_too_long_or_asks_first_is_refused_at_its_head),
        cmocka_unit_test(a_body_that_goes_on_and_on_is_broken_off),
        cmocka_unit_test(without_credentials_nothing_is_opened),
        cmocka_unit_test(the_first_error_of_a_body_stays),
        cmocka_unit_test(a_body_without_its_length_is_counted),
        cmocka_unit_test(a_push_has_its_place_from_its_head_on),
        cmocka_unit_test(a_service_that_stops_finishes_what_was_begun),
        cmocka_unit_test(the_page_is_at_the_root_alone),
        cmocka_unit_test(every_error_has_its_status),
        cmocka_unit_test(a_problem_has_the_members_of_its_kind),
    };
    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
