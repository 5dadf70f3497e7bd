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

#include <unistd.h>

#include "activity/metrics.h"
#include "ipc/link.h"
#include "peer/peer.h"
#include "peer_int.h"
#include "utils/config.h"
#include "utils/log.h"
#include "wal/recovery.h"

/* No more is taken from raft while so much is unsent. */
#define UNSENT_MAX (4 * 1024 * 1024)
#define RETRY_FIRST_MS 20
#define RETRY_MAX_MS 1000
/* A connection that has lasted so long was good. */
#define GOOD_NS (UINT64_C(200) * NS_PER_MS)
#define URLS_POLL_MS 20
/* Nothing comes. */
#define MESSAGE_MAX 4096
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
	bool is_open; /* the other side has accepted */
	bool has_ended;
	int out_code;     /* gRPC: the others have no place for this member; 0 */
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
static void end_if_out(const Sender *sender);
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
		end_if_out(&sender);
		peer_held_clear(sender.held);
		drop_messages(&sender);
	}
	_exit(0);
}

/* The others have no place for this member: the node ends. */
static void
end_if_out(const Sender *sender)
{
	if (sender->out_code == PEER_CODE_REMOVED)
		_exit(EXIT_REMOVED);
	if (sender->out_code == PEER_CODE_BOOTSTRAPPED)
		log_stop("this member has already been bootstrapped, and its data are not here: bring them "
				 "back, or "
				 "remove the member and add it anew",
				 LOG_ID("local-member-id", my_shm->recovered->member_id),
				 LOG_ID("remote-peer-id", sender->to));
}

static void
set_up(Sender *sender)
{
	const SlotHead *head = &my_shm->heads[my_slot];

	sender->to = atomic_load_explicit(&head->member_id, memory_order_relaxed);
	sender->kind = (LinkKind) atomic_load_explicit(&head->link, memory_order_relaxed);
	sender->wire.socket = -1;
	atomic_store_explicit(&my_area->counted_member, sender->to, memory_order_relaxed);
	sender->retry_ms = RETRY_FIRST_MS;
	if (shm_restrict_sender(my_shm, my_slot) != RUSD_OK)
		_exit(1);
	sender->access =
		(PageAccess){.shm = my_shm, .area = my_area, .slot = my_slot, .wait = page_wait_latch};
	sender->entries = peer_entries_create(my_shm, my_fs);
	sender->held = peer_held_create();
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
		count_peer(my_area, PEER_SENT_FAILURES, 1);
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

	(void) path;
	(void) fields;
	(void) count;
	sender->is_open = true;
	sender->told[0] = '\0';
	atomic_store_explicit(&my_area->link_up_ns, clock_os.monotonic_ns(&clock_os),
						  memory_order_relaxed);
	atomic_store_explicit(&my_area->link_is_up, 1, memory_order_release);
	peer_report(&report, (Bytes){NULL, 0});
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

/*
 * The hello was read late: a leader, who knew nothing against this member, has given it entries meanwhile, and with them it has
 * made itself known (own.c).  To one without its data no leader gives any who knows that it has started: it makes no link to him,
 * by which he could learn what it lacks.
 */
static bool
has_grown(void)
{
	return peer_log_term() > BOOTSTRAP_TERM;
}

static void
on_end(void *arg, int grpc_code, const char *text)
{
	Sender *sender = arg;

	sender->has_ended = true;
	snprintf(sender->reason, sizeof(sender->reason), "%s", text);
	if (grpc_code != PEER_CODE_REMOVED && grpc_code != PEER_CODE_BOOTSTRAPPED)
		return;
	/* In a member's own words: what stands between the members may refuse by the same codes. */
	if (strcmp(text, peer_standing_text(grpc_code)) == 0 &&
		(grpc_code == PEER_CODE_REMOVED || !has_grown()))
		sender->out_code = grpc_code;
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

/* Raft's messages are lost meanwhile.  The pause ends when the member itself makes a link to this one: it is there again. */
static void
pause_for(Sender *sender, uint32_t ms)
{
	uint32_t came = peer_links_from(my_shm, sender->to);
	uint64_t end = clock_os.monotonic_ns(&clock_os) + peer_jitter(ms) * NS_PER_MS;

	for (;;)
	{
		uint64_t now = clock_os.monotonic_ns(&clock_os);

		latch_reset(my_latch);
		drop_messages(sender);
		if (now >= end || stop_requested || peer_links_from(my_shm, sender->to) > came)
			return;
		(void) latch_wait(my_latch, (int) ((end - now) / NS_PER_MS) + 1, WAIT_EVENT_PEER_PAUSE);
	}
}

/* A connection on which the stream is about to be opened. */
static bool
connect_link(Sender *sender)
{
	NetLinkHandlers handlers = {
		.arg = sender, .on_open = on_open, .on_message = on_message, .on_end = on_end};
	const char *path = sender->kind == LINK_CONTROL ? PEER_PATH_CONTROL : PEER_PATH_ENTRIES;
	const SnapshotBase nothing = {0};
	const char *error;
	Status status;

	sender->is_open = sender->has_ended = false;
	status = peer_connect(&sender->access, sender->to, sender->attempt++, path, &nothing, &handlers,
						  MESSAGE_MAX, &sender->wire, &error);
	if (status == RUSD_OK)
		return true;
	if (status == RUSD_NOT_FOUND)
	{
		pause_for(sender, URLS_POLL_MS);
		return false;
	}
	tell_failure(sender, error);
	pause_for(sender, sender->retry_ms);
	sender->retry_ms = Min(sender->retry_ms * 2, RETRY_MAX_MS);
	return false;
}

/* All is written, and another connection is made at once. */
static void
leave(Sender *sender)
{
	log_info("connecting to a member anew, before a certificate ends",
			 LOG_ID("remote-peer-id", sender->to),
			 LOG_TEXT("link", sender->kind == LINK_CONTROL ? "control" : "entries"));
	stream_shutdown(&sender->wire.stream);
}

static bool
has_lasted(void)
{
	return clock_os.monotonic_ns(&clock_os) -
			   atomic_load_explicit(&my_area->link_up_ns, memory_order_relaxed) >=
		   GOOD_NS;
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

		if (sender->is_open)
			take_messages(sender);
		else
			drop_messages(sender);
		is_blocked = peer_wire_flush(wire);
		if (wire->is_lost || peer_wire_is_silent(wire, now))
			break;
		if (wire->round_trip_ns > 0 && sender->kind == LINK_CONTROL)
			observe_peer(my_area, ROUND_TRIP, wire->round_trip_ns);
		wire->round_trip_ns = 0;
		if (unlikely(now >= wire->renew_ns) && !is_blocked && sender->is_open)
		{
			leave(sender);
			return;
		}
		peer_wire_wait(wire, is_blocked, wait_for_flush(sender) ? 0 : PEER_WIRE_SLEEP_MS,
					   WAIT_EVENT_PEER_SEND);
	}
	if (stop_requested)
	{
		/* The last word to a member that was removed (CLUSTER-34). */
		if (sender->is_open && !wire->is_lost)
		{
			take_messages(sender);
			(void) peer_wire_flush(wire);
		}
		return;
	}
	if (sender->is_open)
		count_peer(my_area, PEER_DISCONNECTED, sender->kind == LINK_CONTROL);
	if (sender->is_open)
		log_warn("lost the connection to a member", LOG_ID("remote-peer-id", sender->to),
				 LOG_TEXT("link", sender->kind == LINK_CONTROL ? "control" : "entries"),
				 LOG_TEXT("error", sender->has_ended ? sender->reason : "closed, or silent"));
	else
		tell_failure(sender, sender->has_ended ? sender->reason : "closed before it was accepted");
	peer_wire_close(wire);
	if (sender->is_open && has_lasted())
		sender->retry_ms = RETRY_FIRST_MS;
	pause_for(sender, sender->retry_ms);
	sender->retry_ms = Min(sender->retry_ms * 2, RETRY_MAX_MS);
}
