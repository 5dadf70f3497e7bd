/*
 * ids.h
 *	  Ids of members and clusters, as etcd derives them.
 *
 * src/include/cluster/ids.h
 */
#ifndef CLUSTER_IDS_H
#define CLUSTER_IDS_H

/*
 * CLUSTER-1: of a member with these peer URLs (in any order).  token: the cluster's, for members of the initial cluster; for
 * one that is added at run time the Unix time in seconds, as decimal digits.  Any process; takes some memory for
 * as long as it runs.
 */
extern uint64_t member_id_compute(char *const *urls, uint32_t count, const char *token);
/* CLUSTER-2: of the initial cluster, by the ids of its members in any order. */
extern uint64_t cluster_id_compute(const uint64_t *ids, uint32_t count);

#endif /* CLUSTER_IDS_H */
