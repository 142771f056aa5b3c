/* What is read as a time or a UUID is within the bounds, and is the same when it is written and read again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_time(const struct iso_time *time)
{
    struct iso_time again;
    char text[ISO_SIZE];
    if (time->time < ISO_TIME_MIN || time->time > ISO_TIME_MAX || (time->is_date && time->time % ISO_DAY))
        abort();
    size_t len = time->is_date ? iso_date(text, time->time / ISO_DAY)
                               : iso_datetime(text, time->time, 6, time->zoned ? "Z" : "");
    if (iso_parse(text, len, &again) || again.time != time->time || again.is_date != time->is_date ||
        again.zoned != time->zoned || again.rest)
        abort();
}

static void check_uuid(const char *bytes)
{
    char text[ISO_SIZE], again[16];
    if (iso_uuid(text, bytes) != 36 || iso_parse_uuid(text, 36, again) || memcmp(again, bytes, 16) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct iso_time time;
    char bytes[16];
    if (iso_parse((const char *)data, size, &time) == 0)
        check_time(&time);
    if (iso_parse_uuid((const char *)data, size, bytes) == 0)
        check_uuid(bytes);
    return 0;
}
