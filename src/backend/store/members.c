/*
 * members.c
 *	  The member table, in the system tree.
 *
 * The value of a member is the EntryMember that would make it, its strings included.  Ids that were removed
 * stay, without a value.
 *
 * Table and configuration (raft/raft.h) are changed by the same entries and must never part.  So whether a
 * change is right (CLUSTER-13) is judged before it is proposed, by a table of which the entry names the
 * configuration; where that is still the one in use when the entry is committed, the applier does what
 * it says, whatever the table holds.
 *
 * src/backend/store/members.c
 */
#include "rusd.h"

#include "store_int.h"

static void
member_name(char *name, const char *kind, uint64_t id)
{
	snprintf(name, SYSTEM_NAME_BYTES, "%s/%016" PRIx64, kind, id);
}

/* Takes a counted string off *next; "" if it does not lie within end. */
static Bytes
take_string(const uint8_t **next, const uint8_t *end)
{
	uint32_t length;
	Bytes string = {0};

	if ((size_t) (end - *next) < sizeof(length))
		return string;
	memcpy(&length, *next, sizeof(length));
	if ((size_t) (end - *next) - sizeof(length) < length)
		return string;
	string = (Bytes){.data = *next + sizeof(length), .length = length};
	*next += sizeof(length) + length;
	return string;
}

static uint8_t *
put_string(uint8_t *out, const char *text)
{
	uint32_t length = (uint32_t) strlen(text);

	memcpy(out, &length, sizeof(length));
	memcpy(out + sizeof(length), text, length);
	return out + sizeof(length) + length;
}

/* A copy with a terminating 0 in the member's buffer. */
static char *
keep_string(char **out, const uint8_t **next, const uint8_t *end)
{
	Bytes string = take_string(next, end);
	char *kept = *out;

	if (string.length > 0)
		memcpy(kept, string.data, string.length);
	kept[string.length] = '\0';
	*out += string.length + 1;
	return kept;
}

/* Fills member from EntryMember and its strings.  RUSD_NO_MEMORY. */
static Status
decode_member(const uint8_t *bytes, size_t length, StoreMember *member)
{
	EntryMember head;
	const uint8_t *next = bytes + sizeof(head);
	const uint8_t *end = bytes + length;
	char *out;

	memset(member, 0, sizeof(*member));
	if (length < sizeof(head))
		return RUSD_DAMAGED;
	memcpy(&head, bytes, sizeof(head));
	/* Each string gives up four bytes of its length and takes one for its 0. */
	member->buffer = out = malloc(length + 2 * MEMBER_URLS_MAX + 2);
	if (out == NULL)
		return RUSD_NO_MEMORY;
	member->id = head.member_id;
	member->is_learner = head.is_learner != 0;
	member->name = keep_string(&out, &next, end);
	for (uint32_t i = 0; i < head.peer_url_count; i++)
	{
		if (i >= MEMBER_URLS_MAX)
			(void) take_string(&next, end);
		else
			member->peer_urls[member->peer_url_count++] = keep_string(&out, &next, end);
	}
	for (uint32_t i = 0; i < head.client_url_count && i < MEMBER_URLS_MAX; i++)
		member->client_urls[member->client_url_count++] = keep_string(&out, &next, end);
	return RUSD_OK;
}

void
store_member_free(StoreMember *member)
{
	free(member->buffer);
	member->buffer = NULL;
}

static Status
read_member(const Snapshot *snapshot, const TreeCell *cell, StoreMember *member)
{
	uint8_t *bytes = malloc(cell->value_length + 1);
	TreeHint hint = {0};
	Status status;

	if (bytes == NULL)
		return RUSD_NO_MEMORY;
	status = tree_read_value(snapshot->access, cell, 0, bytes, cell->value_length, &hint);
	if (status == RUSD_OK)
		status = decode_member(bytes, cell->value_length, member);
	free(bytes);
	return status;
}

Status
store_next_member(const Snapshot *snapshot, uint64_t after, StoreMember *member)
{
	TreeCursor cursor;
	char name[SYSTEM_NAME_BYTES];
	TreeKey key;
	Status status;

	if (after == UINT64_MAX)
		return RUSD_END;
	member_name(name, "member", after == 0 ? 0 : after + 1);
	key = (TreeKey){.bytes = system_name(name)};
	status = tree_seek(&cursor, snapshot->access, snapshot->root.system, &key);
	if (status != RUSD_OK)
		return status;
	if (cursor.cell.key_inline.length < 7 || memcmp(cursor.cell.key_inline.data, "member/", 7) != 0)
		return RUSD_END;
	return read_member(snapshot, &cursor.cell, member);
}

static Status
write_member(Store *store, const StoreMember *member)
{
	EntryMember head = {.member_id = member->id,
						.is_learner = member->is_learner,
						.name_length = (uint32_t) strlen(member->name),
						.peer_url_count = member->peer_url_count,
						.client_url_count = member->client_url_count};
	size_t length = sizeof(head) + 4 + head.name_length;
	char name[SYSTEM_NAME_BYTES];
	uint8_t *out;
	Status status;

	for (uint32_t i = 0; i < member->peer_url_count; i++)
		length += 4 + strlen(member->peer_urls[i]);
	for (uint32_t i = 0; i < member->client_url_count; i++)
		length += 4 + strlen(member->client_urls[i]);
	status = scratch_reserve(&store->value, length);
	if (status != RUSD_OK)
		return status;
	memcpy(store->value.data, &head, sizeof(head));
	out = put_string(store->value.data + sizeof(head), member->name);
	for (uint32_t i = 0; i < member->peer_url_count; i++)
		out = put_string(out, member->peer_urls[i]);
	for (uint32_t i = 0; i < member->client_url_count; i++)
		out = put_string(out, member->client_urls[i]);
	member_name(name, "member", member->id);
	return system_put(store, name, store->value.data, length);
}

static bool
shares_url(const StoreMember *a, const StoreMember *b)
{
	for (uint32_t i = 0; i < a->peer_url_count; i++)
	{
		for (uint32_t j = 0; j < b->peer_url_count; j++)
		{
			if (strcmp(a->peer_urls[i], b->peer_urls[j]) == 0)
				return true;
		}
	}
	return false;
}

/* What the judgement of CLUSTER-13 needs of the member table. */
typedef struct Table
{
	bool removed;    /* the id was, once */
	bool url_in_use; /* by another member */
	uint32_t learners;
} Table;

static Status
look_at_table(const Snapshot *snapshot, const StoreMember *change, Table *table)
{
	uint64_t after = 0;
	StoreMember other;
	Status status = store_find_removed(snapshot, change->id);

	memset(table, 0, sizeof(*table));
	if (status != RUSD_OK && status != RUSD_NOT_FOUND)
		return status;
	table->removed = status == RUSD_OK;
	while ((status = store_next_member(snapshot, after, &other)) == RUSD_OK)
	{
		after = other.id;
		table->learners += other.is_learner;
		if (other.id != change->id && shares_url(&other, change))
			table->url_in_use = true;
		store_member_free(&other);
	}
	return status == RUSD_END ? RUSD_OK : status;
}

/* CLUSTER-13, in its order.  old: the member as it is, NULL if there is none. */
static Status
judge(const EntryMember *entry, const StoreMember *old, const Table *table)
{
	if (table->removed)
		return RUSD_MEMBER_NOT_FOUND;
	if (entry->action == MEMBER_ADD)
	{
		if (old != NULL)
			return RUSD_MEMBER_EXISTS;
		if (table->url_in_use)
			return RUSD_PEER_URL_EXISTS;
		return entry->is_learner != 0 && table->learners >= entry->max_learners
				   ? RUSD_TOO_MANY_LEARNERS
				   : RUSD_OK;
	}
	if (old == NULL)
		return RUSD_MEMBER_NOT_FOUND;
	if (entry->action == MEMBER_UPDATE && table->url_in_use)
		return RUSD_PEER_URL_EXISTS;
	if (entry->action == MEMBER_PROMOTE && !old->is_learner)
		return RUSD_MEMBER_NOT_LEARNER;
	return RUSD_OK;
}

/* *exists tells if there is one. */
static Status
find_member(const Snapshot *snapshot, uint64_t id, StoreMember *member, bool *exists)
{
	char name[SYSTEM_NAME_BYTES];
	TreeCell cell;
	Status status;

	member_name(name, "member", id);
	status = system_find(snapshot, name, &cell);
	*exists = status == RUSD_OK;
	if (*exists)
		status = read_member(snapshot, &cell, member);
	return status == RUSD_NOT_FOUND ? RUSD_OK : status;
}

Status
store_judge_member(const Snapshot *snapshot, const uint8_t *body, size_t length)
{
	EntryMember entry;
	StoreMember change;
	StoreMember old = {0};
	Table table;
	bool exists = false;
	Status status = decode_member(body, length, &change);

	if (status != RUSD_OK)
		return status;
	memcpy(&entry, body, sizeof(entry));
	status = find_member(snapshot, change.id, &old, &exists);
	if (status == RUSD_OK)
		status = look_at_table(snapshot, &change, &table);
	if (status == RUSD_OK)
		status = judge(&entry, exists ? &old : NULL, &table);
	store_member_free(&old);
	store_member_free(&change);
	return status;
}

Status
store_find_removed(const Snapshot *snapshot, uint64_t id)
{
	char name[SYSTEM_NAME_BYTES];
	TreeCell cell;

	member_name(name, "removed", id);
	return system_find(snapshot, name, &cell);
}

/* Strings are taken from old or change as the action says. */
static Status
change_member(Store *store, uint32_t action, const StoreMember *old, const StoreMember *change)
{
	StoreMember next = old != NULL ? *old : *change;
	char name[SYSTEM_NAME_BYTES];
	Status status;

	switch (action)
	{
		case MEMBER_REMOVE:
			member_name(name, "member", change->id);
			status = system_remove(store, name);
			member_name(name, "removed", change->id);
			return status == RUSD_OK ? system_put(store, name, NULL, 0) : status;
		case MEMBER_UPDATE:
			memcpy(next.peer_urls, change->peer_urls, sizeof(next.peer_urls));
			next.peer_url_count = change->peer_url_count;
			break;
		case MEMBER_PROMOTE:
			next.is_learner = false;
			break;
		case MEMBER_PUBLISH:
			next.name = change->name;
			memcpy(next.client_urls, change->client_urls, sizeof(next.client_urls));
			next.client_url_count = change->client_url_count;
			break;
		default:
			break;
	}
	return write_member(store, &next);
}

Status
system_member(Store *store, uint64_t index, const uint8_t *payload, size_t length,
			  ApplyResult *result)
{
	EntryMember entry;
	StoreMember change;
	StoreMember old = {0};
	Snapshot snapshot;
	bool exists = false;
	Status status = decode_member(payload, length, &change);

	result->value = index;
	if (status != RUSD_OK)
		return status;
	memcpy(&entry, payload, sizeof(entry));
	store_building(store, &snapshot);
	status = find_member(&snapshot, change.id, &old, &exists);
	/* Who was removed may publish itself once more. */
	if (status == RUSD_OK && !exists && entry.action != MEMBER_ADD)
		result->status = RUSD_MEMBER_NOT_FOUND;
	else if (status == RUSD_OK)
		status = change_member(store, entry.action, exists ? &old : NULL, &change);
	store_member_free(&old);
	store_member_free(&change);
	return status;
}

Status
store_own_removed(Store *store, bool *removed)
{
	Snapshot snapshot;
	Status status;

	store_building(store, &snapshot);
	status = store_find_removed(&snapshot, store->member_id);
	*removed = status == RUSD_OK;
	return status == RUSD_NOT_FOUND ? RUSD_OK : status;
}
