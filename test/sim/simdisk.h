/*
 * simdisk.h
 *	  A disk that behaves as badly as a disk may, as FileOps.
 *
 * What was written and not synced is kept or lost at a power cut sector by sector (512 bytes), in any combination; names made, changed and
 * removed without a sync of the folder likewise.  It can fill up, fail, and lose its power in the middle of any call; or the process dies in it.  It keeps time: a clock goes on
 * with each call.  All it does follows from its seed.
 *
 * Memory only; one thread.
 *
 * test/sim/simdisk.h
 */
#ifndef SIMDISK_H
#define SIMDISK_H

#include "port/clock.h"
#include "port/fs.h"
#include "simrandom.h"

#define SIM_SECTOR 512

typedef struct SimInode
{
	uint8_t *live;    /* what reads see */
	uint8_t *durable; /* what is on the platter */
	uint8_t *dirty;   /* one byte a sector: live may differ from durable */
	uint64_t live_size;
	uint64_t durable_size;
	uint64_t capacity;
	unsigned opened; /* handles */
	bool unsynced;
	uint64_t dirty_begin; /* sectors outside of these are not dirty */
	uint64_t dirty_end;
} SimInode;

typedef struct SimName
{
	char name[64];
	int inode;
} SimName;

typedef struct SimNames
{
	SimName *names;
	size_t count;
	size_t capacity;
} SimNames;

/* A change of names that is not durable yet. */
typedef struct SimChange
{
	char from[64]; /* removed, if not empty */
	char to[64];   /* put in place, if not empty */
	int inode;
} SimChange;

typedef struct SimDisk
{
	FileOps ops; /* first: a FileOps * is a SimDisk * */
	ClockOps clock;
	uint64_t now_ns;
	SimRandom random;
	SimInode *inodes;
	size_t inode_count;
	SimNames live;
	SimNames durable;
	SimChange *changes;
	size_t change_count;
	size_t change_capacity;
	int *handles; /* inode of each, -1: free */
	size_t handle_count;
	/* set by the test */
	uint64_t room; /* bytes that all files together may have */
	uint64_t
		power_left;   /* calls that change something before the power is cut; UINT64_MAX: enough */
	bool cut_is_kill; /* what comes then is the death of the process: nothing is lost by it */
	uint64_t syncs_left; /* syncs before one fails (and all after it) */
	uint64_t stall_ns;   /* what a sync takes */
	/* told */
	bool is_cut; /* the power is off: every call fails until sim_disk_power_on */
	uint64_t writes;
	uint64_t syncs;
} SimDisk;

extern SimDisk *sim_disk_create(uint64_t seed);
extern void sim_disk_destroy(SimDisk *disk);
/* The same content, of both kinds, with no handle open. */
extern SimDisk *sim_disk_copy(const SimDisk *disk, uint64_t seed);
/* All processes die: handles are closed; nothing is lost, but what was not synced still is not. */
extern void sim_disk_kill(SimDisk *disk);
/* The power fails and comes back: what was not synced is there or not. */
extern void sim_disk_power_cut(SimDisk *disk);

/* Bytes that all files together take. */
extern uint64_t sim_disk_used(const SimDisk *disk);

/* For tests that damage what is stored: both kinds of content of a file, or NULL. */
extern SimInode *sim_disk_inode(SimDisk *disk, const char *name);

#endif /* SIMDISK_H */
