/*
 * member.c
 *	  The life of a member: its parts are made as their processes make them, stepped as their loops
 *	  step them, and end as processes end.
 *
 * A step of an actor is done at one moment of virtual time.  What takes time in it, its disk, comes
 * before that moment: what a step does is seen at its end.
 *
 * test/sim/member.c
 */
#include "rusd.h"

#include "btree/btree.h"
#include "sim.h"
#include "startup/startup.h"

#define FRAMES 512
#define LOG_BUFFER_BYTES (64 * 1024)
#define SEGMENT_BYTES (64 * 1024)
#define HEARTBEAT_NS (100 * SIM_MS)
#define ELECTION_TICKS 10
#define WINDOW_BYTES (24 * 1024)
#define CHECKPOINT_NS (4 * SIM_SECOND)
#define CHECKPOINT_LOG_BYTES (256 * 1024)
#define RESERVE_PAGES 16
/* Longest sleeps, as in the loops of the processes. */
#define APPLIER_TICK_NS (100 * SIM_MS)
#define CHECKPOINTER_TICK_NS (200 * SIM_MS)
#define PAGER_TICK_NS SIM_SECOND

/* ---- the clock ---- */

uint64_t
member_clock(const Member *member)
{
	return member->clock_base +
		   (member->world->now - member->clock_since) * member->clock_rate / 1000;
}

static uint64_t
clock_now(const ClockOps *self)
{
	return member_clock((const Member *) (const void *) self);
}

void
member_set_clock_rate(Member *member, uint64_t rate)
{
	member->clock_base = member_clock(member);
	member->clock_since = member->world->now;
	member->clock_rate = rate;
}

/* Virtual time after so much time of the member's clock. */
static uint64_t
after(const Member *member, uint64_t local_ns)
{
	return member->world->now + Max(local_ns * 1000 / member->clock_rate, SIM_US);
}

const char *
member_role(const Member *member)
{
	static const char *const names[] = {"follower", "precand", "candidate", "leader"};

	if (member->state != MEMBER_UP)
		return "down";
	return member->control.role < lengthof(names) ? names[member->control.role] : "?";
}

/* ---- birth ---- */

void
member_init(World *world, uint32_t number)
{
	Member *member = &world->members[number];
	MemberLog log = member->log;
	Shm *shm = member->shm;

	*member = (Member){.clock = {.monotonic_ns = clock_now, .wall_ns = clock_now},
					   .world = world,
					   .number = number,
					   .id = 0x1000 + number,
					   .state = MEMBER_DOWN,
					   .clock_rate = 1000,
					   .clock_since = world->now,
					   .clock_base = SIM_SECOND + sim_below(&world->chaos, 100 * SIM_SECOND),
					   .sync_ns = 100 * SIM_US + sim_below(&world->chaos, 2 * SIM_MS),
					   .shm = shm,
					   .log = log};
	member->disk = sim_disk_create(sim_random(&world->chaos));
	world_forget_actors(member);
	for (uint32_t i = 0; i < SIM_CLIENTS; i++)
		member->clients[i].number = world->next_client++;
}

void
member_join(World *world, uint32_t number)
{
	if (world->members[number].state != MEMBER_ABSENT)
		return;
	member_init(world, number);
	world->member_count = Max(world->member_count, number + 1);
	world_add_event(world, world->now + sim_below(&world->schedule, SIM_SECOND), EVENT_START,
					number, 0);
}

static void
drop_parts(Member *member)
{
	if (member->consensus != NULL)
		consensus_destroy(member->consensus);
	if (member->walwriter != NULL)
		wal_writer_destroy(member->walwriter);
	applier_destroy(member->applier);
	pager_destroy(member->pager);
	if (member->checkpointer != NULL)
		checkpointer_destroy(member->checkpointer);
	member->consensus = NULL;
	member->walwriter = NULL;
	member->applier = NULL;
	member->checkpointer = NULL;
	member->pager = NULL;
}

void
member_destroy(Member *member)
{
	if (member->state == MEMBER_ABSENT)
		return;
	transfer_drop(member);
	drop_parts(member);
	network_disconnect(member);
	sim_disk_destroy(member->disk);
	member->disk = NULL;
}

/*
 * Shared memory as after shm_create, without making it anew.  Frames and the bytes of the proposal
 * rings stay: nobody may look at them before they are written.
 */
static void
fresh_memory(Member *member)
{
	ShmLayout layout = {.slot_count = SIM_ACTORS,
						.wal_buffer_bytes = LOG_BUFFER_BYTES,
						.wal_segment_bytes = SEGMENT_BYTES,
						.frame_count = FRAMES};
	SimRandom random = {member->world->salt_state};
	Shm *shm = member->shm;

	if (shm == NULL)
	{
		Check(shm_create(&layout, false, &member->shm) == RUSD_OK);
		shm = member->shm;
	}
	else
	{
		uint8_t *begin = shm->base + shm->layout.wal_buffer_bytes;

		memset(begin, 0, (size_t) (shm->frames - begin));
		begin = shm->frames + FRAMES * PAGE_BYTES;
		memset(begin, 0, (size_t) (shm->area_bytes - begin));
		for (uint32_t slot = 0; slot < SIM_ACTORS; slot++)
			memset(shm->areas[slot], 0, offsetof(BackendArea, proposals));
	}
	shm->incarnation = sim_random(&random) | 1;
	member->world->salt_state = random.state;
}

/* In the simulator nobody sleeps: the page is read now. */
static Status
wait_for_page(PageAccess *access)
{
	Member *member = access->arg;

	(void) pager_step(member->pager);
	return member->disk->is_cut ? RUSD_IO : RUSD_OK;
}

PageAccess
member_access(Member *member, uint32_t slot)
{
	return (PageAccess){.shm = member->shm,
						.area = member->shm->areas[slot],
						.slot = slot,
						.wait = wait_for_page,
						.arg = member};
}

static uint8_t *
put_string(uint8_t *at, const char *text)
{
	uint32_t length = (uint32_t) strlen(text);

	memcpy(at, &length, sizeof(length));
	memcpy(at + sizeof(length), text, length);
	return at + sizeof(length) + length;
}

uint32_t
member_encode(MemberAction action, const Member *member, bool is_learner, uint64_t judged_at,
			  uint8_t *buffer, size_t size)
{
	bool is_publication = action == MEMBER_PUBLISH;
	char name[16] = "";
	char url[32];
	EntryMember entry = {.member_id = member->id,
						 .action = action,
						 .is_learner = is_learner,
						 .max_learners = 2,
						 .judged_at = judged_at,
						 .peer_url_count = action == MEMBER_ADD,
						 .client_url_count = is_publication};
	uint8_t *at = buffer + sizeof(EntryHeader);

	Check(size >= SIM_MEMBER_ENTRY_BYTES);
	if (is_publication)
		snprintf(name, sizeof(name), "m%u", member->number + 1);
	snprintf(url, sizeof(url), "http://m%u:%u", member->number + 1, is_publication ? 2379 : 2380);
	entry.name_length = (uint32_t) strlen(name);
	memset(buffer, 0, sizeof(EntryHeader));
	memcpy(at, &entry, sizeof(entry));
	at = put_string(at + sizeof(entry), name);
	if (entry.peer_url_count + entry.client_url_count > 0)
		at = put_string(at, url);
	return (uint32_t) (at - buffer);
}

static Status
start_node(Member *member, char *message, size_t message_size)
{
	World *world = member->world;
	uint32_t count = member->number < world->first_members ? world->first_members : 0;
	InitialEntry entries[SIM_MEMBERS];
	uint8_t payloads[SIM_MEMBERS][SIM_MEMBER_ENTRY_BYTES];
	NodeBootstrap bootstrap = {.cluster_id = world->cluster_id,
							   .member_id = member->id,
							   .entries = entries,
							   .entry_count = count};
	Status status;

	for (uint32_t i = 0; i < count; i++)
	{
		uint32_t length = member_encode(MEMBER_ADD, &world->members[i], false, i, payloads[i],
										sizeof(payloads[i]));

		entries[i] = (InitialEntry){.kind = ENTRY_MEMBER, .payload = {payloads[i], length}};
	}
	status = node_start(member->shm, &member->disk->ops, member->has_begun ? NULL : &bootstrap,
						message, message_size);
	if (status == RUSD_OK && !member->has_begun)
	{
		sim_tell(world, member, SIM_MEMBER_NEW, 0, 0);
		member->has_begun = true;
		logcheck_begin(world, member, entries, count);
	}
	return status;
}

static Status
make_parts(Member *member)
{
	Shm *shm = member->shm;
	FileOps *fs = &member->disk->ops;
	uint8_t publication[SIM_MEMBER_ENTRY_BYTES];
	ConsensusOptions options = {
		.clock = &member->clock,
		.heartbeat_ns = HEARTBEAT_NS,
		.peers = &member->peers,
		.raft = {.election_ticks = ELECTION_TICKS,
				 .ill_ticks = 3 * ELECTION_TICKS,
				 .window_bytes = WINDOW_BYTES,
				 .message_bytes = SIM_MESSAGE_BYTES},
		.request_max = consensus_request_max(&shm->layout),
		.publication = {publication, member_encode(MEMBER_PUBLISH, member, false, 0, publication,
												   sizeof(publication))}};
	Status status;

	for (uint32_t slot = 0; slot < PROC_ESSENTIAL_COUNT; slot++)
		slot_occupy(shm, slot);
	network_connect(member);
	status = consensus_create(shm, &options, &member->consensus);
	if (status == RUSD_OK)
		status = wal_writer_create(shm, fs, &member->clock,
								   chaos_is_left_out(member->world, CHAOS_LOG_REMOVAL), 0,
								   &member->walwriter);
	if (status == RUSD_OK)
		status = pager_create(shm, fs, tree_page_is_sane, &member->pager);
	if (status == RUSD_OK)
		status = applier_create(shm, fs, &member->clock, member_access(member, PROC_APPLIER), -1,
								&member->applier);
	if (status == RUSD_OK)
		status = checkpointer_create(shm, fs, &member->clock, CHECKPOINT_NS, CHECKPOINT_LOG_BYTES,
									 &member->checkpointer);
	if (status == RUSD_OK)
		checkpointer_reserve(member->checkpointer, RESERVE_PAGES);
	return status;
}

void
member_start(Member *member)
{
	World *world = member->world;
	char message[256] = "";
	Status status;

	fresh_memory(member);
	status = start_node(member, message, sizeof(message));
	if (status == RUSD_OK)
		logcheck_started(world, member);
	if (status == RUSD_OK)
		status = make_parts(member);
	if (status == RUSD_NO_ROOM && member->disk->room != UINT64_MAX && !member->disk->is_cut)
	{
		/* The spare segment has served a start before, and there was no room for another one. */
		sim_tell(world, member, SIM_NO_ROOM_TO_START, 0, 0);
		member_end(member, END_KILLED);
		return;
	}
	if (status != RUSD_OK && !member->disk->is_cut)
	{
		sim_violation(world, member, "a member starts", "%s: %s", status_text(status), message);
		return;
	}
	if (status != RUSD_OK)
	{
		sim_tell(world, member, SIM_START_DISTURBED, 0, 0);
		(void) member_end_if_cut(member);
		return;
	}
	member->state = MEMBER_UP;
	member->stopping = 0;
	member->io_end = 0;
	member->control = (ControlState){.term = member->shm->recovered->hard_state.term};
	member->control_before = member->control;
	member->seen_applied = atomic_load(&member->shm->positions->applied_index);
	member->seen_generation = atomic_load(&member->shm->positions->data_generation);
	member->seen_durable = atomic_load(&member->shm->positions->durable_root);
	member->seen_segments = atomic_load(&member->shm->segments->count);
	member->seen_ready_end = atomic_load(&member->shm->segments->ready_end);
	sim_tell(world, member, SIM_MEMBER_STARTED, member->log.last_index,
			 member->log.committed_index);
	for (uint32_t actor = 0; actor < PROC_ESSENTIAL_COUNT; actor++)
		world_wake(member, actor, world->now + sim_below(&world->schedule, 2 * SIM_MS));
}

void
member_end(Member *member, MemberEnd how)
{
	World *world = member->world;
	uint64_t wait = 5 * SIM_MS + sim_below(&world->schedule, 3 * SIM_SECOND);
	bool is_gone = world->healed && world->model.members[member->number] == MODEL_REMOVED;

	if (member->down_ns != 0)
		wait = member->down_ns;
	member->down_ns = 0;
	clients_drop(member);
	transfer_drop(member);
	drop_parts(member);
	network_disconnect(member);
	if (how == END_POWER_CUT)
		sim_disk_power_cut(member->disk);
	else
		sim_disk_kill(member->disk);
	if (!world->healed && sim_percent(&world->schedule, 15))
	{
		member->disk->power_left = sim_below(&world->schedule, 40);
		member->disk->cut_is_kill = sim_percent(&world->schedule, 40);
	}
	member->state = is_gone ? MEMBER_GONE : MEMBER_DOWN;
	world_forget_actors(member);
	world_add_event(world, world->now + wait, EVENT_START, member->number, 0);
}

bool
member_end_if_cut(Member *member)
{
	bool is_kill = member->disk->cut_is_kill;

	if (!member->disk->is_cut)
		return false;
	sim_tell(member->world, member, is_kill ? SIM_KILLED_IN_A_CALL : SIM_CUT_IN_A_CALL, 0, 0);
	member_end(member, is_kill ? END_KILLED : END_POWER_CUT);
	return true;
}

void
member_stop(Member *member, uint32_t step)
{
	if (member->state != MEMBER_UP)
		return;
	if (step == 1)
		sim_tell(member->world, member, SIM_STOPPING, 0, 0);
	member->stopping = step;
	atomic_store(&member->shm->requests->stop_wanted, step);
	latch_set(&member->shm->latches[PROC_RAFT]);
	world_look_at_latches(member);
}

/* ---- steps ---- */

static Status
run_raft(Member *member)
{
	uint64_t sleep_ns;
	Status status = consensus_step(member->consensus, &sleep_ns);

	world_wake(member, PROC_RAFT, after(member, Min(sleep_ns, SIM_SECOND)));
	return status;
}

/* From half to three halves of what a sync takes. */
static uint64_t
sync_time(const Member *member)
{
	return member->sync_ns / 2 + sim_below(&member->world->schedule, member->sync_ns);
}

/*
 * A write and its sync take time: they begin with what is appended at one moment, and are seen to be done at a
 * later one, when more may have been appended.  That is put out of its sight for the step.
 */
static Status
run_walwriter(Member *member)
{
	ShmPositions *positions = member->shm->positions;
	uint64_t appended = atomic_load(&positions->appended);
	Status status;
	int sleep_ms;

	if (member->io_end == 0 && appended > atomic_load(&positions->flushed))
	{
		member->io_end = appended;
		world_wake(member, PROC_WALWRITER, member->world->now + sync_time(member));
		return RUSD_OK;
	}
	if (member->io_end != 0)
		atomic_store(&positions->appended, member->io_end);
	status = wal_writer_step(member->walwriter);
	sleep_ms = wal_writer_sleep_ms(member->walwriter);
	atomic_store(&positions->appended, appended);
	member->io_end = 0;
	if (status == RUSD_OK || appended > atomic_load(&positions->flushed))
		world_wake(member, PROC_WALWRITER,
				   member->world->now + 10 * SIM_US + sync_time(member) / 8);
	else if (status == RUSD_AGAIN && sleep_ms >= 0)
		world_wake(member, PROC_WALWRITER, after(member, (uint64_t) sleep_ms * SIM_MS));
	return status;
}

static Status
run_applier(Member *member)
{
	Status status = applier_step(member->applier);

	world_wake(member, PROC_APPLIER,
			   after(member, status == RUSD_OK ? 20 * SIM_US : APPLIER_TICK_NS));
	return status;
}

static Status
run_checkpointer(Member *member)
{
	Status status = checkpointer_step(member->checkpointer);

	world_wake(member, PROC_CHECKPOINTER,
			   after(member, status == RUSD_OK ? 200 * SIM_US : CHECKPOINTER_TICK_NS));
	return status == RUSD_NO_ROOM ? RUSD_AGAIN : status;
}

static Status
run_pager(Member *member)
{
	Status status = pager_step(member->pager);

	world_wake(member, PROC_PAGER, after(member, status == RUSD_OK ? 20 * SIM_US : PAGER_TICK_NS));
	return status;
}

static void
run_client(Member *member, uint32_t actor)
{
	for (uint32_t i = 0; i < SIM_CLIENTS; i++)
	{
		if (member->clients[i].slot == actor)
			world_wake(member, actor, client_step(&member->clients[i], member));
	}
}

static Status
step(Member *member, uint32_t actor)
{
	switch (actor)
	{
		case PROC_RAFT:
			return run_raft(member);
		case PROC_WALWRITER:
			return run_walwriter(member);
		case PROC_APPLIER:
			return run_applier(member);
		case PROC_PAGER:
			return run_pager(member);
		case PROC_CHECKPOINTER:
			return run_checkpointer(member);
		default:
			run_client(member, actor);
			return RUSD_OK;
	}
}

void
member_run(Member *member, uint32_t actor)
{
	World *world = member->world;
	Status status;

	latch_reset(&member->shm->latches[actor]);
	status = step(member, actor);
	if (member_end_if_cut(member))
		return;
	if (status != RUSD_OK && status != RUSD_AGAIN)
		sim_violation(world, member, "no part fails", "process %u: %s", actor, status_text(status));
	observe(member, actor);
	if (actor == PROC_RAFT || actor == PROC_WALWRITER)
		network_release(member);
	if (slot_free_dead(member->shm) > 0)
		clients_connect(member);
	world_look_at_latches(member);
	if (member->stopping >= 2 && consensus_is_finished(member->consensus))
	{
		sim_tell(world, member, SIM_STOPPED, 0, 0);
		member_end(member, END_KILLED);
	}
}
