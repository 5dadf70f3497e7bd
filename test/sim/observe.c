/*
 * observe.c
 *	  What a member shows after a step, told and handed to the checkers.
 *
 * test/sim/observe.c
 */
#include "rusd.h"

#include "sim.h"

static void
look_at_control(Member *member)
{
	const ControlState before = member->control_before;
	const ControlState *now = &member->control;
	World *world = member->world;

	if (now->term < before.term)
		sim_violation(world, member, "terms never go back", "term %" PRIu64 " after %" PRIu64,
					  now->term, before.term);
	if (now->ready && !before.ready)
		sim_tell(world, member, SIM_READY, 0, 0);
	if (now->ready && !before.ready)
		clients_connect(member);
	if (now->role == before.role && now->term == before.term && now->leader_id == before.leader_id)
		return;
	logcheck_role(world, member, now);
	if (now->role == ROLE_LEADER)
		sim_tell(world, member, SIM_LEADER, now->term, 0);
	else if (now->role != ROLE_FOLLOWER)
		sim_tell(world, member, SIM_CANDIDATE, now->term, now->role);
	else if (now->leader_id != 0)
		sim_tell(world, member, SIM_FOLLOWS, now->leader_id, now->term);
	else
		sim_tell(world, member, SIM_NO_LEADER, now->term, 0);
}

static void
look_at_install(Member *member)
{
	uint64_t generation = atomic_load(&member->shm->positions->data_generation);
	InstallOrder order;

	/* Of two in succession both may begin at the same position. */
	if (generation == member->seen_generation)
		return;
	member->seen_generation = generation;
	shm_install_read(member->shm, &order);
	member->installed_at = member->world->now;
	logcheck_installed(
		member->world, member,
		&(LogBegin){.position = order.log_begin, .index = order.index, .term = order.term},
		member->seen_applied);
}

static void
look_at_applied(Member *member)
{
	World *world = member->world;
	uint64_t applied = atomic_load(&member->shm->positions->applied_index);
	const Committed *entry;
	RootState root;

	if (applied == member->seen_applied)
		return;
	member->seen_applied = applied;
	shm_root_read(member->shm, &root);
	sim_tell(world, member, SIM_APPLIED, applied, (uint64_t) root.revision);
	if (applied > member->log.committed_index)
	{
		sim_violation(world, member, "applied <= committed",
					  "entry %" PRIu64 " is applied, %" PRIu64 " is committed", applied,
					  member->log.committed_index);
		return;
	}
	entry = &world->check.entries[applied - 1];
	if (root.revision != entry->revision || root.compacted != entry->compacted ||
		root.applied_term != entry->term)
		sim_violation(world, member, "state machine safety",
					  "after entry %" PRIu64 " the revision is %" PRId64 " (compacted %" PRId64
					  "), and should be %" PRId64 " (%" PRId64 ")",
					  applied, root.revision, root.compacted, entry->revision, entry->compacted);
}

static void
look_at_disk(Member *member)
{
	World *world = member->world;
	const ShmWalSegments *segments = member->shm->segments;
	uint64_t durable = atomic_load(&member->shm->positions->durable_root);
	uint64_t index = atomic_load(&member->shm->positions->durable_index);
	uint64_t ready = atomic_load(&segments->ready_end);
	uint64_t count = atomic_load(&segments->count);

	if (durable != member->seen_durable)
	{
		sim_tell(world, member, SIM_CHECKPOINT, durable, index);
		logcheck_checkpoint(world, member, index);
	}
	if (ready != member->seen_ready_end)
		sim_tell(world, member, SIM_SEGMENT, ready - 1, 0);
	if (count < member->seen_segments)
		sim_tell(world, member, SIM_SEGMENT_REMOVED, count, 0);
	member->seen_durable = durable;
	member->seen_ready_end = ready;
	member->seen_segments = count;
}

void
observe(Member *member, uint32_t actor)
{
	World *world = member->world;

	if (actor == PROC_RAFT)
	{
		member->control_before = member->control;
		shm_control_read(member->shm, &member->control);
	}
	if (actor == PROC_RAFT || actor == PROC_WALWRITER)
		logcheck_look(world, member);
	if (actor == PROC_RAFT)
	{
		look_at_control(member);
		logcheck_leader(world, member);
		logcheck_configuration(world, member);
		logcheck_changes(world, member,
						 Max(member->control.commit_index, member->log.committed_index));
	}
	if (actor == PROC_APPLIER)
	{
		look_at_install(member);
		look_at_applied(member);
	}
	if (actor == PROC_WALWRITER || actor == PROC_CHECKPOINTER)
		look_at_disk(member);
}
