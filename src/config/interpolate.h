/* Puts environment variables and files into a string of the configuration: ${NAME} and ${file:PATH}, the
 * file without its last line end; $${ is a literal ${. What was put in is not looked at again. */
#ifndef CONFIG_INTERPOLATE_H
#define CONFIG_INTERPOLATE_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the result to out. Fails with ERR_CONFIG and a text that names the variable or file, and never
 * what the string or the file holds. */
int interpolate(const char *text, struct buf *out, struct err *err);

/* Appends a whole file, of at most max bytes. Fails with ERR_CONFIG. */
int interpolate_file(const char *path, size_t max, struct buf *out, struct err *err);

#endif
