/* The part of the reader that walks objects by their tables. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "config/reader.h"

static int read_key(struct reader *reader, const struct key *key, const struct path *path, json_t *value,
                    void *target);

static void *place_at(void *target, size_t at)
{
    return target && at != NOWHERE ? (char *)target + at : NULL;
}

static int read_text(struct reader *reader, const struct key *key, const struct path *path, json_t *value,
                     const char **place)
{
    const char *text =
        key->type == KEY_SECRET ? reader_text(reader, path, value) : reader_filled(reader, path, value);
    if (text && place)
        *place = text;
    return text ? 0 : -1;
}

static int read_list(struct reader *reader, const struct key *key, const struct path *path, json_t *value,
                     struct config_list *place)
{
    struct config_list list = {0};
    int result = 0;
    if (!json_is_array(value))
        return reader_expected(reader, path, "a list of strings", value);
    for (size_t i = 0; i < json_array_size(value); i++) {
        struct path inner = {.up = path, .index = i};
        const char *text = reader_filled(reader, &inner, json_array_get(value, i));
        if (text && key->type == KEY_NAMES && reader_list_has(&list, text))
            result = reader_mistake(reader, &inner, "is in the list already");
        else if (!text || reader_append(reader, &list, text))
            result = -1;
    }
    if (place)
        *place = list;
    return result;
}

static int read_names(struct reader *reader, const struct key *key, const struct path *path, json_t *value,
                      struct config_list *place)
{
    if (json_is_array(value) && json_array_size(value) == 0)
        return reader_mistake(reader, path, "must not be empty");
    if (json_is_array(value))
        return read_list(reader, key, path, value, place);
    struct config_list list = {0};
    const char *text = reader_filled(reader, path, value);
    if (!text || reader_append(reader, &list, text))
        return -1;
    if (place)
        *place = list;
    return 0;
}

static int read_lines(struct reader *reader, const struct path *path, json_t *value, const char **place)
{
    struct buf buf = {0};
    int result = 0;
    if (!json_is_array(value)) {
        const char *text = reader_filled(reader, path, value);
        if (text && place)
            *place = text;
        return text ? 0 : -1;
    }
    if (json_array_size(value) == 0)
        return reader_mistake(reader, path, "must not be empty");
    for (size_t i = 0; i < json_array_size(value); i++) {
        struct path inner = {.up = path, .index = i};
        const char *text = reader_text(reader, &inner, json_array_get(value, i));
        if (!text)
            result = -1;
        buf_puts(&buf, i ? "\n" : "");
        buf_puts(&buf, text ? text : "");
    }
    const char *joined = buf_failed(&buf) ? NULL : arena_copy(reader->arena, buf.data, buf.len);
    buf_free(&buf);
    if (!joined)
        return err_memory(reader->err);
    if (place && !result)
        *place = joined;
    return result;
}

static int read_whole(struct reader *reader, const struct key *key, const struct path *path, json_t *value,
                      void *place)
{
    double most = key->type == KEY_SIZE ? (double)(SIZE_MAX / 4) : (double)UINT_MAX;
    double number;
    if (reader_number(reader, path, value, key->min, key->max > 0 ? key->max : most, &number))
        return -1;
    if (number != (double)(uint64_t)number) /* the bounds fit */
        return reader_mistake(reader, path, "must be a whole number");
    if (place && key->type == KEY_SIZE)
        *(size_t *)place = (size_t)number;
    else if (place)
        *(unsigned *)place = (unsigned)number;
    return 0;
}

static int read_bool(struct reader *reader, const struct path *path, json_t *value, bool *place)
{
    bool yes = json_is_true(value);
    if (json_is_string(value)) {
        const char *text = reader_text(reader, path, value);
        if (!text)
            return -1;
        yes = strcmp(text, "true") == 0;
        if (!yes && strcmp(text, "false") != 0)
            return reader_mistake(reader, path, "must be true or false");
    } else if (!json_is_boolean(value)) {
        return reader_expected(reader, path, "true or false", value);
    }
    if (place)
        *place = yes;
    return 0;
}

static void put_words(struct buf *buf, const struct choice *choices)
{
    for (const struct choice *choice = choices; choice->word; choice++) {
        if (choice > choices)
            buf_puts(buf, choice[1].word ? ", " : " or ");
        buf_puts(buf, choice->word);
    }
}

static int read_choice(struct reader *reader, const struct key *key, const struct path *path, json_t *value,
                       void *place)
{
    const char *text = reader_text(reader, path, value);
    if (!text)
        return -1;
    for (const struct choice *choice = key->choices; choice->word; choice++) {
        if (strcmp(choice->word, text) != 0)
            continue;
        if (place && key->type == KEY_SWITCH)
            *(bool *)place = choice->value;
        else if (place)
            memcpy(place, &choice->value, sizeof choice->value); /* an enum, whichever it is */
        return 0;
    }
    struct buf words = {0};
    put_words(&words, key->choices);
    const char *list = buf_text(&words);
    reader_mistake(reader, path, "must be %s", list ? list : "one of the words in the documentation");
    buf_free(&words);
    return -1;
}

static int read_values(struct reader *reader, const struct key *key, const struct path *path, json_t *value,
                       void *target)
{
    bool alone = !json_is_array(value);
    size_t count = alone ? 1 : json_array_size(value);
    int result = 0;
    if (count == 0)
        return reader_mistake(reader, path, "must not be empty");
    struct config_value *values = arena_array(reader->arena, count, sizeof *values);
    if (!values)
        return err_memory(reader->err);
    for (size_t i = 0; i < count; i++) {
        struct path inner = {.up = path, .index = i};
        json_t *item = alone ? value : json_array_get(value, i);
        if (reader_value(reader, alone ? path : &inner, item, &values[i]))
            result = -1;
    }
    struct config_value **place = place_at(target, key->at);
    if (place && !result) {
        *place = values;
        *(size_t *)place_at(target, key->count_at) = count;
    }
    return result;
}

static int read_pairs(struct reader *reader, const struct key *key, const struct path *path, json_t *value,
                      void *target)
{
    const char *name;
    json_t *member;
    size_t count = 0;
    if (!json_is_object(value))
        return reader_expected(reader, path, "an object of strings", value);
    struct config_pair *pairs = arena_array(reader->arena, json_object_size(value), sizeof *pairs);
    if (!pairs)
        return err_memory(reader->err);
    json_object_foreach(value, name, member)
    {
        struct path inner = {.up = path, .name = name};
        const char *from = arena_strdup(reader->arena, name);
        const char *to = reader_filled(reader, &inner, member);
        if (from && to)
            pairs[count++] = (struct config_pair){from, to};
    }
    struct config_pair **place = place_at(target, key->at);
    if (place) {
        *place = pairs;
        *(size_t *)place_at(target, key->count_at) = count;
    }
    return count == json_object_size(value) ? 0 : -1;
}

/* Room for count structs of the section, told to the target before they are read. NULL without a place;
 * failed tells that memory ran out. */
static char *make_room(struct reader *reader, const struct key *key, size_t count, void *target, bool *failed)
{
    char **place = place_at(target, key->at);
    *failed = false;
    if (!place)
        return NULL;
    char *room = arena_array(reader->arena, count, key->section->size);
    *failed = !room;
    if (!room) {
        err_memory(reader->err);
        return NULL;
    }
    memcpy(place, &room, sizeof room); /* a pointer to a struct that we do not know */
    *(size_t *)place_at(target, key->count_at) = count;
    return room;
}

static int read_objects(struct reader *reader, const struct key *key, const struct path *path, json_t *value,
                        void *target)
{
    bool failed;
    int result = 0;
    if (!json_is_array(value))
        return reader_expected(reader, path, "a list of objects", value);
    char *room = make_room(reader, key, json_array_size(value), target, &failed);
    if (failed)
        return -1;
    for (size_t i = 0; i < json_array_size(value); i++) {
        struct path inner = {.up = path, .index = i};
        void *element = room ? room + i * key->section->size : NULL;
        if (reader_section(reader, key->section, &inner, json_array_get(value, i), element))
            result = -1;
    }
    return result;
}

static int read_map(struct reader *reader, const struct key *key, const struct path *path, json_t *value,
                    void *target)
{
    bool failed;
    int result = 0;
    const char *name;
    json_t *member;
    size_t i = 0;
    if (!json_is_object(value))
        return reader_expected(reader, path, "an object", value);
    char *room = make_room(reader, key, json_object_size(value), target, &failed);
    if (failed)
        return -1;
    /* All names first: what is read may look for its neighbours. */
    json_object_foreach(value, name, member)
    {
        const char *copy = arena_strdup(reader->arena, name);
        if (!copy)
            return err_memory(reader->err);
        if (room)
            memcpy(room + i++ * key->section->size, &copy, sizeof copy);
    }
    i = 0;
    json_object_foreach(value, name, member)
    {
        struct path inner = {.up = path, .name = name};
        void *element = room ? room + i++ * key->section->size : NULL;
        if (reader_section(reader, key->section, &inner, member, element))
            result = -1;
    }
    return result;
}

static int note_ignored(struct reader *reader, const struct path *path)
{
    struct buf buf = {0};
    reader_put_path(&buf, path);
    const char *whole = buf_failed(&buf) ? NULL : arena_copy(reader->arena, buf.data, buf.len);
    buf_free(&buf);
    return whole ? reader_append(reader, &reader->config->ignored, whole) : err_memory(reader->err);
}

static int read_simple(struct reader *reader, const struct key *key, const struct path *path, json_t *value,
                       void *place)
{
    double number;
    struct config_value scalar = {0};
    switch (key->type) {
    case KEY_TEXT:
    case KEY_SECRET:
        return read_text(reader, key, path, value, place);
    case KEY_LINES:
        return read_lines(reader, path, value, place);
    case KEY_LIST:
        return read_list(reader, key, path, value, place);
    case KEY_NAMES:
        return read_names(reader, key, path, value, place);
    case KEY_UNSIGNED:
    case KEY_SIZE:
        return read_whole(reader, key, path, value, place);
    case KEY_NUMBER:
        return reader_number(reader, path, value, key->min, key->max > 0 ? key->max : HUGE_VAL,
                             place ? place : &number);
    case KEY_BOOL:
        return read_bool(reader, path, value, place);
    case KEY_CHOICE:
    case KEY_SWITCH:
        return read_choice(reader, key, path, value, place);
    case KEY_VALUE:
        return reader_value(reader, path, value, place ? place : &scalar);
    case KEY_REFUSED:
        return json_is_false(value) ? note_ignored(reader, path)
                                    : reader_mistake(reader, path, "%s", key->help);
    default:
        return note_ignored(reader, path);
    }
}

static int read_key(struct reader *reader, const struct key *key, const struct path *path, json_t *value,
                    void *target)
{
    void *place = place_at(target, key->at);
    switch (key->type) {
    case KEY_VALUES:
        return read_values(reader, key, path, value, target);
    case KEY_PAIRS:
        return read_pairs(reader, key, path, value, target);
    case KEY_OBJECT:
        return reader_section(reader, key->section, path, value, place);
    case KEY_OBJECTS:
        return read_objects(reader, key, path, value, target);
    case KEY_MAP:
        return read_map(reader, key, path, value, target);
    case KEY_OTHER:
        return key->read(reader, path, value, place);
    default:
        return read_simple(reader, key, path, value, place);
    }
}

static int read_default(struct reader *reader, const struct key *key, const struct path *path, void *target)
{
    json_t *value = json_loads(key->def, JSON_DECODE_ANY, NULL);
    if (!value)
        return err_memory(reader->err);
    int result = read_key(reader, key, path, value, target);
    json_decref(value);
    return result;
}

static int unknown_key(struct reader *reader, const struct section *section, const struct path *path)
{
    const struct key *nearest = schema_nearest(section, path->name);
    if (nearest)
        return reader_mistake(reader, path, "unknown key, did you mean '%s'?", nearest->name);
    return reader_mistake(reader, path, "unknown key");
}

static int find_unknown(struct reader *reader, const struct section *section, const struct path *path,
                        json_t *object)
{
    int result = 0;
    const char *name;
    json_t *member;
    json_object_foreach(object, name, member)
    {
        struct path inner = {.up = path, .name = name};
        if (!schema_find(section, name))
            result = unknown_key(reader, section, &inner);
    }
    return result;
}

/* So that checks can tell a word that was not understood from the first one. */
static void untell(void *place)
{
    const int nothing = -1;
    if (place)
        memcpy(place, &nothing, sizeof nothing);
}

int reader_section(struct reader *reader, const struct section *section, const struct path *path,
                   json_t *object, void *target)
{
    if (!json_is_object(object))
        return reader_expected(reader, path, "an object", object);
    int result = find_unknown(reader, section, path, object);
    for (const struct key *key = section->keys; key->name; key++) {
        struct path inner = {.up = path, .name = key->name};
        json_t *value = json_object_get(object, key->name);
        if (key->def && (!value || key->type < KEY_OBJECT) && read_default(reader, key, &inner, target))
            result = -1;
        if (key->type == KEY_CHOICE && key->required)
            untell(place_at(target, key->at));
        if (!value && key->required)
            result = reader_mistake(reader, &inner, "is missing");
        if (value && key->told_at && target)
            *(bool *)place_at(target, key->told_at) = true;
        if (value && read_key(reader, key, &inner, value, target))
            result = -1;
    }
    if (section->check && section->check(reader, path, object, target))
        result = -1;
    return result;
}
