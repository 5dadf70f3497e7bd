/*
 * network.c
 *	  Between members: what peers and sockets will do, on links that lose, delay, double and reorder.
 *
 * A message leaves its member when the log is flushed up to what it depends on; entries are read from
 * the log at that moment, by the node's own reader.  Each message has a delay of its own, so they
 * overtake each other.
 *
 * test/sim/network.c
 */
#include "rusd.h"

#include "port/fault.h"
#include "sim.h"

/* Proposals that wait to be sent; the longest one. */
#define OUTBOX_BYTES (16 * 1024)
#define RECORD_BYTES (6 * 1024)

/* ---- links ---- */

void
network_reset(World *world)
{
	SimLink well = {.delay_ns = 100 * SIM_US + sim_below(&world->chaos, 3 * SIM_MS)};

	if (sim_percent(&world->chaos, 50))
		well.loss = (uint32_t) sim_below(&world->chaos, 20);
	for (uint32_t from = 0; from < SIM_MEMBERS; from++)
	{
		for (uint32_t to = 0; to < SIM_MEMBERS; to++)
			world->links[from][to] = well;
	}
}

void
network_heal(World *world)
{
	for (uint32_t from = 0; from < SIM_MEMBERS; from++)
	{
		for (uint32_t to = 0; to < SIM_MEMBERS; to++)
			world->links[from][to] = (SimLink){.delay_ns = SIM_MS};
	}
}

/* ---- parcels: messages with what belongs to them ---- */

/* Entries and payload lie behind the parcel, each 8-aligned. */
static SimParcel *
new_parcel(const PeerMessage *message, Bytes entries)
{
	size_t first = AlignUp(entries.length, 8);
	SimParcel *parcel = malloc(sizeof(*parcel) + first + message->payload.length);

	Check(parcel != NULL);
	parcel->next = NULL;
	parcel->message = *message;
	if (entries.length > 0)
		memcpy(parcel->bytes, entries.data, entries.length);
	if (message->payload.length > 0)
		memcpy(parcel->bytes + first, message->payload.data, message->payload.length);
	parcel->message.entries = (Bytes){parcel->bytes, entries.length};
	parcel->message.payload = (Bytes){parcel->bytes + first, message->payload.length};
	return parcel;
}

static void
put_last(SimQueue *queue, SimParcel *parcel)
{
	parcel->next = NULL;
	if (queue->first == NULL)
		queue->first = parcel;
	else
		queue->last->next = parcel;
	queue->last = parcel;
}

static SimParcel *
take_first(SimQueue *queue)
{
	SimParcel *parcel = queue->first;

	if (parcel != NULL)
		queue->first = parcel->next;
	return parcel;
}

static void
drop_all(SimQueue *queue)
{
	SimParcel *parcel;

	while ((parcel = take_first(queue)) != NULL)
		free(parcel);
}

/* ---- the wire ---- */

static uint32_t
number_of_member(const World *world, uint64_t id)
{
	uint32_t number = 0;

	while (number < world->member_count && world->members[number].id != id)
		number++;
	return number;
}

static void
put_on_wire(World *world, SimParcel *parcel, const SimLink *link, uint32_t to)
{
	uint64_t delay = link->delay_ns / 2 + sim_below(&world->wire, link->delay_ns + 1);
	uint32_t place = 0;

	/* Now and then something is stuck for a while, and comes when nobody expects it any more. */
	if (sim_below(&world->wire, 1000) < 2)
		delay += sim_below(&world->wire, 3 * SIM_SECOND);
	while (place < world->wire_count && world->on_wire[place] != NULL)
		place++;
	if (place == world->wire_capacity)
	{
		world->wire_capacity = Max(2 * world->wire_capacity, 256);
		world->on_wire = realloc(world->on_wire, world->wire_capacity * sizeof(SimParcel *));
		Check(world->on_wire != NULL);
	}
	world->wire_count = Max(world->wire_count, place + 1);
	world->on_wire[place] = parcel;
	world_add_event(world, world->now + delay, EVENT_ARRIVAL, to, place);
}

static void
post(World *world, Member *member, SimParcel *parcel)
{
	uint32_t to = number_of_member(world, parcel->message.raft.to);
	SimLink *link = &world->links[member->number][to % SIM_MEMBERS];

	if (parcel->message.kind == PEER_RAFT)
		sim_tell(world, member, SIM_SENT, parcel->message.raft.to,
				 parcel->message.raft.kind | parcel->message.raft.index << 8);
	else
		sim_tell(world, member, SIM_FORWARDED, parcel->message.raft.to, parcel->message.number);
	logcheck_said(world, member, &parcel->message);
	if (to == world->member_count || link->blocked > 0 ||
		sim_below(&world->wire, 1000) < link->loss)
	{
		if (to < world->member_count)
			sim_tell(world, member, SIM_LOST, parcel->message.raft.to, parcel->message.kind);
		free(parcel);
		return;
	}
	if (sim_below(&world->wire, 1000) < link->doubling)
	{
		sim_tell(world, member, SIM_DOUBLED, parcel->message.raft.to, parcel->message.kind);
		put_on_wire(world, new_parcel(&parcel->message, parcel->message.entries), link, to);
	}
	put_on_wire(world, parcel, link, to);
}

void
network_arrive(World *world, uint32_t to, uint32_t place)
{
	Member *member = &world->members[to];
	SimParcel *parcel = world->on_wire[place];

	world->on_wire[place] = NULL;
	while (world->wire_count > 0 && world->on_wire[world->wire_count - 1] == NULL)
		world->wire_count--;
	if (member->state != MEMBER_UP)
	{
		free(parcel);
		return;
	}
	put_last(&member->inbox, parcel);
	latch_set(&member->shm->latches[PROC_RAFT]);
	world_look_at_latches(member);
}

/* ---- a member's peers ---- */

/* A message that holds entries is made into one that holds their bytes; NULL: they are not there. */
static SimParcel *
with_entries(Member *member, SimParcel *parcel)
{
	static uint8_t bytes[64 * 1024];
	RaftMessage *raft = &parcel->message.raft;
	uint64_t next = raft->index + 1;
	uint64_t position = logcheck_position(member, next, raft->log_end);
	WalReader *reader = NULL;
	size_t length = 0;

	if (position == 0 ||
		wal_reader_create(member->shm, &member->disk->ops, position, &reader) != RUSD_OK)
		return NULL;
	while (next <= raft->last_index)
	{
		WalRecord record;
		size_t size;

		if (wal_reader_next(reader, raft->log_end, &record) != RUSD_OK)
			break;
		if (record.header.index < next)
			continue;
		size = wal_record_bytes(record.header.length);
		if (record.header.index != next ||
			(length > 0 && raft->may_be_cut && length + size > SIM_MESSAGE_BYTES))
			break;
		Check(length + size <= sizeof(bytes));
		memset(bytes + length, 0, size);
		memcpy(bytes + length, &record.header, sizeof(record.header));
		memcpy(bytes + length + sizeof(record.header), record.payload, record.header.length);
		length += size;
		next++;
	}
	wal_reader_destroy(reader);
	if (next == raft->index + 1 || (next <= raft->last_index && !raft->may_be_cut))
		return NULL;
	raft->last_index = next - 1;
	while (raft->run_count > 0 && raft->runs[raft->run_count - 1].first_index >= next)
		raft->run_count--;
	return new_parcel(&parcel->message, (Bytes){bytes, length});
}

/* What the outbox holds and may go: its log is flushed up to what it depends on. */
void
network_release(Member *member)
{
	World *world = member->world;
	uint64_t flushed = atomic_load(&member->shm->positions->flushed);
	SimQueue kept = {NULL, NULL};
	SimParcel *parcel;
	uint64_t bytes = member->outbox_bytes;

	while ((parcel = take_first(&member->outbox)) != NULL)
	{
		const RaftMessage *raft = &parcel->message.raft;

		if (raft->depends_on > flushed && !FAULT(message_before_flush))
		{
			put_last(&kept, parcel);
			continue;
		}
		if (parcel->message.kind == PEER_RAFT && raft->kind == MESSAGE_APPEND &&
			raft->last_index > raft->index)
		{
			SimParcel *full = with_entries(member, parcel);

			if (full == NULL)
				sim_tell(world, member, SIM_NOT_IN_LOG, raft->index + 1, raft->last_index);
			free(parcel);
			if (full == NULL)
				continue;
			parcel = full;
		}
		post(world, member, parcel);
	}
	member->outbox = kept;
	if (bytes > 0 && bytes + RECORD_BYTES > OUTBOX_BYTES)
		latch_set(&member->shm->latches[PROC_RAFT]);
	member->outbox_bytes = 0;
}

/* ---- PeerOps ---- */

static Member *
member_of(PeerOps *peers)
{
	return (Member *) (void *) ((char *) peers - offsetof(Member, peers));
}

static void
peer_snapshot_wanted(PeerOps *self, uint64_t from, uint64_t index)
{
	transfer_want(member_of(self), from, index);
}

static bool
peer_snapshot_fetched(PeerOps *self, uint64_t *index, uint64_t *term,
					  RaftConfiguration *configuration)
{
	return transfer_fetched(member_of(self), index, term, configuration);
}

static bool
peer_snapshot_sent(PeerOps *self, uint64_t *member, bool *failed)
{
	return transfer_sent(member_of(self), member, failed);
}

/* Would it put something into the log? */
static bool
appends_entries(const PeerMessage *message)
{
	return message->kind == PEER_PROPOSE || message->kind == PEER_FENCE ||
		   message->entries.length > 0;
}

static bool
peer_receive(PeerOps *self, bool appends, PeerMessage *message)
{
	Member *member = member_of(self);
	SimParcel **link = &member->inbox.first;
	SimParcel *before = NULL;

	free(member->received);
	member->received = NULL;
	while (*link != NULL && !appends && appends_entries(&(*link)->message))
	{
		before = *link;
		link = &before->next;
	}
	if (*link == NULL)
		return false;
	member->received = *link;
	*link = member->received->next;
	if (member->inbox.last == member->received)
		member->inbox.last = before;
	*message = member->received->message;
	return true;
}

static void
peer_put_back(PeerOps *self)
{
	Member *member = member_of(self);
	SimParcel *parcel = member->received;

	parcel->next = member->inbox.first;
	if (member->inbox.first == NULL)
		member->inbox.last = parcel;
	member->inbox.first = parcel;
	member->received = NULL;
}

static void
peer_send(PeerOps *self, const PeerMessage *message)
{
	static const Bytes nothing;

	member_of(self)->outbox_bytes += message->payload.length;
	put_last(&member_of(self)->outbox, new_parcel(message, nothing));
}

static bool
peer_has_room(PeerOps *self, uint64_t to, uint32_t length)
{
	(void) to;
	return member_of(self)->outbox_bytes + length <= OUTBOX_BYTES;
}

void
network_connect(Member *member)
{
	member->peers = (PeerOps){.receive = peer_receive,
							  .put_back = peer_put_back,
							  .send = peer_send,
							  .has_room = peer_has_room,
							  .snapshot_wanted = peer_snapshot_wanted,
							  .snapshot_fetched = peer_snapshot_fetched,
							  .snapshot_sent = peer_snapshot_sent};
}

/* The member has ended, and with it what it had not sent or not looked at. */
void
network_disconnect(Member *member)
{
	drop_all(&member->inbox);
	drop_all(&member->outbox);
	free(member->received);
	member->received = NULL;
}

void
network_clear(World *world)
{
	for (uint32_t i = 0; i < world->wire_count; i++)
		free(world->on_wire[i]);
	world->wire_count = 0;
}
