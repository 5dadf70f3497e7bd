/*
 * startup.c
 *	  The startup process: makes a new member, or finds out what the disk holds of an old one.
 *
 * Forked before any other and gone before any other begins; so it may write regions that later have
 * other owners: it leaves what it found in shm->recovered, the checkpoint's root, and the positions
 * from which walwriter, raft and applier go on.  Everything that may block on disks or fail on
 * damage at start happens here, and not in the postmaster.
 *
 * src/backend/postmaster/startup.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <unistd.h>

#include "consensus/publication.h"
#include "pagecache/checkpoint.h"
#include "postmaster_int.h"
#include "utils/config.h"
#include "utils/log.h"
#include "wal/recovery.h"

static void bootstrap(uint64_t segment_bytes);
static void recover(Shm *shm, const ControlRecord *control, bool has_control, bool is_new);
static void check_data_file(const ControlRecord *control);
static void first_control(const NodeRecovered *found, uint64_t frame_count, ControlRecord *control);
static void fill_positions(Shm *shm, const ControlRecord *control);

does_not_return void
startup_main(Shm *shm)
{
	ControlRecord *control = calloc(1, sizeof(*control));
	Status status;
	bool has_control;
	uint64_t segment_bytes;

	Check(control != NULL);
	status = control_read(my_fs, control);
	if (status != RUSD_OK && status != RUSD_NOT_FOUND)
		log_stop("no copy of the control record can be read",
				 LOG_TEXT("error", status_text(status)));
	has_control = status == RUSD_OK;
	status = wal_segment_bytes_on_disk(my_fs, &segment_bytes);
	if (status == RUSD_NOT_FOUND && has_control)
		log_stop("there is a control record but no log");
	if (status != RUSD_OK && status != RUSD_NOT_FOUND)
		log_stop("the log cannot be read", LOG_TEXT("error", status_text(status)));
	if (status == RUSD_NOT_FOUND)
		bootstrap(shm->layout.wal_segment_bytes);
	recover(shm, control, has_control, status == RUSD_NOT_FOUND);
	if (!has_control)
		first_control(shm->recovered, shm->layout.frame_count, control);
	fill_positions(shm, control);
	free(control);
	_exit(0);
}

/* A new cluster of which this is the only member (BOOT-21; its name and URLs have been checked with
 * the parameters). */
static void
bootstrap(uint64_t segment_bytes)
{
	ConfigUrl urls[16];
	char *texts[16];
	int count = config_urls(config.initial_advertise_peer_urls, urls, 16);
	uint64_t member_id;
	uint64_t cluster_id;
	RaftConfiguration configuration = {.member_count = 1};
	InitialEntry entry = {.kind = ENTRY_MEMBER};
	Status status;

	if (config_check_bootstrap() != RUSD_OK)
		_exit(EXIT_STOP);
	Check(count > 0);
	for (int i = 0; i < count; i++)
		texts[i] = urls[i].text;
	member_id = member_id_compute(texts, (uint32_t) count, config.initial_cluster_token);
	cluster_id = cluster_id_compute(&member_id, 1);
	configuration.members[0].id = member_id;
	entry.payload = publication_encode(MEMBER_ADD, member_id);
	status = wal_initialize(my_fs, segment_bytes, cluster_id, member_id, &configuration, &entry, 1);
	if (status != RUSD_OK)
		log_stop("could not make the log", LOG_TEXT("error", status_text(status)));
	log_info("starting a new cluster", LOG_ID("cluster-id", cluster_id),
			 LOG_ID("local-member-id", member_id),
			 LOG_TEXT("initial-advertise-peer-urls", config.initial_advertise_peer_urls),
			 LOG_TEXT("initial-cluster-token", config.initial_cluster_token));
}

static void
recover(Shm *shm, const ControlRecord *control, bool has_control, bool is_new)
{
	NodeRecovered *found = shm->recovered;
	char message[512] = "";
	Status status;

	memset(found, 0, sizeof(*found));
	/* A log that was just made has nothing to replay; else this may take its time. */
	if (!has_control && !is_new)
		log_warn("no control record; replaying the whole log");
	if (has_control)
	{
		check_data_file(control);
		found->applied_index = control->root.applied_index;
		found->applied_term = control->root.applied_term;
	}
	status = wal_recover(my_fs, found, message, sizeof(message));
	if (status != RUSD_OK)
		log_stop("the log cannot be recovered", LOG_TEXT("error", status_text(status)),
				 LOG_TEXT("detail", message));
	if (has_control &&
		(control->cluster_id != found->cluster_id || control->member_id != found->member_id))
		log_stop("control record and log belong to different members",
				 LOG_ID("control-member-id", control->member_id),
				 LOG_ID("log-member-id", found->member_id));
	log_info("recovered the log", LOG_ID("cluster-id", found->cluster_id),
			 LOG_ID("local-member-id", found->member_id),
			 LOG_UNSIGNED("checkpoint-index", found->applied_index),
			 LOG_UNSIGNED("commit-index", found->hard_state.commit_index),
			 LOG_UNSIGNED("last-index", found->last_index),
			 LOG_UNSIGNED("term", found->hard_state.term));
}

/* BOOT-31: a checkpoint whose pages are gone. */
static void
check_data_file(const ControlRecord *control)
{
	int file = my_fs->open(my_fs, "data", O_RDONLY);
	int64_t bytes;

	if (file == -ENOENT && control->root.pages_used > 0)
		log_stop("database file (data) of the backend is missing");
	if (file < 0)
		return;
	bytes = my_fs->size(my_fs, file);
	my_fs->close(my_fs, file);
	if (bytes >= 0 && (uint64_t) bytes < control->root.pages_used * PAGE_BYTES)
		log_stop("the data file is shorter than the checkpoint that it holds",
				 LOG_INTEGER("bytes", bytes),
				 LOG_UNSIGNED("expected-at-least", control->root.pages_used * PAGE_BYTES));
}

/*
 * A store without a checkpoint is the empty one, from which the whole log is replayed: a new
 * member, one that died before its first checkpoint, or one whose checkpoint was taken away on
 * purpose.
 */
static void
first_control(const NodeRecovered *found, uint64_t frame_count, ControlRecord *control)
{
	Status status;

	memset(control, 0, sizeof(*control));
	control->cluster_id = found->cluster_id;
	control->member_id = found->member_id;
	control->hard_state = found->hard_state;
	control->configuration = found->configuration;
	control->root = (RootState){.revision = 1,
								.compacted = -1,
								.compaction_done = -1,
								.frames_free = frame_count,
								.keys.page = PAGE_NONE,
								.revisions.page = PAGE_NONE,
								.system.page = PAGE_NONE};
	status = control_write(my_fs, control);
	if (status != RUSD_OK)
		log_stop("could not write the control record", LOG_TEXT("error", status_text(status)));
}

/* Walwriter, raft and applier go on from here. */
static void
fill_positions(Shm *shm, const ControlRecord *control)
{
	const NodeRecovered *found = shm->recovered;
	ShmPositions *positions = shm->positions;

	shm_root_write(shm, &control->root);
	atomic_store(&positions->appended, found->log_end);
	atomic_store(&positions->written, found->log_end);
	atomic_store(&positions->flushed, found->log_end);
	atomic_store(&positions->committed_by_flush, found->commit_position);
	atomic_store(&positions->applied_position, found->replay_position);
	atomic_store(&positions->applied_index, control->root.applied_index);
	atomic_store(&positions->durable_root, control->root.number);
	atomic_store(&positions->durable_index, control->root.applied_index);
	atomic_store(&shm->segments->ready_end, found->next_sequence);
	atomic_store(&shm->segments->salt[(found->next_sequence - 1) % WAL_READY_SEGMENTS],
				 found->segment_salt);
}
