/*
 * space.h
 *	  Which pages are free: allocation, death, reuse, and the frames that are left.  Applier only.
 *
 * A page born at root b that died at root d (the first root that does not reach it) is reused when
 *no pinned root r and no durable checkpoint r has b <= r < d: never merely "older than the oldest
 *reader", so a slow reader or a long checkpoint holds only what it can see.
 *
 * src/include/pagecache/space.h
 */
#ifndef PAGECACHE_SPACE_H
#define PAGECACHE_SPACE_H

#include "pagecache/page.h"

typedef struct PageSpace PageSpace;

/*
 * root: number of the recovered root (0: a new store); used: bitmap of its pages (NULL: none); end:
 * pages it covers.  The root being built is root + 1. RUSD_NO_MEMORY: there are fewer frames than
 * pages, or no memory.
 */
extern Status space_create(Shm *shm, uint64_t root, const uint64_t *used, uint64_t end,
						   PageSpace **result);
extern void space_destroy(PageSpace *space);

/*
 * A fresh frame, header filled in (birth = the root being built), the lowest number that may be
 * reused.  Never fails within what the applier has made sure of (store_frames_needed): Check.
 */
extern PageHeader *space_allocate(PageSpace *space, PageKind kind);
/* The page is not reached from the root being built.  One that was born in it is free at once. */
extern void space_free(PageSpace *space, uint64_t number, uint64_t birth);
/* Number of the root being built. */
extern uint64_t space_root(const PageSpace *space);
/* The root being built has been published (shm_root_write): the next one begins.  Reclaims where
 * enough pages have died. */
extern void space_published(PageSpace *space);
/* Takes pages back whose readers are gone: looks at the pins of all slots and at durable_root.  For
 * when free frames run short; space_published does it at times. */
extern void space_reclaim(PageSpace *space);

/* Does any process hold a root or a result? */
extern bool space_is_pinned(PageSpace *space);
/*
 * All frames become free, as in a new cache: for a store of other pages, while nobody holds a root or can get
 * one.  False: the pager is loading some of them, look again.
 */
extern bool space_empty_frames(Shm *shm);

extern uint64_t space_pages_end(const PageSpace *space);  /* highest page allocated + 1 */
extern uint64_t space_pages_used(const PageSpace *space); /* reached from the root being built */
extern uint64_t space_frames_free(const PageSpace *space);
/* Dead and not reused yet: what a checkpoint, or the end of a reader, can still give back. */
extern uint64_t space_pages_dead(const PageSpace *space);
/* The page that space_allocate would take; PAGE_NONE: none. */
extern uint64_t space_lowest_free(const PageSpace *space);
/*
 * Bitmap of the pages that the last published root reaches, for the checkpointer: into
 * shm->checkpoint_bitmap.  Only right after space_published, before anything is allocated or freed.
 * Returns how many bits it has.
 */
extern uint64_t space_copy_used(PageSpace *space, uint64_t *bitmap);

#endif /* PAGECACHE_SPACE_H */
