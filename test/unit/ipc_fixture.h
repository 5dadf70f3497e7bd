/*
 * ipc_fixture.h
 *	  Small segments for tests, and writes that are expected to fault.
 *
 * test/unit/ipc_fixture.h
 */
#ifndef IPC_FIXTURE_H
#define IPC_FIXTURE_H

#include "ipc/shmem.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

/* 5 + backends slots, 1 MiB of WAL buffers, 1,024 frames. */
extern Shm *fixture_shm(uint32_t backends, bool sealed);

/* Does a write (a read) of that byte raise SIGSEGV or SIGBUS?  Writes what is there. */
extern bool write_faults(volatile uint8_t *at);
extern bool read_faults(const volatile uint8_t *at);

/* FNV-1a. */
extern uint64_t fixture_hash(const uint8_t *bytes, size_t length);

/* As walwriter does it: if the disk works, all that is appended is flushed; publishes the commit position, and has segments
 * ready.  True: there was something to flush. */
extern bool fixture_flush(Shm *shm, bool disk_works);

/* A repeatable stream of numbers. */
extern uint64_t fixture_random(uint64_t *seed);

#endif /* IPC_FIXTURE_H */
