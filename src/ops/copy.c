#include "ops/copy.h"

#include <stdlib.h>
#include <unistd.h>

#include "ops/progress.h"
#include "pull/pull.h"

enum { BLOCK = 131072 };

static int write_out(FILE *out, const char *block, size_t len, struct err *err)
{
    return fwrite(block, 1, len, out) == len ? 0 : err_set(err, ERR_INTERNAL, "cannot write to standard output");
}

static int copy_blocks(struct pull *pull, FILE *out, char *block, struct progress *progress, struct err *err)
{
    ssize_t got;
    while ((got = pull_read(pull, block, BLOCK, err)) > 0) {
        progress_show(progress, pull_entities(pull), (size_t)got);
        if (write_out(out, block, (size_t)got, err))
            return -1;
    }
    if (got == 0 && fflush(out))
        return err_set(err, ERR_INTERNAL, "cannot write to standard output");
    return got < 0 ? -1 : 0;
}

static int copy(struct pull *pull, FILE *out, struct err *err)
{
    struct progress progress;
    char *block = malloc(BLOCK);
    if (!block)
        return err_memory(err);
    progress_begin(&progress, isatty(fileno(out)) ? -1 : STDERR_FILENO);
    int failed = copy_blocks(pull, out, block, &progress, err);
    progress_end(&progress);
    free(block);
    return failed;
}

int copy_run(struct source *source, const char *since, const char *limit, FILE *out, struct err *err)
{
    struct pull *pull = NULL;
    struct pull_parameter parameters[2];
    struct pull_request request = {.parameters = parameters};
    if (since)
        parameters[request.count++] = (struct pull_parameter){"since", since};
    if (limit)
        parameters[request.count++] = (struct pull_parameter){"limit", limit};
    int failed = pull_open(&pull, source, &request, err) || copy(pull, out, err);
    pull_close(pull, failed ? err->text : NULL);
    return failed ? -1 : 0;
}
