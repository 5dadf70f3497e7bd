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
print_member(uint64_t id)
{
	if (id >= SIM_FIRST_ID && id < SIM_FIRST_ID + SIM_MEMBERS)
		printf("m%u", (unsigned) (id - SIM_FIRST_ID + 1));
	else
		printf("member %" PRIx64, id);
}

/* Low byte: RaftMessageKind; above: its index. */
static void
print_message(uint64_t packed)
{
	static const char *const names[] = {
		"a pre-vote request, its last entry being",
		"the answer to a pre-vote request: own last entry",
		"a vote request, its last entry being",
		"the answer to a vote request: own last entry",
		"entries behind",
		"word of its log up to entry",
		"a heartbeat behind",
		"the answer to a heartbeat: last entry",
		"a question for a read index behind",
		"the read index",
		"the order to campaign at once, behind",
		"the offer of its state up to entry",
	};
	uint64_t kind = packed & 0xff;

	StaticAssert(lengthof(names) == MESSAGE_KIND_COUNT, "each kind of message has a name");
	printf("%s %" PRIu64, kind < lengthof(names) ? names[kind] : "?", packed >> 8);
}

/* {a}, {b}: numbers; {ma}, {mb}: members; {kb}: a message. */
static void
print_text(const char *text, uint64_t a, uint64_t b)
{
	const char *brace;

	for (; (brace = strchr(text, '{')) != NULL; text = strchr(brace, '}') + 1)
	{
		bool is_number = brace[2] == '}';
		uint64_t value = brace[is_number ? 1 : 2] == 'a' ? a : b;

		printf("%.*s", (int) (brace - text), text);
		if (is_number)
			printf("%" PRIu64, value);
		else if (brace[1] == 'm')
			print_member(value);
		else
			print_message(value);
	}
	fputs(text, stdout);
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
	print_text(kinds[kind].text, a, b);
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
