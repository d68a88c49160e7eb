#include "net/tls_staple.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct mw_tls_staple {
    struct mw_tls_staple *next;
    const X509 *certificate; /* of the context that has the list */
    time_t until;            /* not sent from then on */
    bool ends;
    size_t size;
    unsigned char bytes[];
};

static bool is_of(const OCSP_SINGLERESP *answer, X509 *certificate) {
    ASN1_INTEGER *serial = NULL;
    OCSP_CERTID *id = (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(answer); /* is only looked at */
    return OCSP_id_get0_info(NULL, NULL, NULL, &serial, id) &&
           ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) == 0;
}

/* What a response says of a certificate; NULL: nothing. */
static OCSP_SINGLERESP *find(OCSP_BASICRESP *basic, X509 *certificate) {
    for (int i = 0; basic && i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *answer = OCSP_resp_get0(basic, i);
        if (is_of(answer, certificate)) {
            return answer;
        }
    }
    return NULL;
}

/* All of the bytes as a response, or NULL. */
static OCSP_RESPONSE *parse(const struct mw_tls_pair *pair) {
    const unsigned char *bytes = (const unsigned char *)pair->staple, *end = bytes + pair->staple_size;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &bytes, (long)pair->staple_size);
    if (response && bytes != end) {
        OCSP_RESPONSE_free(response);
        response = NULL;
    }
    return response;
}

static const char *judge(OCSP_RESPONSE *response, X509 *certificate) {
    if (!response) {
        return "none (DER is wanted)";
    }
    if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        return "one of an error";
    }
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    bool found = find(basic, certificate) != NULL;
    OCSP_BASICRESP_free(basic);
    return found ? NULL : "one of another certificate";
}

bool mw_tls_staple_check(const struct mw_tls_pair *pair, X509 *certificate, struct mw_fault *fault) {
    if (!pair->staple) {
        return true;
    }
    OCSP_RESPONSE *response = parse(pair);
    const char *why = judge(response, certificate);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    if (why) {
        mw_fault_format(fault, "invalid", "the OCSP response for %.200s is %s",
                        pair->certificate_name ? pair->certificate_name : "the certificate", why);
    }
    return !why;
}

/* Until when a response holds; false: it does not say. */
static bool find_end(const struct mw_tls_pair *pair, X509 *certificate, time_t *until) {
    OCSP_RESPONSE *response = parse(pair);
    OCSP_BASICRESP *basic = response ? OCSP_response_get1_basic(response) : NULL;
    OCSP_SINGLERESP *answer = find(basic, certificate);
    ASN1_GENERALIZEDTIME *next = NULL;
    struct tm parts;
    if (answer) {
        OCSP_single_get0_status(answer, NULL, NULL, NULL, &next);
    }
    bool found = next && ASN1_TIME_to_tm(next, &parts);
    *until = found ? timegm(&parts) : 0;
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return found;
}

bool mw_tls_staple_keep(struct mw_tls_staple **list, X509 *certificate, const struct mw_tls_pair *pair) {
    if (!pair->staple) {
        return true;
    }
    struct mw_tls_staple *staple = malloc(sizeof *staple + pair->staple_size);
    if (!staple) {
        return false;
    }
    staple->next = *list;
    staple->certificate = certificate;
    staple->ends = find_end(pair, certificate, &staple->until);
    staple->size = pair->staple_size;
    memcpy(staple->bytes, pair->staple, pair->staple_size);
    *list = staple;
    return true;
}

int mw_tls_staple_send(const struct mw_tls_staple *list, SSL *ssl) {
    const X509 *certificate = SSL_get_certificate(ssl);
    while (list && list->certificate != certificate) {
        list = list->next;
    }
    unsigned char *copy = NULL;
    if (list && !(list->ends && time(NULL) >= list->until)) {
        copy = OPENSSL_memdup(list->bytes, list->size);
    }
    if (!copy) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)list->size);
    return SSL_TLSEXT_ERR_OK;
}

void mw_tls_staples_free(struct mw_tls_staple **list) {
    while (*list) {
        struct mw_tls_staple *staple = *list;
        *list = staple->next;
        free(staple);
    }
}
