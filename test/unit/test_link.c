/*
 * test_link.c
 *	  Links to other members: their rings, frames, raft's carrier, and both ends of a connection in memory.
 *
 * test/unit/test_link.c
 */
#include "rusd.h"

#include "consensus/carrier.h"
#include "consensus/peerframe.h"
#include "ipc/link.h"
#include "ipc/ring.h"
#include "ipc/slot.h"
#include "net/link.h"

#include "cmocka_all.h"
#include "ipc_fixture.h"

#define OWN 11
#define OTHER 22
#define REQUEST_MAX (2 * 1024 * 1024)

static Shm *
shm_with_links(void)
{
	ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + 8,
						.link_slots = 6,
						.wal_buffer_bytes = 1024 * 1024,
						.wal_segment_bytes = 1024 * 1024,
						.frame_count = 64};
	Shm *shm;

	assert_int_equal(shm_create(&layout, false, &shm), RUSD_OK);
	return shm;
}

static void
fill(uint8_t *bytes, size_t length, uint64_t seed)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t) (fixture_random(&seed) >> 32);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static PeerMessage
an_append(void)
{
	return (PeerMessage){.kind = PEER_RAFT,
						 .raft = {.kind = MESSAGE_APPEND,
								  .from = OWN,
								  .to = OTHER,
								  .term = 5,
								  .index = 7,
								  .log_term = 4,
								  .commit_index = 6,
								  .commit_term = 4,
								  .last_index = 9,
								  .round = 77,
								  .run_count = 2,
								  .runs = {{8, 4}, {9, 5}},
								  .is_ill = true,
								  .may_be_cut = true,
								  .depends_on = 512,
								  .log_begin = 1024,
								  .log_end = 4096}};
}

static void
frames_tell_what_was_said(void **state)
{
	PeerMessage message = an_append();
	PeerMessage said;
	alignas(8) uint8_t bytes[PEER_FRAME_HEAD_MAX + 16];
	Bytes body;
	uint32_t length = peer_frame_encode(&message, 16, bytes);

	(void) state;
	fill(bytes + length, 16, 1);
	body = (Bytes){bytes + length, 16};
	/* In a ring: all of it. */
	assert_int_equal(peer_frame_decode(bytes, length + 16, &said), RUSD_OK);
	assert_memory_equal(&said.raft, &message.raft, sizeof(said.raft));
	assert_ptr_equal(said.entries.data, body.data);
	assert_int_equal(said.entries.length, 16);
	/* On the wire: all but what is of one member only. */
	peer_frame_seal(bytes, length, body);
	assert_int_equal(peer_frame_unseal(bytes, length + 16), RUSD_OK);
	assert_int_equal(peer_frame_decode(bytes, length + 16, &said), RUSD_OK);
	message.raft.depends_on = message.raft.log_begin = message.raft.log_end = 0;
	message.raft.may_be_cut = false;
	assert_memory_equal(&said.raft, &message.raft, sizeof(said.raft));
}

static void
damaged_frames_are_refused(void **state)
{
	PeerMessage message = an_append();
	PeerMessage said;
	alignas(8) uint8_t bytes[PEER_FRAME_HEAD_MAX];
	uint32_t length = peer_frame_encode(&message, 0, bytes);

	(void) state;
	for (uint32_t cut = 0; cut < length; cut++)
		assert_int_equal(peer_frame_decode(bytes, cut, &said), RUSD_INVALID);
	peer_frame_seal(bytes, length, (Bytes){NULL, 0});
	for (uint32_t i = 0; i < length; i++)
	{
		bytes[i] ^= 0x10;
		assert_int_equal(peer_frame_unseal(bytes, length), RUSD_DAMAGED);
		bytes[i] ^= 0x10;
	}
	assert_int_equal(peer_frame_unseal(bytes, length), RUSD_OK);
	/* What one member tells itself comes from no other, however well it is sealed. */
	((PeerFrame *) (void *) bytes)->run_count = RAFT_MESSAGE_RUNS + 1;
	assert_int_equal(peer_frame_decode(bytes, length, &said), RUSD_INVALID);
}

/* ---- the ring from raft to a link -------------------------------------------------------------- */

static void
messages_cross_the_ring_in_order(void **state)
{
	static uint8_t sent[3 * LINK_RING_BYTES], got[3 * LINK_RING_BYTES], piece_bytes[LINK_PIECE_MAX];
	Shm *shm = shm_with_links();
	uint64_t seed = 42;
	uint32_t slot;

	(void) state;
	assert_true(slot_allocate_link(shm, LINK_CONTROL, OTHER, &slot));
	fill(sent, sizeof(sent), 7);
	for (int n = 0; n < 400; n++)
	{
		/* Now and then longer than the ring. */
		uint32_t most = n % 50 == 49 ? sizeof(sent) : 40000;
		uint32_t length = 2 + (uint32_t) (fixture_random(&seed) % (most - 2));
		uint32_t head = 1 + (uint32_t) (fixture_random(&seed) % (length - 1));
		uint32_t offset = 0, received = 0;
		bool is_in = false;

		while (received < length)
		{
			LinkPiece piece;

			if (!is_in)
				is_in = link_put(shm, slot, (Bytes){sent, head},
								 (Bytes){sent + head, length - head}, &offset);
			assert_int_equal(link_take(shm, slot, &piece, piece_bytes), RUSD_OK);
			assert_int_equal(piece.offset, received);
			assert_int_equal(piece.total_length, length);
			memcpy(got + received, piece_bytes, piece.length);
			received += piece.length;
		}
		assert_memory_equal(sent, got, length);
		assert_int_equal(link_take(shm, slot, &(LinkPiece){0}, piece_bytes), RUSD_AGAIN);
	}
	shm_destroy(shm);
}

static void
raft_is_told_when_half_of_the_ring_is_free(void **state)
{
	static uint8_t bytes[LINK_PIECE_MAX];
	Shm *shm = shm_with_links();
	LinkPiece piece;
	uint32_t slot, offset, put = 0;

	(void) state;
	assert_true(slot_allocate_link(shm, LINK_CONTROL, OTHER, &slot));
	for (offset = 0; link_put(shm, slot, (Bytes){bytes, 8000}, (Bytes){NULL, 0}, &offset); put++)
		offset = 0;
	assert_int_equal(offset, 0);
	assert_false(link_has_room(shm, slot, 8000));
	assert_false(link_want_room(shm, slot));
	for (uint32_t taken = 1; taken <= put; taken++)
	{
		latch_reset(&shm->latches[PROC_RAFT]);
		assert_int_equal(link_take(shm, slot, &piece, bytes), RUSD_OK);
		assert_int_equal(atomic_load(&shm->latches[PROC_RAFT].word),
						 (put - taken) * (sizeof(piece) + 8000) <= LINK_RING_BYTES / 2);
	}
	assert_true(link_want_room(shm, slot));
	shm_destroy(shm);
}

/* ---- the carrier ------------------------------------------------------------------------------ */

typedef struct Carried
{
	Shm *shm;
	Carrier *carrier;
	PeerOps *ops;
	uint32_t control, entries, accepted;
	ProposalWriter writer;
} Carried;

static void
carried_begin(Carried *carried)
{
	carried->shm = shm_with_links();
	assert_int_equal(carrier_create(carried->shm, REQUEST_MAX, &carried->carrier), RUSD_OK);
	carried->ops = carrier_ops(carried->carrier);
	assert_true(slot_allocate_link(carried->shm, LINK_CONTROL, OTHER, &carried->control));
	assert_true(slot_allocate_link(carried->shm, LINK_ENTRIES, OTHER, &carried->entries));
	assert_true(slot_allocate_link(carried->shm, LINK_ACCEPTED, 0, &carried->accepted));
	proposal_writer_init(&carried->writer, carried->shm, carried->accepted);
}

static void
carried_end(Carried *carried)
{
	carrier_destroy(carried->carrier);
	shm_destroy(carried->shm);
}

/* What the link of that slot takes from its ring; its length, 0: nothing. */
static uint32_t
take_message(Carried *carried, uint32_t slot, uint8_t *bytes)
{
	static uint8_t piece_bytes[LINK_PIECE_MAX];
	PeerMessage message;
	LinkPiece piece;
	uint32_t received = 0;

	while (link_take(carried->shm, slot, &piece, piece_bytes) == RUSD_OK)
	{
		memcpy(bytes + piece.offset, piece_bytes, piece.length);
		received += piece.length;
		if (received == piece.total_length)
			return received;
		/* The rest follows as there is room: at raft's next turn. */
		if (received % LINK_RING_BYTES > LINK_RING_BYTES / 2)
			assert_false(carried->ops->receive(carried->ops, true, &message));
	}
	assert_int_equal(received, 0);
	return 0;
}

static void
what_is_sent_goes_by_the_right_link(void **state)
{
	static uint8_t bytes[PEER_FRAME_HEAD_MAX];
	Carried carried;
	PeerMessage message = {.kind = PEER_RAFT, .raft = {.from = OWN, .to = OTHER, .term = 1}};
	PeerMessage said;

	(void) state;
	carried_begin(&carried);
	for (int kind = 0; kind < MESSAGE_KIND_COUNT; kind++)
	{
		uint32_t slot = kind == MESSAGE_APPEND ? carried.entries : carried.control;
		uint32_t length;

		message.raft.kind = (RaftMessageKind) kind;
		carried.ops->send(carried.ops, &message);
		length = take_message(&carried, slot, bytes);
		assert_int_equal(peer_frame_decode(bytes, length, &said), RUSD_OK);
		assert_int_equal(said.raft.kind, kind);
	}
	message.raft.to = OTHER + 1;
	carried.ops->send(carried.ops, &message); /* to nobody: lost */
	assert_int_equal(take_message(&carried, carried.control, bytes), 0);
	assert_int_equal(take_message(&carried, carried.entries, bytes), 0);
	carried_end(&carried);
}

static void
a_link_is_woken_by_the_flush_that_its_message_waits_for(void **state)
{
	Carried carried;
	PeerMessage message = {
		.kind = PEER_RAFT,
		.raft = {.kind = MESSAGE_APPEND_ANSWER, .from = OWN, .to = OTHER, .term = 1}};
	uint64_t bit;

	(void) state;
	carried_begin(&carried);
	bit = UINT64_C(1) << (carried.control % 64);
	atomic_store(&carried.shm->positions->flushed, 1000);
	message.raft.depends_on = 1001;
	carried.ops->send(carried.ops, &message);
	assert_int_equal(atomic_load(&carried.shm->latches[carried.control].word), 0);
	assert_true((atomic_load(&carried.shm->flush_marks->words[carried.control / 64]) & bit) != 0);
	message.raft.depends_on = 1000;
	carried.ops->send(carried.ops, &message);
	assert_int_equal(atomic_load(&carried.shm->latches[carried.control].word), 1);
	carried_end(&carried);
}

static void
a_proposal_longer_than_the_ring_crosses(void **state)
{
	static uint8_t payload[REQUEST_MAX], bytes[REQUEST_MAX + PEER_FRAME_HEAD_MAX];
	Carried carried;
	PeerMessage message = {.kind = PEER_PROPOSE,
						   .raft = {.from = OWN, .to = OTHER, .term = 1},
						   .payload = {payload, sizeof(payload)}};
	PeerMessage said;
	uint32_t length;

	(void) state;
	carried_begin(&carried);
	fill(payload, sizeof(payload), 3);
	/* Nobody is connected yet. */
	assert_false(carried.ops->has_room(carried.ops, OTHER, 100));
	atomic_store(&carried.shm->areas[carried.entries]->link_is_up, 1);
	assert_true(carried.ops->has_room(carried.ops, OTHER, sizeof(payload)));
	carried.ops->send(carried.ops, &message);
	assert_false(carried.ops->has_room(carried.ops, OTHER, 100));
	length = take_message(&carried, carried.entries, bytes);
	assert_int_equal(peer_frame_decode(bytes, length, &said), RUSD_OK);
	assert_int_equal(said.payload.length, sizeof(payload));
	assert_memory_equal(said.payload.data, payload, sizeof(payload));
	assert_true(carried.ops->has_room(carried.ops, OTHER, 100));
	carried_end(&carried);
}

/* What the accepted link puts into its ring. */
static void
arrives(Carried *carried, const PeerMessage *message, const uint8_t *payload, uint32_t length)
{
	static uint8_t bytes[REQUEST_MAX + PEER_FRAME_HEAD_MAX];
	uint32_t head = peer_frame_encode(message, length, bytes);
	ProposalPiece piece = {.total_length = head + length};
	uint32_t offset = 0;

	if (length > 0)
		memcpy(bytes + head, payload, length);
	assert_true(proposal_put(&carried->writer, &piece, bytes, &offset));
}

static void
entries_wait_and_others_do_not(void **state)
{
	static uint8_t payload[3000];
	Carried carried;
	PeerMessage beat = {.kind = PEER_RAFT,
						.raft = {.kind = MESSAGE_HEARTBEAT, .from = OTHER, .to = OWN, .term = 1}};
	PeerMessage propose = {.kind = PEER_PROPOSE, .raft = {.from = OTHER, .to = OWN, .term = 1}};
	PeerMessage got;

	(void) state;
	carried_begin(&carried);
	fill(payload, sizeof(payload), 9);
	arrives(&carried, &beat, NULL, 0);
	arrives(&carried, &propose, payload, sizeof(payload));
	assert_true(carried.ops->receive(carried.ops, false, &got));
	assert_int_equal(got.raft.kind, MESSAGE_HEARTBEAT);
	assert_false(carried.ops->receive(carried.ops, false, &got));
	assert_true(carried.ops->receive(carried.ops, true, &got));
	assert_int_equal(got.kind, PEER_PROPOSE);
	/* It found no room in the log, and comes again. */
	carried.ops->put_back(carried.ops);
	assert_true(carried.ops->receive(carried.ops, true, &got));
	assert_memory_equal(got.payload.data, payload, sizeof(payload));
	assert_false(carried.ops->receive(carried.ops, true, &got));
	carried_end(&carried);
}

static void
a_dead_link_leaves_nothing(void **state)
{
	Carried carried;
	PeerMessage beat = {.kind = PEER_RAFT,
						.raft = {.kind = MESSAGE_HEARTBEAT, .from = OTHER, .to = OWN, .term = 1}};
	PeerMessage got;
	uint32_t raft_seen = 0, applier_seen = 0, slot;

	(void) state;
	carried_begin(&carried);
	arrives(&carried, &beat, NULL, 0);
	beat.raft.from = OWN;
	beat.raft.to = OTHER;
	carried.ops->send(carried.ops, &beat);
	slot_mark_dead(carried.shm, carried.accepted);
	slot_mark_dead(carried.shm, carried.control);
	assert_false(carried.ops->receive(carried.ops, true, &got));
	slot_acknowledge_dead(carried.shm, carried.shm->raft_acks, &raft_seen, NULL, NULL);
	slot_acknowledge_dead(carried.shm, carried.shm->applier_acks, &applier_seen, NULL, NULL);
	assert_int_equal(slot_free_dead(carried.shm), 2);
	assert_true(slot_allocate_link(carried.shm, LINK_CONTROL, OTHER, &slot));
	assert_int_equal(slot, carried.control);
	assert_int_equal(link_take(carried.shm, slot, &(LinkPiece){0}, (uint8_t[LINK_PIECE_MAX]){0}),
					 RUSD_AGAIN);
	carried.ops->send(carried.ops, &beat); /* the new one is found */
	assert_true(atomic_load(&carried.shm->link_rings[slot - PROC_ESSENTIAL_COUNT].head) > 0);
	carried_end(&carried);
}

static void
nonsense_in_a_ring_is_dropped(void **state)
{
	Carried carried;
	PeerMessage beat = {.kind = PEER_RAFT,
						.raft = {.kind = MESSAGE_HEARTBEAT, .from = OTHER, .to = OWN, .term = 1}};
	ProposalPiece piece = {.total_length = 200};
	uint8_t noise[200];
	uint32_t offset = 0;
	PeerMessage got;

	(void) state;
	carried_begin(&carried);
	fill(noise, sizeof(noise), 5);
	assert_true(proposal_put(&carried.writer, &piece, noise, &offset));
	assert_false(carried.ops->receive(carried.ops, true, &got));
	arrives(&carried, &beat, NULL, 0);
	assert_true(carried.ops->receive(carried.ops, true, &got));
	assert_int_equal(got.raft.kind, MESSAGE_HEARTBEAT);
	carried_end(&carried);
}

/* ---- a connection ------------------------------------------------------------------------------ */

typedef struct End
{
	NetLink *link;
	char path[64];
	char field[64];
	bool is_open;
	bool refuses;
	int code; /* -1: not ended */
	char why[64];
	uint32_t messages;
	uint64_t hash; /* of all messages */
} End;

static void
on_open(void *arg, const char *path, const NetLinkField *fields, uint32_t count)
{
	End *end = arg;

	end->is_open = true;
	snprintf(end->path, sizeof(end->path), "%s", path == NULL ? "" : path);
	for (uint32_t i = 0; i < count; i++)
	{
		if (strcmp(fields[i].name, "rusd-from") == 0)
			snprintf(end->field, sizeof(end->field), "%s", fields[i].value);
	}
	if (path != NULL && end->refuses)
		net_link_refuse(end->link, 9, "cluster ID mismatch: 100%");
	else if (path != NULL)
		net_link_accept(end->link, NULL, 0);
}

static void
on_message(void *arg, const uint8_t *data, size_t length)
{
	End *end = arg;

	end->messages++;
	end->hash = end->hash * 31 + fixture_hash(data, length);
}

static void
on_end(void *arg, int grpc_code, const char *text)
{
	End *end = arg;

	end->code = grpc_code;
	snprintf(end->why, sizeof(end->why), "%s", text);
}

/* In pieces as a network may make them; false: nothing was there. */
static bool
pass(End *from, End *to, uint64_t *seed)
{
	Bytes output;
	size_t length;

	assert_int_equal(net_link_output(from->link, &output), RUSD_OK);
	if (output.length == 0)
		return false;
	length = 1 + fixture_random(seed) % output.length;
	if (net_link_receive(to->link, output.data, length) != RUSD_OK)
		to->code = -2;
	net_link_written(from->link, length);
	return to->code != -2;
}

static void
connect_ends(End *near, End *far, uint32_t message_max)
{
	NetLinkField fields[] = {{"rusd-from", "abc"}};
	NetLinkHandlers handlers = {.on_open = on_open, .on_message = on_message, .on_end = on_end};

	near->code = far->code = -1;
	handlers.arg = near;
	assert_int_equal(net_link_dial("host:1", "/rusd.raft.v1.Link/Control", fields, 1, &handlers,
								   message_max, &near->link),
					 RUSD_OK);
	handlers.arg = far;
	assert_int_equal(net_link_listen(&handlers, message_max, &far->link), RUSD_OK);
}

static void
talk(End *near, End *far)
{
	uint64_t seed = 99;
	bool more = true;

	while (more)
	{
		more = pass(near, far, &seed);
		more = pass(far, near, &seed) || more;
	}
}

static void
both_ends_talk(void **state)
{
	static uint8_t bytes[1500000];
	static const uint32_t lengths[] = {1, 8, 100, 16379, 16384, 300000, 1499999};
	End near = {0}, far = {0};
	uint64_t hash = 0;

	(void) state;
	fill(bytes, sizeof(bytes), 4);
	connect_ends(&near, &far, sizeof(bytes));
	talk(&near, &far);
	assert_true(near.is_open && far.is_open);
	assert_string_equal(far.path, "/rusd.raft.v1.Link/Control");
	assert_string_equal(far.field, "abc");
	for (size_t i = 0; i < lengthof(lengths); i++)
	{
		Bytes parts[] = {{bytes, 1}, {bytes + 1, lengths[i] - 1}};

		hash = hash * 31 + fixture_hash(bytes, lengths[i]);
		assert_int_equal(net_link_put(near.link, parts, 2), RUSD_OK);
		assert_int_equal(net_link_put(far.link, parts, 2), RUSD_OK);
	}
	net_link_ping(near.link);
	talk(&near, &far);
	assert_int_equal(near.messages, lengthof(lengths));
	assert_int_equal(far.messages, lengthof(lengths));
	assert_true(near.hash == hash && far.hash == hash);
	assert_int_equal(net_link_unsent(near.link), 0);
	assert_int_equal(near.code, -1);
	net_link_destroy(near.link);
	net_link_destroy(far.link);
}

static void
a_refusal_says_why(void **state)
{
	End near = {0}, far = {.refuses = true};

	(void) state;
	connect_ends(&near, &far, 1000);
	talk(&near, &far);
	assert_false(near.is_open);
	assert_int_equal(near.code, 9);
	assert_string_equal(near.why, "cluster ID mismatch: 100%");
	net_link_destroy(near.link);
	net_link_destroy(far.link);
}

/* Streams that are refused one by one, each by a frame that nobody takes. */
static void
who_takes_no_answers_is_not_heard(void **state)
{
	static const uint8_t preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
	NetLinkHandlers handlers = {.on_open = on_open, .on_message = on_message, .on_end = on_end};
	End far = {.code = -1};
	Status status;

	(void) state;
	handlers.arg = &far;
	assert_int_equal(net_link_listen(&handlers, 1000, &far.link), RUSD_OK);
	status = net_link_receive(far.link, preface, sizeof(preface));
	assert_int_equal(status, RUSD_OK);
	for (uint32_t id = 1; id < 4000 && status == RUSD_OK; id += 2)
	{
		const uint8_t headers[] = {0,    0,    3,   1, 5, 0, 0, (uint8_t) (id >> 8), (uint8_t) id,
								   0x83, 0x84, 0x86};

		status = net_link_receive(far.link, headers, sizeof(headers));
	}
	assert_int_equal(status, RUSD_INVALID);
	net_link_destroy(far.link);
}

static void
a_message_that_is_too_long_ends_the_connection(void **state)
{
	static uint8_t bytes[1001];
	End near = {0}, far = {0};

	(void) state;
	connect_ends(&near, &far, 1000);
	talk(&near, &far);
	assert_int_equal(net_link_put(near.link, &(Bytes){bytes, 1000}, 1), RUSD_OK);
	talk(&near, &far);
	assert_int_equal(far.messages, 1);
	assert_int_equal(net_link_put(near.link, &(Bytes){bytes, 1001}, 1), RUSD_OK);
	talk(&near, &far);
	assert_int_equal(far.messages, 1);
	assert_int_equal(far.code, -2);
	assert_string_equal(far.why, "a message of 1001 bytes");
	net_link_destroy(near.link);
	net_link_destroy(far.link);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_tell_what_was_said),
		cmocka_unit_test(damaged_frames_are_refused),
		cmocka_unit_test(messages_cross_the_ring_in_order),
		cmocka_unit_test(raft_is_told_when_half_of_the_ring_is_free),
		cmocka_unit_test(what_is_sent_goes_by_the_right_link),
		cmocka_unit_test(a_link_is_woken_by_the_flush_that_its_message_waits_for),
		cmocka_unit_test(a_proposal_longer_than_the_ring_crosses),
		cmocka_unit_test(entries_wait_and_others_do_not),
		cmocka_unit_test(a_dead_link_leaves_nothing),
		cmocka_unit_test(nonsense_in_a_ring_is_dropped),
		cmocka_unit_test(both_ends_talk),
		cmocka_unit_test(a_refusal_says_why),
		cmocka_unit_test(who_takes_no_answers_is_not_heard),
		cmocka_unit_test(a_message_that_is_too_long_ends_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
