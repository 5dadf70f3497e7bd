/*
 * header.c
 *	  ResponseHeader: cluster, member, revision, term (RPC-10 to RPC-12).
 *
 * Runs in backends.
 *
 * src/backend/rpc/header.c
 */
#include "rusd.h"

#include "rpc_int.h"

#define FIELD_HEADER 1

size_t
header_encode(const ControlState *control, int64_t revision, uint8_t *at)
{
	uint8_t *start = at;
	size_t inside;

	inside = varint_field_size(control->cluster_id) + varint_field_size(control->member_id) +
			 varint_field_size((uint64_t) revision) + varint_field_size(control->term);
	if (at == NULL)
		return framed_size(inside);
	at = put_frame(at, FIELD_HEADER, inside);
	at = put_varint_field(at, 1, control->cluster_id);
	at = put_varint_field(at, 2, control->member_id);
	at = put_varint_field(at, 3, (uint64_t) revision);
	at = put_varint_field(at, 4, control->term);
	return (size_t) (at - start);
}

size_t
header_revision_encode(int64_t revision, uint8_t *at)
{
	uint8_t *start = at;
	size_t inside = varint_field_size((uint64_t) revision);

	if (at == NULL)
		return framed_size(inside);
	at = put_frame(at, FIELD_HEADER, inside);
	at = put_varint_field(at, 3, (uint64_t) revision);
	return (size_t) (at - start);
}

void
header_fill(Etcdserverpb__ResponseHeader *header, const ControlState *control, int64_t revision)
{
	etcdserverpb__response_header__init(header);
	header->cluster_id = control->cluster_id;
	header->member_id = control->member_id;
	header->revision = revision;
	header->raft_term = control->term;
}
