/*
 * startup.c
 *	  The startup process: makes a new member, or finds out what the disk holds of an old one.
 *
 * Forked before any other and gone before any other begins.  Everything that may block on disks or
 * fail on damage at start happens here (startup/startup.h), and not in the postmaster.
 *
 * src/backend/postmaster/startup.c
 */
#include "rusd.h"

#include <signal.h>
#include <unistd.h>

#include "consensus/publication.h"
#include "postmaster_int.h"
#include "remote.h"
#include "startup/startup.h"
#include "utils/config.h"
#include "utils/log.h"

static Status bootstrap(Shm *shm, char *message, size_t message_size);
static Status found_cluster(Shm *shm, const InitialCluster *cluster, char *message,
							size_t message_size);
static Status join_cluster(Shm *shm, const InitialCluster *cluster, char *message,
						   size_t message_size);
static Status force_new_cluster(Shm *shm, char *message, size_t message_size);

does_not_return void
startup_main(Shm *shm)
{
	const NodeRecovered *found = shm->recovered;
	char message[768] = "";
	Status status = node_start(shm, my_fs, NULL, message, sizeof(message));

	if (status == RUSD_NOT_FOUND)
		status = bootstrap(shm, message, sizeof(message));
	else if (status == RUSD_OK && config.force_new_cluster)
		status = force_new_cluster(shm, message, sizeof(message));
	if (status != RUSD_OK)
		log_stop("the node cannot start", LOG_TEXT("error", status_text(status)),
				 LOG_TEXT("detail", message));
	log_info("recovered the log", LOG_ID("cluster-id", found->cluster_id),
			 LOG_ID("local-member-id", found->member_id),
			 LOG_UNSIGNED("checkpoint-index", found->applied_index),
			 LOG_UNSIGNED("commit-index", found->hard_state.commit_index),
			 LOG_UNSIGNED("last-index", found->last_index),
			 LOG_UNSIGNED("term", found->hard_state.term));
	_exit(0);
}

typedef struct Founder
{
	uint64_t id;
	const InitialMember *member;
} Founder;

static int
compare_founders(const void *left, const void *right)
{
	uint64_t a = ((const Founder *) left)->id;
	uint64_t b = ((const Founder *) right)->id;

	return (a > b) - (a < b);
}

/* CLUSTER-5: peer URLs, no name; the one with that index is judged by what the ones before it have left. */
static Bytes
encode_founder(const Founder *founder, uint32_t judged_at)
{
	EntryMember entry = {.member_id = founder->id,
						 .action = MEMBER_ADD,
						 .max_learners = 1,
						 .peer_url_count = (uint32_t) founder->member->url_count,
						 .judged_at = judged_at};
	const char *texts[CONFIG_URLS_MAX];

	for (int i = 0; i < founder->member->url_count; i++)
		texts[i] = founder->member->urls[i].text;
	return member_entry_encode(&entry, "", texts);
}

static uint64_t
founder_id(const InitialMember *member)
{
	char *texts[CONFIG_URLS_MAX];

	for (int i = 0; i < member->url_count; i++)
		texts[i] = (char *) (uintptr_t) member->urls[i].text;
	return member_id_compute(texts, (uint32_t) member->url_count, config.initial_cluster_token);
}

static Status
bootstrap(Shm *shm, char *message, size_t message_size)
{
	static InitialCluster cluster;

	if (*config.discovery_srv != '\0' && discover_initial_cluster() != RUSD_OK)
		_exit(EXIT_STOP);
	if (config_initial_cluster(&cluster) != RUSD_OK)
		_exit(EXIT_STOP);
	return strcmp(config.initial_cluster_state, "existing") == 0
			   ? join_cluster(shm, &cluster, message, message_size)
			   : found_cluster(shm, &cluster, message, message_size);
}

/* Its log is empty: the members are told by the entries, or the state, that it gets from the leader. */
static Status
join_cluster(Shm *shm, const InitialCluster *cluster, char *message, size_t message_size)
{
	static RemoteCluster remote;
	NodeBootstrap start = {.entry_count = 0};
	char error[REMOTE_ERROR_SIZE] = "";

	if (remote_cluster_join(cluster, &remote, &start.member_id, error) != RUSD_OK)
	{
		log_error("failed to bootstrap", LOG_TEXT("error", error));
		_exit(EXIT_STOP);
	}
	start.cluster_id = remote.cluster_id;
	log_info("joining a cluster", LOG_ID("cluster-id", start.cluster_id),
			 LOG_ID("local-member-id", start.member_id),
			 LOG_TEXT("initial-cluster", config.initial_cluster),
			 LOG_TEXT("initial-advertise-peer-urls", config.initial_advertise_peer_urls));
	return node_start(shm, my_fs, &start, message, message_size);
}

/* The postmaster ends connections of members meanwhile. */
static void
tell_founding(Shm *shm, uint32_t founding)
{
	atomic_store_explicit(&shm->requests->founding, founding, memory_order_release);
	(void) kill(getppid(), SIGCHLD);
}

/*
 * A new cluster of the members of --initial-cluster (BOOT-21).  Each of them makes the same log: ids follow from URLs and
 * token, and the entries come in the order of ids.
 */
static Status
found_cluster(Shm *shm, const InitialCluster *cluster, char *message, size_t message_size)
{
	static Founder founders[CONFIG_INITIAL_MEMBERS_MAX];
	static InitialEntry entries[CONFIG_INITIAL_MEMBERS_MAX];
	uint64_t ids[CONFIG_INITIAL_MEMBERS_MAX];
	NodeBootstrap start = {.entries = entries};
	char error[REMOTE_ERROR_SIZE] = "";
	Status status;

	for (uint32_t i = 0; i < cluster->count; i++)
		founders[i] = (Founder){founder_id(&cluster->members[i]), &cluster->members[i]};
	qsort(founders, cluster->count, sizeof(Founder), compare_founders);
	for (uint32_t i = 0; i < cluster->count; i++)
	{
		ids[i] = founders[i].id;
		entries[i] =
			(InitialEntry){.kind = ENTRY_MEMBER, .payload = encode_founder(&founders[i], i)};
		if (founders[i].member == cluster->own)
			start.member_id = founders[i].id;
	}
	start.entry_count = cluster->count;
	start.cluster_id = cluster_id_compute(ids, cluster->count);
	tell_founding(shm, 1);
	status = remote_cluster_lacks(cluster, start.cluster_id, start.member_id, error);
	tell_founding(shm, 0);
	if (status != RUSD_OK)
	{
		log_error("failed to bootstrap", LOG_TEXT("error", error));
		_exit(EXIT_STOP);
	}
	log_info("starting a new cluster", LOG_ID("cluster-id", start.cluster_id),
			 LOG_ID("local-member-id", start.member_id),
			 LOG_TEXT("initial-cluster", config.initial_cluster),
			 LOG_TEXT("initial-advertise-peer-urls", config.initial_advertise_peer_urls),
			 LOG_TEXT("initial-cluster-token", config.initial_cluster_token));
	return node_start(shm, my_fs, &start, message, message_size);
}

static Status
force_new_cluster(Shm *shm, char *message, size_t message_size)
{
	uint32_t removed;
	Status status = node_force_single(shm, my_fs, &removed, message, message_size);

	if (status == RUSD_OK)
		log_warn(
			"made a cluster of this member alone; start it without --force-new-cluster from now on",
			LOG_ID("cluster-id", shm->recovered->cluster_id),
			LOG_ID("local-member-id", shm->recovered->member_id),
			LOG_UNSIGNED("members-removed", removed));
	return status;
}
