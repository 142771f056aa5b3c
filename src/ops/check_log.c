#include "ops/check_log.h"

#include <inttypes.h>
#include <string.h>

static int check_missed(const struct changelog *changelog, const struct driver *driver, struct conn *conn,
                        struct err *err)
{
    struct change_missed missed = {0};
    if (driver->log_missed(conn, changelog->table, &changelog->log, &missed, err))
        return -1;
    if (!missed.rows && !missed.deletions)
        return 0;
    err_set(err, ERR_DATABASE,
            "the change log of %s has missed %" PRIu64 " rows and %" PRIu64 " deletions, which no reader is told of",
            changelog->table->title, missed.rows, missed.deletions);
    return err_hint(err,
                    "run what 'sesam-sql ddl %s --table %s --config FILE' prints: it gives them a change now; if the "
                    "triggers were off, reset the pipes too, since updates leave no trace",
                    driver->type, changelog->table->title);
}

static int list_risks(const struct changelog *changelog, const struct driver *driver, struct conn *conn, FILE *out,
                      struct err *err)
{
    struct buf risks = {0};
    int failed = driver->log_risks(conn, changelog->table, &changelog->log, &risks, err);
    const char *text = buf_text(&risks);
    for (const char *end; text && !failed && (end = strchr(text, '\n')); text = end + 1)
        fprintf(out, "  advice: %.*s\n", (int)(end - text), text);
    buf_free(&risks);
    return failed;
}

int check_log(const struct changelog *changelog, const struct driver *driver, struct conn *conn, FILE *out,
              struct err *err)
{
    struct change_mark mark;
    if (driver->log_mark(conn, &changelog->log, &mark, err))
        return -1;
    fprintf(out, "  change log: %s, its triggers are there, pruned %" PRIu64 " times\n", changelog->log.name, mark.prunes);
    return list_risks(changelog, driver, conn, out, err) || check_missed(changelog, driver, conn, err) ? -1 : 0;
}
