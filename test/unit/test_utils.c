/*
 * test_utils.c
 *	  Arenas and their budget, statuses, durations and sizes, lines of the log.
 *
 * test/unit/test_utils.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../src/backend/utils/logline.h"
#include "cmocka_all.h"
#include "utils/arena.h"
#include "utils/log.h"
#include "utils/units.h"

/* ---- malloc that fails at call n ---- */

extern void *__real_malloc(size_t size);
extern void *__wrap_malloc(size_t size);

static int malloc_fails_at = -1;

void *
__wrap_malloc(size_t size)
{
	if (malloc_fails_at >= 0 && malloc_fails_at-- == 0)
		return NULL;
	return __real_malloc(size);
}

/* ---- arenas ---- */

typedef struct TestBudget
{
	MemoryBudget budget; /* first */
	size_t limit;
	size_t taken;
	int fails_at; /* -1: never */
} TestBudget;

static bool
test_take(MemoryBudget *budget, size_t bytes)
{
	TestBudget *test = (TestBudget *) budget;

	if (test->fails_at >= 0 && test->fails_at-- == 0)
		return false;
	if (bytes > test->limit - test->taken)
		return false;
	test->taken += bytes;
	return true;
}

static void
test_give(MemoryBudget *budget, size_t bytes)
{
	TestBudget *test = (TestBudget *) budget;

	assert_true(bytes <= test->taken);
	test->taken -= bytes;
}

static TestBudget
budget_of(size_t limit)
{
	return (TestBudget){.budget = {test_take, test_give}, .limit = limit, .fails_at = -1};
}

static uint64_t seed = 88172645463325252u;

static uint32_t
next_random(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t) (seed >> 33) % below;
}

/* Sizes from 0 to 64 KiB, most of them small; each block keeps what was written into it. */
static void
arena_blocks_do_not_overlap(void **state)
{
	enum
	{
		BLOCKS = 600
	};
	uint8_t *block[BLOCKS];
	size_t size[BLOCKS];
	TestBudget budget = budget_of(SIZE_MAX);
	Arena arena;

	(void) state;
	arena_init(&arena, &budget.budget);
	for (int round = 0; round < 20; round++)
	{
		for (int i = 0; i < BLOCKS; i++)
		{
			size[i] = next_random(1u << next_random(17));
			block[i] = i % 3 == 0 ? arena_zalloc(&arena, size[i]) : arena_alloc(&arena, size[i]);
			assert_non_null(block[i]);
			assert_int_equal((uintptr_t) block[i] % 16, 0);
			for (size_t k = 0; i % 3 == 0 && k < size[i]; k++)
				assert_int_equal(block[i][k], 0);
			memset(block[i], i, size[i]);
		}
		for (int i = 0; i < BLOCKS; i++)
		{
			for (size_t k = 0; k < size[i]; k++)
				assert_int_equal(block[i][k], (uint8_t) i);
		}
		assert_int_equal(arena.taken, budget.taken);
		arena_reset(&arena);
		assert_in_range(budget.taken, 0, 8192);
	}
	arena_destroy(&arena);
	assert_int_equal(budget.taken, 0);
}

static void
arena_of_nothing_has_distinct_addresses(void **state)
{
	Arena arena = {0};
	void *first = arena_alloc(&arena, 0);
	void *second = arena_alloc(&arena, 0);

	(void) state;
	assert_non_null(first);
	assert_non_null(second);
	assert_ptr_not_equal(first, second);
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_null(arena_alloc(&arena, SIZE_MAX - 15));
	arena_destroy(&arena);
	arena_destroy(&arena);
	assert_non_null(arena_alloc(&arena, 1));
	arena_destroy(&arena);
}

static void
arena_keeps_within_its_budget(void **state)
{
	TestBudget budget = budget_of(100000);
	Arena arena;
	size_t granted = 0;

	(void) state;
	arena_init(&arena, &budget.budget);
	while (arena_alloc(&arena, 1000) != NULL)
	{
		granted += 1000;
		assert_true(budget.taken <= budget.limit);
	}
	/* Not much of the budget is lost to chunks. */
	assert_in_range(granted, 90000, 100000);
	assert_null(arena_alloc(&arena, 200000));
	arena_reset(&arena);
	assert_non_null(arena_alloc(&arena, 80000));
	arena_destroy(&arena);
	assert_int_equal(budget.taken, 0);
}

/* A small request after a reset costs neither malloc nor budget. */
static void
arena_reset_keeps_a_small_chunk(void **state)
{
	TestBudget budget = budget_of(SIZE_MAX);
	Arena arena;

	(void) state;
	arena_init(&arena, &budget.budget);
	assert_non_null(arena_alloc(&arena, 100));
	for (int i = 0; i < 100; i++)
		assert_non_null(arena_alloc(&arena, 3000));
	arena_reset(&arena);
	budget.fails_at = 0;
	malloc_fails_at = 0;
	for (int i = 0; i < 100; i++)
	{
		assert_non_null(arena_alloc(&arena, 1000));
		assert_non_null(arena_alloc(&arena, 2000));
		arena_reset(&arena);
	}
	malloc_fails_at = -1;
	arena_destroy(&arena);
}

/* Fails at call n of budget or malloc, for each n: NULL, nothing lost, and usable afterwards. */
static void
arena_survives_failure_at_each_call(void **state)
{
	bool failed = true;

	(void) state;
	for (int n = 0; failed; n++)
	{
		for (int what = 0; what < 2; what++)
		{
			TestBudget budget = budget_of(SIZE_MAX);
			Arena arena;

			arena_init(&arena, &budget.budget);
			if (what == 0)
				budget.fails_at = n;
			else
				malloc_fails_at = n;
			failed = false;
			for (int i = 0; i < 60; i++)
			{
				size_t size = (size_t) i * 211 % 5000;
				uint8_t *block = arena_alloc(&arena, size);

				if (block != NULL)
					memset(block, 0xaa, size);
				else
					failed = true;
				assert_int_equal(arena.taken, budget.taken);
			}
			malloc_fails_at = -1;
			budget.fails_at = -1;
			assert_non_null(arena_alloc(&arena, 100000));
			arena_destroy(&arena);
			assert_int_equal(budget.taken, 0);
		}
		assert_in_range(n, 0, 100);
	}
}

/* ---- statuses ---- */

static void
statuses_have_text_code_and_name(void **state)
{
	(void) state;
	assert_string_equal(status_text(RUSD_COMPACTED),
						"etcdserver: mvcc: required revision has been compacted");
	assert_int_equal(status_grpc_code(RUSD_COMPACTED), 11);
	assert_string_equal(status_name(RUSD_COMPACTED), "COMPACTED");
	assert_int_equal(status_grpc_code(RUSD_OK), 0);
	for (int i = 0; i < RUSD_STATUS_COUNT; i++)
	{
		assert_in_range(status_grpc_code((Status) i), 0, 16);
		assert_true(*status_text((Status) i) != '\0');
		assert_true(*status_name((Status) i) != '\0');
	}
	/* Whatever number came by shared memory. */
	for (int64_t i = RUSD_STATUS_COUNT; i < INT32_MAX; i = i * 3 + 1)
	{
		assert_int_equal(status_grpc_code((Status) i), 2);
		assert_non_null(status_text((Status) -i));
		assert_non_null(status_name((Status) -i));
	}
}

/* ---- durations and sizes ---- */

static void
durations_are_read_as_go_reads_them(void **state)
{
	static const struct
	{
		const char *text;
		int64_t ns;
	} good[] = {
		{"0", 0},
		{"+0", 0},
		{"5s", 5000000000},
		{"100ms", 100000000},
		{"1h30m", 5400000000000},
		{"1.5s", 1500000000},
		{".5s", 500000000},
		{"1.s", 1000000000},
		{"-3m", -180000000000},
		{"2us", 2000},
		{"2\302\265s", 2000},
		{"2\316\274s", 2000},
		{"7ns", 7},
		{"0.1ns", 0},
		{"0.3333333333333333333h", 1200000000000},
		{"1h0m0.25s", 3600250000000},
		{"9223372036854775807ns", INT64_MAX},
		{"-9223372036854775808ns", INT64_MIN},
	};
	static const char *const bad[] = {"",
									  "5",
									  "s",
									  ".s",
									  "-",
									  "5 s",
									  "5s ",
									  "1d",
									  "5.5",
									  "--5s",
									  "1e3s",
									  "3000000h",
									  "9223372036854775808ns",
									  "-9223372036854775809ns",
									  "99999999999999999999s",
									  "5S"};

	(void) state;
	for (size_t i = 0; i < lengthof(good); i++)
	{
		int64_t ns = -1;

		assert_true(duration_parse(good[i].text, &ns));
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < lengthof(bad); i++)
	{
		int64_t ns;

		if (duration_parse(bad[i], &ns))
			fail_msg("\"%s\" was taken for a duration", bad[i]);
	}
}

static void
durations_are_written_as_go_writes_them(void **state)
{
	char buffer[UNITS_TEXT_SIZE];

	(void) state;
	assert_string_equal(duration_format(buffer, 0), "0s");
	assert_string_equal(duration_format(buffer, 7), "7ns");
	assert_string_equal(duration_format(buffer, 1100), "1.1\302\265s");
	assert_string_equal(duration_format(buffer, 2200000), "2.2ms");
	assert_string_equal(duration_format(buffer, 1500000000), "1.5s");
	assert_string_equal(duration_format(buffer, 1000000001), "1.000000001s");
	assert_string_equal(duration_format(buffer, 60000000000), "1m0s");
	assert_string_equal(duration_format(buffer, 7200000000000), "2h0m0s");
	assert_string_equal(duration_format(buffer, -5400000000000), "-1h30m0s");
	assert_string_equal(duration_format(buffer, INT64_MAX), "2562047h47m16.854775807s");
	assert_string_equal(duration_format(buffer, INT64_MIN), "-2562047h47m16.854775808s");
	for (int i = 0; i < 20000; i++)
	{
		int64_t ns = (int64_t) (((uint64_t) next_random(UINT32_MAX) << 31) >> next_random(62));
		int64_t again;

		assert_true(duration_parse(duration_format(buffer, ns), &again));
		/* Fractions go through a double, as in Go; what is lost is less than a microsecond in 100
		 * days. */
		assert_in_range(again - ns + 1, 0, 2);
	}
}

static void
sizes_are_read_and_written(void **state)
{
	char buffer[UNITS_TEXT_SIZE];
	int64_t bytes;

	(void) state;
	assert_true(size_parse("1572864", &bytes) && bytes == 1572864);
	assert_true(size_parse("16MiB", &bytes) && bytes == 16 << 20);
	assert_true(size_parse("3KiB", &bytes) && bytes == 3072);
	assert_true(size_parse("2GiB", &bytes) && bytes == (int64_t) 2 << 30);
	assert_true(size_parse("0", &bytes) && bytes == 0);
	assert_false(size_parse("", &bytes));
	assert_false(size_parse("MiB", &bytes));
	assert_false(size_parse("-1", &bytes));
	assert_false(size_parse("1 MiB", &bytes));
	assert_false(size_parse("1MB", &bytes));
	assert_false(size_parse("9223372036854775808", &bytes));
	assert_false(size_parse("9007199254740992KiB", &bytes));
	assert_string_equal(size_format(buffer, 16 << 20), "16MiB");
	assert_string_equal(size_format(buffer, 1572865), "1572865");
	assert_string_equal(size_format(buffer, 0), "0");
}

/* ---- the log ---- */

static char log_path[64];

static int
open_log_file(void **state)
{
	int file;

	(void) state;
	(void) snprintf(log_path, sizeof(log_path), "/tmp/test_utils.XXXXXX");
	file = mkstemp(log_path);
	if (file < 0)
		return -1;
	(void) close(file);
	return 0;
}

static int
remove_log_file(void **state)
{
	(void) state;
	log_set_nonblocking(false);
	log_set_process("");
	(void) log_open("info", "json", "stderr");
	return unlink(log_path);
}

/* The whole file, to be freed. */
static char *
read_log(void)
{
	FILE *file = fopen(log_path, "re");
	char *text = calloc(1, 1 << 20);

	assert_non_null(file);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, file) < (1 << 20) - 1);
	(void) fclose(file);
	return text;
}

static json_t *
parse_line(const char *line, size_t length)
{
	json_error_t error;
	json_t *object =
		json_loadb(line, length, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);

	if (object == NULL)
		fail_msg("%s: %.*s", error.text, (int) length, line);
	assert_true(json_is_object(object));
	return object;
}

static const char *
string_of(json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text == NULL ? "(none)" : text;
}

static void
line_has_the_shape_of_etcd(void **state)
{
	char *text;
	json_t *line;
	int year;

	(void) state;
	assert_int_equal(log_open("info", "json", log_path), RUSD_OK);
	log_set_process("tester");
	log_debug("not shown");
	errno = EINTR;
	log_info("ready to serve client requests", LOG_TEXT("address", "127.0.0.1:2379"),
			 LOG_INTEGER("less", -5), LOG_UNSIGNED("more", UINT64_MAX), LOG_ID("id", 0xabcdef12),
			 LOG_BOOL("yes", true), LOG_TIME("took", 1500000), LOG_TEXT("nothing", NULL),
			 LOG_ERRNO(-ENOENT));
	assert_int_equal(errno, EINTR);
	text = read_log();
	assert_int_equal(strncmp(text, "{\"level\":\"info\",\"ts\":\"", 22), 0);
	assert_int_equal(strcspn(text, "\n"), strlen(text) - 1);
	line = parse_line(text, strlen(text));
	assert_int_equal(sscanf(string_of(line, "ts"), "%4d-", &year), 1);
	assert_in_range(year, 2020, 2100);
	assert_int_equal(strlen(string_of(line, "ts")), 27);
	assert_int_equal(strncmp(string_of(line, "caller"), "unit/test_utils.c:", 18), 0);
	assert_string_equal(string_of(line, "msg"), "ready to serve client requests");
	assert_string_equal(string_of(line, "address"), "127.0.0.1:2379");
	assert_int_equal((int64_t) json_number_value(json_object_get(line, "less")), -5);
	assert_non_null(strstr(text, "\"more\":18446744073709551615,"));
	assert_string_equal(string_of(line, "id"), "abcdef12");
	assert_true(json_is_true(json_object_get(line, "yes")));
	assert_string_equal(string_of(line, "took"), "1.5ms");
	assert_string_equal(string_of(line, "nothing"), "");
	assert_string_equal(string_of(line, "error"), "No such file or directory");
	assert_string_equal(string_of(line, "process"), "tester");
	assert_int_equal((int64_t) json_number_value(json_object_get(line, "pid")), getpid());
	json_decref(line);
	free(text);
}

static LogEvent
event_with(const char *message, const LogField *fields, int count)
{
	return (LogEvent){.level = LOG_WARN,
					  .wall_ns = 1790000000123456789u,
					  .file = "src/backend/utils/log.c",
					  .line = 7,
					  .message = message,
					  .process = "",
					  .fields = fields,
					  .count = count};
}

static void
times_agree_with_gmtime(void **state)
{
	char buffer[LOG_LINE_SIZE];
	LogEvent event = event_with("m", NULL, 0);

	(void) state;
	for (int i = 0; i < 20000; i++)
	{
		time_t seconds = i < 4000 ? (time_t) i * 86400 * 11 : (time_t) next_random(UINT32_MAX) * 3;
		struct tm tm;
		char want[64];

		event.wall_ns = (uint64_t) seconds * 1000000000u + 987654321u;
		(void) logline_json(buffer, &event);
		assert_non_null(gmtime_r(&seconds, &tm));
		(void) strftime(want, sizeof(want), "\"ts\":\"%Y-%m-%dT%H:%M:%S.987654Z\"", &tm);
		if (strncmp(buffer + 16, want, strlen(want)) != 0)
			fail_msg("%s is not %.40s", want, buffer + 16);
	}
}

/* Any bytes, any length: one line, one JSON object, at most LOG_LINE_SIZE. */
static void
any_text_gives_one_valid_line(void **state)
{
	static char long_text[3][6000];
	char buffer[LOG_LINE_SIZE];

	(void) state;
	for (int round = 0; round < 4000; round++)
	{
		LogField fields[3] = {LOG_TEXT("a", long_text[0]), LOG_TEXT("b", long_text[1]),
							  LOG_UNSIGNED("number", UINT64_MAX)};
		LogEvent event = event_with(long_text[2], fields, 3);
		size_t length;
		json_t *line;

		for (int i = 0; i < 3; i++)
		{
			uint32_t size = next_random(1u << next_random(13)) % 5999;
			uint32_t range = round % 3 == 0 ? 255 : 127;

			for (uint32_t k = 0; k < size; k++)
				long_text[i][k] = (char) (1 + next_random(range));
			long_text[i][size] = '\0';
		}
		if (round % 5 == 0)
			event.process = "walwriter";
		event.dropped = round % 7 == 0 ? 12345 : 0;
		length = logline_json(buffer, &event);
		assert_in_range(length, 1, LOG_LINE_SIZE);
		assert_int_equal(buffer[length - 1], '\n');
		assert_ptr_equal(memchr(buffer, '\n', length), buffer + length - 1);
		line = parse_line(buffer, length);
		/* Short ones are whole, long ones say that they are not. */
		if (json_object_get(line, "truncated") == NULL)
			assert_non_null(json_object_get(line, "number"));
		else
			assert_true(strlen(long_text[0]) + strlen(long_text[1]) + strlen(long_text[2]) > 600);
		json_decref(line);

		length = logline_console(buffer, &event);
		assert_in_range(length, 1, LOG_LINE_SIZE);
		assert_ptr_equal(memchr(buffer, '\n', length), buffer + length - 1);
		line = parse_line((char *) memrchr(buffer, '\t', length) + 1,
						  length - (size_t) ((char *) memrchr(buffer, '\t', length) + 1 - buffer));
		json_decref(line);
	}
}

/* Around the length at which a line just fits, byte by byte. */
static void
lines_are_cut_at_every_length(void **state)
{
	static char text[5000];
	char buffer[LOG_LINE_SIZE];
	bool cut = false;

	(void) state;
	for (int size = 3800; size < 4100; size++)
	{
		LogField fields[3] = {LOG_TEXT("text", text), LOG_BOOL("flag", true),
							  LOG_TEXT("more", "\n")};
		LogEvent event = event_with("message", fields, 3);
		json_t *line;
		size_t length;

		memset(text, 'x', (size_t) size);
		text[size] = '\0';
		length = logline_json(buffer, &event);
		assert_in_range(length, 1, LOG_LINE_SIZE);
		line = parse_line(buffer, length);
		if (cut)
			assert_true(json_is_true(json_object_get(line, "truncated")));
		else
			cut = json_object_get(line, "truncated") != NULL;
		json_decref(line);
		for (int count = 0; count <= 3; count += 3)
		{
			event = event_with(text, fields + 1, count == 0 ? 0 : 2);
			length = logline_console(buffer, &event);
			assert_in_range(length, 1, LOG_LINE_SIZE);
			assert_int_equal(buffer[length - 1], '\n');
		}
	}
	assert_true(cut);
}

static void
bytes_are_escaped_as_etcd_does(void **state)
{
	char buffer[LOG_LINE_SIZE];
	LogField field =
		LOG_TEXT("t", "a\"b\\c\n\r\t\001\177<>&\303\251\xff\355\240\200\xf0\x9f\x98\x80\xc3");
	LogEvent event = event_with("m", &field, 1);

	(void) state;
	buffer[logline_json(buffer, &event)] = '\0';
	assert_non_null(strstr(buffer, "\"t\":\"a\\\"b\\\\c\\n\\r\\t\\u0001\177<>&\303\251\\ufffd"
								   "\\ufffd\\ufffd\\ufffd\xf0\x9f\x98\x80\\ufffd\"}\n"));
}

static void
a_name_stands_once_in_a_line(void **state)
{
	char buffer[LOG_LINE_SIZE];
	LogField fields[] = {LOG_INTEGER("pid", 3), LOG_TEXT("process", "other")};
	LogEvent event = event_with("m", fields, 2);

	(void) state;
	event.process = "raft";
	event.pid = 4;
	json_decref(parse_line(buffer, logline_json(buffer, &event)));
	assert_null(strstr(buffer, "raft"));
}

static void
console_lines_are_for_people(void **state)
{
	char buffer[LOG_LINE_SIZE];
	LogField fields[] = {LOG_TEXT("a", "b c"), LOG_INTEGER("n", 3)};
	LogEvent event = event_with("the message", fields, 2);

	(void) state;
	buffer[logline_console(buffer, &event)] = '\0';
	assert_string_equal(buffer, "2026-09-21T14:13:20.123456Z\twarn\tutils/log.c:7\tthe message\t"
								"{\"a\": \"b c\", \"n\": 3}\n");
	event.count = 0;
	buffer[logline_console(buffer, &event)] = '\0';
	assert_string_equal(buffer, "2026-09-21T14:13:20.123456Z\twarn\tutils/log.c:7\tthe message\n");
}

static void
outputs_and_levels_are_checked(void **state)
{
	char list[200];
	char *text;

	(void) state;
	assert_int_equal(log_open("loud", "json", "stderr"), RUSD_INVALID);
	assert_int_equal(log_open("info", "xml", "stderr"), RUSD_INVALID);
	assert_int_equal(log_open("info", "json", ""), RUSD_INVALID);
	assert_int_equal(log_open("info", "json", "stderr,"), RUSD_INVALID);
	assert_int_equal(
		log_open("info", "json", "stderr,stderr,stderr,stderr,stderr,stderr,stderr,stderr,stderr"),
		RUSD_INVALID);
	/* What had been opened is still used. */
	assert_int_equal(log_open("warn", "json", log_path), RUSD_OK);
	(void) snprintf(list, sizeof(list), "%s,/nonexistent/directory/log", log_path);
	assert_int_equal(log_open("debug", "json", list), RUSD_IO);
	log_info("too low");
	assert_int_equal(log_set_level("loud"), RUSD_INVALID);
	assert_int_equal(log_set_level("debug"), RUSD_OK);
	log_debug("low enough");
	text = read_log();
	assert_null(strstr(text, "too low"));
	assert_non_null(strstr(text, "low enough"));
	free(text);
}

static void
level_changes_in_all_processes(void **state)
{
	int go[2];
	int done[2];
	pid_t child;
	int status;
	char byte;

	(void) state;
	assert_int_equal(log_open("info", "json", log_path), RUSD_OK);
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(done), 0);
	child = fork();
	if (child == 0)
	{
		bool before = log_enabled(LOG_DEBUG);

		if (write(done[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(9);
		_exit(before ? 1 : log_enabled(LOG_DEBUG) ? 0 : 2);
	}
	assert_int_equal(read(done[0], &byte, 1), 1);
	assert_int_equal(log_set_level("debug"), RUSD_OK);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (int i = 0; i < 2; i++)
	{
		(void) close(go[i]);
		(void) close(done[i]);
	}
}

static void
log_files_are_opened_again(void **state)
{
	char moved[80];
	char *text;

	(void) state;
	assert_int_equal(log_open("info", "json", log_path), RUSD_OK);
	log_info("first");
	(void) snprintf(moved, sizeof(moved), "%s.1", log_path);
	assert_int_equal(rename(log_path, moved), 0);
	log_info("second");
	log_reopen();
	log_info("third");
	text = read_log();
	assert_null(strstr(text, "second"));
	assert_non_null(strstr(text, "third"));
	free(text);
	assert_int_equal(unlink(moved), 0);
}

/* ---- the log and a reader that does not read ---- */

/* Puts fd in the place of stderr while the log is opened; both are restored at the end. */
static int saved_stderr = -1;

static void
log_to(int fd)
{
	saved_stderr = dup(STDERR_FILENO);
	assert_true(saved_stderr >= 0);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	assert_int_equal(log_open("info", "json", "default"), RUSD_OK);
	log_set_process("tester");
}

static void
log_back(void)
{
	assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
	(void) close(saved_stderr);
	log_set_nonblocking(false);
	assert_int_equal(log_open("info", "json", "default"), RUSD_OK);
}

static void
full_output_does_not_block(int reader, int writer)
{
	char buffer[LOG_LINE_SIZE * 4];
	uint64_t lost;
	int lines = 0;
	ssize_t got;
	bool told = false;

	log_to(writer);
	log_set_nonblocking(true);
	while (log_dropped() < 10)
		log_info("a line that nobody reads", LOG_INTEGER("n", lines++));
	lost = log_dropped();
	/* Whoever shares our stderr is not changed by us. */
	assert_int_equal(fcntl(writer, F_GETFL) & O_NONBLOCK, 0);
	assert_true(fcntl(reader, F_SETFL, O_NONBLOCK) == 0);
	while ((got = read(reader, buffer, sizeof(buffer))) > 0)
		;
	assert_int_equal(log_dropped(), lost);
	log_info("again");
	assert_int_equal(log_dropped(), 0);
	got = read(reader, buffer, sizeof(buffer));
	assert_true(got > 0);
	{
		json_t *line = parse_line(buffer, (size_t) got);

		told =
			(int64_t) json_number_value(json_object_get(line, "dropped-lines")) == (int64_t) lost;
		json_decref(line);
	}
	assert_true(told);
	log_back();
}

static void
full_pipe_does_not_block(void **state)
{
	int ends[2];

	(void) state;
	assert_int_equal(pipe(ends), 0);
	full_output_does_not_block(ends[0], ends[1]);
	(void) close(ends[0]);
	(void) close(ends[1]);
}

static void
full_socket_does_not_block(void **state)
{
	int ends[2];

	(void) state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	full_output_does_not_block(ends[0], ends[1]);
	(void) close(ends[0]);
	(void) close(ends[1]);
}

/* Four processes write into one pipe, some of them impatient: every line arrives whole. */
static void
lines_of_processes_do_not_mix(void **state)
{
	enum
	{
		PROCESSES = 4,
		LINES = 300
	};
	char *text = malloc(PROCESSES * LINES * LOG_LINE_SIZE);
	size_t used = 0;
	int ends[2];
	int seen = 0;
	ssize_t got;

	(void) state;
	assert_non_null(text);
	assert_int_equal(pipe(ends), 0);
	log_to(ends[1]);
	for (int p = 0; p < PROCESSES; p++)
	{
		if (fork() == 0)
		{
			static char filler[3900];

			(void) close(ends[0]);
			log_set_process("writer");
			log_set_nonblocking(p == 0);
			for (int i = 0; i < LINES; i++)
			{
				memset(filler, 'a' + p, sizeof(filler) - 1);
				filler[(i * 677 + p) % 3899] = '\0';
				log_info("line", LOG_TEXT("filler", filler));
			}
			_exit(0);
		}
	}
	log_back();
	(void) close(ends[1]);
	while ((got = read(ends[0], text + used, PROCESSES * LINES * LOG_LINE_SIZE - used)) > 0)
		used += (size_t) got;
	for (char *line = text; line < text + used;)
	{
		char *end = memchr(line, '\n', (size_t) (text + used - line));
		json_t *object;

		assert_non_null(end);
		object = parse_line(line, (size_t) (end - line));
		assert_string_equal(string_of(object, "msg"), "line");
		json_decref(object);
		seen++;
		line = end + 1;
	}
	/* Those of the patient ones, all of them. */
	assert_in_range(seen, (PROCESSES - 1) * LINES, PROCESSES * LINES);
	for (int p = 0; p < PROCESSES; p++)
		assert_true(wait(NULL) > 0);
	(void) close(ends[0]);
	free(text);
}

/* ---- ends of a process ---- */

static void
child_ends(int what, int want_exit, int want_signal, const char *want_text)
{
	pid_t child;
	int status;
	char *text;

	assert_int_equal(log_open("info", "json", log_path), RUSD_OK);
	child = fork();
	if (child == 0)
	{
		if (what == 0)
			check_failed("1 > 2", "some/file.c", 77);
		if (what == 1)
			log_stop("the disk is gone", LOG_ERRNO(EIO));
		if (what == 2)
			log_at(LOG_FATAL, "cannot go on");
		if (what == 3)
			log_at(LOG_PANIC, "must not go on");
		_exit(99);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (want_signal != 0)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == want_signal);
	else
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == want_exit);
	text = read_log();
	assert_non_null(strstr(text, want_text));
	free(text);
}

static void
processes_end_as_they_say(void **state)
{
	(void) state;
	child_ends(0, 0, SIGABRT,
			   "\"caller\":\"some/file.c:77\",\"msg\":\"check failed\",\"condition\":\"1 > 2\"");
	child_ends(1, EXIT_STOP, 0, "\"msg\":\"the disk is gone\",\"error\":\"Input/output error\"");
	child_ends(2, 1, 0, "{\"level\":\"fatal\"");
	child_ends(3, 0, SIGABRT, "{\"level\":\"panic\"");
}

#define log_test(function) cmocka_unit_test_setup_teardown(function, open_log_file, remove_log_file)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_blocks_do_not_overlap),
		cmocka_unit_test(arena_of_nothing_has_distinct_addresses),
		cmocka_unit_test(arena_keeps_within_its_budget),
		cmocka_unit_test(arena_reset_keeps_a_small_chunk),
		cmocka_unit_test(arena_survives_failure_at_each_call),
		cmocka_unit_test(statuses_have_text_code_and_name),
		cmocka_unit_test(durations_are_read_as_go_reads_them),
		cmocka_unit_test(durations_are_written_as_go_writes_them),
		cmocka_unit_test(sizes_are_read_and_written),
		log_test(line_has_the_shape_of_etcd),
		cmocka_unit_test(times_agree_with_gmtime),
		cmocka_unit_test(any_text_gives_one_valid_line),
		cmocka_unit_test(lines_are_cut_at_every_length),
		cmocka_unit_test(bytes_are_escaped_as_etcd_does),
		cmocka_unit_test(a_name_stands_once_in_a_line),
		cmocka_unit_test(console_lines_are_for_people),
		log_test(outputs_and_levels_are_checked),
		log_test(level_changes_in_all_processes),
		log_test(log_files_are_opened_again),
		cmocka_unit_test(full_pipe_does_not_block),
		cmocka_unit_test(full_socket_does_not_block),
		cmocka_unit_test(lines_of_processes_do_not_mix),
		log_test(processes_end_as_they_say),
	};

	return cmocka_run_group_tests_name("utils", tests, NULL, NULL);
}
