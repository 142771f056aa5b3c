/* Who may ask: checks an Authorization header against the configuration. */
#ifndef HTTP_AUTH_H
#define HTTP_AUTH_H

#include <stdbool.h>

#include "config/config.h"

/* header may be NULL. Takes the same time whatever is wrong with a name, password or token. */
bool auth_allows(const struct config_listen *listen, const char *header);

/* The WWW-Authenticate header of a 401. */
const char *auth_challenge(const struct config_listen *listen);

#endif
