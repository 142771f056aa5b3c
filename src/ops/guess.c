#include "ops/guess.h"

#include <ctype.h>
#include <string.h>

#include "base/iso.h"

/* names */

enum { NAME_MOST = 64 }; /* longer names are nobody's habit */

/* A name tells something when it consists of these words only, and of one of the first at least. */
struct words {
    const char *telling[20], *others[36];
};

static const struct words updated_words = {
    {"updated", "update", "upd", "modified", "modification", "modify", "mod", "changed", "change", "chg", "edited",
     "edit", "touched", "mtime", "oppdatert", "endret"},
    {"last",      "row", "record",  "rec",    "sys",    "system", "db",    "date", "datetime", "time",
     "timestamp", "ts",  "at",      "on",     "utc",    "dt",     "epoch", "unix", "ms",       "us",
     "s",         "sec", "seconds", "millis", "micros", "ns",     "sist",  "dato", "tid",      "tidspunkt"},
};
static const struct words stamp_words = {{"ts", "timestamp"},
                                         {"row", "record", "rec", "sys", "system", "db", "last", "utc"}};
static const struct words version_words = {
    {"version", "revision", "rev", "versjon", "optlock"},
    {"row", "lock", "record", "rec", "object", "entity", "opt", "optimistic", "sys", "no", "nr", "num", "number",
     "counter"},
};
static const struct words deleted_words = {
    {"deleted", "delete", "deletion", "removed", "removal", "delflag", "slettet", "fjernet"},
    {"is",       "was",  "er",        "soft", "marked", "row",  "record", "sys", "at",   "on", "date",
     "datetime", "time", "timestamp", "ts",   "utc",    "flag", "flg",    "ind", "dato", "tid"},
};

static size_t word_at(const char *const *words, size_t i, const char *text)
{
    size_t len = words[i] ? strlen(words[i]) : 0;
    return len && strncmp(words[i], text, len) == 0 ? len : 0;
}

static bool consists_of(const struct words *words, const char *text, bool told)
{
    if (!*text)
        return told;
    for (size_t i = 0; i < sizeof words->telling / sizeof *words->telling && words->telling[i]; i++) {
        size_t len = word_at(words->telling, i, text);
        if (len && consists_of(words, text + len, true))
            return true;
    }
    for (size_t i = 0; i < sizeof words->others / sizeof *words->others && words->others[i]; i++) {
        size_t len = word_at(words->others, i, text);
        if (len && consists_of(words, text + len, told))
            return true;
    }
    return false;
}

/* Letters and digits alone, small. Empty where it is too long. */
static void fold(char out[NAME_MOST + 1], const char *name)
{
    size_t len = 0;
    for (; *name && len < NAME_MOST; name++)
        if (isalnum((unsigned char)*name) || (unsigned char)*name >= 0x80)
            out[len++] = (char)tolower((unsigned char)*name);
    out[*name ? 0 : len] = '\0';
}

/* customers.customer_updated_at: its own name, also without the s of a plural, tells nothing. */
static const char *behind_table(const char *name, const char *table)
{
    char folded[NAME_MOST + 1];
    fold(folded, table);
    size_t len = strlen(folded);
    if (len > 1 && folded[len - 1] == 's' && strncmp(name, folded, len) != 0)
        len--;
    return len > 1 && strncmp(name, folded, len) == 0 && name[len] ? name + len : name;
}

static bool tells(const struct words *words, const struct column *column, const char *table)
{
    char name[NAME_MOST + 1];
    fold(name, column->name);
    return consists_of(words, name, false) || consists_of(words, behind_table(name, table), false);
}

bool guess_is_worth_it(const struct column *column, const char *table)
{
    return column->transaction || column->refreshed || tells(&updated_words, column, table) ||
           tells(&stamp_words, column, table) || tells(&deleted_words, column, table);
}

/* values */

static void add_integer(struct sample *sample, int64_t number)
{
    sample->least = sample->integers && sample->least < number ? sample->least : number;
    sample->most = sample->integers && sample->most > number ? sample->most : number;
    sample->integers++;
}

void sample_add(struct sample *sample, const struct value *value)
{
    struct iso_time time;
    if (value->kind == KIND_NULL)
        return;
    sample->count++;
    if (value->kind == KIND_INT)
        add_integer(sample, value->integer);
    if (value->kind == KIND_UINT && value->natural <= INT64_MAX)
        add_integer(sample, (int64_t)value->natural);
    if (value->kind != KIND_TEXT || iso_parse(value->text.bytes, value->text.len, &time))
        return;
    sample->times++;
    sample->spaced += value->text.len > 10 && value->text.bytes[10] == ' ';
}

/* the updated column */

/* All between 2000 and 2100 in this unit: then they are in no other. */
static bool are_epochs(const struct sample *sample, int64_t unit)
{
    return sample->count && sample->integers == sample->count && sample->least >= INT64_C(946684800) * unit &&
           sample->most < INT64_C(4102444800) * unit;
}

static bool judge_epoch(const struct sample *sample, struct guess *guess)
{
    static const struct {
        int64_t unit;
        enum config_unit name;
        const char *why;
    } units[] = {{1, UNIT_S, "its name says so, and what it holds are seconds since 1970"},
                 {1000, UNIT_MS, "its name says so, and what it holds are milliseconds since 1970"},
                 {1000000, UNIT_US, "its name says so, and what it holds are microseconds since 1970"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (are_epochs(sample, units[i].unit)) {
            *guess = (struct guess){.unit = units[i].name, .score = 150, .why = units[i].why};
            return true;
        }
    return false;
}

static bool says_time(const struct column *column)
{
    return strcasestr(column->type, "date") || strcasestr(column->type, "time");
}

static bool judge_text(const struct column *column, const struct sample *sample, struct guess *guess)
{
    bool any = column->position == POSITION_ANY; /* SQLite, where times are texts */
    if (sample->count ? sample->times < sample->count : !any || !says_time(column))
        return false;
    *guess = (struct guess){.score = any ? 200 : 120, .why = "its name says so, and it holds times in ISO 8601"};
    return true;
}

/* Where the values matter. */
static bool judge_values(const struct column *column, const struct sample *sample, struct guess *guess)
{
    if ((column->kind == KIND_INT || column->kind == KIND_UINT || column->position == POSITION_ANY) && sample->integers)
        return judge_epoch(sample, guess);
    bool text = column->kind == KIND_TEXT && (column->position == POSITION_TEXT || column->position == POSITION_ANY);
    return text && judge_text(column, sample, guess);
}

static bool judge(const struct column *column, const struct sample *sample, const char *table, struct guess *guess)
{
    bool named = tells(&updated_words, column, table);
    if (column->transaction)
        *guess = (struct guess){.score = 400, .why = "its type holds ids of transactions, whose horizon is exact"};
    else if (column->refreshed)
        *guess = (struct guess){.score = 300, .why = "the server sets it at every update"};
    else if (!named && !tells(&stamp_words, column, table))
        return false;
    else if (column->kind == KIND_DATETIME)
        *guess = (struct guess){.score = 200, .why = "a time, and its name says so"};
    else if (column->kind == KIND_DATE)
        *guess = (struct guess){.score = 50, .why = "a date, and its name says so; it tells days only"};
    else if (!judge_values(column, sample, guess))
        return false;
    guess->score += (named ? 20 : 0) + (column->nullable ? 0 : 5) + (column->digits >= 3 ? 3 : 0);
    return true;
}

static bool is_key(const struct relation *relation, size_t column)
{
    for (size_t i = 0; i < relation->key_count; i++)
        if (relation->key[i] == column)
            return true;
    return false;
}

static size_t insert(struct guess *guesses, size_t count, const struct guess *guess)
{
    size_t at = count < GUESS_MOST ? count : GUESS_MOST - 1;
    if (count == GUESS_MOST && guesses[at].score >= guess->score)
        return count;
    for (; at > 0 && guesses[at - 1].score < guess->score; at--)
        guesses[at] = guesses[at - 1];
    guesses[at] = *guess;
    return count < GUESS_MOST ? count + 1 : count;
}

size_t guess_updated(const struct relation *relation, const struct sample *samples, const char *table,
                     struct guess guesses[GUESS_MOST])
{
    size_t count = 0;
    for (size_t i = 0; i < relation->column_count; i++) {
        struct guess guess = {0};
        if (is_key(relation, i) || relation->columns[i].identity ||
            !judge(&relation->columns[i], &samples[i], table, &guess))
            continue;
        guess.column = i;
        count = insert(guesses, count, &guess);
    }
    return count;
}

/* version and deletion */

size_t guess_version(const struct relation *relation, const char *table)
{
    for (size_t i = 0; i < relation->column_count; i++) {
        const struct column *column = &relation->columns[i];
        bool integer = column->kind == KIND_INT || column->kind == KIND_UINT;
        if (integer && !column->generated && !column->identity && !is_key(relation, i) &&
            tells(&version_words, column, table))
            return i;
    }
    return SIZE_MAX;
}

static bool is_flag(const struct column *column, const struct sample *sample)
{
    if (column->kind == KIND_BOOL)
        return true;
    bool integer = column->kind == KIND_INT || column->kind == KIND_UINT;
    return integer && sample->integers == sample->count &&
           (!sample->count || (sample->least >= 0 && sample->most <= 1));
}

/* A time tells by being there at all, so it must be able not to be. */
static bool is_mark(const struct column *column, const struct sample *sample)
{
    if (is_flag(column, sample))
        return true;
    if (!column->nullable)
        return false;
    return column->kind == KIND_DATETIME || column->kind == KIND_DATE ||
           (column->position == POSITION_ANY && column->kind == KIND_TEXT && sample->times == sample->count);
}

size_t guess_deleted(const struct relation *relation, const struct sample *samples, const char *table)
{
    for (size_t i = 0; i < relation->column_count; i++)
        if (!is_key(relation, i) && !relation->columns[i].generated && is_mark(&relation->columns[i], &samples[i]) &&
            tells(&deleted_words, &relation->columns[i], table))
            return i;
    return SIZE_MAX;
}

bool guess_marks_by_value(const struct column *column, const struct sample *sample)
{
    return is_flag(column, sample);
}
