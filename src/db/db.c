#include "db/db.h"

#include <stdlib.h>

#include "config.h"

const struct driver *db_driver(enum config_database type, struct err *err)
{
    const char *name = "?";
    switch (type) {
    case DATABASE_POSTGRESQL:
#ifdef WITH_POSTGRESQL
        return &driver_postgresql;
#else
        name = "postgresql";
        break;
#endif
    case DATABASE_MYSQL:
#ifdef WITH_MYSQL
        return &driver_mysql;
#else
        name = "mysql";
        break;
#endif
    case DATABASE_SQLITE:
#ifdef WITH_SQLITE
        return &driver_sqlite;
#else
        name = "sqlite";
        break;
#endif
    }
    err_set(err, ERR_CONFIG, "this program was built without %s", name);
    err_hint(err, "build it again without the configure switch --without-%s", name);
    return NULL;
}

void db_close_all(const struct config *config, struct db *dbs)
{
    for (size_t i = 0; dbs && i < config->system_count; i++)
        if (dbs[i].system) {
            pool_free(dbs[i].pool);
            if (dbs[i].sampler)
                dbs[i].driver->sampler_free(dbs[i].sampler);
            pthread_mutex_destroy(&dbs[i].answer.mutex);
        }
    free(dbs);
}

int db_open_all(const struct config *config, struct db **out, struct err *err)
{
    struct db *dbs = calloc(config->system_count + 1, sizeof *dbs);
    if (!dbs)
        return err_memory(err);
    for (size_t i = 0; i < config->system_count; i++) {
        const struct config_system *system = &config->systems[i];
        dbs[i].system = system;
        pthread_mutex_init(&dbs[i].answer.mutex, NULL);
        dbs[i].driver = db_driver(system->type, err);
        dbs[i].pool = dbs[i].driver ? pool_new(dbs[i].driver, system) : NULL;
        if (dbs[i].pool)
            dbs[i].sampler = dbs[i].driver->sampler_new(system);
        if (!dbs[i].sampler) {
            err_memory(err); /* unless db_driver said more */
            db_close_all(config, dbs);
            return -1;
        }
    }
    *out = dbs;
    return 0;
}
