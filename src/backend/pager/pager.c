/*
 * pager.c
 *	  Process pager: reads the pages that others miss.
 *
 * May block on the data file and on nothing else; never writes it and never syncs.
 *
 * src/backend/pager/pager.c
 */
#include "rusd.h"

#include "btree/btree.h"
#include "ipc/process.h"
#include "pagecache/page.h"
#include "pager/pager.h"
#include "utils/log.h"

/* Marks lie where backends can spoil them: a lost one is said again by whoever waits, within its
 * own tick. */
#define PAGER_TICK_MS 1000

does_not_return void
pager_main(void)
{
	Pager *pager;
	Status status = pager_create(my_shm, my_fs, tree_page_is_sane, &pager);

	if (status != RUSD_OK)
		log_stop("cannot open the data file", LOG_TEXT("error", status_text(status)));
	for (;;)
	{
		latch_reset(my_latch);
		if (stop_requested)
			break;
		while (pager_step(pager) == RUSD_OK)
			continue;
		(void) latch_wait(my_latch, PAGER_TICK_MS, WAIT_EVENT_PAGER_MAIN);
	}
	pager_destroy(pager);
	exit(0);
}
