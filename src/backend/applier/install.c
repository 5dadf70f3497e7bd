/*
 * install.c
 *	  A snapshot that was received takes the place of what was applied.  Process applier.
 *
 * Raft orders it, between two batches it is begun, and no batch is applied until it is over.  Three
 * waits, each looked at once in a turn:
 *
 * For the disk: the checkpointer takes the snapshot's root as it takes any root, so a checkpoint that
 * is under way comes to its end before; from its control record on a crash leads to the new state,
 * before it to the old one.  Meanwhile the old state is served.
 *
 * For readers: from here on no pin of the old state is given (snapshot_pin), those that hold one are told to
 * let go, and killed when they do not (holders.c).
 *
 * For the pager: frames that it is reading into are its own.
 *
 * Then, at once: frames, store, root, applied index.  [applier-8]
 *
 * src/backend/applier/install.c
 */
#include "rusd.h"

#include "applier_int.h"
#include "port/fault.h"
#include "utils/log.h"

static Status begin(Applier *applier, const InstallOrder *order);
static Status wait_for_disk(Applier *applier, bool *did);
static Status wait_for_readers(Applier *applier, bool *did);
static Status wait_for_pager(Applier *applier, bool *did);
static Status take_over(Applier *applier);
static Status finish(Applier *applier, Status status);

bool
install_is_under_way(const Applier *applier)
{
	return applier->install.phase != INSTALL_NONE;
}

bool
install_waits_for_readers(const Applier *applier, uint64_t now, uint64_t patience_ns)
{
	return applier->install.phase == INSTALL_READERS &&
		   now - applier->install.readers_since_ns >= patience_ns;
}

Status
install_step(Applier *applier, bool *did)
{
	const ShmRequests *requests = applier->shm->requests;
	InstallOrder order;

	switch (applier->install.phase)
	{
		case INSTALL_NONE:
			shm_install_read(applier->shm, &order);
			if (order.count == atomic_load_explicit(&requests->install_done, memory_order_relaxed))
				return RUSD_OK;
			*did = true;
			return begin(applier, &order);
		case INSTALL_DISK:
			return wait_for_disk(applier, did);
		case INSTALL_READERS:
			return wait_for_readers(applier, did);
		case INSTALL_PAGER:
			return wait_for_pager(applier, did);
	}
	return RUSD_INVALID;
}

/* Is there what the order speaks of, and may it be installed? */
static Status
check_order(Applier *applier, const InstallOrder *order)
{
	const Shm *shm = applier->shm;
	const RootState *root = store_root(applier->store);
	SnapshotIncoming *incoming = NULL;
	Status status;

	/* Only forwards: what is applied is committed, and was perhaps answered. */
	if (order->index <= root->applied_index && !FAULT(older_snapshot_installed))
		return RUSD_INVALID;
	status = snapshot_incoming_read(applier->fs, shm->layout.frame_count, &incoming);
	if (status != RUSD_OK)
		return status;
	applier->install.incoming = incoming;
	if (incoming->header.root.applied_index != order->index ||
		incoming->header.root.applied_term != order->term ||
		incoming->header.cluster_id != shm->recovered->cluster_id ||
		order->log_begin < wal_reader_position(applier->reader))
		return RUSD_NOT_FOUND;
	return RUSD_OK;
}

static Status
begin(Applier *applier, const InstallOrder *order)
{
	Shm *shm = applier->shm;
	uint64_t number = store_root(applier->store)->number;
	Status status;

	applier->install.order = *order;
	status = check_order(applier, order);
	if (status == RUSD_INVALID || status == RUSD_NOT_FOUND || status == RUSD_DAMAGED)
	{
		log_warn("a received snapshot is not installed", LOG_UNSIGNED("index", order->index),
				 LOG_UNSIGNED("applied-index", store_root(applier->store)->applied_index),
				 LOG_TEXT("error", status_text(status)));
		return finish(applier, status);
	}
	if (status != RUSD_OK)
		return status;
	applier->install.root = applier->install.incoming->header.root;
	/* Root numbers go on rising here, and stay above the births of all pages. */
	applier->install.root.number = Max(number, applier->install.root.number) + 1;
	applier->install.phase = INSTALL_DISK;
	atomic_store_explicit(&shm->requests->generation_wanted,
						  atomic_load(&shm->positions->data_generation) + 1, memory_order_release);
	latch_set(&shm->latches[PROC_CHECKPOINTER]);
	log_info("a received snapshot is being installed", LOG_UNSIGNED("index", order->index),
			 LOG_UNSIGNED("applied-index", store_root(applier->store)->applied_index));
	return RUSD_OK;
}

/* As checkpointer_serve hands over a root of ours. */
static void
hand_over(Applier *applier, uint64_t wanted)
{
	Shm *shm = applier->shm;
	CheckpointRoot *handed = shm->checkpoint_root;
	const SnapshotIncoming *incoming = applier->install.incoming;
	const InstallOrder *order = &applier->install.order;

	handed->root = applier->install.root;
	handed->log_position = order->log_begin;
	handed->hard_state = hard_state(applier, &applier->install.root);
	handed->configuration = incoming->header.configuration;
	handed->bitmap_bits = incoming->bits;
	memcpy(shm->checkpoint_bitmap, incoming->used, (incoming->bits + 63) / 64 * sizeof(uint64_t));
	handed->generation = atomic_load(&shm->requests->generation_wanted);
	handed->log_begin =
		(LogBegin){.position = order->log_begin, .index = order->index, .term = order->term};
	root_give(applier, wanted);
}

static Status
wait_for_disk(Applier *applier, bool *did)
{
	Shm *shm = applier->shm;
	const CheckpointRoot *handed = shm->checkpoint_root;
	/* In this order: once the root is durable the checkpointer may want another one, not this. */
	uint64_t wanted = atomic_load_explicit(&shm->requests->root_wanted, memory_order_acquire);
	uint64_t durable = atomic_load_explicit(&shm->positions->durable_root, memory_order_acquire);

	if (durable < applier->install.root.number)
	{
		if (wanted != atomic_load_explicit(&handed->root_given, memory_order_relaxed))
		{
			hand_over(applier, wanted);
			*did = true;
		}
		return RUSD_OK;
	}
	applier->install.phase = INSTALL_READERS;
	applier->install.readers_since_ns = applier->clock->monotonic_ns(applier->clock);
	store_end_snapshots(applier->store, applier->install.root.number);
	*did = true;
	return RUSD_OK;
}

static Status
wait_for_readers(Applier *applier, bool *did)
{
	if (store_is_pinned(applier->store))
		return RUSD_OK;
	applier->install.phase = INSTALL_PAGER;
	*did = true;
	return RUSD_OK;
}

static Status
wait_for_pager(Applier *applier, bool *did)
{
	if (!space_empty_frames(applier->shm))
		return RUSD_OK;
	*did = true;
	return take_over(applier);
}

/* Nobody reads a frame now.  What is wanted of the new generation is read from its file from the
 * moment that a page is absent. */
static Status
take_over(Applier *applier)
{
	Shm *shm = applier->shm;
	ShmPositions *positions = shm->positions;
	const SnapshotIncoming *incoming = applier->install.incoming;
	const InstallOrder *order = &applier->install.order;
	Status status;

	store_destroy(applier->store);
	applier->store = NULL;
	wal_reader_destroy(applier->reader);
	applier->reader = NULL;
	atomic_store_explicit(&positions->data_generation,
						  atomic_load(&shm->requests->generation_wanted), memory_order_release);
	atomic_store_explicit(&positions->log_begin, order->log_begin, memory_order_release);
	status =
		store_create(shm, applier->access, &applier->install.root, incoming->used, incoming->bits,
					 applier->quota, shm->recovered->member_id, &applier->store);
	if (status == RUSD_OK)
		status = wal_reader_create(shm, applier->fs, order->log_begin, &applier->reader);
	if (status != RUSD_OK)
		return status;
	applier->log_position = order->log_begin;
	applier->log_begin =
		(LogBegin){.position = order->log_begin, .index = order->index, .term = order->term};
	/* An entry that waited for frames is in the snapshot. */
	applier->has_held = applier->forced = false;
	applier->lacking = 0;
	applier->configuration = incoming->header.configuration;
	shm_configuration_write(shm, &applier->configuration);
	(void) store_publish(applier->store);
	atomic_store_explicit(&positions->applied_position, order->log_begin, memory_order_release);
	atomic_store_explicit(&positions->applied_index, order->index, memory_order_seq_cst);
	log_info("a received snapshot was installed", LOG_UNSIGNED("index", order->index));
	later_send(applier, store_compaction_finished(applier->store));
	waiters_wake(applier, true);
	latch_set(&shm->latches[PROC_CHECKPOINTER]);
	return finish(applier, RUSD_OK);
}

/* The order is done with, whatever became of it. */
static Status
finish(Applier *applier, Status outcome)
{
	ShmRequests *requests = applier->shm->requests;
	uint64_t count = applier->install.order.count;
	InstallOrder newest;
	Status status = RUSD_OK;

	free(applier->install.incoming);
	applier->install.incoming = NULL;
	applier->install.phase = INSTALL_NONE;
	if (FAULT(snapshots_in_succession))
	{
		shm_install_read(applier->shm, &newest);
		count = newest.count;
	}
	else
		status = snapshot_incoming_remove(applier->fs);
	atomic_store_explicit(&requests->install_status, (uint32_t) outcome, memory_order_relaxed);
	atomic_store_explicit(&requests->install_done, count, memory_order_release);
	latch_set(&applier->shm->latches[PROC_RAFT]);
	return status;
}
