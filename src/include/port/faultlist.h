/*
 * faultlist.h
 *	  RUSD_FAULT(name, what the code does wrong with it): port/fault.h.
 *
 * src/include/port/faultlist.h
 */
RUSD_FAULT(commit_of_an_older_term, "an entry of an earlier term is committed by counting")
RUSD_FAULT(vote_forgotten, "the vote is not written to the log, and forgotten at a crash")
RUSD_FAULT(vote_lost_with_a_segment, "an opening header does not repeat the newest vote")
RUSD_FAULT(message_before_flush, "a message is sent before the log position it depends on is flushed")
RUSD_FAULT(acknowledged_by_index, "an index counts as durable that was flushed once, whatever took its place")
RUSD_FAULT(committed_truncated, "a follower cuts its log behind the entries of each append, whether they conflict or not")
RUSD_FAULT(published_below_floor, "walwriter publishes a commit position below the floor")
RUSD_FAULT(voided_kept, "a reader of the log gives out entries that later ones have voided")
RUSD_FAULT(own_commit_not_logged, "the batches of a leader do not tell its commit position")
RUSD_FAULT(commit_not_stored, "the commit position that comes with entries is not stored with them")
RUSD_FAULT(replay_past_commit, "recovery takes all of the log for committed")
RUSD_FAULT(checkpoint_ahead_of_log, "a checkpoint does not wait until its log is flushed")
RUSD_FAULT(older_snapshot_installed, "a snapshot older than what is applied is installed")
RUSD_FAULT(snapshots_in_succession, "a snapshot that comes while another is installed counts as installed")
RUSD_FAULT(read_id_reused, "a retried read has the id of the attempt before")
RUSD_FAULT(read_before_first_commit, "a leader answers reads before it has committed an entry of its term")
RUSD_FAULT(stale_read_after_pause, "a leader answers reads without a round")
RUSD_FAULT(change_used_at_append, "a change of members is in use when it is appended, and stays so if it is voided")
RUSD_FAULT(second_change_early, "a change of members is appended before the one before it is in use")
RUSD_FAULT(forwarded_twice, "a forwarded proposal is sent again without knowing what became of it")
RUSD_FAULT(answer_to_successor, "an answer is given to the slot, whoever has it now")
RUSD_FAULT(deposed_leader_revokes, "what a leader has decided to revoke gets an index in a later term, in which it leads again")
RUSD_FAULT(control_not_synced, "a start relies on a control record that a killed process may not have synced")
RUSD_FAULT(applied_ahead_of_state, "a checkpoint tells that entries are applied which its state does not hold")
RUSD_FAULT(own_disk_not_waited_for, "a leader counts itself for what is not flushed here")
RUSD_FAULT(revision_from_records, "a start takes the revision from the newest record, and compaction removes a tombstone that is that")
RUSD_FAULT(txn_checked_late, "a transaction finds that a read of it is compacted when it has made changes")
RUSD_FAULT(stalled_leader_stays, "a leader that does not get on leads on")
