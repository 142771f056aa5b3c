/* The password for sesam-sql init: from the environment, a file or the terminal, never from the command line. */
#ifndef OPS_PASSWORD_H
#define OPS_PASSWORD_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"

#define PASSWORD_VARIABLE "SESAM_SQL_PASSWORD"

/* How the configuration refers to it: "${file:PATH}" where file is given, "${SESAM_SQL_PASSWORD}" where that is set or
 * was put in at the terminal (then it is set for this process); NULL where there is none. *asked tells of the terminal.
 * whom is what the question is about: "sesam at db.example.com". */
int password_find(const char **reference, bool *asked, const char *file, const char *whom, struct arena *arena,
                  struct err *err);

/* A path that means the same in every folder. NULL when there is no memory. */
const char *password_path(const char *path, struct arena *arena);

#endif
