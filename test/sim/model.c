/*
 * model.c
 *	  What the database must hold: the committed entries, executed by the simplest means.
 *
 * It knows the keys of the workload only, and all their versions.  Each entry is executed when the
 * first member commits it, so entries come in the order of their indexes.
 *
 * test/sim/model.c
 */
#include "rusd.h"

#include "sim.h"

void
model_reset(Model *model, uint32_t voters)
{
	for (int i = 0; i < SIM_KEYS; i++)
		model->keys[i].count = 0;
	model->revision = 1;
	model->compacted = -1;
	model->acknowledged = 1;
	model->configuration_index = 0;
	for (uint32_t i = 0; i < SIM_MEMBERS; i++)
		model->members[i] = i < voters ? MODEL_VOTER : MODEL_NO_MEMBER;
}

uint32_t
model_count_members(const World *world, ModelMember what)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < SIM_MEMBERS; i++)
		count += world->model.members[i] == what;
	return count;
}

uint64_t
model_value(const Model *model, uint32_t key, int64_t revision)
{
	for (uint32_t i = model->keys[key].count; i-- > 0;)
	{
		if (model->keys[key].versions[i].main <= revision)
			return model->keys[key].versions[i].number;
	}
	return 0;
}

int64_t
model_modified(const Model *model, uint32_t key)
{
	uint32_t count = model->keys[key].count;
	const ModelVersion *last = count == 0 ? NULL : &model->keys[key].versions[count - 1];

	return last == NULL || last->number == 0 ? 0 : last->main;
}

static void
add_version(Model *model, uint32_t key, uint64_t number)
{
	ModelVersion **versions = &model->keys[key].versions;

	if (model->keys[key].count == model->keys[key].capacity)
	{
		model->keys[key].capacity = Max(2 * model->keys[key].capacity, 64);
		*versions = realloc(*versions, model->keys[key].capacity * sizeof(**versions));
		Check(*versions != NULL);
	}
	(*versions)[model->keys[key].count++] = (ModelVersion){model->revision + 1, number};
}

/* Keys are "k" and two digits; values begin with 16 hex digits, their number. */
static uint32_t
key_of(Bytes key)
{
	uint32_t number = (uint32_t) (key.data[1] - '0') * 10 + (uint32_t) (key.data[2] - '0');

	Check(key.length == 3 && number < SIM_KEYS);
	return number;
}

static uint64_t
number_of(Bytes value)
{
	char digits[17];

	Check(value.length >= 16);
	memcpy(digits, value.data, 16);
	digits[16] = '\0';
	return strtoull(digits, NULL, 16);
}

static void
execute(Model *model, Committed *entry, const uint8_t *ops, uint32_t length)
{
	uint32_t offset = 0;

	while (offset < length)
	{
		Op op;
		Op compare;

		op_at(ops, offset, &op);
		offset = op.next;
		switch (op.header->kind)
		{
			case OP_PUT:
				add_version(model, key_of(op.key), number_of(op.value));
				entry->changed = true;
				break;
			case OP_DELETE:
				if (model_value(model, key_of(op.key), INT64_MAX) == 0)
					break;
				add_version(model, key_of(op.key), 0);
				entry->changed = true;
				entry->value = 1;
				break;
			case OP_TXN: /* one compare: that the key was last changed at this revision */
				op_at(ops, op.next, &compare);
				if (model_modified(model, key_of(compare.key)) != compare.header->number)
					offset = (uint32_t) op.header->number;
				else
					entry->value = 1;
				break;
			case OP_JUMP:
				offset = (uint32_t) op.header->number;
				break;
			default:
				break;
		}
	}
	if (entry->changed)
		model->revision++;
}

/* May it be done, and what is it then?  Ids are never used twice. */
static bool
judge_change(const World *world, const EntryMember *change, uint8_t *becomes)
{
	const Model *model = &world->model;
	uint8_t is = model->members[change->member_id - world->members[0].id];

	switch (change->action)
	{
		case MEMBER_ADD:
			*becomes = change->is_learner ? MODEL_LEARNER : MODEL_VOTER;
			return is == MODEL_NO_MEMBER;
		case MEMBER_PROMOTE:
			*becomes = MODEL_VOTER;
			return is == MODEL_LEARNER;
		case MEMBER_REMOVE:
			*becomes = MODEL_REMOVED;
			return is == MODEL_LEARNER ||
				   (is == MODEL_VOTER && model_count_members(world, MODEL_VOTER) > 1);
		default:
			return false;
	}
}

/* The entries that the first members begin with tell what they know already. */
static void
change_members(World *world, Committed *entry, uint64_t index, const uint8_t *body)
{
	Model *model = &world->model;
	EntryMember change;
	uint32_t number;
	uint8_t becomes;

	memcpy(&change, body, sizeof(change));
	number = (uint32_t) (change.member_id - world->members[0].id);
	if (index <= world->first_members)
		model->configuration_index = index;
	if (index <= world->first_members || number >= SIM_MEMBERS)
		return;
	if (change.judged_at != model->configuration_index || !judge_change(world, &change, &becomes))
	{
		entry->status = RUSD_INVALID;
		return;
	}
	model->configuration_index = index;
	model->members[number] = becomes;
	sim_tell(world, NULL, SIM_CONFIGURED, world->members[0].id + number, becomes);
	if (change.action == MEMBER_ADD)
		member_join(world, number);
}

void
model_apply(World *world, Committed *entry, uint64_t index, const uint8_t *payload, uint32_t length)
{
	Model *model = &world->model;
	const uint8_t *body = payload + sizeof(EntryHeader);
	EntryCompact compact;

	entry->status = RUSD_OK;
	entry->changed = false;
	entry->value = 0;
	if (entry->kind == ENTRY_PUT || entry->kind == ENTRY_DELETE_RANGE || entry->kind == ENTRY_TXN)
		execute(model, entry, body, length - (uint32_t) sizeof(EntryHeader));
	else if (entry->kind == ENTRY_COMPACT)
	{
		memcpy(&compact, body, sizeof(compact));
		if (compact.revision > model->revision)
			entry->status = RUSD_FUTURE_REV;
		else if (compact.revision <= model->compacted)
			entry->status = RUSD_COMPACTED;
		else
			model->compacted = compact.revision;
	}
	else if (entry->kind == ENTRY_MEMBER)
		change_members(world, entry, index, body);
	entry->configuration = model->configuration_index;
	entry->revision = model->revision;
	entry->compacted = model->compacted;
}
