/*
 * extend.c
 *	  Puts entries behind the log of a node that does not run.
 *
 * Startup process, between two recoveries.  They get a segment of their own, which counts as a whole or not
 * at all [wal-5]; the one before it was synced by the recovery [wal-3].
 *
 * src/backend/wal/extend.c
 */
#include "rusd.h"

#include "format/entry.h"
#include "wal_int.h"

static Status remove_unopened(FileOps *fs, uint64_t sequence);
static Status write_segment(FileOps *fs, const WalSegmentHeader *header,
							const InitialEntry *entries, uint32_t count);

Status
wal_extend(FileOps *fs, const NodeRecovered *found, const HardState *hard_state,
		   const InitialEntry *entries, uint32_t count)
{
	WalSegmentHeader header = {
		.magic = WAL_SEGMENT_MAGIC,
		.version = WAL_VERSION,
		.salt = wal_new_salt(found->segment_salt),
		.sequence = found->next_sequence,
		.first_index = found->last_index + 1,
		.cluster_id = found->cluster_id,
		.member_id = found->member_id,
		.previous_crc = found->previous_crc,
		.hard_state = *hard_state,
		.configuration = found->configuration,
	};
	Status status = wal_segment_bytes_on_disk(fs, &header.segment_bytes);

	if (status == RUSD_OK)
		status = remove_unopened(fs, header.sequence);
	return status == RUSD_OK ? write_segment(fs, &header, entries, count) : status;
}

/* Those prepared and never used: the name of one of them would be taken twice. */
static Status
remove_unopened(FileOps *fs, uint64_t sequence)
{
	WalName *names = NULL;
	size_t count = 0;
	Status status = wal_list_segments(fs, &names, &count);

	for (size_t i = 0; status == RUSD_OK && i < count; i++)
	{
		char name[WAL_NAME_BYTES];

		if (names[i].sequence < sequence)
			continue;
		wal_segment_name(name, names[i].sequence, names[i].first_index);
		status = fs_status(fs->unlink(fs, name));
	}
	free(names);
	return status == RUSD_OK ? fs_status(fs->sync_dir(fs, WAL_FOLDER)) : status;
}

static Status
write_segment(FileOps *fs, const WalSegmentHeader *header, const InitialEntry *entries,
			  uint32_t count)
{
	HardState after = header->hard_state;
	SegmentBuild build;
	Status status;

	after.commit_index = header->first_index - 1 + count;
	after.commit_term = after.term;
	status = segment_build_begin(&build, fs, WAL_PREPARE_NAME, false, header->first_index, header);
	if (status == RUSD_OK)
		status = segment_build_entries(&build, &after, header->first_index, entries, count);
	if (status == RUSD_OK)
	{
		WalBatchHeader mark = {.flushed = build.position,
							   .commit_index = after.commit_index,
							   .commit_term = after.commit_term};

		status = segment_build_add(&build, &mark, sizeof(mark));
	}
	if (status == RUSD_OK)
		status = segment_build_finish(&build);
	segment_build_end(&build);
	return status;
}
