/*
 * bench_raft.c
 *	  Processor time of the consensus core for a committed entry: clusters of three cores that talk to each
 *	  other, without log, network or disk.
 *
 *		bench_raft [entries a batch] [batches]
 *
 * test/bench/bench_raft.c
 */
#include "rusd.h"

#include <time.h>

#include "raft/raft.h"

#define MEMBERS 3
#define SPANS 4096
#define RUNS 16
#define QUEUE 4096

typedef struct Member
{
	Raft raft;
	RaftSpan spans[SPANS];
	RaftRun runs[RUNS];
	uint64_t position;
	uint64_t told; /* last index that it was told to lie in the log */
	bool hard_state;
} Member;

static Member members[MEMBERS];
static RaftMessage queue[QUEUE];
static uint32_t queue_head, queue_tail;
static RaftUpdate update;
static uint64_t steps;

static void
step(Member *member, const RaftEvent *event)
{
	raft_update_reset(&update);
	raft_step(&member->raft, event, &update);
	steps++;
	for (uint32_t i = 0; i < update.record_count; i++)
		member->hard_state |= update.records[i].kind == RAFT_RECORD_HARD_STATE;
	for (uint32_t i = 0; i < update.message_count; i++)
		queue[queue_head++ % QUEUE] = update.messages[i];
	Check(queue_head - queue_tail <= QUEUE);
}

/* What it has taken lies in the log, and is durable at once. */
static void
end_turn(Member *member)
{
	if (member->raft.last_index != member->told || member->hard_state)
	{
		member->position += 512;
		step(member, &(RaftEvent){.kind = RAFT_APPENDED,
								  .index = member->raft.last_index,
								  .position = member->position,
								  .hard_state = member->hard_state});
		member->told = member->raft.last_index;
		member->hard_state = false;
		step(member, &(RaftEvent){.kind = RAFT_FLUSHED, .position = member->position});
	}
	step(member, &(RaftEvent){.kind = RAFT_TURN});
}

static void
deliver_all(void)
{
	while (queue_tail != queue_head)
	{
		RaftMessage message = queue[queue_tail++ % QUEUE];
		Member *member = &members[message.to - 1];

		step(member, &(RaftEvent){.kind = RAFT_RECEIVE, .message = &message});
		end_turn(member);
	}
}

static double
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double) now.tv_sec * 1e9 + (double) now.tv_nsec;
}

static void
start(void)
{
	RaftConfiguration configuration = {.member_count = MEMBERS};

	for (uint32_t i = 0; i < MEMBERS; i++)
		configuration.members[i].id = i + 1;
	for (uint32_t i = 0; i < MEMBERS; i++)
		Check(raft_init(&members[i].raft, &(RaftStart){.member_id = i + 1,
													   .options = {.election_ticks = 10,
																   .window_bytes = 1 << 20,
																   .message_bytes = 1 << 20},
													   .configuration = &configuration,
													   .random = i * UINT64_C(0x9e3779b97f4a7c15),
													   .spans = members[i].spans,
													   .span_capacity = SPANS,
													   .runs = members[i].runs,
													   .run_capacity = RUNS}) == RUSD_OK);
	while (members[0].raft.role != ROLE_LEADER)
	{
		step(&members[0], &(RaftEvent){.kind = RAFT_TICK});
		end_turn(&members[0]);
		deliver_all();
	}
}

int
main(int argc, char **argv)
{
	uint64_t batch = argc > 1 ? strtoull(argv[1], NULL, 10) : 100;
	uint64_t batches = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
	uint64_t before;
	double began, took;

	start();
	before = members[0].raft.commit_index;
	steps = 0;
	began = now_ns();
	for (uint64_t b = 0; b < batches; b++)
	{
		for (uint64_t i = 0; i < batch; i++)
			step(&members[0], &(RaftEvent){.kind = RAFT_PROPOSE});
		end_turn(&members[0]);
		deliver_all();
		for (uint32_t m = 0; m < MEMBERS; m++)
			step(&members[m],
				 &(RaftEvent){.kind = RAFT_APPLIED, .index = members[m].raft.commit_index});
	}
	took = now_ns() - began;
	Check(members[0].raft.commit_index == before + batch * batches);
	printf("batches of %" PRIu64 ", three members: %.1f ns of processor for a committed entry (all "
		   "three), %.1f ns for a step\n",
		   batch, took / (double) (batch * batches), took / (double) steps);
	return 0;
}
