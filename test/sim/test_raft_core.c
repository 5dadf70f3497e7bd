/*
 * test_raft_core.c
 *	  The core alone, in clusters of up to seven: a model of everything around it, as bad as allowed.
 *
 * The simulator runs whole members.  Here a member is the core and a list of records that stands for
 * its log, so a seed takes a millisecond, and a mistake of the core is found without the rest.  Checked: one
 * leader a term, the same entries committed everywhere, no committed entry missing from a new leader's log, reads
 * never behind what was applied anywhere when they were asked, progress once everything is healed.
 *
 *		test_raft_core [--seeds N] [--first S] [--fault NAME]
 *
 * test/sim/test_raft_core.c
 */
#include "rusd.h"

#include "port/fault.h"
#include "raft/raft.h"
#include "simrandom.h"

#define NODES 7
#define STEPS 6000
#define HEAL_STEPS 10000
#define LOG_MAX 20000
#define INDEX_MAX 8000
#define NET_MAX 4000
#define SPANS 4096
#define RUNS 512
#define READS 64

/* A record of a log: index 0 is a hard state. */
typedef struct Record
{
	uint64_t index, term, value, end; /* end: of its batch */
	HardState hard_state;
	RaftChange change; /* kind 0: none */
	uint64_t commit_index, commit_term;
} Record;

typedef struct Entry
{
	uint64_t term, value;
	RaftChange change;
} Entry;

typedef struct Packet
{
	RaftMessage message;
	Entry *entries;
	bool held; /* at its sender, until the log is flushed */
} Packet;

typedef struct Node
{
	uint64_t id;
	bool alive, paused, stalled;
	uint32_t doom; /* acts until it crashes; 0: it does not */
	Raft raft;
	RaftSpan spans[SPANS];
	RaftRun runs[RUNS];
	Record log[LOG_MAX];
	size_t count; /* records */
	size_t batch; /* first record of the open batch */
	uint64_t position, flushed;
	bool batch_hard_state;
	/* the state machine: what holds at the commit position */
	Entry applied[INDEX_MAX];
	uint64_t applied_index;
	size_t read_to; /* records taken in */
	/* where the log begins: a snapshot, or nothing */
	uint64_t base_index, base_term;
	size_t base_record;
	RaftConfiguration base;
	uint64_t compacted;
	struct
	{
		uint64_t id, needed;
	} reads[READS];
	uint32_t next_read;
	Packet *outbox;
	size_t outbox_count, outbox_capacity;
} Node;

typedef struct World
{
	SimRandom random;
	Node *nodes;
	Packet *net;
	size_t net_count;
	Entry committed[INDEX_MAX];
	uint64_t committed_count;
	uint64_t leader_of_term[INDEX_MAX];
	uint64_t next_value;
	bool cut[NODES][NODES];
	uint32_t loss;
	uint32_t trouble; /* in 400 steps */
	uint32_t ticks;   /* percent of steps that are ticks: how fast time goes beside messages */
	RaftOptions options;
	uint32_t doom; /* percent of leaders and voters that crash soon after they have become that */
	bool healing;
	RaftUpdate update;
} World;

#ifdef USE_FAULTS
Fault fault_switched_in;

static const char *const fault_names[] = {
	"none",
#define RUSD_FAULT(name, text) #name,
#include "port/faultlist.h"
#undef RUSD_FAULT
};
#endif

static char failure[300];
static struct
{
	uint64_t leaders, commits, conflicts, snapshots, changes, crashes, transfers, reads, joins,
		removals;
} seen;

#define FAIL(...)                                                                                  \
	do                                                                                             \
	{                                                                                              \
		if (failure[0] == '\0')                                                                    \
			snprintf(failure, sizeof(failure), __VA_ARGS__);                                       \
	} while (0)

static void take_update(World *world, Node *node, const Packet *packet);

/* ---- a member's log --------------------------------------------------------------------------- */

static void
add_record(Node *node, Record record)
{
	Check(node->count < LOG_MAX);
	record.end = 0;
	node->log[node->count++] = record;
}

/* The entry with that index which holds in the first records of a log. */
static bool
entry_in(const Node *node, size_t records, uint64_t index, Entry *entry)
{
	for (size_t i = records; i-- > node->base_record;)
	{
		const Record *record = &node->log[i];

		if (record->index == index)
		{
			*entry = (Entry){record->term, record->value, record->change};
			return true;
		}
		if (record->index != 0 && record->index < index)
			return false; /* it is void */
	}
	return false;
}

/* All records whose batch ends at or before position. */
static size_t
records_before(const Node *node, uint64_t position)
{
	size_t low = 0, high = node->batch;

	while (low < high)
	{
		size_t middle = (low + high) / 2;

		if (node->log[middle].end <= position)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
apply(World *world, Node *node)
{
	size_t end = records_before(node, node->raft.commit_position);

	for (; node->read_to < end; node->read_to++)
	{
		const Record *record = &node->log[node->read_to];

		if (record->index == 0 || node->read_to < node->base_record)
			continue;
		Check(record->index < INDEX_MAX);
		node->applied[record->index] = (Entry){record->term, record->value, record->change};
		/* What was read before and is void now must not have counted as committed. */
		if (record->index <= node->applied_index &&
			world->committed[record->index].value != record->value)
			FAIL("member %" PRIu64 " voids entry %" PRIu64 ", which is committed", node->id,
				 record->index);
	}
	while (node->applied_index < node->raft.commit_index &&
		   node->applied[node->applied_index + 1].term != 0)
	{
		uint64_t index = node->applied_index + 1;
		Entry here;

		if (!entry_in(node, end, index, &here))
			break; /* its batch holds later ones, too */
		if (index > world->committed_count)
		{
			world->committed[index] = here;
			world->committed_count = index;
			seen.commits++;
		}
		else if (world->committed[index].term != here.term ||
				 world->committed[index].value != here.value)
			FAIL("member %" PRIu64 " applies another entry %" PRIu64 ": term %" PRIu64
				 ", not %" PRIu64,
				 node->id, index, here.term, world->committed[index].term);
		node->applied_index = index;
	}
	raft_update_reset(&world->update);
	raft_step(&node->raft, &(RaftEvent){.kind = RAFT_APPLIED, .index = node->applied_index},
			  &world->update);
}

/* The end of the last batch with nothing behind the commit index and nothing that a later one voids. */
static uint64_t
commit_position(const Node *node, uint64_t commit_index)
{
	uint64_t position = 0;
	uint64_t lowest = UINT64_MAX; /* index that is written after the batch */

	for (size_t i = node->count; i-- > node->base_record && position == 0;)
	{
		uint64_t end = node->log[i].end;
		uint64_t last = 0;

		for (size_t j = i + 1; j-- > node->base_record && node->log[j].end == end;)
			if (node->log[j].index != 0 && last == 0)
				last = node->log[j].index;
		if (last != 0 && last <= commit_index && last < lowest)
			position = end;
		for (; i > node->base_record && node->log[i].end == end; i--)
			if (node->log[i].index != 0)
				lowest = Min(lowest, node->log[i].index);
		if (node->log[i].end != end)
			i++;
		else if (node->log[i].index != 0)
			lowest = Min(lowest, node->log[i].index);
	}
	return position;
}

/* What recovery finds out. */
static void
read_log(const Node *node, RaftStart *start, RaftRun *known)
{
	for (size_t i = 0; i < node->count; i++)
	{
		const Record *record = &node->log[i];

		if (record->index == 0)
		{
			HardState commit = start->hard_state;

			start->hard_state = record->hard_state;
			if (commit.commit_index > start->hard_state.commit_index)
			{
				start->hard_state.commit_index = commit.commit_index;
				start->hard_state.commit_term = commit.commit_term;
			}
		}
		if (record->commit_index > start->hard_state.commit_index)
		{
			start->hard_state.commit_index = record->commit_index;
			start->hard_state.commit_term = record->commit_term;
		}
		if (record->index == 0 || i < node->base_record)
			continue;
		while (start->known_run_count > 0 &&
			   known[start->known_run_count - 1].first_index >= record->index)
			start->known_run_count--;
		if (start->known_run_count == 0 || known[start->known_run_count - 1].term != record->term)
			known[start->known_run_count++] = (RaftRun){record->index, record->term};
		start->last_index = record->index;
		start->last_term = record->term;
	}
}

static void
start_node(World *world, Node *node)
{
	RaftConfiguration configuration = node->base;
	RaftChange changes[RAFT_CHANGES_MAX];
	RaftRun known[RUNS];
	RaftStart start = {.member_id = node->id, .spans = node->spans, .span_capacity = SPANS};

	start.options = world->options;
	start.runs = node->runs;
	start.run_capacity = RUNS;
	start.configuration = &configuration;
	start.changes = changes;
	start.known_runs = known;
	start.random = sim_random(&world->random);
	start.incarnation = sim_random(&world->random) >> 16;
	start.last_index = node->base_index;
	start.last_term = node->base_term;
	start.hard_state.commit_index = node->base_index;
	start.hard_state.commit_term = node->base_term;
	if (node->base_index > 0)
		known[start.known_run_count++] = (RaftRun){node->base_index, node->base_term};
	read_log(node, &start, known);
	start.hard_state.term = Max(start.hard_state.term, start.last_term);
	for (uint64_t index = node->base_index + 1; index <= start.last_index; index++)
	{
		Entry entry;

		Check(entry_in(node, node->count, index, &entry));
		if (entry.change.kind == 0)
			continue;
		entry.change.index = index;
		if (index <= start.hard_state.commit_index)
			(void) raft_configuration_change(&configuration, &entry.change);
		else if (start.change_count < RAFT_CHANGES_MAX)
			changes[start.change_count++] = entry.change;
		else
			FAIL("member %" PRIu64 " has too many changes in its log", node->id);
	}
	start.log_end = node->position;
	start.commit_position = commit_position(node, start.hard_state.commit_index);
	start.applied_index = node->base_index;
	node->applied_index = node->base_index;
	node->read_to = node->base_record;
	memset(node->reads, 0, sizeof(node->reads));
	memset(node->applied, 0, sizeof(node->applied));
	if (raft_init(&node->raft, &start) != RUSD_OK)
		FAIL("member %" PRIu64 " does not start", node->id);
	node->alive = true;
}

/* What was flushed stays, what was not may go. */
static void
crash_node(World *world, Node *node)
{
	size_t kept = records_before(node, node->flushed);
	size_t most = node->batch;

	if (most > kept && sim_percent(&world->random, 50))
	{
		kept += sim_below(&world->random, most - kept + 1);
		/* whole batches */
		while (kept > 0 && kept < most && node->log[kept].end == node->log[kept - 1].end)
			kept++;
	}
	node->count = node->batch = kept;
	node->position = kept == 0 ? node->flushed : Max(node->log[kept - 1].end, node->flushed);
	node->flushed = node->position;
	node->batch_hard_state = false;
	for (size_t i = 0; i < node->outbox_count; i++)
		free(node->outbox[i].entries);
	node->outbox_count = 0;
	node->alive = false;
	node->paused = node->stalled = false;
	seen.crashes++;
}

/* ---- messages --------------------------------------------------------------------------------- */

static void
send_packet(Node *node, const RaftMessage *message)
{
	Packet packet = {.message = *message};

	if (message->kind == MESSAGE_APPEND && message->last_index > message->index)
	{
		size_t records = records_before(node, message->log_end);
		uint64_t count = message->last_index - message->index;

		if (message->may_be_cut && count > 20)
		{
			count = 20;
			packet.message.last_index = message->index + count;
			while (packet.message.run_count > 0 &&
				   packet.message.runs[packet.message.run_count - 1].first_index >
					   packet.message.last_index)
				packet.message.run_count--;
		}
		packet.entries = calloc(count, sizeof(Entry));
		for (uint64_t i = 0; i < count; i++)
			if (!entry_in(node, records, message->index + 1 + i, &packet.entries[i]))
			{
				FAIL("member %" PRIu64 " cannot find entry %" PRIu64 " that it is to send",
					 node->id, message->index + 1 + i);
				free(packet.entries);
				return;
			}
	}
	if (node->outbox_count == node->outbox_capacity)
	{
		node->outbox_capacity = Max(64, 2 * node->outbox_capacity);
		node->outbox = realloc(node->outbox, node->outbox_capacity * sizeof(Packet));
		Check(node->outbox != NULL);
	}
	node->outbox[node->outbox_count++] = packet;
}

static void
post(World *world, Packet packet)
{
	const RaftMessage *message = &packet.message;

	if (message->to == 0 || message->to > NODES || world->net_count >= NET_MAX - 1 ||
		world->cut[message->from - 1][message->to - 1] || sim_percent(&world->random, world->loss))
	{
		free(packet.entries);
		return;
	}
	if (!world->healing && sim_percent(&world->random, 2))
	{
		Packet again = packet;

		if (packet.entries != NULL)
		{
			size_t bytes = (message->last_index - message->index) * sizeof(Entry);

			again.entries = malloc(bytes);
			memcpy(again.entries, packet.entries, bytes);
		}
		world->net[world->net_count++] = again;
	}
	world->net[world->net_count++] = packet;
}

/* What waits for a flush may go. */
static void
release(World *world, Node *node)
{
	size_t kept = 0;

	for (size_t i = 0; i < node->outbox_count; i++)
	{
		if (node->outbox[i].message.depends_on <= node->flushed)
			post(world, node->outbox[i]);
		else
			node->outbox[kept++] = node->outbox[i];
	}
	node->outbox_count = kept;
}

/* ---- steps ------------------------------------------------------------------------------------ */

static void
step(World *world, Node *node, const RaftEvent *event, const Packet *packet)
{
	raft_update_reset(&world->update);
	raft_step(&node->raft, event, &world->update);
	take_update(world, node, packet);
}

static void
check_leader(World *world, Node *node)
{
	uint64_t term = node->raft.hard_state.term;

	if (node->raft.role != ROLE_LEADER)
		return;
	Check(term < INDEX_MAX);
	if (world->leader_of_term[term] == node->id)
		return;
	if (world->leader_of_term[term] != 0)
		FAIL("members %" PRIu64 " and %" PRIu64 " lead term %" PRIu64, world->leader_of_term[term],
			 node->id, term);
	world->leader_of_term[term] = node->id;
	seen.leaders++;
	if (!world->healing && sim_percent(&world->random, world->doom))
		node->doom = 1 + (uint32_t) sim_below(&world->random, 25);
	for (uint64_t index = 1; index <= world->committed_count; index++)
	{
		Entry entry;

		if (index <= node->base_index || world->committed[index].term > term)
			continue;
		if (!entry_in(node, node->count, index, &entry) ||
			entry.term != world->committed[index].term)
		{
			FAIL("member %" PRIu64 " leads term %" PRIu64 " without committed entry %" PRIu64,
				 node->id, term, index);
			return;
		}
	}
}

static void
take_reads(World *world, Node *node)
{
	for (uint32_t i = 0; i < world->update.read_count; i++)
	{
		const RaftReadReady *ready = &world->update.reads[i];

		for (uint32_t r = 0; r < READS; r++)
		{
			if (node->reads[r].id != ready->read_id || ready->index == 0)
				continue;
			seen.reads++;
			if (ready->index < node->reads[r].needed)
				FAIL("member %" PRIu64 " reads at %" PRIu64 " what was %" PRIu64 " before it asked",
					 node->id, ready->index, node->reads[r].needed);
			node->reads[r].id = 0;
		}
	}
}

static void
take_update(World *world, Node *node, const Packet *packet)
{
	const RaftUpdate *update = &world->update;

	for (uint32_t i = 0; i < update->record_count; i++)
	{
		const RaftRecord *record = &update->records[i];
		bool entry = record->kind == RAFT_RECORD_EMPTY;

		add_record(node, (Record){.index = entry ? record->index : 0,
								  .term = record->term,
								  .value = entry ? ++world->next_value : 0,
								  .hard_state = record->hard_state});
		if (!entry)
			node->batch_hard_state = true;
	}
	if (packet != NULL && update->append_count > 0)
	{
		const RaftMessage *message = &packet->message;

		if (update->append_first <= node->applied_index)
			FAIL("member %" PRIu64 " overwrites entry %" PRIu64, node->id, update->append_first);
		for (uint64_t index = update->append_first; index <= message->last_index; index++)
		{
			const Entry *entry = &packet->entries[index - message->index - 1];

			add_record(node, (Record){.index = index,
									  .term = entry->term,
									  .value = entry->value,
									  .change = entry->change});
		}
	}
	take_reads(world, node);
	if (update->configured)
		seen.changes++;
	check_leader(world, node);
	for (uint32_t i = 0; i < update->message_count; i++)
	{
		RaftMessage message = update->messages[i];

		/* The batch of this turn ends at the next multiple of 512. */
		if (message.kind == MESSAGE_VOTE_ANSWER && !message.reject && !world->healing &&
			node->doom == 0 && sim_percent(&world->random, world->doom))
			node->doom = 1 + (uint32_t) sim_below(&world->random, 3);
		if (message.depends_on == RAFT_AFTER_TURN)
			message.depends_on = node->position + 512;
		send_packet(node, &message);
	}
}

static void
install_snapshot(World *world, Node *node)
{
	Node *from = &world->nodes[node->raft.snapshot.from - 1];
	RaftConfiguration configuration;
	uint64_t index;

	if (node->raft.snapshot.from == 0 || !from->alive ||
		from->applied_index < node->raft.snapshot.index ||
		from->applied_index <= node->applied_index || node->batch != node->count ||
		node->flushed != node->position)
		return;
	index = from->applied_index;
	raft_update_reset(&world->update);
	raft_step(&node->raft, &(RaftEvent){.kind = RAFT_SNAPSHOT_INSTALLING, .index = index},
			  &world->update);
	if (world->update.propose_status != RUSD_OK)
		return;
	/* The configuration as of that index. */
	configuration = from->base;
	for (uint64_t i = from->base_index + 1; i <= index; i++)
	{
		RaftChange change = from->applied[i].change;

		change.index = i;
		if (change.kind != 0)
			(void) raft_configuration_change(&configuration, &change);
	}
	node->base = configuration;
	node->base_index = index;
	node->base_term = world->committed[index].term;
	node->base_record = node->count;
	node->read_to = node->count;
	node->applied_index = index;
	memset(node->applied, 0, sizeof(node->applied));
	step(world, node,
		 &(RaftEvent){.kind = RAFT_SNAPSHOT_INSTALLED,
					  .index = index,
					  .log_term = node->base_term,
					  .position = node->position,
					  .configuration = &configuration},
		 NULL);
	seen.snapshots++;
}

static void
end_turn(World *world, Node *node)
{
	if (node->count > node->batch)
	{
		node->position += 512;
		for (size_t i = node->batch; i < node->count; i++)
		{
			node->log[i].end = node->position;
			node->log[i].commit_index = node->raft.commit_index;
			node->log[i].commit_term = node->raft.commit_term;
		}
		node->batch = node->count;
		step(world, node,
			 &(RaftEvent){.kind = RAFT_APPENDED,
						  .index = node->raft.last_index,
						  .position = node->position,
						  .hard_state = node->batch_hard_state},
			 NULL);
		node->batch_hard_state = false;
	}
	step(world, node, &(RaftEvent){.kind = RAFT_TURN}, NULL);
	/* Held ones that were promised a batch that did not come wait for the next. */
	for (size_t i = 0; i < node->outbox_count; i++)
		node->outbox[i].message.depends_on =
			Min(node->outbox[i].message.depends_on, node->position);
	apply(world, node);
	if (node->raft.commit_position > node->position)
		FAIL("member %" PRIu64 ": commit position behind the log", node->id);
}

static RaftChange
random_change(World *world, const Node *node)
{
	RaftChange change = {.judged_at = node->raft.configuration.index};

	change.member_id = 1 + sim_below(&world->random, NODES);
	change.kind = (RaftChangeKind) (1 + sim_below(&world->random, 4));
	return change;
}

static void
propose(World *world, Node *node)
{
	RaftEvent event = {.kind = RAFT_PROPOSE};

	if (sim_percent(&world->random, 8) && !world->healing)
	{
		event.changes[0] = random_change(world, node);
		event.change_count = 1;
	}
	raft_update_reset(&world->update);
	raft_step(&node->raft, &event, &world->update);
	if (world->update.propose_status == RUSD_OK)
		add_record(node, (Record){.index = world->update.propose_index,
								  .term = world->update.propose_term,
								  .value = ++world->next_value,
								  .change = event.changes[0]});
	else if (node->raft.role == ROLE_LEADER && event.change_count == 0 &&
			 node->raft.transfer_to == 0)
		FAIL("leader %" PRIu64 " takes no proposal", node->id);
}

static void
read_one(World *world, Node *node)
{
	RaftEvent event = {.kind = RAFT_READ, .read_id = node->reads[node->next_read].id};
	uint32_t place = node->next_read;

	node->next_read = (place + 1) % READS;
	raft_update_reset(&world->update);
	/* Its id is known only behind the step, which may answer at once. */
	node->reads[place].needed = world->committed_count;
	node->reads[place].id = node->raft.read_attempt + 1;
	raft_step(&node->raft, &event, &world->update);
	node->reads[place].id = world->update.read_id;
	take_update(world, node, NULL);
}

/* One thing that a member does. */
static void
act(World *world, Node *node)
{
	uint64_t what = sim_below(&world->random, 100);
	unsigned messages = (unsigned) sim_below(&world->random, 6);

	if (!node->alive || node->paused)
		return;
	if (!node->stalled && node->flushed < node->position && sim_percent(&world->random, 60))
	{
		node->flushed =
			records_before(node, node->position) == 0 ? node->position
			: sim_percent(&world->random, 70)
				? node->position
				: node->flushed +
					  512 * (1 + sim_below(&world->random, (node->position - node->flushed) / 512));
		step(world, node, &(RaftEvent){.kind = RAFT_FLUSHED, .position = node->flushed}, NULL);
	}
	for (size_t i = 0; messages > 0 && i < world->net_count; i++)
	{
		size_t at = world->healing ? i : sim_below(&world->random, world->net_count);
		Packet packet = world->net[at];
		RaftEvent event = {.kind = RAFT_RECEIVE};

		if (packet.message.to != node->id)
			continue;
		memmove(&world->net[at], &world->net[at + 1], (--world->net_count - at) * sizeof(Packet));
		for (uint64_t e = 0;
			 packet.entries != NULL && e < packet.message.last_index - packet.message.index; e++)
			if (packet.entries[e].change.kind != 0 && event.change_count < RAFT_CHANGES_MAX)
			{
				event.changes[event.change_count] = packet.entries[e].change;
				event.changes[event.change_count++].index = packet.message.index + 1 + e;
			}
		event.message = &packet.message;
		step(world, node, &event, &packet);
		free(packet.entries);
		messages--;
	}
	if (what < (world->healing ? 25 : world->ticks))
		step(world, node, &(RaftEvent){.kind = RAFT_TICK, .random = sim_random(&world->random)},
			 NULL);
	else if (what < 65)
		propose(world, node);
	else if (what < 75)
		read_one(world, node);
	else if (what < 77 && !world->healing)
	{
		step(world, node,
			 &(RaftEvent){.kind = RAFT_TRANSFER, .member = sim_below(&world->random, NODES + 1)},
			 NULL);
		seen.transfers++;
	}
	else if (what < 78 && node->applied_index > 20 && node->flushed == node->position)
		step(world, node,
			 &(RaftEvent){.kind = RAFT_COMPACTED,
						  .index = node->applied_index - sim_below(&world->random, 20)},
			 NULL);
	else if (what < 90 && node->raft.snapshot.from != 0)
		install_snapshot(world, node);
	end_turn(world, node);
	release(world, node);
	if (node->doom > 0 && --node->doom == 0)
	{
		crash_node(world, node);
		start_node(world, node);
	}
}

static void
trouble(World *world)
{
	Node *node = &world->nodes[sim_below(&world->random, NODES)];

	switch (sim_below(&world->random, 11))
	{
		case 0:
			if (node->alive)
				crash_node(world, node);
			break;
		case 1:
		case 8:
			for (int i = 0; i < NODES; i++)
				if (!world->nodes[i].alive)
					start_node(world, &world->nodes[i]);
			break;
		case 9:
			/* and back at once */
			if (node->alive)
				crash_node(world, node);
			start_node(world, node);
			break;
		case 10:
			/* the leader is cut off */
			for (int i = 0; i < NODES; i++)
				if (world->nodes[i].alive && world->nodes[i].raft.role == ROLE_LEADER)
					for (int j = 0; j < NODES; j++)
						world->cut[i][j] = world->cut[j][i] =
							i != j && sim_percent(&world->random, 80);
			break;
		case 2:
			node->paused = !node->paused;
			break;
		case 3:
			node->stalled = !node->stalled;
			break;
		case 4:
			for (int i = 0; i < NODES; i++)
				for (int j = 0; j < NODES; j++)
					world->cut[i][j] = sim_percent(&world->random, 30);
			break;
		case 5:
			memset(world->cut, 0, sizeof(world->cut));
			break;
		case 6:
			world->loss = (uint32_t) sim_below(&world->random, 30);
			break;
		default:
			world->cut[node->id - 1][sim_below(&world->random, NODES)] ^= true;
			break;
	}
}

static void
heal(World *world)
{
	world->healing = true;
	memset(world->cut, 0, sizeof(world->cut));
	world->loss = 0;
	for (int i = 0; i < NODES; i++)
	{
		world->nodes[i].paused = world->nodes[i].stalled = false;
		world->nodes[i].doom = 0;
		if (!world->nodes[i].alive)
			start_node(world, &world->nodes[i]);
	}
}

/* For whoever looks for the mistake. */
static void
print_members(const World *world)
{
	static const char *const roles[] = {"follower", "pre-candidate", "candidate", "leader"};

	for (int i = 0; i < NODES; i++)
	{
		const Node *node = &world->nodes[i];
		const Raft *raft = &node->raft;

		printf("#   member %" PRIu64 ": %s of %" PRIu64 ", term %" PRIu64 ", log %" PRIu64
			   " to %" PRIu64 " of term %" PRIu64 ", commit %" PRIu64 ", applied %" PRIu64
			   ", flushed %" PRIu64 " of %" PRIu64 ", configuration %" PRIu64 ":",
			   node->id, roles[raft->role], raft->leader_id, raft->hard_state.term,
			   raft->first_index, raft->last_index, raft->last_term, raft->commit_index,
			   node->applied_index, node->flushed, node->position, raft->configuration.index);
		for (uint32_t m = 0; m < raft->configuration.member_count; m++)
			printf(" %" PRIu64 "%s", raft->configuration.members[m].id,
				   raft->configuration.members[m].is_learner ? "l" : "");
		printf("\n");
	}
}

static void
check_progress(World *world, uint64_t before)
{
	const Node *leader = NULL;

	for (int i = 0; i < NODES; i++)
		if (world->nodes[i].raft.role == ROLE_LEADER &&
			(leader == NULL || world->nodes[i].raft.hard_state.term > leader->raft.hard_state.term))
			leader = &world->nodes[i];
	if (leader == NULL)
		FAIL("nobody leads");
	else if (world->committed_count < before + 20)
		FAIL("no progress: %" PRIu64 " entries since all was healed",
			 world->committed_count - before);
	for (uint32_t i = 0; leader != NULL && i < leader->raft.configuration.member_count; i++)
	{
		const Node *node = &world->nodes[leader->raft.configuration.members[i].id - 1];

		if (node->applied_index < before)
			FAIL("member %" PRIu64 " was left behind at %" PRIu64 " of %" PRIu64, node->id,
				 node->applied_index, before);
	}
}

static void
run_seed(World *world, uint64_t seed)
{
	uint32_t voters;

	memset(world->committed, 0, sizeof(world->committed));
	memset(world->leader_of_term, 0, sizeof(world->leader_of_term));
	memset(world->cut, 0, sizeof(world->cut));
	for (size_t i = 0; i < world->net_count; i++)
		free(world->net[i].entries);
	world->net_count = 0;
	world->committed_count = 0;
	world->next_value = 0;
	world->loss = 0;
	world->healing = false;
	world->random = (SimRandom){seed};
	voters = 1 + (uint32_t) sim_below(&world->random, 5);
	world->doom = sim_percent(&world->random, 50) ? 0 : (uint32_t) sim_below(&world->random, 80);
	world->ticks = 10 + (uint32_t) sim_below(&world->random, 50);
	world->options.election_ticks = 5 + (uint32_t) sim_below(&world->random, 10);
	world->options.ill_ticks = 25;
	world->options.window_bytes = UINT64_C(1024) << sim_below(&world->random, 5);
	world->options.message_bytes = UINT64_C(512) << sim_below(&world->random, 4);
	world->trouble = 1 + (uint32_t) sim_below(&world->random, 40);
	for (uint32_t i = 0; i < NODES; i++)
	{
		Node *node = &world->nodes[i];

		for (size_t p = 0; p < node->outbox_count; p++)
			free(node->outbox[p].entries);
		node->outbox_count = 0;
		node->id = i + 1;
		node->count = node->batch = node->base_record = 0;
		node->position = node->flushed = 4096;
		node->base_index = node->base_term = 0;
		node->paused = node->stalled = node->batch_hard_state = false;
		node->doom = 0;
		memset(&node->base, 0, sizeof(node->base));
		for (uint32_t v = 0; v < voters; v++)
			node->base.members[node->base.member_count++].id = v + 1;
		start_node(world, node);
	}
	for (unsigned i = 0; i < STEPS && failure[0] == '\0'; i++)
	{
		act(world, &world->nodes[sim_below(&world->random, NODES)]);
		if (sim_below(&world->random, 400) < world->trouble)
			trouble(world);
	}
	if (failure[0] != '\0')
		return;
	heal(world);
	for (uint64_t i = 0, before = world->committed_count; failure[0] == '\0'; i++)
	{
		act(world, &world->nodes[sim_below(&world->random, NODES)]);
		if (i == HEAL_STEPS)
		{
			check_progress(world, before);
			break;
		}
	}
}

int
main(int argc, char **argv)
{
	uint64_t seeds = 500, first = 1, failed = 0;
	World *world = calloc(1, sizeof(*world));

	for (int i = 1; i + 1 < argc; i += 2)
	{
		if (strcmp(argv[i], "--seeds") == 0)
			seeds = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--first") == 0)
			first = strtoull(argv[i + 1], NULL, 10);
#ifdef USE_FAULTS
		else if (strcmp(argv[i], "--fault") == 0)
			for (int f = 0; f < FAULT_COUNT; f++)
				if (strcmp(argv[i + 1], fault_names[f]) == 0)
					fault_switched_in = (Fault) f;
#endif
	}
	Check(world != NULL);
	world->nodes = calloc(NODES, sizeof(Node));
	world->net = calloc(NET_MAX, sizeof(Packet));
	Check(world->nodes != NULL && world->net != NULL);
	for (uint64_t seed = first; seed < first + seeds; seed++)
	{
		failure[0] = '\0';
		run_seed(world, seed);
		if (failure[0] == '\0')
			continue;
		fflush(stdout);
		printf("# seed %" PRIu64 ": %s\n", seed, failure);
		print_members(world);
		failed++;
	}
	printf("# leaders %" PRIu64 ", commits %" PRIu64 ", snapshots %" PRIu64
		   ", configurations %" PRIu64 ", crashes %" PRIu64 ", transfers %" PRIu64
		   ", reads %" PRIu64 "\n",
		   seen.leaders, seen.commits, seen.snapshots, seen.changes, seen.crashes, seen.transfers,
		   seen.reads);
	printf("%" PRIu64 " passed, %" PRIu64 " failed\n", seeds - failed, failed);
	return failed != 0;
}
