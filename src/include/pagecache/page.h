/*
 * page.h
 *	  What all pages have in common, and how a reader comes to one.
 *
 * A page's number is its place in the data file and, until there is eviction, its frame in the cache: page n is at
 * frames + n * PAGE_BYTES.  Pages are immutable once published; a changed page gets a new number.  The births make lost, stale
 * and misdirected writes visible: a page carries its number and birth, every pointer to it carries the birth too.
 *
 * src/include/pagecache/page.h
 */
#ifndef PAGECACHE_PAGE_H
#define PAGECACHE_PAGE_H

#include "ipc/shmem.h"

#define PAGE_BYTES 8192
#define PAGE_NONE UINT64_MAX

typedef enum PageKind
{
	PAGE_LEAF = 1,
	PAGE_INNER,
	PAGE_OVERFLOW,
	PAGE_FREEMAP				/* written by checkpoints: which pages are in use */
} PageKind;

typedef struct PageHeader
{
	uint32_t	crc;			/* of the other bytes of the page; set when it is written to disk, 0 in memory */
	uint16_t	kind;			/* PageKind */
	uint16_t	used;			/* by kind */
	uint64_t	number;
	uint64_t	birth;			/* number of the root in which it first appeared */
} PageHeader;

StaticAssert(sizeof(PageHeader) == 24, "disk format");

typedef enum PageState
{
	PAGE_ABSENT,				/* on disk only */
	PAGE_RESIDENT,
	PAGE_BROKEN					/* the pager found it damaged or could not read it */
} PageState;

/* One for each frame: birth written by applier (or pager, before state); state by the same. */
typedef struct PageMeta
{
	_Atomic uint64_t birth;
	_Atomic uint32_t state;		/* PageState */
} PageMeta;

/*
 * How a process reads pages.  wait is called after the page has been asked of the pager (page_wanted set, marked, pager woken): it sleeps until
 * something has happened.  The pager's own and the simulator's reads bring another wait.  area NULL with wait NULL: pages must be resident.
 */
typedef struct PageAccess PageAccess;
struct PageAccess
{
	Shm		   *shm;
	BackendArea *area;			/* where this process says what it wants */
	uint32_t	slot;
	Status		(*wait) (PageAccess *access);	/* RUSD_OK: look again; else give up with that */
	void	   *arg;
};

/* Slow path of page_get.  RUSD_DAMAGED: not readable; the answer must not be guessed. */
extern Status page_fault(PageAccess *access, uint64_t number, uint64_t birth, const PageHeader **page);

/*
 * The page with that number and birth; valid as long as the caller's snapshot (or the applier's own tree) holds it.  Any process.
 */
static inline Status
page_get(PageAccess *access, uint64_t number, uint64_t birth, const PageHeader **page)
{
	const PageMeta *meta;

	if (unlikely(number >= access->shm->layout.frame_count))
		return RUSD_DAMAGED;
	meta = &access->shm->page_meta[number];
	if (likely(atomic_load_explicit(&meta->state, memory_order_acquire) == PAGE_RESIDENT &&
			   atomic_load_explicit(&meta->birth, memory_order_relaxed) == birth))
	{
		*page = (const PageHeader *) (access->shm->frames + number * PAGE_BYTES);
		return RUSD_OK;
	}
	return page_fault(access, number, birth, page);
}

/* ---- pager ---------------------------------------------------------------------------------------- */
#include "port/fs.h"

/*
 * Reads every page that is asked for in the page marks; wakes those who asked.  RUSD_AGAIN: nothing to do.  A page that cannot be read or is damaged becomes
 * PAGE_BROKEN and is logged; its readers get RUSD_DAMAGED.  file is the data file.
 */
extern Status pager_step(Shm *shm, FileOps *fs, int file);

#endif							/* PAGECACHE_PAGE_H */
