/*
 * httpmembers.c
 *	  /members on the port for other members: who belongs to the cluster, as this member has applied it (HTTP-40).
 *	  Ids are hexadecimal strings, for most parsers of JSON have no integers of 64 bits without a sign.
 *
 * What a member that joins asks before it has a log (BOOT-23).  Runs in backends.
 *
 * src/backend/rpc/httpmembers.c
 */
#include "rusd.h"

#include "rpc_int.h"

/* Counts all, keeps what fits. */
typedef struct JsonText
{
	char *buffer;
	size_t size;
	size_t length;
} JsonText;

static void
add_bytes(JsonText *text, const char *bytes, size_t length)
{
	if (text->length + length <= text->size)
		memcpy(text->buffer + text->length, bytes, length);
	text->length += length;
}

static void
add(JsonText *text, const char *bytes)
{
	add_bytes(text, bytes, strlen(bytes));
}

static void
add_string(JsonText *text, const char *string)
{
	char escaped[8];

	add(text, "\"");
	for (; *string != '\0'; string++)
	{
		unsigned char byte = (unsigned char) *string;

		if (byte >= 0x20 && byte != '"' && byte != '\\')
		{
			add_bytes(text, string, 1);
			continue;
		}
		snprintf(escaped, sizeof(escaped), "\\u%04x", byte);
		add(text, escaped);
	}
	add(text, "\"");
}

static void
add_list(JsonText *text, const char *name, char *const *strings, uint32_t count)
{
	add(text, ",\"");
	add(text, name);
	add(text, "\":[");
	for (uint32_t i = 0; i < count; i++)
	{
		add(text, i == 0 ? "" : ",");
		add_string(text, strings[i]);
	}
	add(text, "]");
}

static Status
add_members(JsonText *text, const Snapshot *snapshot)
{
	StoreMember member;
	uint64_t after = 0;
	char number[40];
	Status status;

	text->length = 0;
	add(text, "[");
	while ((status = store_next_member(snapshot, after, &member)) == RUSD_OK)
	{
		snprintf(number, sizeof(number), "%s{\"id\":\"%" PRIx64 "\"", after == 0 ? "" : ",",
				 member.id);
		add(text, number);
		after = member.id;
		add_list(text, "peerURLs", member.peer_urls, member.peer_url_count);
		add(text, ",\"name\":");
		add_string(text, member.name);
		add_list(text, "clientURLs", member.client_urls, member.client_url_count);
		add(text, member.is_learner ? ",\"isLearner\":true}" : "}");
		store_member_free(&member);
	}
	add(text, "]\n");
	return status == RUSD_END ? RUSD_OK : status;
}

Status
http_members_text(RpcCall *call, Bytes *body)
{
	JsonText text = {0};
	SharedSnapshot *shared;
	Status status = snapshot_current(call->rpc, &shared);

	if (status == RUSD_OK)
		status = add_members(&text, &shared->snapshot);
	if (status != RUSD_OK)
		return status;
	text.size = text.length;
	text.buffer = arena_alloc(&call->arena, text.size);
	if (text.buffer == NULL)
		return RUSD_MEMORY_EXCEEDED;
	status = add_members(&text, &shared->snapshot);
	*body = (Bytes){(const uint8_t *) text.buffer, text.length};
	return status;
}
