/* Both texts become arrays of nodes in the order they were written, an array's or object's before its own; then
 * the members of objects are sorted by their names, and the two are compared level by level. */
#include "entity/same_document.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "entity/json_read.h"

enum { DEPTH = 512 };

struct node {
    enum json_kind kind; /* of an array or object, that of its beginning */
    size_t end;          /* the node behind it and all that is in it */
    size_t name, name_len, text, text_len; /* in document->texts; name only of members */
};

struct document {
    struct buf nodes, texts;
    struct arena *arena; /* for sorting */
};

static struct node *node_at(const struct document *document, size_t number)
{
    return (struct node *)(void *)document->nodes.data + number;
}

static size_t node_count(const struct document *document)
{
    return document->nodes.len / sizeof(struct node);
}

static void free_document(struct document *document)
{
    buf_free(&document->nodes);
    buf_free(&document->texts);
    arena_free(document->arena);
}

/* reading */

struct reading {
    struct document *document;
    size_t open[DEPTH + 1]; /* the nodes of the arrays and objects that have begun */
    size_t depth;
    struct node next; /* a member's name, until its value comes */
};

static void add(struct reading *reading, const struct json_event *event)
{
    struct document *document = reading->document;
    struct node *node = &reading->next;
    size_t number = node_count(document);
    if (event->kind == JSON_NAME) {
        node->name = document->texts.len;
        node->name_len = event->len;
        buf_put(&document->texts, event->text, event->len);
        return;
    }
    if (event->kind == JSON_END_ARRAY || event->kind == JSON_END_OBJECT) {
        if (reading->depth)
            node_at(document, reading->open[--reading->depth])->end = number;
        return;
    }
    node->kind = event->kind;
    node->end = number + 1;
    if (event->kind == JSON_STRING_VALUE || event->kind == JSON_NUMBER_VALUE) {
        node->text = document->texts.len;
        node->text_len = event->len;
        buf_put(&document->texts, event->text, event->len);
    }
    if ((event->kind == JSON_BEGIN_ARRAY || event->kind == JSON_BEGIN_OBJECT) && reading->depth < DEPTH)
        reading->open[reading->depth++] = number;
    buf_put(&document->nodes, node, sizeof *node);
    *node = (struct node){0};
}

/* A failed buffer has lost nodes: stop before one of them is looked for. */
static bool read_all(struct json_read *reader, struct document *document, const char *text, size_t len)
{
    struct reading reading = {.document = document};
    struct json_event event;
    int more;
    json_read_feed(reader, text, len);
    while ((more = json_read_next(reader, &event, NULL)) == 1) {
        add(&reading, &event);
        if (buf_failed(&document->nodes) || buf_failed(&document->texts))
            return false;
    }
    while (more == 0 && (more = json_read_end(reader, &event, NULL)) == 1) {
        add(&reading, &event);
        more = 0;
    }
    return more == 0 && !buf_failed(&document->nodes) && !buf_failed(&document->texts) && node_count(document);
}

static bool read_document(struct document *document, const char *text, size_t len)
{
    const struct json_limits limits = {DEPTH, len, len, len};
    struct json_read *reader = json_read_new(&limits);
    document->arena = arena_new();
    bool whole = reader && document->arena && read_all(reader, document, text, len);
    json_read_free(reader);
    return whole;
}

/* comparing */

/* What of a document is being sorted. */
struct member {
    const char *name;
    size_t len, number;
};

static int by_name(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    size_t common = a->len < b->len ? a->len : b->len;
    int order = common ? memcmp(a->name, b->name, common) : 0;
    if (!order)
        order = (a->len > b->len) - (a->len < b->len);
    return order ? order : (a->number > b->number) - (a->number < b->number);
}

static size_t count_children(const struct document *document, size_t parent)
{
    size_t count = 0;
    for (size_t at = parent + 1; at < node_at(document, parent)->end; at = node_at(document, at)->end)
        count++;
    return count;
}

static struct member *sorted_members(const struct document *document, size_t parent, size_t count)
{
    struct member *members = arena_array(document->arena, count + 1, sizeof *members);
    size_t at = parent + 1;
    for (size_t i = 0; members && i < count; i++, at = node_at(document, at)->end) {
        const struct node *node = node_at(document, at);
        /* Where no name and no text has a byte, there are no texts at all. */
        members[i] = (struct member){node->name_len ? document->texts.data + node->name : "", node->name_len, at};
    }
    if (members)
        qsort(members, count, sizeof *members, by_name);
    return members;
}

static bool same_node(const struct document *a, size_t i, const struct document *b, size_t j);

static bool same_object(const struct document *a, size_t i, const struct document *b, size_t j)
{
    size_t count = count_children(a, i);
    if (count != count_children(b, j))
        return false;
    struct member *left = sorted_members(a, i, count), *right = sorted_members(b, j, count);
    if (!left || !right)
        return false;
    for (size_t k = 0; k < count; k++) {
        if (left[k].len != right[k].len ||
            (left[k].len && memcmp(left[k].name, right[k].name, left[k].len) != 0) ||
            !same_node(a, left[k].number, b, right[k].number))
            return false;
    }
    return true;
}

static bool same_array(const struct document *a, size_t i, const struct document *b, size_t j)
{
    size_t i_end = node_at(a, i)->end, j_end = node_at(b, j)->end;
    for (i++, j++; i < i_end && j < j_end; i = node_at(a, i)->end, j = node_at(b, j)->end)
        if (!same_node(a, i, b, j))
            return false;
    return i == i_end && j == j_end;
}

/* As deep as the documents, which the reader bounds. */
static bool same_node(const struct document *a, size_t i, const struct document *b, size_t j)
{
    const struct node *x = node_at(a, i), *y = node_at(b, j);
    if (x->kind != y->kind)
        return false;
    if (x->kind == JSON_BEGIN_OBJECT)
        return same_object(a, i, b, j);
    if (x->kind == JSON_BEGIN_ARRAY)
        return same_array(a, i, b, j);
    return x->text_len == y->text_len &&
           (!x->text_len || memcmp(a->texts.data + x->text, b->texts.data + y->text, x->text_len) == 0);
}

bool same_document(const char *a, size_t a_len, const char *b, size_t b_len)
{
    if (a_len == b_len && (!a_len || memcmp(a, b, a_len) == 0))
        return true;
    struct document left = {0}, right = {0};
    bool same = read_document(&left, a, a_len) && read_document(&right, b, b_len) && same_node(&left, 0, &right, 0);
    free_document(&left);
    free_document(&right);
    return same;
}
