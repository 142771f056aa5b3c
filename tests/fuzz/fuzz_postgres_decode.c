/* Whatever bytes stand for a value of a type, they are refused or become JSON that jansson reads. The first
 * byte chooses the type, and whether it is a list of it. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db/postgres.h"
#include "entity/entity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Without those whose text is the server's own JSON or number: JSON and floats. */
static const unsigned types[] = {
    PG_BOOL, PG_BYTEA,  PG_NAME,    PG_INT8, PG_INT2,      PG_INT4,        PG_TEXT,    PG_OID,  PG_CIDR,
    PG_INET, PG_BPCHAR, PG_VARCHAR, PG_DATE, PG_TIMESTAMP, PG_TIMESTAMPTZ, PG_NUMERIC, PG_UUID, PG_XID8,
};

static void check(const struct value *value)
{
    const struct field field = {.digits = 6};
    struct buf out = {0};
    entity_value(&out, &field, value);
    /* as real numbers, since jansson knows no integers beyond 64 bits with a sign */
    json_t *json =
        json_loadb(out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    if (!json)
        abort();
    json_decref(json);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct value value = {.kind = KIND_NULL};
    struct err err = {0};
    if (size < 1)
        return 0;
    unsigned type = types[data[0] % (sizeof types / sizeof *types)];
    bool list = data[0] & 0x80;
    struct column column = {.name = "c",
                            .type = "t",
                            .kind = list ? KIND_LIST : postgres_kind(type),
                            .number = type,
                            .element = type};
    struct arena *arena = arena_new();
    char *bytes = malloc(size);
    if (!arena || !bytes)
        abort();
    memcpy(bytes, data + 1, size - 1);
    if (postgres_decode(&column, bytes, size - 1, arena, &value, &err) == 0)
        check(&value);
    free(bytes);
    arena_free(arena);
    return 0;
}
