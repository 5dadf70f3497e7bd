/*
 * sender.c
 *	  Process peer, of a link that this member makes: messages from raft to the wire.
 *
 * Takes messages from the link's ring, holds those that depend on a flush, adds entries from the log, sends.  What
 * cannot be sent is lost: raft's messages may be.  When the connection is lost it makes another, after a while
 * that grows and is never twice the same.
 *
 * src/backend/peer/sender.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "ipc/link.h"
#include "ipc/ring.h"
#include "peer/peer.h"
#include "peer_int.h"
#include "utils/config.h"
#include "utils/log.h"
#include "wal/recovery.h"

/* No more is taken from raft while so much is unsent. */
#define UNSENT_MAX (4 * 1024 * 1024)
#define RETRY_FIRST_MS 20
#define RETRY_MAX_MS 1000
#define URLS_POLL_MS 20
#define PING_NS (UINT64_C(1000) * NS_PER_MS)
/* So long nothing new is logged of a member that cannot be reached. */
#define TELL_NS (UINT64_C(30000) * NS_PER_MS)

typedef struct Sender
{
	uint64_t to;
	LinkKind kind;
	PeerWire wire;
	PeerEntries *entries;
	PeerHeld *held;
	PageAccess access;
	ProposalWriter writer;
	uint64_t random;
	bool is_open; /* the other side has accepted */
	bool has_ended;
	char reason[256]; /* why it has */
	/* told of the last attempts */
	char told[256];
	uint64_t told_ns;
	uint32_t attempt;
	uint32_t retry_ms;
	/* the message that is coming from raft */
	uint8_t *bytes;
	uint32_t capacity;
	uint32_t received;
} Sender;

static void set_up(Sender *sender);
static void drop_messages(Sender *sender);
static bool connect_link(Sender *sender);
static void run_link(Sender *sender);
static void take_messages(Sender *sender);
static void send_message(Sender *sender, const uint8_t *bytes, uint32_t length);

does_not_return void
peer_send_main(void)
{
	static Sender sender;

	set_up(&sender);
	while (!stop_requested)
	{
		if (connect_link(&sender))
			run_link(&sender);
		atomic_store_explicit(&my_area->link_is_up, 0, memory_order_release);
		peer_wire_close(&sender.wire);
		peer_held_clear(sender.held);
		drop_messages(&sender);
	}
	_exit(0);
}

static void
set_up(Sender *sender)
{
	const SlotHead *head = &my_shm->heads[my_slot];

	sender->to = atomic_load_explicit(&head->member_id, memory_order_relaxed);
	sender->kind = (LinkKind) atomic_load_explicit(&head->link, memory_order_relaxed);
	sender->wire.socket = -1;
	sender->retry_ms = RETRY_FIRST_MS;
	if (shm_restrict_sender(my_shm, my_slot) != RUSD_OK ||
		getrandom(&sender->random, sizeof(sender->random), 0) != sizeof(sender->random))
		_exit(1);
	sender->access =
		(PageAccess){.shm = my_shm, .area = my_area, .slot = my_slot, .wait = page_wait_latch};
	sender->entries = peer_entries_create(my_shm, my_fs);
	sender->held = peer_held_create();
	proposal_writer_init(&sender->writer, my_shm, my_slot);
	process_title("peer %s to %" PRIx64, sender->kind == LINK_CONTROL ? "control" : "entries",
				  sender->to);
	snprintf(my_area->what, sizeof(my_area->what), "%s to %" PRIx64,
			 sender->kind == LINK_CONTROL ? "control" : "entries", sender->to);
}

/* ---- messages from raft -------------------------------------------------------------------------- */

static bool
make_room(Sender *sender, uint32_t length)
{
	uint8_t *grown;

	if (length <= sender->capacity)
		return true;
	grown = realloc(sender->bytes, length);
	if (grown == NULL)
		return false;
	sender->bytes = grown;
	sender->capacity = length;
	return true;
}

/* The next whole message is in bytes; its length, 0: none. */
static uint32_t
next_message(Sender *sender)
{
	static uint8_t piece_bytes[LINK_PIECE_MAX];
	LinkPiece piece;

	while (link_take(my_shm, my_slot, &piece, piece_bytes) == RUSD_OK)
	{
		Check(piece.offset == sender->received && make_room(sender, piece.total_length));
		memcpy(sender->bytes + piece.offset, piece_bytes, piece.length);
		sender->received += piece.length;
		if (sender->received < piece.total_length)
			continue;
		sender->received = 0;
		return piece.total_length;
	}
	return 0;
}

/* Nobody is there to hear them. */
static void
drop_messages(Sender *sender)
{
	while (next_message(sender) > 0)
		continue;
}

static void
take_messages(Sender *sender)
{
	const ShmPositions *positions = my_shm->positions;
	const uint8_t *held;
	uint32_t length;

	while (net_link_unsent(sender->wire.link) < UNSENT_MAX && (length = next_message(sender)) > 0)
	{
		const PeerFrame *frame = (const PeerFrame *) (const void *) sender->bytes;

		if (frame->depends_on > atomic_load_explicit(&positions->flushed, memory_order_acquire))
			peer_held_add(sender->held, frame->depends_on, sender->bytes, length);
		else
			send_message(sender, sender->bytes, length);
	}
	while ((held = peer_held_next(sender->held,
								  atomic_load_explicit(&positions->flushed, memory_order_acquire),
								  &length)) != NULL)
		send_message(sender, held, length);
}

static void
send_message(Sender *sender, const uint8_t *bytes, uint32_t length)
{
	alignas(8) uint8_t head[PEER_FRAME_HEAD_MAX];
	PeerMessage message;
	Bytes parts[2];

	Check(peer_frame_decode(bytes, length, &message) == RUSD_OK);
	if (message.kind == PEER_RAFT && message.raft.kind == MESSAGE_APPEND &&
		message.raft.last_index > message.raft.index)
	{
		peer_entries_send(sender->entries, &message.raft, sender->wire.link);
		return;
	}
	parts[1] = message.payload;
	parts[0] = (Bytes){head, length - parts[1].length};
	memcpy(head, bytes, parts[0].length);
	peer_frame_seal(head, (uint32_t) parts[0].length, parts[1]);
	(void) net_link_put(sender->wire.link, parts, 2);
}

/* Is something held that the next flush may release?  walwriter looks at the marks behind its store of flushed. */
static bool
wait_for_flush(Sender *sender)
{
	uint64_t flushed = atomic_load_explicit(&my_shm->positions->flushed, memory_order_seq_cst);

	if (peer_held_is_empty(sender->held))
		return false;
	marks_set(my_shm->flush_marks, my_slot);
	return atomic_load_explicit(&my_shm->positions->flushed, memory_order_seq_cst) != flushed;
}

/* ---- the connection ------------------------------------------------------------------------------ */

static void
on_open(void *arg, const char *path, const NetLinkField *fields, uint32_t count)
{
	Sender *sender = arg;
	PeerFrame report = {.kind = LINK_REPORT_UP, .length = sizeof(report)};
	ProposalPiece piece = {.total_length = sizeof(report)};
	uint32_t offset = 0;

	(void) path;
	(void) fields;
	(void) count;
	sender->is_open = true;
	sender->retry_ms = RETRY_FIRST_MS;
	sender->told[0] = '\0';
	atomic_store_explicit(&my_area->link_up_ns, clock_os.monotonic_ns(&clock_os),
						  memory_order_relaxed);
	atomic_store_explicit(&my_area->link_is_up, 1, memory_order_release);
	/* The ring is empty but for such reports: there is room. */
	(void) proposal_put(&sender->writer, &piece, (const uint8_t *) &report, &offset);
	proposal_wake(&sender->writer);
	log_info("connected to a member", LOG_ID("remote-peer-id", sender->to),
			 LOG_TEXT("link", sender->kind == LINK_CONTROL ? "control" : "entries"));
}

static void
on_message(void *arg, const uint8_t *data, size_t length)
{
	/* Nothing comes this way. */
	(void) data;
	(void) length;
	((Sender *) arg)->wire.is_lost = true;
}

static void
on_end(void *arg, int grpc_code, const char *text)
{
	Sender *sender = arg;

	(void) grpc_code;
	sender->has_ended = true;
	snprintf(sender->reason, sizeof(sender->reason), "%s", text);
}

/* Each reason once, and now and then again. */
static void
tell_failure(Sender *sender, const char *reason)
{
	uint64_t now = clock_os.monotonic_ns(&clock_os);

	if (strcmp(sender->told, reason) == 0 && now - sender->told_ns < TELL_NS)
		return;
	snprintf(sender->told, sizeof(sender->told), "%s", reason);
	sender->told_ns = now;
	log_warn("no connection to a member", LOG_ID("remote-peer-id", sender->to),
			 LOG_TEXT("link", sender->kind == LINK_CONTROL ? "control" : "entries"),
			 LOG_TEXT("error", reason));
}

/* Some time between half of ms and all of it; raft's messages are lost meanwhile. */
static void
pause_for(Sender *sender, uint32_t ms)
{
	uint64_t end;

	sender->random = sender->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	end = clock_os.monotonic_ns(&clock_os) +
		  (ms / 2 + (sender->random >> 33) % (ms / 2 + 1)) * NS_PER_MS;
	for (;;)
	{
		uint64_t now = clock_os.monotonic_ns(&clock_os);

		latch_reset(my_latch);
		drop_messages(sender);
		if (now >= end || stop_requested)
			return;
		(void) latch_wait(my_latch, (int) ((end - now) / NS_PER_MS) + 1, WAIT_EVENT_PEER_PAUSE);
	}
}

static void
own_urls(char urls[LINK_URLS_BYTES], PageAccess *access)
{
	/* Before this member is in the store, and for one that only has just joined. */
	if (peer_find_urls(access, my_shm->recovered->member_id, urls) != RUSD_OK)
		snprintf(urls, LINK_URLS_BYTES, "%s", config.initial_advertise_peer_urls);
}

/* A connection on which the stream is about to be opened. */
static bool
connect_link(Sender *sender)
{
	static PeerHelloText hello;
	static char urls[LINK_URLS_BYTES];
	NetLinkHandlers handlers = {
		.arg = sender, .on_open = on_open, .on_message = on_message, .on_end = on_end};
	char authority[320];
	const char *error;
	int64_t timeout_ms = Max(config.raft_write_timeout / (int64_t) NS_PER_MS, 1);

	sender->is_open = sender->has_ended = false;
	if (peer_find_urls(&sender->access, sender->to, urls) != RUSD_OK)
	{
		pause_for(sender, URLS_POLL_MS);
		return false;
	}
	sender->wire.socket =
		peer_dial(urls, sender->attempt++, (int) Min(timeout_ms, INT_MAX), authority, &error);
	if (sender->wire.socket < 0)
	{
		tell_failure(sender, error);
		pause_for(sender, sender->retry_ms);
		sender->retry_ms = Min(sender->retry_ms * 2, RETRY_MAX_MS);
		return false;
	}
	peer_wire_set_up(sender->wire.socket);
	stream_plain(&sender->wire.stream, sender->wire.socket);
	own_urls(urls, &sender->access);
	peer_hello_make(&hello, sender->to, urls);
	return net_link_dial(authority,
						 sender->kind == LINK_CONTROL ? PEER_PATH_CONTROL : PEER_PATH_ENTRIES,
						 hello.fields, lengthof(hello.fields), &handlers, 64 * 1024,
						 &sender->wire.link) == RUSD_OK;
}

/* Nothing has come for so long although it was asked for. */
static bool
is_silent(const Sender *sender, uint64_t now_ns)
{
	return sender->wire.pinged_ns > sender->wire.heard_ns &&
		   now_ns - sender->wire.pinged_ns > (uint64_t) Max(config.raft_write_timeout, 1);
}

static void
ping(Sender *sender, uint64_t now_ns)
{
	PeerWire *wire = &sender->wire;

	if (now_ns - wire->heard_ns < PING_NS || wire->pinged_ns > wire->heard_ns)
		return;
	net_link_ping(wire->link);
	wire->pinged_ns = now_ns;
}

static void
run_link(Sender *sender)
{
	PeerWire *wire = &sender->wire;

	wire->heard_ns = clock_os.monotonic_ns(&clock_os);
	while (!wire->is_lost && !sender->has_ended && !stop_requested)
	{
		uint64_t now = clock_os.monotonic_ns(&clock_os);
		bool is_blocked;
		int happened;

		ping(sender, now);
		if (sender->is_open)
			take_messages(sender);
		else
			drop_messages(sender);
		is_blocked = peer_wire_flush(wire);
		if (wire->is_lost || is_silent(sender, now))
			break;
		happened = latch_wait_socket(
			my_latch, wire->socket, WAIT_READABLE | (is_blocked ? WAIT_WRITABLE : 0),
			wait_for_flush(sender) ? 0 : (int) (PING_NS / NS_PER_MS), WAIT_EVENT_PEER_SEND);
		latch_reset(my_latch);
		if (happened & WAIT_READABLE)
			peer_wire_receive(wire, clock_os.monotonic_ns(&clock_os));
	}
	if (stop_requested)
		return;
	if (sender->is_open)
		log_warn("lost the connection to a member", LOG_ID("remote-peer-id", sender->to),
				 LOG_TEXT("link", sender->kind == LINK_CONTROL ? "control" : "entries"),
				 LOG_TEXT("error", sender->has_ended ? sender->reason : "closed, or silent"));
	else
		tell_failure(sender, sender->has_ended ? sender->reason : "closed before it was accepted");
	peer_wire_close(wire);
	pause_for(sender, sender->retry_ms);
	sender->retry_ms = Min(sender->retry_ms * 2, RETRY_MAX_MS);
}
