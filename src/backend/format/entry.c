/*
 * entry.c
 *	  Entries: encode and decode ops, name and describe entries.
 *
 * Pure; any process and the tools.  entrycheck.c judges entries that somebody else has encoded.
 *
 * src/backend/format/entry.c
 */
#include "rusd.h"

#include <stdarg.h>

#include "format/entry.h"

/* Of a key that is shown to people. */
#define SHOWN_BYTES 32

typedef struct Line
{
	char *next;
	size_t left; /* the terminating 0 included */
} Line;

static void line_add(Line *line, const char *format, ...) printf_like(2, 3);
static void line_add_bytes(Line *line, Bytes bytes);
static void describe_ops(Line *line, const uint8_t *ops, uint32_t length);
static void describe_op(Line *line, const Op *op);

const char *
entry_kind_name(uint32_t kind)
{
	switch (kind)
	{
#define RUSD_ENTRY(number, symbol, name, replicated)                                               \
	case number:                                                                                   \
		return name;
#include "format/entrylist.h"
#undef RUSD_ENTRY
		default:
			return "unknown";
	}
}

void
op_at(const uint8_t *ops, uint32_t offset, Op *op)
{
	const OpHeader *header = (const OpHeader *) (const void *) (ops + offset);
	const uint8_t *bytes = (const uint8_t *) (header + 1);

	op->header = header;
	op->key = (Bytes){bytes, header->key_length};
	op->range_end = (Bytes){bytes + header->key_length, header->end_length};
	op->value = (Bytes){bytes + header->key_length + header->end_length, header->value_length};
	op->offset = offset;
	op->next = offset + header->length;
}

uint32_t
op_encode(uint8_t *buffer, const OpHeader *template, Bytes key, Bytes range_end, Bytes value)
{
	uint64_t used = sizeof(OpHeader) + key.length + range_end.length + value.length;
	uint64_t length = AlignUp(used, 8);
	OpHeader header = *template;
	uint8_t *next;

	Check(length <= INT32_MAX);
	if (buffer == NULL)
		return (uint32_t) length;
	header.length = (uint32_t) length;
	header.key_length = (uint32_t) key.length;
	header.end_length = (uint32_t) range_end.length;
	header.value_length = (uint32_t) value.length;
	memcpy(buffer, &header, sizeof(header));
	next = buffer + sizeof(header);
	if (key.length > 0)
		memcpy(next, key.data, key.length);
	next += key.length;
	if (range_end.length > 0)
		memcpy(next, range_end.data, range_end.length);
	next += range_end.length;
	if (value.length > 0)
		memcpy(next, value.data, value.length);
	memset(buffer + used, 0, length - used);
	return (uint32_t) length;
}

void
entry_describe(uint32_t kind, const uint8_t *payload, size_t length, char *buffer, size_t size)
{
	Line line = {buffer, size};
	const uint8_t *body = payload + sizeof(EntryHeader);

	if (size == 0)
		return;
	buffer[0] = '\0';
	line_add(&line, "%s", entry_kind_name(kind));
	if (kind == ENTRY_HARD_STATE)
		return;
	if (entry_check(kind, payload, length) != RUSD_OK)
	{
		line_add(&line, " (%zu bytes that do not decode)", length);
		return;
	}
	switch (kind)
	{
		case ENTRY_PUT:
		case ENTRY_DELETE_RANGE:
		case ENTRY_TXN:
			describe_ops(&line, body, (uint32_t) (length - sizeof(EntryHeader)));
			break;
		case ENTRY_COMPACT:
		{
			const EntryCompact *compact = (const EntryCompact *) (const void *) body;

			line_add(&line, " revision=%" PRId64 "%s", compact->revision,
					 compact->physical ? " physical" : "");
			break;
		}
		case ENTRY_ALARM:
		{
			const EntryAlarm *alarm = (const EntryAlarm *) (const void *) body;

			line_add(&line, " action=%u alarm=%u member=%" PRIx64, alarm->action, alarm->alarm,
					 alarm->member_id);
			break;
		}
		case ENTRY_MEMBER:
		case ENTRY_MEMBER_ATTRIBUTES:
		{
			const EntryMember *member = (const EntryMember *) (const void *) body;

			line_add(&line, " action=%u member=%" PRIx64 "%s name=", member->action,
					 member->member_id, member->is_learner ? " learner" : "");
			line_add_bytes(&line, (Bytes){body + sizeof(*member) + 4, member->name_length});
			break;
		}
		case ENTRY_CLUSTER_VERSION:
			line_add(&line, " ");
			line_add_bytes(&line, (Bytes){body, length - sizeof(EntryHeader)});
			break;
		default:
			break;
	}
}

static void
describe_ops(Line *line, const uint8_t *ops, uint32_t length)
{
	uint32_t offset = 0;

	while (offset < length && line->left > 1)
	{
		Op op;

		op_at(ops, offset, &op);
		describe_op(line, &op);
		offset = op.next;
	}
}

static void
describe_op(Line *line, const Op *op)
{
	static const char *const names[] = {
		[OP_PUT] = "put", [OP_DELETE] = "delete",   [OP_RANGE] = "range",
		[OP_TXN] = "txn", [OP_COMPARE] = "compare", [OP_JUMP] = "jump"};
	const OpHeader *header = op->header;

	line_add(line, " %s(", names[header->kind]);
	if (header->kind == OP_JUMP)
		line_add(line, "to %" PRId64, header->number);
	else if (header->kind == OP_TXN)
		line_add(line, "%u compares, else at %" PRId64, header->target, header->number);
	else
		line_add_bytes(line, op->key);
	if (op->range_end.length > 0)
	{
		line_add(line, "..");
		line_add_bytes(line, op->range_end);
	}
	if (header->kind == OP_PUT)
		line_add(line, ", %u bytes", header->value_length);
	if (header->kind == OP_PUT && header->number != 0)
		line_add(line, ", lease %" PRIx64, (uint64_t) header->number);
	line_add(line, ")");
}

static void
line_add(Line *line, const char *format, ...)
{
	va_list args;
	int written;

	va_start(args, format);
	written = vsnprintf(line->next, line->left, format, args);
	va_end(args);
	if (written < 0)
		return;
	if ((size_t) written >= line->left)
		written = (int) line->left - 1;
	line->next += written;
	line->left -= (size_t) written;
}

static void
line_add_bytes(Line *line, Bytes bytes)
{
	size_t shown = Min(bytes.length, (size_t) SHOWN_BYTES);

	line_add(line, "\"");
	for (size_t i = 0; i < shown; i++)
	{
		uint8_t c = bytes.data[i];

		if (c >= ' ' && c < 127 && c != '"' && c != '\\')
			line_add(line, "%c", c);
		else
			line_add(line, "\\x%02x", c);
	}
	line_add(line, shown < bytes.length ? "\"..." : "\"");
}
