/*
 * workload.c
 *	  What clients want, and whether they get it in the end.
 *
 * test/sim/workload.c
 */
#include "rusd.h"

#include "sim.h"
#include "store/store.h"

#define OPS_WANTED 1000
/* Some are lost to times without a leader. */
#define OPS_AIMED_AT 1700

/* As etcd's enums number them. */
#define COMPARE_MOD_EQUAL 2

uint64_t
workload_gap(const World *world)
{
	uint64_t clients = world->first_members * SIM_CLIENTS;

	return world->options.chaos_ns * clients / OPS_AIMED_AT * 100 / world->options.op_percent;
}

static Bytes
key_bytes(char name[4], uint32_t key)
{
	snprintf(name, 4, "k%02u", key);
	return (Bytes){(const uint8_t *) name, 3};
}

/* Sixteen digits that tell the number, and now and then more than a page. */
static Bytes
value_bytes(World *world, uint64_t number, uint8_t *buffer, size_t size)
{
	uint64_t kind = sim_below(&world->work, 100);
	size_t length = 16 + (kind < 80   ? sim_below(&world->work, 100)
						  : kind < 98 ? sim_below(&world->work, 1000)
									  : sim_below(&world->work, size - 16));

	memset(buffer, 'x', length);
	snprintf((char *) buffer, 17, "%016" PRIx64, number);
	buffer[16] = 'x';
	return (Bytes){buffer, length};
}

static void
add_op(ClientOp *op, OpHeader header, Bytes key, Bytes value)
{
	static const Bytes nothing;

	op->length += op_encode(op->payload + op->length, &header, key, nothing, value);
	Check(op->length <= sizeof(op->payload));
}

/* If the key was not changed since: another value; else nothing, or another one all the same. */
static void
encode_txn(World *world, ClientOp *op, Bytes key)
{
	int64_t expected = model_modified(&world->model, op->key);
	uint32_t begin = op->length;
	bool has_else = sim_percent(&world->work, 30);
	uint8_t value[4200];
	OpHeader *txn = (OpHeader *) (void *) (op->payload + begin);
	OpHeader *jump;
	static const Bytes nothing;

	if (sim_percent(&world->work, 20))
		expected = (int64_t) sim_below(&world->work, (uint64_t) world->model.revision);
	add_op(op, (OpHeader){.kind = OP_TXN, .target = 1}, nothing, nothing);
	add_op(op, (OpHeader){.kind = OP_COMPARE, .target = COMPARE_MOD_EQUAL, .number = expected}, key,
		   nothing);
	add_op(op, (OpHeader){.kind = OP_PUT}, key, value_bytes(world, op->number, value, 1200));
	if (has_else)
	{
		jump = (OpHeader *) (void *) (op->payload + op->length);
		add_op(op, (OpHeader){.kind = OP_JUMP}, nothing, nothing);
		txn->number = op->length - begin;
		add_op(op, (OpHeader){.kind = OP_PUT}, key,
			   value_bytes(world, world->next_number++, value, 1200));
		jump->number = op->length - begin;
	}
	else
		txn->number = op->length - begin;
}

static void
encode(World *world, const Member *member, ClientOp *op)
{
	uint8_t value[4200];
	char name[4];
	Bytes key = key_bytes(name, op->key);
	EntryCompact compact = {.revision = (int64_t) op->number};
	static const Bytes nothing;

	memset(op->payload, 0, sizeof(EntryHeader));
	op->length = sizeof(EntryHeader);
	op->piece = (ProposalPiece){.frames_needed = 16};
	switch (op->kind)
	{
		case OP_IS_PUT:
			op->piece.kind = ENTRY_PUT;
			add_op(op, (OpHeader){.kind = OP_PUT}, key,
				   value_bytes(world, op->number, value, sizeof(value)));
			break;
		case OP_IS_DELETE:
			op->piece.kind = ENTRY_DELETE_RANGE;
			op->piece.flags = PROPOSAL_FREES_SPACE;
			add_op(op, (OpHeader){.kind = OP_DELETE}, key, nothing);
			break;
		case OP_IS_TXN:
			op->piece.kind = ENTRY_TXN;
			encode_txn(world, op, key);
			break;
		case OP_IS_COMPACT:
			op->piece.kind = ENTRY_COMPACT;
			op->piece.flags = PROPOSAL_FREES_SPACE;
			memcpy(op->payload + op->length, &compact, sizeof(compact));
			op->length += sizeof(compact);
			break;
		case OP_IS_MEMBER:
			op->piece.kind = ENTRY_MEMBER;
			op->length = member_encode(op->change, &world->members[op->number - SIM_FIRST_ID],
									   op->is_learner, member->control.configuration_index,
									   op->payload, sizeof(op->payload));
			break;
		case OP_IS_READ: /* of the index from which on it may be read */
			op->piece.kind = ENTRY_READ_INDEX;
			break;
		default:
			break;
	}
}

/* A member that something can be done with; SIM_MEMBERS: there is none. */
static uint32_t
draw_member(World *world, ModelMember what)
{
	uint32_t first = (uint32_t) sim_below(&world->work, SIM_MEMBERS);

	for (uint32_t i = 0; i < SIM_MEMBERS; i++)
	{
		if (world->model.members[(first + i) % SIM_MEMBERS] == what)
			return (first + i) % SIM_MEMBERS;
	}
	return SIM_MEMBERS;
}

/* What is told of: the number in op->number is the member's id. */
static bool
choose_change(World *world, ClientOp *op, SimEventKind *told)
{
	uint64_t share = sim_below(&world->work, 100);
	uint32_t voters = model_count_members(world, MODEL_VOTER);
	uint32_t number = SIM_MEMBERS;
	MemberAction action = MEMBER_ADD;
	bool is_learner = share < 40;

	if (chaos_is_left_out(world, CHAOS_CHANGES))
		return false;
	*told = SIM_ADD;
	if (share < 50 && voters < 7)
		number = draw_member(world, MODEL_NO_MEMBER);
	else if (share < 75)
	{
		number = draw_member(world, MODEL_LEARNER);
		action = MEMBER_PROMOTE;
		*told = SIM_PROMOTE;
	}
	else if (voters > 1)
	{
		number = draw_member(world, share < 95 ? MODEL_VOTER : MODEL_LEARNER);
		action = MEMBER_REMOVE;
		*told = SIM_REMOVE;
	}
	if (number == SIM_MEMBERS)
		return false;
	op->kind = OP_IS_MEMBER;
	op->number = world->members[number].id;
	op->change = action;
	op->is_learner = is_learner;
	return true;
}

static SimEventKind
choose_kind(World *world, const Member *member, ClientOp *op)
{
	/* Without a leader there are still reads, which wait for one. */
	uint64_t share = member->control.leader_id == 0 && world->first_members > 1
						 ? 565 + sim_below(&world->work, 430)
						 : sim_below(&world->work, 1000);
	SimEventKind told;

	op->number = 0;
	if (world->first_members > 1 && share >= 995 && choose_change(world, op, &told))
		return told;
	if (share < 300 || share < 480)
	{
		op->kind = share < 300 ? OP_IS_PUT : OP_IS_TXN;
		op->number = world->next_number++;
		return share < 300 ? SIM_PUT : SIM_TXN;
	}
	if (share < 550)
	{
		op->kind = OP_IS_DELETE;
		return SIM_DELETE;
	}
	if (share < 565)
	{
		op->kind = OP_IS_COMPACT;
		op->number =
			(uint64_t) Max(world->model.revision - (int64_t) sim_below(&world->work, 100), 1);
		return SIM_COMPACT;
	}
	op->kind = share < 900 ? OP_IS_READ : OP_IS_LOCAL_READ;
	return share < 900 ? SIM_READ : SIM_READ_LOCAL;
}

/* After the faults: a write and a read through every member, and nothing else. */
static bool
choose_proof(World *world, Member *member, ClientOp *op, SimEventKind *told)
{
	if (member->settled_put && member->settled_read)
		return false;
	op->kind = member->settled_put ? OP_IS_READ : OP_IS_PUT;
	*told = member->settled_put ? SIM_READ : SIM_PUT;
	op->number = member->settled_put ? 0 : world->next_number++;
	return true;
}

bool
workload_choose(Member *member, Client *client, ClientOp *op)
{
	World *world = member->world;
	SimEventKind told;
	uint64_t wanted = OPS_WANTED * world->options.op_percent / 100;

	op->key = (uint32_t) sim_below(&world->work, SIM_KEYS);
	if (world->model.members[member->number] != MODEL_VOTER)
	{
		/* Backends of learners offer nothing else. */
		op->kind = OP_IS_LOCAL_READ;
		told = SIM_READ_LOCAL;
	}
	else if (!world->healed || world->ops_begun < wanted)
		told = choose_kind(world, member, op);
	else if (!choose_proof(world, member, op, &told))
		return false;
	sim_tell(world, member, told, client->number,
			 op->kind >= OP_IS_READ || op->kind == OP_IS_DELETE ? op->key : op->number);
	encode(world, member, op);
	return true;
}

/* ---- the end ---- */

static bool
lacks(World *world, const Member *member, const char *what)
{
	snprintf(world->lacking, sizeof(world->lacking), "m%u %s", member->number + 1, what);
	return true;
}

static bool
is_lacking(World *world, const Member *member)
{
	if (member->state != MEMBER_UP)
		return lacks(world, member, "does not run");
	if (!member->control.ready)
		return lacks(world, member, "does not serve");
	if (!member->settled_put)
		return lacks(world, member, "has completed no write since the faults ended");
	if (!member->settled_read)
		return lacks(world, member, "has completed no linearizable read since the faults ended");
	return false;
}

static uint32_t
content_hash(Member *member)
{
	PageAccess access = member_access(member, PROC_PAGER);
	Snapshot snapshot;
	HashAll *hash = NULL;
	uint32_t value = 0;
	Status status = snapshot_pin(&access, &snapshot);

	Check(status == RUSD_OK && hash_all_begin(&snapshot, &hash) == RUSD_OK);
	while ((status = hash_all_step(hash, &value)) == RUSD_AGAIN)
		;
	hash_all_end(hash);
	snapshot_unpin(&snapshot);
	if (status != RUSD_OK)
		sim_violation(member->world, member, "no part fails", "a hash of the store: %s",
					  status_text(status));
	return value;
}

static bool
belongs(const World *world, uint32_t number)
{
	return world->model.members[number] == MODEL_VOTER ||
		   world->model.members[number] == MODEL_LEARNER;
}

bool
workload_is_settled(World *world)
{
	RootState root;
	uint32_t first = 0;

	if (world->ops_begun < OPS_WANTED * world->options.op_percent / 100)
	{
		snprintf(world->lacking, sizeof(world->lacking), "only %" PRIu64 " operations were begun",
				 world->ops_begun);
		return false;
	}
	for (uint32_t i = 0; i < world->member_count; i++)
	{
		if (world->model.members[i] == MODEL_VOTER && is_lacking(world, &world->members[i]))
			return false;
	}
	for (uint32_t i = 0; i < world->member_count; i++)
	{
		if (!belongs(world, i))
			continue;
		if (world->members[i].state != MEMBER_UP ||
			atomic_load(&world->members[i].shm->positions->applied_index) != world->check.count)
			return !lacks(world, &world->members[i], "has not applied all that is committed");
		shm_root_read(world->members[i].shm, &root);
		if (root.compaction_done != root.compacted)
			return !lacks(world, &world->members[i], "has not removed all that is compacted");
	}
	for (uint32_t i = 0; i < world->member_count; i++)
	{
		uint32_t hash;

		if (!belongs(world, i))
			continue;
		hash = content_hash(&world->members[i]);
		if (first == 0)
			first = hash;
		if (hash != first)
			sim_violation(world, &world->members[i], "state machine safety",
						  "its store is not that of the others");
	}
	return true;
}
