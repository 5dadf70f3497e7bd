/*
 * shmemlist.h
 *	  The regions of shared memory:
 *	  RUSD_REGION(field of Shm, its type, what backends may do, owner, bytes, what it is)
 *
 * Backends: NONE not mapped, READ, OWN each its own part writable and the rest readable, WRITE.  Each region begins on a
 * page of the machine.  The order is that in the memfd and it matters: WAL buffers first (they are mapped twice), then
 * what backends may not write, last what they may.  mremap() can stretch a mapping over what follows it in the file without asking the
 * seals; so what follows a writable page must be nothing but writable pages of backends [ipc-6].
 *
 * In the column of bytes "layout" is a const ShmLayout *, "slots" its slot_count.  No include guard: expanded several times.
 *
 * src/include/ipc/shmemlist.h
 */
RUSD_REGION(wal_buffers, uint8_t, NONE, "raft", layout->wal_buffer_bytes, "log that may not be on disk yet")
RUSD_REGION(control, ShmControl, READ, "raft", sizeof(ShmControl), "role, term, leader, readiness")
RUSD_REGION(positions, ShmPositions, READ, "raft, walwriter, applier, checkpointer", sizeof(ShmPositions), "positions in the log, a cache line for each writer")
RUSD_REGION(segments, ShmWalSegments, READ, "walwriter", sizeof(ShmWalSegments), "log segments that are ready")
RUSD_REGION(root, ShmRoot, READ, "applier", sizeof(ShmRoot), "the newest root")
RUSD_REGION(configuration, ShmConfiguration, READ, "applier", sizeof(ShmConfiguration), "the members at the applied index")
RUSD_REGION(requests, ShmRequests, READ, "postmaster, raft, applier, checkpointer", sizeof(ShmRequests), "what essential processes want of each other, one writer a word")
RUSD_REGION(heads, SlotHead, READ, "postmaster", slots * sizeof(SlotHead), "who lives in each slot")
RUSD_REGION(raft_acks, SlotAck, READ, "raft", slots * sizeof(SlotAck), "dead slots that raft holds nothing of")
RUSD_REGION(applier_acks, SlotAck, READ, "applier", slots * sizeof(SlotAck), "the same of the applier")
RUSD_REGION(proposal_tails, _Atomic uint64_t, READ, "raft", slots * CACHE_LINE, "how far each proposal ring is taken")
RUSD_REGION(raft_replies, ReplyRing, READ, "raft", slots * sizeof(ReplyRing), "raft's answers")
RUSD_REGION(applier_replies, ReplyRing, READ, "applier", slots * sizeof(ReplyRing), "the applier's answers")
RUSD_REGION(link_rings, LinkRing, READ, "raft", layout->link_slots * sizeof(LinkRing), "messages for other members")
RUSD_REGION(ended_counters, _Atomic uint64_t, READ, "postmaster", SLOT_COUNTERS * sizeof(uint64_t), "counters of processes that have ended")
RUSD_REGION(ended_peers, EndedPeer, READ, "postmaster", ENDED_PEERS * sizeof(EndedPeer), "counters of links that have ended, for each member")
RUSD_REGION(recovered, struct NodeRecovered, READ, "postmaster, at start", SHM_RECOVERED_BYTES, "what was found on disk")
RUSD_REGION(hashes_kept, struct HashKept, READ, "applier", SHM_HASHES_BYTES, "hashes of finished compactions")
RUSD_REGION(checkpoint_root, struct CheckpointRoot, READ, "applier", SHM_CHECKPOINT_ROOT_BYTES, "the root handed to the checkpointer")
RUSD_REGION(checkpoint_bitmap, uint64_t, READ, "applier", (layout->frame_count / 64 + 1) * sizeof(uint64_t), "its pages")
RUSD_REGION(page_meta, struct PageMeta, READ, "applier, pager", layout->frame_count * SHM_PAGE_META_BYTES, "state and birth of each frame")
RUSD_REGION(frames, uint8_t, READ, "applier, pager", layout->frame_count * SHM_FRAME_BYTES, "pages")
RUSD_REGION(inject, struct InjectTable, WRITE, "postmaster, and who passes a point", sizeof(struct InjectTable), "injection points; touched in builds for tests only")
RUSD_REGION(latches, Latch, WRITE, "any", slots * sizeof(Latch), "how each process is woken")
RUSD_REGION(proposal_marks, Marks, WRITE, "any", sizeof(Marks), "slots with new proposals")
RUSD_REGION(page_marks, Marks, WRITE, "any", sizeof(Marks), "slots that want a page")
RUSD_REGION(applied_marks, Marks, WRITE, "any", sizeof(Marks), "slots that wait for the applied index")
RUSD_REGION(link_marks, Marks, WRITE, "any", sizeof(Marks), "links with messages for raft")
RUSD_REGION(flush_marks, Marks, WRITE, "any", sizeof(Marks), "links that wait for a flush of the log")
RUSD_REGION(area_bytes, uint8_t, OWN, "the process in the slot", slots * shm_area_stride(), "pins, proposals, activity, counters")
