/* sesam-sql init: looks into a database and proposes a configuration for it, or the Sesam system and pipes that use
 * one. It writes nothing into the database. */
#ifndef OPS_INIT_H
#define OPS_INIT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

struct init {
    const char *url;           /* see config/url.h */
    const char *schema;        /* NULL: all that are no system's */
    const char *password_file; /* NULL: none */
    bool sesam;                /* print a JSON array for Sesam instead of the configuration */
};

/* Writes the document to out when it is whole, and meanwhile what people should know of it to notes. */
int init_run(const struct init *init, FILE *out, FILE *notes, struct err *err);

#endif
