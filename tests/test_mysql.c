/* The MySQL and MariaDB driver against the contract of drivers, and what only it does. */
#include "mysql_world.h"

#include <stdio.h>

int main(void)
{
    struct config *config = NULL;
    const struct config_system *system = db_contract_system("SESAM_SQL_TEST_MYSQL", &config);
    if (!system)
        return DB_CONTRACT_SKIP;
    MYSQL *native = native_open(system);
    if (!native)
        return 1;
    struct db_contract contract_of_mysql = {
        .driver = &driver_mysql,
        .system = system,
        .sql = native_run,
        .arg = native,
        .dialect = {.quote = '`',
                    .integer = "bigint",
                    .text = "longtext character set utf8mb4",
                    .key_text = "varbinary(100)",
                    .datetime = "datetime(6)",
                    .uuid = native_is_mariadb(native) ? "uuid" : NULL,
                    .long_text = "repeat('x', 1048576)",
                    /* A subquery of more than one row is an error; a division by zero is only NULL. */
                    .failing = "(select n from contract_numbers where n <= (r.id = 5000))",
                    .slow = "select sleep(60) as id"},
    };
    int failed = db_contract_run(&contract_of_mysql);
    failed += mysql_types_run(system, native) + mysql_keys_run(system, native) + mysql_sessions_run(system, native);
    mysql_close(native);
    config_free(config);
    return failed;
}
