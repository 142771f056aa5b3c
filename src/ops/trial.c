#include "ops/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/check.h"
#include "ops/check_sink.h"

static struct survey *survey_of(const struct trial *trial, const char *name)
{
    for (size_t i = 0; i < trial->count; i++)
        if (trial->surveys[i].relation && strcmp(trial->surveys[i].name, name) == 0)
            return &trial->surveys[i];
    return NULL; /* never: its name came from there */
}

/* Of the report on one of them, what is wrong, into *problems: the caller's to free, NULL where all is well. */
static int find_problems(struct source *source, struct sink *sink, char **problems, struct err *err)
{
    char *report = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&report, &size);
    *problems = NULL;
    if (!out)
        return err_memory(err);
    unsigned count = source ? check_source(source, out) : check_sink(sink, out);
    int failed = fclose(out) || !report;
    const char *from = count && !failed ? strstr(report, "  PROBLEM") : NULL;
    if (from)
        *problems = strdup(from);
    failed = failed || (from && !*problems);
    free(report);
    return failed ? err_memory(err) : 0;
}

/* What a role lacks it lacks for many tables. Takes problems. */
static void note(struct survey *survey, const char *what, char *problems, char **before)
{
    bool same = *before && strcmp(*before, problems) == 0;
    buf_printf(&survey->notes, "  %s%s\n%s", what, same ? ", as above" : ":", same ? "" : problems);
    free(*before);
    *before = problems;
}

int trial_source(struct trial *trial, struct source *source, struct err *err)
{
    char *problems;
    if (find_problems(source, NULL, &problems, err))
        return -1;
    if (problems)
        note(survey_of(trial, source_config(source)->name), "WARNING: the source cannot be read yet", problems,
             &trial->source_lacks);
    return 0;
}

/* A role that does not write the table is not meant to. */
int trial_sink(struct trial *trial, struct sink *sink, struct err *err)
{
    struct survey *survey = survey_of(trial, sink_config(sink)->name);
    char *problems;
    if (find_problems(NULL, sink, &problems, err))
        return -1;
    if (!problems)
        return 0;
    bool writes = check_writing(sink);
    trial->sinks[survey - trial->surveys] = writes;
    note(survey, writes ? "WARNING: the sink cannot be used yet" : "no sink", problems, &trial->sink_lacks);
    return 0;
}

void trial_free(struct trial *trial)
{
    free(trial->source_lacks);
    free(trial->sink_lacks);
}
