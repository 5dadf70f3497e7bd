/*
 * selfsigned.h
 *	  Certificates of --auto-tls and --peer-auto-tls.
 *
 * src/backend/tls/selfsigned.h
 */
#ifndef SELFSIGNED_H
#define SELFSIGNED_H

#define SELFSIGNED_PATH_SIZE 4096

typedef struct SelfSigned
{
	char cert_file[SELFSIGNED_PATH_SIZE];
	char key_file[SELFSIGNED_PATH_SIZE];
} SelfSigned;

/*
 * Postmaster, before any fork: cert.pem and key.pem in <data-dir>/fixtures/<kind>; those that are
 * there and have not expired are taken, else they are made, for the hosts of urls and for
 * --self-signed-cert-validity years. False: logged.
 */
extern bool selfsigned_make(const char *kind, const char *urls, SelfSigned *result);

#endif /* SELFSIGNED_H */
