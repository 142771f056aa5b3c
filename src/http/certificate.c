#include "http/certificate.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

/* A chain, the service's own certificate first, and its key. */
struct pair {
    gnutls_x509_crt_t *chain;
    unsigned length;
    gnutls_x509_privkey_t key;
};

static struct {
    pthread_mutex_t mutex;
    struct pair pair; /* key NULL: none */
} used = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void pair_free(struct pair *pair)
{
    for (unsigned i = 0; i < pair->length; i++)
        gnutls_x509_crt_deinit(pair->chain[i]);
    gnutls_free(pair->chain);
    gnutls_x509_privkey_deinit(pair->key);
    *pair = (struct pair){.chain = NULL};
}

/* reading */

/* The library's own reader does not say why a file cannot be read. text is NULL after an error. */
static int read_file(gnutls_datum_t *text, const char *key, const char *path, struct err *err)
{
    enum { LARGEST = 1 << 20 };
    FILE *file = fopen(path, "rbe");
    if (!file)
        return err_set(err, ERR_CONFIG, "listen.tls.%s: cannot read '%s': %s", key, path, strerror(errno));
    int failed = -1;
    text->data = malloc(LARGEST);
    size_t len = text->data ? fread(text->data, 1, LARGEST, file) : 0;
    text->size = (unsigned)len;
    if (!text->data)
        err_memory(err);
    else if (ferror(file))
        err_set(err, ERR_CONFIG, "listen.tls.%s: cannot read '%s': %s", key, path, strerror(errno));
    else if (len == LARGEST)
        err_set(err, ERR_CONFIG, "listen.tls.%s: '%s' is too large to be a PEM file", key, path);
    else
        failed = 0;
    fclose(file);
    return failed;
}

static int read_chain(struct pair *pair, const char *path, struct err *err)
{
    gnutls_datum_t text = {.data = NULL};
    int failed = read_file(&text, "certificate", path, err);
    if (!failed) {
        int code = gnutls_x509_crt_list_import2(&pair->chain, &pair->length, &text, GNUTLS_X509_FMT_PEM,
                                                GNUTLS_X509_CRT_LIST_SORT);
        if (code < 0) {
            *pair = (struct pair){.chain = NULL};
            err_set(err, ERR_CONFIG, "listen.tls.certificate: '%s' holds no certificate in PEM: %s", path,
                    gnutls_strerror(code));
            failed = err_hint(
                err, "the file begins with the service's own certificate, then come those between it and "
                     "the authority");
        }
    }
    free(text.data);
    return failed;
}

static int read_key(struct pair *pair, const char *path, struct err *err)
{
    gnutls_datum_t text = {.data = NULL};
    int failed = read_file(&text, "key", path, err) || gnutls_x509_privkey_init(&pair->key) ? -1 : 0;
    if (!failed) {
        int code = gnutls_x509_privkey_import2(pair->key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
        if (code == GNUTLS_E_DECRYPTION_FAILED) {
            err_set(err, ERR_CONFIG, "listen.tls.key: '%s' is encrypted", path);
            failed = err_hint(
                err, "there is nobody to ask for its password: store it without one, readable only by the "
                     "service");
        } else if (code < 0) {
            failed = err_set(err, ERR_CONFIG, "listen.tls.key: '%s' holds no private key in PEM: %s", path,
                             gnutls_strerror(code));
        }
    }
    if (text.data)
        explicit_bzero(text.data, text.size);
    free(text.data);
    return failed ? err_memory(err) : 0; /* unless it was said already */
}

static int check_fit(const struct pair *pair, const struct config_listen *config, struct err *err)
{
    unsigned char ids[2][64];
    size_t sizes[2] = {sizeof ids[0], sizeof ids[1]};
    bool told = gnutls_x509_crt_get_key_id(pair->chain[0], GNUTLS_KEYID_USE_SHA256, ids[0], &sizes[0]) == 0 &&
                gnutls_x509_privkey_get_key_id(pair->key, GNUTLS_KEYID_USE_SHA256, ids[1], &sizes[1]) == 0;
    if (told && sizes[0] == sizes[1] && memcmp(ids[0], ids[1], sizes[0]) == 0)
        return 0;
    err_set(err, ERR_CONFIG, "listen.tls.key: '%s' is not the key of the certificate in '%s'",
            config->tls_key, config->tls_certificate);
    return err_hint(
        err, "both files have to be of the same renewal, and the service's own certificate comes first");
}

static void log_validity(const struct pair *pair, const char *path)
{
    time_t now = time(NULL);
    time_t from = gnutls_x509_crt_get_activation_time(pair->chain[0]);
    time_t until = gnutls_x509_crt_get_expiration_time(pair->chain[0]);
    char date[32] = "?";
    struct tm parts;
    time_t *told = now < from ? &from : &until;
    if (gmtime_r(told, &parts))
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (now < from)
        log_warning("tls", "the certificate in '%s' is not valid before %s", path, date);
    else if (now > until)
        log_warning("tls", "the certificate in '%s' expired at %s", path, date);
    else
        log_info("tls", "the certificate in '%s' is valid until %s", path, date);
}

int certificate_read(const struct config_listen *config, struct err *err)
{
    struct pair pair = {.chain = NULL};
    if (read_chain(&pair, config->tls_certificate, err) || read_key(&pair, config->tls_key, err) ||
        check_fit(&pair, config, err)) {
        pair_free(&pair);
        return -1;
    }
    log_validity(&pair, config->tls_certificate);
    pthread_mutex_lock(&used.mutex);
    struct pair old = used.pair;
    used.pair = pair;
    pthread_mutex_unlock(&used.mutex);
    pair_free(&old);
    return 0;
}

void certificate_forget(void)
{
    pthread_mutex_lock(&used.mutex);
    pair_free(&used.pair);
    pthread_mutex_unlock(&used.mutex);
}

/* showing */

/* A copy of the chain for one session. */
static int copy_chain(gnutls_pcert_st **out, unsigned *length)
{
    gnutls_pcert_st *copy = gnutls_calloc(used.pair.length, sizeof *copy);
    unsigned done = 0;
    while (copy && done < used.pair.length &&
           gnutls_pcert_import_x509(&copy[done], used.pair.chain[done], 0) == 0)
        done++;
    if (copy && done == used.pair.length) {
        *out = copy;
        *length = done;
        return 0;
    }
    while (done)
        gnutls_pcert_deinit(&copy[--done]);
    gnutls_free(copy);
    return -1;
}

static int copy_key(gnutls_privkey_t *out)
{
    gnutls_privkey_t copy;
    if (gnutls_privkey_init(&copy))
        return -1;
    if (gnutls_privkey_import_x509(copy, used.pair.key, GNUTLS_PRIVKEY_IMPORT_COPY) == 0) {
        *out = copy;
        return 0;
    }
    gnutls_privkey_deinit(copy);
    return -1;
}

/* Each session gets copies that the library frees: what is in use may be another while it still needs them.
 */
static int retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **chain,
                    unsigned *length, gnutls_ocsp_data_st **ocsp, unsigned *ocsp_length,
                    gnutls_privkey_t *key, unsigned *flags)
{
    (void)session;
    (void)info;
    *ocsp = NULL;
    *ocsp_length = 0;
    *flags = GNUTLS_CERT_RETR_DEINIT_ALL;
    pthread_mutex_lock(&used.mutex);
    int failed = copy_key(key);
    if (!failed && copy_chain(chain, length)) {
        gnutls_privkey_deinit(*key);
        *key = NULL;
        failed = -1;
    }
    pthread_mutex_unlock(&used.mutex);
    return failed;
}

void *certificate_callback(void)
{
    gnutls_certificate_retrieve_function3 *callback = retrieve;
    return (void *)callback;
}
