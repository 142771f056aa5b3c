#include "config/interpolate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 20 };

static const char file_prefix[] = "file:";

int interpolate_file(const char *path, size_t max, struct buf *out, struct err *err)
{
    char block[4096];
    size_t start = out->len, len;
    FILE *file = fopen(path, "rb");
    if (!file)
        return err_set(err, ERR_CONFIG, "cannot open the file '%s': %s", path, strerror(errno));
    while ((len = fread(block, 1, sizeof block, file)) > 0 && out->len - start <= max)
        buf_put(out, block, len);
    int failed = ferror(file) ? errno : 0;
    fclose(file);
    if (failed)
        return err_set(err, ERR_CONFIG, "cannot read the file '%s': %s", path, strerror(failed));
    if (out->len - start > max)
        return err_set(err, ERR_CONFIG, "the file '%s' is larger than %zu bytes", path, max);
    return buf_failed(out) ? err_memory(err) : 0;
}

static int put_file(const char *path, struct buf *out, struct err *err)
{
    size_t start = out->len;
    if (interpolate_file(path, FILE_MAX, out, err))
        return -1;
    if (out->len == start)
        return 0;
    if (memchr(out->data + start, '\0', out->len - start))
        return err_set(err, ERR_CONFIG, "the file '%s' holds a zero byte", path);
    if (out->data[out->len - 1] != '\n')
        return 0;
    out->len--;
    if (out->len > start && out->data[out->len - 1] == '\r')
        out->len--;
    return 0;
}

static bool is_name(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return *name && strchr(letters, *name) && name[strspn(name, word)] == '\0';
}

static int put_variable(const char *name, struct buf *out, struct err *err)
{
    /* It is not quoted: a password with ${ in it would be told. */
    if (!is_name(name)) {
        err_set(err, ERR_CONFIG, "'${' is not followed by the name of a variable and '}'");
        return err_hint(err, "write $${ for a literal ${");
    }
    const char *value = getenv(name);
    if (!value)
        return err_set(err, ERR_CONFIG, "the environment variable '%s' is not set", name);
    buf_puts(out, value);
    return 0;
}

static int put_reference(const char *inside, size_t len, struct buf *out, struct err *err)
{
    char *name = strndup(inside, len);
    if (!name)
        return err_memory(err);
    bool file = strncmp(name, file_prefix, sizeof file_prefix - 1) == 0;
    int result = file ? put_file(name + sizeof file_prefix - 1, out, err) : put_variable(name, out, err);
    free(name);
    return result;
}

int interpolate(const char *text, struct buf *out, struct err *err)
{
    while (*text) {
        if (strncmp(text, "$${", 3) == 0) {
            buf_puts(out, "${");
            text += 3;
        } else if (strncmp(text, "${", 2) == 0) {
            const char *close = strchr(text, '}');
            if (!close) {
                err_set(err, ERR_CONFIG, "there is a '${' without its '}'");
                return err_hint(err, "write $${ for a literal ${");
            }
            if (put_reference(text + 2, (size_t)(close - text) - 2, out, err))
                return -1;
            text = close + 1;
        } else {
            buf_putc(out, *text++);
        }
    }
    return buf_failed(out) ? err_memory(err) : 0;
}
