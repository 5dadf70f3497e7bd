/*
 * initialize.c
 *	  Makes the log of a new member: one segment with the entries that the cluster begins with.
 *
 * Startup process.  Killed at any point, it leaves no file with a segment's name: the next start
 * begins again.
 *
 * src/backend/wal/initialize.c
 */
#include "rusd.h"

#include "format/entry.h"
#include "wal_int.h"

/* 0 is no position: so the first segment is number 1. */
#define FIRST_SEQUENCE 1

static Status make_folder(FileOps *fs);

Status
wal_initialize(FileOps *fs, uint64_t segment_bytes, uint64_t cluster_id, uint64_t member_id,
			   const RaftConfiguration *configuration, const InitialEntry *entries, uint32_t count)
{
	SegmentBuild build;
	WalSegmentHeader header = {
		.magic = WAL_SEGMENT_MAGIC,
		.version = WAL_VERSION,
		.salt = wal_new_salt(0),
		.sequence = FIRST_SEQUENCE,
		.segment_bytes = segment_bytes,
		.first_index = 1,
		.cluster_id = cluster_id,
		.member_id = member_id,
		.flags = WAL_HEADER_CHAIN_BEGINS,
		.configuration = *configuration,
	};
	HardState hard_state = {.term = BOOTSTRAP_TERM,
							.commit_index = count,
							.commit_term = count > 0 ? BOOTSTRAP_TERM : 0};
	Status status = make_folder(fs);

	if (status != RUSD_OK)
		return status;
	status = segment_build_begin(&build, fs, WAL_PREPARE_NAME, false, 1, &header);
	if (status == RUSD_OK)
		status = segment_build_entries(&build, &hard_state, 1, entries, count);
	if (status == RUSD_OK)
	{
		WalBatchHeader mark = {
			.flushed = build.position, .commit_index = count, .commit_term = BOOTSTRAP_TERM};

		status = segment_build_add(&build, &mark, sizeof(mark));
	}
	if (status == RUSD_OK)
		status = segment_build_finish(&build);
	segment_build_end(&build);
	return status;
}

static Status
make_folder(FileOps *fs)
{
	int result = fs->mkdir(fs, WAL_FOLDER);

	if (result < 0 && result != -EEXIST)
		return fs_status(result);
	return fs_status(fs->sync_dir(fs, "."));
}
