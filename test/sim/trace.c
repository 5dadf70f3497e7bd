/*
 * trace.c
 *	  Telling what happens: a hash over all of it, counts of each kind, and words for a reader.
 *
 * test/sim/trace.c
 */
#include "rusd.h"

#include <stdarg.h>

#include "sim.h"

static const struct
{
	const char *name;
	const char *text;
	bool wanted;
} kinds[] = {
#define SIM_EVENT(symbol, wanted, text) {#symbol, text, wanted},
#include "simeventlist.h"
#undef SIM_EVENT
};

static void
mix(SimTrace *trace, uint64_t number)
{
	trace->hash = (trace->hash ^ number) * 0x9e3779b97f4a7c15;
	trace->hash ^= trace->hash >> 29;
}

static void
print_member(const World *world, uint64_t id)
{
	for (uint32_t i = 0; i < world->member_count; i++)
	{
		if (world->members[i].id == id)
		{
			printf("m%u", i + 1);
			return;
		}
	}
	printf("member %" PRIx64, id);
}

/* {a}, {b}: numbers; {ma}, {mb}: members. */
static void
print_text(const World *world, const char *text, uint64_t a, uint64_t b)
{
	while (*text != '\0')
	{
		const char *brace = strchr(text, '{');
		bool is_member;

		if (brace == NULL)
		{
			fputs(text, stdout);
			return;
		}
		printf("%.*s", (int) (brace - text), text);
		is_member = brace[1] == 'm';
		brace += is_member ? 2 : 1;
		if (is_member)
			print_member(world, *brace == 'a' ? a : b);
		else
			printf("%" PRIu64, *brace == 'a' ? a : b);
		text = brace + 2;
	}
}

static void
print_time(const World *world)
{
	printf("%4" PRIu64 ".%06" PRIu64 "  ", world->now / SIM_SECOND,
		   world->now % SIM_SECOND / SIM_US);
}

static void
print_who(const Member *member)
{
	if (member == NULL)
		printf("--                  ");
	else
		printf("m%u %-9s t%-5" PRIu64 " ", member->number + 1, member_role(member),
			   member->control.term);
}

void
sim_tell(World *world, const Member *member, SimEventKind kind, uint64_t a, uint64_t b)
{
	SimTrace *trace = &world->trace;

	trace->counts[kind]++;
	mix(trace, world->now);
	mix(trace, (uint64_t) kind << 8 | (member == NULL ? 0 : member->number + 1));
	mix(trace, a);
	mix(trace, b);
	if (!trace->narrate)
		return;
	print_time(world);
	print_who(member);
	print_text(world, kinds[kind].text, a, b);
	putchar('\n');
}

void
sim_violation(World *world, const Member *member, const char *checker, const char *format, ...)
{
	va_list arguments;
	int length;

	if (world->failed)
		return;
	world->failed = true;
	length = snprintf(world->failure, sizeof(world->failure), "%s: ", checker);
	va_start(arguments, format);
	vsnprintf(world->failure + length, sizeof(world->failure) - (size_t) length, format, arguments);
	va_end(arguments);
	if (!world->trace.narrate)
		return;
	print_time(world);
	print_who(member);
	printf("VIOLATION of %s\n", world->failure);
}

void
trace_add_counts(uint64_t sums[SIM_EVENT_COUNT], const SimTrace *trace)
{
	for (int i = 0; i < SIM_EVENT_COUNT; i++)
		sums[i] += trace->counts[i];
}

uint32_t
trace_missing(const uint64_t sums[SIM_EVENT_COUNT])
{
	uint32_t missing = 0;

	for (int i = 0; i < SIM_EVENT_COUNT; i++)
	{
		if (sums[i] > 0 || !kinds[i].wanted)
			continue;
		printf("# never happened: %s\n", kinds[i].name);
		missing++;
	}
	return missing;
}

void
trace_print_counts(const uint64_t sums[SIM_EVENT_COUNT])
{
	for (int i = 0; i < SIM_EVENT_COUNT; i++)
		printf("# %-20s %12" PRIu64 "\n", kinds[i].name, sums[i]);
}
