/* The MySQL and MariaDB driver against the contract of drivers, and what only it does. */
#include "mysql_world.h"

#include <stdio.h>

/* A role that may read and write what it is let, and make nothing. */
static const struct config_system *limited(const struct config_system *system, MYSQL *native,
                                           struct config_system *role)
{
    *role = *system;
    role->username = "sesam_limited";
    role->password = "sesam_limited";
    return native_run(native, "drop user if exists sesam_limited") ||
                   native_run(native, "create user sesam_limited identified by 'sesam_limited'") ||
                   native_run(native, "grant select on contract_numbers to sesam_limited")
               ? NULL
               : role;
}

int main(void)
{
    struct config *config = NULL;
    struct config_system role;
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
                    .folded = "varchar(100) character set utf8mb4 collate utf8mb4_general_ci",
                    .datetime = "datetime(6)",
                    .uuid = native_is_mariadb(native) ? "uuid" : NULL,
                    .long_text = "repeat('x', 1048576)",
                    /* A subquery of more than one row is an error; a division by zero is only NULL. */
                    .failing = "(select n from contract_numbers where n <= (r.id = 5000))",
                    .slow = "select sleep(60) as id",
                    .grant = "grant select, insert, update, delete on contract_limited to sesam_limited"},
    };
    int failed = db_contract_run(&contract_of_mysql);
    contract_of_mysql.dialect.limited = limited(system, native, &role); /* contract_numbers is there now */
    failed += db_contract_write_run(&contract_of_mysql);
    failed += mysql_types_run(system, native) + mysql_keys_run(system, native) + mysql_sessions_run(system, native);
    failed += mysql_write_run(system, native);
    native_run(native, "drop user if exists sesam_limited");
    mysql_close(native);
    config_free(config);
    return failed;
}
