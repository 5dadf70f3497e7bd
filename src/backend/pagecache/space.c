/*
 * space.c
 *	  Which pages are free: allocation, death and reuse.
 *
 * Applier only.  A page is free, used (reached from the root being built) or dead (not reached from
 *it, but perhaps from one that somebody reads).  Dead pages wait in a queue, by death, until the
 *root of their death is published; then each is looked at once and either becomes free or goes into
 *the bucket of the highest pinned root that can see it.  When a root is no longer pinned, the pages
 *of its bucket are looked at again.  So the cost of a page is one look at its death and one for
 *each pin that held it, never a scan of all dead pages: a snapshot that is held for an hour costs
 *nothing per put.
 *
 * Why a bucket need not be looked at again while its root stays pinned: only a root below its death
 * can see a page, and a new pin is never below the newest published root.
 *
 * See README for the invariants [pagecache-1] to [pagecache-4].
 *
 * src/backend/pagecache/space.c
 */
#include "rusd.h"

#include "ipc/shmem.h"
#include "pagecache/checkpoint.h"
#include "pagecache/space.h"
#include "pagecache_int.h"

typedef struct DeadPage
{
	uint64_t page;
	uint64_t birth;
	uint64_t death;
} DeadPage;

typedef struct DeadList
{
	DeadPage *pages;
	uint64_t first; /* those before it are done */
	uint64_t count;
	uint64_t capacity;
} DeadList;

/* Dead pages that the reader of one root can see. */
typedef struct Bucket
{
	uint64_t root;
	DeadList dead;
} Bucket;

struct PageSpace
{
	Shm *shm;
	uint64_t root;           /* being built */
	uint64_t recovered_root; /* durable before the checkpointer has said so */
	Bitmap free;
	uint64_t *used; /* bitmap */
	uint64_t used_count;
	uint64_t taken; /* pages, ever */
	uint64_t end;   /* highest page that is not free + 1 */
	DeadList queue;
	uint64_t deaths; /* since the last reclaim */
	uint64_t reclaim_at;
	PinSet pins;
	Bucket *buckets; /* ascending by root */
	uint32_t bucket_count;
	uint32_t bucket_capacity;
};

/* A reclaim looks at all slots: so many deaths must be worth it. */
#define RECLAIM_DEATHS 128
#define RECLAIM_DEATHS_PER_SLOT 16

static void
dead_push(DeadList *list, DeadPage page)
{
	if (list->count == list->capacity)
	{
		/* Move what is left to the front if that is half of it or less, else grow. */
		if (list->first > list->capacity / 2)
		{
			memmove(list->pages, list->pages + list->first,
					(list->count - list->first) * sizeof(DeadPage));
			list->count -= list->first;
			list->first = 0;
		}
		else
		{
			uint64_t capacity = Max(list->capacity * 2, 64);
			DeadPage *pages = realloc(list->pages, capacity * sizeof(DeadPage));

			/* The applier cannot go on without remembering a page: PANIC, recovery finds it free.
			 */
			Check(pages != NULL);
			list->pages = pages;
			list->capacity = capacity;
		}
	}
	list->pages[list->count++] = page;
}

static void
dead_release(DeadList *list)
{
	free(list->pages);
	memset(list, 0, sizeof(*list));
}

Status
space_create(Shm *shm, uint64_t root, const uint64_t *used, uint64_t end, PageSpace **result)
{
	PageSpace *space;
	uint64_t frames = shm->layout.frame_count;
	Status status;

	if (used == NULL)
		end = 0;
	while (end > 0 && (used[(end - 1) / 64] >> ((end - 1) % 64) & 1) == 0)
		end--;
	if (end > frames)
		return RUSD_NO_MEMORY;
	space = calloc(1, sizeof(*space));
	if (space == NULL)
		return RUSD_NO_MEMORY;
	space->shm = shm;
	space->root = root + 1;
	space->recovered_root = root;
	space->end = end;
	space->reclaim_at = RECLAIM_DEATHS;
	space->used = calloc(frames / 64 + 1, sizeof(uint64_t));
	status = space->used == NULL ? RUSD_NO_MEMORY : bitmap_create(&space->free, frames);
	if (status == RUSD_OK)
		status = pinset_create(&space->pins, shm);
	if (status != RUSD_OK)
	{
		space_destroy(space);
		return status;
	}
	for (uint64_t page = 0; page < frames; page++)
	{
		if (page < end && (used[page / 64] >> (page % 64) & 1) != 0)
		{
			uint32_t state = PAGE_FREE;

			space->used[page / 64] |= UINT64_C(1) << (page % 64);
			space->used_count++;
			/* From here on the pager may load it. */
			atomic_compare_exchange_strong(&shm->page_meta[page].state, &state, PAGE_ABSENT);
		}
		else
			bitmap_add(&space->free, page);
	}
	*result = space;
	return RUSD_OK;
}

void
space_destroy(PageSpace *space)
{
	if (space == NULL)
		return;
	for (uint32_t i = 0; i < space->bucket_count; i++)
		dead_release(&space->buckets[i].dead);
	free(space->buckets);
	dead_release(&space->queue);
	pinset_destroy(&space->pins);
	bitmap_destroy(&space->free);
	free(space->used);
	free(space);
}

PageHeader *
space_allocate(PageSpace *space, PageKind kind)
{
	uint64_t page = bitmap_lowest(&space->free);
	PageHeader *header;
	PageMeta *meta;

	if (unlikely(page == PAGE_NONE))
	{
		space_reclaim(space);
		page = bitmap_lowest(&space->free);
		Check(page != PAGE_NONE); /* [pagecache-4] */
	}
	bitmap_remove(&space->free, page);
	space->taken++;
	atomic_store_explicit(&space->shm->positions->pages_taken, space->taken, memory_order_relaxed);
	space->used[page / 64] |= UINT64_C(1) << (page % 64);
	space->used_count++;
	space->end = Max(space->end, page + 1);

	meta = &space->shm->page_meta[page];
	header = (PageHeader *) (space->shm->frames + page * PAGE_BYTES);
	header->crc = 0;
	header->kind = (uint16_t) kind;
	header->used = 0;
	header->number = page;
	header->birth = space->root;
	atomic_store_explicit(&meta->birth, space->root, memory_order_relaxed);
	/* Readers find the page through the root, whose publication releases what is written until
	 * then. */
	atomic_store_explicit(&meta->state, PAGE_RESIDENT, memory_order_release);
	return header;
}

/*
 * Makes a page allocatable.  False: the pager is at this moment reading it (somebody asks for a
 * page that nothing reaches), so it must stay dead a little longer.
 */
static bool
make_free(PageSpace *space, uint64_t page)
{
	uint32_t state = atomic_load_explicit(&space->shm->page_meta[page].state, memory_order_acquire);

	if (state == PAGE_ABSENT)
		(void) atomic_compare_exchange_strong(&space->shm->page_meta[page].state, &state,
											  PAGE_FREE); /* pairs with pager_step's claim */
	if (state == PAGE_LOADING)
		return false;
	bitmap_add(&space->free, page);
	while (space->end > 0 && bitmap_has(&space->free, space->end - 1))
	{
		/* Whole words of free pages at once. */
		if (space->end % 64 == 0 && space->free.levels[0][space->end / 64 - 1] == UINT64_MAX)
			space->end -= 64;
		else
			space->end--;
	}
	return true;
}

void
space_free(PageSpace *space, uint64_t number, uint64_t birth)
{
	DeadPage dead = {.page = number, .birth = birth, .death = space->root};

	Check(number < space->shm->layout.frame_count);
	Check((space->used[number / 64] >> (number % 64) & 1) != 0); /* [pagecache-1] */
	space->used[number / 64] &= ~(UINT64_C(1) << (number % 64));
	space->used_count--;
	if (birth == space->root)
	{
		bool done = make_free(space, number);

		Check(done); /* it was never on disk, so it is not being read */
		return;
	}
	Check(birth < space->root);
	dead_push(&space->queue, dead);
	space->deaths++;
}

uint64_t
space_root(const PageSpace *space)
{
	return space->root;
}

void
space_published(PageSpace *space)
{
	space->root++;
	if (space->deaths >= space->reclaim_at)
		space_reclaim(space);
}

/* The bucket of root, made if there is none. */
static Bucket *
bucket_of(PageSpace *space, uint64_t root)
{
	uint32_t place = space->bucket_count;

	/* Nearly always the last one or a new one behind it. */
	while (place > 0 && space->buckets[place - 1].root > root)
		place--;
	if (place > 0 && space->buckets[place - 1].root == root)
		return &space->buckets[place - 1];
	if (space->bucket_count == space->bucket_capacity)
	{
		uint32_t capacity = Max(space->bucket_capacity * 2, 16);
		Bucket *buckets = realloc(space->buckets, capacity * sizeof(Bucket));

		Check(buckets != NULL);
		space->buckets = buckets;
		space->bucket_capacity = capacity;
	}
	memmove(&space->buckets[place + 1], &space->buckets[place],
			(space->bucket_count - place) * sizeof(Bucket));
	space->bucket_count++;
	memset(&space->buckets[place], 0, sizeof(Bucket));
	space->buckets[place].root = root;
	return &space->buckets[place];
}

/* Free, or into the bucket of whoever can still see it. */
static void
settle(PageSpace *space, DeadPage dead)
{
	uint64_t holder = pinset_holder(&space->pins, dead.death);

	if (holder != 0 && holder >= dead.birth)
		dead_push(&bucket_of(space, holder)->dead, dead);
	else if (!make_free(space, dead.page))
		dead_push(&bucket_of(space, 0)->dead, dead); /* no one pins root 0: looked at next time */
}

/* Looks again at the pages of roots that are pinned no more. */
static void
settle_buckets(PageSpace *space)
{
	uint32_t kept = 0;
	DeadList loose = {0};

	for (uint32_t i = 0; i < space->bucket_count; i++)
	{
		Bucket *bucket = &space->buckets[i];

		if (pinset_has(&space->pins, bucket->root))
		{
			space->buckets[kept++] = *bucket;
			continue;
		}
		for (uint64_t j = bucket->dead.first; j < bucket->dead.count; j++)
			dead_push(&loose, bucket->dead.pages[j]);
		dead_release(&bucket->dead);
	}
	space->bucket_count = kept;
	for (uint64_t j = 0; j < loose.count; j++)
		settle(space, loose.pages[j]);
	dead_release(&loose);
}

void
space_reclaim(PageSpace *space)
{
	const ShmPositions *positions = space->shm->positions;
	const CheckpointRoot *handed = space->shm->checkpoint_root;
	PinSet *pins = &space->pins;
	uint64_t durable;

	space->deaths = 0;
	/*
	 * Pairs with the fence in snapshot_pin: either we see the pin, or its owner sees the root that
	 * we have published and does not use the older one.  [pagecache-2]
	 */
	atomic_thread_fence(memory_order_seq_cst);
	pinset_read(pins, space->shm);
	/* [pagecache-3]: the last checkpoint, and the one that may be under way. */
	durable = atomic_load_explicit(&positions->durable_root, memory_order_acquire);
	pinset_add(pins, Max(durable, space->recovered_root));
	if (atomic_load_explicit(&handed->root_given, memory_order_relaxed) != 0)
		pinset_add(pins, handed->root.number);
	pinset_sort(pins);
	space->reclaim_at = RECLAIM_DEATHS + (uint64_t) RECLAIM_DEATHS_PER_SLOT * pins->slots_seen;

	settle_buckets(space);
	while (space->queue.first < space->queue.count)
	{
		DeadPage dead = space->queue.pages[space->queue.first];

		/* The root of its death must be published, or new readers can still come to it. */
		if (dead.death >= space->root || dead.death > pins->results_floor)
			break;
		space->queue.first++;
		settle(space, dead);
	}
	if (space->queue.first == space->queue.count)
		space->queue.first = space->queue.count = 0;
}

bool
space_is_pinned(PageSpace *space)
{
	/* Pairs with the fence in snapshot_pin, as in space_reclaim. */
	atomic_thread_fence(memory_order_seq_cst);
	pinset_read(&space->pins, space->shm);
	return space->pins.count > 0 || space->pins.results_floor != UINT64_MAX;
}

bool
space_empty_frames(Shm *shm)
{
	bool done = true;

	for (uint64_t page = 0; page < shm->layout.frame_count; page++)
	{
		_Atomic uint32_t *place = &shm->page_meta[page].state;
		uint32_t state = atomic_load_explicit(place, memory_order_acquire);

		if (state == PAGE_ABSENT)
			(void) atomic_compare_exchange_strong(place, &state, PAGE_FREE);
		if (state == PAGE_LOADING)
			done = false;
		else if (state != PAGE_FREE)
			atomic_store_explicit(place, PAGE_FREE, memory_order_relaxed);
	}
	return done;
}

uint64_t
space_pages_end(const PageSpace *space)
{
	return space->end;
}

uint64_t
space_pages_used(const PageSpace *space)
{
	return space->used_count;
}

uint64_t
space_frames_free(const PageSpace *space)
{
	return space->free.members;
}

uint64_t
space_pages_dead(const PageSpace *space)
{
	uint64_t dead = space->queue.count - space->queue.first;

	for (uint32_t i = 0; i < space->bucket_count; i++)
		dead += space->buckets[i].dead.count - space->buckets[i].dead.first;
	return dead;
}

uint64_t
space_lowest_free(const PageSpace *space)
{
	return bitmap_lowest(&space->free);
}

uint64_t
space_copy_used(PageSpace *space, uint64_t *bitmap)
{
	uint64_t words = space->end / 64 + 1;

	memcpy(bitmap, space->used,
		   Min(words, space->shm->layout.frame_count / 64 + 1) * sizeof(uint64_t));
	return space->end;
}
