/*
 * health.c
 *	  Is this member ill: does its log, its applier or its pager get nothing done though there is work?
 *
 * A member that is ill would be a bad leader: it says so in its answers, does not stand for election, and when it
 * leads it hands over (raft/raft.h).  What counts is progress, not time spent: a long entry that takes page after
 * page, or waits for one page read after the other, is no illness.  The core itself sees how long the log's
 * disk stands still.
 *
 * Looked at once in a turn that has ticks, however many: who comes out of a pause has not seen the others stand still.
 *
 * src/backend/consensus/health.c
 */
#include "rusd.h"

#include "consensus_int.h"
#include "utils/log.h"

static bool stands_still(const Consensus *consensus, Watch *watch, bool has_work,
						 uint64_t progress);
static bool applier_stands_still(Consensus *consensus);
static bool pager_stands_still(Consensus *consensus);
static void tell(const Consensus *consensus, uint32_t before);

void
health_look(Consensus *consensus)
{
	uint32_t before = consensus->ills;
	uint32_t ills = 0;

	if (consensus->options.raft.ill_ticks == 0)
		return;
	if (consensus->raft.stall_ticks >= consensus->options.raft.ill_ticks)
		ills |= ILL_FLUSH;
	if (applier_stands_still(consensus))
		ills |= ILL_APPLY;
	if (pager_stands_still(consensus))
		ills |= ILL_PAGES;
	consensus->ills = ills;
	if (ills == before)
		return;
	consensus->control_dirty = true;
	tell(consensus, before);
}

static bool
stands_still(const Consensus *consensus, Watch *watch, bool has_work, uint64_t progress)
{
	if (!has_work || progress != watch->progress)
		watch->ticks = 0;
	else
		watch->ticks++;
	watch->progress = progress;
	return watch->ticks >= consensus->options.raft.ill_ticks;
}

static bool
applier_stands_still(Consensus *consensus)
{
	const Shm *shm = consensus->shm;
	const ShmPositions *positions = shm->positions;
	uint64_t applied = atomic_load_explicit(&positions->applied_position, memory_order_relaxed);
	uint64_t progress =
		applied + atomic_load_explicit(&positions->pages_taken, memory_order_relaxed);

	/* What the pager does for it is progress of its own. */
	if (atomic_load_explicit(&shm->areas[PROC_APPLIER]->page_wanted, memory_order_relaxed) != 0)
		progress += atomic_load_explicit(&positions->page_service, memory_order_relaxed);
	return stands_still(consensus, &consensus->applier_watch,
						applied < positions_committed(positions), progress);
}

/* Marks may have been spoilt by a backend that did not wake the pager, so it is woken: then only one that stands still
 * leaves them there. */
static bool
pager_stands_still(Consensus *consensus)
{
	const Shm *shm = consensus->shm;
	uint64_t service = atomic_load_explicit(&shm->positions->page_service, memory_order_relaxed);
	bool has_work = marks_exist(shm->page_marks);

	if (has_work)
		latch_set(&consensus->shm->latches[PROC_PAGER]);
	return stands_still(consensus, &consensus->pager_watch, has_work || service % 2 == 1, service);
}

static void
tell(const Consensus *consensus, uint32_t before)
{
	uint32_t ills = consensus->ills;

	if (ills == 0)
		log_info("this member gets on with its work again",
				 LOG_ID("local-member-id", consensus->raft.member_id));
	else if ((ills & ~before) != 0)
		log_warn("this member does not get on with its work: it will not lead while another can",
				 LOG_ID("local-member-id", consensus->raft.member_id),
				 LOG_TEXT("flush", (ills & ILL_FLUSH) != 0 ? "stands still" : "well"),
				 LOG_TEXT("apply", (ills & ILL_APPLY) != 0 ? "stands still" : "well"),
				 LOG_TEXT("page-reads", (ills & ILL_PAGES) != 0 ? "stand still" : "well"));
}
