/*
 * fuzz_config_file.c
 *	  Any bytes as the file of --config-file: taken, or refused with a reason.
 *
 * test/fuzz/fuzz_config_file.c
 */
#include "rusd.h"

#include "../../src/backend/utils/config_int.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[CONFIG_ERROR_SIZE];

	params_set_defaults(&config);
	if (config_file_parse((const char *) data, size, error))
		(void) config_check(&config, error);
	else
		Check(error[0] != '\0');
	return 0;
}
