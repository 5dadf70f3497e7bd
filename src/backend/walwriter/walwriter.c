/*
 * walwriter.c
 *	  Process walwriter: the loop around wal_writer_step.
 *
 * May block on the log's disk and on nothing else.  A clean stop leaves nothing behind: by then
 * raft has appended its last batch, the idle mark, and has left, so the last turn writes it.
 *
 * src/backend/walwriter/walwriter.c
 */
#include "rusd.h"

#include <unistd.h>

#include "ipc/process.h"
#include "utils/config.h"
#include "utils/log.h"
#include "wal/recovery.h"
#include "wal/wal.h"
#include "walwriter/walwriter.h"

static void tell_room(bool *told);
static void take_turns(WalWriter *writer);

does_not_return void
walwriter_main(void)
{
	WalWriter *writer = NULL;
	bool told_no_room = false;
	Status status = wal_writer_create(my_shm, my_fs, &clock_os, config.wal_keep_all,
									  (uint64_t) config.wal_keep_size, &writer);

	if (status != RUSD_OK)
		log_stop("the log cannot be taken up", LOG_TEXT("error", status_text(status)));
	for (;;)
	{
		bool stop;

		latch_reset(my_latch);
		stop = stop_requested;
		take_turns(writer);
		tell_room(&told_no_room);
		if (stop)
			_exit(0);
		(void) latch_wait(my_latch, wal_writer_sleep_ms(writer), WAIT_EVENT_WALWRITER_MAIN);
	}
}

/* All there is to do now. */
static void
take_turns(WalWriter *writer)
{
	Status status;

	while ((status = wal_writer_step(writer)) == RUSD_OK && !stop_requested)
		;
	/* A stop ends the preparing of segments; but what was appended is written. */
	if (status == RUSD_OK)
		status = wal_writer_step(writer);
	if (status != RUSD_OK && status != RUSD_AGAIN)
	{
		int error = 0;
		const char *what = wal_writer_failure(writer, &error);

		log_stop("the log could not be written; the node stops, for what the disk holds is not "
				 "known any more",
				 LOG_TEXT("operation", what), LOG_ERRNO(error),
				 LOG_UNSIGNED("position", atomic_load(&my_shm->positions->written)));
	}
}

static void
tell_room(bool *told)
{
	bool no_room = atomic_load_explicit(&my_shm->segments->no_room, memory_order_relaxed) != 0;

	if (no_room && !*told)
		log_warn(
			"the disk has no room for the next log segment; proposals that need space are refused");
	if (!no_room && *told)
		log_info("the disk has room for log segments again");
	*told = no_room;
}
