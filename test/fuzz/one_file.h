/*
 * one_file.h
 *	  A table of files in which every name is the same bytes, read-only: for targets that decode
 * files.
 *
 * test/fuzz/one_file.h
 */
#ifndef ONE_FILE_H
#define ONE_FILE_H

#include "port/fs.h"

typedef struct OneFile
{
	FileOps ops; /* first */
	const uint8_t *bytes;
	size_t length;
} OneFile;

extern void one_file_init(OneFile *file, const uint8_t *bytes, size_t length);

#endif /* ONE_FILE_H */
