/*
 * shmem_int.h
 *	  The list of regions as the files of ipc/ see it.
 *
 * src/backend/ipc/shmem_int.h
 */
#ifndef SHMEM_INT_H
#define SHMEM_INT_H

#include "ipc/shmem.h"

/* What backends may do with a region. */
typedef enum ShmAccess
{
	SHM_NONE,
	SHM_READ,
	SHM_WRITE,
	SHM_OWN
} ShmAccess;

typedef struct ShmRegion
{
	const char *name;
	ShmAccess backends;
	uint64_t offset; /* in the memfd */
	uint64_t bytes;
} ShmRegion;

enum
{
#define RUSD_REGION(field, type, backends, owner, size, what) SHM_REGION_##field,
#include "ipc/shmemlist.h"
#undef RUSD_REGION
	SHM_REGION_COUNT
};

extern uint64_t shm_machine_page(void);
extern void shm_regions(const ShmLayout *layout, ShmRegion regions[SHM_REGION_COUNT]);

#endif /* SHMEM_INT_H */
