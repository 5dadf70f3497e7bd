/*
 * page.h
 *	  What all pages have in common, and how a reader comes to one.
 *
 * A page's number is its place in the data file and, until there is eviction, its frame in the
 * cache: page n is at frames + n * PAGE_BYTES.  Pages are immutable once published; a changed page
 * gets a new number.  The births make lost, stale and misdirected writes visible: a page carries its
 * number and birth, every pointer to it carries the birth too.
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
	PAGE_OVERFLOW
} PageKind;

typedef struct PageHeader
{
	uint32_t crc;  /* of the other bytes of the page; set when it is written to disk, 0 in memory */
	uint16_t kind; /* PageKind */
	uint16_t used; /* by kind */
	uint64_t number;
	uint64_t birth; /* number of the root in which it first appeared */
} PageHeader;

StaticAssert(sizeof(PageHeader) == 24, "disk format");

/*
 * Who may touch a frame follows from its state.  FREE, RESIDENT and BROKEN: the applier alone
 * writes it, and only after it took the page from the free ones. ABSENT: the first compare-and-swap
 * wins: to LOADING by the pager, which then writes the frame, or to FREE by the applier when it
 * takes the page back.  LOADING: the pager alone. So a page that somebody asks for in vain can
 * never be loaded over what the applier has put there.
 */
typedef enum PageState
{
	PAGE_FREE,    /* nothing to be read from disk */
	PAGE_ABSENT,  /* used by the recovered checkpoint, on disk only */
	PAGE_LOADING, /* the pager is reading it */
	PAGE_RESIDENT,
	PAGE_BROKEN /* the pager found it damaged or could not read it */
} PageState;

/* One for each frame: birth is written by applier or pager, before state and by the same rule. */
typedef struct PageMeta
{
	_Atomic uint64_t birth;
	_Atomic uint32_t state; /* PageState */
} PageMeta;

/*
 * How a process reads pages.  wait is called after the page has been asked of the pager
 * (page_wanted set, marked, pager woken): it sleeps until something has happened.  The pager's own
 * and the simulator's reads bring another wait.  area NULL with wait NULL: pages must be resident.
 */
typedef struct PageAccess PageAccess;
struct PageAccess
{
	Shm *shm;
	BackendArea *area; /* where this process says what it wants */
	uint32_t slot;
	Status (*wait)(PageAccess *access); /* RUSD_OK: look again; else give up with that */
	void *arg;
};

/* A wait for essential processes: sleeps on the slot's own latch for at most a tick and resets it.
 * The caller's loop must look at all its work afterwards. */
extern Status page_wait_latch(PageAccess *access);

/* Slow path of page_get.  RUSD_DAMAGED: not readable; the answer must not be guessed. */
extern Status page_fault(PageAccess *access, uint64_t number, uint64_t birth,
						 const PageHeader **page);

/*
 * The page with that number and birth; valid as long as the caller's snapshot (or the applier's own
 * tree) holds it.  Any process.
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

/* ---- pager
 * ---------------------------------------------------------------------------------------- */
#include "port/fs.h"

typedef bool (*PageIsSane)(const PageHeader *page);
typedef struct Pager Pager;

/*
 * is_sane (btree's tree_page_is_sane) looks at the inside of a page whose checksum, number and kind are
 * right: whoever gets the page relies on it.  The data file is made if it is new; whoever writes into
 * it makes its name durable.
 */
extern Status pager_create(Shm *shm, FileOps *fs, PageIsSane is_sane, Pager **result);
/*
 * Reads every page that is asked for in the page marks; wakes those who asked.  RUSD_AGAIN: nothing
 * to do.  A page that cannot be read or is damaged becomes PAGE_BROKEN and is logged; its readers
 * get RUSD_DAMAGED.  Goes over to the data file of another generation when positions->data_generation
 * says so.
 */
extern Status pager_step(Pager *pager);
extern void pager_destroy(Pager *pager);

/* Checksum as it stands on disk. */
extern uint32_t page_checksum(const PageHeader *page);
/* NULL, or what is wrong with a page as it stands on disk.  is_sane may be NULL. */
extern const char *page_defect(const PageHeader *page, uint64_t number, PageIsSane is_sane);

#endif /* PAGECACHE_PAGE_H */
