/*
 * fuzz_http2.c
 *	  Any bytes behind the HTTP/2 preface.
 *
 * test/fuzz/fuzz_http2.c
 */
#include "rusd.h"

#include "fuzz_net.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	NetSession *session = fuzz_session();

	if (fuzz_receive(session, (const uint8_t *) "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24))
		(void) fuzz_receive(session, data, size);
	fuzz_end(session);
	return 0;
}
