/*
 * system.c
 *	  The system tree: members, alarms, cluster version.
 *
 * Written by the applier, read by anyone with a snapshot.  Names are text, so that the tree can be
 * looked at: "member/" and "removed/" with 16 hex digits, "alarm/" with 16 hex digits, "/" and the
 * type, "cluster-version", "compaction".  The value of a member is the EntryMember that would make
 * it, its strings included.
 *
 * src/backend/store/system.c
 */
#include "rusd.h"

#include "store_int.h"

#define NAME_BYTES 48

enum
{
	ALARM_GET,
	ALARM_ACTIVATE,
	ALARM_DEACTIVATE
};

static Bytes
name_bytes(const char *name)
{
	return (Bytes){.data = (const uint8_t *) name, .length = strlen(name)};
}

Status
system_put(Store *store, const char *name, const void *value, size_t length)
{
	TreeKey key = {.bytes = name_bytes(name)};

	return tree_insert(&store->system, &key, 0, (Bytes){0},
					   (Bytes){.data = value, .length = length});
}

Status
system_remove(Store *store, const char *name)
{
	return tree_delete(&store->system, &(TreeKey){.bytes = name_bytes(name)});
}

static Status
find(const Snapshot *snapshot, const char *name, TreeCell *cell)
{
	TreeCursor cursor;
	TreeKey key = {.bytes = name_bytes(name)};
	Status status = tree_seek(&cursor, snapshot->access, snapshot->root.system, &key);
	int order;

	if (status == RUSD_OK)
		status = tree_cell_compare(snapshot->access, &cursor.cell, key.bytes, &order);
	if (status != RUSD_OK || order != 0)
		return status == RUSD_OK || status == RUSD_END ? RUSD_NOT_FOUND : status;
	*cell = cursor.cell;
	return RUSD_OK;
}

/* ---- alarms ---------------------------------------------------------------- */

static void
alarm_name(char *name, uint64_t member_id, uint32_t alarm)
{
	snprintf(name, NAME_BYTES, "alarm/%016" PRIx64 "/%u", member_id, alarm);
}

/* The next cell whose name begins with prefix, from the cursor on (started) or the first. RUSD_END.
 */
static Status
next_with_prefix(TreeCursor *cursor, const Snapshot *snapshot, const char *prefix, bool started)
{
	TreeKey key = {.bytes = name_bytes(prefix)};
	Status status = started ? tree_next(cursor)
							: tree_seek(cursor, snapshot->access, snapshot->root.system, &key);

	if (status != RUSD_OK)
		return status;
	if (cursor->cell.key_inline.length < key.bytes.length ||
		memcmp(cursor->cell.key_inline.data, prefix, key.bytes.length) != 0)
		return RUSD_END;
	return RUSD_OK;
}

Status
store_alarms(const Snapshot *snapshot, AlarmMember *alarms, uint32_t max, uint32_t *count)
{
	TreeCursor cursor;
	Status status;

	*count = 0;
	while ((status = next_with_prefix(&cursor, snapshot, "alarm/", *count > 0)) == RUSD_OK)
	{
		char name[NAME_BYTES] = "";
		size_t length = Min(cursor.cell.key_inline.length, sizeof(name) - 1);
		AlarmMember alarm;

		memcpy(name, cursor.cell.key_inline.data, length);
		if (sscanf(name, "alarm/%" SCNx64 "/%u", &alarm.member_id, &alarm.alarm) != 2)
			return RUSD_DAMAGED;
		if (*count < max)
			alarms[*count] = alarm;
		*count += 1;
	}
	return status == RUSD_END ? RUSD_OK : status;
}

/* RootState.alarms: which kinds any member has raised. */
static Status
recompute_alarms(Store *store)
{
	Snapshot snapshot;
	TreeCursor cursor;
	bool started = false;
	Status status;

	store_building(store, &snapshot);
	store->state.alarms = 0;
	while ((status = next_with_prefix(&cursor, &snapshot, "alarm/", started)) == RUSD_OK)
	{
		Bytes name = cursor.cell.key_inline;
		const char *tail = (const char *) name.data + name.length - 2;

		started = true;
		if (memcmp(tail, "/1", 2) == 0)
			store->state.alarms |= STORE_ALARM_NOSPACE;
		else if (memcmp(tail, "/2", 2) == 0)
			store->state.alarms |= STORE_ALARM_CORRUPT;
	}
	return status == RUSD_END ? RUSD_OK : status;
}

Status
system_alarm(Store *store, const EntryAlarm *alarm, ApplyResult *result)
{
	char name[NAME_BYTES];
	Snapshot snapshot;
	TreeCell cell;
	Status status;
	bool active;

	/* MAINT-2: reading is the backend's.  MAINT-3: type NONE does nothing; no such pair is ever
	 * active. */
	if (alarm->action == ALARM_GET || alarm->alarm == 0)
		return RUSD_OK;
	alarm_name(name, alarm->member_id, alarm->alarm);
	store_building(store, &snapshot);
	status = find(&snapshot, name, &cell);
	if (status != RUSD_OK && status != RUSD_NOT_FOUND)
		return status;
	active = status == RUSD_OK;
	status = RUSD_OK;
	if (alarm->action == ALARM_ACTIVATE)
	{
		result->value = 1;
		if (!active)
			status = system_put(store, name, NULL, 0);
	}
	else if (alarm->action == ALARM_DEACTIVATE)
	{
		result->value = active;
		if (active)
			status = system_remove(store, name);
	}
	return status == RUSD_OK ? recompute_alarms(store) : status;
}

/* ---- members --------------------------------------------------------------- */

static void
member_name(char *name, const char *kind, uint64_t id)
{
	snprintf(name, NAME_BYTES, "%s/%016" PRIx64, kind, id);
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
	char name[NAME_BYTES];
	TreeKey key;
	Status status;

	if (after == UINT64_MAX)
		return RUSD_END;
	member_name(name, "member", after == 0 ? 0 : after + 1);
	key = (TreeKey){.bytes = name_bytes(name)};
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
	char name[NAME_BYTES];
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
	char name[NAME_BYTES];
	StoreMember other;
	TreeCell cell;
	Status status;

	memset(table, 0, sizeof(*table));
	member_name(name, "removed", change->id);
	status = find(snapshot, name, &cell);
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

/* A change that was judged right; strings are taken from old or change as the action says. */
static Status
change_member(Store *store, uint32_t action, const StoreMember *old, const StoreMember *change)
{
	StoreMember next = old != NULL ? *old : *change;
	char name[NAME_BYTES];
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
	TreeCell cell;
	Table table;
	char name[NAME_BYTES];
	bool exists;
	Status status = decode_member(payload, length, &change);

	result->value = index;
	if (status != RUSD_OK)
		return status;
	memcpy(&entry, payload, sizeof(entry));
	store_building(store, &snapshot);
	member_name(name, "member", change.id);
	status = find(&snapshot, name, &cell);
	exists = status == RUSD_OK;
	if (exists)
		status = read_member(&snapshot, &cell, &old);
	if (status == RUSD_OK || status == RUSD_NOT_FOUND)
		status = look_at_table(&snapshot, &change, &table);
	if (status == RUSD_OK)
		result->status = judge(&entry, exists ? &old : NULL, &table);
	if (status == RUSD_OK && result->status == RUSD_OK)
		status = change_member(store, entry.action, exists ? &old : NULL, &change);
	store_member_free(&old);
	store_member_free(&change);
	return status;
}

/* ---- cluster version ------------------------------------------------------- */

Status
system_cluster_version(Store *store, const uint8_t *payload, size_t length)
{
	return system_put(store, "cluster-version", payload, length);
}

Status
store_cluster_version(const Snapshot *snapshot, char *buffer, size_t size)
{
	TreeHint hint = {0};
	TreeCell cell;
	Status status = find(snapshot, "cluster-version", &cell);
	uint64_t length;

	if (size == 0)
		return RUSD_OK;
	buffer[0] = '\0';
	if (status != RUSD_OK)
		return status == RUSD_NOT_FOUND ? RUSD_OK : status;
	length = Min(cell.value_length, (uint64_t) size - 1);
	status = tree_read_value(snapshot->access, &cell, 0, buffer, length, &hint);
	buffer[status == RUSD_OK ? length : 0] = '\0';
	return status;
}
