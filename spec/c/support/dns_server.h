/* A tiny name server on loopback, UDP and TCP, that lives on the loop of the
 * test itself: what it has seen is known without waiting for anybody. Its
 * watchers do not hold the loop. It allocates nothing once it was created. */
#ifndef SUPPORT_DNS_SERVER_H
#define SUPPORT_DNS_SERVER_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

enum dns_type {
    DNS_A = 1,
    DNS_CNAME = 5,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33
};

/* How it answers: from its records (a name that has none does not exist), not
 * at all, with an error, with a mere "truncated" over UDP, or with a packet that ends too early. */
enum dns_mood { DNS_HELPFUL, DNS_SILENT, DNS_SERVFAIL, DNS_REFUSED, DNS_TRUNCATED, DNS_BROKEN };

struct dns_server;

/* Listens on a free port of a numeric host. NULL when that fails. */
struct dns_server *dns_server_new(struct ev_loop *loop, const char *host);
void dns_server_free(struct dns_server *server);

/* "127.0.0.1:40123" */
const char *dns_server_address(const struct dns_server *server);

void dns_server_set_mood(struct dns_server *server, enum dns_mood mood);

/* Questions that came, and how many of them over TCP; the name of the last one. */
unsigned dns_server_asked(const struct dns_server *server);
unsigned dns_server_asked_tcp(const struct dns_server *server);
const char *dns_server_last_name(const struct dns_server *server);

/* Adds a record; `data` is what stands in the packet. Aborts when there is no room. */
void dns_server_add(struct dns_server *server, const char *name, enum dns_type type, uint32_t ttl,
                    const void *data, size_t size);

/* DNS_A, DNS_AAAA: an address; DNS_CNAME, DNS_PTR: a name. */
void dns_server_add_text(struct dns_server *server, const char *name, enum dns_type type, uint32_t ttl,
                         const char *text);
void dns_server_add_mx(struct dns_server *server, const char *name, uint32_t ttl, uint16_t priority,
                       const char *host);
void dns_server_add_srv(struct dns_server *server, const char *name, uint32_t ttl, const uint16_t numbers[3],
                        const char *host);

/* Forgets all records. */
void dns_server_clear(struct dns_server *server);

#endif
