/*
 * fuzz_protobuf.c
 *	  Fuzz target: a request of any method, from bytes to a proposal.
 *
 * The first byte chooses the method.  What the scan lets pass protobuf-c must take; a transaction
 * that passes the checks must make a program that entry_check, which stands before raft and applier,
 * accepts; deciding must take no more memory than the scan foretold.
 *
 * test/fuzz/fuzz_protobuf.c
 */
#include "rusd.h"

#include "../../src/backend/rpc/services.h"
#include "v3election.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const requests[] = {
#define RUSD_METHOD(symbol, service, method, request, handler) &request##__descriptor,
#include "rpc/methodlist.h"
#undef RUSD_METHOD
	/* Methods to come: strings, packed lists, messages that are no oneof. */
	&etcdserverpb__watch_request__descriptor,
	&etcdserverpb__auth_role_grant_permission_request__descriptor,
	&v3electionpb__proclaim_request__descriptor,
};

static void
check_transaction(const Etcdserverpb__TxnRequest *txn, Arena *arena)
{
	uint64_t length;
	uint8_t *payload;

	(void) quota_cost_txn(txn);
	if (txn_check(txn, 128, arena) != RUSD_OK)
		return;
	length = txn_encode(txn, NULL);
	payload = arena_zalloc(arena, sizeof(EntryHeader) + length);
	Check(payload != NULL);
	Check(txn_encode(txn, payload + sizeof(EntryHeader)) == length);
	Check(entry_check(ENTRY_TXN, payload, sizeof(EntryHeader) + length) == RUSD_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *descriptor;
	const DecodeLimits limits = {.depth_max = 257, .memory_max = 64 * 1024 * 1024};
	ProtobufCMessage *message;
	DecodeFacts facts;
	Arena arena;
	uint8_t *copy;
	Status status;

	if (size == 0)
		return 0;
	descriptor = requests[data[0] % lengthof(requests)];
	/* Exactly as long as it is, so that a byte read behind it is found. */
	copy = malloc(size - 1 + (size == 1));
	Check(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	arena_init(&arena, NULL);
	status = decode_message(descriptor, (Bytes){copy, size - 1}, &limits, &arena, &message, &facts);
	Check(status == RUSD_OK || status == RUSD_INVALID || status == RUSD_AGAIN);
	if (status == RUSD_OK)
	{
		Check(arena.taken <= 2 * facts.memory + 8192);
		/* propose.c relies on it (RPC-21).  Packed lists, which requests of today do not have, may do worse. */
		Check(protobuf_c_message_get_packed_size(message) <= 2 * (size - 1) ||
			  descriptor == &etcdserverpb__watch_request__descriptor);
		if (descriptor == &etcdserverpb__txn_request__descriptor)
			check_transaction((const Etcdserverpb__TxnRequest *) message, &arena);
	}
	arena_destroy(&arena);
	free(copy);
	return 0;
}
