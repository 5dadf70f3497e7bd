/*
 * coremodel.c
 *	  Members around the core: what they do, and what is checked.
 *
 * test/sim/coremodel.c
 */
#include "coremodel.h"

/* ---- packets ---------------------------------------------------------------------------------- */

static void
list_add(PacketList *list, Packet *packet)
{
	if (list->count == list->capacity)
	{
		list->capacity = Max(64, 2 * list->capacity);
		list->packets = realloc(list->packets, list->capacity * sizeof(Packet *));
		Check(list->packets != NULL);
	}
	list->packets[list->count++] = packet;
}

static Packet *
list_take(PacketList *list, size_t place)
{
	Packet *packet = list->packets[place];

	memmove(&list->packets[place], &list->packets[place + 1],
			(--list->count - place) * sizeof(Packet *));
	return packet;
}

static void
list_clear(PacketList *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->packets[i]);
	list->count = 0;
}

static uint64_t
entries_of(const RaftMessage *message)
{
	return message->kind == MESSAGE_APPEND ? message->last_index - message->index : 0;
}

static Packet *
packet_new(const RaftMessage *message)
{
	Packet *packet = malloc(sizeof(*packet) + entries_of(message) * sizeof(Entry));

	Check(packet != NULL);
	packet->message = *message;
	packet->acknowledged = (Entry){0};
	return packet;
}

/* The carrier's part, where the core does not know the size of entries. */
static RaftMessage
cut_message(const Model *model, const RaftMessage *message)
{
	RaftMessage cut = *message;

	if (message->kind != MESSAGE_APPEND || !message->may_be_cut ||
		entries_of(message) <= model->carried_entries)
		return cut;
	cut.last_index = message->index + model->carried_entries;
	while (cut.run_count > 0 && cut.runs[cut.run_count - 1].first_index > cut.last_index)
		cut.run_count--;
	return cut;
}

static void
send_packet(Model *model, Member *member, const RaftMessage *message)
{
	RaftMessage sent = cut_message(model, message);
	Packet *packet = packet_new(&sent);
	size_t records = core_log_records(member, message->log_end);

	for (uint64_t i = 0; i < entries_of(&sent); i++)
		if (!core_log_entry(member, records, sent.index + 1 + i, &packet->entries[i]))
			MODEL_FAIL(model, "member %" PRIu64 " cannot find entry %" PRIu64 " that it is to send",
					   member->id, sent.index + 1 + i);
	if (sent.kind == MESSAGE_APPEND_ANSWER && !sent.reject)
		(void) core_log_entry(member, member->count, sent.index, &packet->acknowledged);
	list_add(&member->outbox, packet);
}

static void
post(Model *model, Packet *packet)
{
	const RaftMessage *message = &packet->message;
	PacketList *inbox;

	if (message->to == 0 || message->to > MEMBERS)
	{
		free(packet);
		return;
	}
	inbox = &model_member(model, message->to)->inbox;
	if (inbox->count >= INBOX_MAX || model->cut[message->from - 1][message->to - 1] ||
		(model->loss > 0 && sim_percent(&model->random, model->loss)))
	{
		tell_lost(model, message);
		free(packet);
		return;
	}
	if (model->doubling > 0 && sim_percent(&model->random, model->doubling))
	{
		Packet *again = packet_new(message);

		memcpy(again->entries, packet->entries, entries_of(message) * sizeof(Entry));
		list_add(inbox, again);
	}
	list_add(inbox, packet);
}

/* What waited for a flush may go. */
static void
release(Model *model, Member *member)
{
	size_t kept = 0;

	for (size_t i = 0; i < member->outbox.count; i++)
	{
		Packet *packet = member->outbox.packets[i];

		if (packet->message.depends_on > member->flushed)
		{
			member->outbox.packets[kept++] = packet;
			continue;
		}
		check_packet(model, member, packet);
		post(model, packet);
	}
	member->outbox.count = kept;
}

/* ---- a member's life -------------------------------------------------------------------------- */

Model *
model_new(void)
{
	Model *model = calloc(1, sizeof(*model));

	Check(model != NULL);
	model->members = calloc(MEMBERS, sizeof(Member));
	Check(model->members != NULL);
	return model;
}

void
model_free(Model *model)
{
	for (uint64_t id = 1; id <= MEMBERS; id++)
	{
		Member *member = model_member(model, id);

		list_clear(&member->inbox);
		list_clear(&member->outbox);
		free(member->inbox.packets);
		free(member->outbox.packets);
	}
	free(model->members);
	free(model);
}

static void
reset_member(Model *model, uint64_t id)
{
	Member *member = model_member(model, id);

	list_clear(&member->inbox);
	list_clear(&member->outbox);
	member->id = id;
	member->base_record = 0;
	core_log_cut(member, 0);
	member->position = member->flushed = 4096;
	member->base_index = member->base_term = 0;
	member->base = model->bootstrap;
	memset(&member->raft, 0, sizeof(member->raft));
	member->batch_hard_state = false;
	member->is_alive = member->is_paused = member->is_stalled = false;
	member->finds_lost = 0;
	member->installation_count = 0;
	memset(member->votes, 0, sizeof(member->votes));
	memset(&member->told, 0, sizeof(member->told));
}

void
model_reset(Model *model, uint64_t seed)
{
	model->random = (SimRandom){seed};
	memset(model->committed, 0, (model->committed_count + 1) * sizeof(Entry));
	model->committed_count = 0;
	model->committed_change_count = 0;
	memset(model->leader_of_term, 0, sizeof(model->leader_of_term));
	model->lease_behind[0] = 1;
	memset(model->kept_alive, 0, sizeof(model->kept_alive));
	memset(model->cut, 0, sizeof(model->cut));
	model->next_value = 0;
	model->loss = 0;
	model->doubling = 0;
	model->carried_entries = 20;
	model->now = 0;
	model->logs_may_be_lost = false;
	model->failure[0] = '\0';
}

void
model_bootstrap(Model *model, uint32_t voters)
{
	memset(&model->bootstrap, 0, sizeof(model->bootstrap));
	for (uint32_t i = 0; i < voters; i++)
		model->bootstrap.members[model->bootstrap.member_count++].id = i + 1;
	for (uint64_t id = 1; id <= MEMBERS; id++)
		reset_member(model, id);
}

/* The configuration as of that index, and what of changes lies behind it. */
static void
find_configuration(Model *model, const Member *member, RaftStart *start,
				   RaftConfiguration *configuration, RaftChange *changes)
{
	*configuration = member->base;
	for (uint64_t index = member->base_index + 1; index <= start->last_index; index++)
	{
		Entry entry;

		Check(core_log_entry(member, member->count, index, &entry));
		if (entry.change.kind == 0)
			continue;
		entry.change.index = index;
		if (index <= start->hard_state.commit_index)
			(void) raft_configuration_change(configuration, &entry.change);
		else if (start->change_count < RAFT_CHANGES_MAX)
			changes[start->change_count++] = entry.change;
		else
			MODEL_FAIL(model, "member %" PRIu64 " has too many changes in its log", member->id);
	}
}

void
model_start(Model *model, Member *member)
{
	RaftConfiguration configuration;
	RaftChange changes[RAFT_CHANGES_MAX];
	RaftRun known[RUNS];
	RaftStart start = {.member_id = member->id,
					   .options = model->options,
					   .configuration = &configuration,
					   .changes = changes,
					   .known_runs = known,
					   .spans = member->spans,
					   .span_capacity = SPANS,
					   .runs = member->runs,
					   .run_capacity = RUNS};

	start.random = sim_random(&model->random);
	start.incarnation = sim_random(&model->random) >> 16;
	core_log_recover(member, &start, known);
	find_configuration(model, member, &start, &configuration, changes);
	start.applied_index = member->base_index;
	member->applied_index = member->base_index;
	member->read_to = member->base_record;
	memset(&member->lease, 0, sizeof(member->lease));
	memset(member->reads, 0, sizeof(member->reads));
	if (raft_init(&member->raft, &start) != RUSD_OK)
		MODEL_FAIL(model, "member %" PRIu64 " does not start", member->id);
	member->is_alive = true;
	tell_forget(member);
}

void
model_crash(Model *model, Member *member, size_t unsynced_records)
{
	size_t kept = core_log_records(member, member->flushed);
	size_t most = member->batch;

	if (unsynced_records > 0 && kept < most)
	{
		kept = Min(kept + unsynced_records, most);
		while (kept < most && member->log[kept].end == member->log[kept - 1].end)
			kept++;
	}
	core_log_cut(member, kept);
	member->position =
		kept == 0 ? member->flushed : Max(member->log[kept - 1].end, member->flushed);
	member->flushed = member->position;
	member->batch_hard_state = false;
	list_clear(&member->outbox);
	member->installation_count = 0;
	member->is_alive = member->is_paused = member->is_stalled = false;
	model->counts.crashes++;
}

/* ---- what a member does ----------------------------------------------------------------------- */

static void
apply(Model *model, Member *member)
{
	size_t end = core_log_records(member, member->raft.commit_position);
	uint64_t before = member->applied_index;
	Entry entry;

	/* What was read before and is void now must not have counted as committed. */
	for (; member->read_to < end; member->read_to++)
	{
		const Record *record = &member->log[member->read_to];

		if (record->index != 0 && record->index <= before &&
			model->committed[record->index].value != record->entry.value)
			MODEL_FAIL(model, "member %" PRIu64 " voids entry %" PRIu64 ", which is committed",
					   member->id, record->index);
	}
	while (member->applied_index < member->raft.commit_index &&
		   core_log_entry(member, end, member->applied_index + 1, &entry))
		check_committed(model, member, ++member->applied_index, &entry);
	if (member->applied_index == before)
		return;
	raft_update_reset(&model->update);
	raft_step(&member->raft, &(RaftEvent){.kind = RAFT_APPLIED, .index = member->applied_index},
			  &model->update);
}

static void
add_entries(Model *model, Member *member, const Packet *packet)
{
	const RaftMessage *message = &packet->message;
	uint64_t first = model->update.append_first;

	if (first <= member->applied_index)
		MODEL_FAIL(model, "member %" PRIu64 " overwrites entry %" PRIu64, member->id, first);
	tell_entries(model, member, first, packet);
	for (uint64_t index = first; index <= message->last_index; index++)
		core_log_add(
			member, (Record){.index = index, .entry = packet->entries[index - message->index - 1]});
}

void
model_take_update(Model *model, Member *member, const Packet *packet)
{
	const RaftUpdate *update = &model->update;

	for (uint32_t i = 0; i < update->record_count; i++)
	{
		const RaftRecord *record = &update->records[i];
		bool is_entry = record->kind == RAFT_RECORD_EMPTY;

		core_log_add(member, (Record){.index = is_entry ? record->index : 0,
									  .entry.term = record->term,
									  .entry.value = is_entry ? ++model->next_value : 0,
									  .hard_state = record->hard_state});
		member->batch_hard_state |= !is_entry;
	}
	if (packet != NULL && update->append_count > 0)
		add_entries(model, member, packet);
	check_reads(model, member);
	lease_take(model, member);
	if (update->configured)
		model->counts.changes++;
	if (update->member_lost_log != 0)
		check_lost_log(model, member);
	check_leader(model, member);
	tell_update(model, member);
	for (uint32_t i = 0; i < update->message_count; i++)
	{
		RaftMessage message = update->messages[i];

		if (message.depends_on == RAFT_AFTER_TURN)
			message.depends_on = member->position + 512;
		send_packet(model, member, &message);
	}
}

void
model_step(Model *model, Member *member, const RaftEvent *event)
{
	raft_update_reset(&model->update);
	raft_step(&member->raft, event, &model->update);
	model_take_update(model, member, NULL);
}

void
model_receive(Model *model, Member *member, size_t place)
{
	Packet *packet = list_take(&member->inbox, place);
	RaftEvent event = {.kind = RAFT_RECEIVE, .message = &packet->message};

	for (uint64_t i = 0; i < entries_of(&packet->message); i++)
		if (packet->entries[i].change.kind != 0 && event.change_count < RAFT_CHANGES_MAX)
		{
			event.changes[event.change_count] = packet->entries[i].change;
			event.changes[event.change_count++].index = packet->message.index + 1 + i;
		}
	raft_update_reset(&model->update);
	raft_step(&member->raft, &event, &model->update);
	model_take_update(model, member, packet);
	free(packet);
}

void
model_drop(Member *member, size_t place)
{
	free(list_take(&member->inbox, place));
}

Status
model_propose(Model *model, Member *member, const RaftChange *change)
{
	Entry entry = {0};

	if (change != NULL)
		entry.change = *change;
	return model_propose_entry(model, member, &entry);
}

Status
model_propose_entry(Model *model, Member *member, const Entry *entry)
{
	RaftEvent event = {.kind = RAFT_PROPOSE,
					   .term = entry->decided_term,
					   .change_count = entry->change.kind != 0,
					   .changes = {entry->change}};
	Record record = {.entry = *entry};

	raft_update_reset(&model->update);
	raft_step(&member->raft, &event, &model->update);
	if (model->update.propose_status == RUSD_OK)
	{
		char text[64];

		record.index = model->update.propose_index;
		record.entry.term = model->update.propose_term;
		record.entry.value = ++model->next_value;
		core_log_add(member, record);
		tell_change(text, sizeof(text), &entry->change);
		tell(model, "member %" PRIu64 " writes entry %" PRIu64 " of term %" PRIu64 "%s", member->id,
			 record.index, record.entry.term, text);
	}
	return model->update.propose_status;
}

void
model_read(Model *model, Member *member, bool again)
{
	uint32_t place = again ? member->last_read : (member->last_read + 1) % READS;
	RaftEvent event = {.kind = RAFT_READ, .read_id = again ? member->reads[place].id : 0};

	member->last_read = place;
	member->reads[place].needed = model->committed_count;
	raft_update_reset(&model->update);
	raft_step(&member->raft, &event, &model->update);
	/* The step may have answered at once. */
	member->reads[place].id = model->update.read_id;
	model_take_update(model, member, NULL);
}

void
model_flush(Model *model, Member *member, uint64_t position)
{
	member->flushed = position;
	model_step(model, member, &(RaftEvent){.kind = RAFT_FLUSHED, .position = position});
}

bool
model_begin_snapshot(Model *model, Member *member)
{
	Installation installation = {.configuration = model->bootstrap};
	const Member *from;

	if (member->raft.snapshot.from == 0 || member->installation_count == INSTALLATIONS)
		return false;
	from = model_member(model, member->raft.snapshot.from);
	installation.index = from->applied_index;
	if (!from->is_alive || installation.index < member->raft.snapshot.index)
		return false;
	installation.term = model->committed[installation.index].term;
	for (uint32_t i = 0; i < model->committed_change_count; i++)
	{
		RaftChange change = model->committed[model->committed_changes[i]].change;

		change.index = model->committed_changes[i];
		if (change.index <= installation.index)
			(void) raft_configuration_change(&installation.configuration, &change);
	}
	model_step(model, member,
			   &(RaftEvent){.kind = RAFT_SNAPSHOT_INSTALLING,
							.index = installation.index,
							.log_term = installation.term});
	if (model->update.propose_status != RUSD_OK)
		return false;
	member->installations[member->installation_count++] = installation;
	return true;
}

bool
model_end_snapshot(Model *model, Member *member, bool failed)
{
	Installation installation = member->installations[0];

	if (member->installation_count == 0 || member->batch != member->count ||
		member->flushed != member->position)
		return false;
	member->installations[0] = member->installations[--member->installation_count];
	if (!failed)
	{
		if (installation.index < member->applied_index)
			MODEL_FAIL(model, "member %" PRIu64 " goes back to a state as of %" PRIu64, member->id,
					   installation.index);
		check_discarded(model, member, &installation);
		core_log_begin(member, installation.index, installation.term);
		member->base = installation.configuration;
		member->read_to = member->count;
		member->applied_index = installation.index;
		model->counts.snapshots++;
		tell(model, "member %" PRIu64 " has installed a state as of entry %" PRIu64, member->id,
			 installation.index);
	}
	model_step(model, member,
			   &(RaftEvent){.kind = RAFT_SNAPSHOT_INSTALLED,
							.failed = failed,
							.index = installation.index,
							.log_term = installation.term,
							.position = member->position,
							.configuration = &installation.configuration});
	return true;
}

void
model_end_turn(Model *model, Member *member)
{
	if (member->count > member->batch)
	{
		bool hard_state = member->batch_hard_state;

		core_log_close_batch(member);
		model_step(model, member,
				   &(RaftEvent){.kind = RAFT_APPENDED,
								.index = member->raft.last_index,
								.position = member->position,
								.hard_state = hard_state});
	}
	model_step(model, member, &(RaftEvent){.kind = RAFT_TURN});
	/* Held ones that were promised a batch that did not come wait for the next. */
	for (size_t i = 0; i < member->outbox.count; i++)
		member->outbox.packets[i]->message.depends_on =
			Min(member->outbox.packets[i]->message.depends_on, member->position);
	apply(model, member);
	if (member->raft.commit_position > member->position)
		MODEL_FAIL(model, "member %" PRIu64 ": commit position behind the log", member->id);
	release(model, member);
	Check(member->count == member->batch);
}

Member *
model_leader(Model *model)
{
	Member *leader = NULL;

	for (uint64_t id = 1; id <= MEMBERS; id++)
	{
		Member *member = model_member(model, id);

		if (member->is_alive && member->raft.role == ROLE_LEADER &&
			(leader == NULL || member->raft.hard_state.term > leader->raft.hard_state.term))
			leader = member;
	}
	return leader;
}

void
model_print(const Model *model, FILE *to)
{
	static const char *const roles[] = {"follower", "pre-candidate", "candidate", "leader"};

	for (int i = 0; i < MEMBERS; i++)
	{
		const Member *member = &model->members[i];
		const Raft *raft = &member->raft;

		(void) fprintf(to,
					   "#   member %" PRIu64 ": %s of %" PRIu64 ", term %" PRIu64 ", log %" PRIu64
					   " to %" PRIu64 " of term %" PRIu64 ", commit %" PRIu64 ", applied %" PRIu64
					   ", flushed %" PRIu64 " of %" PRIu64 ", configuration %" PRIu64 ":",
					   member->id, roles[raft->role], raft->leader_id, raft->hard_state.term,
					   raft->first_index, raft->last_index, raft->last_term, raft->commit_index,
					   member->applied_index, member->flushed, member->position,
					   raft->configuration.index);
		for (uint32_t m = 0; m < raft->configuration.member_count; m++)
			(void) fprintf(to, " %" PRIu64 "%s", raft->configuration.members[m].id,
						   raft->configuration.members[m].is_learner ? "l" : "");
		(void) fprintf(to, "\n");
	}
}
