/*
 * transfer.c
 *	  State snapshots between members: what the processes "transfer" at both ends will do.
 *
 * The receiver fetches what raft wants, chunk by chunk; each chunk is made at the sender, lost, damaged
 * or doubled on its way, and taken at the receiver, in one event.  A transfer that is broken off goes on
 * by another stream, of the newest root, which spares what is there if the sender still lives.
 *
 * test/sim/transfer.c
 */
#include "rusd.h"

#include "sim.h"
#include "snapshot/snapshot.h"

#define CHUNK_PAGES 4
#define CHUNK_ROOM (sizeof(SnapshotChunk) + CHUNK_PAGES * PAGE_BYTES)
#define AGAIN_NS (200 * SIM_MS)
/* Attempts in a row that come to nothing before the sender is told that it has failed. */
#define ATTEMPTS 12

static void
step_later(Member *member, uint64_t delay)
{
	world_add_event(member->world, member->world->now + delay, EVENT_TRANSFER, member->number, 0);
}

static Member *
sender_of(const Member *member)
{
	return &member->world->members[member->transfer.from - SIM_FIRST_ID];
}

/* ---- both ends ---- */

static void
drop_send(Member *member)
{
	SimTransfer *transfer = &member->transfer;
	Member *sender = sender_of(member);

	if (transfer->send == NULL)
		return;
	snapshot_send_destroy(transfer->send);
	transfer->send = NULL;
	slot_mark_dead(sender->shm, transfer->slot);
	world_look_at_latches(sender);
}

static void
drop_receive(Member *member)
{
	if (member->transfer.receive != NULL)
		snapshot_receive_destroy(member->transfer.receive);
	member->transfer.receive = NULL;
}

/* Over, for good or not; the sender's raft is told. */
static void
end_transfer(Member *member, bool failed)
{
	SimTransfer *transfer = &member->transfer;
	Member *sender = sender_of(member);

	drop_send(member);
	drop_receive(member);
	transfer->wanted = false;
	if (sender->state != MEMBER_UP)
		return;
	sender->sent[member->number] = failed ? SENT_FAILED : SENT_WELL;
	latch_set(&sender->shm->latches[PROC_RAFT]);
	world_look_at_latches(sender);
}

static void
try_again(Member *member)
{
	if (++member->transfer.attempts < ATTEMPTS)
	{
		step_later(member, AGAIN_NS);
		return;
	}
	sim_tell(member->world, member, SIM_SNAPSHOT_GIVEN_UP, member->transfer.from, 0);
	end_transfer(member, true);
}

void
transfer_want(Member *member, uint64_t from, uint64_t index)
{
	SimTransfer *transfer = &member->transfer;

	if (from < SIM_FIRST_ID || from >= SIM_FIRST_ID + SIM_MEMBERS)
		return;
	if (transfer->wanted && transfer->from == from)
	{
		transfer->index = index;
		return;
	}
	if (transfer->wanted)
		end_transfer(member, true);
	sim_tell(member->world, member, SIM_SNAPSHOT_WANTED, from, index);
	transfer->wanted = true;
	transfer->from = from;
	transfer->index = index;
	transfer->attempts = 0;
	/* One in four takes so long that much happens meanwhile. */
	transfer->pace_ns = sim_percent(&member->world->wire, 25) && !member->world->healed
							? 800 * SIM_MS
							: 10 * SIM_MS;
	step_later(member, SIM_MS);
}

bool
transfer_fetched(Member *member, uint64_t *index, uint64_t *term, RaftConfiguration *configuration)
{
	SimTransfer *transfer = &member->transfer;

	if (!transfer->fetched)
		return false;
	transfer->fetched = false;
	*index = transfer->fetched_index;
	*term = transfer->fetched_term;
	*configuration = transfer->configuration;
	return true;
}

bool
transfer_sent(Member *member, uint64_t *to, bool *failed)
{
	for (uint32_t i = 0; i < SIM_MEMBERS; i++)
	{
		if (member->sent[i] == SENT_NOTHING)
			continue;
		*to = SIM_FIRST_ID + i;
		*failed = member->sent[i] == SENT_FAILED;
		member->sent[i] = SENT_NOTHING;
		return true;
	}
	return false;
}

/* The member ends: nothing is sent to it or from it any more. */
void
transfer_drop(Member *member)
{
	for (uint32_t i = 0; i < SIM_MEMBERS; i++)
	{
		Member *receiver = &member->world->members[i];

		if (!receiver->transfer.wanted || (receiver != member && sender_of(receiver) != member))
			continue;
		if (receiver == member)
			end_transfer(member, true);
		drop_send(receiver);
	}
	member->transfer = (SimTransfer){.wanted = false};
	memset(member->sent, SENT_NOTHING, sizeof(member->sent));
}

/* ---- steps ---- */

static bool
can_reach(const Member *member)
{
	const World *world = member->world;
	const Member *sender = sender_of(member);

	return sender->state == MEMBER_UP &&
		   world->links[member->number][sender->number].blocked == 0 &&
		   world->links[sender->number][member->number].blocked == 0;
}

/* RUSD_OK: both ends are there. */
static Status
begin(Member *member)
{
	SimTransfer *transfer = &member->transfer;
	Member *sender = sender_of(member);
	SnapshotBase base;
	Status status = RUSD_OK;

	if (transfer->send != NULL)
		return RUSD_OK;
	if (transfer->receive == NULL)
		status = snapshot_receive_create(member->shm, &member->disk->ops, &transfer->receive);
	if (status != RUSD_OK)
		return status;
	snapshot_receive_begin(transfer->receive, &base);
	if (!slot_allocate(sender->shm, &transfer->slot))
		return RUSD_AGAIN;
	transfer->access = member_access(sender, transfer->slot);
	status = snapshot_send_create(&transfer->access, &base, &transfer->send);
	if (status != RUSD_OK)
		slot_mark_dead(sender->shm, transfer->slot);
	else
		sim_tell(member->world, member, SIM_SNAPSHOT_BEGUN, sender->id, 0);
	return status;
}

/* What comes out of order or damaged is refused, and nothing of it is taken. */
static Status
deliver(Member *member, uint8_t *chunk, size_t length)
{
	World *world = member->world;
	SnapshotReceive *receive = member->transfer.receive;
	uint64_t drawn = sim_below(&world->wire, 100);
	Status status;

	if (drawn < 2)
	{
		sim_tell(world, member, SIM_CHUNK_LOST, length, 0);
		return RUSD_OK;
	}
	if (drawn < 4)
	{
		chunk[sim_below(&world->wire, length)] ^= (uint8_t) (1 + sim_below(&world->wire, 255));
		sim_tell(world, member, SIM_CHUNK_DAMAGED, length, 0);
		status = snapshot_receive_chunk(receive, chunk, length);
		if (status == RUSD_OK)
			sim_violation(world, member, "a damaged chunk is refused", "%zu bytes", length);
		return status;
	}
	status = snapshot_receive_chunk(receive, chunk, length);
	if (status == RUSD_OK && drawn < 7)
	{
		sim_tell(world, member, SIM_CHUNK_TWICE, length, 0);
		status = snapshot_receive_chunk(receive, chunk, length);
	}
	return status;
}

static void
finish(Member *member)
{
	SimTransfer *transfer = &member->transfer;
	const SnapshotHeader *header;
	Status status = snapshot_receive_finish(transfer->receive, &header);

	if (status == RUSD_AGAIN) /* the last chunk was lost */
	{
		drop_send(member);
		step_later(member, SIM_MS);
		return;
	}
	if (status != RUSD_OK)
	{
		drop_send(member);
		drop_receive(member);
		try_again(member);
		return;
	}
	transfer->fetched = true;
	transfer->fetched_index = header->root.applied_index;
	transfer->fetched_term = header->root.applied_term;
	transfer->configuration = header->configuration;
	sim_tell(member->world, member, SIM_SNAPSHOT_FETCHED, transfer->from, transfer->fetched_index);
	end_transfer(member, false);
	latch_set(&member->shm->latches[PROC_RAFT]);
	world_look_at_latches(member);
}

static void
move_chunk(Member *member)
{
	static uint8_t chunk[CHUNK_ROOM];
	SimTransfer *transfer = &member->transfer;
	uint64_t pace = SIM_MS + sim_below(&member->world->wire, transfer->pace_ns);
	size_t length = 0;
	Status status = snapshot_send_next(transfer->send, chunk, sizeof(chunk), &length);

	if (status == RUSD_END)
	{
		finish(member);
		return;
	}
	if (status == RUSD_OK)
	{
		status = deliver(member, chunk, length);
		if (status == RUSD_DAMAGED || status == RUSD_INVALID)
		{
			drop_send(member);
			status = RUSD_OK;
		}
		else if (status != RUSD_OK)
			drop_receive(member);
	}
	if (status == RUSD_OK || status == RUSD_AGAIN)
	{
		step_later(member, pace);
		return;
	}
	drop_send(member);
	try_again(member);
}

void
transfer_step(Member *member)
{
	Member *sender;

	if (member->state != MEMBER_UP || !member->transfer.wanted)
		return;
	sender = sender_of(member);
	if (!can_reach(member) || begin(member) != RUSD_OK)
		try_again(member);
	else
		move_chunk(member);
	if (member->state == MEMBER_UP)
		(void) member_end_if_cut(member);
	if (sender->state == MEMBER_UP)
		(void) member_end_if_cut(sender);
}
