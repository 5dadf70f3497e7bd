/*
 * checkpointer.c
 *	  Process checkpointer: writes what is new in the cache to the data file, at times.
 *
 * May block on the data file and on nothing else.
 *
 * src/backend/checkpointer/checkpointer.c
 */
#include "rusd.h"

#include "checkpointer/checkpointer.h"
#include "ipc/process.h"
#include "pagecache/checkpoint.h"
#include "utils/config.h"
#include "utils/log.h"

/* How late a checkpoint may begin that nobody asked for. */
#define CHECKPOINTER_TICK_MS 100
/* As much log as a recovery should have to replay. */
#define CHECKPOINT_LOG_BYTES (64 * UINT64_C(1024) * 1024)
/* Pages that the data file has blocks for beyond those in use: 4 MiB. */
#define RESERVE_PAGES 512

static void
work(Checkpointer *checkpointer)
{
	/* The durable root at which a lack of room was told, + 1: told once for each checkpoint. */
	static uint64_t told;
	Status status;

	do
		status = checkpointer_step(checkpointer);
	while (status == RUSD_OK);
	if (status == RUSD_NO_ROOM)
	{
		uint64_t durable = atomic_load(&my_shm->positions->durable_root);

		if (told != durable + 1)
			log_warn("no room on the disk for a checkpoint: the last one stays",
					 LOG_UNSIGNED("root", durable));
		told = durable + 1;
	}
	else if (status != RUSD_AGAIN)
		log_stop("checkpoint failed", LOG_TEXT("error", status_text(status)));
}

does_not_return void
checkpointer_main(void)
{
	Checkpointer *checkpointer;
	Status status =
		checkpointer_create(my_shm, my_fs, &clock_os, (uint64_t) config.checkpoint_interval,
							CHECKPOINT_LOG_BYTES, &checkpointer);

	if (status != RUSD_OK)
		log_stop("checkpoints cannot be taken", LOG_TEXT("error", status_text(status)));
	checkpointer_reserve(checkpointer, RESERVE_PAGES);
	for (;;)
	{
		latch_reset(my_latch);
		if (stop_requested)
			break;
		work(checkpointer);
		(void) latch_wait(my_latch, CHECKPOINTER_TICK_MS, WAIT_EVENT_CHECKPOINTER_MAIN);
	}
	checkpointer_destroy(checkpointer);
	exit(0);
}
