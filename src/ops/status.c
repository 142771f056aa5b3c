#include "ops/status.h"

#include <string.h>

#include "base/monotonic.h"
#include "entity/json_write.h"

#define PATIENCE 2.0 /* seconds */

static int ask(const struct db *db, struct err *err)
{
    struct config_system patient = *db->system;
    struct conn *conn = NULL;
    if (patient.pool_timeout > PATIENCE)
        patient.pool_timeout = PATIENCE;
    int failed = db->driver->open(&conn, &patient, err) || db->driver->ping(conn, err) ? -1 : 0;
    db->driver->close(conn);
    return failed;
}

/* Those who come while somebody is asking share what the next one hears: an answer counts for all who came
 * before it was asked for. */
static bool answers(struct db *db, struct err *err)
{
    struct db_answer *answer = &db->answer;
    double came = monotonic_seconds();
    pthread_mutex_lock(&answer->mutex);
    if (answer->asked < came) {
        answer->asked = monotonic_seconds();
        err_clear(&answer->err);
        ask(db, &answer->err);
    }
    *err = answer->err;
    pthread_mutex_unlock(&answer->mutex);
    return err->code == ERR_NONE;
}

static void put_text(struct buf *out, const char *text)
{
    if (json_write_string(out, text, strlen(text)))
        buf_puts(out, "\"(not UTF-8)\"");
}

size_t status_ready(const struct config *config, struct db *dbs, const char *only, bool details, struct buf *out,
                    size_t *asked)
{
    size_t ready = 0;
    *asked = 0;
    buf_putc(out, '{');
    for (size_t i = 0; i < config->system_count; i++) {
        struct err err = {0};
        if (only && strcmp(only, config->systems[i].name) != 0)
            continue;
        bool answered = answers(&dbs[i], &err);
        ready += answered;
        buf_puts(out, (*asked)++ ? ",\n" : "");
        put_text(out, config->systems[i].name);
        buf_puts(out, answered ? ":{\"ready\":true" : ":{\"ready\":false");
        if (!answered && details) {
            buf_puts(out, ",\"detail\":");
            put_text(out, err.text);
        }
        buf_putc(out, '}');
    }
    buf_puts(out, "}\n");
    return ready;
}
