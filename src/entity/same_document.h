/* Are two JSON texts the same document? For same.c alone. */
#ifndef ENTITY_SAME_DOCUMENT_H
#define ENTITY_SAME_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

/* Blanks, ways of escaping and the order of members make no difference; numbers are compared as they are written.
 * What is no JSON, is too deep, or when there is no memory: only the same bytes are the same. */
bool same_document(const char *a, size_t a_len, const char *b, size_t b_len);

#endif
