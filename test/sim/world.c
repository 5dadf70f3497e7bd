/*
 * world.c
 *	  Events in virtual time, and which actor runs when.
 *
 * test/sim/world.c
 */
#include "rusd.h"

#include "sim.h"

/* Progress is looked at so often once all faults have ended, and must be there after so long. */
#define SETTLE_LOOK_NS (200 * SIM_MS)
#define SETTLE_LIMIT_NS (60 * SIM_SECOND)
#define LIFE_NS (60 * SIM_SECOND)

static World *current_world;

/* Salts and incarnations: the node asks the kernel for them, here they follow from the seed. */
extern ssize_t getrandom(void *buffer, size_t length, unsigned flags);
ssize_t
getrandom(void *buffer, size_t length, unsigned flags)
{
	SimRandom random = {current_world == NULL ? 1 : current_world->salt_state};
	uint64_t bits = sim_random(&random);

	(void) flags;
	Check(length <= sizeof(bits));
	if (current_world != NULL)
		current_world->salt_state = random.state;
	memcpy(buffer, &bits, length);
	return (ssize_t) length;
}

/* ---- the queue: a heap by time, then by the order of adding ---- */

static bool
is_before(const WorldEvent *a, const WorldEvent *b)
{
	return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

static void
push_event(World *world, WorldEvent event)
{
	size_t place;

	if (world->event_count == world->event_capacity)
	{
		world->event_capacity = Max(2 * world->event_capacity, 256);
		world->events = realloc(world->events, world->event_capacity * sizeof(WorldEvent));
		Check(world->events != NULL);
	}
	for (place = world->event_count++; place > 0; place = (place - 1) / 2)
	{
		if (!is_before(&event, &world->events[(place - 1) / 2]))
			break;
		world->events[place] = world->events[(place - 1) / 2];
	}
	world->events[place] = event;
}

static WorldEvent
pop_event(World *world)
{
	WorldEvent first = world->events[0];
	WorldEvent last = world->events[--world->event_count];
	size_t place = 0;

	for (;;)
	{
		size_t child = 2 * place + 1;

		if (child >= world->event_count)
			break;
		if (child + 1 < world->event_count &&
			is_before(&world->events[child + 1], &world->events[child]))
			child++;
		if (!is_before(&world->events[child], &last))
			break;
		world->events[place] = world->events[child];
		place = child;
	}
	world->events[place] = last;
	return first;
}

void
world_add_event(World *world, uint64_t at, WorldEventKind kind, uint32_t member, uint32_t argument)
{
	push_event(world, (WorldEvent){.at = Max(at, world->now),
								   .sequence = ++world->sequence,
								   .kind = kind,
								   .member = member,
								   .argument = argument});
}

/* ---- actors ---- */

void
world_wake(Member *member, uint32_t number, uint64_t at)
{
	World *world = member->world;
	SimActor *actor = &member->actors[number];

	at = Max(at, Max(actor->not_before, world->now));
	if (at >= actor->wake_at)
		return;
	actor->wake_at = at;
	world_add_event(world, at, EVENT_ACTOR, member->number, number);
	actor->wake_sequence = world->sequence;
}

/* Mostly at once, as a scheduler does it; now and then late, seldom very late. */
static uint64_t
wake_delay(World *world)
{
	uint64_t bits = sim_random(&world->schedule);
	uint64_t kind = bits & 1023;

	bits >>= 10;
	if (kind < 1000)
		return 2 * SIM_US + bits % (60 * SIM_US);
	if (kind < 1020)
		return bits % (3 * SIM_MS);
	return bits % (60 * SIM_MS);
}

void
world_look_at_latches(Member *member)
{
	for (uint32_t i = 0; i < SIM_ACTORS; i++)
	{
		SimActor *actor = &member->actors[i];

		/* A latch stays set until its owner runs. */
		if (actor->was_set ||
			atomic_load_explicit(&member->shm->latches[i].word, memory_order_relaxed) == 0)
			continue;
		actor->was_set = true;
		world_wake(member, i, member->world->now + wake_delay(member->world));
	}
}

void
world_forget_actors(Member *member)
{
	for (uint32_t i = 0; i < SIM_ACTORS; i++)
		member->actors[i] = (SimActor){.wake_at = UINT64_MAX};
}

static void
run_actor(World *world, const WorldEvent *event)
{
	Member *member = &world->members[event->member];
	SimActor *actor = &member->actors[event->argument];

	if (member->state != MEMBER_UP || actor->wake_sequence != event->sequence)
		return;
	actor->wake_at = UINT64_MAX;
	if (world->now < actor->not_before)
	{
		world_wake(member, event->argument, actor->not_before);
		return;
	}
	actor->was_set = false;
	world->steps++;
	member_run(member, event->argument);
}

/* ---- the end ---- */

static void
look_for_progress(World *world)
{
	if (workload_is_settled(world))
	{
		world->settled = true;
		return;
	}
	if (world->now > world->heal_at + SETTLE_LIMIT_NS)
	{
		sim_violation(world, NULL, "liveness", "%s", world->lacking);
		return;
	}
	world_add_event(world, world->now + SETTLE_LOOK_NS, EVENT_CHECK, 0, 0);
}

static void
handle(World *world, const WorldEvent *event)
{
	switch (event->kind)
	{
		case EVENT_ACTOR:
			run_actor(world, event);
			break;
		case EVENT_START:
			if (world->members[event->member].state == MEMBER_DOWN)
				member_start(&world->members[event->member]);
			break;
		case EVENT_FAULT:
			chaos_begin(world, event->argument);
			break;
		case EVENT_FAULT_END:
			chaos_finish(world, event->argument);
			break;
		case EVENT_ARRIVAL:
			network_arrive(world, event->member, event->argument);
			break;
		case EVENT_TRANSFER:
			transfer_step(&world->members[event->member]);
			break;
		case EVENT_HEAL:
			sim_tell(world, NULL, SIM_HEALED, 0, 0);
			world->heal_at = world->now;
			world->healed = true;
			chaos_heal(world);
			world_add_event(world, world->now + SETTLE_LOOK_NS, EVENT_CHECK, 0, 0);
			break;
		case EVENT_CHECK:
			look_for_progress(world);
			break;
	}
}

/* ---- a run ---- */

static uint32_t
draw_members(World *world)
{
	static const uint8_t sizes[] = {1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7};

	if (world->options.members != 0)
		return world->options.members;
	return sizes[sim_below(&world->chaos, lengthof(sizes))];
}

static void
begin(World *world, const SimOptions *options)
{
	SimRandom seeds = {options->seed * 0x2545f4914f6cdd1d + 1};

	current_world = world;
	world->options = *options;
	world->schedule.state = sim_random(&seeds);
	world->work.state = sim_random(&seeds);
	world->chaos.state = sim_random(&seeds);
	world->wire.state = sim_random(&seeds);
	world->salt_state = sim_random(&seeds);
	world->now = SIM_SECOND;
	world->sequence = world->steps = world->ops_begun = 0;
	world->next_number = 1;
	world->next_client = 1;
	world->event_count = 0;
	world->healed = world->settled = world->failed = false;
	world->lacking[0] = '\0';
	world->trace = (SimTrace){.narrate = options->narrate, .hash = options->seed};
	logcheck_reset(world);
	world->member_count = world->first_members = draw_members(world);
	model_reset(&world->model, world->first_members);
	for (uint32_t i = 0; i < SIM_MEMBERS; i++)
	{
		world->members[i].state = MEMBER_ABSENT;
		world->members[i].id = SIM_FIRST_ID + i;
		world->members[i].number = i;
	}
	world->cluster_id = sim_random(&seeds) | 1;
	for (uint32_t i = 0; i < world->member_count; i++)
		member_init(world, i);
	network_reset(world);
	world->op_gap = workload_gap(world);
	chaos_plan(world);
	world_add_event(world, world->now + options->chaos_ns, EVENT_HEAL, 0, 0);
	for (uint32_t i = 0; i < world->member_count; i++)
		world_add_event(world, world->now + sim_below(&world->chaos, 50 * SIM_MS), EVENT_START, i,
						0);
}

void
world_run(World *world, const SimOptions *options)
{
	begin(world, options);
	while (!world->failed && world->event_count > 0)
	{
		WorldEvent event = pop_event(world);

		if (world->settled && event.at > LIFE_NS + SIM_SECOND)
			break;
		world->now = event.at;
		handle(world, &event);
	}
	network_clear(world);
	for (uint32_t i = 0; i < world->member_count; i++)
		member_destroy(&world->members[i]);
}

World *
world_create(void)
{
	World *world = calloc(1, sizeof(*world));

	Check(world != NULL);
	return world;
}

void
world_destroy(World *world)
{
	for (uint32_t i = 0; i < SIM_MEMBERS; i++)
	{
		if (world->members[i].shm != NULL)
			shm_destroy(world->members[i].shm);
		free(world->members[i].log.records);
	}
	for (uint32_t i = 0; i < world->check.chunk_count; i++)
		free(world->check.chunks[i]);
	for (uint32_t i = 0; i < SIM_KEYS; i++)
		free(world->model.keys[i].versions);
	free(world->on_wire);
	free(world->check.chunks);
	free(world->check.entries);
	free(world->check.requests);
	free(world->check.refused);
	free(world->events);
	free(world);
}
