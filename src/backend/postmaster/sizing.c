/*
 * sizing.c
 *	  How large shared memory is, how many connections there may be, and the bound that follows.
 *
 * src/backend/postmaster/sizing.c
 */
#include "rusd.h"

#include <sys/resource.h>
#include <unistd.h>

#include "pagecache/checkpoint.h"
#include "pagecache/page.h"
#include "postmaster_int.h"
#include "tls/contexts.h"
#include "utils/config.h"
#include "utils/log.h"
#include "wal/recovery.h"

#define MIB ((uint64_t) 1024 * 1024)
#define QUOTA_DEFAULT ((uint64_t) 2 * 1024 * MIB)
/* A backend beside its share of --backend-memory: its pages of code and heap, its part of the
 * kernel's memory. */
#define BACKEND_FIXED (1 * MIB)
/* Session, certificates and records of TLS. */
#define TLS_FIXED (512 * 1024)
#define SOCKET_BUFFERS (256 * 1024)
/* Processes that are not ours, and threads of others, also count against the limits of processes.
 */
#define PROCESSES_SPARE 32

static uint64_t data_file_bytes(void);
static uint64_t round_up_to_power(uint64_t value);
static uint64_t machine_memory(void);
static uint64_t pids_max(void);
static uint64_t default_cache(uint64_t data_bytes);
static void warn_of_cache(uint64_t cache);
static uint64_t raised(const char *flag, uint64_t asked, uint64_t least);

static bool
clients_may_be_local(void)
{
	ConfigUrl urls[LISTEN_MAX];
	int count = config_urls(config.listen_client_urls, urls, LISTEN_MAX);

	for (int i = 0; i < count; i++)
	{
		if (urls[i].scheme[0] == 'u')
			return true;
	}
	return false;
}

bool
sizing_layout(ShmLayout *layout)
{
	uint64_t data_bytes = data_file_bytes();
	uint64_t cache = (uint64_t) config.page_cache_size;
	/* A batch holds one whole request at least and fills a quarter of buffers and segment at most.
	 */
	uint64_t least = round_up_to_power(4 * ((uint64_t) config.max_request_bytes + 64 * 1024));
	uint64_t on_disk;

	if (cache == 0)
		cache = default_cache(data_bytes);
	cache = Max(cache, (uint64_t) PAGE_CACHE_LEAST);
	if (data_bytes > cache)
	{
		log_error("the data do not fit into the page cache; give it at least the size named here, "
				  "by --page-cache-size",
				  LOG_UNSIGNED("data-bytes", data_bytes), LOG_UNSIGNED("page-cache-bytes", cache),
				  LOG_UNSIGNED("needed-bytes", data_bytes + data_bytes / 2));
		return false;
	}
	warn_of_cache(cache);
	layout->frame_count = cache / PAGE_BYTES;
	layout->link_slots = LINK_SLOTS;
	layout->local_slots = clients_may_be_local() ? LOCAL_SLOTS : 0;
	layout->slot_count = shm_first_backend(layout) + sizing_connections() + layout->local_slots;
	layout->wal_buffer_bytes = raised("wal-buffers", (uint64_t) config.wal_buffers, least);
	layout->wal_segment_bytes =
		raised("wal-segment-size", (uint64_t) config.wal_segment_size, least);
	/* Positions in an existing log follow from the size that it was begun with. */
	if (wal_segment_bytes_on_disk(my_fs, &on_disk) == RUSD_OK &&
		on_disk != layout->wal_segment_bytes)
	{
		if (on_disk < least)
		{
			log_error("--max-request-bytes is too large for the log segments of this data "
					  "directory; give it "
					  "at most what is named here, or make the member anew with a larger "
					  "--wal-segment-size",
					  LOG_UNSIGNED("segment-bytes", on_disk), LOG_UNSIGNED("needed-bytes", least),
					  LOG_UNSIGNED("largest-max-request-bytes", on_disk / 4 - 64 * 1024));
			return false;
		}
		log_warn("the size of log segments is that of the existing log",
				 LOG_UNSIGNED("segment-bytes", on_disk));
		layout->wal_segment_bytes = on_disk;
	}
	return true;
}

static void
warn_of_cache(uint64_t cache)
{
	uint64_t quota =
		config.quota_backend_bytes == 0 ? QUOTA_DEFAULT : (uint64_t) config.quota_backend_bytes;

	if (config.quota_backend_bytes >= 0 && cache < quota)
		log_warn(
			"the quota is larger than the page cache: writes will be refused when the cache is "
			"full; raise --page-cache-size or lower --quota-backend-bytes",
			LOG_UNSIGNED("page-cache-bytes", cache), LOG_UNSIGNED("quota-bytes", quota));
	if (cache > machine_memory())
		log_warn("the page cache is larger than the memory of this machine",
				 LOG_UNSIGNED("page-cache-bytes", cache),
				 LOG_UNSIGNED("memory-bytes", machine_memory()));
}

/* A power of two that one batch of any allowed request fits into. */
static uint64_t
raised(const char *flag, uint64_t asked, uint64_t least)
{
	uint64_t bytes = Max(round_up_to_power(asked), least);

	if (bytes != asked)
		log_warn("a size is raised: it must be a power of two and have room for four requests of "
				 "--max-request-bytes",
				 LOG_TEXT("flag", flag), LOG_UNSIGNED("asked-bytes", asked),
				 LOG_UNSIGNED("bytes", bytes));
	return bytes;
}

uint32_t
sizing_connections(void)
{
	uint64_t wanted = (uint64_t) config.max_connections;
	uint64_t allowed = MAX_SLOTS - PROC_ESSENTIAL_COUNT - LINK_SLOTS - LOCAL_SLOTS;
	struct rlimit limit;
	const char *by = "slots";

	if (getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && geteuid() != 0)
	{
		uint64_t processes =
			limit.rlim_cur > PROCESSES_SPARE ? limit.rlim_cur - PROCESSES_SPARE : 1;

		if (processes < allowed)
		{
			allowed = processes;
			by = "RLIMIT_NPROC";
		}
	}
	if (pids_max() != 0)
	{
		uint64_t processes = pids_max() > PROCESSES_SPARE ? pids_max() - PROCESSES_SPARE : 1;

		if (processes < allowed)
		{
			allowed = processes;
			by = "pids.max";
		}
	}
	if (wanted > allowed)
	{
		log_warn("--max-connections is lowered to what the machine allows",
				 LOG_UNSIGNED("asked", wanted), LOG_UNSIGNED("allowed", allowed),
				 LOG_TEXT("by", by));
		wanted = allowed;
	}
	return (uint32_t) wanted;
}

void
sizing_log_bound(const ShmLayout *layout)
{
	uint64_t connections = layout->slot_count - shm_first_backend(layout);
	uint64_t cache = layout->frame_count * PAGE_BYTES;
	uint64_t shared = shm_bytes(layout);
	/* A page table entry of 8 bytes for each page of 4 kB that a process has touched. */
	uint64_t page_tables = cache / 512;
	uint64_t fixed = BACKEND_FIXED + SOCKET_BUFFERS + page_tables + (tls_in_use() ? TLS_FIXED : 0);
	uint64_t bound = shared + connections * fixed + (uint64_t) config.backend_memory +
					 PROC_ESSENTIAL_COUNT * fixed;

	log_info("this configuration can use at most so much memory",
			 LOG_UNSIGNED("bound-bytes", bound), LOG_UNSIGNED("shared-bytes", shared),
			 LOG_UNSIGNED("page-cache-bytes", cache),
			 LOG_UNSIGNED("max-connections", connections - layout->local_slots),
			 LOG_UNSIGNED("fixed-bytes-per-connection", fixed),
			 LOG_UNSIGNED("backend-memory-bytes", config.backend_memory));
}

/* Of what the last checkpoint holds; the file may be longer, by what it has in store. */
static uint64_t
data_file_bytes(void)
{
	static ControlRecord control;
	char name[DATA_NAME_BYTES];
	int file;
	int64_t bytes;

	if (control_read(my_fs, &control) == RUSD_OK)
		return control.root.pages_end * PAGE_BYTES;
	data_file_name(name, 0);
	file = my_fs->open(my_fs, name, 0);
	if (file < 0)
		return 0;
	bytes = my_fs->size(my_fs, file);
	my_fs->close(my_fs, file);
	return bytes > 0 ? (uint64_t) bytes : 0;
}

/* Half as large again as the larger of quota and data; without a quota half of the memory. */
static uint64_t
default_cache(uint64_t data_bytes)
{
	uint64_t base;

	if (config.quota_backend_bytes < 0)
		return Max(machine_memory() / 2, data_bytes + data_bytes / 2);
	base = config.quota_backend_bytes == 0 ? QUOTA_DEFAULT : (uint64_t) config.quota_backend_bytes;
	base = Max(base, data_bytes);
	return base + base / 2;
}

static uint64_t
round_up_to_power(uint64_t value)
{
	uint64_t power = 64 * 1024;

	while (power < value)
		power *= 2;
	return power;
}

static uint64_t
machine_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	long bytes = sysconf(_SC_PAGESIZE);

	return pages > 0 && bytes > 0 ? (uint64_t) pages * (uint64_t) bytes : 1024 * MIB;
}

/* Limit of the control group on processes, of either version; 0: none known. */
static uint64_t
pids_max(void)
{
	static const char *const places[] = {"/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"};

	for (size_t i = 0; i < lengthof(places); i++)
	{
		FILE *file = fopen(places[i], "re");
		unsigned long long value = 0;
		int found = file == NULL ? 0 : fscanf(file, "%llu", &value);

		if (file != NULL)
			fclose(file);
		if (found == 1 && value > 0)
			return value;
	}
	return 0;
}
