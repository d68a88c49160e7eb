/* Certificates as tables. */
#ifndef MW_SCRIPT_L_CERTIFICATE_H
#define MW_SCRIPT_L_CERTIFICATE_H

#include <lua.h>

/* Pushes { subject, issuer, common_name, names, serial, not_before, not_after, fingerprint, pem } of an X509. Raises when
 * memory is out. */
void mw_l_certificate_push(lua_State *L, void *x509);

#endif
