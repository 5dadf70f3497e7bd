/*
 * files.c
 *	  Names of the data file and of the maps: each installed snapshot brings files of a new
 *	  generation, and those of any generation but that of the control record are garbage.
 *
 * src/backend/pagecache/files.c
 */
#include "rusd.h"

#include <ctype.h>

#include "pagecache_int.h"

#define DATA_PREFIX "data."
#define MAP_PREFIX "map."

/* A name to be removed: a folder is not changed while it is listed. */
typedef struct Search
{
	uint64_t generation; /* stays */
	char found[DATA_NAME_BYTES];
} Search;

void
data_file_name(char name[DATA_NAME_BYTES], uint64_t generation)
{
	(void) snprintf(name, DATA_NAME_BYTES, DATA_PREFIX "%" PRIu64, generation);
}

void
map_file_name(char name[DATA_NAME_BYTES], uint64_t generation, uint32_t which)
{
	(void) snprintf(name, DATA_NAME_BYTES, MAP_PREFIX "%" PRIu64 ".%" PRIu32, generation, which);
}

/* Is it a name that one of the two above has made?  Nothing else is touched. */
static bool
parse(const char *name, uint64_t *generation)
{
	char again[DATA_NAME_BYTES];
	bool is_map = strncmp(name, MAP_PREFIX, strlen(MAP_PREFIX)) == 0;
	const char *number = name + strlen(is_map ? MAP_PREFIX : DATA_PREFIX);

	if (!is_map && strncmp(name, DATA_PREFIX, strlen(DATA_PREFIX)) != 0)
		return false;
	*generation = 0;
	for (; isdigit((unsigned char) *number); number++)
		*generation = *generation * 10 + (uint64_t) (*number - '0');
	if (is_map)
		map_file_name(again, *generation, number[0] == '.' && number[1] == '1');
	else
		data_file_name(again, *generation);
	return strcmp(name, again) == 0;
}

static void
look_at(void *arg, const char *name)
{
	Search *search = arg;
	uint64_t generation;

	if (search->found[0] == '\0' && parse(name, &generation) && generation != search->generation)
		(void) snprintf(search->found, sizeof(search->found), "%s", name);
}

Status
data_files_find_others(FileOps *fs, uint64_t generation, bool *found)
{
	Search search = {.generation = generation};
	int result = fs->list(fs, ".", look_at, &search);

	*found = search.found[0] != '\0';
	return fs_status(result);
}

Status
data_files_remove_others(FileOps *fs, uint64_t generation)
{
	for (;;)
	{
		Search search = {.generation = generation};
		int result = fs->list(fs, ".", look_at, &search);

		if (result < 0 || search.found[0] == '\0')
			return fs_status(result);
		result = fs->unlink(fs, search.found);
		if (result < 0)
			return fs_status(result);
	}
}

int
data_files_remove(FileOps *fs, uint64_t generation)
{
	char names[3][DATA_NAME_BYTES];
	int failure = 0;

	data_file_name(names[0], generation);
	map_file_name(names[1], generation, 0);
	map_file_name(names[2], generation, 1);
	for (size_t i = 0; i < lengthof(names); i++)
	{
		int result = fs->unlink(fs, names[i]);

		if (result < 0 && result != -ENOENT)
			failure = result;
	}
	return failure;
}
