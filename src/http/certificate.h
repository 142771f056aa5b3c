/* The certificate that the service shows to its clients, and the key that goes with it. It can be read again
 * while connections are served: those that begin later get the new one, the others keep what they have. There
 * is one for the process: libmicrohttpd gives the function that is asked for it nothing of ours to tell two
 * apart. */
#ifndef HTTP_CERTIFICATE_H
#define HTTP_CERTIFICATE_H

#include "base/err.h"
#include "config/config.h"

/* Reads both files and puts them in use. Fails, with a text that names key and file, when one cannot be read,
 * is no PEM, or when the key is another certificate's; then what was in use stays in use. A certificate that
 * is not valid now is only worth a warning: a clock may be wrong, and clients judge for themselves. Any
 * thread may call it. */
int certificate_read(const struct config_listen *config, struct err *err);

/* Forgets what is in use. After the last connection. */
void certificate_forget(void);

/* A gnutls_certificate_retrieve_function3, for MHD_OPTION_HTTPS_CERT_CALLBACK2. */
void *certificate_callback(void);

#endif
