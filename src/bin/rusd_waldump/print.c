/*
 * print.c
 *	  Records of the log as lines of text or of JSON (doc/waldump.md).
 *
 * src/bin/rusd_waldump/print.c
 */
#include "rusd_fe.h"

#include "../common/jsontext.h"
#include "format/entry.h"
#include "print.h"

/* ---- the log as a whole ---- */

void
print_summary(const LogSummary *s, bool json)
{
	printf(json ? "{\"log\":{\"cluster\":\"%" PRIx64 "\",\"member\":\"%" PRIx64
				  "\",\"segment_bytes\":%" PRIu64 ",\"begin\":%" PRIu64 ",\"end\":%" PRIu64
				  ",\"records\":%" PRIu64 ",\"first_index\":%" PRIu64 ",\"last_index\":%" PRIu64
				  ",\"commit_index\":%" PRIu64 ",\"snapshot\":{\"position\":%" PRIu64
				  ",\"index\":%" PRIu64 ",\"term\":%" PRIu64 "}}}\n"
				: "# cluster %" PRIx64 ", member %" PRIx64 ", segments of %" PRIu64
				  " bytes, positions %" PRIu64 " to %" PRIu64 ", %" PRIu64
				  " records, indexes %" PRIu64 " to %" PRIu64 ", committed %" PRIu64
				  "; snapshot at position %" PRIu64 ", index %" PRIu64 ", term %" PRIu64 "\n",
		   s->cluster_id, s->member_id, s->segment_bytes, s->begin_position, s->end_position,
		   s->records, s->first_index, s->last_index, s->commit_index, s->log_begin.position,
		   s->log_begin.index, s->log_begin.term);
}

/* ---- JSON: what is behind the header of an entry ---- */

/* A number that is not on the list is no reason to read beyond it: entry_check does not look at all. */
static const char *
name_of(const char *const *names, size_t count, uint32_t number)
{
	return number < count && names[number] != NULL ? names[number] : "unknown";
}

static const char *
op_name(uint16_t kind)
{
	static const char *const names[] = {
		[OP_PUT] = "put", [OP_DELETE] = "delete",   [OP_RANGE] = "range",
		[OP_TXN] = "txn", [OP_COMPARE] = "compare", [OP_JUMP] = "jump"};

	return name_of(names, lengthof(names), kind);
}

static void
json_bytes(const char *name, Bytes bytes)
{
	printf(",\"%s\":", name);
	json_print_base64(bytes.data, bytes.length);
}

static void
json_op(const Op *op)
{
	static const char *const targets[] = {"version", "create", "mod", "value", "lease"};
	static const char *const results[] = {"=", ">", "<", "!="};
	const OpHeader *h = op->header;
	uint32_t target = h->target & 0xff;

	printf("{\"offset\":%u,\"op\":\"%s\"", op->offset, op_name(h->kind));
	if (h->kind == OP_TXN)
		printf(",\"compares\":%u,\"else\":%" PRId64, h->target, h->number);
	else if (h->kind == OP_JUMP)
		printf(",\"to\":%" PRId64, h->number);
	else
	{
		json_bytes("key", op->key);
		if (op->range_end.length > 0)
			json_bytes("range_end", op->range_end);
	}
	if (h->kind == OP_COMPARE)
	{
		printf(",\"target\":\"%s\",\"result\":\"%s\"", name_of(targets, lengthof(targets), target),
			   name_of(results, lengthof(results), h->target >> 8));
		if (target == 3)
			json_bytes("operand", op->value);
		else
			printf(",\"operand\":%" PRId64, h->number);
	}
	else if (h->kind == OP_RANGE)
		printf(",\"revision\":%" PRId64, h->number);
	else if (h->kind == OP_PUT)
	{
		if (h->flags & OP_IGNORE_VALUE)
			printf(",\"ignore_value\":true");
		else
			json_bytes("value", op->value);
		if (h->flags & OP_IGNORE_LEASE)
			printf(",\"ignore_lease\":true");
		else if (h->number != 0)
			printf(",\"lease\":\"%" PRIx64 "\"", (uint64_t) h->number);
	}
	putchar('}');
}

static void
json_ops(const uint8_t *ops, uint32_t length)
{
	Op op = {0};

	printf(",\"ops\":");
	for (uint32_t offset = 0; offset < length; offset = op.next)
	{
		op_at(ops, offset, &op);
		putchar(offset == 0 ? '[' : ',');
		json_op(&op);
	}
	putchar(']');
}

/* One string with its length in front; moves *at behind it. */
static void
json_string(const uint8_t **at)
{
	uint32_t length;

	memcpy(&length, *at, sizeof(length));
	json_print_text(*at + sizeof(length), length);
	*at += sizeof(length) + length;
}

static void
json_member(const EntryMember *m)
{
	static const char *const actions[] = {
		[MEMBER_ADD] = "add",         [MEMBER_REMOVE] = "remove",   [MEMBER_UPDATE] = "update",
		[MEMBER_PROMOTE] = "promote", [MEMBER_PUBLISH] = "publish",
	};
	const uint8_t *at = (const uint8_t *) (m + 1);

	printf(",\"action\":\"%s\",\"id\":\"%" PRIx64 "\",\"learner\":%s,\"judged_at\":%" PRIu64
		   ",\"name\":",
		   name_of(actions, lengthof(actions), m->action), m->member_id,
		   m->is_learner ? "true" : "false", m->judged_at);
	json_string(&at);
	printf(",\"peer_urls\":[");
	for (uint32_t i = 0; i < m->peer_url_count; i++)
	{
		fputs(i > 0 ? "," : "", stdout);
		json_string(&at);
	}
	printf("],\"client_urls\":[");
	for (uint32_t i = 0; i < m->client_url_count; i++)
	{
		fputs(i > 0 ? "," : "", stdout);
		json_string(&at);
	}
	putchar(']');
}

/* Has passed entry_check. */
static void
json_body(uint32_t kind, const uint8_t *body, uint32_t length)
{
	const EntryCompact *compact = (const EntryCompact *) (const void *) body;
	const EntryAlarm *alarm = (const EntryAlarm *) (const void *) body;

	switch (kind)
	{
		case ENTRY_PUT:
		case ENTRY_DELETE_RANGE:
		case ENTRY_TXN:
			json_ops(body, length);
			break;
		case ENTRY_COMPACT:
			printf(",\"revision\":%" PRId64, compact->revision);
			break;
		case ENTRY_ALARM:
			printf(",\"action\":%u,\"alarm\":%u,\"id\":\"%" PRIx64 "\"", alarm->action,
				   alarm->alarm, alarm->member_id);
			break;
		case ENTRY_MEMBER:
		case ENTRY_MEMBER_ATTRIBUTES:
			json_member((const EntryMember *) (const void *) body);
			break;
		case ENTRY_CLUSTER_VERSION:
			printf(",\"version\":");
			json_print_text(body, length);
			break;
		default: /* nothing is behind the header */
			break;
	}
}

/* ---- records ---- */

static void
json_record(const LogRecord *r, bool decodes)
{
	uint32_t kind = r->header->kind;
	EntryHeader h;

	printf("{\"position\":%" PRIu64 ",\"index\":%" PRIu64 ",\"term\":%" PRIu64 ",\"kind\":\"%s\"",
		   r->position, r->header->index, r->header->term, entry_kind_name(kind));
	if (r->header->index != 0)
		printf(",\"committed\":%s,\"void\":%s", r->is_committed ? "true" : "false",
			   r->is_void ? "true" : "false");
	if (!decodes)
	{
		printf(",\"undecodable\":");
		json_print_base64(r->payload, r->header->length);
	}
	else if (kind == ENTRY_HARD_STATE)
	{
		HardState state;

		memcpy(&state, r->payload, sizeof(state));
		printf(",\"state\":{\"term\":%" PRIu64 ",\"vote\":\"%" PRIx64 "\",\"commit_index\":%" PRIu64
			   ",\"commit_term\":%" PRIu64 "}",
			   state.term, state.vote, state.commit_index, state.commit_term);
	}
	else
	{
		memcpy(&h, r->payload, sizeof(h));
		if (h.id.member_id != 0)
			printf(",\"request\":{\"member\":\"%" PRIx64 "\",\"incarnation\":\"%" PRIx64
				   "\",\"slot\":%u,\"generation\":%u,\"sequence\":%" PRIu64 "}",
				   h.id.member_id, h.id.incarnation, h.id.slot, h.id.generation, h.id.sequence);
		json_body(kind, r->payload + sizeof(h), r->header->length - (uint32_t) sizeof(h));
	}
	puts("}");
}

static void
text_record(const LogRecord *r, bool decodes)
{
	const char *state = r->header->index == 0 ? "local"
						: r->is_void          ? "void"
						: r->is_committed     ? "committed"
											  : "open";
	char line[1024];
	EntryHeader h;

	printf("%-12" PRIu64 " %8" PRIu64 " term %-4" PRIu64 " %-9s ", r->position, r->header->index,
		   r->header->term, state);
	if (decodes && r->header->kind == ENTRY_HARD_STATE)
	{
		HardState s;

		memcpy(&s, r->payload, sizeof(s));
		printf("hard-state term=%" PRIu64 " vote=%" PRIx64 " commit=%" PRIu64 " of term %" PRIu64
			   "\n",
			   s.term, s.vote, s.commit_index, s.commit_term);
		return;
	}
	entry_describe(r->header->kind, r->payload, r->header->length, line, sizeof(line));
	fputs(line, stdout);
	if (decodes)
	{
		memcpy(&h, r->payload, sizeof(h));
		if (h.id.member_id != 0)
			printf("  [request %" PRIx64 "/%" PRIx64 "/%u.%u/%" PRIu64 "]", h.id.member_id,
				   h.id.incarnation, h.id.slot, h.id.generation, h.id.sequence);
	}
	putchar('\n');
}

bool
print_record(const LogRecord *r, bool json)
{
	bool decodes = r->header->kind == ENTRY_HARD_STATE
					   ? r->header->length == sizeof(HardState)
					   : entry_check(r->header->kind, r->payload, r->header->length) == RUSD_OK;

	if (json)
		json_record(r, decodes);
	else
		text_record(r, decodes);
	return decodes;
}
