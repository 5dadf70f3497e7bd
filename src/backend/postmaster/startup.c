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

#include <unistd.h>

#include "consensus/publication.h"
#include "postmaster_int.h"
#include "startup/startup.h"
#include "utils/config.h"
#include "utils/log.h"

static Status bootstrap(Shm *shm, char *message, size_t message_size);

does_not_return void
startup_main(Shm *shm)
{
	const NodeRecovered *found = shm->recovered;
	char message[768] = "";
	Status status = node_start(shm, my_fs, NULL, message, sizeof(message));

	if (status == RUSD_NOT_FOUND)
		status = bootstrap(shm, message, sizeof(message));
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

/* A new cluster of which this is the only member (BOOT-21; its name and URLs have been checked with
 * the parameters). */
static Status
bootstrap(Shm *shm, char *message, size_t message_size)
{
	ConfigUrl urls[16];
	char *texts[16];
	int count = config_urls(config.initial_advertise_peer_urls, urls, 16);
	InitialEntry entry = {.kind = ENTRY_MEMBER};
	NodeBootstrap start = {.entries = &entry, .entry_count = 1};

	if (config_check_bootstrap() != RUSD_OK)
		_exit(EXIT_STOP);
	Check(count > 0);
	for (int i = 0; i < count; i++)
		texts[i] = urls[i].text;
	start.member_id = member_id_compute(texts, (uint32_t) count, config.initial_cluster_token);
	start.cluster_id = cluster_id_compute(&start.member_id, 1);
	entry.payload = publication_encode(MEMBER_ADD, start.member_id);
	log_info("starting a new cluster", LOG_ID("cluster-id", start.cluster_id),
			 LOG_ID("local-member-id", start.member_id),
			 LOG_TEXT("initial-advertise-peer-urls", config.initial_advertise_peer_urls),
			 LOG_TEXT("initial-cluster-token", config.initial_cluster_token));
	return node_start(shm, my_fs, &start, message, message_size);
}
