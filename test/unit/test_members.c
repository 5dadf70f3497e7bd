/*
 * test_members.c
 *	  Several members' turns of process raft against each other, over real rings and real logs in memory.
 *	  Walwriter, applier, clock and the carrier between the members are the test's.
 *
 * test/unit/test_members.c
 */
#include "rusd.h"

#include <unistd.h>

#include "consensus/consensus.h"
#include "format/entry.h"
#include "ipc/ring.h"
#include "ipc/slot.h"
#include "raft/change.h"
#include "utils/log.h"
#include "wal/recovery.h"
#include "wal/wal.h"

#include "cmocka_all.h"
#include "ipc_fixture.h"

#define MS UINT64_C(1000000)
#define MEMBERS 3
#define ELECTION 10
#define FRAMES 1024
#define SEEN_MAX 4096
#define QUEUE_MAX 4096

typedef struct Seen
{
	WalRecordHeader header;
	EntryHeader entry;
	uint64_t hash; /* of the whole payload */
} Seen;

typedef struct Parcel
{
	PeerMessage message;
	uint8_t *bytes; /* of entries or payload */
} Parcel;

struct Net;

typedef struct Node
{
	PeerOps ops;
	struct Net *net;
	uint64_t id;
	Shm *shm;
	Consensus *consensus;
	WalReader *reader;
	bool disk_stands; /* nothing is flushed */
	bool applier_stands;
	bool paused;
	uint32_t deaths_seen;
	Seen *seen;
	uint32_t seen_count;
	Parcel *inbox; /* what is under way to it, oldest first */
	uint32_t inbox_count;
	Parcel last; /* what receive gave last */
	bool has_last;
	/* The state of another member: what is wanted, what was fetched, what its applier has been ordered. */
	uint64_t wanted_from;
	uint64_t wanted_index;
	const struct Node *fetched; /* from whom, not reported yet */
	bool sent_failed;
	uint64_t sent_to; /* reported to its raft: a transfer to that member has ended */
	bool installs;    /* its applier obeys orders */
	uint64_t installed;
} Node;

typedef struct Net
{
	ClockOps clock;
	uint64_t now_ns;
	Node nodes[MEMBERS];
	bool cut[MEMBERS][MEMBERS]; /* from, to */
	bool lose_proposals;
	bool double_proposals;
	uint32_t sent[PEER_KIND_COUNT];
	uint32_t put_back;
} Net;

/* ---- the carrier ---------------------------------------------------------------------------- */

static uint64_t
clock_now(const ClockOps *self)
{
	return ((const Net *) (const void *) self)->now_ns;
}

static Node *
node_of(PeerOps *self)
{
	return (Node *) (void *) ((uint8_t *) self - offsetof(Node, ops));
}

static uint32_t
place_of(const Net *net, uint64_t id)
{
	for (uint32_t i = 0; i < MEMBERS; i++)
		if (net->nodes[i].id == id)
			return i;
	return MEMBERS;
}

/* Entries index + 1 to last_index as they hold at log_end; the buffers of a test are never used twice. */
static Bytes
collect_entries(const Node *node, const RaftMessage *message)
{
	const WalRecordHeader *found[512] = {NULL};
	uint64_t position = WAL_HEADER_BYTES;
	size_t length = 0;
	uint8_t *bytes;

	assert_true(message->last_index < lengthof(found));
	while (position < message->log_end)
	{
		const WalBatchHeader *batch =
			(const WalBatchHeader *) (const void *) (node->shm->wal_buffers + position);
		const WalRecordHeader *record = wal_batch_first_record(batch);

		assert_int_equal(batch->position, position);
		for (uint32_t i = 0; i < batch->record_count; i++, record = wal_record_next(record))
			if (record->index != 0)
				found[record->index] = record;
		position += wal_batch_sectors(batch->length);
	}
	for (uint64_t i = message->index + 1; i <= message->last_index; i++)
		length += wal_record_bytes(found[i]->length);
	bytes = malloc(length + 1);
	assert_non_null(bytes);
	length = 0;
	for (uint64_t i = message->index + 1; i <= message->last_index; i++)
	{
		memcpy(bytes + length, found[i], wal_record_bytes(found[i]->length));
		length += wal_record_bytes(found[i]->length);
	}
	return (Bytes){bytes, length};
}

static void
put_parcel(Node *to, const PeerMessage *message)
{
	Parcel *parcel = &to->inbox[to->inbox_count++];
	Bytes *bytes;

	assert_true(to->inbox_count < QUEUE_MAX);
	*parcel = (Parcel){.message = *message};
	bytes = message->kind == PEER_RAFT ? &parcel->message.entries : &parcel->message.payload;
	if (bytes->length == 0)
		return;
	parcel->bytes = malloc(bytes->length);
	assert_non_null(parcel->bytes);
	memcpy(parcel->bytes, bytes->data, bytes->length);
	bytes->data = parcel->bytes;
}

static void
net_send(PeerOps *self, const PeerMessage *message)
{
	Node *node = node_of(self);
	Net *net = node->net;
	uint32_t to = place_of(net, message->raft.to);
	PeerMessage sent = *message;

	net->sent[message->kind]++;
	assert_int_equal(message->raft.from, node->id);
	assert_true(message->raft.depends_on <= atomic_load(&node->shm->positions->appended));
	if (to == MEMBERS || (net->lose_proposals && message->kind == PEER_PROPOSE))
		return;
	if (message->kind == PEER_RAFT && message->raft.kind == MESSAGE_APPEND)
		sent.entries = collect_entries(node, &message->raft);
	put_parcel(&net->nodes[to], &sent);
	if (net->double_proposals && message->kind == PEER_PROPOSE)
		put_parcel(&net->nodes[to], &sent);
	free((void *) (uintptr_t) sent.entries.data);
}

static void
forget_last(Node *node)
{
	if (node->has_last)
		free(node->last.bytes);
	node->has_last = false;
}

static bool
net_receive(PeerOps *self, bool appends, PeerMessage *message)
{
	Node *node = node_of(self);
	Net *net = node->net;

	forget_last(node);
	for (uint32_t i = 0; i < node->inbox_count; i++)
	{
		const PeerMessage *next = &node->inbox[i].message;
		uint32_t from = place_of(net, next->raft.from);
		bool brings = next->kind == PEER_PROPOSE || next->kind == PEER_FENCE ||
					  (next->kind == PEER_RAFT && next->entries.length > 0);

		if (from < MEMBERS &&
			(net->cut[from][node - net->nodes] ||
			 atomic_load(&net->nodes[from].shm->positions->flushed) < next->raft.depends_on))
			continue;
		if (brings && !appends)
			continue;
		node->last = node->inbox[i];
		node->has_last = true;
		node->inbox_count--;
		memmove(&node->inbox[i], &node->inbox[i + 1], (node->inbox_count - i) * sizeof(Parcel));
		*message = node->last.message;
		return true;
	}
	return false;
}

static void
net_put_back(PeerOps *self)
{
	Node *node = node_of(self);

	assert_true(node->has_last);
	memmove(&node->inbox[1], &node->inbox[0], node->inbox_count * sizeof(Parcel));
	node->inbox[0] = node->last;
	node->inbox_count++;
	node->has_last = false;
	node->net->put_back++;
}

static bool
net_has_room(PeerOps *self, uint64_t to, uint32_t length)
{
	(void) self;
	(void) to;
	(void) length;
	return true;
}

static void
net_snapshot_wanted(PeerOps *self, uint64_t from, uint64_t index)
{
	node_of(self)->wanted_from = from;
	node_of(self)->wanted_index = index;
}

static bool
net_snapshot_fetched(PeerOps *self, uint64_t *index, uint64_t *term,
					 RaftConfiguration *configuration)
{
	Node *node = node_of(self);
	RootState root;

	if (node->fetched == NULL)
		return false;
	shm_root_read(node->fetched->shm, &root);
	*index = root.applied_index;
	*term = root.applied_term;
	/* Nobody changes the members in these tests before a state is fetched. */
	*configuration = node->shm->recovered->configuration;
	node->fetched = NULL;
	return true;
}

static bool
net_snapshot_sent(PeerOps *self, uint64_t *member, bool *failed)
{
	Node *node = node_of(self);

	*member = node->sent_to;
	*failed = node->sent_failed;
	node->sent_to = 0;
	return *member != 0;
}

/* ---- the other processes -------------------------------------------------------------------- */

static void
apply(Node *node)
{
	ShmPositions *positions = node->shm->positions;
	uint64_t applied = atomic_load(&positions->applied_index);
	RootState root;
	WalRecord record;
	Status status;

	if (node->applier_stands)
		return;
	shm_root_read(node->shm, &root);
	while ((status = wal_reader_next(node->reader, positions_committed(positions), &record)) ==
		   RUSD_OK)
	{
		Seen *seen = &node->seen[node->seen_count++];

		assert_true(node->seen_count < SEEN_MAX);
		if (record.header.index != 0)
		{
			assert_int_equal(record.header.index, ++applied);
			root.applied_term = record.header.term;
		}
		seen->header = record.header;
		memcpy(&seen->entry, record.payload, sizeof(seen->entry));
		seen->hash = fixture_hash(record.payload, record.header.length);
	}
	assert_int_equal(status, RUSD_END);
	slot_acknowledge_dead(node->shm, node->shm->applier_acks, &node->deaths_seen, NULL, NULL);
	root.number = root.applied_index = applied;
	root.frames_free = FRAMES;
	shm_root_write(node->shm, &root);
	atomic_store(&positions->applied_index, applied);
	/* The buffers are larger than what a test appends, so others find there what they want. */
	atomic_store(&positions->applied_position, wal_reader_position(node->reader));
}

/* What the applier does with an order, as far as raft sees it. */
static void
install(Node *node)
{
	ShmPositions *positions = node->shm->positions;
	InstallOrder order;
	RootState root;

	shm_install_read(node->shm, &order);
	if (!node->installs || order.count == atomic_load(&node->shm->requests->install_done))
		return;
	assert_int_equal(order.log_begin, atomic_load(&positions->appended));
	/* All that raft knew to be committed before the order is applied. */
	assert_true(wal_reader_next(node->reader, positions_committed(positions), &(WalRecord){0}) ==
				RUSD_END);
	shm_root_read(node->shm, &root);
	root.number = root.applied_index = order.index;
	root.applied_term = order.term;
	shm_root_write(node->shm, &root);
	atomic_store(&positions->log_begin, order.log_begin);
	wal_reader_destroy(node->reader);
	assert_int_equal(wal_reader_create(node->shm, NULL, order.log_begin, &node->reader), RUSD_OK);
	atomic_store(&positions->applied_index, order.index);
	atomic_store(&node->shm->requests->install_status, RUSD_OK);
	atomic_store(&node->shm->requests->install_done, order.count);
	node->installed = order.index;
}

static ControlState
control(const Node *node)
{
	ControlState state;

	shm_control_read(node->shm, &state);
	return state;
}

/* Everybody takes turns until nobody has anything to do. */
static void
settle(Net *net)
{
	bool did;

	do
	{
		did = false;
		for (uint32_t i = 0; i < MEMBERS; i++)
		{
			Node *node = &net->nodes[i];
			uint64_t sleep_ns;
			Status status;

			if (node->paused)
				continue;
			did |= fixture_flush(node->shm, !node->disk_stands);
			apply(node);
			install(node);
			status = consensus_step(node->consensus, &sleep_ns);
			assert_true(status == RUSD_OK || status == RUSD_AGAIN);
			did |= status == RUSD_OK || sleep_ns == 0;
		}
	} while (did);
}

static void
ticks(Net *net, int count)
{
	for (int i = 0; i < count; i++)
	{
		net->now_ns += 100 * MS;
		settle(net);
	}
}

static Node *
leader(Net *net)
{
	Node *found = NULL;

	for (uint32_t i = 0; i < MEMBERS; i++)
		if (control(&net->nodes[i]).role == ROLE_LEADER &&
			(found == NULL || control(&net->nodes[i]).term > control(found).term))
			found = &net->nodes[i];
	assert_non_null(found);
	return found;
}

static Node *
follower(Net *net)
{
	Node *leads = leader(net);

	return &net->nodes[leads == &net->nodes[0] ? 1 : 0];
}

static void
isolate(Net *net, const Node *node, bool cut)
{
	for (uint32_t i = 0; i < MEMBERS; i++)
		net->cut[i][node - net->nodes] = net->cut[node - net->nodes][i] = cut;
}

/* What is under way to it. */
static void
lose_all(Node *node)
{
	for (uint32_t i = 0; i < node->inbox_count; i++)
		free(node->inbox[i].bytes);
	node->inbox_count = 0;
}

static void
begin_node(Net *net, uint32_t number)
{
	Node *node = &net->nodes[number];
	ConsensusOptions options = {.clock = &net->clock,
								.peers = &node->ops,
								.heartbeat_ns = 100 * MS,
								.raft = {.election_ticks = ELECTION,
										 .ill_ticks = 2 * ELECTION,
										 .window_bytes = 1 << 20,
										 .message_bytes = 1 << 14}};
	struct
	{
		EntryHeader header;
		EntryMember member;
		uint32_t name_length;
		char name[4];
	} publication = {
		.member = {.member_id = number + 1, .action = MEMBER_PUBLISH, .name_length = 4},
		.name_length = 4,
		.name = "node"};
	NodeRecovered *found;

	node->ops = (PeerOps){.receive = net_receive,
						  .put_back = net_put_back,
						  .send = net_send,
						  .has_room = net_has_room,
						  .snapshot_wanted = net_snapshot_wanted,
						  .snapshot_fetched = net_snapshot_fetched,
						  .snapshot_sent = net_snapshot_sent};
	node->net = net;
	node->id = number + 1;
	node->seen = calloc(SEEN_MAX, sizeof(*node->seen));
	node->inbox = calloc(QUEUE_MAX, sizeof(*node->inbox));
	assert_true(node->seen != NULL && node->inbox != NULL);
	node->shm = fixture_shm(8, false);
	node->shm->incarnation = 1000 + number; /* every run is the same */
	found = node->shm->recovered;
	found->cluster_id = 0x777;
	found->member_id = node->id;
	found->hard_state = (HardState){.term = 1};
	found->configuration.member_count = MEMBERS;
	for (uint32_t i = 0; i < MEMBERS; i++)
		found->configuration.members[i].id = i + 1;
	found->log_end = found->commit_position = found->replay_position = WAL_HEADER_BYTES;
	atomic_store(&node->shm->positions->appended, WAL_HEADER_BYTES);
	atomic_store(&node->shm->positions->applied_position, WAL_HEADER_BYTES);
	(void) fixture_flush(node->shm, !node->disk_stands);
	assert_int_equal(wal_reader_create(node->shm, NULL, WAL_HEADER_BYTES, &node->reader), RUSD_OK);
	options.request_max = consensus_request_max(&node->shm->layout);
	options.publication =
		(Bytes){(const uint8_t *) &publication, offsetof(__typeof__(publication), name) + 4};
	assert_int_equal(consensus_create(node->shm, &options, &node->consensus), RUSD_OK);
}

static Net *
begin_net(void)
{
	Net *net = calloc(1, sizeof(*net));

	assert_non_null(net);
	net->clock.monotonic_ns = clock_now;
	net->now_ns = 1000 * MS;
	for (uint32_t i = 0; i < MEMBERS; i++)
		begin_node(net, i);
	return net;
}

/* A leader, and all have made themselves known. */
static Net *
begin_ready(void)
{
	Net *net = begin_net();

	ticks(net, 40);
	for (uint32_t i = 0; i < MEMBERS; i++)
		assert_int_equal(control(&net->nodes[i]).ready, 1);
	return net;
}

static void
check_same(const Net *net)
{
	for (uint32_t i = 1; i < MEMBERS; i++)
	{
		assert_int_equal(net->nodes[i].seen_count, net->nodes[0].seen_count);
		for (uint32_t n = 0; n < net->nodes[0].seen_count; n++)
		{
			assert_int_equal(net->nodes[i].seen[n].hash, net->nodes[0].seen[n].hash);
			assert_int_equal(net->nodes[i].seen[n].header.term, net->nodes[0].seen[n].header.term);
		}
	}
}

static void
end_net(Net *net)
{
	for (uint32_t i = 0; i < MEMBERS; i++)
	{
		Node *node = &net->nodes[i];

		consensus_destroy(node->consensus);
		wal_reader_destroy(node->reader);
		shm_destroy(node->shm);
		forget_last(node);
		lose_all(node);
		free(node->inbox);
		free(node->seen);
	}
	free(net);
}

/* ---- backends ------------------------------------------------------------------------------- */

typedef struct Backend
{
	Node *node;
	ProposalWriter writer;
} Backend;

static Backend
begin_backend(Node *node)
{
	Backend backend = {.node = node};
	uint32_t slot;

	assert_true(slot_allocate(node->shm, &slot));
	proposal_writer_init(&backend.writer, node->shm, slot);
	return backend;
}

static uint64_t
put_into_ring(Backend *backend, uint32_t kind, uint8_t *payload, uint32_t length)
{
	ProposalPiece head = {.sequence = proposal_begin(&backend->writer),
						  .total_length = length,
						  .kind = (uint16_t) kind};
	uint32_t offset = 0;

	assert_true(proposal_put(&backend->writer, &head, payload, &offset));
	return head.sequence;
}

static uint64_t
propose(Backend *backend, uint32_t value_length)
{
	OpHeader template = {.kind = OP_PUT};
	Bytes key = {(const uint8_t *) "key", 3}, none = {NULL, 0};
	uint8_t value[8192] = {0};
	alignas(8) uint8_t payload[9000] = {0};
	uint32_t length;

	assert_true(value_length <= sizeof(value));
	length = op_encode(payload + sizeof(EntryHeader), &template, key, none,
					   (Bytes){value, value_length});
	return put_into_ring(backend, ENTRY_PUT, payload, sizeof(EntryHeader) + length);
}

static uint64_t
ask_for_read(Backend *backend)
{
	alignas(8) uint8_t payload[sizeof(EntryHeader)] = {0};

	return put_into_ring(backend, ENTRY_READ_INDEX, payload, sizeof(payload));
}

static uint64_t
propose_change(Backend *backend, uint64_t member, MemberAction action, bool is_learner,
			   uint64_t judged_at)
{
	struct
	{
		EntryHeader header;
		EntryMember member;
		uint32_t name_length;
	} change = {.member = {.member_id = member,
						   .action = action,
						   .is_learner = is_learner,
						   .max_learners = 1,
						   .judged_at = judged_at}};

	return put_into_ring(backend, ENTRY_MEMBER, (uint8_t *) &change,
						 offsetof(__typeof__(change), name_length) + 4);
}

static uint64_t
propose_transfer(Backend *backend, uint64_t target)
{
	struct
	{
		EntryHeader header;
		EntryTransfer transfer;
	} request = {.transfer = {.target = target}};

	return put_into_ring(backend, ENTRY_TRANSFER, (uint8_t *) &request, sizeof(request));
}

/* What raft has answered; RUSD_AGAIN with sequence 0: nothing. */
static Reply
answer(Backend *backend)
{
	Reply reply = {.status = RUSD_AGAIN};

	(void) reply_take(&backend->writer, &reply);
	return reply;
}

/* How often has that member's applier been handed this request? */
static uint32_t
times_applied(const Node *node, const Backend *backend, uint64_t sequence)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < node->seen_count; i++)
	{
		const RequestId *id = &node->seen[i].entry.id;

		count += id->member_id == backend->node->id && id->slot == backend->writer.slot &&
				 id->sequence == sequence && id->incarnation == backend->node->shm->incarnation;
	}
	return count;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void
three_elect_one_and_hold_the_same(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	Backend backend = begin_backend(leads);
	uint64_t sequence = 0;

	(void) state;
	for (int i = 0; i < 200; i++)
	{
		sequence = propose(&backend, 100);
		if (i % 7 == 0)
			settle(net);
		if (!proposal_may_begin(&backend.writer))
			backend.writer.outstanding = 0;
	}
	settle(net);
	ticks(net, 2);
	check_same(net);
	for (uint32_t i = 0; i < MEMBERS; i++)
	{
		assert_int_equal(times_applied(&net->nodes[i], &backend, sequence), 1);
		assert_int_equal(control(&net->nodes[i]).leader_id, leads->id);
		assert_int_equal(control(&net->nodes[i]).reads_are_local, 0);
		assert_int_equal(control(&net->nodes[i]).voters_count, MEMBERS);
	}
	end_net(net);
}

/* Two disks suffice, the leader's own is not needed. */
static void
a_leader_commits_without_its_own_disk(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	Backend backend = begin_backend(leads);
	uint64_t sequence;

	(void) state;
	leads->disk_stands = true;
	sequence = propose(&backend, 10);
	settle(net);
	assert_int_equal(times_applied(leads, &backend, sequence), 1);
	assert_true(atomic_load(&leads->shm->positions->committed_by_peers) >
				atomic_load(&leads->shm->positions->flushed));
	end_net(net);
}

/* What is the matter with the leader ends the lead, not before its time, and is told; it ends when that ends. */
static void
hands_over_when(Net *net, uint64_t ill)
{
	Node *leads = leader(net);
	Backend backend = begin_backend(leads);

	leads->disk_stands = ill == ILL_FLUSH;
	leads->applier_stands = ill == ILL_APPLY;
	if (ill == ILL_PAGES)
		marks_set(leads->shm->page_marks, PROC_BACKEND); /* and no pager takes it */
	(void) propose(&backend, 10);
	ticks(net, 2 * ELECTION - 1);
	assert_ptr_equal(leader(net), leads);
	assert_int_equal(control(leads).ills, 0);
	ticks(net, 3);
	assert_ptr_not_equal(leader(net), leads);
	ticks(net, 4 * ELECTION);
	assert_ptr_not_equal(leader(net), leads);
	assert_int_equal(control(leads).ills, ill);
	for (uint32_t i = 0; i < MEMBERS; i++)
		assert_true(&net->nodes[i] == leads || control(&net->nodes[i]).ills == 0);
	leads->disk_stands = leads->applier_stands = false;
	atomic_store(&leads->shm->page_marks->words[0], 0);
	ticks(net, 2);
	assert_int_equal(control(leads).ills, 0);
}

static void
a_leader_that_does_not_get_on_hands_over(void **state)
{
	Net *net = begin_ready();

	(void) state;
	hands_over_when(net, ILL_FLUSH);
	hands_over_when(net, ILL_APPLY);
	hands_over_when(net, ILL_PAGES);
	end_net(net);
}

/* One entry may take the applier long; and it may wait for pages that are read one after the other. */
static void
who_gets_on_slowly_is_not_ill(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	ShmPositions *positions = leads->shm->positions;
	Backend backend = begin_backend(leads);

	(void) state;
	leads->applier_stands = true;
	(void) propose(&backend, 10);
	for (int i = 0; i < 4 * ELECTION; i++)
	{
		atomic_fetch_add(&positions->pages_taken, 1);
		ticks(net, ELECTION);
		assert_ptr_equal(leader(net), leads);
	}
	atomic_store(&leads->shm->areas[PROC_APPLIER]->page_wanted, 7);
	for (int i = 0; i < 4 * ELECTION; i++)
	{
		atomic_fetch_add(&positions->page_service, 2);
		ticks(net, ELECTION);
		assert_ptr_equal(leader(net), leads);
	}
	assert_int_equal(control(leads).ills, 0);
	/* The pager is in the midst of a read, and stays there. */
	atomic_fetch_add(&positions->page_service, 1);
	ticks(net, 2 * ELECTION + 3);
	assert_int_equal(control(leads).ills, ILL_APPLY | ILL_PAGES);
	end_net(net);
}

/* All of it stood still, and nothing has gone wrong. */
static void
a_pause_is_no_illness(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	Backend backend = begin_backend(leads);

	(void) state;
	leads->applier_stands = true;
	(void) propose(&backend, 10);
	ticks(net, 1);
	net->now_ns += 10 * 1000 * MS;
	leads->applier_stands = false;
	settle(net);
	assert_int_equal(control(leads).ills, 0);
	end_net(net);
}

static void
nothing_is_acknowledged_before_it_is_flushed(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	Backend backend = begin_backend(leads);
	uint64_t sequence;

	(void) state;
	for (uint32_t i = 0; i < MEMBERS; i++)
		net->nodes[i].disk_stands = &net->nodes[i] != leads;
	sequence = propose(&backend, 10);
	ticks(net, 3);
	assert_int_equal(times_applied(leads, &backend, sequence), 0);
	follower(net)->disk_stands = false;
	settle(net);
	assert_int_equal(times_applied(leads, &backend, sequence), 1);
	end_net(net);
}

static void
a_proposal_is_forwarded_once(void **state)
{
	Net *net = begin_ready();
	Node *follows = follower(net);
	Backend backend = begin_backend(follows);
	uint64_t first, second;

	(void) state;
	net->double_proposals = true;
	first = propose(&backend, 10);
	second = propose(&backend, 5000);
	settle(net);
	ticks(net, 30);
	for (uint32_t i = 0; i < MEMBERS; i++)
	{
		assert_int_equal(times_applied(&net->nodes[i], &backend, first), 1);
		assert_int_equal(times_applied(&net->nodes[i], &backend, second), 1);
	}
	/* Its own applier answers it, and raft does not. */
	assert_int_equal(answer(&backend).sequence, 0);
	check_same(net);
	end_net(net);
}

/* To this member's own applier, and nobody else: through its log all the same, without an entry behind. */
static void
a_follower_takes_local_requests(void **state)
{
	Net *net = begin_ready();
	Node *follows = follower(net);
	Backend backend = begin_backend(follows);
	alignas(8) uint8_t payload[sizeof(EntryHeader)] = {0};
	uint32_t sent = net->sent[PEER_PROPOSE];
	uint64_t sequence;

	(void) state;
	sequence = put_into_ring(&backend, ENTRY_DEFRAGMENT, payload, sizeof(payload));
	settle(net);
	assert_int_equal(times_applied(follows, &backend, sequence), 1);
	assert_int_equal(times_applied(leader(net), &backend, sequence), 0);
	assert_int_equal(net->sent[PEER_PROPOSE], sent);
	end_net(net);
}

static void
what_a_leader_refuses_is_told(void **state)
{
	Net *net = begin_ready();
	Node *follows = follower(net);
	Backend backend = begin_backend(follows);
	Reply reply;

	(void) state;
	atomic_store(&leader(net)->shm->segments->no_room, 1);
	(void) propose(&backend, 10);
	settle(net);
	reply = answer(&backend);
	assert_int_equal(reply.sequence, 1);
	assert_int_equal(reply.status, RUSD_NOSPACE);
	atomic_store(&leader(net)->shm->segments->no_room, 0);
	/* Its own disk is no reason. */
	atomic_store(&follows->shm->segments->no_room, 1);
	(void) propose(&backend, 10);
	settle(net);
	assert_int_equal(times_applied(follows, &backend, 2), 1);
	end_net(net);
}

static void
what_is_lost_on_the_way_is_found_out(void **state)
{
	Net *net = begin_ready();
	Node *follows = follower(net);
	Backend backend = begin_backend(follows);
	Reply reply;

	(void) state;
	net->lose_proposals = true;
	(void) propose(&backend, 10);
	settle(net);
	net->lose_proposals = false;
	(void) propose(&backend, 10);
	settle(net);
	assert_int_equal(answer(&backend).sequence, 0);
	ticks(net, 25);
	reply = answer(&backend);
	assert_int_equal(reply.sequence, 1);
	assert_int_equal(reply.status, RUSD_LEADER_CHANGED);
	assert_int_equal(answer(&backend).sequence, 0);
	assert_int_equal(times_applied(follows, &backend, 1), 0);
	assert_int_equal(times_applied(follows, &backend, 2), 1);
	end_net(net);
}

static void
without_a_leader_proposals_wait_in_their_rings(void **state)
{
	Net *net = begin_ready();
	Node *follows = follower(net);
	Backend backend = begin_backend(follows);
	uint32_t sent;

	(void) state;
	isolate(net, follows, true);
	ticks(net, 25);
	assert_int_equal(control(follows).leader_id, 0);
	sent = net->sent[PEER_PROPOSE];
	(void) propose(&backend, 10);
	ticks(net, 10);
	assert_int_equal(net->sent[PEER_PROPOSE], sent);
	assert_int_equal(answer(&backend).sequence, 0);
	isolate(net, follows, false);
	ticks(net, 40);
	assert_int_equal(times_applied(follows, &backend, 1), 1);
	check_same(net);
	end_net(net);
}

/* A leader that is cut off; its entries are voided by the next one's. */
static void
what_a_later_term_leaves_behind_was_not_appended(void **state)
{
	Net *net = begin_ready();
	Node *deposed = leader(net);
	Node *follows = follower(net);
	Backend there = begin_backend(deposed);
	Backend here = begin_backend(follows);
	Backend winner;
	uint64_t term = control(deposed).term;
	Reply reply;

	(void) state;
	/* What it appends nobody gets; what is sent to it does not arrive in time. */
	isolate(net, deposed, true);
	(void) propose(&there, 10);
	(void) propose(&there, 10);
	(void) propose(&here, 10);
	settle(net);
	assert_int_equal(answer(&there).sequence, 0);
	ticks(net, 40);
	assert_true(control(leader(net)).term > term);
	assert_ptr_not_equal(leader(net), deposed);
	/* The follower has applied an entry of the later term. */
	reply = answer(&here);
	assert_int_equal(reply.sequence, 1);
	assert_int_equal(reply.status, RUSD_LEADER_CHANGED);
	winner = begin_backend(leader(net));
	for (int i = 0; i < 5; i++)
		(void) propose(&winner, 20);
	settle(net);
	assert_int_equal(answer(&there).sequence, 0); /* it has not learnt of it */
	isolate(net, deposed, false);
	ticks(net, 40);
	assert_int_equal(answer(&there).status, RUSD_LEADER_CHANGED);
	assert_int_equal(answer(&there).status, RUSD_LEADER_CHANGED);
	assert_int_equal(answer(&there).sequence, 0);
	assert_int_equal(answer(&here).sequence, 0);
	assert_int_equal(times_applied(deposed, &there, 1), 0);
	assert_int_equal(times_applied(deposed, &here, 1), 0);
	assert_int_equal(times_applied(deposed, &winner, 5), 1);
	check_same(net);
	end_net(net);
}

static void
reads_are_confirmed_by_a_majority(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	Node *follows = follower(net);
	Backend there = begin_backend(leads);
	Backend here = begin_backend(follows);
	Reply reply;

	(void) state;
	(void) propose(&there, 10);
	settle(net);
	(void) ask_for_read(&there);
	(void) ask_for_read(&here);
	(void) ask_for_read(&here);
	settle(net);
	for (int i = 0; i < 3; i++)
	{
		reply = answer(i == 0 ? &there : &here);
		assert_int_equal(reply.status, RUSD_OK);
		assert_int_equal(reply.value, control(leads).commit_index);
	}
	/* Who is cut off knows nothing. */
	isolate(net, leads, true);
	(void) ask_for_read(&there);
	(void) ask_for_read(&here);
	settle(net);
	assert_int_equal(answer(&there).sequence, 0);
	assert_int_equal(answer(&here).sequence, 0);
	ticks(net, 40);
	assert_int_equal(answer(&there).sequence, 0);
	/* The others have another leader by now, and ask that one. */
	reply = answer(&here);
	assert_int_equal(reply.status, RUSD_OK);
	assert_int_equal(reply.value, control(leader(net)).commit_index);
	isolate(net, leads, false);
	ticks(net, 40);
	reply = answer(&there);
	assert_int_equal(reply.status, RUSD_OK);
	assert_true(reply.value >= control(leader(net)).commit_index - 1);
	end_net(net);
}

static void
members_change_one_by_one(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	Node *follows = follower(net);
	Backend there = begin_backend(leads);
	Backend here = begin_backend(follows);
	uint64_t index;

	(void) state;
	assert_int_equal(control(follows).configuration_index, 0);
	(void) propose_change(&there, 9, MEMBER_ADD, true, 77);
	(void) propose_change(&there, leads->id, MEMBER_ADD, false, 0);
	(void) propose_change(&there, 8, MEMBER_REMOVE, false, 0);
	(void) propose_change(&there, 2, MEMBER_PROMOTE, false, 0);
	settle(net);
	assert_int_equal(answer(&there).status, RUSD_AGAIN);
	assert_int_equal(answer(&there).status, RUSD_MEMBER_EXISTS);
	assert_int_equal(answer(&there).status, RUSD_MEMBER_NOT_FOUND);
	assert_int_equal(answer(&there).status, RUSD_MEMBER_NOT_LEARNER);
	/* Two at once: the second waits for the first to be in use, and then was judged by another. */
	(void) propose_change(&there, 9, MEMBER_ADD, true, 0);
	(void) propose_change(&there, 8, MEMBER_ADD, true, 0);
	settle(net);
	assert_int_equal(answer(&there).status, RUSD_AGAIN);
	ticks(net, 2);
	index = control(leads).configuration_index;
	assert_true(index != 0);
	for (uint32_t i = 0; i < MEMBERS; i++)
	{
		assert_int_equal(control(&net->nodes[i]).configuration_index, index);
		assert_int_equal(control(&net->nodes[i]).voters_count, MEMBERS);
	}
	/* From a follower. */
	(void) propose_change(&here, 8, MEMBER_ADD, true, index);
	(void) propose_change(&here, 9, MEMBER_PROMOTE, false, index);
	settle(net);
	assert_int_equal(answer(&here).status, RUSD_TOO_MANY_LEARNERS);
	assert_int_equal(answer(&here).status, RUSD_LEARNER_NOT_READY);
	(void) propose_change(&here, 9, MEMBER_REMOVE, false, index);
	settle(net);
	ticks(net, 2);
	assert_int_equal(answer(&here).sequence, 0);
	assert_true(control(follows).configuration_index > index);
	/* The leader is removed; the others go on. */
	(void) propose_change(&there, leads->id, MEMBER_REMOVE, false,
						  control(leads).configuration_index);
	ticks(net, 40);
	assert_ptr_not_equal(leader(net), leads);
	assert_int_equal(control(leader(net)).voters_count, MEMBERS - 1);
	end_net(net);
}

/* MAINT-40 to MAINT-42 */
static void
a_leader_hands_over_to_whom_it_is_told(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	Node *follows = follower(net);
	Backend there = begin_backend(leads);
	Backend here = begin_backend(follows);
	uint64_t term = control(leads).term;

	(void) state;
	(void) propose_transfer(&here, follows->id);
	(void) propose_transfer(&there, 99);
	(void) propose_transfer(&there, leads->id);
	settle(net);
	assert_int_equal(answer(&here).status, RUSD_NOT_LEADER);
	assert_int_equal(answer(&there).status, RUSD_BAD_TRANSFEREE);
	assert_int_equal(answer(&there).status, RUSD_OK);
	assert_ptr_equal(leader(net), leads);
	(void) propose_transfer(&there, follows->id);
	settle(net);
	assert_int_equal(answer(&there).status, RUSD_OK);
	ticks(net, 2);
	assert_ptr_equal(leader(net), follows);
	assert_int_equal(control(leads).leader_id, follows->id);
	assert_int_equal(control(leads).term, term + 1);
	/* Not to a learner. */
	(void) propose_change(&here, 9, MEMBER_ADD, true, 0);
	settle(net);
	ticks(net, 2);
	(void) propose_transfer(&here, 9);
	settle(net);
	assert_int_equal(answer(&here).status, RUSD_BAD_TRANSFEREE);
	end_net(net);
}

static Node *
other_than(Net *net, const Node *first, const Node *second)
{
	for (uint32_t i = 0; i < MEMBERS; i++)
		if (&net->nodes[i] != first && &net->nodes[i] != second)
			return &net->nodes[i];
	return NULL;
}

/* The leader's own stay in their rings; one that was forwarded comes back, and what follows it waits. */
static void
proposals_wait_for_who_takes_over(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	Node *takes = follower(net);
	Node *third = other_than(net, leads, takes);
	Backend there = begin_backend(leads), here = begin_backend(third), asks = begin_backend(leads);
	uint64_t last_index = control(leads).last_index, sequence;
	uint32_t sent;

	(void) state;
	takes->paused = true;
	(void) propose_transfer(&asks, takes->id);
	settle(net);
	assert_int_equal(answer(&asks).status, RUSD_OK);
	sequence = propose(&there, 10);
	(void) propose(&here, 10);
	settle(net);
	assert_int_equal(control(leads).last_index, last_index);
	assert_int_equal(answer(&there).sequence, 0);
	assert_int_equal(answer(&here).status, RUSD_LEADER_CHANGED);
	sent = net->sent[PEER_PROPOSE];
	(void) propose(&here, 10);
	settle(net);
	assert_int_equal(net->sent[PEER_PROPOSE], sent);
	takes->paused = false;
	settle(net);
	assert_ptr_equal(leader(net), takes);
	assert_int_equal(times_applied(leads, &there, sequence), 1);
	assert_int_equal(times_applied(third, &here, 1), 0);
	assert_int_equal(times_applied(third, &here, 2), 1);
	assert_int_equal(answer(&there).sequence, 0); /* by its applier */
	check_same(net);
	end_net(net);
}

/* A target that never comes: the leader leads on, and nobody has noticed. */
static void
a_transfer_in_vain_costs_time_only(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	Node *takes = follower(net);
	Node *third = other_than(net, leads, takes);
	Backend there = begin_backend(leads), here = begin_backend(third), asks = begin_backend(leads);
	uint64_t first, second;

	(void) state;
	takes->paused = true;
	(void) propose_transfer(&asks, takes->id);
	settle(net);
	first = propose(&there, 10);
	(void) propose(&here, 10);
	settle(net);
	assert_int_equal(answer(&here).status, RUSD_LEADER_CHANGED);
	second = propose(&here, 10);
	ticks(net, 9);
	assert_int_equal(times_applied(leads, &there, first), 0);
	/* It asks again at each heartbeat, and no more often. */
	assert_true(net->sent[PEER_PROPOSE] <= 11);
	while (answer(&here).sequence != 0)
		second = propose(&here, 10);
	ticks(net, 3);
	assert_ptr_equal(leader(net), leads);
	assert_int_equal(times_applied(leads, &there, first), 1);
	assert_int_equal(times_applied(third, &here, second), 1);
	end_net(net);
}

/* RAFT-33: one transfer after the other, and none gets anywhere. */
static void
after_an_election_timeout_of_transfers_proposals_are_dropped(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	Node *takes = follower(net);
	Node *third = other_than(net, leads, takes);
	Backend there = begin_backend(leads), asks = begin_backend(leads);
	uint64_t sequence;

	(void) state;
	takes->disk_stands = third->disk_stands = true;
	(void) propose(&there, 10); /* that they do not acknowledge */
	settle(net);
	(void) propose_transfer(&asks, takes->id);
	settle(net);
	sequence = propose(&there, 10);
	ticks(net, 6);
	assert_int_equal(answer(&there).sequence, 0);
	(void) propose_transfer(&asks, third->id);
	ticks(net, 5);
	{
		Reply reply = answer(&there);

		assert_int_equal(reply.sequence, sequence);
		assert_int_equal(reply.status, RUSD_PROPOSAL_DROPPED);
	}
	takes->disk_stands = third->disk_stands = false;
	settle(net);
	assert_int_equal(times_applied(leads, &there, sequence), 0);
	end_net(net);
}

/* What its clients still ask goes to the next leader, until it leaves. */
static void
who_stops_hands_over(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	Backend backend = begin_backend(leads);

	(void) state;
	atomic_store(&leads->shm->requests->stop_wanted, 1);
	(void) propose(&backend, 10);
	settle(net);
	assert_ptr_not_equal(leader(net), leads);
	assert_int_equal(times_applied(leads, &backend, 1), 1);
	(void) propose(&backend, 10);
	settle(net);
	assert_int_equal(times_applied(leads, &backend, 2), 1);
	atomic_store(&leads->shm->requests->stop_wanted, 2);
	(void) propose(&backend, 10);
	settle(net);
	assert_int_equal(answer(&backend).status, RUSD_STOPPED);
	settle(net);
	assert_true(consensus_is_finished(leads->consensus));
	/* One without anybody to hand over to waits no longer than an election. */
	leads = leader(net);
	for (uint32_t i = 0; i < MEMBERS; i++)
		net->nodes[i].paused = &net->nodes[i] != leads;
	atomic_store(&leads->shm->requests->stop_wanted, 2);
	settle(net);
	assert_int_equal(control(leads).role, ROLE_LEADER);
	assert_false(consensus_is_finished(leads->consensus));
	ticks(net, 11);
	assert_true(consensus_is_finished(leads->consensus));
	end_net(net);
}

/* Its disk stands still until its buffers are full: entries wait, votes and heartbeats do not. */
static void
a_full_log_leaves_entries_where_they_are(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	Node *follows = follower(net);
	Backend backend = begin_backend(leads);
	uint64_t limit = follows->shm->layout.wal_buffer_bytes;
	uint64_t sequence = 0;

	(void) state;
	/* Nothing is let go of here, so the test's carrier can read all of it: a small part is enough. */
	atomic_store(&follows->shm->segments->ready_end, 0);
	for (int i = 0; i < 20; i++)
	{
		follows->paused = true;
		sequence = propose(&backend, 8000);
		settle(net);
		follows->paused = false;
		{
			uint64_t sleep_ns;

			assert_int_equal(consensus_step(follows->consensus, &sleep_ns), RUSD_OK);
		}
	}
	assert_true(net->put_back > 0);
	assert_true(atomic_load(&follows->shm->positions->appended) < limit);
	assert_int_equal(times_applied(leads, &backend, sequence), 1);
	assert_int_equal(times_applied(follows, &backend, sequence), 0);
	assert_int_equal(control(follows).leader_id, leads->id);
	ticks(net, 3);
	assert_int_equal(times_applied(follows, &backend, sequence), 1);
	check_same(net);
	end_net(net);
}

/* Cut off, while the others give up the log that it lacks: it gets their state, and goes on behind it. */
static void
a_state_takes_the_place_of_the_log(void **state)
{
	Net *net = begin_ready();
	Node *leads = leader(net);
	Node *follows = follower(net);
	Backend there = begin_backend(leads);
	Backend here = begin_backend(follows);
	uint64_t open, sequence = 0;
	Reply reply;

	(void) state;
	follows->installs = false;
	/* Its proposal is in what it will get as a state, and never goes through its applier. */
	open = propose(&here, 10);
	net->cut[leads - net->nodes][follows - net->nodes] = true;
	settle(net);
	assert_int_equal(times_applied(leads, &here, open), 1);
	for (int i = 0; i < 20; i++)
		(void) propose(&there, 100);
	settle(net);
	atomic_store(&leads->shm->segments->compacted, control(leads).commit_index);
	net->cut[leads - net->nodes][follows - net->nodes] = false;
	lose_all(follows);
	ticks(net, 5);
	assert_int_equal(follows->wanted_from, leads->id);
	assert_true(follows->wanted_index <= control(leads).commit_index);
	/* Fetched, ordered, and not installed yet: nothing is appended meanwhile, but it follows and votes. */
	follows->fetched = leads;
	sequence = propose(&there, 100);
	ticks(net, 15);
	assert_int_equal(control(follows).leader_id, leads->id);
	assert_true(control(follows).last_index < control(leads).last_index - 20);
	assert_int_equal(answer(&here).sequence, 0);
	follows->installs = true;
	leads->sent_to = follows->id;
	settle(net);
	assert_true(follows->installed != 0);
	ticks(net, 5);
	assert_int_equal(control(follows).last_index, control(leads).last_index);
	assert_int_equal(times_applied(follows, &there, sequence), 1);
	assert_int_equal(times_applied(follows, &here, open), 0);
	/* What became of the open one is not known here: its backend is told so. */
	ticks(net, 25);
	reply = answer(&here);
	assert_int_equal(reply.sequence, open);
	assert_int_equal(reply.status, RUSD_TIMEOUT_CONNECTION_LOST);
	sequence = propose(&here, 10);
	settle(net);
	assert_int_equal(times_applied(follows, &here, sequence), 1);
	/* One that comes when it is needed no more is not installed. */
	follows->installed = 0;
	follows->fetched = leads;
	ticks(net, 3);
	assert_int_equal(follows->installed, 0);
	end_net(net);
}

/* ---- what comes is input -------------------------------------------------------------------- */

typedef struct Sample
{
	PeerMessage message;
	alignas(8) uint8_t bytes[512];
} Sample;

static void
add_record(Sample *sample, uint64_t index, uint64_t term)
{
	OpHeader template = {.kind = OP_PUT};
	Bytes key = {(const uint8_t *) "k", 1}, none = {NULL, 0};
	uint8_t *at = sample->bytes + sample->message.entries.length;
	WalRecordHeader record = {.kind = ENTRY_PUT, .index = index, .term = term};

	memset(at, 0, 128);
	record.length = sizeof(EntryHeader) +
					op_encode(at + sizeof(record) + sizeof(EntryHeader), &template, key, none, key);
	memcpy(at, &record, sizeof(record));
	sample->message.entries.data = sample->bytes;
	sample->message.entries.length += wal_record_bytes(record.length);
}

/* Entries 6 and 7 of term 2, 8 of term 3. */
static void
make_append(Sample *sample)
{
	memset(sample, 0, sizeof(*sample));
	sample->message = (PeerMessage){.kind = PEER_RAFT,
									.raft = {.kind = MESSAGE_APPEND,
											 .from = 2,
											 .to = 1,
											 .term = 4,
											 .index = 5,
											 .log_term = 2,
											 .last_index = 8,
											 .runs = {{6, 2}, {8, 3}},
											 .run_count = 2}};
	add_record(sample, 6, 2);
	add_record(sample, 7, 2);
	add_record(sample, 8, 3);
}

static void
make_proposal(Sample *sample)
{
	make_append(sample);
	sample->message.kind = PEER_PROPOSE;
	sample->message.id.member_id = 2;
	sample->message.number = 1;
	sample->message.entry_kind = ENTRY_PUT;
	sample->message.payload = (Bytes){sample->bytes + sizeof(WalRecordHeader),
									  ((WalRecordHeader *) (void *) sample->bytes)->length};
}

#define EXPECT_BAD(make, change)                                                                   \
	do                                                                                             \
	{                                                                                              \
		make(&sample);                                                                             \
		assert_int_equal(peer_message_check(m, 1), RUSD_OK);                                       \
		change;                                                                                    \
		assert_int_equal(peer_message_check(m, 1), RUSD_INVALID);                                  \
	} while (0)

static void
what_makes_no_sense_is_seen(void **state)
{
	Sample sample;
	PeerMessage *m = &sample.message;
	WalRecordHeader *first = (WalRecordHeader *) (void *) sample.bytes;
	WalRecordHeader *second;

	(void) state;
	make_append(&sample);
	second = (WalRecordHeader *) (void *) (sample.bytes + wal_record_bytes(first->length));
	EXPECT_BAD(make_append, m->kind = PEER_KIND_COUNT);
	EXPECT_BAD(make_append, m->raft.kind = MESSAGE_KIND_COUNT);
	EXPECT_BAD(make_append, m->raft.kind = MESSAGE_HEARTBEAT); /* with entries */
	EXPECT_BAD(make_append, m->raft.to = 3);
	EXPECT_BAD(make_append, m->raft.from = 1);
	EXPECT_BAD(make_append, m->raft.from = 0);
	EXPECT_BAD(make_append, m->raft.term = 0);
	EXPECT_BAD(make_append, m->raft.term = 2); /* entries of a later term than the leader's */
	EXPECT_BAD(make_append, m->raft.index = UINT64_MAX);
	EXPECT_BAD(make_append, m->raft.index = 6);
	EXPECT_BAD(make_append, m->raft.last_index = 4);
	EXPECT_BAD(make_append, m->raft.last_index = 7);
	EXPECT_BAD(make_append, m->raft.last_index = 9);
	EXPECT_BAD(make_append, m->raft.last_index = UINT64_MAX);
	EXPECT_BAD(make_append, m->raft.log_term = 3);
	EXPECT_BAD(make_append, m->raft.run_count = 0);
	EXPECT_BAD(make_append, m->raft.run_count = 1);
	EXPECT_BAD(make_append, m->raft.run_count = RAFT_MESSAGE_RUNS + 1);
	EXPECT_BAD(make_append, m->raft.runs[0].first_index = 7);
	EXPECT_BAD(make_append, m->raft.runs[1].first_index = 7);
	EXPECT_BAD(make_append, m->raft.runs[1].first_index = 9);
	EXPECT_BAD(make_append, m->raft.runs[1].term = 1);
	EXPECT_BAD(make_append, m->raft.commit_index = UINT64_MAX);
	EXPECT_BAD(make_append, m->entries.length -= 8);
	EXPECT_BAD(make_append, m->entries.length += 8);
	EXPECT_BAD(make_append, first->length = UINT32_MAX);
	EXPECT_BAD(make_append, first->length = 0);
	EXPECT_BAD(make_append, second->index = 6);
	EXPECT_BAD(make_append, second->term = 3);
	EXPECT_BAD(make_append, second->kind = ENTRY_HARD_STATE);
	EXPECT_BAD(make_append, second->kind = ENTRY_DEFRAGMENT);
	EXPECT_BAD(make_append, second->kind = 4711);
	EXPECT_BAD(make_append, second->kind = ENTRY_TXN); /* entry_check */
	EXPECT_BAD(make_proposal, m->id.member_id = 3);
	EXPECT_BAD(make_proposal, m->number = 0);
	EXPECT_BAD(make_proposal, m->entry_kind = ENTRY_DEFRAGMENT);
	EXPECT_BAD(make_proposal, m->entry_kind = UINT32_MAX);
	EXPECT_BAD(make_proposal, m->payload.length = 12);
	EXPECT_BAD(make_proposal, m->kind = PEER_REFUSED); /* not this member's request, status OK */
	EXPECT_BAD(make_proposal, m->kind = PEER_FENCED);
}

/* Messages that are nearly right, by the hundred thousand: it goes on following its leader. */
static void
random_messages_disturb_nobody(void **state)
{
	Net *net = begin_ready();
	Node *follows = follower(net);
	Backend backend = begin_backend(follows);
	uint64_t seed = 20241125;
	uint64_t term = control(follows).term;
	uint64_t sequence;

	(void) state;
	for (int i = 0; i < 100000; i++)
	{
		Sample sample;
		PeerMessage *m = &sample.message;
		size_t flips = fixture_random(&seed) % 4;
		bool proposal = fixture_random(&seed) % 2;

		if (proposal)
			make_proposal(&sample);
		else
			make_append(&sample);
		m->raft.to = m->id.member_id = follows->id;
		m->raft.from = leader(net)->id;
		m->kind = (PeerMessageKind) (fixture_random(&seed) % (PEER_KIND_COUNT + 1));
		m->number = fixture_random(&seed) % 4;
		m->status = (Status) (fixture_random(&seed) % 60);
		m->id.incarnation = follows->shm->incarnation;
		m->id.sequence = fixture_random(&seed) % 4;
		m->id.slot = (uint32_t) fixture_random(&seed) % 16;
		m->raft.kind = (RaftMessageKind) (fixture_random(&seed) % (MESSAGE_KIND_COUNT + 1));
		if (m->raft.kind == MESSAGE_SNAPSHOT || m->raft.kind == MESSAGE_TIMEOUT_NOW)
			continue; /* they would be obeyed */
		/* Terms of the past: what is true of one's own leader's term, nobody but it can say. */
		m->raft.term = fixture_random(&seed) % term;
		while (flips-- > 0)
			sample.bytes[fixture_random(&seed) % sizeof(sample.bytes)] ^=
				(uint8_t) (1 << fixture_random(&seed) % 8);
		if (proposal)
			m->payload.length = fixture_random(&seed) % 256;
		if (m->kind == PEER_RAFT && m->raft.kind != MESSAGE_APPEND)
			m->entries.length = 0;
		put_parcel(follows, m);
		if (i % 500 == 0)
			ticks(net, 1);
	}
	sequence = propose(&backend, 10);
	settle(net);
	ticks(net, 2);
	assert_int_equal(times_applied(follows, &backend, sequence), 1);
	assert_int_equal(control(follows).term, term);
	check_same(net);
	end_net(net);
}

/* Each of them is sound, and the last election would be held in the last term. */
static void
terms_do_not_leap(void **state)
{
	static const RaftMessageKind kinds[] = {MESSAGE_VOTE, MESSAGE_VOTE_ANSWER, MESSAGE_HEARTBEAT,
											MESSAGE_APPEND_ANSWER};
	Net *net = begin_ready();
	Node *leads = leader(net);
	uint64_t term = control(leads).term;
	PeerMessage message = {.kind = PEER_RAFT};

	(void) state;
	message.raft.to = leads->id;
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		message.raft.kind = kinds[i];
		message.raft.from = i % 2 == 0 ? 99 : follower(net)->id;
		message.raft.term = (UINT64_C(1) << 62) - 2;
		put_parcel(leads, &message);
	}
	settle(net);
	assert_int_equal(control(leads).term, term);
	assert_int_equal(control(leads).role, ROLE_LEADER);
	/* It was away for a thousand elections. */
	message.raft.kind = MESSAGE_VOTE_ANSWER;
	message.raft.from = follower(net)->id;
	message.raft.term = term + 1000;
	put_parcel(leads, &message);
	settle(net);
	assert_true(control(leads).term >= term + 1000);
	end_net(net);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_elect_one_and_hold_the_same),
		cmocka_unit_test(a_leader_commits_without_its_own_disk),
		cmocka_unit_test(a_leader_that_does_not_get_on_hands_over),
		cmocka_unit_test(who_gets_on_slowly_is_not_ill),
		cmocka_unit_test(a_pause_is_no_illness),
		cmocka_unit_test(nothing_is_acknowledged_before_it_is_flushed),
		cmocka_unit_test(a_proposal_is_forwarded_once),
		cmocka_unit_test(a_follower_takes_local_requests),
		cmocka_unit_test(what_a_leader_refuses_is_told),
		cmocka_unit_test(what_is_lost_on_the_way_is_found_out),
		cmocka_unit_test(without_a_leader_proposals_wait_in_their_rings),
		cmocka_unit_test(what_a_later_term_leaves_behind_was_not_appended),
		cmocka_unit_test(reads_are_confirmed_by_a_majority),
		cmocka_unit_test(members_change_one_by_one),
		cmocka_unit_test(a_leader_hands_over_to_whom_it_is_told),
		cmocka_unit_test(proposals_wait_for_who_takes_over),
		cmocka_unit_test(a_transfer_in_vain_costs_time_only),
		cmocka_unit_test(after_an_election_timeout_of_transfers_proposals_are_dropped),
		cmocka_unit_test(who_stops_hands_over),
		cmocka_unit_test(a_full_log_leaves_entries_where_they_are),
		cmocka_unit_test(a_state_takes_the_place_of_the_log),
		cmocka_unit_test(what_makes_no_sense_is_seen),
		cmocka_unit_test(random_messages_disturb_nobody),
		cmocka_unit_test(terms_do_not_leap),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
