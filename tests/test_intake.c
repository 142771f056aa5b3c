/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "entity/record.h"
#include "push/gate.h"
#include "push/intake.h"
#include "push/spool.h"

#define SIZED(s) (s), sizeof(s) - 1

static char folder[] = "/tmp/test_intake.XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

/* Fails when a test left a file behind. */
static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* records */

static const enum item_kind all_kinds[] = {ITEM_NULL,   ITEM_FALSE,  ITEM_TRUE,
                                           ITEM_NUMBER, ITEM_STRING, ITEM_DOCUMENT};
enum { KINDS = sizeof all_kinds / sizeof *all_kinds };

static void a_record_gives_back_what_was_put(void **state)
{
    static const size_t lengths[] = {0, 1, 127, 128, 16383, 16384, 300000};
    static const uint32_t numbers[] = {0, 15, 16, 2047, 2048, 70000, UINT32_MAX - 1};
    char *text = malloc(300000);
    struct buf record = {0};
    size_t offset = 0, count = 0;
    struct item item;
    (void)state;
    memset(text, 'x', 300000);
    for (size_t k = 0; k < KINDS; k++)
        for (size_t i = 0; i < 7; i++)
            record_put(&record, &(struct item){numbers[i], all_kinds[k], text, lengths[i]});
    assert_false(buf_failed(&record));
    for (; record_next(record.data, record.len, &offset, &item); count++) {
        enum item_kind kind = all_kinds[count / 7];
        size_t len = kind >= ITEM_NUMBER ? lengths[count % 7] : 0;
        assert_int_equal(item.name, numbers[count % 7]);
        assert_int_equal(item.kind, kind);
        assert_int_equal(item.len, len);
        assert_memory_equal(item.text, text, len);
    }
    assert_int_equal(count, KINDS * 7);
    assert_int_equal(offset, record.len);
    buf_free(&record);
    free(text);
}

static void a_record_that_is_cut_gives_only_whole_items(void **state)
{
    struct buf record = {0};
    struct item item;
    size_t first;
    (void)state;
    record_put(&record, &(struct item){300, ITEM_STRING, "one", 3});
    first = record.len;
    record_put(&record, &(struct item){300, ITEM_DOCUMENT, "[22]", 4});
    for (size_t len = 0; len < record.len; len++) {
        char *part = malloc(len + !len);
        size_t offset = 0, count = 0;
        memcpy(part, record.data, len);
        while (record_next(part, len, &offset, &item))
            count++;
        assert_int_equal(count, len >= first);
        free(part);
    }
    buf_free(&record);
}

static void names_are_numbered_once_in_the_order_they_came(void **state)
{
    enum { MANY = 5000 };
    struct names *names = names_new();
    char text[16];
    size_t len;
    (void)state;
    for (int round = 0; round < 3; round++)
        for (uint32_t i = 0; i < MANY; i++) {
            uint32_t number = round == 2 ? (i * 7919) % MANY : i; /* in another order than before */
            snprintf(text, sizeof text, "name%u", number);
            assert_int_equal(names_number(names, text, strlen(text)), number);
        }
    assert_int_equal(names_count(names), MANY);
    assert_string_equal(names_text(names, 4711, &len), "name4711");
    assert_int_equal(len, 8);
    assert_true(names_size(names) > (size_t)MANY * 8);
    names_free(names);
}

static void names_that_begin_alike_or_hold_nul_are_different(void **state)
{
    struct names *names = names_new();
    (void)state;
    assert_int_equal(names_number(names, SIZED("a")), 0);
    assert_int_equal(names_number(names, SIZED("ab")), 1);
    assert_int_equal(names_number(names, SIZED("a\0b")), 2);
    assert_int_equal(names_number(names, SIZED("")), 3);
    assert_int_equal(names_number(names, SIZED("a")), 0);
    assert_int_equal(names_number(names, SIZED("a\0")), 4);
    assert_int_equal(names_number(names, SIZED("a\0b")), 2);
    names_free(names);
}

/* the spool */

enum { PIECES = 4000 };

static size_t piece_size(size_t number)
{
    return number % 500 == 499 ? 300000 : number % 97 == 96 ? 5000 : number % 50;
}

/* Each byte of a piece tells which it is. */
static void fill(char *to, size_t number, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = (char)(number * 31 + i * 7);
}

static void check_piece(struct spool *spool, const uint64_t *offsets, size_t number, struct arena *arena)
{
    static char want[300000];
    size_t len = piece_size(number);
    const char *got = spool_get(spool, offsets[number], len, arena, NULL);
    assert_non_null(got);
    fill(want, number, len);
    assert_memory_equal(got, want, len);
}

static struct spool *fill_spool(size_t memory, uint64_t *offsets)
{
    static char piece[300000];
    struct spool *spool = spool_new(memory, folder);
    assert_non_null(spool);
    for (size_t i = 0; i < PIECES; i++) {
        offsets[i] = spool_size(spool);
        fill(piece, i, piece_size(i));
        assert_int_equal(spool_put(spool, piece, piece_size(i), NULL), 0);
    }
    return spool;
}

/* Forwards, backwards, and jumping. */
static void a_spool_gives_back_what_was_put_in_any_order(void **state)
{
    static const size_t memories[] = {0, 1, 100, 65536, 1 << 20, 1 << 24};
    static uint64_t offsets[PIECES];
    (void)state;
    for (size_t m = 0; m < sizeof memories / sizeof *memories; m++) {
        struct spool *spool = fill_spool(memories[m], offsets);
        struct arena *arena = arena_new();
        assert_int_equal(spool_in_memory(spool), memories[m] == 1 << 24);
        for (size_t i = 0; i < PIECES; i++)
            check_piece(spool, offsets, i, arena);
        arena_reset(arena);
        for (size_t i = PIECES; i > 0; i--)
            check_piece(spool, offsets, i - 1, arena);
        arena_reset(arena);
        for (size_t i = 0; i < PIECES; i++)
            check_piece(spool, offsets, i * 1237 % PIECES, arena);
        arena_free(arena);
        spool_free(spool);
    }
}

static void what_was_gotten_stays_while_more_is_gotten(void **state)
{
    static uint64_t offsets[PIECES];
    static const char *got[PIECES];
    static char want[300000];
    struct spool *spool = fill_spool(65536, offsets);
    struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < PIECES; i++)
        got[i] = spool_get(spool, offsets[i], piece_size(i), arena, NULL);
    for (size_t i = 0; i < PIECES; i++) {
        fill(want, i, piece_size(i));
        assert_memory_equal(got[i], want, piece_size(i));
    }
    arena_free(arena);
    spool_free(spool);
}

static void bytes_that_are_half_in_the_file_are_joined(void **state)
{
    struct spool *spool = spool_new(4, folder);
    struct arena *arena = arena_new();
    (void)state;
    assert_int_equal(spool_put(spool, "abc", 3, NULL), 0);
    assert_true(spool_in_memory(spool));
    assert_int_equal(spool_put(spool, "def", 3, NULL), 0);
    assert_false(spool_in_memory(spool));
    assert_memory_equal(spool_get(spool, 0, 6, arena, NULL), "abcdef", 6);
    assert_memory_equal(spool_get(spool, 2, 2, arena, NULL), "cd", 2);
    assert_memory_equal(spool_get(spool, 4, 2, arena, NULL), "ef", 2);
    assert_non_null(spool_get(spool, 6, 0, arena, NULL));
    assert_null(spool_get(spool, 4, 3, arena, NULL));
    assert_null(spool_get(spool, 7, 0, arena, NULL));
    arena_free(arena);
    spool_free(spool);
}

static size_t files_in_folder(void)
{
    DIR *dir = opendir(folder);
    size_t count = 0;
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2; /* "." and ".." */
}

static void the_file_of_a_spool_has_no_name(void **state)
{
    struct spool *spool = spool_new(0, folder);
    (void)state;
    assert_int_equal(spool_put(spool, "x", 1, NULL), 0);
    assert_false(spool_in_memory(spool));
    assert_int_equal(files_in_folder(), 0);
    spool_free(spool);
}

static void a_folder_that_is_missing_is_an_error_that_names_it(void **state)
{
    struct spool *spool = spool_new(2, "/nowhere/at/all");
    struct err err = {0};
    (void)state;
    assert_int_equal(spool_put(spool, "ab", 2, &err), 0);
    assert_int_equal(spool_put(spool, "c", 1, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_string_equal(err.text, "opening a temporary file in '/nowhere/at/all': No such file or directory");
    assert_non_null(strstr(err.hint, "spool_directory"));
    spool_free(spool);
}

static void a_file_that_may_not_grow_is_an_error(void **state)
{
    struct rlimit before, small;
    struct spool *spool = spool_new(0, folder);
    struct err err = {0};
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 10;
    setrlimit(RLIMIT_FSIZE, &small);
    int failed = spool_put(spool, "0123456789abcdef", 16, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(failed, -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_non_null(strstr(err.text, "writing a temporary file"));
    spool_free(spool);
}

/* the gate */

struct taker {
    struct gate *gate;
    struct share share;
    size_t bytes;
    double seconds;
    struct cancel *cancel;
    struct err err;
    int failed;
    pthread_t thread;
};

static void *take(void *arg)
{
    struct taker *taker = arg;
    taker->failed =
        gate_take(taker->gate, &taker->share, taker->bytes, taker->seconds, taker->cancel, &taker->err);
    return NULL;
}

static void wait_for_waiters(struct gate *gate, size_t count)
{
    struct gate_state now;
    do {
        usleep(100);
        gate_state(gate, &now);
    } while (now.waiting != count);
}

static void begin_to_take(struct taker *taker, size_t waiting)
{
    assert_int_equal(pthread_create(&taker->thread, NULL, take, taker), 0);
    wait_for_waiters(taker->gate, waiting);
}

static int take_at_once(struct gate *gate, struct share *share, size_t bytes)
{
    struct err err = {0};
    int failed = gate_take(gate, share, bytes, 0, NULL, &err);
    assert_int_equal(err.code, failed ? ERR_BUSY : ERR_NONE);
    return failed;
}

static size_t held(struct gate *gate)
{
    struct gate_state state;
    gate_state(gate, &state);
    return state.held;
}

static void the_gate_lets_in_as_much_as_it_holds(void **state)
{
    struct gate *gate = gate_new(100);
    struct share a = {0}, b = {0}, c = {0};
    (void)state;
    assert_int_equal(take_at_once(gate, &a, 40), 0);
    assert_int_equal(take_at_once(gate, &b, 60), 0);
    assert_int_equal(held(gate), 100);
    assert_int_equal(take_at_once(gate, &c, 1), -1);
    assert_int_equal(take_at_once(gate, &b, 1), -1);
    assert_int_equal(held(gate), 100);
    gate_give(gate, &a);
    gate_give(gate, &b);
    gate_give(gate, &c);
    assert_int_equal(held(gate), 0);
    gate_free(gate);
}

static void the_oldest_never_waits(void **state)
{
    struct gate *gate = gate_new(100);
    struct share a = {0}, b = {0};
    (void)state;
    assert_int_equal(take_at_once(gate, &a, 50), 0);
    assert_int_equal(take_at_once(gate, &b, 50), 0);
    assert_int_equal(take_at_once(gate, &a, 500), 0);
    assert_int_equal(take_at_once(gate, &b, 1), -1);
    gate_give(gate, &a);
    assert_int_equal(take_at_once(gate, &b, 500), 0); /* now it is the oldest */
    gate_give(gate, &b);
    gate_free(gate);
}

static void whoever_begins_again_is_the_newest(void **state)
{
    struct gate *gate = gate_new(100);
    struct share a = {0}, b = {0}, c = {0};
    (void)state;
    assert_int_equal(take_at_once(gate, &a, 30), 0);
    assert_int_equal(take_at_once(gate, &b, 30), 0);
    assert_int_equal(take_at_once(gate, &c, 30), 0);
    gate_give(gate, &b); /* from the middle */
    gate_give(gate, &a);
    assert_int_equal(take_at_once(gate, &a, 70), 0);
    assert_int_equal(take_at_once(gate, &a, 1), -1);
    assert_int_equal(take_at_once(gate, &c, 1), 0);
    gate_give(gate, &c);
    assert_int_equal(take_at_once(gate, &a, 100), 0);
    gate_give(gate, &a);
    gate_free(gate);
}

static void more_than_it_holds_is_let_in_when_nobody_else_is_there(void **state)
{
    struct gate *gate = gate_new(100);
    struct share a = {0}, b = {0};
    (void)state;
    assert_int_equal(take_at_once(gate, &b, 1), 0);
    assert_int_equal(take_at_once(gate, &a, 101), -1);
    gate_give(gate, &b);
    assert_int_equal(take_at_once(gate, &a, 101), 0);
    gate_give(gate, &a);
    gate_free(gate);
}

static void who_waits_goes_on_when_room_is_given_back(void **state)
{
    struct gate *gate = gate_new(100);
    struct share a = {0}, b = {0};
    struct taker c = {.gate = gate, .bytes = 50, .seconds = 600};
    (void)state;
    assert_int_equal(take_at_once(gate, &a, 50), 0);
    assert_int_equal(take_at_once(gate, &b, 50), 0);
    begin_to_take(&c, 1);
    gate_give(gate, &b);
    pthread_join(c.thread, NULL);
    assert_int_equal(c.failed, 0);
    assert_int_equal(held(gate), 100);
    gate_give(gate, &a);
    gate_give(gate, &c.share);
    gate_free(gate);
}

/* Two wait for more than there will be room for: the older of them comes to its end first. */
static void who_waits_goes_on_when_it_becomes_the_oldest(void **state)
{
    struct gate *gate = gate_new(100);
    struct share a = {0};
    struct taker b = {.gate = gate, .bytes = 200, .seconds = 600};
    struct taker c = {.gate = gate, .bytes = 200, .seconds = 600};
    (void)state;
    assert_int_equal(take_at_once(gate, &a, 10), 0);
    assert_int_equal(take_at_once(gate, &b.share, 10), 0);
    assert_int_equal(take_at_once(gate, &c.share, 10), 0);
    begin_to_take(&c, 1);
    begin_to_take(&b, 2);
    gate_give(gate, &a);
    pthread_join(b.thread, NULL);
    assert_int_equal(b.failed, 0);
    wait_for_waiters(gate, 1);
    assert_int_equal(held(gate), 220);
    gate_give(gate, &b.share);
    pthread_join(c.thread, NULL);
    assert_int_equal(c.failed, 0);
    gate_give(gate, &c.share);
    gate_free(gate);
}

static void who_waits_too_long_is_told_that_it_is_busy(void **state)
{
    struct gate *gate = gate_new(100);
    struct share a = {0};
    struct taker b = {.gate = gate, .bytes = 100, .seconds = 0.001};
    (void)state;
    assert_int_equal(take_at_once(gate, &a, 50), 0);
    take(&b);
    assert_int_equal(b.failed, -1);
    assert_int_equal(b.err.code, ERR_BUSY);
    assert_non_null(strstr(b.err.hint, "max_buffered_bytes"));
    assert_int_equal(b.share.held, 0);
    assert_int_equal(held(gate), 50);
    wait_for_waiters(gate, 0);
    gate_give(gate, &a);
    gate_free(gate);
}

static void who_waits_can_be_called_off(void **state)
{
    struct gate *gate = gate_new(100);
    struct share a = {0};
    struct cancel cancel;
    struct taker b = {.gate = gate, .bytes = 100, .seconds = 600, .cancel = &cancel};
    (void)state;
    cancel_init(&cancel);
    assert_int_equal(take_at_once(gate, &a, 50), 0);
    begin_to_take(&b, 1);
    cancel_fire(&cancel, CANCEL_GONE);
    pthread_join(b.thread, NULL);
    assert_int_equal(b.failed, -1);
    assert_int_equal(b.err.code, ERR_CANCELLED);
    gate_give(gate, &a);
    cancel_destroy(&cancel);
    gate_free(gate);
}

/* the intake */

enum { SMALL_BODY = 2000, SMALL_ENTITY = 60 };

static struct config_listen listen_of(size_t body, size_t entity)
{
    return (struct config_listen){
        .max_body_bytes = body, .max_entity_bytes = entity, .request_timeout = 600, .spool_directory = folder};
}

static void put_item(struct buf *out, const struct intake *intake, const struct item *item)
{
    static const char *const kinds[] = {"null", "false", "true", "#", "'", ""};
    size_t len;
    buf_printf(out, "%s=%s", names_text(intake_names(intake), item->name, &len), kinds[item->kind]);
    for (size_t i = 0; i < item->len; i++)
        if (item->text[i])
            buf_putc(out, item->text[i]);
        else
            buf_puts(out, "<00>");
    buf_putc(out, ' ');
}

/* What was taken, as text: name=value of each entity, "-" before one that is deleted, "|" behind each. */
static void put_entities(struct buf *out, struct intake *intake)
{
    struct arena *arena = arena_new();
    struct item item;
    for (size_t i = 0; i < intake_count(intake); i++) {
        const struct entry *entry = intake_entry(intake, i);
        const char *record = intake_record(intake, entry, arena, NULL);
        size_t offset = 0;
        assert_non_null(record);
        buf_puts(out, entry->deleted ? "- " : "");
        while (record_next(record, entry->len, &offset, &item))
            put_item(out, intake, &item);
        assert_int_equal(offset, entry->len);
        buf_puts(out, "|");
    }
    arena_free(arena);
}

/* Feeds body in two pieces, or, where cut is beyond it, in one for each byte. */
static int feed_cut(struct intake *intake, const char *body, size_t len, size_t cut, struct err *err)
{
    if (cut <= len)
        return intake_feed(intake, body, cut, err) || intake_feed(intake, body + cut, len - cut, err) ? -1 : 0;
    for (size_t i = 0; i < len; i++)
        if (intake_feed(intake, body + i, 1, err))
            return -1;
    return 0;
}

static char *taken(const struct config_listen *listen, const char *body, size_t len, size_t cut)
{
    struct gate *gate = gate_new(1 << 20);
    struct err err = {0}, again = {0};
    struct buf out = {0};
    struct intake *intake = intake_new(listen, gate, NULL, &err);
    assert_non_null(intake);
    if (feed_cut(intake, body, len, cut, &err) || intake_end(intake, &err)) {
        buf_printf(&out, "%s: %s", err.code == ERR_INPUT ? "input" : "large", err.text);
        assert_int_equal(intake_feed(intake, "[", 1, &again), -1);
        assert_int_equal(intake_end(intake, &again), -1);
        assert_string_equal(again.text, err.text);
        assert_int_equal(again.code, err.code);
    } else {
        assert_int_equal(intake_bytes(intake), len);
        put_entities(&out, intake);
    }
    intake_free(intake);
    assert_int_equal(held(gate), 0);
    gate_free(gate);
    assert_non_null(buf_text(&out));
    return out.data;
}

struct body {
    const char *text;
    size_t len;
    const char *want;
};

static void check_body(const struct body *body)
{
    const struct config_listen listen = listen_of(SMALL_BODY, SMALL_ENTITY);
    for (size_t cut = 0; cut <= body->len + 1; cut++) {
        char *got = taken(&listen, body->text, body->len, cut);
        if (strcmp(got, body->want) != 0)
            print_error("%s, cut at %zu\n", body->text, cut);
        assert_string_equal(got, body->want);
        free(got);
    }
}

#define CHECK_ALL(bodies)                                                                                              \
    for (size_t i = 0; i < sizeof(bodies) / sizeof *(bodies); i++)                                                     \
    check_body(&(bodies)[i])

static void entities_become_records_however_the_body_is_cut(void **state)
{
    static const struct body bodies[] = {
        {SIZED("[]"), ""},
        {SIZED("[{\"_id\":\"1\"}]"), "_id='1 |"},
        {SIZED(" [ {\"_id\" : \"1\", \"a\" : null} , {\"a\":true,\"_id\":\"2\"} ] "),
         "_id='1 a=null |a=true _id='2 |"},
        {SIZED("{\"_id\":\"1\",\"b\":false}"), "_id='1 b=false |"},
        {SIZED("[{\"_id\":\"x\\\"\\u00e6\",\"n\":-1.50e+07}]"), "_id='x\"\xC3\xA6 n=#-1.50e+07 |"},
        {SIZED("[{\"_id\":\"1\",\"s\":\"~f1\\u0000\",\"\":\"\"}]"), "_id='1 s='~f1<00> =' |"},
        {SIZED("[{\"_id\":\"1\",\"a\":1},{\"_id\":\"1\",\"a\":1}]"), "_id='1 a=#1 |_id='1 a=#1 |"},
    };
    (void)state;
    CHECK_ALL(bodies);
}

static void objects_and_lists_become_documents_without_blanks(void **state)
{
    static const struct body bodies[] = {
        {SIZED("[{\"d\": { } ,\"l\": [ ],\"_id\":\"1\"}]"), "d={} l=[] _id='1 |"},
        {SIZED("[{\"d\": {\"a\" : [ 1 , {\"b\":2} , \"c\" ]},\"_id\":\"1\"}]"),
         "d={\"a\":[1,{\"b\":2},\"c\"]} _id='1 |"},
        {SIZED("[{\"_id\":\"1\",\"d\":[[],[ ],{},true,false , null]}]"), "_id='1 d=[[],[],{},true,false,null] |"},
        {SIZED("[{\"_id\":\"1\",\"d\":[\"[\",\"{\",\":\",1.0,\"\"]}]"), "_id='1 d=[\"[\",\"{\",\":\",1.0,\"\"] |"},
        {SIZED("[{\"_id\":\"1\",\"d\":{\"\\u0061\":\"\\/\\n\\u00e6\"}}]"), "_id='1 d={\"a\":\"/\\n\xC3\xA6\"} |"},
        {SIZED("[{\"_id\":\"1\",\"d\":{\"_id\":1,\"_x\":2,\"a\":3,\"a\":4}}]"),
         "_id='1 d={\"_id\":1,\"_x\":2,\"a\":3,\"a\":4} |"},
    };
    (void)state;
    CHECK_ALL(bodies);
}

static void properties_that_begin_with_an_underscore_are_left_out(void **state)
{
    static const struct body bodies[] = {
        {SIZED("[{\"_updated\":5,\"_id\":\"1\",\"_hash\":\"x\",\"a\":1}]"), "_id='1 a=#1 |"},
        {SIZED("[{\"_id\":\"1\",\"_previous\":{\"a\":[{}]},\"_\":[],\"a\":{}}]"), "_id='1 a={} |"},
    };
    (void)state;
    CHECK_ALL(bodies);
}

static void deletions_are_told_apart(void **state)
{
    static const struct body bodies[] = {
        {SIZED("[{\"_id\":\"1\",\"_deleted\":true},{\"_id\":\"2\",\"_deleted\":false},{\"_id\":\"3\"}]"),
         "- _id='1 |_id='2 |_id='3 |"},
        {SIZED("[{\"_deleted\":true,\"_id\":\"1\"},{\"_id\":\"2\",\"_deleted\":null}]"), "- _id='1 |_id='2 |"},
        {SIZED("[{\"_id\":\"1\",\"_deleted\":true},{\"_id\":\"2\"}]"), "- _id='1 |_id='2 |"},
    };
    (void)state;
    CHECK_ALL(bodies);
}

static void what_is_no_list_of_entities_is_refused(void **state)
{
    static const struct body bodies[] = {
        {SIZED("1"), "input: the body is neither a list of entities nor an entity"},
        {SIZED("\"x\""), "input: the body is neither a list of entities nor an entity"},
        {SIZED("null"), "input: the body is neither a list of entities nor an entity"},
        {SIZED("[1]"), "input: entity 1 is not an object"},
        {SIZED("[{\"_id\":\"1\"},[]]"), "input: entity 2 is not an object"},
        {SIZED("[{\"_id\":\"1\"},null]"), "input: entity 2 is not an object"},
    };
    (void)state;
    CHECK_ALL(bodies);
}

static void what_is_not_an_entity_is_refused_with_its_number(void **state)
{
    static const struct body bodies[] = {
        {SIZED("{}"), "input: entity 1 has no property '_id'"},
        {SIZED("[{\"_id\":\"1\"},{\"id\":\"2\"}]"), "input: entity 2 has no property '_id'"},
        {SIZED("[{\"_id\":1}]"), "input: entity 1: property '_id' is not a string"},
        {SIZED("[{\"_id\":null}]"), "input: entity 1: property '_id' is not a string"},
        {SIZED("[{\"_id\":{}}]"), "input: entity 1: property '_id' is not a string"},
        {SIZED("[{\"_id\":\"7\",\"_deleted\":1}]"),
         "input: entity 1 (_id '7'): property '_deleted' is neither true, false nor null"},
        {SIZED("[{\"_deleted\":\"true\",\"_id\":\"7\"}]"),
         "input: entity 1: property '_deleted' is neither true, false nor null"},
        {SIZED("[{\"_id\":\"7\",\"_deleted\":[]}]"),
         "input: entity 1 (_id '7'): property '_deleted' is neither true, false nor null"},
        {SIZED("[{\"_id\":\"1\",\"a\":1},{\"_id\":\"2\",\"a\":1,\"a\":1}]"),
         "input: entity 2 (_id '2'): property 'a' comes twice"},
        {SIZED("[{\"_id\":\"1\",\"\\u005fid\":\"1\"}]"), "input: entity 1 (_id '1'): property '_id' comes twice"},
        {SIZED("[{\"_id\":\"1\",\"_x\":1,\"_x\":1}]"), "input: entity 1 (_id '1'): property '_x' comes twice"},
    };
    (void)state;
    CHECK_ALL(bodies);
}

static void what_is_not_json_is_refused_with_entity_and_byte(void **state)
{
    static const struct body bodies[] = {
        {SIZED(""), "input: the body: the document is empty"},
        {SIZED("[{\"_id\":\"1\"}"), "input: the body: the document is cut off after byte 12"},
        {SIZED("[{\"_id\":\"1\"},{\"_id\":\"2\""),
         "input: the body, entity 2 (_id '2'): the document is cut off after byte 23"},
        {SIZED("[{\"_id\":\"1\"},{\"a\":1,}]"),
         "input: the body, entity 2: a name was expected, not '}', at byte 21"},
        {SIZED("[{\"_id\":\"1\"}]x"), "input: the body: the end was expected, not 'x', at byte 14"},
        {SIZED("[{\"_id\":\"7\",\"a\":\"\\ud800\"}]"),
         "input: the body, entity 1 (_id '7'): an escape of half a surrogate pair at byte 24"},
    };
    (void)state;
    CHECK_ALL(bodies);
}

/* An entity of len bytes with blanks before and behind it that do not count. */
static char *entity_of(size_t len)
{
    struct buf body = {0};
    buf_puts(&body, "[  {\"_id\":\"1\",\"a\":\"");
    for (size_t i = strlen("{\"_id\":\"1\",\"a\":\"\"}"); i < len; i++)
        buf_putc(&body, 'x');
    buf_puts(&body, "\"}  ]");
    assert_non_null(buf_text(&body));
    return body.data;
}

static void an_entity_is_taken_up_to_its_limit_and_no_further(void **state)
{
    char *fits = entity_of(SMALL_ENTITY), *does_not = entity_of(SMALL_ENTITY + 1);
    const struct body large = {does_not, strlen(does_not), "large: entity 1 (_id '1') is too large"};
    const struct config_listen listen = listen_of(SMALL_BODY, SMALL_ENTITY);
    (void)state;
    for (size_t cut = 0; cut <= strlen(fits); cut++) {
        char *got = taken(&listen, fits, strlen(fits), cut);
        assert_memory_equal(got, "_id='1 a='xxx", 13);
        free(got);
    }
    check_body(&large);
    free(fits);
    free(does_not);
}

static void a_document_counts_as_it_stands_in_the_body(void **state)
{
    static const struct body bodies[] = {
        {SIZED("[{\"_id\":\"1\",\"a\":[                                            1]}]"),
         "large: entity 1 (_id '1') is too large"},
        {SIZED("[{\"_id\":\"1\",\"_a\":[                                           1]}]"),
         "large: entity 1 (_id '1') is too large"},
        {SIZED("[{\"_id\":\"\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031\"}]"),
         "large: entity 1 is too large"},
    };
    (void)state;
    CHECK_ALL(bodies);
}

static void a_document_is_taken_up_to_512_levels(void **state)
{
    const struct config_listen listen = listen_of(1 << 20, 1 << 20);
    (void)state;
    for (size_t levels = 512; levels <= 513; levels++) {
        struct buf body = {0};
        buf_puts(&body, "[{\"_id\":\"1\",\"d\":");
        for (size_t i = 0; i < 2 * levels; i++)
            buf_putc(&body, i < levels ? '[' : ']');
        buf_puts(&body, "}]");
        char *got = taken(&listen, body.data, body.len, 5);
        if (levels == 512)
            assert_memory_equal(got, "_id='1 d=[[[", 12);
        else
            assert_string_equal(got, "large: the body, entity 1 (_id '1'): an array or object within 514 others begins "
                                     "at byte 529");
        free(got);
        buf_free(&body);
    }
}

static void a_body_is_taken_up_to_its_limit_and_no_further(void **state)
{
    static const char body[] = "[{\"_id\":\"1\"}] ";
    const struct config_listen enough = listen_of(sizeof body - 1, 100), less = listen_of(sizeof body - 2, 100);
    (void)state;
    for (size_t cut = 0; cut <= sizeof body; cut++) {
        char *got = taken(&enough, body, sizeof body - 1, cut);
        assert_string_equal(got, "_id='1 |");
        free(got);
        got = taken(&less, body, sizeof body - 1, cut);
        assert_string_equal(got, "large: the body is larger than 13 bytes");
        free(got);
    }
}

/* Feeds a list of count entities that a function writes. */
static int feed_many(struct intake *intake, size_t count, void (*write)(struct buf *out, size_t number),
                     struct err *err)
{
    struct buf body = {0};
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++) {
        buf_puts(&body, i ? "," : "[");
        write(&body, i);
        if (i + 1 == count)
            buf_puts(&body, "]");
        if (body.len > 60000 || i + 1 == count) {
            failed = intake_feed(intake, body.data, body.len, err);
            buf_reset(&body);
        }
    }
    buf_free(&body);
    return failed ? failed : intake_end(intake, err);
}

static void write_of_a_hundred(struct buf *out, size_t number)
{
    buf_printf(out, "{\"_id\":\"%zu\",\"text\":\"%0100zu\"}", number, number);
}

static void write_with_a_name_of_its_own(struct buf *out, size_t number)
{
    buf_printf(out, "{\"_id\":\"%zu\",\"name%zu\":1}", number, number);
}

static void a_body_beyond_the_memory_is_read_back_from_its_file(void **state)
{
    enum { COUNT = 50000 };
    const struct config_listen listen = listen_of(1 << 24, 1000);
    struct gate *gate = gate_new(1 << 24);
    struct intake *intake = intake_new(&listen, gate, NULL, NULL);
    struct arena *arena = arena_new();
    char want[120];
    (void)state;
    assert_int_equal(feed_many(intake, COUNT, write_of_a_hundred, NULL), 0);
    assert_int_equal(intake_count(intake), COUNT);
    assert_true(held(gate) > 100 * COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        const struct entry *entry = intake_entry(intake, i);
        const char *record = intake_record(intake, entry, arena, NULL);
        struct item item;
        size_t offset = 0;
        snprintf(want, sizeof want, "%0100zu", i);
        assert_non_null(record);
        assert_true(record_next(record, entry->len, &offset, &item));
        assert_int_equal(item.name, intake_id_name(intake));
        assert_true(record_next(record, entry->len, &offset, &item));
        assert_memory_equal(item.text, want, 100);
    }
    arena_free(arena);
    intake_free(intake);
    assert_int_equal(held(gate), 0);
    gate_free(gate);
}

static void too_many_names_are_refused(void **state)
{
    const struct config_listen listen = listen_of(1 << 24, 1000);
    struct gate *gate = gate_new(1 << 24);
    struct intake *intake = intake_new(&listen, gate, NULL, NULL);
    struct err err = {0};
    (void)state;
    assert_int_equal(feed_many(intake, 65000, write_with_a_name_of_its_own, &err), 0);
    intake_free(intake);
    intake = intake_new(&listen, gate, NULL, NULL);
    assert_int_equal(feed_many(intake, 70000, write_with_a_name_of_its_own, &err), -1);
    assert_int_equal(err.code, ERR_LARGE);
    intake_free(intake);
    gate_free(gate);
}

static void a_long_id_is_cut_at_a_character_in_an_error(void **state)
{
    const struct config_listen listen = listen_of(SMALL_BODY, 1000);
    struct buf body = {0}, want = {0};
    (void)state;
    buf_puts(&body, "[{\"_id\":\"");
    buf_puts(&want, "input: entity 1 (_id '");
    for (int i = 0; i < 100; i++)
        buf_puts(&body, "\xE2\x82\xAC");
    for (int i = 0; i < 26; i++)
        buf_puts(&want, "\xE2\x82\xAC");
    buf_puts(&body, "\",\"a\":1,\"a\":1}]");
    buf_puts(&want, "'): property 'a' comes twice");
    char *got = taken(&listen, body.data, body.len, 3);
    assert_string_equal(got, buf_text(&want));
    free(got);
    buf_free(&body);
    buf_free(&want);
}

static void the_digest_is_that_of_the_body_as_it_came(void **state)
{
    static const char body[] = "[{\"_id\": \"1\"}]\n";
    const struct config_listen listen = listen_of(SMALL_BODY, SMALL_ENTITY);
    struct gate *gate = gate_new(1 << 20);
    (void)state;
    for (size_t cut = 0; cut <= sizeof body; cut++) {
        struct intake *intake = intake_new(&listen, gate, NULL, NULL);
        assert_int_equal(feed_cut(intake, body, sizeof body - 1, cut, NULL), 0);
        assert_int_equal(intake_end(intake, NULL), 0);
        assert_string_equal(intake_digest(intake), "6b6506ae085f3cd30d7c4529fdff3e95862275df9ae67ef3cae5870e3fb969cd");
        intake_free(intake);
    }
    gate_free(gate);
}

struct feeder {
    struct intake *intake;
    struct gate *gate;
    struct err err;
    int failed;
};

static void *feed_in_thread(void *arg)
{
    struct feeder *feeder = arg;
    feeder->failed = feed_many(feeder->intake, 5000, write_of_a_hundred, &feeder->err);
    return NULL;
}

/* The gate holds less than the two together. */
static void a_body_waits_while_an_older_one_holds_what_it_needs(void **state)
{
    const struct config_listen listen = listen_of(1 << 24, 1000);
    struct gate *gate = gate_new(700000);
    struct intake *older = intake_new(&listen, gate, NULL, NULL);
    struct feeder newer = {.intake = intake_new(&listen, gate, NULL, NULL), .gate = gate};
    pthread_t thread;
    (void)state;
    assert_int_equal(feed_many(older, 5000, write_of_a_hundred, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, feed_in_thread, &newer), 0);
    wait_for_waiters(gate, 1);
    intake_free(older);
    pthread_join(thread, NULL);
    assert_int_equal(newer.failed, 0);
    assert_int_equal(intake_count(newer.intake), 5000);
    intake_free(newer.intake);
    assert_int_equal(held(gate), 0);
    gate_free(gate);
}

static void a_body_that_waits_can_be_called_off(void **state)
{
    const struct config_listen listen = listen_of(1 << 24, 1000);
    struct gate *gate = gate_new(700000);
    struct cancel cancel;
    struct intake *older = intake_new(&listen, gate, NULL, NULL);
    struct feeder newer = {.intake = intake_new(&listen, gate, &cancel, NULL), .gate = gate};
    pthread_t thread;
    (void)state;
    cancel_init(&cancel);
    assert_int_equal(feed_many(older, 5000, write_of_a_hundred, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, feed_in_thread, &newer), 0);
    wait_for_waiters(gate, 1);
    cancel_fire(&cancel, CANCEL_GONE);
    pthread_join(thread, NULL);
    assert_int_equal(newer.failed, -1);
    assert_int_equal(newer.err.code, ERR_CANCELLED);
    intake_free(newer.intake);
    intake_free(older);
    cancel_destroy(&cancel);
    gate_free(gate);
}

/* What is not a record yet is held too: the beginning of an entity that has not ended. */
static void an_unfinished_entity_counts_as_held(void **state)
{
    enum { LEN = 400000 };
    const struct config_listen listen = listen_of(1 << 24, 1 << 20);
    struct gate *gate = gate_new(1 << 20);
    struct intake *intake = intake_new(&listen, gate, NULL, NULL);
    char *text = malloc(LEN);
    (void)state;
    memset(text, 'x', LEN);
    assert_int_equal(intake_feed(intake, SIZED("[{\"_id\":\"1\",\"a\":\""), NULL), 0);
    for (size_t at = 0; at < LEN; at += 1000)
        assert_int_equal(intake_feed(intake, text + at, 1000, NULL), 0);
    assert_in_range(held(gate), LEN, LEN + 3 * 65536);
    free(text);
    intake_free(intake);
    gate_free(gate);
}

/* In many small entities the list of them is the most. */
static void the_list_of_entities_counts_as_held(void **state)
{
    enum { COUNT = 50000 };
    const struct config_listen listen = listen_of(1 << 24, 1000);
    struct gate *gate = gate_new(1 << 24);
    struct intake *intake = intake_new(&listen, gate, NULL, NULL);
    struct buf body = {0};
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        buf_puts(&body, i ? ",{\"_id\":\"1\"}" : "[{\"_id\":\"1\"}");
    buf_putc(&body, ']');
    assert_int_equal(intake_feed(intake, body.data, body.len, NULL), 0);
    assert_int_equal(intake_end(intake, NULL), 0);
    assert_true(held(gate) >= COUNT * sizeof(struct entry) + COUNT * 3);
    buf_free(&body);
    intake_free(intake);
    gate_free(gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_gives_back_what_was_put),
        cmocka_unit_test(a_record_that_is_cut_gives_only_whole_items),
        cmocka_unit_test(names_are_numbered_once_in_the_order_they_came),
        cmocka_unit_test(names_that_begin_alike_or_hold_nul_are_different),
        cmocka_unit_test(a_spool_gives_back_what_was_put_in_any_order),
        cmocka_unit_test(what_was_gotten_stays_while_more_is_gotten),
        cmocka_unit_test(bytes_that_are_half_in_the_file_are_joined),
        cmocka_unit_test(the_file_of_a_spool_has_no_name),
        cmocka_unit_test(a_folder_that_is_missing_is_an_error_that_names_it),
        cmocka_unit_test(a_file_that_may_not_grow_is_an_error),
        cmocka_unit_test(the_gate_lets_in_as_much_as_it_holds),
        cmocka_unit_test(the_oldest_never_waits),
        cmocka_unit_test(whoever_begins_again_is_the_newest),
        cmocka_unit_test(more_than_it_holds_is_let_in_when_nobody_else_is_there),
        cmocka_unit_test(who_waits_goes_on_when_room_is_given_back),
        cmocka_unit_test(who_waits_goes_on_when_it_becomes_the_oldest),
        cmocka_unit_test(who_waits_too_long_is_told_that_it_is_busy),
        cmocka_unit_test(who_waits_can_be_called_off),
        cmocka_unit_test(entities_become_records_however_the_body_is_cut),
        cmocka_unit_test(objects_and_lists_become_documents_without_blanks),
        cmocka_unit_test(properties_that_begin_with_an_underscore_are_left_out),
        cmocka_unit_test(deletions_are_told_apart),
        cmocka_unit_test(what_is_no_list_of_entities_is_refused),
        cmocka_unit_test(what_is_not_an_entity_is_refused_with_its_number),
        cmocka_unit_test(what_is_not_json_is_refused_with_entity_and_byte),
        cmocka_unit_test(an_entity_is_taken_up_to_its_limit_and_no_further),
        cmocka_unit_test(a_document_counts_as_it_stands_in_the_body),
        cmocka_unit_test(a_document_is_taken_up_to_512_levels),
        cmocka_unit_test(a_body_is_taken_up_to_its_limit_and_no_further),
        cmocka_unit_test(a_body_beyond_the_memory_is_read_back_from_its_file),
        cmocka_unit_test(too_many_names_are_refused),
        cmocka_unit_test(a_long_id_is_cut_at_a_character_in_an_error),
        cmocka_unit_test(the_digest_is_that_of_the_body_as_it_came),
        cmocka_unit_test(a_body_waits_while_an_older_one_holds_what_it_needs),
        cmocka_unit_test(a_body_that_waits_can_be_called_off),
        cmocka_unit_test(an_unfinished_entity_counts_as_held),
        cmocka_unit_test(the_list_of_entities_counts_as_held),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
