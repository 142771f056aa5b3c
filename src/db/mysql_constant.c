/* A value of the configuration as one of a column: the scope's, a deletion's mark. */
#include "db/mysql.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"
#include "base/zone.h"

static int misfit(const struct column *column, struct err *err)
{
    return err_set(err, ERR_DATABASE, "the configuration's value for column '%s' is no %s", column->name,
                   column->type);
}

static int set_integer(const struct column *column, const char *text, struct value *value, struct err *err)
{
    char *end;
    errno = 0;
    if (column->kind == KIND_UINT) {
        value->kind = KIND_UINT;
        value->natural = strtoull(text, &end, 10);
    } else {
        *value = value_integer(KIND_INT, strtoll(text, &end, 10));
    }
    bool negative = column->kind == KIND_UINT && *text == '-';
    return errno || end == text || *end || negative ? misfit(column, err) : 0;
}

/* As it is stored, also what no calendar knows, or in ISO 8601: with a zone, an instant. */
static int set_time(const struct conn *conn, const struct column *column, const char *text,
                    struct value *value, struct err *err)
{
    MYSQL_TIME time;
    struct iso_time iso;
    struct zone *zone = NULL;
    *value = value_text(KIND_TEXT, text, strlen(text));
    if (iso_parse(text, strlen(text), &iso))
        return mydb_to_time(value, &time) ? 0 : misfit(column, err);
    if (iso.zoned && column->zoneless && strcmp(conn->system->timezone, "UTC") != 0 &&
        zone_open(&zone, conn->system->timezone, err))
        return -1;
    int64_t wall = zone ? zone_to_wall(zone, iso.time) : iso.time;
    zone_close(zone);
    *value = column->kind == KIND_DATE ? value_integer(KIND_DATE, iso_floor(wall, ISO_DAY))
                                       : value_integer(KIND_DATETIME, wall);
    return 0;
}

static int set_uuid(const struct column *column, const char *text, struct arena *arena, struct value *value,
                    struct err *err)
{
    char *bytes = arena_alloc(arena, 16);
    if (!bytes)
        return err_memory(err);
    *value = value_text(KIND_UUID, bytes, 16);
    return iso_parse_uuid(text, strlen(text), bytes) ? misfit(column, err) : 0;
}

static int set_text(const struct conn *conn, const struct column *column, const char *text,
                    struct arena *arena, struct value *value, struct err *err)
{
    switch (column->kind) {
    case KIND_INT:
    case KIND_UINT:
        return set_integer(column, text, value, err);
    case KIND_DATE:
    case KIND_DATETIME:
        return set_time(conn, column, text, value, err);
    case KIND_UUID:
        return set_uuid(column, text, arena, value, err);
    case KIND_LIST: /* one member, or several as the server writes them */
        *value = value_text(KIND_TEXT, text, strlen(text));
        return 0;
    default:
        *value = value_text(column->kind, text, strlen(text));
        return mydb_fit(column, value, arena, NULL) ? misfit(column, err) : 0;
    }
}

int mydb_constant(const struct conn *conn, const struct column *column, const struct config_value *configured,
                  struct arena *arena, struct value *value, struct err *err)
{
    switch (configured->type) {
    case CONFIG_BOOL:
        return set_text(conn, column, configured->boolean ? "1" : "0", arena, value, err);
    case CONFIG_INTEGER:
    case CONFIG_REAL:
    case CONFIG_STRING:
        return set_text(conn, column, configured->text, arena, value, err);
    default:
        value->kind = KIND_NULL;
        return 0;
    }
}
