/* A line on a terminal that tells how far a pull is. On anything else it is silent. */
#ifndef OPS_PROGRESS_H
#define OPS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    int fd;              /* -1: nobody looks */
    double began, shown; /* on the monotonic clock */
    uint64_t bytes;
    bool written; /* the line is there and has to go */
};

/* fd -1: there is none. */
void progress_begin(struct progress *progress, int fd);

/* entities is how many came in all, more how many bytes came since the last call. Writes a few times a second. */
void progress_show(struct progress *progress, uint64_t entities, size_t more);

/* Takes the line away. */
void progress_end(struct progress *progress);

#endif
