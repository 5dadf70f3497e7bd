/*
 * entrycheck.c
 *	  Could this entry be executed safely?  Judged before a byte of it enters the log.
 *
 * Pure; any process.  Time linear in the length, no recursion, no allocation: a transaction's
 * nesting is followed with a stack of fixed size.  A transaction nests no deeper than it may have
 * operations (--max-txn-ops), because a nested one is an operation of its parent; ENTRY_DEPTH_MAX is
 * far above what that parameter is used for.
 *
 * src/backend/format/entrycheck.c
 */
#include "rusd.h"

#include "format/entry.h"

/* A transaction that the walk is inside of: where its current branch ends. */
typedef struct Frame
{
	uint32_t branch_end; /* where the current branch must end: else_offset, later the end */
	uint32_t is_else;
} Frame;

typedef struct Walk
{
	const uint8_t *ops;
	uint32_t length;
	uint32_t offset;
	uint32_t depth;
	Frame frames[ENTRY_DEPTH_MAX];
} Walk;

static Status check_single(const uint8_t *ops, uint32_t length, OpKind kind);
static Status check_transaction(const uint8_t *ops, uint32_t length);
static Status check_member(uint32_t kind, const uint8_t *body, size_t length);
static bool op_is_sound(const uint8_t *ops, uint32_t offset, uint32_t length);
static bool enter_transaction(Walk *walk, const OpHeader *header);
static bool leave_branch(Walk *walk, const OpHeader *jump);
static void leave_finished(Walk *walk);
static uint32_t branch_end(const Walk *walk);

Status
entry_check(uint32_t kind, const uint8_t *payload, size_t length)
{
	const uint8_t *body = payload + sizeof(EntryHeader);
	size_t left;

	if (length < sizeof(EntryHeader) || length > INT32_MAX)
		return RUSD_INVALID;
	left = length - sizeof(EntryHeader);
	switch (kind)
	{
		case ENTRY_EMPTY:
		case ENTRY_DEFRAGMENT:
		case ENTRY_READ_INDEX:
			return left == 0 ? RUSD_OK : RUSD_INVALID;
		case ENTRY_PUT:
			return check_single(body, (uint32_t) left, OP_PUT);
		case ENTRY_DELETE_RANGE:
			return check_single(body, (uint32_t) left, OP_DELETE);
		case ENTRY_TXN:
			return check_transaction(body, (uint32_t) left);
		case ENTRY_COMPACT:
			return left == sizeof(EntryCompact) ? RUSD_OK : RUSD_INVALID;
		case ENTRY_ALARM:
			return left == sizeof(EntryAlarm) ? RUSD_OK : RUSD_INVALID;
		case ENTRY_TRANSFER:
			return left == sizeof(EntryTransfer) ? RUSD_OK : RUSD_INVALID;
		case ENTRY_MEMBER:
		case ENTRY_MEMBER_ATTRIBUTES:
			return check_member(kind, body, left);
		case ENTRY_CLUSTER_VERSION:
			return left > 0 ? RUSD_OK : RUSD_INVALID;
		default:
			return RUSD_INVALID;
	}
}

static Status
check_single(const uint8_t *ops, uint32_t length, OpKind kind)
{
	const OpHeader *header = (const OpHeader *) (const void *) ops;

	if (!op_is_sound(ops, 0, length))
		return RUSD_INVALID;
	return header->kind == kind && header->length == length ? RUSD_OK : RUSD_INVALID;
}

/* Does the op at offset lie within length, with its bytes in its own length? */
static bool
op_is_sound(const uint8_t *ops, uint32_t offset, uint32_t length)
{
	const OpHeader *header = (const OpHeader *) (const void *) (ops + offset);
	uint64_t used = sizeof(OpHeader);

	if (length - offset < sizeof(OpHeader))
		return false;
	used += (uint64_t) header->key_length + header->end_length + header->value_length;
	if (header->length > length - offset || header->length != AlignUp(used, 8))
		return false;
	if (header->kind < OP_PUT || header->kind > OP_JUMP)
		return false;
	return (header->flags & ~(OP_IGNORE_VALUE | OP_IGNORE_LEASE | OP_PREV_KV)) == 0;
}

/*
 * One walk over all ops in the order in which they lie.  Each branch must end exactly where its
 * transaction says, between two ops, and lies within the branch around it; so every offset that an
 * execution can go on at leads forward to an op, or to the end.
 */
static Status
check_transaction(const uint8_t *ops, uint32_t length)
{
	Walk walk;

	walk.ops = ops;
	walk.length = length;
	walk.offset = 0;
	walk.depth = 0;
	if (!op_is_sound(ops, 0, length) || ((const OpHeader *) (const void *) ops)->kind != OP_TXN)
		return RUSD_INVALID;
	while (walk.offset < length)
	{
		const OpHeader *header = (const OpHeader *) (const void *) (ops + walk.offset);

		/* Behind the transaction that this entry is, there is nothing. */
		if (walk.depth == 0 && walk.offset > 0)
			return RUSD_INVALID;
		if (!op_is_sound(ops, walk.offset, length))
			return RUSD_INVALID;
		walk.offset += header->length;
		if (walk.depth > 0 && walk.offset > branch_end(&walk))
			return RUSD_INVALID;
		if (header->kind == OP_COMPARE)
			return RUSD_INVALID; /* those in their place are taken by enter_transaction */
		if (header->kind == OP_TXN && !enter_transaction(&walk, header))
			return RUSD_INVALID;
		if (header->kind == OP_JUMP && !leave_branch(&walk, header))
			return RUSD_INVALID;
		leave_finished(&walk);
	}
	return walk.depth == 0 ? RUSD_OK : RUSD_INVALID;
}

static uint32_t
branch_end(const Walk *walk)
{
	return walk->depth > 0 ? walk->frames[walk->depth - 1].branch_end : walk->length;
}

/* Behind an OP_TXN: its compares, then the branch that runs if they hold. */
static bool
enter_transaction(Walk *walk, const OpHeader *header)
{
	uint32_t around = branch_end(walk);

	if (walk->depth == ENTRY_DEPTH_MAX)
		return false;
	for (uint32_t i = 0; i < header->target; i++)
	{
		const OpHeader *compare = (const OpHeader *) (const void *) (walk->ops + walk->offset);

		if (walk->offset >= around || !op_is_sound(walk->ops, walk->offset, around) ||
			compare->kind != OP_COMPARE)
			return false;
		walk->offset += compare->length;
	}
	if (header->number < (int64_t) walk->offset || header->number > (int64_t) around)
		return false;
	walk->frames[walk->depth++] = (Frame){.branch_end = (uint32_t) header->number};
	return true;
}

/* OP_JUMP is the last op of the first branch, and leads behind the second one. */
static bool
leave_branch(Walk *walk, const OpHeader *jump)
{
	Frame *frame;
	uint32_t around;

	if (walk->depth == 0)
		return false;
	frame = &walk->frames[walk->depth - 1];
	around = walk->depth > 1 ? walk->frames[walk->depth - 2].branch_end : walk->length;
	if (frame->is_else || walk->offset != frame->branch_end)
		return false;
	if (jump->number < (int64_t) walk->offset || jump->number > (int64_t) around)
		return false;
	frame->is_else = true;
	frame->branch_end = (uint32_t) jump->number;
	return true;
}

/* Transactions whose last branch ends here; a first branch without a jump has an empty second one.
 */
static void
leave_finished(Walk *walk)
{
	while (walk->depth > 0 && walk->offset == walk->frames[walk->depth - 1].branch_end)
		walk->depth--;
}

static Status
check_member(uint32_t kind, const uint8_t *body, size_t length)
{
	const EntryMember *member = (const EntryMember *) (const void *) body;
	size_t offset = sizeof(*member);
	uint64_t strings;
	uint32_t string;

	if (length < sizeof(*member) || member->action < MEMBER_ADD ||
		member->action > MEMBER_PUBLISH ||
		(member->action == MEMBER_PUBLISH) != (kind == ENTRY_MEMBER_ATTRIBUTES))
		return RUSD_INVALID;
	strings = (uint64_t) 1 + member->peer_url_count + member->client_url_count;
	for (uint64_t i = 0; i < strings; i++)
	{
		if (length - offset < sizeof(string))
			return RUSD_INVALID;
		memcpy(&string, body + offset, sizeof(string));
		offset += sizeof(string);
		if (string > length - offset || (i == 0 && string != member->name_length))
			return RUSD_INVALID;
		offset += string;
	}
	return offset == length ? RUSD_OK : RUSD_INVALID;
}
