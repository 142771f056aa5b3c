#include "http/ready.h"

#include <time.h>

#define PATIENCE 2.0 /* seconds */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

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

bool ready_ask(struct db *db, struct err *err)
{
    struct db_answer *answer = &db->answer;
    pthread_mutex_lock(&answer->mutex);
    if (answer->asked == 0 || seconds() - answer->asked > 1) {
        err_clear(&answer->err);
        ask(db, &answer->err);
        answer->asked = seconds();
    }
    *err = answer->err;
    pthread_mutex_unlock(&answer->mutex);
    return err->code == ERR_NONE;
}
