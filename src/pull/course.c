#include "pull/course.h"

int course_begin(struct course *course, const struct shape *shape, struct arena *arena, struct err *err)
{
    if (!course->texts && !(course->texts = arena_new()))
        return err_memory(err);
    *course = (struct course){.shape = shape, .texts = course->texts};
    course->highest = arena_array(arena, shape->relation->key_count + 1, sizeof *course->highest);
    return course->highest ? 0 : err_memory(err);
}

void course_free(struct course *course)
{
    arena_free(course->texts);
}

/* ranges */

/* A token leads back to the horizon, but never to before where the answer began. The rest of a scan leads back to where
 * the scan does. */
static void plan_low(struct course *course)
{
    const struct position *beginning = since_beginning(&course->since);
    const struct outlook *outlook = course->outlook;
    bool behind = outlook->limited && beginning && value_compare(&outlook->low, beginning->updated) <= 0;
    course->low = behind || course->since.kind == SINCE_SCAN ? *beginning : (struct position){.updated = &outlook->low};
}

static void add(struct course *course, struct range range)
{
    course->ranges[course->range_count++] = range;
}

static void add_scan(struct course *course, const struct position *from)
{
    course->scan = from;
    add(course, (struct range){.after = from, .by_key = true, .beyond = course->since.scanned});
}

/* Rows that have an updated value, behind a position or all. A page of a run goes on by key from the edge. */
static void add_values(struct course *course, const struct position *after)
{
    const struct value *edge = course->edge.updated;
    if (!course->run || !course->paged) {
        add(course, (struct range){.after = after});
    } else if (after && value_compare(edge, after->updated) <= 0) {
        add_scan(course, after);
    } else {
        add(course, (struct range){.after = after, .before = edge});
        add_scan(course, &course->edge);
    }
}

/* A pair's rows: first those that became final, then those that were not sent yet. Where the horizon has passed its
 * position these are one range. So they are if there is no horizon any more. */
static void plan_pair(struct course *course)
{
    const struct since *since = &course->since;
    const struct value *horizon = &course->outlook->low;
    course->trails = course->outlook->limited && value_compare(horizon, since->position.updated) <= 0;
    if (!course->trails) {
        add_values(course, &since->low);
        return;
    }
    if (value_compare(since->low.updated, horizon) < 0)
        add(course, (struct range){.after = &since->low, .before = horizon});
    add_values(course, &since->position);
}

/* The parts of the stream, in order: rows without updated value, then the others. */
static void plan_ranges(struct course *course)
{
    const struct since_shape *shape = &course->shape->since;
    switch (course->since.kind) {
    case SINCE_START:
        if (shape->relation->columns[shape->updated].nullable)
            add(course, (struct range){.nulls = true});
        add_values(course, NULL);
        break;
    case SINCE_NULLS:
        add(course, (struct range){.nulls = true, .after = &course->since.position});
        add_values(course, NULL);
        break;
    case SINCE_AFTER:
    case SINCE_FROM:
        add_values(course, &course->since.position);
        break;
    case SINCE_PAIR:
        plan_pair(course);
        break;
    case SINCE_SCAN:
        add_scan(course, &course->since.base);
        break;
    }
}

static void lay_out(struct course *course)
{
    course->range_count = 0;
    course->scan = NULL;
    course->scanning = course->trails = false;
    plan_low(course);
    plan_ranges(course);
}

/* What was sent up to a pair's position is not to come behind a lower one. */
static void take_highest(struct course *course)
{
    const struct since *since = &course->since;
    course->highest->kind = KIND_NULL;
    if (since->kind != SINCE_PAIR && since->kind != SINCE_SCAN)
        return;
    *course->highest = *since->position.updated;
    for (size_t i = 0; i < course->shape->relation->key_count; i++)
        course->highest[1 + i] = since->position.key[i];
}

void course_plan(struct course *course, const struct outlook *outlook, const struct since *since, uint64_t limit)
{
    course->outlook = outlook;
    course->since = *since;
    course->told = (outlook->limited && !outlook->forward) || since->kind == SINCE_SCAN;
    course->run = course->told && !since->over;
    course->paged = limit != UINT64_MAX;
    course->edge = (struct position){.updated = &outlook->edge};
    if (since->kind == SINCE_PAIR)
        course->since.scanned = NULL;
    take_highest(course);
    lay_out(course);
}

bool course_goes_on(struct course *course)
{
    if (course->since.kind != SINCE_SCAN)
        return false;
    course->since.kind = SINCE_PAIR;
    course->since.scanned = NULL;
    course->run = false;
    lay_out(course);
    return true;
}

/* the highest row */

/* Texts may order otherwise than their bytes: then a row is taken that is not the very highest, which only makes some
 * rows come again. */
static bool is_behind(const struct course *course, const struct value *updated, const struct value *const *key)
{
    if (course->highest->kind == KIND_NULL)
        return true;
    int order = value_compare(updated, course->highest);
    for (size_t i = 0; order == 0 && i < course->shape->relation->key_count; i++)
        order = value_compare(key[i], &course->highest[1 + i]);
    return order > 0;
}

static int keep_value(struct course *course, struct value *kept, const struct value *value)
{
    *kept = *value;
    if (value->kind < KIND_FLOAT || value->kind == KIND_DATETIME || value->kind == KIND_DATE)
        return 0;
    kept->text.bytes = arena_copy(course->texts, value->text.bytes, value->text.len);
    return kept->text.bytes ? 0 : -1;
}

int course_note(struct course *course, const struct value *updated, const struct value *const *key, struct err *err)
{
    if (!updated || !is_behind(course, updated, key))
        return 0;
    arena_reset(course->texts);
    int failed = keep_value(course, course->highest, updated);
    for (size_t i = 0; i < course->shape->relation->key_count && !failed; i++)
        failed = keep_value(course, &course->highest[1 + i], key[i]);
    return failed ? err_memory(err) : 0;
}

/* tokens */

static int begin_scan_token(const struct course *course, struct buf *out, const struct value *const *key, struct err *err)
{
    const struct position highest = {.updated = course->highest, .key = course->highest + 1};
    return since_write_scan(out, &course->shape->since, &course->low, &highest, key, err);
}

int course_begin_token(struct course *course, struct buf *out, const struct value *updated, const struct value *const *key,
                       struct err *err)
{
    const struct since_shape *shape = &course->shape->since;
    bool limited = course->outlook->limited && updated;
    course->scanning = course->scan && updated && value_compare(updated, course->scan->updated) >= 0;
    if (course->scanning)
        return course_note(course, updated, key, err) || begin_scan_token(course, out, key, err) ? -1 : 0;
    if (limited && value_compare(updated, &course->outlook->low) >= 0)
        return since_write_pair(out, shape, &course->low, updated, key, err);
    if (since_write(out, shape, updated, key, err))
        return -1;
    return limited && course->trails ? since_write_sent(out, shape, &course->since.position, err) : 0;
}

int course_end_token(const struct course *course, struct buf *out, bool last, struct err *err)
{
    const struct position *base = course->scan, *low = &course->low;
    if (course->told && (last || !course->run))
        since_write_mark(out);
    else if (course->scanning && (base->key != low->key || value_compare(base->updated, low->updated) != 0))
        return since_write_sent(out, &course->shape->since, base, err);
    return 0;
}
