/*
 * rewrite.c
 *	  Recovery's copy of the last segment into a fresh file with a new salt.
 *
 * Startup process.  The copy has the same sequence number and the same positions; it takes the old
 * file's name by one rename, when all of it is synced.  So before the rename the old file is the log
 * and after it the new one, and what lay behind the cut is gone with the old file: no batch there
 * can ever be read again [wal-5].  What was only in the kernel's cache is durable then.
 *
 * src/backend/wal/rewrite.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "wal_int.h"

static Status choose_file(FileOps *fs, uint64_t bytes, const WalName *garbage, bool *reuse);
static Status copy_batches(WalSegmentFile *segment, SegmentBuild *build, uint64_t end,
						   bool *ends_with_mark);
static Status add_mark(SegmentBuild *build, const NodeRecovered *result);

Status
wal_rewrite_segment(WalSegmentFile *segment, const WalName *name, uint64_t end,
					const WalName *garbage, NodeRecovered *result)
{
	WalSegmentHeader header = segment->opening;
	SegmentBuild build;
	bool reuse = false;
	bool ends_with_mark = false;
	Status status = choose_file(segment->fs, segment->segment_bytes, garbage, &reuse);

	if (status != RUSD_OK)
		return status;
	header.salt = wal_new_salt(segment->salt);
	status = segment_build_begin(&build, segment->fs, reuse ? WAL_SPARE_NAME : WAL_PREPARE_NAME,
								 reuse, name->first_index, &header);
	if (status == RUSD_OK)
		status = copy_batches(segment, &build, end, &ends_with_mark);
	if (status == RUSD_OK)
		Check(build.position == end);
	if (status == RUSD_OK && !ends_with_mark && segment_build_has_room(&build))
		status = add_mark(&build, result);
	if (status == RUSD_OK)
		status = segment_build_finish(&build);
	result->log_end = build.position;
	result->previous_crc = build.crc;
	result->segment_salt = header.salt;
	segment_build_end(&build);
	return status;
}

/* A file that has its blocks already is better: it is there on a full disk, and needs no zeros. */
static Status
choose_file(FileOps *fs, uint64_t bytes, const WalName *garbage, bool *reuse)
{
	int file = fs->open(fs, WAL_SPARE_NAME, O_RDONLY);
	char name[WAL_NAME_BYTES];
	int result;

	if (file >= 0)
	{
		int64_t size = fs->size(fs, file);

		fs->close(fs, file);
		*reuse = size == (int64_t) bytes;
		/* The rename that gave it this name may be that of a recovery that was killed before its
		 * sync. */
		if (*reuse)
			return fs_status(fs->sync_dir(fs, WAL_FOLDER));
		result = fs->unlink(fs, WAL_SPARE_NAME);
		if (result < 0)
			return fs_status(result);
	}
	else if (file != -ENOENT)
		return fs_status(file);
	if (garbage == NULL)
		return RUSD_OK;
	/* It must be seen to have lost its name before its header is spoilt. */
	wal_segment_name(name, garbage->sequence, garbage->first_index);
	result = fs->rename(fs, name, WAL_SPARE_NAME);
	if (result == 0)
		result = fs->sync_dir(fs, WAL_FOLDER);
	*reuse = result == 0;
	return fs_status(result);
}

static Status
copy_batches(WalSegmentFile *segment, SegmentBuild *build, uint64_t end, bool *ends_with_mark)
{
	while (build->position < end)
	{
		const WalBatchHeader *batch = NULL;
		Status status = wal_segment_batch(segment, build->position, &batch);

		if (status != RUSD_OK)
			return status == RUSD_END ? RUSD_IO : status; /* it was there a moment ago */
		*ends_with_mark = batch->record_count == 0 && batch->flushed == batch->position;
		status = segment_build_add(build, batch, batch->length);
		if (status != RUSD_OK)
			return status;
	}
	return RUSD_OK;
}

/* All before it is synced before the file counts: so it may tell that. */
static Status
add_mark(SegmentBuild *build, const NodeRecovered *result)
{
	WalBatchHeader mark = {
		.flushed = build->position,
		.commit_index = result->hard_state.commit_index,
		.commit_term = result->hard_state.commit_term,
	};

	return segment_build_add(build, &mark, sizeof(mark));
}
