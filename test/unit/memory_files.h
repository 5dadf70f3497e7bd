/*
 * memory_files.h
 *	  Files in memory that can crash: what was not synced is then there, gone, or there in part.
 *
 * test/unit/memory_files.h
 */
#ifndef MEMORY_FILES_H
#define MEMORY_FILES_H

#include "port/fs.h"

typedef struct MemoryFiles MemoryFiles;

extern MemoryFiles *memory_files_create(uint64_t seed);
extern void memory_files_destroy(MemoryFiles *files);
extern FileOps *memory_files_ops(MemoryFiles *files);
/* Writes, syncs and changes of names so far. */
extern uint64_t memory_files_operations(const MemoryFiles *files);
/* From the operation with this number on everything fails (0: never). */
extern void memory_files_fail_at(MemoryFiles *files, uint64_t operation);
/* Each unsynced sector is kept or lost by chance, and names as far as some unsynced change of a
 * name. */
extern void memory_files_crash(MemoryFiles *files);
/* More bytes than these cannot be taken by all files together; UINT64_MAX: no limit. */
/* Bytes of all files. */
extern uint64_t memory_files_taken(const MemoryFiles *files);
extern void memory_files_limit(MemoryFiles *files, uint64_t bytes);
/* The bytes as they are now; NULL: no such file. */
extern uint8_t *memory_files_bytes(MemoryFiles *files, const char *name, uint64_t *length);
/* Called in each read, before anything is read. */
extern void memory_files_on_read(MemoryFiles *files, void (*hook)(void *arg), void *arg);

#endif /* MEMORY_FILES_H */
