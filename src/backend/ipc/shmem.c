/*
 * shmem.c
 *	  Makes the shared memory of a node from the list of regions.  Postmaster; tests and simulator.
 *
 * One memfd.  In the address space it lies behind one more mapping of its beginning, the WAL
 * buffers, which so appear twice, one behind the other:
 *
 *		base						base + W					base + W + total
 *		| memfd 0 .. W (again)		| memfd 0 .. total			|
 *		| WAL buffers				| WAL buffers | control ... | areas
 *
 * The pages are the kernel's zero pages until they are written, so a cache that is larger than the
 * memory in use costs nothing but address space.
 *
 * src/backend/ipc/shmem.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "ipc/inject.h"
#include "ipc/shmem.h"
#include "shmem_int.h"

static void layout_regions(const ShmLayout *layout, ShmRegion *regions, uint64_t *total);
static bool layout_is_sane(const ShmLayout *layout);
static Status map_segment(Shm *shm);
static Status point_at_regions(Shm *shm, const ShmRegion *regions);

uint64_t
shm_machine_page(void)
{
	static uint64_t page;

	if (page == 0)
		page = (uint64_t) sysconf(_SC_PAGESIZE);
	return page;
}

uint64_t
shm_area_stride(void)
{
	return AlignUp(sizeof(BackendArea), shm_machine_page());
}

/* Offsets in the memfd, in the order of the list. */
static void
layout_regions(const ShmLayout *layout, ShmRegion *regions, uint64_t *total)
{
	uint64_t slots = layout->slot_count;
	uint64_t page = shm_machine_page();
	uint64_t offset = 0;
	ShmRegion *region = regions;

#define RUSD_REGION(field, type, backends, owner, size, what)                                      \
	*region++ = (ShmRegion){#field, SHM_##backends, 0, (size)};
#include "ipc/shmemlist.h"
#undef RUSD_REGION

	for (region = regions; region < regions + SHM_REGION_COUNT; region++)
	{
		region->offset = offset;
		offset = AlignUp(offset + region->bytes, page);
	}
	*total = offset;
}

void
shm_regions(const ShmLayout *layout, ShmRegion regions[SHM_REGION_COUNT])
{
	uint64_t total;

	layout_regions(layout, regions, &total);
}

static bool
layout_is_sane(const ShmLayout *layout)
{
	uint64_t buffers = layout->wal_buffer_bytes;
	uint64_t segment = layout->wal_segment_bytes;

	return layout->link_slots <= LINK_SLOTS &&
		   layout->slot_count > shm_first_backend(layout) + layout->local_slots &&
		   layout->slot_count <= MAX_SLOTS && buffers >= shm_machine_page() &&
		   (buffers & (buffers - 1)) == 0 && segment != 0 && (segment & (segment - 1)) == 0 &&
		   layout->frame_count > 0 && layout->frame_count < UINT64_C(1) << 40 &&
		   buffers <= UINT64_C(1) << 40;
}

bool
shm_disk_is_full(const Shm *shm)
{
	return atomic_load_explicit(&shm->segments->no_room, memory_order_relaxed) != 0 ||
		   atomic_load_explicit(&shm->requests->data_limit, memory_order_relaxed) != 0;
}

uint64_t
shm_bytes(const ShmLayout *layout)
{
	ShmRegion regions[SHM_REGION_COUNT];
	uint64_t total;

	layout_regions(layout, regions, &total);
	return total;
}

Status
shm_create(const ShmLayout *layout, bool sealed, Shm **result)
{
	ShmRegion regions[SHM_REGION_COUNT];
	Shm *shm;
	Status status;

	if (!layout_is_sane(layout))
		return RUSD_INVALID;
	shm = calloc(1, sizeof(*shm));
	if (shm == NULL)
		return RUSD_NO_MEMORY;
	shm->layout = *layout;
	shm->memfd = -1;
	layout_regions(layout, regions, &shm->total_bytes);

	status = map_segment(shm);
	if (status == RUSD_OK)
		status = point_at_regions(shm, regions);
	while (status == RUSD_OK && shm->incarnation == 0)
		if (getrandom(&shm->incarnation, sizeof(shm->incarnation), 0) != sizeof(shm->incarnation))
			status = RUSD_IO;
	/* From here on nobody, this process included, gets another writable mapping. */
	if (status == RUSD_OK && sealed &&
		fcntl(shm->memfd, F_ADD_SEALS,
			  F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		status = RUSD_NO_MEMORY;
	if (status != RUSD_OK)
	{
		shm_destroy(shm);
		return status;
	}
	if (!sealed)
	{
		close(shm->memfd);
		shm->memfd = -1;
	}
	*result = shm;
	return RUSD_OK;
}

void
shm_destroy(Shm *shm)
{
	if (shm->base != NULL)
		munmap(shm->base, shm->total_bytes + shm->layout.wal_buffer_bytes);
	if (shm->memfd >= 0)
		close(shm->memfd);
	free(shm->areas);
	free(shm);
}

static Status
map_segment(Shm *shm)
{
	uint64_t window = shm->layout.wal_buffer_bytes;
	int flags = MAP_SHARED | MAP_FIXED | MAP_NORESERVE;
	uint8_t *base;

	shm->memfd = memfd_create("rusd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (shm->memfd < 0 || ftruncate(shm->memfd, (off_t) shm->total_bytes) != 0)
		return RUSD_NO_MEMORY;
	base = mmap(NULL, shm->total_bytes + window, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return RUSD_NO_MEMORY;
	shm->base = base;
	if (mmap(base, window, PROT_READ | PROT_WRITE, flags, shm->memfd, 0) == MAP_FAILED ||
		mmap(base + window, shm->total_bytes, PROT_READ | PROT_WRITE, flags, shm->memfd, 0) ==
			MAP_FAILED)
		return RUSD_NO_MEMORY;
	return RUSD_OK;
}

static Status
point_at_regions(Shm *shm, const ShmRegion *regions)
{
	uint8_t *file = shm->base + shm->layout.wal_buffer_bytes;
	const ShmRegion *region = regions;
	uint64_t stride = shm_area_stride();

#define RUSD_REGION(field, type, backends, owner, size, what)                                      \
	shm->field = (type *) (void *) (file + region++->offset);
#include "ipc/shmemlist.h"
#undef RUSD_REGION
	shm->wal_buffers = shm->base;

	shm->areas = calloc(shm->layout.slot_count, sizeof(*shm->areas));
	if (shm->areas == NULL)
		return RUSD_NO_MEMORY;
	for (uint32_t slot = 0; slot < shm->layout.slot_count; slot++)
		shm->areas[slot] = (BackendArea *) (void *) (shm->area_bytes + slot * stride);
	return RUSD_OK;
}
