/* The status page: one document that shows what /status says. It is the same for all, and holds nothing of this
 * service. */
#ifndef OPS_PAGE_H
#define OPS_PAGE_H

#include "base/arena.h"

/* The document. web/embed makes it of what is in web/ when we are built. */
extern const char web_page[];

/* Its Content-Security-Policy: nothing but its own style and script, which are named by their hashes, and requests to
 * where it came from. NULL when there is no memory. */
const char *page_policy(struct arena *arena);

#endif
