/* Would writing the one value where the other stands change anything a source of ours sends? */
#ifndef ENTITY_SAME_H
#define ENTITY_SAME_H

#include <stdbool.h>

#include "db/driver.h"

/* held is what the database holds, ours what accept made for the same column. Compared as bytes, never by a
 * collation; floats by the number (0 is not -0, NaN is NaN); JSON by its tokens, without regard to blanks, ways of
 * escaping and the order of members. */
bool same_value(const struct column *column, const struct value *held, const struct value *ours);

#endif
