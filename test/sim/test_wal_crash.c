/*
 * test_wal_crash.c
 *	  The log on a bad disk: appends, crashes at any point, recovers, and compares with a model.
 *
 * Each seed is one life of a log over several incarnations.  The real appender, writer, reader and
 * recovery run on one simulated disk, in one thread, in an order that the seed chooses; the power
 * fails, or all processes are killed, at any call that changes the disk, also in the middle of
 * recovery.  After each recovery:
 *
 *	  - every batch on disk is, byte for byte, a batch of the model, and they are a prefix of it;
 *	  - that prefix holds everything that flushed had covered, and the newest term and vote in it;
 *	  - a reader gives exactly the entries that are not void, up to the end and up to the commit
 * position;
 *	  - a bit flipped in any batch or header that the log proves to have been flushed makes recovery
 * refuse.
 *
 *		test_wal_crash [--seeds N] [--first S] [--corpus FOLDER]
 *
 * --corpus writes seeds for fuzz_wal_recovery besides: segment files of a few such lives.
 *
 * test/sim/test_wal_crash.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "format/entry.h"
#include "simdisk.h"
#include "wal/recovery.h"
#include "wal/segment.h"
#include "wal/wal.h"

#define BUFFER_BYTES (64 * 1024)
#define INCARNATIONS 4

typedef struct ModelRecord
{
	WalRecordHeader header;
	uint64_t content; /* seed of the payload */
} ModelRecord;

typedef struct ModelBatch
{
	uint64_t position;
	uint64_t end;
	size_t first; /* of its records */
	size_t count;
	uint64_t commit_index;
} ModelBatch;

/* All that was ever appended and not lost since, in the order of the log. */
typedef struct Model
{
	ModelRecord *records;
	size_t record_count;
	size_t record_capacity;
	ModelBatch *batches;
	size_t batch_count;
	size_t batch_capacity;
	uint64_t acknowledged;  /* the highest flushed position ever seen */
	uint64_t durable_index; /* of the last "checkpoint" */
	uint64_t durable_term;
} Model;

typedef struct World
{
	SimRandom random;
	SimDisk *disk;
	Shm *shm;
	Model model;
	WalAppender appender;
	WalWriter *writer;
	WalReader *reader; /* the applier's */
	uint64_t term;
	uint64_t vote;
	uint64_t last_index;
	uint64_t commit_index;
	uint64_t commit_term;
	uint64_t promised_index; /* last index when the ceiling was published: it may be committed at
								any time */
	uint64_t floor;          /* a leader's first entry lies behind every record that voids others */
	uint64_t applied_index;
	uint64_t applied_term;
	bool keep_all;
	uint64_t seed;
} World;

static const char *failure; /* what a check of this seed said */
static int failure_line;
static char failure_text[600];

#define REQUIRE(condition)                                                                         \
	do                                                                                             \
	{                                                                                              \
		if (!(condition) && failure == NULL)                                                       \
		{                                                                                          \
			failure = #condition;                                                                  \
			failure_line = __LINE__;                                                               \
		}                                                                                          \
	} while (0)

static const char *corpus_folder;
static unsigned corpus_left = 8;

/* Counts of what has happened, so that a run shows that it has tried everything. */
static struct
{
	uint64_t batches, recoveries, cut_recoveries, power_cuts, kills, lost_batches, kept_unflushed;
	uint64_t flips, flips_refused, segments, removed, no_room, regressions, sync_errors, applied;
} seen;

/* ---- model -------------------------------------------------------------------------------------
 */

static void
fill_payload(uint8_t *payload, const ModelRecord *record)
{
	SimRandom random = {record->content};

	for (uint32_t i = 0; i < record->header.length; i += 8)
	{
		uint64_t word = sim_random(&random);

		memcpy(payload + i, &word, Min(8, record->header.length - i));
	}
}

static bool
payload_matches(const uint8_t *payload, const ModelRecord *record)
{
	SimRandom random = {record->content};

	for (uint32_t i = 0; i < record->header.length; i += 8)
	{
		uint64_t word = sim_random(&random);

		if (memcmp(payload + i, &word, Min(8, record->header.length - i)) != 0)
			return false;
	}
	return true;
}

static void *
grown(void *array, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return array;
	*capacity = *capacity == 0 ? 256 : 2 * *capacity;
	array = realloc(array, *capacity * size);
	Check(array != NULL);
	return array;
}

static ModelRecord *
model_add_record(Model *model)
{
	model->records =
		grown(model->records, model->record_count, &model->record_capacity, sizeof(ModelRecord));
	return &model->records[model->record_count++];
}

static void
model_add_batch(Model *model, ModelBatch batch)
{
	model->batches =
		grown(model->batches, model->batch_count, &model->batch_capacity, sizeof(ModelBatch));
	model->batches[model->batch_count++] = batch;
}

static void
model_cut(Model *model, size_t batches)
{
	model->batch_count = batches;
	model->record_count =
		batches == 0 ? 0 : model->batches[batches - 1].first + model->batches[batches - 1].count;
}

/* The entries that hold up to a position: record numbers, ascending by index.  Caller frees. */
static size_t *
model_effective(const Model *model, uint64_t limit, size_t *count)
{
	size_t *effective = malloc((model->record_count + 1) * sizeof(size_t));

	Check(effective != NULL);
	*count = 0;
	for (size_t b = 0; b < model->batch_count && model->batches[b].end <= limit; b++)
	{
		for (size_t r = 0; r < model->batches[b].count; r++)
		{
			size_t number = model->batches[b].first + r;
			uint64_t index = model->records[number].header.index;

			if (index == 0)
				continue;
			while (*count > 0 && model->records[effective[*count - 1]].header.index >= index)
				(*count)--;
			effective[(*count)++] = number;
		}
	}
	return effective;
}

/* ---- life of an incarnation
 * ------------------------------------------------------------------------ */

/* A new leader: its first entry takes the place of some that are not promised.  True: it does. */
static bool
begin_term(World *world)
{
	HardState hard_state;
	ModelRecord record = {.header = {.length = sizeof(HardState), .kind = ENTRY_HARD_STATE}};
	uint8_t *place = wal_batch_add(&world->appender, ENTRY_HARD_STATE, 0, 0, sizeof(HardState));

	REQUIRE(place != NULL);
	world->term++;
	world->vote = sim_random(&world->random);
	hard_state = (HardState){.term = world->term,
							 .vote = world->vote,
							 .commit_index = world->commit_index,
							 .commit_term = world->commit_term};
	memcpy(place, &hard_state, sizeof(hard_state));
	record.header.term = world->term; /* kept here for the model only */
	record.content = world->vote;
	*model_add_record(&world->model) = record;
	if (world->last_index == world->promised_index || sim_percent(&world->random, 30))
		return false;
	world->last_index -= sim_below(&world->random, world->last_index - world->promised_index + 1);
	seen.regressions++;
	return true;
}

static bool
append_entry(World *world, uint64_t most)
{
	uint32_t length = (uint32_t) sim_below(&world->random, most);
	ModelRecord record = {.header = {.length = length,
									 .kind = ENTRY_PUT,
									 .index = world->last_index + 1,
									 .term = world->term},
						  .content = sim_random(&world->random)};
	uint8_t *place =
		wal_batch_add(&world->appender, ENTRY_PUT, record.header.index, record.header.term, length);

	if (place == NULL)
		return false;
	fill_payload(place, &record);
	*model_add_record(&world->model) = record;
	world->last_index++;
	return true;
}

static void
append_batch(World *world)
{
	Model *model = &world->model;
	ModelBatch batch = {.first = model->record_count};
	uint64_t most = wal_batch_bytes_max(&world->shm->layout);
	uint64_t wanted = sim_percent(&world->random, 10) ? most : 200;
	unsigned records = (unsigned) sim_below(&world->random, 6);
	bool regressed;

	if (wal_batch_begin(&world->appender, Min(wanted, most)) != RUSD_OK)
		return;
	batch.position = world->appender.batch_position;
	regressed = sim_percent(&world->random, 8) && begin_term(world);
	/* What voids others is there at once, in the room that the batch was begun with. */
	if (regressed)
		REQUIRE(append_entry(world, 96));
	while (records-- > 0 && append_entry(world, sim_percent(&world->random, 10) ? most : 300))
		;
	batch.count = model->record_count - batch.first;
	batch.commit_index = world->commit_index;
	batch.end = wal_batch_end(&world->appender, world->commit_index, world->commit_term);
	if (regressed)
		world->floor = batch.end;
	/* Idle marks are no part of the model: recovery adds some of its own. */
	if (batch.count > 0)
		model_add_batch(model, batch);
	seen.batches++;
}

/* The core's part: what is flushed is committed, up to some batch. */
static void
advance_commit(World *world)
{
	ShmPositions *positions = world->shm->positions;
	uint64_t appended = atomic_load(&positions->appended);

	if (sim_percent(&world->random, 10))
		appended = 0; /* it does not lead */
	else
		world->promised_index = world->last_index;
	atomic_fetch_add(&positions->bound_change_count, 1);
	atomic_store(&positions->ceiling, appended);
	atomic_store(&positions->floor, appended == 0 ? 0 : world->floor);
	atomic_fetch_add(&positions->bound_change_count, 1);
}

static void
take_in_commit(World *world)
{
	uint64_t committed = positions_committed(world->shm->positions);
	size_t count;
	size_t *effective = model_effective(&world->model, committed, &count);

	REQUIRE(committed <= atomic_load(&world->shm->positions->flushed));
	if (count > 0 && world->model.records[effective[count - 1]].header.index > world->commit_index)
	{
		world->commit_index = world->model.records[effective[count - 1]].header.index;
		world->commit_term = world->model.records[effective[count - 1]].header.term;
	}
	free(effective);
}

/* The applier's part: it must be given exactly the entries that hold, in order. */
static void
apply(World *world)
{
	uint64_t committed = positions_committed(world->shm->positions);
	size_t count;
	size_t *effective = model_effective(&world->model, committed, &count);
	unsigned most = (unsigned) sim_below(&world->random, 40);
	Status status = RUSD_AGAIN;
	WalRecord record;

	while (most-- > 0 && (status = wal_reader_next(world->reader, committed, &record)) == RUSD_OK)
	{
		size_t at = record.header.index - world->applied_index;
		const ModelRecord *expected = NULL;

		if (record.header.index <= world->applied_index)
			continue; /* the batch began before the checkpoint's end */
		REQUIRE(at == 1);
		for (size_t i = count; i-- > 0;)
		{
			if (world->model.records[effective[i]].header.index == record.header.index)
				expected = &world->model.records[effective[i]];
		}
		REQUIRE(expected != NULL);
		if (failure != NULL)
			break;
		REQUIRE(expected->header.term == record.header.term);
		REQUIRE(expected->header.length == record.header.length);
		REQUIRE(payload_matches(record.payload, expected));
		world->applied_index = record.header.index;
		world->applied_term = record.header.term;
		seen.applied++;
	}
	REQUIRE(status == RUSD_OK || status == RUSD_END || status == RUSD_AGAIN || world->disk->is_cut);
	atomic_store(&world->shm->positions->applied_position, wal_reader_position(world->reader));
	atomic_store(&world->shm->positions->applied_index, world->applied_index);
	free(effective);
}

static void
checkpoint(World *world)
{
	world->model.durable_index = world->applied_index;
	world->model.durable_term = world->applied_term;
	atomic_store(&world->shm->positions->durable_index, world->applied_index);
}

static void
note_flushed(World *world)
{
	uint64_t flushed = atomic_load(&world->shm->positions->flushed);

	REQUIRE(flushed <= atomic_load(&world->shm->positions->appended));
	REQUIRE(flushed >= world->model.acknowledged);
	world->model.acknowledged = flushed;
}

/* One turn of somebody.  False: the node has stopped. */
static bool
turn(World *world)
{
	switch (sim_below(&world->random, 12))
	{
		case 0:
		case 1:
		case 2:
			append_batch(world);
			break;
		case 3:
			advance_commit(world);
			break;
		case 4:
			take_in_commit(world);
			apply(world);
			break;
		case 5:
			if (sim_percent(&world->random, 20))
				checkpoint(world);
			break;
		case 6:
			if (wal_mark_is_due(&world->appender))
				(void) wal_append_mark(&world->appender, world->commit_index, world->commit_term);
			break;
		case 7:
			world->disk->now_ns += sim_below(&world->random, 2000000000);
			break;
		default:
		{
			Status status = wal_writer_step(world->writer);

			if (atomic_load(&world->shm->segments->no_room) != 0)
				seen.no_room++;
			note_flushed(world);
			if (status != RUSD_OK && status != RUSD_AGAIN)
			{
				REQUIRE(status == RUSD_IO);
				REQUIRE(world->disk->is_cut || world->disk->syncs_left == 0);
				seen.sync_errors += !world->disk->is_cut;
				return false;
			}
		}
	}
	return failure == NULL && !world->disk->is_cut;
}

static void
clear_memory(Shm *shm)
{
	memset(shm->positions, 0, sizeof(*shm->positions));
	memset(shm->segments, 0, sizeof(*shm->segments));
	memset(shm->control, 0, sizeof(*shm->control));
	memset(shm->recovered, 0, sizeof(*shm->recovered));
}

static void
end_incarnation(World *world)
{
	if (world->writer != NULL)
		wal_writer_destroy(world->writer);
	if (world->reader != NULL)
		wal_reader_destroy(world->reader);
	world->writer = NULL;
	world->reader = NULL;
}

/* ---- after a crash
 * -------------------------------------------------------------------------------- */

/* A batch on disk against one of the model. */
static bool
batch_matches(const Model *model, const ModelBatch *expected, const WalBatchHeader *batch)
{
	const WalRecordHeader *record = wal_batch_first_record(batch);

	if (batch->record_count != expected->count || batch->commit_index != expected->commit_index)
		return false;
	for (size_t i = 0; i < expected->count; i++)
	{
		const ModelRecord *wanted = &model->records[expected->first + i];

		if (record->length != wanted->header.length || record->kind != wanted->header.kind ||
			record->index != wanted->header.index)
			return false;
		if (record->kind == ENTRY_HARD_STATE)
		{
			HardState told;

			memcpy(&told, record + 1, sizeof(told));
			if (told.term != wanted->header.term || told.vote != wanted->content)
				return false;
		}
		else if (record->term != wanted->header.term ||
				 !payload_matches((const uint8_t *) (record + 1), wanted))
			return false;
		record = wal_record_next(record);
	}
	return true;
}

/* Walks all segments that are there; returns how many batches of the model are on disk. */
static size_t
compare_disk(World *world, uint64_t log_end)
{
	Model *model = &world->model;
	WalName *names = NULL;
	size_t count = 0;
	size_t at = 0;
	size_t oldest = 0;
	bool began = false;
	WalSegmentFile segment;

	REQUIRE(wal_list_segments(&world->disk->ops, &names, &count) == RUSD_OK);
	wal_segment_init(&segment, &world->disk->ops);
	/* Removal of an older segment may have been lost, and that of a newer one not: what counts is
	 * without a gap. */
	for (size_t i = 1; i < count; i++)
	{
		if (names[i].sequence != names[i - 1].sequence + 1 &&
			names[i].sequence <= wal_segment_of(log_end, world->shm->layout.wal_segment_bytes))
			oldest = i;
	}
	for (size_t i = oldest; i < count && failure == NULL; i++)
	{
		uint64_t bytes = world->shm->layout.wal_segment_bytes;
		uint64_t position = names[i].sequence * bytes + WAL_HEADER_BYTES;
		const WalBatchHeader *batch = NULL;

		if (names[i].sequence > wal_segment_of(log_end, bytes))
			break;
		REQUIRE(wal_segment_find(&segment, names[i].sequence) == RUSD_OK);
		while (failure == NULL && position < log_end &&
			   wal_segment_batch(&segment, position, &batch) == RUSD_OK)
		{
			position += wal_batch_sectors(batch->length);
			if (batch->record_count == 0 || batch->position == bytes + WAL_HEADER_BYTES)
				continue; /* a mark, or what wal_initialize wrote */
			while (!began && at < model->batch_count &&
				   model->batches[at].position != batch->position)
				at++; /* in segments removed since */
			began = true;
			REQUIRE(at < model->batch_count);
			REQUIRE(failure != NULL || model->batches[at].position == batch->position);
			REQUIRE(failure != NULL || batch_matches(model, &model->batches[at], batch));
			at++;
		}
	}
	if (!began)
	{
		/* All that is left are segments without a batch: everything before them is whole. */
		while (at < model->batch_count && model->batches[at].end <= log_end &&
			   model->batches[at].end <= model->acknowledged)
			at++;
	}
	wal_segment_destroy(&segment);
	free(names);
	return at;
}

static void
compare_reader(World *world, uint64_t limit, uint64_t applied_index)
{
	size_t count;
	size_t *effective = model_effective(&world->model, limit, &count);
	size_t at = 0;
	WalReader *reader = NULL;
	WalRecord record;
	Status status;

	REQUIRE(wal_reader_create(world->shm, &world->disk->ops, world->shm->recovered->replay_position,
							  &reader) == RUSD_OK);
	while (at < count && world->model.records[effective[at]].header.index <= applied_index)
		at++;
	while (failure == NULL && (status = wal_reader_next(reader, limit, &record)) == RUSD_OK)
	{
		const ModelRecord *expected;

		if (record.header.index <= applied_index)
			continue;
		REQUIRE(at < count);
		if (failure != NULL)
			break;
		expected = &world->model.records[effective[at++]];
		REQUIRE(record.header.index == expected->header.index);
		REQUIRE(record.header.term == expected->header.term);
		REQUIRE(record.header.length == expected->header.length);
		REQUIRE(failure != NULL || payload_matches(record.payload, expected));
	}
	REQUIRE(failure != NULL || status == RUSD_END);
	REQUIRE(failure != NULL || at == count || limit < world->shm->recovered->replay_position);
	wal_reader_destroy(reader);
	free(effective);
}

static Status
try_recovery(World *world, SimDisk *disk, NodeRecovered *result)
{
	memset(result, 0, sizeof(*result));
	result->applied_index = world->model.durable_index;
	result->applied_term = world->model.durable_term;
	result->applied_configuration = (RaftConfiguration){.member_count = 1, .members[0].id = 22};
	return wal_recover(&disk->ops, result, failure_text, sizeof(failure_text));
}

typedef struct Target
{
	WalName name;
	uint64_t offset;
	uint64_t length;
	uint64_t candidates; /* among which it was chosen */
} Target;

/* Does flipping one bit of what is proven to have been flushed make recovery refuse? */
static void
flip(World *world, const Target *target)
{
	SimDisk *copy = sim_disk_copy(world->disk, sim_random(&world->random));
	uint64_t byte = target->offset + sim_below(&world->random, target->length);
	NodeRecovered result;
	char name[WAL_NAME_BYTES];
	SimInode *inode;
	Status status;

	wal_segment_name(name, target->name.sequence, target->name.first_index);
	inode = sim_disk_inode(copy, name);
	Check(inode != NULL && byte < inode->live_size);
	inode->live[byte] ^= (uint8_t) (1u << sim_below(&world->random, 8));
	status = try_recovery(world, copy, &result);
	seen.flips++;
	seen.flips_refused += status == RUSD_DAMAGED;
	REQUIRE(status == RUSD_DAMAGED);
	REQUIRE(failure_text[0] != '\0');
	sim_disk_destroy(copy);
}

/* What one segment on disk says. */
typedef struct Seen
{
	bool is_opened;
	uint64_t first_index; /* of its opening header */
	uint64_t flushed;     /* the highest position that it tells to be flushed */
} Seen;

static Seen
look_at_segment(World *world, const WalName *name)
{
	uint64_t begin = name->sequence * world->shm->layout.wal_segment_bytes;
	uint64_t position = begin + WAL_HEADER_BYTES;
	WalSegmentFile segment;
	const WalBatchHeader *batch = NULL;
	Seen told = {0};

	wal_segment_init(&segment, &world->disk->ops);
	if (wal_segment_find(&segment, name->sequence) == RUSD_OK && segment.is_opened)
	{
		told =
			(Seen){.is_opened = true, .first_index = segment.opening.first_index, .flushed = begin};
		while (wal_segment_batch(&segment, position, &batch) == RUSD_OK)
		{
			told.flushed = Max(told.flushed, batch->flushed);
			position += wal_batch_sectors(batch->length);
		}
	}
	wal_segment_destroy(&segment);
	return told;
}

/* One of the batches of a segment that begin before proven, or a header of it, each as likely; candidates were seen before. */
static void
choose_target(World *world, const WalName *name, uint64_t proven, Target *target)
{
	uint64_t begin = name->sequence * world->shm->layout.wal_segment_bytes;
	uint64_t position = begin + WAL_HEADER_BYTES;
	WalSegmentFile segment;
	const WalBatchHeader *batch = NULL;

	wal_segment_init(&segment, &world->disk->ops);
	Check(wal_segment_find(&segment, name->sequence) == RUSD_OK);
	while (position < proven && wal_segment_batch(&segment, position, &batch) == RUSD_OK)
	{
		if (sim_below(&world->random, ++target->candidates) == 0)
		{
			target->name = *name;
			target->offset = position - begin;
			target->length = batch->length;
		}
		if (sim_below(&world->random, ++target->candidates) == 0)
		{
			target->name = *name;
			target->offset = sim_percent(&world->random, 50) ? WAL_OPENING_OFFSET : 0;
			target->length = sizeof(WalSegmentHeader);
		}
		position += wal_batch_sectors(batch->length);
	}
	wal_segment_destroy(&segment);
}

/* Picks a batch, or a header, among those that recovery reads and that are proven, and damages it. */
static void
damage_something(World *world)
{
	Target target = {0};
	uint64_t proven = 0;
	WalName *names = NULL;
	size_t count = 0;
	size_t first_read = 0;

	Check(wal_list_segments(&world->disk->ops, &names, &count) == RUSD_OK);
	for (size_t i = 0; i < count; i++)
	{
		Seen told = look_at_segment(world, &names[i]);

		proven = Max(proven, told.flushed);
		if (told.is_opened && told.first_index <= world->model.durable_index + 1)
			first_read = i;
	}
	for (size_t i = first_read; i < count; i++)
	{
		if (look_at_segment(world, &names[i]).is_opened)
			choose_target(world, &names[i], proven, &target);
	}
	free(names);
	if (target.candidates > 0)
		flip(world, &target);
}

/* Everything that must hold once recovery has succeeded. */
static void
check_recovered(World *world)
{
	Shm *shm = world->shm;
	const NodeRecovered *found = shm->recovered;
	Model *model = &world->model;
	size_t kept;
	size_t count;
	size_t *effective;
	uint64_t term = 1;
	uint64_t vote = 0;
	uint64_t commit_index = 0;

	kept = compare_disk(world, found->log_end);
	for (size_t i = 0; i < model->batch_count; i++)
	{
		if (i >= kept)
			REQUIRE(model->batches[i].end > model->acknowledged);
		else if (model->batches[i].end > model->acknowledged)
			seen.kept_unflushed++;
	}
	seen.lost_batches += model->batch_count - kept;
	if (failure != NULL)
		return;
	model_cut(model, kept);
	/* What survived is durable now. */
	model->acknowledged = found->log_end;
	for (size_t i = 0; i < model->batch_count; i++)
	{
		commit_index = Max(commit_index, model->batches[i].commit_index);
		for (size_t r = 0; r < model->batches[i].count; r++)
		{
			const ModelRecord *record = &model->records[model->batches[i].first + r];

			if (record->header.kind != ENTRY_HARD_STATE)
				continue;
			term = record->header.term;
			vote = record->content;
		}
	}
	REQUIRE(found->hard_state.term == term);
	REQUIRE(found->hard_state.vote == vote);
	/* Marks may have told more. */
	REQUIRE(found->hard_state.commit_index >= commit_index);
	REQUIRE(found->hard_state.commit_index >= model->durable_index);
	REQUIRE(found->hard_state.commit_index <= world->commit_index);
	REQUIRE(found->cluster_id == 11 && found->member_id == 22);
	REQUIRE(found->configuration.member_count == 1 && found->configuration.members[0].id == 22);
	effective = model_effective(model, found->log_end, &count);
	REQUIRE(found->last_index ==
			(count == 0 ? 0 : model->records[effective[count - 1]].header.index));
	REQUIRE(count == 0 || found->last_term == model->records[effective[count - 1]].header.term);
	world->last_index = found->last_index;
	world->term = found->hard_state.term;
	world->commit_index = found->hard_state.commit_index;
	world->commit_term = found->hard_state.commit_term;
	world->promised_index = world->commit_index;
	free(effective);
	effective = model_effective(model, found->commit_position, &count);
	REQUIRE(count == 0 || model->records[effective[count - 1]].header.index <= world->commit_index);
	free(effective);
	compare_reader(world, found->log_end, model->durable_index);
	compare_reader(world, found->commit_position, model->durable_index);
}

/* From the disk as it is to a recovered node; the power may fail on the way, several times. */
static void
recover(World *world)
{
	NodeRecovered *found = world->shm->recovered;
	unsigned attempts = (unsigned) sim_below(&world->random, 3);
	Status status;

	world->disk->room = UINT64_MAX;
	while (attempts-- > 0)
	{
		world->disk->power_left = sim_below(&world->random, 12);
		status = try_recovery(world, world->disk, found);
		REQUIRE(status == RUSD_OK || world->disk->is_cut);
		seen.cut_recoveries += world->disk->is_cut;
		if (sim_percent(&world->random, 50))
			sim_disk_power_cut(world->disk);
		else
			sim_disk_kill(world->disk);
	}
	clear_memory(world->shm);
	status = try_recovery(world, world->disk, found);
	REQUIRE(status == RUSD_OK);
	seen.recoveries++;
	if (failure == NULL)
		check_recovered(world);
}

/* A disk that has just room for what is there and the copy that was kept back for it. */
static void
restrict_room(World *world)
{
	if (sim_percent(&world->random, 30))
		world->disk->room =
			world->shm->layout.wal_segment_bytes * (1 + sim_below(&world->random, 4));
	else
		world->disk->room = UINT64_MAX;
}

static void
live(World *world)
{
	Shm *shm = world->shm;
	const NodeRecovered *found = shm->recovered;
	unsigned turns = 20 + (unsigned) sim_below(&world->random, 400);
	uint64_t count_before;

	atomic_store(&shm->positions->applied_position, found->replay_position);
	world->applied_index = found->applied_index;
	world->applied_term = found->applied_term;
	atomic_store(&shm->positions->durable_index, found->applied_index);
	REQUIRE(wal_writer_create(shm, &world->disk->ops, &world->disk->clock, world->keep_all,
							  sim_below(&world->random, 2) * shm->layout.wal_segment_bytes,
							  &world->writer) == RUSD_OK);
	REQUIRE(wal_reader_create(shm, &world->disk->ops, found->replay_position, &world->reader) ==
			RUSD_OK);
	if (failure != NULL)
		return;
	world->floor = found->log_end;
	wal_appender_init(&world->appender, shm, found->log_end, found->previous_crc);
	restrict_room(world);
	if (sim_percent(&world->random, 80))
		world->disk->power_left = sim_below(&world->random, 400);
	if (sim_percent(&world->random, 10))
		world->disk->syncs_left = sim_below(&world->random, 60);
	count_before = atomic_load(&shm->segments->ready_end);
	while (turns-- > 0 && turn(world))
	{
		if (sim_percent(&world->random, 1))
			restrict_room(world);
	}
	seen.segments += atomic_load(&shm->segments->ready_end) - count_before;
}

static void
begin_log(World *world)
{
	RaftConfiguration configuration = {.member_count = 1};
	InitialEntry entry = {.kind = ENTRY_EMPTY, .payload = {(const uint8_t *) "initial-entry", 13}};

	configuration.members[0].id = 22;
	/* A crash before the log is there leaves none: it is begun again. */
	while (wal_initialize(&world->disk->ops, world->shm->layout.wal_segment_bytes, 11, 22,
						  &configuration, &entry, 0) != RUSD_OK)
	{
		NodeRecovered found;

		sim_disk_power_cut(world->disk);
		REQUIRE(try_recovery(world, world->disk, &found) == RUSD_NOT_FOUND ||
				try_recovery(world, world->disk, &found) == RUSD_OK);
	}
	sim_disk_kill(world->disk);
}

/* The segments as one input of fuzz_wal_recovery, without the zeros behind. */
static void
write_corpus_file(World *world)
{
	WalName *names = NULL;
	size_t count = 0;
	char path[512];
	FILE *out;

	if (corpus_folder == NULL || corpus_left == 0 || world->shm->layout.wal_segment_bytes != 16384)
		return;
	Check(wal_list_segments(&world->disk->ops, &names, &count) == RUSD_OK);
	/* The target numbers them from 1. */
	if (count > 0 && names[0].sequence == 1)
	{
		corpus_left--;
		(void) snprintf(path, sizeof(path), "%s/seed-%" PRIu64, corpus_folder, world->seed);
		out = fopen(path, "wb");
		Check(out != NULL);
		fputc(0, out);
		for (size_t i = 0; i < count && i < 3; i++)
		{
			char name[WAL_NAME_BYTES];
			SimInode *inode;
			uint64_t length = 16384;

			wal_segment_name(name, names[i].sequence, names[i].first_index);
			inode = sim_disk_inode(world->disk, name);
			while (i + 1 == Min(count, 3) && length > 0 && inode->live[length - 1] == 0)
				length--;
			Check(fwrite(inode->live, 1, length, out) == length);
		}
		Check(fclose(out) == 0);
	}
	free(names);
}

static void
run_seed(Shm *shm, uint64_t seed)
{
	World world = {.random = {seed * 2654435761u + 1}, .shm = shm, .seed = seed};

	failure = NULL;
	failure_text[0] = '\0';
	shm->layout.wal_segment_bytes = (uint64_t) 16384 << sim_below(&world.random, 3);
	world.disk = sim_disk_create(sim_random(&world.random));
	world.keep_all = sim_percent(&world.random, 30);
	if (sim_percent(&world.random, 20))
		world.disk->power_left = sim_below(&world.random, 12);
	begin_log(&world);
	for (int i = 0; i < INCARNATIONS && failure == NULL; i++)
	{
		recover(&world);
		if (failure == NULL)
			live(&world);
		end_incarnation(&world);
		if (sim_percent(&world.random, 60))
		{
			sim_disk_power_cut(world.disk);
			seen.power_cuts++;
		}
		else
		{
			sim_disk_kill(world.disk);
			seen.kills++;
		}
		if (i == 0)
			write_corpus_file(&world);
		if (failure == NULL)
			damage_something(&world);
	}
	if (failure == NULL)
		recover(&world);
	sim_disk_destroy(world.disk);
	free(world.model.records);
	free(world.model.batches);
}

/* ---- main
 * ------------------------------------------------------------------------------------------- */

static uint64_t
number_after(int argc, char **argv, const char *name, uint64_t otherwise)
{
	for (int i = 1; i + 1 < argc; i++)
	{
		if (strcmp(argv[i], name) == 0)
			return strtoull(argv[i + 1], NULL, 0);
	}
	return otherwise;
}

static void
print_seen(void)
{
	printf("# batches %" PRIu64 ", applied %" PRIu64 ", recoveries %" PRIu64 " (cut %" PRIu64
		   "), power cuts %" PRIu64 ", kills %" PRIu64 ", sync errors %" PRIu64 "\n",
		   seen.batches, seen.applied, seen.recoveries, seen.cut_recoveries, seen.power_cuts,
		   seen.kills, seen.sync_errors);
	printf("# batches lost %" PRIu64 ", kept though not flushed %" PRIu64 ", regressions %" PRIu64
		   ", segments prepared %" PRIu64 ", turns without room %" PRIu64 ", bits flipped %" PRIu64
		   ", refused %" PRIu64 "\n",
		   seen.lost_batches, seen.kept_unflushed, seen.regressions, seen.segments, seen.no_room,
		   seen.flips, seen.flips_refused);
}

int
main(int argc, char **argv)
{
	uint64_t seeds = number_after(argc, argv, "--seeds", 100);
	uint64_t first = number_after(argc, argv, "--first", 1);
	ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + 1,
						.wal_buffer_bytes = BUFFER_BYTES,
						.wal_segment_bytes = 65536,
						.frame_count = 64};
	Shm *shm = NULL;
	uint64_t failed = 0;

	for (int i = 1; i + 1 < argc; i++)
	{
		if (strcmp(argv[i], "--corpus") == 0)
			corpus_folder = argv[i + 1];
	}
	Check(shm_create(&layout, false, &shm) == RUSD_OK);
	for (uint64_t seed = first; seed < first + seeds; seed++)
	{
		run_seed(shm, seed);
		if (failure == NULL)
			continue;
		failed++;
		printf("not ok %" PRIu64 " - seed %" PRIu64
			   "\n# line %d: %s\n# last message: %s\n# repeat: %s --first %" PRIu64 " --seeds 1\n",
			   failed, seed, failure_line, failure, failure_text, argv[0], seed);
		fflush(stdout);
		if (failed == 10)
			break;
	}
	print_seen();
	if (failed == 0)
		printf("ok 1 - %" PRIu64 " seeds from %" PRIu64 "\n", seeds, first);
	printf("1..%" PRIu64 "\n", Max(failed, 1));
	shm_destroy(shm);
	return failed > 0;
}
