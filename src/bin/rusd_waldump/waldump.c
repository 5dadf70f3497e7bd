/*
 * waldump.c
 *	  rusd_waldump: prints what a data directory's log holds, in the order in which it was written.
 *
 * Two passes: the first finds the end, what is committed, and what a later record voids; the second
 * prints up to that end. Nothing is written, nothing is locked: a stopped node, a copy, and a live
 * node as far as it has written.
 *
 * src/bin/rusd_waldump/waldump.c
 */
#include "rusd_fe.h"

#include <unistd.h>

#include "format/entry.h"
#include "pagecache/checkpoint.h"
#include "print.h"
#include "walk.h"

#define EXIT_DAMAGED 1
#define EXIT_USAGE 2

typedef struct Options
{
	const char *directory;
	bool json;
	bool only_committed;
} Options;

/* Of each record with an index, in the order of the log; after the first pass: is it void? */
typedef struct Indexes
{
	uint64_t *of;
	size_t count;
	size_t room;
} Indexes;

typedef struct Dump
{
	FileOps *fs;
	const Options *options;
	LogSummary summary;
	Indexes indexes;
	Status status; /* of the first pass */
	char message[512];
	uint64_t undecodable;
} Dump;

does_not_return static void
leave(int status)
{
	if (fflush(stdout) != 0 || ferror(stdout))
	{
		fprintf(stderr, "rusd_waldump: could not write to standard output: %s\n", strerror(errno));
		exit(EXIT_DAMAGED);
	}
	exit(status);
}

void
check_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "rusd_waldump: check failed: %s (%s:%d)\n", condition, file, line);
	abort();
}

/* ---- first pass ---- */

static bool
add_index(Indexes *i, uint64_t index)
{
	if (i->count == i->room)
	{
		size_t room = i->room * 2 + 1024;
		uint64_t *larger = realloc(i->of, room * sizeof(*larger));

		if (larger == NULL)
			return false;
		i->of = larger;
		i->room = room;
	}
	i->of[i->count++] = index;
	return true;
}

/* Takes in what one batch tells. */
static Status
note_batch(Dump *d, const WalBatchHeader *batch)
{
	LogSummary *s = &d->summary;
	const WalRecordHeader *r = wal_batch_first_record(batch);

	s->commit_index = Max(s->commit_index, batch->commit_index);
	for (uint32_t i = 0; i < batch->record_count; i++, r = wal_record_next(r))
	{
		HardState state;

		s->records++;
		if (r->kind == ENTRY_HARD_STATE && r->length == sizeof(state))
		{
			memcpy(&state, r + 1, sizeof(state));
			s->commit_index = Max(s->commit_index, state.commit_index);
		}
		if (r->index == 0)
			continue;
		/* What was there before a snapshot was installed is void whatever its index. */
		if (!add_index(&d->indexes,
					   batch->position < s->log_begin.position ? UINT64_MAX : r->index))
			return RUSD_NO_MEMORY;
		if (s->first_index == 0)
			s->first_index = r->index;
		s->last_index = r->index;
	}
	return RUSD_OK;
}

/* An entry is void if one behind it has its index or a lower one: the lowest behind it decides. */
static void
find_void(Indexes *i)
{
	uint64_t lowest = UINT64_MAX;

	for (size_t k = i->count; k-- > 0;)
	{
		uint64_t index = i->of[k];

		i->of[k] = index >= lowest || index == UINT64_MAX;
		lowest = Min(lowest, index);
	}
}

static void
survey(Dump *d)
{
	LogSummary *s = &d->summary;
	const WalBatchHeader *batch;
	Walk walk;

	d->status = walk_open(&walk, d->fs);
	if (d->status == RUSD_OK)
	{
		const WalSegmentHeader *opening = &walk.segment.opening;

		s->cluster_id = opening->cluster_id;
		s->member_id = opening->member_id;
		s->segment_bytes = opening->segment_bytes;
		s->begin_position = s->end_position = walk.position;
		s->commit_index = Max(opening->hard_state.commit_index, s->log_begin.index);
	}
	while (d->status == RUSD_OK && (d->status = walk_next(&walk, &batch)) == RUSD_OK)
	{
		d->status = note_batch(d, batch);
		s->end_position = walk.position;
	}
	if (d->status == RUSD_END)
		d->status = RUSD_OK;
	if (d->status == RUSD_NO_MEMORY)
		snprintf(d->message, sizeof(d->message), "out of memory");
	else if (d->status == RUSD_NOT_FOUND)
		snprintf(d->message, sizeof(d->message), "there is no log in it");
	else
		snprintf(d->message, sizeof(d->message), "%s", walk.message);
	find_void(&d->indexes);
	walk_close(&walk);
}

/* ---- second pass ---- */

static void
print_batch(Dump *d, const WalBatchHeader *batch, size_t *at)
{
	const WalRecordHeader *r = wal_batch_first_record(batch);

	for (uint32_t i = 0; i < batch->record_count; i++, r = wal_record_next(r))
	{
		LogRecord record = {.header = r, .payload = (const uint8_t *) (r + 1)};

		record.position =
			batch->position + (uint64_t) ((const uint8_t *) r - (const uint8_t *) batch);
		if (r->index != 0)
		{
			record.is_void = d->indexes.of[(*at)++] != 0;
			record.is_committed = !record.is_void && r->index <= d->summary.commit_index;
		}
		if (d->options->only_committed && !record.is_committed)
			continue;
		if (!print_record(&record, d->options->json))
			d->undecodable++;
	}
}

/* Returns RUSD_OK, or what has changed since the first pass. */
static Status
print_all(Dump *d)
{
	const WalBatchHeader *batch;
	size_t at = 0;
	Walk walk;
	Status status = walk_open(&walk, d->fs);

	if (status == RUSD_OK && walk.position != d->summary.begin_position)
		status = RUSD_AGAIN;
	while (status == RUSD_OK && walk.position < d->summary.end_position)
	{
		status = walk_next(&walk, &batch);
		if (status == RUSD_OK)
			print_batch(d, batch, &at);
	}
	walk_close(&walk);
	return status;
}

/* ---- the program ---- */

/* The control record says where the log begins if a snapshot was installed; without one it begins
 * with its first entry. */
static Status
read_log_begin(Dump *d)
{
	ControlRecord control;
	Status status = control_read(d->fs, &control);

	if (status == RUSD_NOT_FOUND)
		return RUSD_OK;
	if (status != RUSD_OK)
	{
		snprintf(d->message, sizeof(d->message), "the control record %s",
				 status == RUSD_DAMAGED ? "is damaged" : "cannot be read");
		return status;
	}
	d->summary.log_begin = control.log_begin;
	return RUSD_OK;
}

static int
dump(const Options *options)
{
	Dump d = {.options = options, .fs = fs_os_open(options->directory)};
	Status status;

	if (d.fs == NULL)
	{
		fprintf(stderr, "rusd_waldump: %s: %s\n", options->directory, strerror(errno));
		return EXIT_DAMAGED;
	}
	d.status = read_log_begin(&d);
	if (d.status == RUSD_OK)
		survey(&d);
	if (d.summary.segment_bytes != 0)
	{
		print_summary(&d.summary, options->json);
		status = print_all(&d);
		if (status != RUSD_OK && d.status == RUSD_OK)
		{
			d.status = status;
			snprintf(d.message, sizeof(d.message),
					 "the log has changed while it was read (the node runs): once more, please");
		}
	}
	if (d.status == RUSD_OK && d.undecodable > 0)
	{
		d.status = RUSD_DAMAGED;
		snprintf(d.message, sizeof(d.message), "%" PRIu64 " entries do not decode", d.undecodable);
	}
	fflush(stdout);
	if (d.status != RUSD_OK)
		fprintf(stderr, "rusd_waldump: %s: %s\n", options->directory, d.message);
	free(d.indexes.of);
	fs_os_close(d.fs);
	return d.status == RUSD_OK ? 0 : EXIT_DAMAGED;
}

static void
print_usage(FILE *to)
{
	fputs(
		"rusd_waldump prints what the log of a data directory holds, in the order in which it was "
		"written.\n\n"
		"Usage:\n  rusd_waldump [OPTIONS] DATA-DIR\n\n"
		"Options:\n"
		"  -c, --committed  only entries that are known to be committed and are not void\n"
		"  -h, --help       this page\n"
		"  -j, --json       a JSON object a line\n"
		"  -V, --version    the version of this program\n\n"
		"Exit status: 0 done, 1 no log, or it is damaged (what is before the damage is printed), "
		"2 wrong arguments.\n",
		to);
}

static bool
is_option(const char *argument, const char *letter, const char *name)
{
	return strcmp(argument, letter) == 0 || strcmp(argument, name) == 0;
}

int
main(int argc, char **argv)
{
	Options options = {0};

	for (int i = 1; i < argc; i++)
	{
		if (is_option(argv[i], "-h", "--help"))
		{
			print_usage(stdout);
			leave(0);
		}
		if (is_option(argv[i], "-V", "--version"))
		{
			puts("rusd_waldump " RUSD_VERSION_STRING);
			leave(0);
		}
		if (is_option(argv[i], "-j", "--json"))
			options.json = true;
		else if (is_option(argv[i], "-c", "--committed"))
			options.only_committed = true;
		else if (argv[i][0] != '-' && options.directory == NULL)
			options.directory = argv[i];
		else
		{
			fprintf(stderr, "rusd_waldump: %s \"%s\"\n",
					argv[i][0] == '-' ? "unknown option" : "one directory only, not also", argv[i]);
			return EXIT_USAGE;
		}
	}
	if (options.directory == NULL)
	{
		print_usage(stderr);
		return EXIT_USAGE;
	}
	leave(dump(&options));
}
