/* The databases we know, and the systems of a configuration opened for use. */
#ifndef DB_DB_H
#define DB_DB_H

#include <pthread.h>

#include "base/err.h"
#include "config/config.h"
#include "db/driver.h"
#include "db/pool.h"

/* The driver of a type; NULL with err set when it was left out of this build. */
const struct driver *db_driver(enum config_database type, struct err *err);

/* What a system said when it was last asked whether it answers. */
struct db_answer {
    pthread_mutex_t mutex;
    double asked; /* when, in monotonic seconds; 0: not yet */
    struct err err;
};

/* A system of the configuration with its driver and pool. */
struct db {
    const struct config_system *system;
    const struct driver *driver;
    struct pool *pool;
    struct sampler *sampler; /* of the horizon */
    struct db_answer answer;
};

/* One struct db for each system, in the configuration's order. */
int db_open_all(const struct config *config, struct db **dbs, struct err *err);
void db_close_all(const struct config *config, struct db *dbs);

#endif
