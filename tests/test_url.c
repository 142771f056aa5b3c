/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <string.h>

#include "config/url.h"

static void check_text(const char *given, const char *what, const char *got, const char *wanted)
{
    if (!got != !wanted || (got && strcmp(got, wanted) != 0))
        fail_msg("%s: its %s is %s, not %s", given, what, got ? got : "none", wanted ? wanted : "none");
}

static void every_part_is_found_and_decoded(void **state)
{
    static const struct {
        const char *text, *type, *host;
        unsigned port;
        const char *database, *username, *sslmode, *sslrootcert, *path;
    } cases[] = {
        {"postgresql://me@db:5433/crm", "postgresql", "db", 5433, "crm", "me", NULL, NULL, NULL},
        {"postgres://me@db/crm", "postgresql", "db", 0, "crm", "me", NULL, NULL, NULL},
        {"MySQL://me@db/crm", "mysql", "db", 0, "crm", "me", NULL, NULL, NULL},
        {"mariadb://me@[::1]:3307/crm", "mariadb", "::1", 3307, "crm", "me", NULL, NULL, NULL},
        {"mariadb://me@[fe80::1%25eth0]/crm", "mariadb", "fe80::1%eth0", 0, "crm", "me", NULL, NULL, NULL},
        {"postgresql://me@a,b/crm", "postgresql", "a,b", 0, "crm", "me", NULL, NULL, NULL},
        {"postgresql://me@db:/crm", "postgresql", "db", 0, "crm", "me", NULL, NULL, NULL},
        {"postgresql://me@/crm", "postgresql", NULL, 0, "crm", "me", NULL, NULL, NULL},
        {"postgresql://me@/crm?host=/run/postgresql", "postgresql", "/run/postgresql", 0, "crm", "me", NULL, NULL,
         NULL},
        {"postgresql://me@%2Frun%2fpostgresql/crm", "postgresql", "/run/postgresql", 0, "crm", "me", NULL, NULL, NULL},
        {"mysql://me%40corp@corp@db/a%2Fb%25", "mysql", "db", 0, "a/b%", "me@corp@corp", NULL, NULL, NULL},
        {"mysql://a%3Ab@db/c%C3%B8?", "mysql", "db", 0, "c\xC3\xB8", "a:b", NULL, NULL, NULL},
        {"postgresql://me@db/crm?sslmode=verify-ca&sslrootcert=a%20b.pem", "postgresql", "db", 0, "crm", "me",
         "verify-ca", "a b.pem", NULL},
        {"sqlite:demo.db", "sqlite", NULL, 0, NULL, NULL, NULL, NULL, "demo.db"},
        {"sqlite:../a%20b%3F.db", "sqlite", NULL, 0, NULL, NULL, NULL, NULL, "../a b?.db"},
        {"sqlite:/var/demo.db", "sqlite", NULL, 0, NULL, NULL, NULL, NULL, "/var/demo.db"},
        {"sqlite:///var/demo.db", "sqlite", NULL, 0, NULL, NULL, NULL, NULL, "/var/demo.db"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *arena = arena_new();
        struct err err = {0};
        struct url url;
        const char *text = cases[i].text;
        if (url_parse(&url, text, arena, &err))
            fail_msg("%s: %s", text, err.text);
        check_text(text, "type", url.type_name, cases[i].type);
        check_text(text, "host", url.host, cases[i].host);
        check_text(text, "database", url.database, cases[i].database);
        check_text(text, "username", url.username, cases[i].username);
        check_text(text, "sslmode", url.sslmode, cases[i].sslmode);
        check_text(text, "sslrootcert", url.sslrootcert, cases[i].sslrootcert);
        check_text(text, "path", url.path, cases[i].path);
        assert_int_equal(url.port, cases[i].port);
        arena_free(arena);
    }
}

/* Each holds the word secret somewhere, and no error may. */
static void whatever_is_wrong_is_told_without_quoting_it(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "type"},
        {"secret", "type"},
        {"oracle://secret@db/crm", "type"},
        {"postgresql:secret@db/crm", "'//'"},
        {"postgresql://me:secret@db/crm", "password"},
        {"postgresql://me:@db/secret", "password"},
        {"postgresql://me:secret@x@db/crm", "password"},
        {"postgresql://me@db/crm?password=secret", "password"},
        {"postgresql://me:sec/ret@db/crm", "port"},
        {"postgresql://me:secret?@db/crm", "port"},
        {"postgresql://me@db:secret/crm", "port"},
        {"postgresql://me@db:0/secret", "port"},
        {"postgresql://me@db:65536/secret", "port"},
        {"postgresql://me@db:99999999999999999999/secret", "port"},
        {"postgresql://me@[::1/secret", "brackets"},
        {"postgresql://me@[]/secret", "brackets"},
        {"postgresql://me@[::1]secret/crm", "']'"},
        {"postgresql://secret/crm", "user"},
        {"postgresql://secret@db", "database"},
        {"postgresql://secret@db/", "database"},
        {"postgresql://me@db/crm#secret", "'#'"},
        {"postgresql://me@db/secret%", "'%'"},
        {"postgresql://me@db/secret%4", "'%'"},
        {"postgresql://me@db/secret%4g", "'%'"},
        {"postgresql://me@db/secret%00", "'%'"},
        {"postgresql://me@db/crm?secret=1", "parameters"},
        {"postgresql://me@db/crm?sslmode", "parameters"},
        {"postgresql://me@db/crm?sslmode=secret&sslmode=secret", "twice"},
        {"postgresql://me@db/crm?host=secret", "twice"},
        {"sqlite:", "file"},
        {"sqlite://secret/demo.db", "absolute"},
        {"sqlite:demo.db?mode=secret", "'?'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *arena = arena_new();
        struct err err = {0};
        struct url url;
        assert_int_equal(url_parse(&url, cases[i].text, arena, &err), -1);
        assert_int_equal(err.code, ERR_CONFIG);
        if (!strstr(err.text, cases[i].why) || strstr(err.text, "secret") || strstr(err.hint, "secret"))
            fail_msg("%s: %s; %s", cases[i].text, err.text, err.hint);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_is_found_and_decoded),
        cmocka_unit_test(whatever_is_wrong_is_told_without_quoting_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
