/*
 * page.c
 *	  How a page comes from the data file into its frame: the side that waits and the side that
 * reads.
 *
 * page_fault runs in any process; pager_step in the pager, which may block on the data file and on
 * nothing else.
 *
 * src/backend/pagecache/page.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "ipc/inject.h"
#include "ipc/shmem.h"
#include "pagecache/checkpoint.h"
#include "pagecache/page.h"
#include "port/crc32c.h"
#include "utils/log.h"

/* Pages of the same run in the file that are read together with the one asked for. */
#define READ_AHEAD 16
#define WAIT_TICK_MS 100

struct Pager
{
	Shm *shm;
	FileOps *fs;
	PageIsSane is_sane;
	int file; /* -1: it could not be opened */
	uint64_t generation;
};

Status
page_wait_latch(PageAccess *access)
{
	Latch *latch = &access->shm->latches[access->slot];

	(void) latch_wait(latch, WAIT_TICK_MS,
					  WAIT_EVENT_PAGE_WANTED); /* a time-out is a reason to look */
	latch_reset(latch);
	return RUSD_OK;
}

/* Says what we want and wakes the pager.  Said again each time round: marks can be spoilt by a
 * backend. */
static void
ask_pager(PageAccess *access, uint64_t number)
{
	atomic_store_explicit(&access->area->page_wanted, number + 1, memory_order_relaxed);
	marks_set(access->shm->page_marks, access->slot);
	latch_set(&access->shm->latches[PROC_PAGER]);
}

Status
page_fault(PageAccess *access, uint64_t number, uint64_t birth, const PageHeader **page)
{
	PageMeta *meta;
	bool asked = false;
	Status status;

	if (number >= access->shm->layout.frame_count)
		return RUSD_DAMAGED;
	meta = &access->shm->page_meta[number];
	for (;;)
	{
		switch (atomic_load_explicit(&meta->state, memory_order_acquire))
		{
			case PAGE_RESIDENT:
				/* Another birth: a lost or misdirected write, or a reader without a pin. */
				status = atomic_load_explicit(&meta->birth, memory_order_relaxed) == birth
							 ? RUSD_OK
							 : RUSD_DAMAGED;
				*page = (const PageHeader *) (access->shm->frames + number * PAGE_BYTES);
				break;
			case PAGE_ABSENT:
			case PAGE_LOADING:
				status = RUSD_AGAIN;
				break;
			default: /* free, or found broken */
				status = RUSD_DAMAGED;
				break;
		}
		if (status == RUSD_AGAIN)
		{
			if (access->wait == NULL)
				return RUSD_DAMAGED;
			ask_pager(access, number);
			asked = true;
			status = access->wait(access);
			if (status == RUSD_OK)
				continue;
		}
		if (asked)
			atomic_store_explicit(&access->area->page_wanted, 0, memory_order_relaxed);
		return status;
	}
}

uint32_t
page_checksum(const PageHeader *page)
{
	return crc32c(0, (const uint8_t *) page + sizeof(page->crc), PAGE_BYTES - sizeof(page->crc));
}

const char *
page_defect(const PageHeader *page, uint64_t number, PageIsSane is_sane)
{
	if (page->crc != page_checksum(page))
		return "checksum does not match";
	if (page->number != number)
		return "the page belongs elsewhere in the file";
	if (page->kind < PAGE_LEAF || page->kind > PAGE_OVERFLOW)
		return "unknown kind of page";
	if (is_sane != NULL && !is_sane(page))
		return "the inside of the page does not hang together";
	return NULL;
}

/* Claims the absent pages from first on, at most READ_AHEAD: nobody else touches their frames now.
 */
static uint32_t
claim_run(Shm *shm, uint64_t first)
{
	uint32_t count = 0;

	while (count < READ_AHEAD && first + count < shm->layout.frame_count)
	{
		uint32_t state = PAGE_ABSENT;

		if (!atomic_compare_exchange_strong(&shm->page_meta[first + count].state, &state,
											PAGE_LOADING))
			break;
		count++;
	}
	return count;
}

static int
open_generation(Pager *pager, uint64_t generation)
{
	char name[DATA_NAME_BYTES];

	data_file_name(name, generation);
	pager->generation = generation;
	pager->file = pager->fs->open(pager->fs, name, O_RDWR | O_CREAT);
	return pager->file;
}

Status
pager_create(Shm *shm, FileOps *fs, PageIsSane is_sane, Pager **result)
{
	Pager *pager = calloc(1, sizeof(*pager));
	int file;

	if (pager == NULL)
		return RUSD_NO_MEMORY;
	pager->shm = shm;
	pager->fs = fs;
	pager->is_sane = is_sane;
	file = open_generation(pager, atomic_load(&shm->positions->data_generation));
	if (file < 0)
	{
		free(pager);
		return fs_status(file);
	}
	*result = pager;
	return RUSD_OK;
}

void
pager_destroy(Pager *pager)
{
	if (pager == NULL)
		return;
	if (pager->file >= 0)
		pager->fs->close(pager->fs, pager->file);
	free(pager);
}

/*
 * Pages are claimed already: the applier changes the generation when none is absent or being
 * loaded, and makes pages absent after that, so what was claimed is of the generation read here.
 */
static ssize_t
read_pages(Pager *pager, uint64_t first, uint32_t count)
{
	FileOps *fs = pager->fs;
	uint64_t generation =
		atomic_load_explicit(&pager->shm->positions->data_generation, memory_order_acquire);

	if (generation != pager->generation || pager->file < 0)
	{
		if (pager->file >= 0)
			fs->close(fs, pager->file);
		if (open_generation(pager, generation) < 0)
			return pager->file;
	}
	return fs->pread(fs, pager->file, pager->shm->frames + first * PAGE_BYTES,
					 (size_t) count * PAGE_BYTES, first * PAGE_BYTES);
}

static void
load_run(Pager *pager, uint64_t first, uint32_t count)
{
	Shm *shm = pager->shm;
	uint8_t *frames = shm->frames + first * PAGE_BYTES;
	ssize_t got = read_pages(pager, first, count);

	if (INJECT_ERROR("pager-read"))
		got = -EIO;
	for (uint32_t i = 0; i < count; i++)
	{
		PageMeta *meta = &shm->page_meta[first + i];
		PageHeader *page = (PageHeader *) (frames + (size_t) i * PAGE_BYTES);
		const char *defect = got >= (ssize_t) ((i + 1) * PAGE_BYTES)
								 ? page_defect(page, first + i, pager->is_sane)
								 : "it cannot be read";
		PageState state = PAGE_RESIDENT;

		if (defect == NULL)
			atomic_store_explicit(&meta->birth, page->birth, memory_order_relaxed);
		else if (i > 0)
			state = PAGE_ABSENT; /* judged when somebody asks for it */
		else
		{
			state = PAGE_BROKEN;
			log_error("page of the data file is damaged", LOG_UNSIGNED("page", first),
					  LOG_TEXT("defect", defect), LOG_INTEGER("read", got));
		}
		atomic_store_explicit(&meta->state, state, memory_order_release);
	}
}

/* What one slot wants, copied once: a backend can write anything there. */
static void
serve_slot(Pager *pager, uint32_t slot)
{
	Shm *shm = pager->shm;
	uint64_t wanted = atomic_load_explicit(&shm->areas[slot]->page_wanted, memory_order_acquire);

	if (wanted != 0 && wanted <= shm->layout.frame_count)
	{
		uint32_t count = claim_run(shm, wanted - 1);

		if (count > 0)
			load_run(pager, wanted - 1, count);
	}
	latch_set(&shm->latches[slot]);
}

/* The pager alone writes it. */
static void
count_service(Shm *shm)
{
	_Atomic uint64_t *service = &shm->positions->page_service;

	atomic_store_explicit(service, atomic_load_explicit(service, memory_order_relaxed) + 1,
						  memory_order_release);
}

Status
pager_step(Pager *pager)
{
	Shm *shm = pager->shm;
	uint32_t word = 0;
	uint64_t bits;
	Status status = RUSD_AGAIN;

	while (marks_take(shm->page_marks, &word, &bits))
	{
		for (; bits != 0; bits &= bits - 1)
		{
			uint32_t slot = word * 64 + (uint32_t) __builtin_ctzll(bits);

			if (slot >= shm->layout.slot_count)
				continue;
			count_service(shm);
			serve_slot(pager, slot);
			count_service(shm);
			status = RUSD_OK;
		}
		word++;
	}
	return status;
}
