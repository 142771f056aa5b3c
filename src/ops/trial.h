/* Tries what init proposes, as check would: what is wrong is told in the survey of its table. */
#ifndef OPS_TRIAL_H
#define OPS_TRIAL_H

#include "ops/survey.h"
#include "pull/source.h"
#include "push/sink.h"

struct trial {
    struct survey *surveys;
    bool *sinks; /* parallel: which have a sink; a sink that the role may not write is taken out */
    size_t count;
    char *source_lacks, *sink_lacks; /* what was told last, so that it is told once. trial_free frees them */
};

/* -1 only where there is no memory. */
int trial_source(struct trial *trial, struct source *source, struct err *err);
int trial_sink(struct trial *trial, struct sink *sink, struct err *err);
void trial_free(struct trial *trial);

#endif
