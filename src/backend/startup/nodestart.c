/*
 * nodestart.c
 *	  Makes a new member, or finds out what the disk holds of an old one.
 *
 * Runs before any other process of the member begins, so it may write regions that later have other
 * owners: it leaves what it found in shm->recovered, the checkpoint's root, and the positions from
 * which walwriter, raft and applier go on.  No globals but the log of warnings: the simulator starts
 * many members in one process.
 *
 * src/backend/startup/nodestart.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <stdarg.h>

#include "pagecache/checkpoint.h"
#include "snapshot/snapshot.h"
#include "startup/startup.h"
#include "utils/log.h"

typedef struct NodeStart
{
	Shm *shm;
	FileOps *fs;
	ControlRecord control;
	bool has_control;
	bool has_log;
	char *message;
	size_t message_size;
} NodeStart;

static Status look_at_disk(NodeStart *start);
static Status make_log(NodeStart *start, const NodeBootstrap *bootstrap);
static Status recover(NodeStart *start);
static Status check_data_file(NodeStart *start);
static Status first_control(NodeStart *start);
static Status remove_leftovers(NodeStart *start);
static void fill_positions(NodeStart *start);
static Status fail(NodeStart *start, Status status, const char *format, ...) printf_like(3, 4);

Status
node_start(Shm *shm, FileOps *fs, const NodeBootstrap *bootstrap, char *message,
		   size_t message_size)
{
	NodeStart start = {.shm = shm, .fs = fs, .message = message, .message_size = message_size};
	Status status = look_at_disk(&start);

	if (status == RUSD_OK && !start.has_log)
	{
		if (bootstrap == NULL)
			return RUSD_NOT_FOUND;
		status = make_log(&start, bootstrap);
	}
	if (status == RUSD_OK)
		status = recover(&start);
	if (status == RUSD_OK && !start.has_control)
		status = first_control(&start);
	if (status == RUSD_OK)
		status = remove_leftovers(&start);
	if (status == RUSD_OK)
		fill_positions(&start);
	return status;
}

static Status
look_at_disk(NodeStart *start)
{
	uint64_t segment_bytes;
	bool installed;
	Status status = control_recover(start->fs, &start->control);

	if (status != RUSD_OK && status != RUSD_NOT_FOUND)
		return fail(start, status, "no copy of the control record can be read");
	start->has_control = status == RUSD_OK;
	if (!start->has_control)
	{
		/* The log is replayed from its first entry then; with a snapshot installed it does not begin
		 * there. */
		status = data_files_find_others(start->fs, 0, &installed);
		if (status != RUSD_OK)
			return fail(start, status, "the data directory cannot be read");
		if (installed)
			return fail(start, RUSD_DAMAGED,
						"there is no control record, but a snapshot was installed here");
	}
	status = wal_segment_bytes_on_disk(start->fs, &segment_bytes);
	if (status == RUSD_NOT_FOUND && start->has_control)
		return fail(start, RUSD_DAMAGED, "there is a control record but no log");
	if (status != RUSD_OK && status != RUSD_NOT_FOUND)
		return fail(start, status, "the log cannot be read");
	start->has_log = status == RUSD_OK;
	return RUSD_OK;
}

static Status
make_log(NodeStart *start, const NodeBootstrap *bootstrap)
{
	static const RaftConfiguration nobody;
	Status status =
		wal_initialize(start->fs, start->shm->layout.wal_segment_bytes, bootstrap->cluster_id,
					   bootstrap->member_id, &nobody, bootstrap->entries, bootstrap->entry_count);

	return status == RUSD_OK ? status : fail(start, status, "could not make the log");
}

static Status
recover(NodeStart *start)
{
	NodeRecovered *found = start->shm->recovered;
	const ControlRecord *control = &start->control;
	char detail[512] = "";
	Status status;

	memset(found, 0, sizeof(*found));
	/* A log that was just made has nothing to replay; else this may take its time. */
	if (!start->has_control && start->has_log)
		log_warn("no control record; replaying the whole log");
	if (start->has_control)
	{
		status = check_data_file(start);
		if (status != RUSD_OK)
			return status;
		found->applied_index = control->root.applied_index;
		found->applied_term = control->root.applied_term;
		found->applied_configuration = control->configuration;
		found->log_begin = control->log_begin;
	}
	status = wal_recover(start->fs, found, detail, sizeof(detail));
	if (status != RUSD_OK)
		return fail(start, status, "the log cannot be recovered: %s", detail);
	if (start->has_control &&
		(control->cluster_id != found->cluster_id || control->member_id != found->member_id))
		return fail(start, RUSD_DAMAGED,
					"control record and log belong to different members: %" PRIx64 " and %" PRIx64,
					control->member_id, found->member_id);
	return RUSD_OK;
}

/* BOOT-31: a checkpoint whose pages are gone. */
static Status
check_data_file(NodeStart *start)
{
	uint64_t expected = start->control.root.pages_used * PAGE_BYTES;
	char name[DATA_NAME_BYTES];
	int file;
	int64_t bytes;

	data_file_name(name, start->control.generation);
	file = start->fs->open(start->fs, name, O_RDONLY);
	if (file == -ENOENT && expected > 0)
		return fail(start, RUSD_DAMAGED, "database file (%s) of the backend is missing", name);
	if (file < 0)
		return RUSD_OK;
	bytes = start->fs->size(start->fs, file);
	start->fs->close(start->fs, file);
	if (bytes >= 0 && (uint64_t) bytes < expected)
		return fail(start, RUSD_DAMAGED,
					"the data file is shorter than the checkpoint that it holds: %" PRId64
					" of at least %" PRIu64 " bytes",
					bytes, expected);
	return RUSD_OK;
}

/*
 * A store without a checkpoint is the empty one, from which the whole log is replayed: a new
 * member, one that died before its first checkpoint, or one whose checkpoint was taken away on
 * purpose.
 */
static Status
first_control(NodeStart *start)
{
	const NodeRecovered *found = start->shm->recovered;
	ControlRecord *control = &start->control;
	Status status;

	memset(control, 0, sizeof(*control));
	control->cluster_id = found->cluster_id;
	control->member_id = found->member_id;
	control->hard_state = found->hard_state;
	control->configuration = found->applied_configuration;
	control->root = (RootState){.revision = 1,
								.compacted = -1,
								.compaction_done = -1,
								.frames_free = start->shm->layout.frame_count,
								.keys.page = PAGE_NONE,
								.revisions.page = PAGE_NONE,
								.system.page = PAGE_NONE};
	status = control_write(start->fs, control);
	return status == RUSD_OK ? status : fail(start, status, "could not write the control record");
}

/* Of an install or a transfer that a crash has ended. */
static Status
remove_leftovers(NodeStart *start)
{
	Status status = data_files_remove_others(start->fs, start->control.generation);

	if (status == RUSD_OK)
		status = snapshot_incoming_remove(start->fs);

	return status == RUSD_OK ? status : fail(start, status, "files of no use cannot be removed");
}

/* Walwriter, raft and applier go on from here. */
static void
fill_positions(NodeStart *start)
{
	Shm *shm = start->shm;
	const NodeRecovered *found = shm->recovered;
	const RootState *root = &start->control.root;
	ShmPositions *positions = shm->positions;

	shm_root_write(shm, root);
	atomic_store(&positions->appended, found->log_end);
	atomic_store(&positions->written, found->log_end);
	atomic_store(&positions->flushed, found->log_end);
	atomic_store(&positions->committed_by_flush, found->commit_position);
	atomic_store(&positions->applied_position, found->replay_position);
	atomic_store(&positions->applied_index, root->applied_index);
	atomic_store(&positions->log_begin, found->log_begin.position);
	atomic_store(&positions->data_generation, start->control.generation);
	atomic_store(&shm->requests->generation_wanted, start->control.generation);
	atomic_store(&positions->durable_root, root->number);
	atomic_store(&positions->durable_index, root->applied_index);
	atomic_store(&shm->segments->compacted, found->log_begin.index);
	atomic_store(&shm->segments->ready_end, found->next_sequence);
	atomic_store(&shm->segments->salt[(found->next_sequence - 1) % WAL_READY_SEGMENTS],
				 found->segment_salt);
}

static Status
fail(NodeStart *start, Status status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(start->message, start->message_size, format, arguments);
	va_end(arguments);
	return status;
}
