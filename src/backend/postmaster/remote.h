/*
 * remote.h
 *	  What a running cluster says of itself to one that wants to join.  Startup process.
 *
 * src/backend/postmaster/remote.h
 */
#ifndef POSTMASTER_REMOTE_H
#define POSTMASTER_REMOTE_H

#include "format/walformat.h"
#include "tls/tls.h"
#include "utils/config.h"

#define REMOTE_NAME_SIZE 128

typedef struct RemoteMember
{
	uint64_t id;
	char name[REMOTE_NAME_SIZE]; /* "": it has not started yet */
	int url_count;
	ConfigUrl urls[CONFIG_URLS_MAX]; /* of peers */
} RemoteMember;

typedef struct RemoteCluster
{
	uint64_t cluster_id;
	uint32_t count;
	RemoteMember members[CONFIG_MEMBERS_MAX];
} RemoteCluster;

#define REMOTE_ERROR_SIZE 512

/*
 * Asks the member at that URL for the members of its cluster.  Blocks: for the resolver, and timeout_ms for all the rest.  context: for
 * https, NULL where there is none.  RUSD_OK, or RUSD_IO with the reason in error.
 */
extern Status remote_cluster_ask(const ConfigUrl *url, TlsContext *context, int timeout_ms,
								 RemoteCluster *result, char error[REMOTE_ERROR_SIZE]);
/*
 * The cluster that --initial-cluster names, as one of its members tells it (BOOT-23), and which of its members this one is.  RUSD_OK, or
 * RUSD_INVALID with the reason in error: nobody has answered; the two do not match; this member has been part of it before.
 */
extern Status remote_cluster_join(const InitialCluster *initial, RemoteCluster *cluster,
								  uint64_t *member_id, char error[REMOTE_ERROR_SIZE]);

/*
 * BOOT-21: has the member that is about to found this cluster been part of it before?  RUSD_OK: nobody who answers says so; RUSD_INVALID,
 * with what is to be done in error: it has, and must not vote again.
 */
extern Status remote_cluster_lacks(const InitialCluster *initial, uint64_t cluster_id,
								   uint64_t member_id, char error[REMOTE_ERROR_SIZE]);

#endif /* POSTMASTER_REMOTE_H */
