/*
 * shmrestrict.c
 *	  How a backend gives up its right to write the segment.  Backend, at its start.
 *
 * The inherited mapping is writable, and mprotect() could be undone.  So everything but what the
 * backend may write is mapped anew, read-only, over the old mapping: a mapping of a file sealed
 * with F_SEAL_FUTURE_WRITE that was made read-only can never be made writable, whoever asks.  The
 * WAL buffers, and with them the whole first window, are unmapped.  Then the descriptor is closed:
 * it can be opened again through /proc of another process, but neither written nor mapped for
 * writing.
 *
 * What remains is mremap(), which stretches a writable mapping over what follows it in the file
 * without asking the seals.  Behind a backend's writable pages there is nothing but writable pages
 * of backends: that is what the order of the list is for [ipc-6].
 *
 * src/backend/ipc/shmrestrict.c
 */
#include "rusd.h"

#include <sys/mman.h>
#include <unistd.h>

#include "shmem_int.h"

static Status restrict_rights(Shm *shm, uint32_t slot, bool keeps_log);
static Status hide_log(Shm *shm, uint64_t visible);
static Status keep_log_readonly(Shm *shm, uint64_t visible);
static Status remap_readonly(Shm *shm, uint64_t begin, uint64_t end);

Status
shm_restrict(Shm *shm, uint32_t slot)
{
	return restrict_rights(shm, slot, false);
}

Status
shm_restrict_sender(Shm *shm, uint32_t slot)
{
	return restrict_rights(shm, slot, true);
}

static Status
restrict_rights(Shm *shm, uint32_t slot, bool keeps_log)
{
	ShmRegion regions[SHM_REGION_COUNT];
	uint64_t stride = shm_area_stride();
	uint64_t visible;  /* the first byte that backends may read */
	uint64_t writable; /* the first byte of the regions that all may write */
	uint64_t own;
	Status status;

	Check(shm->memfd >= 0 && slot < shm->layout.slot_count);
	shm_regions(&shm->layout, regions);
	Check(regions[0].backends == SHM_NONE && regions[1].backends == SHM_READ);
	visible = regions[1].offset;
	writable = regions[1].offset;
	for (int i = 1; i < SHM_REGION_COUNT && regions[i].backends == SHM_READ; i++)
		writable = regions[i + 1].offset;
	own = regions[SHM_REGION_area_bytes].offset + slot * stride;

	status = remap_readonly(shm, visible, writable);
	if (status == RUSD_OK)
		status = remap_readonly(shm, regions[SHM_REGION_area_bytes].offset, own);
	if (status == RUSD_OK)
		status = remap_readonly(shm, own + stride, shm->total_bytes);
	if (status == RUSD_OK)
		status = keeps_log ? keep_log_readonly(shm, visible) : hide_log(shm, visible);
	close(shm->memfd);
	shm->memfd = -1;
	return status;
}

/* A hole, never filled by a later mapping: a stray pointer faults. */
static Status
hide_log(Shm *shm, uint64_t visible)
{
	shm->wal_buffers = NULL;
	if (mmap(shm->base, shm->layout.wal_buffer_bytes + visible, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return RUSD_NO_MEMORY;
	return RUSD_OK;
}

/* Both windows of it. */
static Status
keep_log_readonly(Shm *shm, uint64_t visible)
{
	if (mmap(shm->base, shm->layout.wal_buffer_bytes, PROT_READ,
			 MAP_SHARED | MAP_FIXED | MAP_NORESERVE, shm->memfd, 0) == MAP_FAILED)
		return RUSD_NO_MEMORY;
	return remap_readonly(shm, 0, visible);
}

static Status
remap_readonly(Shm *shm, uint64_t begin, uint64_t end)
{
	uint8_t *at = shm->base + shm->layout.wal_buffer_bytes + begin;

	if (begin == end)
		return RUSD_OK;
	if (mmap(at, end - begin, PROT_READ, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, shm->memfd,
			 (off_t) begin) == MAP_FAILED)
		return RUSD_NO_MEMORY;
	return RUSD_OK;
}
