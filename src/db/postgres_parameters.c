/* Columns of rows as parameters of PostgreSQL: one array each, in binary form, for unnest. */
#include "db/postgres.h"

#include <endian.h>
#include <string.h>

int parameters_new(struct parameters *parameters, size_t most, struct arena *arena, struct err *err)
{
    *parameters = (struct parameters){
        .arrays = arena_array(arena, most + 1, sizeof *parameters->arrays),
        .values = arena_array(arena, most + 1, sizeof *parameters->values),
        .lengths = arena_array(arena, most + 1, sizeof *parameters->lengths),
        .formats = arena_array(arena, most + 1, sizeof *parameters->formats),
    };
    bool made = parameters->arrays && parameters->values && parameters->lengths && parameters->formats;
    return made ? 0 : err_memory(err);
}

void parameters_free(struct parameters *parameters)
{
    for (size_t i = 0; i < parameters->count; i++)
        buf_free(&parameters->arrays[i]);
    parameters->count = 0;
}

static void put32(struct buf *out, uint32_t number)
{
    number = htobe32(number);
    buf_put(out, &number, 4);
}

/* The head of an array of one dimension, which begins at 1. */
static struct buf *begin_array(struct parameters *parameters, unsigned element, size_t count)
{
    struct buf *out = &parameters->arrays[parameters->count++];
    put32(out, count > 0);
    put32(out, 1); /* there may be NULLs: only a hint */
    put32(out, element);
    if (count) {
        put32(out, (uint32_t)count);
        put32(out, 1);
    }
    return out;
}

static int end_array(struct parameters *parameters, struct err *err)
{
    size_t last = parameters->count - 1;
    struct buf *out = &parameters->arrays[last];
    if (buf_failed(out))
        return err_memory(err);
    if (out->len > INT32_MAX)
        return err_set(err, ERR_VALUE, "the values of a column are too long to be sent at once");
    parameters->values[last] = out->data;
    parameters->lengths[last] = (int)out->len;
    parameters->formats[last] = 1;
    return 0;
}

/* A list cannot be an element of an array: it would be one more dimension. */
static bool goes_binary(const struct column *column)
{
    return column->binary && column->kind != KIND_LIST;
}

static int put_as_text(struct buf *out, const struct column *column, const struct value *value, struct err *err)
{
    size_t begin = out->len + 4;
    put32(out, UINT32_MAX);
    if (value->kind == KIND_NULL)
        return 0;
    if (postgres_text(out, column, value, err))
        return -1;
    uint32_t len = htobe32((uint32_t)(out->len - begin));
    if (!buf_failed(out))
        memcpy(out->data + begin - 4, &len, 4);
    return 0;
}

int parameters_column(struct parameters *parameters, struct buf *sql, const struct column *column,
                      const struct row *const *rows, size_t count, size_t place, struct err *err)
{
    bool binary = goes_binary(column);
    struct buf *out = begin_array(parameters, binary ? column->number : PG_TEXT, count);
    for (size_t i = 0; i < count; i++) {
        const struct value *value = &rows[i]->values[place];
        if (binary ? postgres_encode(out, column, value, err) : put_as_text(out, column, value, err))
            return -1;
    }
    buf_printf(sql, "$%zu::%s[]", parameters->count, binary ? column->cast : "text");
    return end_array(parameters, err);
}

int parameters_stamps(struct parameters *parameters, struct buf *sql, const struct row *const *rows, size_t count,
                      struct err *err)
{
    struct buf *out = begin_array(parameters, PG_XID, count);
    for (size_t i = 0; i < count; i++) {
        put32(out, 4);
        put32(out, (uint32_t)rows[i]->stamp);
    }
    buf_printf(sql, "$%zu::xid[]", parameters->count);
    return end_array(parameters, err);
}

const char *parameters_cast(const struct column *column, struct arena *arena)
{
    return goes_binary(column) ? "" : arena_printf(arena, "::%s", column->cast);
}

int parameters_send(struct conn *conn, const char *sql, const struct parameters *parameters, struct err *err)
{
    if (PQsendQueryParams(conn->pg, sql, (int)parameters->count, NULL, parameters->values, parameters->lengths,
                          parameters->formats, 1))
        return 0;
    return postgres_write_error(conn, NULL, "cannot send a statement", NULL, NULL, err);
}
