/*
 * replay.c
 *	  The other driver of the fuzz targets: runs the inputs in the files and folders named, once
 * each, and says so as TAP.
 *
 * So every build replays the corpus, also those without libFuzzer.  A finding ends the program by a
 * signal, which the runner of the tests counts as failed; the name of the input is printed before.
 *
 * test/fuzz/replay.c
 */
#include "rusd.h"

#include <dirent.h>
#include <sys/stat.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay_folder(const char *path);
static void replay_file(const char *path);

static unsigned replayed;

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
	{
		struct stat about;

		if (stat(argv[i], &about) != 0)
		{
			printf("not ok %u - %s cannot be read\n", ++replayed, argv[i]);
			return 1;
		}
		if (S_ISDIR(about.st_mode))
			replay_folder(argv[i]);
		else
			replay_file(argv[i]);
	}
	if (replayed == 0)
		printf("not ok 1 - there was no input\n");
	printf("1..%u\n", Max(replayed, 1));
	return replayed == 0;
}

static void
replay_folder(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);

	for (int i = 0; i < count; i++)
	{
		char name[4096];

		if (entries[i]->d_name[0] != '.' &&
			snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name) < (int) sizeof(name))
			replay_file(name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

static void
replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat about;
	uint8_t *data;

	if (file == NULL || fstat(fileno(file), &about) != 0)
	{
		printf("not ok %u - %s cannot be read\n", ++replayed, path);
		exit(1);
	}
	data = malloc((size_t) about.st_size + 1);
	Check(data != NULL && fread(data, 1, (size_t) about.st_size, file) == (size_t) about.st_size);
	fclose(file);
	printf("# %s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, (size_t) about.st_size);
	free(data);
	printf("ok %u - %s\n", ++replayed, path);
}
