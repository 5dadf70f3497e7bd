/*
 * raft_int.h
 *	  What the files of the core share.
 *
 *	  raft.c		start, the step, ticks
 *	  raftlog.c		terms and batches of the log
 *	  election.c	roles and votes
 *	  follower.c	what a leader's messages do
 *	  leader.c		what followers are sent, and what their answers do
 *	  commit.c		what is committed
 *	  read.c		read indexes
 *	  members.c		the configuration in use
 *
 * src/backend/raft/raft_int.h
 */
#ifndef RAFT_INT_H
#define RAFT_INT_H

#include "port/fault.h"
#include "raft/raft.h"

/* ---- raft.c ------------------------------------------------------------------------------- */
/* A message to fill in: kind, from, to, term, and what is known to be committed. */
extern RaftMessage *raft_message(Raft *raft, RaftUpdate *update, RaftMessageKind kind, uint64_t to);
/* Term and vote have changed and go to the log. */
extern void raft_give_hard_state(Raft *raft, RaftUpdate *update);
extern void raft_new_timeout(Raft *raft);

/* Its oldest unflushed byte is older than an election timeout. */
static inline bool
raft_is_stalled(const Raft *raft)
{
	return raft->stall_ticks >= raft->options.election_ticks;
}

/* ---- raftlog.c ---------------------------------------------------------------------------- */
/* The term of an entry, if it is known. */
extern bool raft_term_at(const Raft *raft, uint64_t index, uint64_t *term);
/* Is there an entry with that index and term? */
extern bool raft_has_entry(const Raft *raft, uint64_t index, uint64_t term);
/* The highest index up to that one whose term is no higher; first_index - 1 at least (Raft 3.5, at
 * the end: a conflict costs a round for each term, not for each entry). */
extern uint64_t raft_index_of_term(const Raft *raft, uint64_t index, uint64_t term);
/* The log grows by entries of that term up to last_index. */
extern void raft_log_add(Raft *raft, uint64_t last_index, uint64_t term);
/* Entries from index on are void. */
extern void raft_log_truncate(Raft *raft, uint64_t index);
extern void raft_log_compacted(Raft *raft, uint64_t index);
/* The log begins anew behind that entry. */
extern void raft_log_restart(Raft *raft, uint64_t index, uint64_t term);
/* False: as many batches as the caller has room for are not committed. */
extern bool raft_span_room(const Raft *raft);
extern void raft_span_push(Raft *raft, uint64_t end, uint64_t last_index);
static inline const RaftSpan *
raft_span(const Raft *raft, uint32_t place)
{
	return &raft->spans[(raft->span_first + place) % raft->span_capacity];
}
/* Number of batches that hold nothing behind that index. */
extern uint32_t raft_spans_up_to(const Raft *raft, uint64_t index);
/* Number of batches that are durable. */
extern uint32_t raft_spans_flushed(const Raft *raft);
/* From which position on is the log durable up to that entry?  RAFT_AFTER_TURN: it is not in it. */
extern uint64_t raft_durable_at(const Raft *raft, uint64_t index);

/* ---- election.c --------------------------------------------------------------------------- */
extern void raft_become_follower(Raft *raft, uint64_t term, uint64_t leader, RaftUpdate *update);
extern void raft_campaign(Raft *raft, bool pre_vote, bool transfer, RaftUpdate *update);
extern void raft_receive_vote(Raft *raft, const RaftMessage *message, RaftUpdate *update);
extern void raft_receive_vote_answer(Raft *raft, const RaftMessage *message, RaftUpdate *update);
/* Its own vote may have become durable. */
extern void raft_count_own_vote(Raft *raft, RaftUpdate *update);
/* Has it heard from a leader within the shortest election timeout? */
extern bool raft_has_leader(const Raft *raft);

/* ---- follower.c --------------------------------------------------------------------------- */
extern void raft_receive_append(Raft *raft, const RaftEvent *event, RaftUpdate *update);
extern void raft_receive_heartbeat(Raft *raft, const RaftMessage *message, RaftUpdate *update);
extern void raft_receive_snapshot(Raft *raft, const RaftMessage *message, RaftUpdate *update);
extern Status raft_snapshot_installing(Raft *raft, uint64_t index, uint64_t term,
									   RaftUpdate *update);
extern void raft_snapshot_installed(Raft *raft, const RaftEvent *event, RaftUpdate *update);
/* What was taken from an append lies in the log now. */
extern void raft_acknowledge_owed(Raft *raft, RaftUpdate *update);

/* ---- leader.c ----------------------------------------------------------------------------- */
extern void raft_receive_append_answer(Raft *raft, const RaftMessage *message, RaftUpdate *update);
extern void raft_receive_heartbeat_answer(Raft *raft, const RaftMessage *message,
										  RaftUpdate *update);
extern void raft_snapshot_sent(Raft *raft, const RaftEvent *event);
extern void raft_send_appends(Raft *raft, RaftUpdate *update);
extern void raft_send_heartbeats(Raft *raft, RaftUpdate *update);
/* To a member that is about to be none: what is committed, its own removal. */
extern void raft_send_last(Raft *raft, uint64_t member_id, RaftUpdate *update);
extern void raft_leader_tick(Raft *raft, RaftUpdate *update);
extern Status raft_transfer(Raft *raft, uint64_t member, RaftUpdate *update);
extern void raft_progress_reset(Raft *raft, RaftProgress *progress, uint64_t id);

/* ---- commit.c ----------------------------------------------------------------------------- */
/* The highest value that a majority of the voters has reached, if this member's is own. */
typedef uint64_t (*RaftReached)(const RaftProgress *progress);
extern uint64_t raft_majority(const Raft *raft, RaftReached reached, uint64_t own);
/* As leader: what follows from new matches, a new end of the log or of what is durable. */
extern void raft_count_commit(Raft *raft, RaftUpdate *update);
/* An entry of this log is committed. */
extern void raft_advance_commit(Raft *raft, uint64_t index, RaftUpdate *update);
/* The sender knows that entry to be committed: so do we, if we have it. */
extern void raft_adopt_commit(Raft *raft, uint64_t index, uint64_t term, RaftUpdate *update);
/* New batches may hold what is committed already. */
extern void raft_advance_position(Raft *raft, RaftUpdate *update);
extern void raft_drop_bounds(Raft *raft, RaftUpdate *update);

/* ---- read.c ------------------------------------------------------------------------------- */
extern void raft_read(Raft *raft, const RaftEvent *event, RaftUpdate *update);
extern void raft_confirm(Raft *raft, RaftUpdate *update);
extern void raft_receive_read(Raft *raft, const RaftMessage *message, RaftUpdate *update);
extern void raft_confirm_reads(Raft *raft, RaftUpdate *update);
/* It does not lead any more: who waits here shall ask again. */
extern void raft_drop_reads(Raft *raft, RaftUpdate *update);
extern void raft_read_ready(RaftUpdate *update, uint64_t read_id, uint64_t index);

/* ---- members.c ---------------------------------------------------------------------------- */
/* NULL: it is not in the configuration in use. */
extern RaftProgress *raft_progress_of(Raft *raft, uint64_t member_id);
extern void raft_use_configuration(Raft *raft, const RaftConfiguration *configuration);
extern void raft_note_change(Raft *raft, const RaftChange *change);
extern void raft_use_committed_changes(Raft *raft, RaftUpdate *update);
static inline bool
raft_is_voter(const Raft *raft, uint32_t place)
{
	return !raft->configuration.members[place].is_learner;
}

#endif /* RAFT_INT_H */
