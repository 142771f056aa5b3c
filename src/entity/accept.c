#include "entity/accept.h"

#include <nettle/base64.h>
#include <string.h>

#include "base/buf.h"
#include "base/iso.h"
#include "entity/accept_kind.h"
#include "entity/json_write.h"
#include "entity/number.h"

/* what an item brings */

void accept_untag(const char *text, size_t len, bool strip_namespaces, struct incoming *in)
{
    *in = (struct incoming){.kind = IN_TEXT, .text = text, .len = len};
    if (len < 2 || text[0] != '~')
        return;
    size_t skip = 2;
    switch (text[1]) {
    case '~':
        skip = 1;
        break;
    case 'b':
        in->kind = IN_BYTES;
        break;
    case 'f':
        in->kind = IN_DECIMAL;
        break;
    case 'r':
        break;
    case 't':
        in->kind = IN_TIME;
        break;
    case 'u':
        in->kind = IN_UUID;
        break;
    case ':': {
        const char *colon = strip_namespaces ? memchr(text + 2, ':', len - 2) : NULL;
        skip = colon ? (size_t)(colon + 1 - text) : 0;
        break;
    }
    default: /* no tag that we know: a plain text */
        skip = 0;
    }
    in->text += skip;
    in->len -= skip;
}

/* Not for ITEM_NULL. */
static void incoming_of(const struct accept *accept, const struct item *item, struct incoming *in)
{
    if (item->kind == ITEM_STRING) {
        accept_untag(item->text, item->len, accept->strip_namespaces, in);
        return;
    }
    *in = (struct incoming){.kind = IN_BOOL, .boolean = item->kind == ITEM_TRUE};
    if (item->kind == ITEM_NUMBER || item->kind == ITEM_DOCUMENT) {
        in->kind = item->kind == ITEM_NUMBER ? IN_NUMBER : IN_DOCUMENT;
        in->text = item->text;
        in->len = item->len;
    }
}

int accept_mismatch(const struct column *column, const struct incoming *in, struct err *err)
{
    static const char *const brought[] = {
        [IN_BOOL] = "a boolean", [IN_NUMBER] = "a number", [IN_DECIMAL] = "a decimal",
        [IN_TEXT] = "a text",    [IN_BYTES] = "bytes",     [IN_TIME] = "a time",
        [IN_UUID] = "a UUID",    [IN_PART] = "a part of _id", [IN_DOCUMENT] = "an object or a list"};
    static const char *const held[] = {
        [KIND_NULL] = "nothing",  [KIND_BOOL] = "booleans",     [KIND_INT] = "integers", [KIND_UINT] = "integers",
        [KIND_FLOAT] = "numbers", [KIND_DECIMAL] = "decimals",  [KIND_TEXT] = "texts",   [KIND_BYTES] = "bytes",
        [KIND_DATE] = "dates",    [KIND_DATETIME] = "datetimes", [KIND_UUID] = "UUIDs",  [KIND_JSON] = "JSON",
        [KIND_LIST] = "lists"};
    const char *how = column->kind == KIND_BYTES && in->kind == IN_TEXT ? ": ~b and base64" : "";
    return err_set(err, ERR_VALUE, "is %s, the column holds %s%s", brought[in->kind], held[column->kind], how);
}

/* texts */

static size_t count_chars(const char *text, size_t len)
{
    size_t chars = 0;
    for (size_t i = 0; i < len; i++)
        chars += ((unsigned char)text[i] & 0xC0) != 0x80;
    return chars;
}

static int check_length(const struct column *column, const char *text, size_t len, struct err *err)
{
    size_t most = column->max_chars, bytes = column->max_bytes;
    if (most && len > most && count_chars(text, len) > most)
        return err_set(err, ERR_VALUE, "is longer than the %zu characters of the column", most);
    if (bytes && len > bytes)
        return err_set(err, ERR_VALUE, "is longer than the %zu bytes of the column", bytes);
    return 0;
}

int accept_set_text(const struct accept *accept, const char *text, size_t len, struct value *value, struct err *err)
{
    if (accept->strip_spaces)
        while (len && text[len - 1] == ' ')
            len--;
    if (check_length(accept->column, text, len, err))
        return -1;
    value_set_text(value, KIND_TEXT, text, len);
    return 0;
}

int accept_plain(const struct accept *accept, const struct incoming *in, struct arena *arena, struct value *value,
                 struct err *err)
{
    const char *text = in->text;
    size_t len = in->len;
    if (in->kind == IN_BOOL) {
        text = in->boolean ? "true" : "false";
        len = in->boolean ? 4 : 5;
    } else if (in->kind == IN_DOCUMENT && accept_document(accept, in, arena, &text, &len, err)) {
        return -1;
    }
    return accept_set_text(accept, text, len, value, err);
}

/* bytes */

/* The standard alphabet, with padding and nothing else; the library sees to it that the bits left over are 0, so
 * that no two texts are the same bytes. */
int accept_base64(const struct incoming *in, struct arena *arena, struct value *value, struct err *err)
{
    struct base64_decode_ctx context;
    size_t room = BASE64_DECODE_LENGTH(in->len) + 1, size = room, padding = 0;
    while (padding < 2 && padding < in->len && in->text[in->len - 1 - padding] == '=')
        padding++;
    char *bytes = in->len % 4 ? NULL : arena_alloc(arena, room);
    if (!bytes)
        return in->len % 4 ? err_set(err, ERR_VALUE, "is no base64") : err_memory(err);
    base64_decode_init(&context);
    /* It passes over blanks: then there are less bytes than there should be. */
    if (!base64_decode_update(&context, &size, (uint8_t *)bytes, in->len, in->text) ||
        !base64_decode_final(&context) || size != in->len / 4 * 3 - padding)
        return err_set(err, ERR_VALUE, "is no base64");
    value_set_text(value, KIND_BYTES, bytes, size);
    return 0;
}

static int accept_bytes(const struct column *column, const struct incoming *in, struct arena *arena,
                        struct value *value, struct err *err)
{
    if (in->kind != IN_BYTES && in->kind != IN_PART)
        return accept_mismatch(column, in, err);
    if (accept_base64(in, arena, value, err))
        return -1;
    if (column->max_bytes && value->text.len > column->max_bytes)
        return err_set(err, ERR_VALUE, "is longer than the %zu bytes of the column", column->max_bytes);
    return 0;
}

/* booleans and UUIDs */

static int accept_bool(const struct column *column, const struct incoming *in, struct value *value, struct err *err)
{
    value->kind = KIND_BOOL;
    value->boolean = in->boolean;
    if (in->kind == IN_BOOL)
        return 0;
    if (in->kind != IN_NUMBER && in->kind != IN_DECIMAL && !accept_is_text(in))
        return accept_mismatch(column, in, err);
    struct number number;
    bool digits = number_parse(&number, in->text, in->len) == 0;
    bool one = digits && !number.negative && number.count == 1 && number.point == 1 && number.first[0] == '1';
    bool zero = digits && !number.negative && !number.count;
    value->boolean = one || accept_is_word(in, "true");
    return value->boolean || zero || accept_is_word(in, "false") ? 0 : err_set(err, ERR_VALUE, "is no boolean");
}

static int accept_uuid(const struct column *column, const struct incoming *in, struct arena *arena,
                       struct value *value, struct err *err)
{
    char bytes[16];
    if (in->kind != IN_UUID && !accept_is_text(in))
        return accept_mismatch(column, in, err);
    if (iso_parse_uuid(in->text, in->len, bytes))
        return err_set(err, ERR_VALUE, "is no UUID");
    const char *copy = arena_copy(arena, bytes, sizeof bytes);
    if (!copy)
        return err_memory(err);
    value_set_text(value, KIND_UUID, copy, sizeof bytes);
    return 0;
}

/* JSON */

static int json_string(const struct incoming *in, struct arena *arena, struct value *value, struct err *err)
{
    struct buf text = {0};
    int failed = json_write_string(&text, in->text, in->len);
    const char *copy = failed || buf_failed(&text) ? NULL : arena_copy(arena, text.data, text.len);
    size_t len = text.len;
    buf_free(&text);
    if (failed)
        return err_set(err, ERR_VALUE, "is not valid UTF-8");
    if (!copy)
        return err_memory(err);
    value_set_text(value, KIND_JSON, copy, len);
    return 0;
}

static int json_text(const struct accept *accept, const struct incoming *in, struct arena *arena,
                     struct value *value, struct err *err)
{
    const char *text = in->text;
    size_t len = in->len;
    switch (in->kind) {
    case IN_BOOL:
        value_set_text(value, KIND_JSON, in->boolean ? "true" : "false", in->boolean ? 4 : 5);
        return 0;
    case IN_NUMBER:
    case IN_PART: /* as entity_text wrote it */
        break;
    case IN_DOCUMENT:
        if (accept_document(accept, in, arena, &text, &len, err))
            return -1;
        break;
    default:
        return json_string(in, arena, value, err);
    }
    value_set_text(value, KIND_JSON, text, len);
    return 0;
}

static int accept_json(const struct accept *accept, const struct incoming *in, struct arena *arena,
                       struct value *value, struct err *err)
{
    if (json_text(accept, in, arena, value, err))
        return -1;
    return check_length(accept->column, value->text.bytes, value->text.len, err);
}

static int accept_incoming(const struct accept *accept, const struct incoming *in, struct arena *arena,
                           struct value *value, struct err *err)
{
    const struct column *column = accept->column;
    if (column->position == POSITION_ANY)
        return accept_any(accept, in, arena, value, err);
    switch (column->kind) {
    case KIND_BOOL:
        return accept_bool(column, in, value, err);
    case KIND_INT:
    case KIND_UINT:
        return accept_integer(column, in, value, err);
    case KIND_FLOAT:
        return accept_float(column, in, arena, value, err);
    case KIND_DECIMAL:
        return accept_decimal(column, in, arena, value, err);
    case KIND_BYTES:
        return accept_bytes(column, in, arena, value, err);
    case KIND_DATETIME:
        return accept_datetime(accept, in, value, err);
    case KIND_DATE:
        return accept_date(column, in, value, err);
    case KIND_UUID:
        return accept_uuid(column, in, arena, value, err);
    case KIND_JSON:
        return accept_json(accept, in, arena, value, err);
    case KIND_LIST:
        return accept_list(accept, in, arena, value, err);
    case KIND_NULL:
    case KIND_TEXT:
        break;
    }
    return accept_plain(accept, in, arena, value, err);
}

int accept_item(const struct accept *accept, const struct item *item, struct arena *arena, struct value *value,
                struct err *err)
{
    struct incoming in;
    if (item->kind == ITEM_NULL) {
        /* An entity has one null for SQL's and for JSON's; where there can be none of SQL's it is the other. */
        bool json = accept->column->kind == KIND_JSON && !accept->column->nullable;
        value_set_text(value, json ? KIND_JSON : KIND_NULL, "null", 4);
        return 0;
    }
    incoming_of(accept, item, &in);
    return accept_incoming(accept, &in, arena, value, err);
}

int accept_text(const struct accept *accept, const char *text, size_t len, struct arena *arena, struct value *value,
                struct err *err)
{
    const struct incoming in = {.kind = IN_PART, .text = text, .len = len};
    return accept_incoming(accept, &in, arena, value, err);
}
