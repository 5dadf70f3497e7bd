/*
 * walformat.h
 *	  Bytes of the log: segment header, batch header, record header.  doc/formats/wal.md tells the whole.
 *
 * The log is a stream of bytes that only grows.  Segment with sequence s holds the positions from s * segment_bytes on; its
 * file is wal/<16 hex digits of s>-<16 hex digits of its first index>.  The first WAL_SECTOR * 8 bytes of a segment are its
 * header, so the first batch of segment s is at position s * segment_bytes + WAL_HEADER_BYTES.  A batch lies within one
 * segment and begins on a sector boundary; what is left of a segment is skipped when the next batch does not fit.
 *
 * src/include/format/walformat.h
 */
#ifndef FORMAT_WALFORMAT_H
#define FORMAT_WALFORMAT_H

#define WAL_SECTOR 512
#define WAL_HEADER_BYTES 4096
#define WAL_SEGMENT_MAGIC 0x4c415752	/* "RWAL" */
#define WAL_BATCH_MAGIC 0x48435442	/* "BTCH" */
#define WAL_VERSION 1
#define CONFIG_MEMBERS_MAX 64

/* The voters and learners in use, as the core needs them; names and URLs live in the system tree. */
typedef struct RaftConfiguration
{
	uint64_t	index;			/* of the entry that made it; 0: bootstrap */
	uint32_t	member_count;
	uint32_t	reserved;
	struct
	{
		uint64_t	id;
		uint64_t	is_learner;
	}			members[CONFIG_MEMBERS_MAX];
} RaftConfiguration;

typedef struct HardState
{
	uint64_t	term;
	uint64_t	vote;
	uint64_t	commit_index;
	uint64_t	commit_term;
} HardState;

typedef struct WalSegmentHeader
{
	uint32_t	crc;			/* of all that follows in this struct */
	uint32_t	magic;
	uint32_t	version;
	uint32_t	salt;			/* random; new with each use of the file */
	uint64_t	sequence;
	uint64_t	segment_bytes;
	uint64_t	first_index;	/* no entry before it lies in this segment (a lower bound, for people and removal) */
	uint64_t	cluster_id;
	uint64_t	member_id;
	uint32_t	previous_crc;	/* of the batch before the first one here: the chain goes on over segments */
	uint32_t	chain_begins;	/* 1: the first batch here follows no other (bootstrap, recovery copy, installed snapshot) */
	HardState	hard_state;
	RaftConfiguration configuration;
} WalSegmentHeader;

typedef struct WalBatchHeader
{
	uint32_t	crc;			/* of the segment's salt, the previous batch's crc, then all that follows, length - 4 bytes */
	uint32_t	magic;
	uint32_t	length;			/* of header and records, without the padding to a sector */
	uint32_t	record_count;	/* 0: an idle mark */
	uint64_t	position;		/* its own */
	uint64_t	flushed;		/* flushed position known when it was written */
	uint64_t	commit_index;	/* known when it was written: it counts after a restart */
	uint64_t	commit_term;
} WalBatchHeader;

StaticAssert(sizeof(WalBatchHeader) == 48, "disk format");

typedef struct WalRecordHeader
{
	uint32_t	length;			/* of the payload, without padding to 8 */
	uint32_t	kind;			/* EntryKind */
	uint64_t	index;			/* 0 for records that are not replicated */
	uint64_t	term;
} WalRecordHeader;

StaticAssert(sizeof(WalRecordHeader) == 24, "disk format");

#endif							/* FORMAT_WALFORMAT_H */
