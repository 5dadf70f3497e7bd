/*
 * appliermain.c
 *	  Process applier: the loop around applier_step.
 *
 * src/backend/applier/appliermain.c
 */
#include "rusd.h"

#include <signal.h>
#include <unistd.h>

#include "applier/applier.h"
#include "ipc/process.h"
#include "utils/config.h"
#include "utils/log.h"

#define QUOTA_DEFAULT (INT64_C(2) * 1024 * 1024 * 1024)
/* Marks may be spoilt and checkpoints end without telling us: looked at once in so long. */
#define TICK_MS 50

/* What the postmaster was woken for. */
typedef struct Told
{
	uint64_t to_kill;
	uint64_t members; /* change count of the configuration */
	bool removed;
} Told;

/*
 * A backend is named that the postmaster is to kill, or members have come or gone, this one too: woken by what it sleeps for anyway, which
 * does nothing to any other process.
 */
static void
wake_postmaster(Told *told)
{
	uint64_t name = atomic_load_explicit(&my_shm->requests->backend_to_kill, memory_order_relaxed);
	uint64_t members =
		atomic_load_explicit(&my_shm->configuration->change_count, memory_order_relaxed);

	bool removed =
		atomic_load_explicit(&my_shm->requests->member_removed, memory_order_relaxed) != 0;

	if ((name != 0 && name != told->to_kill) || members != told->members ||
		removed != told->removed)
		(void) kill(getppid(), SIGCHLD);
	*told = (Told){name, members, removed};
}

does_not_return void
applier_main(void)
{
	PageAccess access = {.shm = my_shm, .area = my_area, .slot = my_slot, .wait = page_wait_latch};
	int64_t quota = config.quota_backend_bytes == 0 ? QUOTA_DEFAULT : config.quota_backend_bytes;
	Applier *applier;
	Told told = {.removed = false};
	Status status = applier_create(my_shm, my_fs, &clock_os, access, quota, &applier);

	if (status != RUSD_OK)
		log_stop("the store cannot be opened", LOG_TEXT("error", status_text(status)));
	for (;;)
	{
		latch_reset(my_latch);
		if (reload_requested)
		{
			reload_requested = 0;
			(void) config_reload(); /* what is wrong with it has been logged */
		}
		applier_warn_after(applier, (uint64_t) Max(config.warning_apply_duration, 0));
		do
		{
			status = applier_step(applier);
			wake_postmaster(&told);
		} while (status == RUSD_OK);
		if (status != RUSD_AGAIN)
			log_stop("the applier cannot go on", LOG_TEXT("error", status_text(status)));
		if (stop_requested)
			break;
		(void) latch_wait(my_latch, TICK_MS, WAIT_EVENT_APPLIER_MAIN);
	}
	applier_destroy(applier);
	exit(0);
}
