/*
 * own.c
 *	  What this member itself proposes after each start.  Process raft.
 *
 * It makes itself known: name and client URLs (BOOT-25).  When that is applied, so is everything that was
 * acknowledged before this start, and backends may serve.  Who leads proposes the cluster's version too.
 * Both go the way of every proposal, from a slot of their own, and are tried again until they are
 * applied.
 *
 * Whoever is known to have started must never come back with nothing (BOOT-21): so a member makes itself known
 * only when what is durable here is more than what a new cluster begins with.
 *
 * src/backend/consensus/own.c
 */
#include "rusd.h"

#include "consensus_int.h"
#include "wal/recovery.h"

static void propose(Consensus *consensus, OwnProposal which, uint32_t kind, uint8_t *payload,
					uint32_t length);

/* Has something of what a leader has given it, for certain? */
static bool
has_durable_log(Consensus *consensus)
{
	const Raft *raft = &consensus->raft;

	if (consensus->own_position == 0 && raft->last_term > BOOTSTRAP_TERM &&
		raft->appended_index == raft->last_index)
	{
		consensus->own_position = raft->appended;
		/* Links say it of this member before anybody can know its name. */
		consensus->control_dirty = true;
		tell_control(consensus);
	}
	return consensus->own_position != 0 && raft->flushed >= consensus->own_position;
}

void
own_propose(Consensus *consensus)
{
	static const char version[] = ETCD_CLUSTER_VERSION_STRING;
	alignas(8) uint8_t payload[sizeof(EntryHeader) + sizeof(version)] = {0};
	const Raft *raft = &consensus->raft;
	bool leads = raft->role == ROLE_LEADER;

	if (likely(consensus->own[OWN_ATTRIBUTES].is_done && consensus->own[OWN_VERSION].is_done))
		return;
	if (consensus->draining || !consensus_has_leader(consensus) ||
		(leads && raft->commit_index < raft->term_first_index) || !has_durable_log(consensus) ||
		(consensus->own_failed_ns != 0 &&
		 consensus->now_ns - consensus->own_failed_ns < consensus->options.heartbeat_ns))
		return;
	propose(consensus, OWN_ATTRIBUTES, ENTRY_MEMBER_ATTRIBUTES, consensus->publication,
			(uint32_t) consensus->options.publication.length);
	if (!leads)
		return;
	memcpy(payload + sizeof(EntryHeader), version, strlen(version));
	propose(consensus, OWN_VERSION, ENTRY_CLUSTER_VERSION, payload,
			sizeof(EntryHeader) + (uint32_t) strlen(version));
}

static void
propose(Consensus *consensus, OwnProposal which, uint32_t kind, uint8_t *payload, uint32_t length)
{
	RequestId id = {.member_id = consensus->raft.member_id,
					.incarnation = consensus->shm->incarnation,
					.sequence = consensus->own_sequence + 1,
					.slot = OWN_SLOT};
	ProposalPiece piece = {.total_length = length, .kind = (uint16_t) kind};
	bool leads = consensus->raft.role == ROLE_LEADER;

	if (consensus->own[which].is_done || consensus->own[which].is_open)
		return;
	if (!(leads ? append_room(consensus, wal_record_bytes(length))
				: forward_has_room(consensus, length)))
		return;
	consensus->own_sequence++;
	consensus->own[which].sequence = id.sequence;
	consensus->own[which].is_open = true;
	if (!leads)
		forward_send(consensus, &id, &piece, payload);
	else if (append_entry(consensus, kind, &id, payload, length, 0) != RUSD_OK)
		own_failed(consensus, id.sequence);
}

void
own_applied(Consensus *consensus, uint64_t sequence)
{
	for (int i = 0; i < OWN_COUNT; i++)
	{
		if (consensus->own[i].sequence != sequence)
			continue;
		consensus->own[i].is_open = false;
		consensus->own[i].is_done = true;
	}
}

void
own_failed(Consensus *consensus, uint64_t sequence)
{
	for (int i = 0; i < OWN_COUNT; i++)
		if (consensus->own[i].sequence == sequence)
			consensus->own[i].is_open = false;
	consensus->own_failed_ns = consensus->now_ns;
}

bool
own_is_done(const Consensus *consensus)
{
	return consensus->own[OWN_ATTRIBUTES].is_done && !consensus->own[OWN_VERSION].is_open;
}
