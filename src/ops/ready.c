#include "ops/ready.h"

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
        pool_note(db->pool, &answer->err);
    }
    *err = answer->err;
    pthread_mutex_unlock(&answer->mutex);
    return err->code == ERR_NONE;
}

size_t ready_write(const struct config *config, struct db *dbs, const char *only, bool details, struct buf *out,
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
        json_write_text(out, config->systems[i].name);
        buf_puts(out, answered ? ":{\"ready\":true" : ":{\"ready\":false");
        if (!answered && details) {
            buf_puts(out, ",\"detail\":");
            json_write_text(out, err.text);
        }
        buf_putc(out, '}');
    }
    buf_puts(out, "}\n");
    return ready;
}
