/*
 * chaos.c
 *	  Faults: which, when, to whom; drawn before the run begins, so that one can be left out.
 *
 * test/sim/chaos.c
 */
#include "rusd.h"

#include "sim.h"

#define FAULTS_MIN 6

static const struct
{
	const char *name;
	unsigned weight;
} classes[] = {
	[CHAOS_KILL_MEMBER] = {"kill", 10},
	[CHAOS_KILL_PROCESS] = {"kill-process", 8},
	[CHAOS_KILL_BACKEND] = {"kill-backend", 8},
	[CHAOS_POWER] = {"power", 10},
	[CHAOS_POWER_IN_CALL] = {"power-in-call", 10},
	[CHAOS_KILL_IN_CALL] = {"kill-in-call", 10},
	[CHAOS_STOP] = {"stop", 6},
	[CHAOS_PAUSE_PROCESS] = {"pause-process", 10},
	[CHAOS_PAUSE_MEMBER] = {"pause", 10},
	[CHAOS_DISK_STALL] = {"disk-stall", 10},
	[CHAOS_DISK_SLOW] = {"disk-slow", 4},
	[CHAOS_DISK_FULL] = {"disk-full", 4},
	[CHAOS_CLOCK] = {"clock", 5},
	[CHAOS_PARTITION] = {"partition", 12},
	[CHAOS_ISOLATION] = {"isolation", 10},
	[CHAOS_ONE_WAY] = {"one-way", 8},
	[CHAOS_LOSS] = {"loss", 5},
	[CHAOS_DELAY] = {"delay", 5},
	[CHAOS_DOUBLING] = {"doubling", 4},
	[CHAOS_CHANGES] = {"changes", 0},
	[CHAOS_LOG_REMOVAL] = {"log-removal", 0},
};

StaticAssert(lengthof(classes) == CHAOS_CLASS_COUNT, "each class has a name");

const char *
chaos_class_name(FaultClass class)
{
	return class < CHAOS_CLASS_COUNT ? classes[class].name : NULL;
}

bool
chaos_is_left_out(const World *world, FaultClass class)
{
	return world->options.without >> class & 1;
}

static FaultClass
draw_class(SimRandom *random)
{
	unsigned sum = 0;
	uint64_t drawn;
	int class = 0;

	for (int i = 0; i < CHAOS_CLASS_COUNT; i++)
		sum += classes[i].weight;
	for (drawn = sim_below(random, sum); drawn >= classes[class].weight; class ++)
		drawn -= classes[class].weight;
	return (FaultClass) class;
}

void
chaos_plan(World *world)
{
	SimRandom *random = &world->chaos;
	uint64_t span = world->options.chaos_ns;

	world->fault_count = FAULTS_MIN + (uint32_t) sim_below(random, SIM_FAULTS - FAULTS_MIN + 1);
	for (uint32_t i = 0; i < world->fault_count; i++)
	{
		PlannedFault *fault = &world->faults[i];
		uint64_t longest = sim_percent(random, 30) ? 8 * SIM_SECOND : 2 * SIM_SECOND;

		*fault = (PlannedFault){.class = draw_class(random),
								.at = world->now + sim_below(random, span * 9 / 10),
								.length = 20 * SIM_MS + sim_below(random, longest),
								.member = (uint32_t) sim_below(random, world->member_count),
								.argument = sim_random(random)};
		if (fault->class >= CHAOS_PARTITION && world->member_count == 1)
			continue;
		if (i < world->options.fault_limit && !chaos_is_left_out(world, fault->class))
			world_add_event(world, fault->at, EVENT_FAULT, 0, i);
	}
}

/* ---- what they do ---- */

static void
pause_actors(Member *member, uint32_t first, uint32_t count, uint64_t until)
{
	for (uint32_t i = first; i < first + count; i++)
		member->actors[i].not_before = Max(member->actors[i].not_before, until);
}

static void
stall_disk(Member *member, uint64_t until)
{
	pause_actors(member, PROC_WALWRITER, 1, until);
	pause_actors(member, PROC_CHECKPOINTER, 1, until);
	pause_actors(member, PROC_PAGER, 1, until);
}

static void
begin_on_running(World *world, PlannedFault *fault, Member *member)
{
	uint64_t until = world->now + fault->length;
	uint32_t process = (uint32_t) (fault->argument % PROC_ESSENTIAL_COUNT);

	switch (fault->class)
	{
		case CHAOS_KILL_MEMBER:
			sim_tell(world, member, SIM_MEMBER_KILLED, 0, 0);
			member_end(member, END_KILLED);
			break;
		case CHAOS_KILL_PROCESS:
			sim_tell(world, member, SIM_PROCESS_KILLED, process, 0);
			member->down_ns = 10 * SIM_MS;
			member_end(member, END_KILLED);
			break;
		case CHAOS_KILL_BACKEND:
			client_kill(&member->clients[fault->argument % SIM_CLIENTS], member);
			break;
		case CHAOS_POWER:
			sim_tell(world, member, SIM_POWER_CUT, 0, 0);
			member_end(member, END_POWER_CUT);
			break;
		case CHAOS_STOP:
			member_stop(member, 1);
			break;
		case CHAOS_PAUSE_PROCESS:
			sim_tell(world, member, SIM_PROCESS_PAUSED, process, fault->length / SIM_MS);
			pause_actors(member, process, 1, until);
			break;
		case CHAOS_PAUSE_MEMBER:
			sim_tell(world, member, SIM_MEMBER_PAUSED, fault->length / SIM_MS, 0);
			pause_actors(member, 0, SIM_ACTORS, until);
			break;
		case CHAOS_DISK_STALL:
			sim_tell(world, member, SIM_DISK_STALLED, fault->length / SIM_MS, 0);
			stall_disk(member, until);
			break;
		default:
			break;
	}
}

/* ---- the network ---- */

/* Does this fault close the way? */
static bool
blocks(const World *world, const PlannedFault *fault, uint32_t from, uint32_t to)
{
	uint64_t side = fault->argument;

	switch (fault->class)
	{
		case CHAOS_PARTITION:
			return (side >> from & 1) != (side >> to & 1);
		case CHAOS_ISOLATION:
			return from == fault->member || to == fault->member;
		case CHAOS_ONE_WAY:
			return from == fault->member && to == side % world->member_count;
		default:
			return false;
	}
}

static void
set_blocked(World *world, const PlannedFault *fault, bool closed)
{
	for (uint32_t from = 0; from < SIM_MEMBERS; from++)
	{
		for (uint32_t to = 0; to < SIM_MEMBERS; to++)
		{
			uint32_t *blocked = &world->links[from][to].blocked;

			if (!blocks(world, fault, from, to))
				continue;
			if (closed)
				++*blocked;
			else if (*blocked > 0)
				--*blocked;
		}
	}
}

static void
begin_on_network(World *world, const PlannedFault *fault)
{
	Member *member = &world->members[fault->member];
	uint32_t to = (uint32_t) (fault->argument % world->member_count);
	SimLink *link = &world->links[fault->member][to];
	uint64_t drawn = fault->argument >> 32;

	set_blocked(world, fault, true);
	switch (fault->class)
	{
		case CHAOS_PARTITION:
			sim_tell(world, NULL, SIM_PARTITION, fault->argument % (1u << world->member_count), 0);
			break;
		case CHAOS_ISOLATION:
			sim_tell(world, member, SIM_ISOLATION, 0, 0);
			break;
		case CHAOS_ONE_WAY:
			sim_tell(world, member, SIM_ONE_WAY, world->members[to].id, 0);
			break;
		case CHAOS_LOSS:
			link->loss = 50 + (uint32_t) (drawn % 600);
			sim_tell(world, member, SIM_LOSSY, world->members[to].id, link->loss);
			break;
		case CHAOS_DELAY:
			link->delay_ns = drawn % (400 * SIM_MS);
			sim_tell(world, member, SIM_LATE, world->members[to].id, link->delay_ns / SIM_MS);
			break;
		default:
			link->doubling = 50 + (uint32_t) (drawn % 500);
			sim_tell(world, member, SIM_DOUBLING, world->members[to].id, link->doubling);
			break;
	}
}

static void
finish_on_network(World *world, const PlannedFault *fault)
{
	SimLink *link = &world->links[fault->member][fault->argument % world->member_count];

	set_blocked(world, fault, false);
	if (fault->class == CHAOS_LOSS)
		link->loss = 0;
	if (fault->class == CHAOS_DELAY)
		link->delay_ns = SIM_MS;
	if (fault->class == CHAOS_DOUBLING)
		link->doubling = 0;
	sim_tell(world, NULL, SIM_LINK_WELL, 0, 0);
}

/* ---- begin, end ---- */

void
chaos_begin(World *world, uint32_t number)
{
	PlannedFault *fault = &world->faults[number];
	Member *member = &world->members[fault->member];

	if (world->healed)
		return;
	switch (fault->class)
	{
		case CHAOS_POWER_IN_CALL:
		case CHAOS_KILL_IN_CALL:
			member->disk->power_left = fault->argument % 60;
			member->disk->cut_is_kill = fault->class == CHAOS_KILL_IN_CALL;
			break;
		case CHAOS_DISK_SLOW:
			member->sync_ns = 5 * SIM_MS + fault->argument % (100 * SIM_MS);
			sim_tell(world, member, SIM_DISK_SLOW, member->sync_ns / SIM_US, 0);
			break;
		case CHAOS_DISK_FULL:
			member->disk->room = sim_disk_used(member->disk) + fault->argument % (256 * 1024);
			sim_tell(world, member, SIM_DISK_FULL, 0, 0);
			break;
		case CHAOS_CLOCK:
			member_set_clock_rate(member, 700 + fault->argument % 800);
			sim_tell(world, member, SIM_CLOCK_CHANGED, member->clock_rate, 0);
			break;
		case CHAOS_PARTITION:
		case CHAOS_ISOLATION:
		case CHAOS_ONE_WAY:
		case CHAOS_LOSS:
		case CHAOS_DELAY:
		case CHAOS_DOUBLING:
			begin_on_network(world, fault);
			break;
		default:
			if (member->state != MEMBER_UP)
				return;
			begin_on_running(world, fault, member);
			break;
	}
	world_add_event(world, world->now + fault->length, EVENT_FAULT_END, 0, number);
}

void
chaos_finish(World *world, uint32_t number)
{
	const PlannedFault *fault = &world->faults[number];
	Member *member = &world->members[fault->member];

	if (world->healed)
		return;
	if (fault->class >= CHAOS_PARTITION)
		finish_on_network(world, fault);
	switch (fault->class)
	{
		case CHAOS_STOP:
			if (member->stopping == 1)
				member_stop(member, 2);
			break;
		case CHAOS_DISK_SLOW:
		case CHAOS_DISK_FULL:
			member->disk->room = UINT64_MAX;
			member->sync_ns = 100 * SIM_US + fault->argument % (2 * SIM_MS);
			sim_tell(world, member, SIM_DISK_WELL, 0, 0);
			break;
		case CHAOS_CLOCK:
			member_set_clock_rate(member, 1000);
			break;
		default: /* ends by itself */
			break;
	}
}

/* Clocks that are a little wrong, and what has begun to stop, stay as they are. */
void
chaos_heal(World *world)
{
	network_heal(world);
	for (uint32_t i = 0; i < world->member_count; i++)
	{
		Member *member = &world->members[i];

		/* Who was removed may go on to disturb, or not. */
		if (world->model.members[i] == MODEL_REMOVED && sim_percent(&world->schedule, 50))
		{
			if (member->state == MEMBER_UP)
				member_end(member, END_KILLED);
			member->state = MEMBER_GONE;
		}
		if (member->state == MEMBER_GONE || member->state == MEMBER_ABSENT)
			continue;
		member->disk->room = UINT64_MAX;
		member->disk->power_left = UINT64_MAX;
		member->sync_ns = Min(member->sync_ns, 2 * SIM_MS);
		member_set_clock_rate(member, 1000);
		for (uint32_t actor = 0; actor < SIM_ACTORS; actor++)
			member->actors[actor].not_before = 0;
		if (member->stopping == 1)
			member_stop(member, 2);
		for (uint32_t actor = 0; member->state == MEMBER_UP && actor < SIM_ACTORS; actor++)
			world_wake(member, actor, world->now + SIM_MS);
	}
}
