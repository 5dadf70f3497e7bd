/*
 * fuzz_http1.c
 *	  Any bytes as the first of a connection.
 *
 * test/fuzz/fuzz_http1.c
 */
#include "rusd.h"

#include "fuzz_net.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	NetSession *session = fuzz_session();

	(void) fuzz_receive(session, data, size);
	fuzz_end(session);
	return 0;
}
