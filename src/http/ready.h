/* Does a system answer? Asked on a connection of its own, so that streams and pools are not waited for, and
 * at most once a second, however many ask. */
#ifndef HTTP_READY_H
#define HTTP_READY_H

#include "db/db.h"

/* err says why not. Blocks for two seconds at most. */
bool ready_ask(struct db *db, struct err *err);

#endif
