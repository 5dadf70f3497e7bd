/*
 * links.c
 *	  Which links to other members there shall be, and the processes that are them.  Postmaster.
 *
 * Two links to each member of the configuration, and to each member that has made a link to this one: so one that has
 * just joined, and knows nobody, can answer.  What the shared memory says of members is input: more processes than
 * slots of links cannot come of it.
 *
 * src/backend/postmaster/links.c
 */
#include "rusd.h"

#include <signal.h>

#include "ipc/slot.h"
#include "postmaster_int.h"
#include "utils/log.h"
#include "wal/recovery.h"

/* One that ends at once is not made again at once. */
#define RESTART_NS UINT64_C(1000000000)
/* Slots that are free for whoever comes next, unless known members have them. */
#define SPARE_SLOTS 16
/* Links are made to so many at most that the configuration does not know (yet). */
#define UNKNOWN_MAX 16
/* Connections that one member may have: two links, a transfer, and as many again that are lost and not yet known to be. */
#define OF_ONE_MEMBER 6
#define TELL_NS UINT64_C(1000000000)

static struct
{
	uint64_t wanted[LINK_SLOTS];
	uint32_t wanted_count;
	uint32_t known_count; /* the first of them: of the configuration */
	/* links that have ended, and when */
	struct
	{
		uint64_t member_id;
		LinkKind kind;
		uint64_t ended_ns;
	} ended[LINK_SLOTS];
	uint32_t ended_count;
	uint64_t fetches_seen; /* requests.fetch_count */
	bool has_told;         /* that there are not enough slots */
	uint64_t told_room_ns; /* when it was told last that somebody had to make room */
} links;

static void want(const Shm *shm, uint64_t member_id);
static void want_members(const Shm *shm);
static bool is_stranger(uint64_t member_id);
static Child *find_dispensable(const Shm *shm);
static bool start_link(Shm *shm, uint64_t member_id, LinkKind kind);
static bool has_just_ended(uint64_t member_id, LinkKind kind);

/* ---- which there shall be ------------------------------------------------------------------------ */

static bool
is_wanted(uint64_t member_id)
{
	for (uint32_t i = 0; i < links.wanted_count; i++)
	{
		if (links.wanted[i] == member_id)
			return true;
	}
	return false;
}

/* A connection that somebody has made to the port for members. */
static bool
is_accepted(const Shm *shm, uint32_t slot)
{
	const SlotHead *head = &shm->heads[slot];

	return atomic_load_explicit(&head->state, memory_order_relaxed) == SLOT_LIVE &&
		   atomic_load_explicit(&head->link, memory_order_relaxed) == LINK_ACCEPTED;
}

static void
want(const Shm *shm, uint64_t member_id)
{
	if (member_id != 0 && member_id != shm->recovered->member_id && !is_wanted(member_id) &&
		links.wanted_count < LINK_SLOTS)
		links.wanted[links.wanted_count++] = member_id;
}

static void
want_members(const Shm *shm)
{
	RaftConfiguration configuration;
	bool known = shm_configuration_try_read(shm, &configuration);

	/* Until the applier tells, as recovery has found it. */
	if (!known || configuration.member_count == 0)
		configuration = shm->recovered->configuration;
	for (uint32_t i = 0; i < Min(configuration.member_count, CONFIG_MEMBERS_MAX); i++)
		want(shm, configuration.members[i].id);
	links.known_count = links.wanted_count;
	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm_first_backend(&shm->layout) &&
											   links.wanted_count < links.known_count + UNKNOWN_MAX;
		 slot++)
	{
		if (is_accepted(shm, slot))
			want(shm, atomic_load_explicit(&shm->areas[slot]->link_member, memory_order_acquire));
	}
}

/* ---- room for those who matter -------------------------------------------------------------------- */

/* Nobody yet, or one that the configuration does not know. */
static bool
is_stranger(uint64_t member_id)
{
	for (uint32_t i = 0; i < links.known_count; i++)
	{
		if (links.wanted[i] == member_id)
			return false;
	}
	return true;
}

static uint32_t
connections_of(const Shm *shm, uint64_t member_id)
{
	uint32_t found = 0;

	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm_first_backend(&shm->layout); slot++)
		found += is_accepted(shm, slot) && atomic_load_explicit(&shm->areas[slot]->link_member,
																memory_order_acquire) == member_id;
	return found;
}

/* The oldest connection of a stranger, else of a member that has too many.  NULL: there is none. */
static Child *
find_dispensable(const Shm *shm)
{
	Child *oldest = NULL;
	uint64_t oldest_ns = UINT64_MAX;
	bool is_strangers = false;

	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm_first_backend(&shm->layout); slot++)
	{
		uint64_t member, began;
		bool strange;
		Child *child;

		if (!is_accepted(shm, slot))
			continue;
		member = atomic_load_explicit(&shm->areas[slot]->link_member, memory_order_acquire);
		began = atomic_load_explicit(&shm->heads[slot].started_ns, memory_order_relaxed);
		strange = is_stranger(member);
		if ((is_strangers && !strange) || (is_strangers == strange && began >= oldest_ns) ||
			(!strange && connections_of(shm, member) <= OF_ONE_MEMBER))
			continue;
		child = child_of_slot(
			-1, slot, atomic_load_explicit(&shm->heads[slot].generation, memory_order_relaxed));
		if (child == NULL || child->is_leaving)
			continue;
		oldest = child;
		oldest_ns = began;
		is_strangers = strange;
	}
	return oldest;
}

void
links_make_room(const Shm *shm)
{
	uint64_t now = clock_os.monotonic_ns(&clock_os);
	uint32_t room = 0;
	Child *child;

	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm_first_backend(&shm->layout); slot++)
		room += atomic_load_explicit(&shm->heads[slot].state, memory_order_relaxed) == SLOT_FREE;
	if (room >= SPARE_SLOTS)
		return;
	child = find_dispensable(shm);
	if (child == NULL)
		return;
	child->is_leaving = true;
	(void) kill(child->pid, SIGTERM);
	if (now - links.told_room_ns < TELL_NS)
		return;
	links.told_room_ns = now;
	log_warn(
		"too many connections to the port for members: the oldest that is no member's makes room",
		LOG_INTEGER("pid", child->pid));
}

/* ---- processes ----------------------------------------------------------------------------------- */

static bool
start_link(Shm *shm, uint64_t member_id, LinkKind kind)
{
	uint32_t slot;

	links_make_room(shm);
	if (!slot_allocate_link(shm, kind, member_id, &slot))
	{
		if (!links.has_told)
			log_warn("all slots for links to other members are in use",
					 LOG_ID("remote-peer-id", member_id));
		links.has_told = true;
		return false;
	}
	links.has_told = false;
	if (child_start(shm, kind == LINK_FETCH ? PROC_TRANSFER : PROC_PEER, slot, NULL))
		return true;
	slot_mark_dead(shm, slot);
	return false;
}

static bool
has_just_ended(uint64_t member_id, LinkKind kind)
{
	uint64_t now = clock_os.monotonic_ns(&clock_os);
	uint32_t kept = 0;
	bool found = false;

	for (uint32_t i = 0; i < links.ended_count; i++)
	{
		if (now - links.ended[i].ended_ns >= RESTART_NS)
			continue;
		links.ended[kept++] = links.ended[i];
		found = found || (links.ended[i].member_id == member_id && links.ended[i].kind == kind);
	}
	links.ended_count = kept;
	return found;
}

/*
 * raft wants a state, and one at a time is fetched.  Who already fetches it from that member goes on; who fetches another is ended first.
 * False: to be looked at again.
 */
static bool
update_fetch(Shm *shm)
{
	ShmRequests *requests = shm->requests;
	uint64_t count = atomic_load_explicit(&requests->fetch_count, memory_order_acquire);
	uint64_t from = atomic_load_explicit(&requests->fetch_from, memory_order_relaxed);

	if (count == links.fetches_seen)
		return true;
	if (child_of_link(shm, from, LINK_FETCH) == NULL)
	{
		if (children_signal(PROC_TRANSFER, SIGTERM) > 0 || !start_link(shm, from, LINK_FETCH))
			return false;
	}
	links.fetches_seen = count;
	return true;
}

void
links_begin(void)
{
	links.fetches_seen = 0;
	links.ended_count = 0;
}

/* Starts what is missing and ends what nobody wants any more. */
bool
links_update(Shm *shm)
{
	static const LinkKind kinds[] = {LINK_CONTROL, LINK_ENTRIES};
	bool complete = update_fetch(shm);

	links.wanted_count = 0;
	want_members(shm);
	for (uint32_t i = 0; i < links.wanted_count; i++)
	{
		for (size_t k = 0; k < lengthof(kinds); k++)
		{
			if (child_of_link(shm, links.wanted[i], kinds[k]) != NULL)
				continue;
			if (has_just_ended(links.wanted[i], kinds[k]) ||
				!start_link(shm, links.wanted[i], kinds[k]))
				complete = false;
		}
	}
	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm_first_backend(&shm->layout); slot++)
	{
		const SlotHead *head = &shm->heads[slot];
		uint32_t kind = atomic_load_explicit(&head->link, memory_order_relaxed);
		const Child *child;

		if (atomic_load_explicit(&head->state, memory_order_relaxed) != SLOT_LIVE ||
			(kind != LINK_CONTROL && kind != LINK_ENTRIES) ||
			is_wanted(atomic_load_explicit(&head->member_id, memory_order_relaxed)))
			continue;
		child = child_of_slot(PROC_PEER, slot,
							  atomic_load_explicit(&head->generation, memory_order_relaxed));
		if (child != NULL)
			(void) kill(child->pid, SIGTERM);
	}
	return complete;
}

void
links_ended(const Shm *shm, uint32_t slot)
{
	const SlotHead *head = &shm->heads[slot];

	if (links.ended_count == LINK_SLOTS)
		return;
	links.ended[links.ended_count].member_id =
		atomic_load_explicit(&head->member_id, memory_order_relaxed);
	links.ended[links.ended_count].kind =
		(LinkKind) atomic_load_explicit(&head->link, memory_order_relaxed);
	links.ended[links.ended_count++].ended_ns = clock_os.monotonic_ns(&clock_os);
}
