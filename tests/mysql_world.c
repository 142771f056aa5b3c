#include "mysql_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"

struct world world;

MYSQL *native_open(const struct config_system *system)
{
    MYSQL *native = mysql_init(NULL);
    unsigned protocol = MYSQL_PROTOCOL_TCP;
    mysql_options(native, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options(native, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(native, MYSQL_INIT_COMMAND, "set sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'");
    if (mysql_real_connect(native, system->host, system->username, system->password, system->database, system->port,
                           NULL, 0))
        return native;
    fprintf(stderr, "%s\n", mysql_error(native));
    mysql_close(native);
    return NULL;
}

bool native_is_mariadb(MYSQL *native)
{
    return strstr(mysql_get_server_info(native), "MariaDB") != NULL;
}

int native_run(void *native, const char *statement)
{
    if (mysql_query(native, statement)) {
        fprintf(stderr, "%.200s: %s\n", statement, mysql_error(native));
        return -1;
    }
    MYSQL_RES *rows = mysql_store_result(native);
    if (rows)
        mysql_free_result(rows);
    return 0;
}

const char *native_ask(MYSQL *native, const char *format, ...)
{
    static char answer[256];
    va_list args;
    va_start(args, format);
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    answer[0] = '\0';
    assert_int_equal(mysql_query(native, text), 0);
    MYSQL_RES *rows = mysql_store_result(native);
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    if (row && row[0])
        snprintf(answer, sizeof answer, "%s", row[0]);
    mysql_free_result(rows);
    return answer;
}

void world_run(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char text[8192];
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert_in_range(len, 1, sizeof text - 1);
    assert_int_equal(native_run(world.native, text), 0);
}

static void check_ok(int failed)
{
    if (failed)
        fail_msg("%s (%s)", world.err.text, world.err.hint);
}

int world_open(void **state)
{
    (void)state;
    err_clear(&world.err);
    world.arena = arena_new();
    if (driver_mysql.open(&world.conn, world.system, &world.err))
        fprintf(stderr, "%s\n", world.err.text);
    return world.arena && world.conn ? 0 : -1;
}

int world_close(void **state)
{
    (void)state;
    driver_mysql.close(world.conn);
    world.conn = NULL;
    arena_free(world.arena);
    return 0;
}

struct relation *world_describe(const struct subject *subject)
{
    struct relation *relation = NULL;
    check_ok(driver_mysql.describe(world.conn, subject, world.arena, &relation, &world.err));
    return relation;
}

struct relation *world_table(const char *table, const char *updated)
{
    return world_describe(&(struct subject){.table = table, .updated = updated});
}

static size_t index_of(const struct relation *relation, const char *name)
{
    for (size_t i = 0; i < relation->column_count; i++)
        if (strcmp(relation->columns[i].name, name) == 0)
            return i;
    fail_msg("%s has no column %s", relation->title, name);
    return SIZE_MAX;
}

struct column *world_column(const struct relation *relation, const char *name)
{
    return &relation->columns[index_of(relation, name)];
}

struct plan world_plan(const struct relation *relation, enum plan_order order, const char *updated)
{
    static const struct range whole[2] = {{.nulls = true}, {.nulls = false}};
    size_t *columns = arena_array(world.arena, relation->column_count, sizeof *columns);
    for (size_t i = 0; i < relation->column_count; i++)
        columns[i] = i;
    struct plan plan = {.relation = relation, .columns = columns, .column_count = relation->column_count,
                        .updated = updated ? index_of(relation, updated) : SIZE_MAX, .order = order,
                        .limit = UINT64_MAX, .fetch_size = 1000};
    if (order == ORDER_UPDATED)
        plan.ranges = whole, plan.range_count = 2;
    return plan;
}

static bool has_text(enum kind kind)
{
    return kind == KIND_FLOAT || kind == KIND_DECIMAL || kind == KIND_TEXT || kind == KIND_BYTES ||
           kind == KIND_UUID || kind == KIND_JSON;
}

const struct value *world_copy(const struct value *row, size_t count)
{
    struct value *copy = arena_array(world.arena, count, sizeof *copy);
    if (count)
        memcpy(copy, row, count * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        if (has_text(row[i].kind))
            copy[i].text.bytes = arena_copy(world.arena, row[i].text.bytes, row[i].text.len);
        else if (row[i].kind == KIND_LIST)
            copy[i].list.items = world_copy(row[i].list.items, row[i].list.count);
    }
    return copy;
}

static void put_hex(struct buf *out, const struct value *value)
{
    for (size_t i = 0; i < value->text.len; i++)
        buf_printf(out, "%02x", (unsigned char)value->text.bytes[i]);
}

static void put_value(struct buf *out, const struct value *value)
{
    static const char *const names[] = {"null", "bool:", "int:", "uint:", "float:", "decimal:", "text:",
                                        "bytes:", "datetime:", "date:", "uuid:", "json:", "list:"};
    char text[ISO_SIZE];
    buf_puts(out, names[value->kind]);
    switch (value->kind) {
    case KIND_NULL:
        break;
    case KIND_BOOL:
    case KIND_INT:
        buf_printf(out, "%" PRId64, value->kind == KIND_INT ? value->integer : value->boolean);
        break;
    case KIND_UINT:
        buf_printf(out, "%" PRIu64, value->natural);
        break;
    case KIND_DATETIME:
        buf_put(out, text, iso_datetime(text, value->integer, 6, ""));
        break;
    case KIND_DATE:
        buf_put(out, text, iso_date(text, value->integer));
        break;
    case KIND_BYTES:
    case KIND_UUID:
        put_hex(out, value);
        break;
    case KIND_LIST:
        for (size_t i = 0; i < value->list.count; i++) {
            buf_puts(out, i ? "," : "");
            buf_put(out, value->list.items[i].text.bytes, value->list.items[i].text.len);
        }
        break;
    default:
        buf_put(out, value->text.bytes, value->text.len);
    }
}

const char *world_text(const struct value *row, size_t count)
{
    struct buf out = {0};
    for (size_t i = 0; i < count; i++) {
        buf_puts(&out, i ? " " : "");
        put_value(&out, &row[i]);
    }
    char *text = arena_copy(world.arena, buf_text(&out), out.len);
    buf_free(&out);
    return text;
}

const char *world_read(const struct plan *plan)
{
    const struct value *row;
    struct buf out = {0};
    int more;
    check_ok(driver_mysql.read_open(world.conn, plan, &world.err));
    while ((more = driver_mysql.read_next(world.conn, &row, &world.err)) == 1) {
        buf_puts(&out, out.len ? "\n" : "");
        buf_puts(&out, world_text(row, plan->column_count));
    }
    check_ok(more);
    assert_int_equal(driver_mysql.read_close(world.conn), 0);
    char *text = arena_copy(world.arena, buf_text(&out), out.len);
    buf_free(&out);
    return text;
}

void world_expect(int result, enum err_code code, const char *part)
{
    assert_int_equal(result, -1);
    if (world.err.code != code || (!strstr(world.err.text, part) && !strstr(world.err.hint, part)))
        fail_msg("expected error %d about '%s', got %d: %s (%s)", code, part, world.err.code, world.err.text,
                 world.err.hint);
    err_clear(&world.err);
}
