/*
 * simdisk.c
 *	  A disk that behaves as badly as a disk may, as FileOps.
 *
 * test/sim/simdisk.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "simdisk.h"

static void install(SimDisk *disk);
static uint64_t clock_monotonic(const ClockOps *self);

/* ---- names ---- */

static SimName *
find_name(const SimNames *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
	{
		if (strcmp(names->names[i].name, name) == 0)
			return &names->names[i];
	}
	return NULL;
}

static void
put_name(SimNames *names, const char *name, int inode)
{
	SimName *place = find_name(names, name);

	if (place == NULL)
	{
		if (names->count == names->capacity)
		{
			names->capacity = names->capacity == 0 ? 16 : 2 * names->capacity;
			names->names = realloc(names->names, names->capacity * sizeof(SimName));
			Check(names->names != NULL);
		}
		place = &names->names[names->count++];
		(void) snprintf(place->name, sizeof(place->name), "%s", name);
	}
	place->inode = inode;
}

static void
drop_name(SimNames *names, const char *name)
{
	SimName *place = find_name(names, name);

	if (place != NULL)
		*place = names->names[--names->count];
}

static void
copy_names(SimNames *to, const SimNames *from)
{
	to->count = 0;
	for (size_t i = 0; i < from->count; i++)
		put_name(to, from->names[i].name, from->names[i].inode);
}

static void
apply_change(SimNames *names, const SimChange *change)
{
	SimName *from = find_name(names, change->from);

	if (from != NULL && (change->to[0] == '\0' || from->inode == change->inode))
		drop_name(names, change->from);
	if (change->to[0] != '\0')
		put_name(names, change->to, change->inode);
}

static void
add_change(SimDisk *disk, const char *from, const char *to, int inode)
{
	SimChange *change;

	if (disk->change_count == disk->change_capacity)
	{
		disk->change_capacity = disk->change_capacity == 0 ? 16 : 2 * disk->change_capacity;
		disk->changes = realloc(disk->changes, disk->change_capacity * sizeof(SimChange));
		Check(disk->changes != NULL);
	}
	change = &disk->changes[disk->change_count++];
	(void) snprintf(change->from, sizeof(change->from), "%s", from);
	(void) snprintf(change->to, sizeof(change->to), "%s", to);
	change->inode = inode;
	apply_change(&disk->live, change);
}

/* ---- content ---- */

static void
grow(SimInode *inode, uint64_t size)
{
	uint64_t capacity = AlignUp(Max(size, 2 * inode->capacity), 4096);

	if (size <= inode->capacity)
		return;
	inode->live = realloc(inode->live, capacity);
	inode->durable = realloc(inode->durable, capacity);
	inode->dirty = realloc(inode->dirty, capacity / SIM_SECTOR);
	Check(inode->live != NULL && inode->durable != NULL && inode->dirty != NULL);
	memset(inode->live + inode->capacity, 0, capacity - inode->capacity);
	memset(inode->durable + inode->capacity, 0, capacity - inode->capacity);
	memset(inode->dirty + inode->capacity / SIM_SECTOR, 0,
		   (capacity - inode->capacity) / SIM_SECTOR);
	inode->capacity = capacity;
}

static void
make_dirty(SimInode *inode, uint64_t begin, uint64_t end)
{
	if (begin >= end)
		return;
	memset(inode->dirty + begin, 1, end - begin);
	if (inode->dirty_begin >= inode->dirty_end)
		inode->dirty_begin = begin;
	inode->dirty_begin = Min(inode->dirty_begin, begin);
	inode->dirty_end = Max(inode->dirty_end, end);
	inode->unsynced = true;
}

static void
make_clean(SimInode *inode)
{
	if (inode->dirty_begin < inode->dirty_end)
		memset(inode->dirty + inode->dirty_begin, 0, inode->dirty_end - inode->dirty_begin);
	inode->dirty_begin = inode->dirty_end = 0;
	inode->unsynced = false;
}

static void
make_durable(SimInode *inode)
{
	if (!inode->unsynced)
		return;
	for (uint64_t sector = inode->dirty_begin; sector < inode->dirty_end; sector++)
	{
		if (inode->dirty[sector])
			memcpy(inode->durable + sector * SIM_SECTOR, inode->live + sector * SIM_SECTOR,
				   SIM_SECTOR);
	}
	inode->durable_size = inode->live_size;
	make_clean(inode);
}

static bool
is_named(const SimNames *names, int inode)
{
	for (size_t i = 0; i < names->count; i++)
	{
		if (names->names[i].inode == inode)
			return true;
	}
	return false;
}

/* A file takes room while a name or a handle keeps it. */
uint64_t
sim_disk_used(const SimDisk *disk)
{
	uint64_t used = 0;

	for (size_t i = 0; i < disk->inode_count; i++)
	{
		if (disk->inodes[i].opened > 0 || is_named(&disk->live, (int) i))
			used += AlignUp(disk->inodes[i].live_size, SIM_SECTOR);
	}
	return used;
}

static uint64_t
room_left(const SimDisk *disk)
{
	uint64_t used = disk->room == UINT64_MAX ? 0 : sim_disk_used(disk);

	return used >= disk->room ? 0 : disk->room - used;
}

/* ---- calls ---- */

/* Every call that changes something may be the one at which the power fails. */
static bool
power_fails(SimDisk *disk)
{
	disk->now_ns += 1000;
	if (!disk->is_cut && disk->power_left != UINT64_MAX && disk->power_left-- == 0)
		disk->is_cut = true;
	return disk->is_cut;
}

/* One that nothing leads to any more is taken again, for its memory. */
static int
new_inode(SimDisk *disk)
{
	for (size_t i = 0; i < disk->inode_count; i++)
	{
		SimInode *inode = &disk->inodes[i];
		bool used = inode->opened > 0 || is_named(&disk->live, (int) i) ||
					is_named(&disk->durable, (int) i);

		for (size_t j = 0; j < disk->change_count && !used; j++)
			used = disk->changes[j].inode == (int) i;
		if (used)
			continue;
		make_clean(inode);
		if (inode->capacity > 0)
		{
			memset(inode->live, 0, inode->capacity);
			memset(inode->durable, 0, inode->capacity);
		}
		inode->live_size = inode->durable_size = 0;
		inode->unsynced = true;
		return (int) i;
	}
	disk->inodes = realloc(disk->inodes, (disk->inode_count + 1) * sizeof(SimInode));
	Check(disk->inodes != NULL);
	disk->inodes[disk->inode_count] = (SimInode){.unsynced = true};
	return (int) disk->inode_count++;
}

static int
sim_open(FileOps *self, const char *name, int flags)
{
	SimDisk *disk = (SimDisk *) self;
	SimName *found = find_name(&disk->live, name);
	SimInode *inode;
	int number;
	size_t handle = 0;

	if (disk->is_cut || ((flags & (O_CREAT | O_TRUNC)) != 0 && power_fails(disk)))
		return -EIO;
	if (found == NULL && (flags & O_CREAT) == 0)
		return -ENOENT;
	if (found != NULL && (flags & O_EXCL) != 0)
		return -EEXIST;
	if (found == NULL)
	{
		number = new_inode(disk);
		add_change(disk, "", name, number);
	}
	else
		number = found->inode;
	inode = &disk->inodes[number];
	if ((flags & O_TRUNC) != 0 && inode->live_size > 0)
	{
		memset(inode->live, 0, inode->capacity);
		make_dirty(inode, 0, inode->capacity / SIM_SECTOR);
		inode->live_size = 0;
	}
	while (handle < disk->handle_count && disk->handles[handle] >= 0)
		handle++;
	if (handle == disk->handle_count)
	{
		disk->handles = realloc(disk->handles, (disk->handle_count + 1) * sizeof(int));
		Check(disk->handles != NULL);
		disk->handle_count++;
	}
	disk->handles[handle] = number;
	inode->opened++;
	return (int) handle;
}

static void
sim_close(FileOps *self, int file)
{
	SimDisk *disk = (SimDisk *) self;

	Check(file >= 0 && (size_t) file < disk->handle_count && disk->handles[file] >= 0);
	disk->inodes[disk->handles[file]].opened--;
	disk->handles[file] = -1;
}

static SimInode *
inode_of(SimDisk *disk, int file)
{
	Check(file >= 0 && (size_t) file < disk->handle_count && disk->handles[file] >= 0);
	return &disk->inodes[disk->handles[file]];
}

static ssize_t
sim_pread(FileOps *self, int file, void *buffer, size_t length, uint64_t offset)
{
	SimDisk *disk = (SimDisk *) self;
	SimInode *inode = inode_of(disk, file);

	if (disk->is_cut)
		return -EIO;
	if (offset >= inode->live_size)
		return 0;
	length = Min(length, inode->live_size - offset);
	memcpy(buffer, inode->live + offset, length);
	return (ssize_t) length;
}

static ssize_t
sim_pwrite(FileOps *self, int file, const void *buffer, size_t length, uint64_t offset)
{
	SimDisk *disk = (SimDisk *) self;
	SimInode *inode = inode_of(disk, file);
	bool cut;

	if (disk->is_cut)
		return -EIO;
	if (offset + length > inode->live_size &&
		AlignUp(offset + length, SIM_SECTOR) - AlignUp(inode->live_size, SIM_SECTOR) >
			room_left(disk))
		return -ENOSPC;
	/* Cut in the middle: a part has become what could be written. */
	cut = power_fails(disk);
	if (cut)
		length = sim_below(&disk->random, length + 1);
	disk->writes++;
	if (length > 0)
	{
		grow(inode, offset + length);
		memcpy(inode->live + offset, buffer, length);
		make_dirty(inode, offset / SIM_SECTOR, (offset + length - 1) / SIM_SECTOR + 1);
		inode->live_size = Max(inode->live_size, offset + length);
	}
	return cut ? -EIO : (ssize_t) length;
}

static int
sim_sync(FileOps *self, int file)
{
	SimDisk *disk = (SimDisk *) self;
	SimInode *inode = inode_of(disk, file);

	if (disk->is_cut || power_fails(disk))
		return -EIO;
	disk->now_ns += disk->stall_ns;
	if (disk->syncs_left != UINT64_MAX && disk->syncs_left-- == 0)
	{
		disk->syncs_left = 0;
		return -EIO;
	}
	disk->syncs++;
	make_durable(inode);
	return 0;
}

static int64_t
sim_size(FileOps *self, int file)
{
	SimDisk *disk = (SimDisk *) self;

	return disk->is_cut ? -EIO : (int64_t) inode_of(disk, file)->live_size;
}

static int
sim_truncate(FileOps *self, int file, uint64_t length)
{
	SimDisk *disk = (SimDisk *) self;
	SimInode *inode = inode_of(disk, file);

	if (disk->is_cut || power_fails(disk))
		return -EIO;
	grow(inode, length);
	if (length < inode->live_size)
	{
		memset(inode->live + length, 0, inode->live_size - length);
		make_dirty(inode, length / SIM_SECTOR, AlignUp(inode->live_size, SIM_SECTOR) / SIM_SECTOR);
	}
	inode->live_size = length;
	inode->unsynced = true;
	return 0;
}

static int
sim_rename(FileOps *self, const char *from, const char *to)
{
	SimDisk *disk = (SimDisk *) self;
	SimName *found = find_name(&disk->live, from);

	if (disk->is_cut || power_fails(disk))
		return -EIO;
	if (found == NULL)
		return -ENOENT;
	add_change(disk, from, to, found->inode);
	return 0;
}

static int
sim_unlink(FileOps *self, const char *name)
{
	SimDisk *disk = (SimDisk *) self;
	SimName *found = find_name(&disk->live, name);

	if (disk->is_cut || power_fails(disk))
		return -EIO;
	if (found == NULL)
		return -ENOENT;
	add_change(disk, name, "", found->inode);
	return 0;
}

static bool
is_in(const char *folder, const char *name)
{
	size_t length = strlen(folder);

	if (strcmp(folder, ".") == 0)
		return strchr(name, '/') == NULL;
	return strncmp(name, folder, length) == 0 && name[length] == '/';
}

/* Folders have no content of their own: they are there, and what matters is what is in them. */
static int
sim_mkdir(FileOps *self, const char *name)
{
	SimDisk *disk = (SimDisk *) self;

	(void) name;
	return disk->is_cut || power_fails(disk) ? -EIO : 0;
}

/* Its names, and what was changed before that anywhere: journals keep the order. */
static int
sim_sync_dir(FileOps *self, const char *name)
{
	SimDisk *disk = (SimDisk *) self;
	size_t done = 0;

	if (disk->is_cut || power_fails(disk))
		return -EIO;
	disk->now_ns += disk->stall_ns;
	for (size_t i = 0; i < disk->change_count; i++)
	{
		const SimChange *change = &disk->changes[i];

		if ((change->from[0] != '\0' && is_in(name, change->from)) ||
			(change->to[0] != '\0' && is_in(name, change->to)))
			done = i + 1;
	}
	for (size_t i = 0; i < done; i++)
		apply_change(&disk->durable, &disk->changes[i]);
	disk->change_count -= done;
	if (done > 0)
		memmove(disk->changes, disk->changes + done, disk->change_count * sizeof(SimChange));
	return 0;
}

static int
sim_list(FileOps *self, const char *name, void (*visit)(void *arg, const char *entry), void *arg)
{
	SimDisk *disk = (SimDisk *) self;

	if (disk->is_cut)
		return -EIO;
	for (size_t i = 0; i < disk->live.count; i++)
	{
		const char *entry = disk->live.names[i].name;

		if (is_in(name, entry))
			visit(arg, strcmp(name, ".") == 0 ? entry : entry + strlen(name) + 1);
	}
	return 0;
}

/* ---- life ---- */

static void
install(SimDisk *disk)
{
	disk->ops = (FileOps){
		.open = sim_open,
		.close = sim_close,
		.pread = sim_pread,
		.pwrite = sim_pwrite,
		.sync = sim_sync,
		.size = sim_size,
		.truncate = sim_truncate,
		.rename = sim_rename,
		.unlink = sim_unlink,
		.mkdir = sim_mkdir,
		.sync_dir = sim_sync_dir,
		.list = sim_list,
	};
	disk->clock = (ClockOps){.monotonic_ns = clock_monotonic, .wall_ns = clock_monotonic};
	disk->room = UINT64_MAX;
	disk->power_left = UINT64_MAX;
	disk->syncs_left = UINT64_MAX;
}

static uint64_t
clock_monotonic(const ClockOps *self)
{
	const SimDisk *disk =
		(const SimDisk *) (const void *) ((const char *) self - offsetof(SimDisk, clock));

	return disk->now_ns;
}

SimDisk *
sim_disk_create(uint64_t seed)
{
	SimDisk *disk = calloc(1, sizeof(*disk));

	Check(disk != NULL);
	disk->random.state = seed;
	disk->now_ns = 1;
	install(disk);
	return disk;
}

void
sim_disk_destroy(SimDisk *disk)
{
	for (size_t i = 0; i < disk->inode_count; i++)
	{
		free(disk->inodes[i].live);
		free(disk->inodes[i].durable);
		free(disk->inodes[i].dirty);
	}
	free(disk->inodes);
	free(disk->live.names);
	free(disk->durable.names);
	free(disk->changes);
	free(disk->handles);
	free(disk);
}

SimDisk *
sim_disk_copy(const SimDisk *disk, uint64_t seed)
{
	SimDisk *copy = sim_disk_create(seed);

	copy->now_ns = disk->now_ns;
	copy_names(&copy->live, &disk->live);
	copy_names(&copy->durable, &disk->durable);
	copy->inodes = calloc(disk->inode_count + 1, sizeof(SimInode));
	Check(copy->inodes != NULL);
	copy->inode_count = disk->inode_count;
	for (size_t i = 0; i < disk->inode_count; i++)
	{
		const SimInode *from = &disk->inodes[i];
		SimInode *to = &copy->inodes[i];

		grow(to, from->capacity);
		if (from->capacity > 0)
		{
			memcpy(to->live, from->live, from->capacity);
			memcpy(to->durable, from->durable, from->capacity);
			memcpy(to->dirty, from->dirty, from->capacity / SIM_SECTOR);
		}
		to->live_size = from->live_size;
		to->durable_size = from->durable_size;
		to->unsynced = from->unsynced;
		to->dirty_begin = from->dirty_begin;
		to->dirty_end = from->dirty_end;
	}
	copy->changes = calloc(disk->change_count + 1, sizeof(SimChange));
	Check(copy->changes != NULL);
	copy->change_count = copy->change_capacity = disk->change_count;
	if (disk->change_count > 0)
		memcpy(copy->changes, disk->changes, disk->change_count * sizeof(SimChange));
	return copy;
}

void
sim_disk_kill(SimDisk *disk)
{
	for (size_t i = 0; i < disk->handle_count; i++)
	{
		if (disk->handles[i] >= 0)
			sim_close(&disk->ops, (int) i);
	}
	disk->is_cut = false;
	disk->cut_is_kill = false;
	disk->power_left = UINT64_MAX;
	disk->syncs_left = UINT64_MAX;
}

/* Which unsynced sectors reach the platter: all, none, those of a random share, all but one, only
 * one. */
static void
lose_sectors(SimDisk *disk, SimInode *inode)
{
	static const unsigned shares[] = {0, 100, 50, 90, 10};
	unsigned share = shares[sim_below(&disk->random, lengthof(shares))];
	uint64_t size = Max(inode->live_size, inode->durable_size);
	bool new_size = sim_percent(&disk->random, 50);

	for (uint64_t i = inode->dirty_begin; i < inode->dirty_end; i++)
	{
		uint64_t at = i * SIM_SECTOR;

		if (!inode->dirty[i])
			continue;
		if (sim_percent(&disk->random, share))
			memcpy(inode->durable + at, inode->live + at, SIM_SECTOR);
		else
			memcpy(inode->live + at, inode->durable + at, SIM_SECTOR);
	}
	if (new_size)
		inode->durable_size = inode->live_size;
	/* What is written behind the end is not there when the file grows over it again. */
	size = Min(AlignUp(size, SIM_SECTOR), inode->capacity);
	if (inode->durable_size < size)
	{
		memset(inode->durable + inode->durable_size, 0, size - inode->durable_size);
		memset(inode->live + inode->durable_size, 0, size - inode->durable_size);
	}
	inode->live_size = inode->durable_size;
	make_clean(inode);
}

void
sim_disk_power_cut(SimDisk *disk)
{
	/* Mostly names change in order, as journals do it; sometimes in none. */
	bool in_order = sim_percent(&disk->random, 70);
	size_t kept = sim_below(&disk->random, disk->change_count + 1);

	sim_disk_kill(disk);
	for (size_t i = 0; i < disk->change_count; i++)
	{
		if (in_order ? i < kept : sim_percent(&disk->random, 50))
			apply_change(&disk->durable, &disk->changes[i]);
	}
	disk->change_count = 0;
	copy_names(&disk->live, &disk->durable);
	for (size_t i = 0; i < disk->inode_count; i++)
	{
		if (disk->inodes[i].unsynced)
			lose_sectors(disk, &disk->inodes[i]);
	}
}

SimInode *
sim_disk_inode(SimDisk *disk, const char *name)
{
	SimName *found = find_name(&disk->live, name);

	return found == NULL ? NULL : &disk->inodes[found->inode];
}
