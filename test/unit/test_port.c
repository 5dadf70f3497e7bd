/*
 * test_port.c
 *	  Checksums against known answers and the table, clocks, files of the kernel.
 *
 * test/unit/test_port.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/clock.h"
#include "port/crc32c.h"
#include "port/fs.h"

#include "cmocka_all.h"

/* ---- checksums ---- */

static void
crc_has_the_known_answers(void **state)
{
	uint8_t bytes[48];

	(void) state;
	/* RFC 3720, appendix B.4. */
	memset(bytes, 0, 32);
	assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, 32);
	assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t) i;
	assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t) (31 - i);
	assert_int_equal(crc32c(0, bytes, 32), 0x113fdb5c);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c_portable(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
}

/* One bit at a time: owes nothing to the code under test. */
static uint32_t
crc_bitwise(uint32_t crc, const uint8_t *p, size_t length)
{
	crc = ~crc;
	for (; length > 0; p++, length--)
	{
		crc ^= *p;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

static uint8_t noise[3 * 8192];

static void
make_noise(void)
{
	uint64_t x = 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < sizeof(noise); i++)
	{
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		noise[i] = (uint8_t) (x >> 32);
	}
}

static void
crc_agrees_at_every_length_and_alignment(void **state)
{
	(void) state;
	make_noise();
	for (size_t length = 0; length < 1200; length++)
	{
		size_t at = length % 17;
		uint32_t want = crc_bitwise(0x12345678, noise + at, length);

		assert_int_equal(crc32c(0x12345678, noise + at, length), want);
		assert_int_equal(crc32c_portable(0x12345678, noise + at, length), want);
	}
	/* Around the borders of one, two, three rounds of the largest block. */
	for (size_t length = 4070; length < sizeof(noise) - 16; length += 61)
	{
		uint32_t want = crc_bitwise(0, noise + length % 7, length);

		assert_int_equal(crc32c(0, noise + length % 7, length), want);
		assert_int_equal(crc32c_portable(0, noise + length % 7, length), want);
	}
}

static void
crc_of_parts_is_crc_of_whole(void **state)
{
	uint32_t whole;

	(void) state;
	make_noise();
	whole = crc32c(0, noise, 8192);
	for (size_t cut = 0; cut <= 8192; cut += 37)
		assert_int_equal(crc32c(crc32c(0, noise, cut), noise + cut, 8192 - cut), whole);
}

/* ---- clock ---- */

static void
clocks_go_forward(void **state)
{
	uint64_t before = clock_os.monotonic_ns(&clock_os);
	uint64_t now;

	(void) state;
	do
	{
		now = clock_os.monotonic_ns(&clock_os);
		assert_true(now >= before);
	} while (now == before);
	/* After 2020 and before 2100. */
	assert_in_range(clock_os.wall_ns(&clock_os), 1577836800000000000u, 4102444800000000000u);
}

#ifdef RUSD_INJECT

#define SECOND UINT64_C(1000000000)

/* Last of the clock's tests: what is bent stays ahead. */
static void
clocks_can_be_bent(void **state)
{
	uint64_t real = clock_os.wall_ns(&clock_os);
	uint64_t before = clock_os.monotonic_ns(&clock_os);

	(void) state;
	clock_warp(0, 1000);
	assert_in_range(clock_os.monotonic_ns(&clock_os) - before, 0, 50 * SECOND);
	clock_warp(100 * SECOND, 1000);
	assert_in_range(clock_os.monotonic_ns(&clock_os) - before, 100 * SECOND, 150 * SECOND);
	assert_in_range(clock_os.wall_ns(&clock_os) - real, 99 * SECOND, 150 * SECOND);
	/* The same jump is made once; a smaller one is none. */
	clock_warp(100 * SECOND, 1000);
	clock_warp(10 * SECOND, 1000);
	assert_in_range(clock_os.monotonic_ns(&clock_os) - before, 100 * SECOND, 150 * SECOND);

	/* A millionfold: an hour passes in some milliseconds. */
	before = clock_os.monotonic_ns(&clock_os);
	clock_warp(100 * SECOND, 1000000000);
	while (clock_os.monotonic_ns(&clock_os) - before < 3600 * SECOND)
		;
	/* At the old rate again, and never back. */
	before = clock_os.monotonic_ns(&clock_os);
	clock_warp(100 * SECOND, 1000);
	assert_true(clock_os.monotonic_ns(&clock_os) >= before);
}

#endif

/* ---- files ---- */

static char directory[64];

static int
make_directory(void **state)
{
	(void) snprintf(directory, sizeof(directory), "/tmp/test_port.XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	*state = fs_os_open(directory);
	return *state == NULL ? -1 : 0;
}

static void
remove_entry(void *arg, const char *entry)
{
	FileOps *fs = arg;

	if (fs->unlink(fs, entry) != 0)
	{
		char path[400];

		(void) snprintf(path, sizeof(path), "%s/%s", directory, entry);
		(void) rmdir(path);
	}
}

static int
remove_directory(void **state)
{
	FileOps *fs = *state;

	(void) fs->list(fs, ".", remove_entry, fs);
	fs_os_close(fs);
	return rmdir(directory);
}

static void
file_is_written_and_read(void **state)
{
	FileOps *fs = *state;
	char buffer[16] = {0};
	struct stat st;
	int file;

	assert_int_equal(fs->open(fs, "absent", O_RDONLY), -ENOENT);
	file = fs->open(fs, "file", O_RDWR | O_CREAT | O_EXCL);
	assert_true(file >= 0);
	assert_int_equal(fs->open(fs, "file", O_RDWR | O_CREAT | O_EXCL), -EEXIST);
	assert_int_equal(fs->size(fs, file), 0);
	assert_int_equal(fs->pwrite(fs, file, "hello", 5, 100), 5);
	assert_int_equal(fs->sync(fs, file), 0);
	assert_int_equal(fs->size(fs, file), 105);
	/* Short only at the end of the file; nothing behind it. */
	assert_int_equal(fs->pread(fs, file, buffer, sizeof(buffer), 98), 7);
	assert_memory_equal(buffer, "\0\0hello", 7);
	assert_int_equal(fs->pread(fs, file, buffer, sizeof(buffer), 105), 0);
	assert_int_equal(fs->truncate(fs, file, 102), 0);
	assert_int_equal(fs->size(fs, file), 102);
	assert_int_equal(fstat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* A file opened for reading cannot be written, and says so by -errno. */
	fs->close(fs, file);
	file = fs->open(fs, "file", O_RDONLY);
	assert_int_equal(fs->pwrite(fs, file, "x", 1, 0), -EBADF);
	fs->close(fs, file);
	assert_int_equal(fs->pread(fs, file, buffer, 1, 0), -EBADF);
	assert_int_equal(fs->sync(fs, file), -EBADF);
	assert_int_equal(fs->size(fs, file), -EBADF);
}

static void
collect(void *arg, const char *entry)
{
	char *names = arg;
	size_t used = strlen(names);

	(void) snprintf(names + used, 100 - used, "%s;", entry);
}

static void
names_are_made_moved_and_removed(void **state)
{
	FileOps *fs = *state;
	char names[100] = "";
	int file = fs->open(fs, "a", O_RDWR | O_CREAT);

	assert_true(file >= 0);
	fs->close(fs, file);
	assert_int_equal(fs->mkdir(fs, "sub"), 0);
	assert_int_equal(fs->mkdir(fs, "sub"), -EEXIST);
	assert_int_equal(fs->rename(fs, "a", "sub/b"), 0);
	assert_int_equal(fs->sync_dir(fs, "."), 0);
	assert_int_equal(fs->sync_dir(fs, "sub"), 0);
	assert_int_equal(fs->sync_dir(fs, "nowhere"), -ENOENT);
	assert_int_equal(fs->list(fs, "sub", collect, names), 0);
	assert_string_equal(names, "b;");
	assert_int_equal(fs->list(fs, "nowhere", collect, names), -ENOENT);
	assert_int_equal(fs->list(fs, "sub/b", collect, names), -ENOTDIR);
	assert_int_equal(fs->unlink(fs, "sub/b"), 0);
	assert_int_equal(fs->unlink(fs, "sub/b"), -ENOENT);
}

static void
nothing_leaves_the_directory(void **state)
{
	FileOps *fs = *state;

	assert_int_equal(fs->open(fs, "../x", O_RDWR | O_CREAT), -EINVAL);
	assert_int_equal(fs->open(fs, "/etc/passwd", O_RDONLY), -EINVAL);
	assert_int_equal(fs->open(fs, "", O_RDONLY), -EINVAL);
	assert_int_equal(fs->unlink(fs, "sub/../../x"), -EINVAL);
	assert_int_equal(fs->rename(fs, "a", ".."), -EINVAL);
	assert_int_equal(fs->mkdir(fs, "sub/.."), -EINVAL);
	/* Dots inside a name are just dots. */
	assert_int_equal(fs->open(fs, "..a", O_RDONLY), -ENOENT);
}

static void
directory_may_be_renamed_while_open(void **state)
{
	FileOps *fs = *state;
	char other[80];
	int file;

	(void) snprintf(other, sizeof(other), "%s.moved", directory);
	assert_int_equal(rename(directory, other), 0);
	file = fs->open(fs, "after", O_RDWR | O_CREAT);
	assert_true(file >= 0);
	fs->close(fs, file);
	assert_int_equal(rename(other, directory), 0);
	assert_int_equal(fs->unlink(fs, "after"), 0);
}

/* A device that is always full: what a full disk looks like. */
static void
full_disk_is_told_apart(void **state)
{
	FileOps *fs = fs_os_open("/dev");
	int file;

	(void) state;
	assert_non_null(fs);
	file = fs->open(fs, "full", O_RDWR);
	assert_true(file >= 0);
	assert_int_equal(fs->pwrite(fs, file, "x", 1, 0), -ENOSPC);
	fs->close(fs, file);
	fs_os_close(fs);

	assert_int_equal(fs_status(-ENOSPC), RUSD_NO_ROOM);
	assert_int_equal(fs_status(-EDQUOT), RUSD_NO_ROOM);
	assert_int_equal(fs_status(-EIO), RUSD_IO);
	assert_int_equal(fs_status(-ENOENT), RUSD_IO);
	assert_int_equal(fs_status(0), RUSD_OK);
	assert_int_equal(fs_status(8192), RUSD_OK);
}

static void
missing_directory_is_an_error(void **state)
{
	(void) state;
	errno = 0;
	assert_null(fs_os_open("/nonexistent/directory"));
	assert_int_equal(errno, ENOENT);
	fs_os_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_has_the_known_answers),
		cmocka_unit_test(crc_agrees_at_every_length_and_alignment),
		cmocka_unit_test(crc_of_parts_is_crc_of_whole),
		cmocka_unit_test(clocks_go_forward),
#ifdef RUSD_INJECT
		cmocka_unit_test(clocks_can_be_bent),
#endif
		cmocka_unit_test_setup_teardown(file_is_written_and_read, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(names_are_made_moved_and_removed, make_directory,
										remove_directory),
		cmocka_unit_test_setup_teardown(nothing_leaves_the_directory, make_directory,
										remove_directory),
		cmocka_unit_test_setup_teardown(directory_may_be_renamed_while_open, make_directory,
										remove_directory),
		cmocka_unit_test(full_disk_is_told_apart),
		cmocka_unit_test(missing_directory_is_an_error),
	};

	return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
