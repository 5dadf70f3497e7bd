/*
 * client.c
 *	  Backends as the cluster sees them: a slot, its rings, snapshots; and the checks of what they
 *	  are answered.
 *
 * test/sim/client.c
 */
#include "rusd.h"

#include "btree/btree.h"
#include "sim.h"
#include "store/range.h"
#include "store/store.h"

/* A client that was not answered for so long waits no more. */
#define PATIENCE_NS (5 * SIM_SECOND)
#define RETRY_NS (50 * SIM_MS)
/* An index that was refused is asked for again after so long. */
#define ASK_AGAIN_NS (100 * SIM_MS)

/* ---- slots ---- */

static void
connect_one(Client *client, Member *member)
{
	Shm *shm = member->shm;

	if (!slot_allocate(shm, &client->slot))
		return;
	latch_init(&shm->latches[client->slot], false);
	client->generation = atomic_load(&shm->heads[client->slot].generation);
	proposal_writer_init(&client->writer, shm, client->slot);
	client->access = member_access(member, client->slot);
	world_wake(member, client->slot, Max(client->next_op, member->world->now));
}

void
clients_connect(Member *member)
{
	for (uint32_t i = 0; i < SIM_CLIENTS; i++)
	{
		if (member->clients[i].slot == 0)
			connect_one(&member->clients[i], member);
	}
}

static void
drop_ops(Client *client, Member *member)
{
	for (uint32_t i = 0; i < SIM_OPS; i++)
	{
		ClientOp *op = &client->ops[i];

		if (op->state != CLIENT_OP_FREE && !op->given_up && op->kind < OP_IS_READ)
			sim_tell(member->world, member, SIM_UNKNOWN, client->number, op->id.sequence);
		op->state = CLIENT_OP_FREE;
	}
	client->slot = 0;
}

void
clients_drop(Member *member)
{
	for (uint32_t i = 0; i < SIM_CLIENTS; i++)
		drop_ops(&member->clients[i], member);
}

void
client_kill(Client *client, Member *member)
{
	uint32_t slot = client->slot;

	if (slot == 0)
		return;
	sim_tell(member->world, member, SIM_BACKEND_KILLED, slot, 0);
	drop_ops(client, member);
	member->actors[slot] = (SimActor){.wake_at = UINT64_MAX};
	slot_mark_dead(member->shm, slot);
	world_look_at_latches(member);
}

/* ---- answers ---- */

static void
check_committed(const Client *client, Member *member, const ClientOp *op, const Reply *reply,
				uint64_t index)
{
	World *world = member->world;
	const Committed *entry = &world->check.entries[index - 1];

	bool same_status = op->kind == OP_IS_MEMBER
						   ? (reply->status == RUSD_OK) == (entry->status == RUSD_OK)
						   : reply->status == (uint32_t) entry->status;

	if (!same_status || reply->revision != entry->revision ||
		((reply->flags & REPLY_CHANGED) != 0) != entry->changed ||
		(op->kind < OP_IS_COMPACT && reply->value != entry->value))
		sim_violation(world, member, "answers belong to their requests",
					  "client %u: request %" PRIu64 " is entry %" PRIu64 " with revision %" PRId64
					  ", status %u, value %" PRIu64 "; the answer has %" PRId64 ", %u, %" PRIu64,
					  client->number, op->id.sequence, index, entry->revision,
					  (unsigned) entry->status, entry->value, reply->revision,
					  (unsigned) reply->status, reply->value);
	world->model.acknowledged = Max(world->model.acknowledged, reply->revision);
}

/* From there on the read may be done; without an index it is tried again. */
static void
take_read_index(ClientOp *op, const Reply *reply)
{
	if (op->given_up)
		return;
	op->state = CLIENT_OP_READING;
	if (reply->status == RUSD_OK)
		op->read_index = reply->value;
}

/*
 * "Nobody knows": where a state was installed that may hold the entry, and only there.  Else what raft
 * answers is not executed.
 */
static bool
is_unknown(const Member *member, const ClientOp *op, const Reply *reply)
{
	return (reply->status == RUSD_TIMEOUT_LEADER_FAIL ||
			reply->status == RUSD_TIMEOUT_CONNECTION_LOST) &&
		   member->installed_at >= op->began;
}

static void
take_reply(Client *client, Member *member, const Reply *reply)
{
	World *world = member->world;
	ClientOp *op = NULL;
	uint64_t index;

	for (uint32_t i = 0; i < SIM_OPS; i++)
	{
		if (client->ops[i].state == CLIENT_OP_WAITS &&
			client->ops[i].id.sequence == reply->sequence)
			op = &client->ops[i];
	}
	if (op == NULL)
	{
		sim_violation(world, member, "answers belong to their requests",
					  "client %u is answered request %" PRIu64 ", which it does not wait for",
					  client->number, reply->sequence);
		return;
	}
	op->state = CLIENT_OP_FREE;
	if (op->kind == OP_IS_READ)
	{
		take_read_index(op, reply);
		return;
	}
	if (is_unknown(member, op, reply))
	{
		sim_tell(world, member, SIM_UNKNOWN, client->number, op->id.sequence);
		return;
	}
	index = logcheck_find(world, &op->id);
	if (index != 0)
	{
		check_committed(client, member, op, reply, index);
		if (!op->given_up)
			sim_tell(world, member, SIM_ANSWER, client->number, (uint64_t) reply->revision);
		member->settled_put |= world->healed && op->began >= world->heal_at;
		return;
	}
	if (reply->status == RUSD_OK)
		sim_violation(world, member, "no acknowledged write is lost",
					  "client %u: request %" PRIu64 " is acknowledged and not committed",
					  client->number, op->id.sequence);
	logcheck_refused(world, &op->id);
	sim_tell(world, member, SIM_REFUSED, client->number, reply->status);
}

/* ---- reads ---- */

static uint64_t
number_read(Client *client, const Snapshot *snapshot, uint32_t key, int64_t *modified,
			Status *status)
{
	char name[4];
	char digits[17] = "";
	RangeItem item;
	TreeHint hint = {0};

	snprintf(name, sizeof(name), "k%02u", key);
	*modified = 0;
	*status = range_get(snapshot, (Bytes){(const uint8_t *) name, 3}, snapshot->root.revision + 1,
						0, &item);
	if (*status == RUSD_OK)
	{
		*modified = item.mod_revision;
		*status = tree_read_value(&client->access, &item.cell, sizeof(KeyRecord),
								  (uint8_t *) digits, 16, &hint);
	}
	if (*status == RUSD_NOT_FOUND)
		*status = RUSD_OK;
	return strtoull(digits, NULL, 16);
}

static void
check_read(Client *client, Member *member, const ClientOp *op, const Snapshot *snapshot)
{
	World *world = member->world;
	Model *model = &world->model;
	int64_t revision = snapshot->root.revision;
	bool local = op->kind == OP_IS_LOCAL_READ;
	int64_t modified;
	Status status;
	uint64_t number = number_read(client, snapshot, op->key, &modified, &status);

	if (status != RUSD_OK)
	{
		if (!member->disk->is_cut)
			sim_violation(world, member, "no part fails", "a read: %s", status_text(status));
		return;
	}
	if (revision > model->revision)
		sim_violation(world, member, "reads see what is committed",
					  "client %u reads revision %" PRId64 ", committed is %" PRId64, client->number,
					  revision, model->revision);
	else if (number != model_value(model, op->key, revision))
		sim_violation(world, member, "reads see what was written",
					  "client %u reads value %" PRIu64 " of key %u at revision %" PRId64
					  ", which is %" PRIu64,
					  client->number, number, op->key, revision,
					  model_value(model, op->key, revision));
	if (!local && revision < op->seen)
		sim_violation(world, member, "no linearizable read is stale",
					  "client %u reads at revision %" PRId64 ", but %" PRId64
					  " was told before it began",
					  client->number, revision, op->seen);
	if (!local)
		model->acknowledged = Max(model->acknowledged, revision);
	member->settled_read |= !local && world->healed && op->began >= world->heal_at;
	sim_tell(world, member, SIM_VALUE_READ, client->number, (uint64_t) revision);
}

/* As backends do it: the state first, then the proof that it is new enough. */
static bool
try_read(Client *client, Member *member, ClientOp *op)
{
	Snapshot snapshot;
	ControlState control;
	bool proved;

	if (op->read_index > atomic_load(&member->shm->positions->applied_index))
		return false;
	if (snapshot_pin(&client->access, &snapshot) != RUSD_OK)
		return false;
	shm_control_read(member->shm, &control);
	proved = op->kind == OP_IS_LOCAL_READ || op->read_index != 0 || control.reads_are_local;
	if (proved)
		check_read(client, member, op, &snapshot);
	snapshot_unpin(&snapshot);
	return proved;
}

/* ---- a turn ---- */

static void
put_rest(Client *client, ClientOp *op)
{
	if (proposal_put(&client->writer, &op->piece, op->payload, &op->put))
		op->state = CLIENT_OP_WAITS;
}

static void
begin_proposal(Client *client, Member *member, ClientOp *op)
{
	EntryHeader header = {0};

	op->id = (RequestId){.member_id = member->id,
						 .incarnation = member->shm->incarnation,
						 .sequence = proposal_begin(&client->writer),
						 .slot = client->slot,
						 .generation = client->generation};
	header.id = op->id;
	memcpy(op->payload, &header, sizeof(header));
	op->piece.sequence = op->id.sequence;
	op->piece.total_length = op->length;
	op->put = 0;
	op->state = CLIENT_OP_PUTTING;
}

/* Pieces of one proposal stand together in the ring: no other begins before it is in. */
static bool
may_put(const Client *client)
{
	for (uint32_t i = 0; i < SIM_OPS; i++)
	{
		if (client->ops[i].state == CLIENT_OP_PUTTING)
			return false;
	}
	return proposal_may_begin(&client->writer);
}

static bool
may_begin(const Client *client)
{
	for (uint32_t i = 0; i < SIM_OPS; i++)
	{
		if (client->ops[i].state == CLIENT_OP_FREE)
			return may_put(client);
	}
	return false;
}

static void
begin_op(Client *client, Member *member)
{
	World *world = member->world;
	ClientOp *op = client->ops;

	if (world->now < client->next_op || !may_begin(client) || member->stopping)
		return;
	while (op->state != CLIENT_OP_FREE)
		op++;
	if (!workload_choose(member, client, op))
		return;
	op->given_up = false;
	op->began = world->now;
	op->seen = world->model.acknowledged;
	op->read_index = 0;
	op->ask_at = 0;
	world->ops_begun++;
	client->next_op = world->now + 1 + sim_below(&world->work, 2 * world->op_gap);
	if (op->kind >= OP_IS_READ)
		op->state = CLIENT_OP_READING;
	else
		begin_proposal(client, member, op);
}

static void
give_up(Client *client, Member *member, ClientOp *op)
{
	if (op->given_up)
		return;
	op->given_up = true;
	sim_tell(member->world, member, SIM_GIVEN_UP, client->number, op->id.sequence);
	if (op->state == CLIENT_OP_READING)
		op->state = CLIENT_OP_FREE;
}

/* Done; or it needs an index first; or it waits until that is applied. */
static void
step_read(Client *client, Member *member, ClientOp *op)
{
	if (try_read(client, member, op))
		op->state = CLIENT_OP_FREE;
	else if (op->read_index == 0 && member->world->now >= op->ask_at && may_put(client))
	{
		op->ask_at = member->world->now + ASK_AGAIN_NS;
		begin_proposal(client, member, op);
	}
}

/* The lowest index that a read waits for; the applier looks at it where the slot is marked. */
static void
say_what_is_wanted(Client *client, Member *member)
{
	BackendArea *area = member->shm->areas[client->slot];
	uint64_t wanted = 0;

	for (uint32_t i = 0; i < SIM_OPS; i++)
	{
		const ClientOp *op = &client->ops[i];

		if (op->state == CLIENT_OP_READING && op->read_index != 0)
			wanted = wanted == 0 ? op->read_index : Min(wanted, op->read_index);
	}
	if (wanted == atomic_load(&area->applied_wanted))
		return;
	atomic_store(&area->applied_wanted, wanted);
	if (wanted != 0)
		marks_set(member->shm->applied_marks, client->slot);
}

uint64_t
client_step(Client *client, Member *member)
{
	World *world = member->world;
	uint64_t next;
	Reply reply;

	while (!world->failed && reply_take(&client->writer, &reply))
		take_reply(client, member, &reply);
	begin_op(client, member);
	next = Max(client->next_op, world->now + RETRY_NS);
	for (uint32_t i = 0; i < SIM_OPS; i++)
	{
		ClientOp *op = &client->ops[i];

		if (op->state == CLIENT_OP_READING)
			step_read(client, member, op);
		if (op->state == CLIENT_OP_PUTTING)
			put_rest(client, op);
		if (op->state != CLIENT_OP_FREE && world->now >= op->began + PATIENCE_NS)
			give_up(client, member, op);
		if (op->state == CLIENT_OP_READING)
			next = Min(next, world->now + RETRY_NS);
	}
	say_what_is_wanted(client, member);
	proposal_wake(&client->writer);
	return next;
}
