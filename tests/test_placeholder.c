/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "config/placeholder.h"

enum { P = 1 << DATABASE_POSTGRESQL, M = 1 << DATABASE_MYSQL, S = 1 << DATABASE_SQLITE, ALL = P | M | S };

/* The names found, with a blank after each; "!" when the text is refused. */
static void find(const char *sql, enum config_database database, struct buf *out)
{
    struct arena *arena = arena_new();
    struct placeholder *list = NULL;
    struct err err = {0};
    size_t count = 0, last = 0;
    assert_non_null(arena);
    if (placeholder_find(sql, database, arena, &list, &count, &err)) {
        assert_int_equal(err.code, ERR_CONFIG);
        buf_puts(out, "!");
    } else {
        for (size_t i = 0; i < count; i++) {
            size_t len = strlen(list[i].name);
            assert_true(list[i].start >= last && list[i].end == list[i].start + 1 + len);
            assert_int_equal(sql[list[i].start], ':');
            assert_memory_equal(sql + list[i].start + 1, list[i].name, len);
            last = list[i].end;
            buf_printf(out, "%s ", list[i].name);
        }
    }
    arena_free(arena);
}

struct quoting {
    unsigned databases; /* of those it holds; in the others, otherwise */
    const char *sql, *found, *otherwise;
};

static void check(const struct quoting *cases, size_t count)
{
    static const char *const names[] = {"PostgreSQL", "MySQL", "SQLite"};
    for (size_t i = 0; i < count; i++) {
        for (int database = DATABASE_POSTGRESQL; database <= DATABASE_SQLITE; database++) {
            struct buf out = {0};
            const char *want = cases[i].databases & 1U << database ? cases[i].found : cases[i].otherwise;
            find(cases[i].sql, (enum config_database)database, &out);
            if (want && strcmp(buf_text(&out), want) != 0)
                fail_msg("%s in %s: found '%s', not '%s'", cases[i].sql, names[database], buf_text(&out),
                         want);
            buf_free(&out);
        }
    }
}
#define CHECK(cases) check(cases, sizeof cases / sizeof *cases)

static void names_are_found_in_order(void **state)
{
    static const struct quoting cases[] = {
        {ALL, "", "", NULL},
        {ALL, "select 1", "", NULL},
        {ALL, ":a", "a ", NULL},
        {ALL, "select * from t where a = :a and b=:b_2 or c in (:_c,:a)", "a b_2 _c a ", NULL},
        {ALL, "x=:a::text", "a ", NULL},
        {ALL, "a:b", "b ", NULL},
        {ALL, ":a:b", "a b ", NULL},
        {ALL, ":\xC3\xA6", "", NULL},
    };
    (void)state;
    CHECK(cases);
}

static void other_colons_are_no_placeholders(void **state)
{
    static const struct quoting cases[] = {
        {ALL, "select a::int, b :: text, c", "", NULL},
        {ALL, "a::b::c", "", NULL},
        {ALL, "@x := 1, y:=z", "", NULL},
        {ALL, "a[1:2], b[:3], c[1:]", "", NULL},
        {ALL, "x : y :", "", NULL},
        {ALL, ":1 :9a", "", NULL},
        {P | M, "a[1:2] = :z", "z ", NULL},
        {ALL, "a ::: b", "", NULL},
        {ALL, "a :::b", "b ", NULL},
    };
    (void)state;
    CHECK(cases);
}

static void literals_hide_colons(void **state)
{
    static const struct quoting cases[] = {
        {ALL, "':a' :b", "b ", NULL},
        {ALL, "'it''s :a' :b", "b ", NULL},
        {ALL, "''':a' :b", "b ", NULL},
        {ALL, "'':b", "b ", NULL},
        {ALL, "'12:34:56' '--' :b", "b ", NULL},
        {ALL, "\":a\" :b", "b ", NULL},
        {ALL, "\"x\"\":a\" :b", "b ", NULL},
        {ALL, "'\":a' :b \"':c\"", "b ", NULL},
        {ALL, "'a", "!", NULL},
        {ALL, "\"a", "!", NULL},
        {ALL, "'a''", "!", NULL},
        {ALL, "'", "!", NULL},
    };
    (void)state;
    CHECK(cases);
}

static void comments_hide_colons(void **state)
{
    static const struct quoting cases[] = {
        {ALL, "-- :a\n:b", "b ", NULL},
        {ALL, "-- it's\n:b", "b ", NULL},
        {ALL, "1 -- :a", "", NULL},
        {ALL, "--", "", NULL},
        {ALL, "--\n:b", "b ", NULL},
        {P | S, "5--:a\n:b", "b ", "a b "},
        {P, "-- :a\r:b", "b ", ""},
        {ALL, "/* :a */ :b", "b ", NULL},
        {ALL, "/* it's */:b", "b ", NULL},
        {ALL, "/**/:b/***/:c", "b c ", NULL},
        {ALL, "/*/:a*/ :b", "b ", NULL},
        {P, "/* /* :a */ :b */ :c", "c ", "b c "},
        {ALL, "/* :a", "!", NULL},
        {P, "/* /* */", "!", ""},
        {M, "# :a 'x\n:b", "b ", NULL},
        {P, "a #> :b, a # :c", "b c ", NULL},
        {ALL, "a - :b / :c * :d", "b c d ", NULL},
    };
    (void)state;
    CHECK(cases);
}

static void backslashes_escape_where_the_database_says_so(void **state)
{
    static const struct quoting cases[] = {
        {P | S, "'\\' :b", "b ", "!"},
        {M, "'\\' :a' :b", "b ", "!"},
        {M, "\"\\\" :a\" :b", "b ", "!"},
        {M, "'\\\\' :b", "b ", "b "},
        {M, "'a\\", "!", "!"},
        {P | M, "E'\\' :a' :b", "b ", "!"},
        {P | M, "e'\\'' :b", "b ", "!"},
        {P, "te'\\' :b", "b ", NULL},
        {P, "1e'\\' :b", "b ", NULL},
        {P, "ex'\\' :b", "b ", NULL},
        {P, "E'x'\n '\\' :a' :b", "b ", NULL},
        {P, "E'x' '\\' :b", "b ", NULL},
        {P, "E'x' , '\\' :b", "b ", NULL},
        {P, "E'\\\\' :b", "b ", "b "},
        {P, "E'it''s :a' :b", "b ", "b "},
    };
    (void)state;
    CHECK(cases);
}

static void each_database_has_quotes_of_its_own(void **state)
{
    static const struct quoting cases[] = {
        {M | S, "`:a` :b", "b ", "a b "},
        {M | S, "`x``:a` :b", "b ", NULL},
        {M | S, "`\\` :b", "b ", NULL},
        {M | S, "`a", "!", ""},
        {S, "[:a] :b", "b ", "a b "},
        {S, "[it's] :b", "b ", "!"},
        {S, "[a", "!", ""},
        {P, "$$ :a ' $$ :b", "b ", NULL},
        {P, "$t$ :a $$ $u$ :c $t$ :b", "b ", NULL},
        {P, "$_1$ $_2$ :a $_1$ :b", "b ", NULL},
        {P, "$$ :a", "!", NULL},
        {P, "$t$ :a $T$", "!", NULL},
        {P, "$1 :b $2$ :c", "b c ", NULL},
        {P, "a$b$ :b c$b$", "b ", NULL},
        {P, "$ :b", "b ", NULL},
        {P, "$$$$:b", "b ", NULL},
        {M | S, "$$ :a $$ :b", "a b ", NULL},
    };
    (void)state;
    CHECK(cases);
}

static void an_unfinished_text_names_its_line_and_nothing_else(void **state)
{
    struct arena *arena = arena_new();
    struct placeholder *list;
    struct err err = {0};
    size_t count;
    (void)state;
    assert_int_equal(placeholder_find("select\n\n 'secret", DATABASE_MYSQL, arena, &list, &count, &err), -1);
    assert_string_equal(err.text, "a literal that begins in line 3 does not end");
    arena_free(arena);
}

static void many_placeholders_are_all_found(void **state)
{
    struct arena *arena = arena_new();
    struct placeholder *list;
    struct buf sql = {0};
    struct err err = {0};
    size_t count;
    (void)state;
    for (int i = 0; i < 1000; i++)
        buf_printf(&sql, ":p%d, ", i);
    assert_int_equal(placeholder_find(buf_text(&sql), DATABASE_SQLITE, arena, &list, &count, &err), 0);
    assert_int_equal(count, 1000);
    assert_string_equal(list[0].name, "p0");
    assert_string_equal(list[999].name, "p999");
    buf_free(&sql);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_in_order),
        cmocka_unit_test(other_colons_are_no_placeholders),
        cmocka_unit_test(literals_hide_colons),
        cmocka_unit_test(comments_hide_colons),
        cmocka_unit_test(backslashes_escape_where_the_database_says_so),
        cmocka_unit_test(each_database_has_quotes_of_its_own),
        cmocka_unit_test(an_unfinished_text_names_its_line_and_nothing_else),
        cmocka_unit_test(many_placeholders_are_all_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
