/*
 * net.c
 *	  The session: which protocol the first bytes speak, and the way to it.
 *
 * Backends. Plaintext connections (section 4.5): the HTTP/2 preface, an HTTP/1.x request line, or
 * nothing that we talk to.
 *
 * src/backend/net/net.c
 */
#include "rusd.h"

#include "net_int.h"

/* The client must have said what it speaks by then. */
/* As long as a TLS handshake may take: who is silent holds a process that others may want. */
#define HANDSHAKE_NS (10 * NS_PER_SECOND)

static bool
unlimited_take(MemoryBudget *budget, size_t bytes)
{
	(void) budget;
	(void) bytes;
	return true;
}

static void
unlimited_give(MemoryBudget *budget, size_t bytes)
{
	(void) budget;
	(void) bytes;
}

static MemoryBudget unlimited = {.take = unlimited_take, .give = unlimited_give};

Status
net_session_create(const NetLimits *limits, const NetHandlers *handlers, MemoryBudget *budget,
				   uint64_t now_ns, NetSession **result)
{
	NetSession *session = calloc(1, sizeof(*session));

	if (session == NULL)
		return RUSD_NO_MEMORY;
	session->limits = *limits;
	if (session->limits.header_list_max == 0)
		session->limits.header_list_max = HEADER_LIST_MAX_DEFAULT;
	session->handlers = *handlers;
	session->budget = budget != NULL ? budget : &unlimited;
	session->now_ns = session->started_ns = session->received_ns = now_ns;
	session->end_reason = "";
	mem_init(&session->mem, session->budget);
	*result = session;
	return RUSD_OK;
}

void
net_session_destroy(NetSession *session)
{
	h2_destroy(session);
	http1_destroy(session);
	mem_destroy(&session->mem);
	free(session);
}

/* ---- receiving ---- */

static Status
receive_known(NetSession *session, const uint8_t *data, size_t length)
{
	return session->protocol == NET_H2 ? h2_receive(session, data, length)
									   : http1_receive(session, data, length);
}

/*
 * It is decided: the protocol gets the bytes that were looked at, which are a part of the
 * preface, and begins.
 */
static Status
begin_protocol(NetSession *session, NetProtocol protocol)
{
	Status status;

	session->protocol = protocol;
	if (protocol == NET_H2 && session->limits.http1_only)
	{
		session->end_reason = "HTTP/2 is not spoken on this port";
		return RUSD_INVALID;
	}
	status = protocol == NET_H2 ? h2_begin(session) : http1_begin(session);
	if (status == RUSD_OK && session->draining)
		net_session_drain(session);
	if (status == RUSD_OK && session->sniffed > 0)
		status = receive_known(session, (const uint8_t *) NGHTTP2_CLIENT_MAGIC, session->sniffed);
	return status;
}

/*
 * Compares with the HTTP/2 preface as far as bytes have come; taken says how many of data belong
 * to it.
 */
static Status
sniff(NetSession *session, const uint8_t *data, size_t length, size_t *taken)
{
	*taken = 0;
	while (*taken < length && session->sniffed < NGHTTP2_CLIENT_MAGIC_LEN)
	{
		if (data[*taken] != (uint8_t) NGHTTP2_CLIENT_MAGIC[session->sniffed])
			return begin_protocol(session, NET_HTTP1);
		session->sniffed++;
		(*taken)++;
	}
	if (session->sniffed < NGHTTP2_CLIENT_MAGIC_LEN)
		return RUSD_OK;
	return begin_protocol(session, NET_H2);
}

Status
net_session_receive(NetSession *session, const uint8_t *data, size_t length, uint64_t now_ns)
{
	Status status = RUSD_OK;

	session->now_ns = session->received_ns = now_ns;
	if (session->ended)
		return RUSD_END;
	if (unlikely(session->protocol == NET_SNIFFING))
	{
		size_t taken;

		status = sniff(session, data, length, &taken);
		data += taken;
		length -= taken;
	}
	if (status == RUSD_OK && length > 0)
		status = receive_known(session, data, length);
	if (status != RUSD_OK)
		session->ended = true;
	return status;
}

bool
net_session_wants_read(const NetSession *session)
{
	return !session->ended && (session->protocol != NET_HTTP1 || http1_wants_read(session));
}

bool
net_session_eof(NetSession *session)
{
	session->ended = true;
	return session->protocol != NET_HTTP1 || session->http1 == NULL || !http1_eof(session);
}

/* ---- sending ---- */

size_t
net_session_send(NetSession *session, uint8_t *buffer, size_t max)
{
	Check(max >= NET_SEND_MIN);
	switch (session->protocol)
	{
		case NET_H2:
			return session->h2.ng == NULL ? 0 : h2_send(session, buffer, max);
		case NET_HTTP1:
			return session->http1 == NULL ? 0 : http1_send(session, buffer, max);
		case NET_SNIFFING:
			break;
	}
	return 0;
}

bool
net_session_is_done(const NetSession *session)
{
	switch (session->protocol)
	{
		case NET_H2:
			return session->h2.ng == NULL || h2_is_done(session);
		case NET_HTTP1:
			return session->http1 == NULL || http1_is_done(session);
		case NET_SNIFFING:
			break;
	}
	return session->draining || session->ended;
}

/* ---- time and the end ---- */

uint64_t
net_session_timers(NetSession *session, uint64_t now_ns)
{
	session->now_ns = now_ns;
	switch (session->protocol)
	{
		case NET_H2:
			return session->h2.ng == NULL ? UINT64_MAX : h2_timers(session);
		case NET_HTTP1:
			return session->http1 == NULL ? UINT64_MAX : http1_timers(session);
		case NET_SNIFFING:
			break;
	}
	if (now_ns - session->started_ns < HANDSHAKE_NS)
		return session->started_ns + HANDSHAKE_NS;
	session->end_reason = "nothing was sent";
	session->ended = true;
	return UINT64_MAX;
}

void
net_session_drain(NetSession *session)
{
	session->draining = true;
	if (session->protocol == NET_H2 && session->h2.ng != NULL)
		h2_drain(session);
	else if (session->protocol == NET_HTTP1 && session->http1 != NULL)
		http1_drain(session);
}

void
net_session_cut(NetSession *session)
{
	session->draining = session->ended = true;
	if (session->protocol == NET_H2 && session->h2.ng != NULL)
		h2_cut(session);
	else if (session->protocol == NET_HTTP1 && session->http1 != NULL)
		http1_cut(session);
}

uint32_t
net_session_streams(const NetSession *session)
{
	return session->protocol == NET_HTTP1 ? http1_requests(session) : session->h2.open_count;
}

const char *
net_session_protocol(const NetSession *session)
{
	static const char *const names[] = {
		[NET_SNIFFING] = "", [NET_H2] = "h2", [NET_HTTP1] = "http/1.1"};

	return names[session->protocol];
}

const char *
net_session_end_reason(const NetSession *session)
{
	return session->end_reason;
}
