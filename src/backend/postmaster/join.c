/*
 * join.c
 *	  A member without a log asks the others: who it is in a cluster that it joins (BOOT-23), and whether it has been part of
 *	  the one that it would found (BOOT-21).
 *
 * Who joins was added before, with its peer URLs, and is known by them.  Startup process.
 *
 * src/backend/postmaster/join.c
 */
#include "rusd.h"

#include "port/clock.h"
#include "remote.h"
#include "tls/contexts.h"
#include "utils/log.h"

/* Each member has so long to answer. */
#define ASK_MS 5000
/* ... and all together, where they may be about to start too, and nobody answers yet. */
#define ASK_FOUNDERS_MS 1000
#define NS_PER_MS UINT64_C(1000000)

static bool
same_urls(const InitialMember *initial, const RemoteMember *member)
{
	if (initial->url_count != member->url_count)
		return false;
	for (int i = 0; i < initial->url_count; i++)
	{
		bool found = false;

		for (int j = 0; j < member->url_count && !found; j++)
			found = config_urls_equal(&initial->urls[i], &member->urls[j]);
		if (!found)
			return false;
	}
	return true;
}

/* Each member of the one is one of the other. */
static Status
match(const InitialCluster *initial, const RemoteCluster *cluster, const RemoteMember **own,
	  char error[REMOTE_ERROR_SIZE])
{
	*own = NULL;
	if (initial->count != cluster->count)
	{
		snprintf(error, REMOTE_ERROR_SIZE,
				 "member count is unequal: --initial-cluster names %u members, the cluster has %u",
				 initial->count, cluster->count);
		return RUSD_INVALID;
	}
	for (uint32_t i = 0; i < cluster->count; i++)
	{
		const RemoteMember *member = &cluster->members[i];
		uint32_t k = 0;

		while (k < initial->count && !same_urls(&initial->members[k], member))
			k++;
		if (k == initial->count)
		{
			snprintf(error, REMOTE_ERROR_SIZE,
					 "PeerURLs: no match found for existing member (%" PRIx64 ", %s)", member->id,
					 member->url_count > 0 ? member->urls[0].text : "no URL");
			return RUSD_INVALID;
		}
		if (&initial->members[k] == initial->own)
			*own = member;
	}
	if (*own == NULL)
	{
		snprintf(error, REMOTE_ERROR_SIZE, "this member's peer URLs are not those of any member");
		return RUSD_INVALID;
	}
	return RUSD_OK;
}

/* It has acknowledged entries that are gone with its data, and would vote as if it had not. */
static Status
check_not_started(const RemoteMember *own, char error[REMOTE_ERROR_SIZE])
{
	if (own->name[0] == '\0')
		return RUSD_OK;
	snprintf(
		error, REMOTE_ERROR_SIZE,
		"member %" PRIx64
		" has already been bootstrapped, and its data are not here: bring them back, or remove "
		"the member and add it anew",
		own->id);
	return RUSD_INVALID;
}

/* By the first of its URLs where somebody answers. */
static Status
ask_member(const InitialMember *member, int timeout_ms, RemoteCluster *cluster,
		   char error[REMOTE_ERROR_SIZE])
{
	TlsContext *context = tls_contexts_get(TLS_TO_PEERS);
	Status status = RUSD_IO;

	for (int i = 0; i < member->url_count && status == RUSD_IO; i++)
	{
		status = remote_cluster_ask(&member->urls[i], context, timeout_ms, cluster, error);
		if (status != RUSD_OK)
			log_info("a member could not be asked for the members of its cluster",
					 LOG_TEXT("url", member->urls[i].text), LOG_TEXT("error", error));
	}
	return status;
}

static Status
try_member(const InitialMember *member, const InitialCluster *initial, RemoteCluster *cluster,
		   uint64_t *member_id, char error[REMOTE_ERROR_SIZE])
{
	const RemoteMember *own;
	Status status = ask_member(member, ASK_MS, cluster, error);

	if (status == RUSD_OK)
		status = match(initial, cluster, &own, error);
	if (status == RUSD_OK)
		status = check_not_started(own, error);
	if (status == RUSD_OK)
		*member_id = own->id;
	return status;
}

Status
remote_cluster_join(const InitialCluster *initial, RemoteCluster *cluster, uint64_t *member_id,
					char error[REMOTE_ERROR_SIZE])
{
	Status last = RUSD_IO;
	char why[REMOTE_ERROR_SIZE];

	/* One may be behind, and not know of this member yet: the next one may. */
	for (uint32_t i = 0; i < initial->count; i++)
	{
		Status status;

		if (&initial->members[i] == initial->own)
			continue;
		status = try_member(&initial->members[i], initial, cluster, member_id, why);
		if (status == RUSD_OK)
			return RUSD_OK;
		if (status == RUSD_INVALID)
		{
			last = RUSD_INVALID;
			snprintf(error, REMOTE_ERROR_SIZE, "%s", why);
		}
	}
	if (last != RUSD_INVALID)
		snprintf(error, REMOTE_ERROR_SIZE, "cannot fetch cluster info from peer urls: %s",
				 initial->count > 1 ? "no other member has answered"
									: "--initial-cluster names no other member");
	return RUSD_INVALID;
}

Status
remote_cluster_lacks(const InitialCluster *initial, uint64_t cluster_id, uint64_t member_id,
					 char error[REMOTE_ERROR_SIZE])
{
	static RemoteCluster cluster;
	uint64_t end = clock_os.monotonic_ns(&clock_os) + ASK_FOUNDERS_MS * NS_PER_MS;
	uint32_t left = initial->count;

	for (uint32_t i = 0; i < initial->count; i++, left--)
	{
		uint64_t now = clock_os.monotonic_ns(&clock_os);
		/* What one does not use the others have. */
		int timeout_ms = now < end ? (int) ((end - now) / NS_PER_MS / left) + 1 : 1;

		if (&initial->members[i] == initial->own ||
			ask_member(&initial->members[i], timeout_ms, &cluster, error) != RUSD_OK ||
			cluster.cluster_id != cluster_id)
			continue;
		for (uint32_t k = 0; k < cluster.count; k++)
		{
			if (cluster.members[k].id == member_id &&
				check_not_started(&cluster.members[k], error) != RUSD_OK)
				return RUSD_INVALID;
		}
	}
	return RUSD_OK;
}
