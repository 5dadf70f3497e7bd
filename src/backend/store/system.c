/*
 * system.c
 *	  The system tree: alarms, cluster version.  Members are in members.c.
 *
 * Written by the applier, read by anyone with a snapshot.  Names are text, so that the tree can be
 * looked at: "member/" and "removed/" with 16 hex digits, "alarm/" with 16 hex digits, "/" and the
 * type, "cluster-version", "compaction".
 *
 * src/backend/store/system.c
 */
#include "rusd.h"

#include "store_int.h"

enum
{
	ALARM_GET,
	ALARM_ACTIVATE,
	ALARM_DEACTIVATE
};

Status
system_put(Store *store, const char *name, const void *value, size_t length)
{
	TreeKey key = {.bytes = system_name(name)};

	return tree_insert(&store->system, &key, 0, (Bytes){0},
					   (Bytes){.data = value, .length = length});
}

Status
system_remove(Store *store, const char *name)
{
	return tree_delete(&store->system, &(TreeKey){.bytes = system_name(name)});
}

Status
system_find(const Snapshot *snapshot, const char *name, TreeCell *cell)
{
	TreeCursor cursor;
	TreeKey key = {.bytes = system_name(name)};
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
	snprintf(name, SYSTEM_NAME_BYTES, "alarm/%016" PRIx64 "/%u", member_id, alarm);
}

/* The next cell whose name begins with prefix, from the cursor on (started) or the first. RUSD_END.
 */
static Status
next_with_prefix(TreeCursor *cursor, const Snapshot *snapshot, const char *prefix, bool started)
{
	TreeKey key = {.bytes = system_name(prefix)};
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
		char name[SYSTEM_NAME_BYTES] = "";
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
	char name[SYSTEM_NAME_BYTES];
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
	status = system_find(&snapshot, name, &cell);
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
	Status status = system_find(snapshot, "cluster-version", &cell);
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
