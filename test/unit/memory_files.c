/*
 * memory_files.c
 *	  Files in memory that can crash.
 *
 * Each file has its bytes as the kernel would show them and its bytes as they are on the disk; what
 * was done between two syncs is kept as a list, of which a crash takes any part, sector by sector.
 *
 * test/unit/memory_files.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "memory_files.h"
#include "pages_fixture.h"

#include "cmocka_all.h"

#define NODES 32
#define NAMES 16
#define SECTOR 512

typedef struct Pending
{
	bool is_truncate;
	uint64_t offset; /* or the new length */
	uint64_t length;
	uint8_t *bytes;
} Pending;

typedef struct Content
{
	uint8_t *bytes;
	uint64_t length;
	uint64_t room; /* of bytes */
} Content;

typedef struct Node
{
	Content now;
	Content disk;
	Pending *pending;
	uint32_t pending_count;
} Node;

typedef struct Name
{
	char text[32];
	int node; /* -1: free */
} Name;

#define NAME_CHANGES 64

struct MemoryFiles
{
	FileOps ops;
	Random random;
	Node nodes[NODES];
	int node_count;
	Name names[NAMES];
	/* The directory after each change since its last sync; [0]: as it is on disk. */
	Name history[NAME_CHANGES][NAMES];
	uint32_t history_count;
	uint64_t operations;
	uint64_t fail_at;
	uint64_t limit;
	void (*on_read)(void *arg);
	void *on_read_arg;
};

static MemoryFiles *
files_of(FileOps *self)
{
	return (MemoryFiles *) self;
}

static bool
fails(MemoryFiles *files)
{
	files->operations++;
	return files->fail_at != 0 && files->operations >= files->fail_at;
}

static void
content_resize(Content *content, uint64_t length)
{
	/* In large steps: a crash puts what it keeps back sector by sector. */
	if (length > content->room)
	{
		content->room = Max(length, 2 * content->room);
		content->bytes = realloc(content->bytes, content->room);
		assert_non_null(content->bytes);
	}
	if (length > content->length)
		memset(content->bytes + content->length, 0, length - content->length);
	content->length = length;
}

static void
content_put(Content *content, const uint8_t *bytes, uint64_t length, uint64_t offset)
{
	if (offset + length > content->length)
		content_resize(content, offset + length);
	if (length > 0)
		memcpy(content->bytes + offset, bytes, length);
}

static Name *
find_name(MemoryFiles *files, const char *text)
{
	for (int i = 0; i < NAMES; i++)
	{
		if (files->names[i].node >= 0 && strcmp(files->names[i].text, text) == 0)
			return &files->names[i];
	}
	return NULL;
}

static void
names_changed(MemoryFiles *files)
{
	assert_true(files->history_count < NAME_CHANGES);
	memcpy(files->history[files->history_count++], files->names, sizeof(files->names));
}

static int
memory_open(FileOps *self, const char *name, int flags)
{
	MemoryFiles *files = files_of(self);
	Name *found = find_name(files, name);

	if (found == NULL)
	{
		if ((flags & O_CREAT) == 0)
			return -ENOENT;
		if (fails(files))
			return -EIO;
		assert_true(files->node_count < NODES);
		for (found = files->names; found->node >= 0; found++)
			assert_true(found < files->names + NAMES - 1);
		snprintf(found->text, sizeof(found->text), "%s", name);
		found->node = files->node_count++;
		names_changed(files);
	}
	else if ((flags & O_TRUNC) != 0)
		return files->ops.truncate(self, found->node, 0) < 0 ? -EIO : found->node;
	return found->node;
}

static void
memory_close(FileOps *self, int file)
{
	(void) self;
	(void) file;
}

static ssize_t
memory_pread(FileOps *self, int file, void *buffer, size_t length, uint64_t offset)
{
	MemoryFiles *files = files_of(self);
	const Content *content = &files->nodes[file].now;

	if (files->on_read != NULL)
		files->on_read(files->on_read_arg);
	if (offset >= content->length)
		return 0;
	length = Min(length, content->length - offset);
	memcpy(buffer, content->bytes + offset, length);
	return (ssize_t) length;
}

static Pending *
add_pending(Node *node)
{
	node->pending = realloc(node->pending, (node->pending_count + 1) * sizeof(Pending));
	assert_non_null(node->pending);
	memset(&node->pending[node->pending_count], 0, sizeof(Pending));
	return &node->pending[node->pending_count++];
}

uint64_t
memory_files_taken(const MemoryFiles *files)
{
	uint64_t sum = 0;

	for (int i = 0; i < files->node_count; i++)
		sum += files->nodes[i].now.length;
	return sum;
}

static ssize_t
memory_pwrite(FileOps *self, int file, const void *buffer, size_t length, uint64_t offset)
{
	MemoryFiles *files = files_of(self);
	Node *node = &files->nodes[file];
	uint64_t more = offset + length > node->now.length ? offset + length - node->now.length : 0;
	bool dies = fails(files);
	Pending *pending;

	if (dies && files->operations > files->fail_at)
		return -EIO;
	if (more > 0 && memory_files_taken(files) + more > files->limit)
		return -ENOSPC;
	/* A write during which the machine dies may have reached the disk too. */
	content_put(&node->now, buffer, length, offset);
	pending = add_pending(node);
	pending->offset = offset;
	pending->length = length;
	pending->bytes = malloc(length + 1);
	memcpy(pending->bytes, buffer, length);
	return dies ? -EIO : (ssize_t) length;
}

static void
forget_pending(Node *node)
{
	for (uint32_t i = 0; i < node->pending_count; i++)
		free(node->pending[i].bytes);
	free(node->pending);
	node->pending = NULL;
	node->pending_count = 0;
}

static int
memory_sync(FileOps *self, int file)
{
	MemoryFiles *files = files_of(self);
	Node *node = &files->nodes[file];

	if (fails(files))
		return -EIO;
	forget_pending(node);
	node->disk.length = 0;
	content_put(&node->disk, node->now.bytes, node->now.length, 0);
	return 0;
}

static int64_t
memory_size(FileOps *self, int file)
{
	return (int64_t) files_of(self)->nodes[file].now.length;
}

static int
memory_truncate(FileOps *self, int file, uint64_t length)
{
	MemoryFiles *files = files_of(self);
	Node *node = &files->nodes[file];
	Pending *pending;

	if (fails(files))
		return -EIO;
	content_resize(&node->now, length);
	pending = add_pending(node);
	pending->is_truncate = true;
	pending->offset = length;
	return 0;
}

static int
memory_rename(FileOps *self, const char *from, const char *to)
{
	MemoryFiles *files = files_of(self);
	Name *source = find_name(files, from);
	Name *target = find_name(files, to);

	if (source == NULL)
		return -ENOENT;
	if (fails(files))
		return -EIO;
	if (target != NULL)
		target->node = -1;
	snprintf(source->text, sizeof(source->text), "%s", to);
	names_changed(files);
	return 0;
}

static int
memory_unlink(FileOps *self, const char *name)
{
	MemoryFiles *files = files_of(self);
	Name *found = find_name(files, name);

	if (found == NULL)
		return -ENOENT;
	if (fails(files))
		return -EIO;
	found->node = -1;
	names_changed(files);
	return 0;
}

static int
memory_sync_dir(FileOps *self, const char *name)
{
	MemoryFiles *files = files_of(self);

	(void) name;
	if (fails(files))
		return -EIO;
	memcpy(files->history[0], files->names, sizeof(files->names));
	files->history_count = 1;
	return 0;
}

MemoryFiles *
memory_files_create(uint64_t seed)
{
	MemoryFiles *files = calloc(1, sizeof(*files));

	assert_non_null(files);
	files->ops = (FileOps){.open = memory_open,
						   .close = memory_close,
						   .pread = memory_pread,
						   .pwrite = memory_pwrite,
						   .sync = memory_sync,
						   .size = memory_size,
						   .truncate = memory_truncate,
						   .rename = memory_rename,
						   .unlink = memory_unlink,
						   .sync_dir = memory_sync_dir};
	files->random.state = seed;
	files->limit = UINT64_MAX;
	for (int i = 0; i < NAMES; i++)
		files->names[i].node = -1;
	memcpy(files->history[0], files->names, sizeof(files->names));
	files->history_count = 1;
	return files;
}

void
memory_files_destroy(MemoryFiles *files)
{
	for (int i = 0; i < files->node_count; i++)
	{
		forget_pending(&files->nodes[i]);
		free(files->nodes[i].now.bytes);
		free(files->nodes[i].disk.bytes);
	}
	free(files);
}

FileOps *
memory_files_ops(MemoryFiles *files)
{
	return &files->ops;
}

uint64_t
memory_files_operations(const MemoryFiles *files)
{
	return files->operations;
}

void
memory_files_fail_at(MemoryFiles *files, uint64_t operation)
{
	files->fail_at = operation;
}

void
memory_files_limit(MemoryFiles *files, uint64_t bytes)
{
	files->limit = bytes;
}

void
memory_files_on_read(MemoryFiles *files, void (*hook)(void *arg), void *arg)
{
	files->on_read = hook;
	files->on_read_arg = arg;
}

uint8_t *
memory_files_bytes(MemoryFiles *files, const char *name, uint64_t *length)
{
	Name *found = find_name(files, name);

	if (found == NULL)
		return NULL;
	*length = files->nodes[found->node].now.length;
	return files->nodes[found->node].now.bytes;
}

/* What of one write has reached the disk: any of its sectors. */
static void
keep_part(MemoryFiles *files, Node *node, const Pending *pending)
{
	uint64_t chance = random_below(&files->random, 4); /* none, all, or either for each sector */

	for (uint64_t done = 0; done < pending->length;)
	{
		uint64_t part = Min(pending->length - done, SECTOR - (pending->offset + done) % SECTOR);

		if (chance == 1 || (chance > 1 && random_below(&files->random, 2) == 0))
			content_put(&node->disk, pending->bytes + done, part, pending->offset + done);
		done += part;
	}
}

void
memory_files_crash(MemoryFiles *files)
{
	for (int i = 0; i < files->node_count; i++)
	{
		Node *node = &files->nodes[i];

		for (uint32_t j = 0; j < node->pending_count; j++)
		{
			const Pending *pending = &node->pending[j];

			if (!pending->is_truncate)
				keep_part(files, node, pending);
			else if (random_below(&files->random, 2) == 0)
				content_resize(&node->disk, pending->offset);
		}
		forget_pending(node);
		node->now.length = 0;
		content_put(&node->now, node->disk.bytes, node->disk.length, 0);
	}
	memcpy(files->names, files->history[random_below(&files->random, files->history_count)],
		   sizeof(files->names));
	memcpy(files->history[0], files->names, sizeof(files->names));
	files->history_count = 1;
	files->fail_at = 0;
	files->limit = UINT64_MAX;
}
