/*
 * pagecache_int.h
 *	  What the files of pagecache/ share.
 *
 * src/backend/pagecache/pagecache_int.h
 */
#ifndef PAGECACHE_INT_H
#define PAGECACHE_INT_H

#include "pagecache/checkpoint.h"
#include "pagecache/page.h"
#include "pagecache/space.h"

/* ---- bitmap.c: a set of page numbers whose lowest member is found in a few steps
 * ------------------- */
#define BITMAP_LEVELS 6 /* 64^6 pages are more than anyone has */

/* Bit n of level 0: n is a member; bit n of level k + 1: word n of level k is not 0. */
typedef struct Bitmap
{
	uint64_t *levels[BITMAP_LEVELS];
	int level_count;
	uint64_t size;
	uint64_t members;
} Bitmap;

extern Status bitmap_create(Bitmap *bitmap, uint64_t size);
extern void bitmap_destroy(Bitmap *bitmap);
extern void bitmap_add(Bitmap *bitmap, uint64_t member);
extern void bitmap_remove(Bitmap *bitmap, uint64_t member);
/* PAGE_NONE: there is none. */
extern uint64_t bitmap_lowest(const Bitmap *bitmap);

static inline bool
bitmap_has(const Bitmap *bitmap, uint64_t member)
{
	return (bitmap->levels[0][member / 64] >> (member % 64) & 1) != 0;
}

/* ---- pinset.c: the roots that somebody may be reading
 * --------------------------------------------- */
typedef struct PinSet
{
	uint64_t *roots; /* ascending, no duplicates */
	uint32_t count;
	uint32_t capacity;
	uint32_t slots_seen;    /* that are in use: what looking costs */
	uint64_t results_floor; /* lowest root of a result pin: what died after it stays */
} PinSet;

extern Status pinset_create(PinSet *set, const Shm *shm);
extern void pinset_destroy(PinSet *set);
/* Reads the pins of all slots.  The caller's fence has gone before. */
extern void pinset_read(PinSet *set, const Shm *shm);
extern void pinset_add(PinSet *set, uint64_t root);
/* Sorts what was added.  Before pinset_holder. */
extern void pinset_sort(PinSet *set);
/* The highest pinned root below death; 0: none (root 0 has no pages). */
extern uint64_t pinset_holder(const PinSet *set, uint64_t death);
extern bool pinset_has(const PinSet *set, uint64_t root);

/* ---- checkpoint.c, control.c
 * ------------------------------------------------------------------------- */
#define CONTROL_FILE "control"
#define CONTROL_NEW_FILE "control.new"

/* Writes and syncs one of the two map files. */
extern Status map_write(FileOps *fs, uint64_t generation, uint32_t which, uint64_t root,
						const uint64_t *bitmap, uint64_t bits, uint32_t *crc);
/* Makes both files long enough for so many pages, contents kept.  0 or -errno. */
extern int64_t map_reserve(FileOps *fs, uint64_t generation, uint64_t bits);
/* Removes the files of that generation; it is none that counts.  0 or -errno. */
extern int data_files_remove(FileOps *fs, uint64_t generation);

#endif /* PAGECACHE_INT_H */
