/*
 * main.c
 *	  main() of rusd: parameters, log, then the postmaster.
 *
 * src/backend/main/main.c
 */
#include "rusd.h"

#include "ipc/process.h"
#include "postmaster/postmaster.h"
#include "utils/config.h"
#include "utils/log.h"

int
main(int argc, char **argv)
{
	int exit_status;

	/* Titles overwrite argv in place, so its strings are copied before anything keeps a pointer to
	 * one. */
	process_title_init(argc, argv);
	exit_status = config_parse(argc, argv);
	if (exit_status >= 0)
		return exit_status;
	if (log_open(config.log_level, config.log_format, config.log_outputs) != RUSD_OK)
		return 1;
	log_set_process("postmaster");
	config_announce();
	return postmaster_main();
}
