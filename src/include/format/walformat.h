/*
 * walformat.h
 *	  Bytes of the log: segment header, batch header, record header.  doc/formats/wal.md tells the whole.
 *
 * The log is a stream of bytes that only grows.  Segment s holds the positions from s * segment_bytes on; its file is
 * wal/<16 hex digits of s>-<16 hex digits of a first index>.  Its first WAL_HEADER_BYTES are two headers of the same shape:
 * the prepared one at 0, durable before the file has its name, and the opening one at WAL_OPENING_OFFSET, which raft
 * puts into the stream before the first batch of the segment and which is written and synced with that batch.  Batches
 * begin at WAL_HEADER_BYTES, each on a sector boundary and within one segment; what is left of a segment is skipped when
 * the next batch does not fit.  Nothing of a segment behind its prepared header is written before all of the segments
 * before it is synced [wal-3].
 *
 * src/include/format/walformat.h
 */
#ifndef FORMAT_WALFORMAT_H
#define FORMAT_WALFORMAT_H

#define WAL_SECTOR 512
#define WAL_HEADER_BYTES 4096
#define WAL_OPENING_OFFSET 2048      /* of the opening header in a segment */
#define WAL_SEGMENT_MAGIC 0x4c415752 /* "RWAL" */
#define WAL_BATCH_MAGIC 0x48435442   /* "BTCH" */
#define WAL_VERSION 1
#define WAL_BATCH_BYTES_MAX ((uint64_t) 1 << 30)
#define CONFIG_MEMBERS_MAX 64

/* The voters and learners in use, as the core needs them; names and URLs live in the system tree. */
typedef struct RaftConfiguration
{
	uint64_t index; /* of the entry that made it; 0: bootstrap */
	uint32_t member_count;
	uint32_t reserved;
	struct
	{
		uint64_t id;
		uint64_t is_learner;
	} members[CONFIG_MEMBERS_MAX];
} RaftConfiguration;

/*
 * Where a log begins that follows an installed snapshot: entries of batches before position are void, the
 * first one behind it is index + 1.  All 0: the log begins with its first entry.
 */
typedef struct LogBegin
{
	uint64_t position; /* end of a batch */
	uint64_t index;    /* of the snapshot */
	uint64_t term;     /* of that entry */
} LogBegin;

typedef struct HardState
{
	uint64_t term;
	uint64_t vote;
	uint64_t commit_index;
	uint64_t commit_term;
} HardState;

#define WAL_HEADER_OPENING 1 /* flag: the second header; the first has none of these flags */
#define WAL_HEADER_CHAIN_BEGINS                                                                    \
	2 /* with it: the first batch here follows no other (the first segment of a log) */

typedef struct WalSegmentHeader
{
	uint32_t crc; /* of all that follows in this struct */
	uint32_t magic;
	uint32_t version;
	uint32_t salt; /* random, not 0; new with each use of the file; the same in both headers */
	uint64_t sequence;
	uint64_t segment_bytes;
	uint64_t
		first_index; /* prepared: a lower bound, for people.  Opening: last index before this segment, + 1: whoever has
								 * applied what is below needs no segment before this one */
	uint64_t cluster_id;
	uint64_t member_id;
	uint32_t
		previous_crc; /* opening: of the batch before the first one here, so that the chain goes on over segments */
	uint32_t flags;                  /* WAL_HEADER_... */
	HardState hard_state;            /* opening: newest one when the segment was opened */
	RaftConfiguration configuration; /* opening: in use then */
} WalSegmentHeader;

StaticAssert(sizeof(WalSegmentHeader) == 1136, "disk format");
StaticAssert(sizeof(WalSegmentHeader) <= WAL_OPENING_OFFSET, "both headers fit");

typedef struct WalBatchHeader
{
	uint32_t crc; /* of all that follows, length - 4 bytes */
	uint32_t magic;
	uint32_t salt;         /* of the segment */
	uint32_t previous_crc; /* crc of the batch before it in the log */
	uint32_t length; /* of header and records, without the padding to a sector; a multiple of 8 */
	uint32_t record_count; /* 0: an idle mark */
	uint64_t position;     /* its own */
	uint64_t flushed;      /* flushed position known when it was written; never behind its own */
	uint64_t commit_index; /* known when it was written: it counts after a restart */
	uint64_t commit_term;
} WalBatchHeader;

StaticAssert(sizeof(WalBatchHeader) == 56, "disk format");

typedef struct WalRecordHeader
{
	uint32_t length; /* of the payload, without padding to 8 */
	uint32_t kind;   /* EntryKind */
	uint64_t index;  /* 0 for records that are not replicated */
	uint64_t term;
} WalRecordHeader;

StaticAssert(sizeof(WalRecordHeader) == 24, "disk format");

/* ---- pure functions over these bytes: format/walformat.c ---------------------------------------------- */
#define WAL_NAME_BYTES 48 /* room for a name, "wal/" included */

/* Bytes that a record with such a payload takes in a batch. */
static inline uint64_t
wal_record_bytes(uint32_t length)
{
	return sizeof(WalRecordHeader) + AlignUp((uint64_t) length, 8);
}

/* Where the next batch may begin after one of that length. */
static inline uint64_t
wal_batch_sectors(uint32_t length)
{
	return AlignUp((uint64_t) length, WAL_SECTOR);
}

/* The segment in which a batch that ends at position lies (its end may be the segment's). */
static inline uint64_t
wal_segment_of(uint64_t position, uint64_t segment_bytes)
{
	return (position - 1) / segment_bytes;
}

extern void wal_segment_name(char name[WAL_NAME_BYTES], uint64_t sequence, uint64_t first_index);
/* Parses a name without "wal/"; false if it is not a segment's. */
extern bool wal_segment_parse(const char *name, uint64_t *sequence, uint64_t *first_index);

extern void wal_header_seal(WalSegmentHeader *header);
/* Is this a whole header of that segment, of that kind (flags without WAL_HEADER_CHAIN_BEGINS)? */
extern bool wal_header_check(const WalSegmentHeader *header, uint64_t sequence, uint32_t flags);

/* Fills in the checksum of a batch whose header is complete. */
extern void wal_batch_seal(WalBatchHeader *batch);
/* Does the header say that it is a batch of that place, at most available bytes long?  Its checksum is not looked at. */
extern bool wal_batch_plausible(const WalBatchHeader *batch, uint64_t position, uint32_t salt,
								uint64_t available);
/* The checksum, of a plausible one. */
extern bool wal_batch_intact(const WalBatchHeader *batch);
/* Do the records fill the batch exactly?  For batches read from a file, after the checksum. */
extern bool wal_batch_well_formed(const WalBatchHeader *batch);

static inline const WalRecordHeader *
wal_batch_first_record(const WalBatchHeader *batch)
{
	return (const WalRecordHeader *) (batch + 1);
}

static inline const WalRecordHeader *
wal_record_next(const WalRecordHeader *record)
{
	return (const WalRecordHeader *) ((const uint8_t *) record + wal_record_bytes(record->length));
}

#endif /* FORMAT_WALFORMAT_H */
