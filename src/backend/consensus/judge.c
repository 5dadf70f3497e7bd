/*
 * judge.c
 *	  Whether a proposal may enter the log at this moment.  Process raft.
 *
 * What is judged here is refused before it has an index, and so may depend on this machine: on room
 * in the cache and on the disk, on how far the applier is behind.  An entry that has an index is
 * never refused: where the pages that were reserved for it are too few, the applier waits until it has
 * taken back enough.
 *
 * src/backend/consensus/judge.c
 */
#include "rusd.h"

#include "consensus_int.h"
#include "raft/change.h"
#include "utils/log.h"

/* What may be proposed, and what each may do. */
#define KIND_ALLOWED 1  /* of backends */
#define KIND_LOCAL 2    /* a request to this member, without an index */
#define KIND_MAY_FREE 4 /* PROPOSAL_FREES_SPACE is believed */
#define KIND_OWN 8      /* of raft itself */

static const uint8_t kinds[ENTRY_KIND_END] = {
	[ENTRY_PUT] = KIND_ALLOWED,
	[ENTRY_DELETE_RANGE] = KIND_ALLOWED | KIND_MAY_FREE,
	[ENTRY_TXN] = KIND_ALLOWED | KIND_MAY_FREE,
	[ENTRY_COMPACT] = KIND_ALLOWED | KIND_MAY_FREE,
	[ENTRY_ALARM] = KIND_ALLOWED | KIND_MAY_FREE,
	[ENTRY_MEMBER] = KIND_ALLOWED,
	[ENTRY_MEMBER_ATTRIBUTES] = KIND_OWN,
	[ENTRY_READ_INDEX] = KIND_ALLOWED | KIND_LOCAL,
	[ENTRY_TRANSFER] = KIND_ALLOWED | KIND_LOCAL,
	[ENTRY_DEFRAGMENT] = KIND_ALLOWED | KIND_LOCAL | KIND_MAY_FREE,
};

/* What a put takes at least by its estimate, in trees of one page each. */
#define PATH_PAGES 11
/* Writes are refused for so long before it is told, and again after so long; a pause between
 * refusals begins it anew. */
#define SHORT_BEFORE_NS UINT64_C(5000000000)
#define SHORT_EVERY_NS UINT64_C(60000000000)
#define SHORT_GAP_NS UINT64_C(10000000000)

static bool frees_space(const ProposalPiece *piece);
static uint32_t count_learners(const RaftConfiguration *configuration);
static bool pages_suffice(Consensus *consensus, const ProposalPiece *piece, uint64_t pages);

bool
judge_kind_is_allowed(uint32_t kind)
{
	return kind < ENTRY_KIND_END && (kinds[kind] & KIND_ALLOWED);
}

bool
judge_kind_is_local(uint32_t kind)
{
	return kind < ENTRY_KIND_END && (kinds[kind] & KIND_LOCAL);
}

static bool
frees_space(const ProposalPiece *piece)
{
	return (piece->flags & PROPOSAL_FREES_SPACE) && (kinds[piece->kind] & KIND_MAY_FREE);
}

/* What needs neither index nor room, and what is no good wherever it comes from; RUSD_END: the rest, which is to be looked at. */
static Status
judge_kind(const Consensus *consensus, const ProposalPiece *piece)
{
	if (consensus->draining)
		return RUSD_STOPPED;
	if (piece->total_length > consensus->options.request_max)
		return RUSD_REQUEST_TOO_LARGE;
	return judge_kind_is_local(piece->kind) || (kinds[piece->kind] & KIND_OWN) ? RUSD_OK : RUSD_END;
}

/* Who leads looks at its own disk and cache. */
static Status
judge_room(Consensus *consensus, const ProposalPiece *piece, uint64_t *pages)
{
	if (shm_disk_is_full(consensus->shm) && !frees_space(piece))
		return RUSD_NOSPACE;
	/* A backend's word for it, but no less than its bytes will take, and paths to them. */
	*pages = Max(piece->frames_needed, PATH_PAGES + piece->total_length / SHM_FRAME_BYTES);
	return pages_suffice(consensus, piece, *pages) ? RUSD_OK : RUSD_TOO_MANY_REQUESTS;
}

Status
judge_proposal(Consensus *consensus, const ProposalPiece *piece, uint64_t *pages)
{
	const Raft *raft = &consensus->raft;
	Status status = judge_kind(consensus, piece);

	*pages = 0;
	if (status != RUSD_END)
		return status;
	/* RAFT-40 */
	if (raft->commit_index > raft->applied_index + APPLY_LAG_MAX)
		return RUSD_TOO_MANY_REQUESTS;
	return raft->role == ROLE_LEADER ? judge_room(consensus, piece, pages) : RUSD_OK;
}

/* RAFT-40 was the matter of the member that has sent it.  Where this one lags, the log fills up, and messages with proposals wait. */
Status
judge_forwarded(Consensus *consensus, const ProposalPiece *piece, uint64_t *pages)
{
	uint8_t kind = piece->kind < ENTRY_KIND_END ? kinds[piece->kind] : 0;
	Status status;

	*pages = 0;
	if ((kind & (KIND_ALLOWED | KIND_OWN)) == 0 || (kind & KIND_LOCAL) != 0)
		return RUSD_INVALID;
	status = judge_kind(consensus, piece);
	return status == RUSD_END ? judge_room(consensus, piece, pages) : status;
}

/*
 * CLUSTER-13, as far as the core's table tells.  Names, URLs and the ids of those that were removed are in the store: the
 * backend has looked at them there, as of the configuration that it names; no change comes between.
 */
Status
judge_change(const Consensus *consensus, const uint8_t *payload)
{
	const RaftConfiguration *configuration = &consensus->raft.configuration;
	RaftChange change = raft_change_of_entry(0, payload);
	uint32_t place = raft_configuration_find(configuration, change.member_id);
	bool exists = place < configuration->member_count;
	RaftConfiguration next = *configuration;
	EntryMember entry;

	memcpy(&entry, payload + sizeof(EntryHeader), sizeof(entry));
	if (change.judged_at != configuration->index)
		return RUSD_AGAIN;
	if (change.kind == CHANGE_ADD_VOTER || change.kind == CHANGE_ADD_LEARNER)
	{
		if (exists)
			return RUSD_MEMBER_EXISTS;
		if (change.kind == CHANGE_ADD_LEARNER &&
			count_learners(configuration) >= entry.max_learners)
			return RUSD_TOO_MANY_LEARNERS;
	}
	else if (!exists)
		return RUSD_MEMBER_NOT_FOUND;
	if (change.kind == CHANGE_PROMOTE && !configuration->members[place].is_learner)
		return RUSD_MEMBER_NOT_LEARNER;
	if (change.kind == CHANGE_PROMOTE && !raft_learner_is_ready(&consensus->raft, change.member_id))
		return RUSD_LEARNER_NOT_READY;
	/* What is left: the only voter is to be removed, or the table is full. */
	return raft_configuration_change(&next, &change) == RUSD_OK ? RUSD_OK : RUSD_NOT_ENOUGH_STARTED;
}

static uint32_t
count_learners(const RaftConfiguration *configuration)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < configuration->member_count; i++)
		count += configuration->members[i].is_learner != 0;
	return count;
}

/*
 * Free pages are those of the newest root; what is on its way to the applier has its share
 * reserved. Some are kept back for what frees space, which may use them up but take no more than
 * there is.
 */
static bool
pages_suffice(Consensus *consensus, const ProposalPiece *piece, uint64_t pages)
{
	uint64_t used = consensus->pages_reserved;
	uint64_t free_pages = consensus->root.frames_free;
	uint64_t lacking;

	if (!frees_space(piece))
		used += consensus->pages_kept_back;
	/* Deletes free nothing before a compaction. */
	if (piece->kind != ENTRY_COMPACT && piece->kind != ENTRY_ALARM)
		used += COMPACTION_PAGES;
	if (used <= free_pages && pages <= free_pages - used)
		return true;
	/* The applier is asked to take back what it can; no more than the cache has. */
	lacking = Min(used + Min(pages, consensus->shm->layout.frame_count),
				  consensus->shm->layout.frame_count);
	if (lacking > consensus->pages_wanted)
	{
		consensus->pages_wanted = lacking;
		atomic_store_explicit(&consensus->shm->requests->frames_wanted, lacking,
							  memory_order_release);
		latch_set(&consensus->shm->latches[PROC_APPLIER]);
	}
	return false;
}

/* Once a minute, for as long as writes are refused though there was time to take pages back. */
static void
tell_shortage(Consensus *consensus)
{
	uint64_t now = consensus->now_ns;

	if (now - consensus->short_last_ns > SHORT_GAP_NS)
		consensus->short_since_ns = now;
	consensus->short_last_ns = now;
	if (now - consensus->short_since_ns < SHORT_BEFORE_NS ||
		(consensus->short_told_ns != 0 && now - consensus->short_told_ns < SHORT_EVERY_NS))
		return;
	consensus->short_told_ns = now;
	log_warn("the page cache is full: writes are refused until a compaction frees pages; else the "
			 "node needs a larger --page-cache-size",
			 LOG_UNSIGNED("frames-free", consensus->root.frames_free),
			 LOG_UNSIGNED("frames-used",
						  consensus->shm->layout.frame_count - consensus->root.frames_free),
			 LOG_UNSIGNED("frames-wanted", consensus->pages_wanted));
}

/* Nobody was refused since the last tick: nobody waits for pages. */
void
judge_tick(Consensus *consensus)
{
	if (consensus->pages_wanted != 0)
		tell_shortage(consensus);
	if (consensus->pages_wanted == 0)
		atomic_store_explicit(&consensus->shm->requests->frames_wanted, 0, memory_order_relaxed);
	consensus->pages_wanted = 0;
}
