/*
 * dial.c
 *	  Finds and connects another member.  Processes peer and transfer: names are resolved here, which may take its time.
 *
 * src/backend/peer/dial.c
 */
#include "rusd.h"

#include <netdb.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/slot.h"
#include "peer_int.h"
#include "store/store.h"
#include "tls/contexts.h"
#include "utils/config.h"
#include "wal/recovery.h"

/* With less time left a connection stays as it is. */
#define RENEW_LEAST_S 2

/* ---- where it is -------------------------------------------------------------------------------- */

static Status
urls_in_store(PageAccess *access, uint64_t member_id, char urls[LINK_URLS_BYTES])
{
	Snapshot snapshot;
	StoreMember member;
	Status status = snapshot_pin(access, &snapshot);
	size_t used = 0;

	if (status != RUSD_OK)
		return status;
	status = store_next_member(&snapshot, member_id - 1, &member);
	if (status == RUSD_OK)
	{
		if (member.id != member_id)
			status = RUSD_NOT_FOUND;
		urls[0] = '\0';
		for (uint32_t i = 0; status == RUSD_OK && i < member.peer_url_count; i++)
		{
			int length = snprintf(urls + used, LINK_URLS_BYTES - used, "%s%s", i == 0 ? "" : ",",
								  member.peer_urls[i]);

			if (length < 0 || (size_t) length >= LINK_URLS_BYTES - used)
			{
				urls[used] = '\0'; /* the others are enough */
				break;
			}
			used += (size_t) length;
		}
		store_member_free(&member);
	}
	snapshot_unpin(&snapshot);
	return status == RUSD_OK && used == 0 ? RUSD_NOT_FOUND : status;
}

/* As the member has said when it made a link to this one: a member that has just joined knows nothing else. */
static Status
urls_it_said(const Shm *shm, uint64_t member_id, char urls[LINK_URLS_BYTES])
{
	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm_first_backend(&shm->layout); slot++)
	{
		const BackendArea *area = shm->areas[slot];
		uint32_t generation =
			atomic_load_explicit(&shm->heads[slot].generation, memory_order_acquire);

		if (!slot_is_live(shm, slot, generation) ||
			atomic_load_explicit(&area->link_member, memory_order_acquire) != member_id)
			continue;
		memcpy(urls, area->link_urls, LINK_URLS_BYTES);
		urls[LINK_URLS_BYTES - 1] = '\0';
		return urls[0] == '\0' ? RUSD_NOT_FOUND : RUSD_OK;
	}
	return RUSD_NOT_FOUND;
}

static Status
find_urls(PageAccess *access, uint64_t member_id, char urls[LINK_URLS_BYTES])
{
	if (urls_in_store(access, member_id, urls) == RUSD_OK)
		return RUSD_OK;
	return urls_it_said(access->shm, member_id, urls);
}

/* ---- the connection ----------------------------------------------------------------------------- */

/* Connected, or refused, within the time that there is. */
static bool
wait_connected(int socket, int timeout_ms, const char **error)
{
	int problem = 0;
	socklen_t length = sizeof(problem);
	uint64_t end = clock_os.monotonic_ns(&clock_os) + (uint64_t) timeout_ms * NS_PER_MS;

	for (;;)
	{
		uint64_t now = clock_os.monotonic_ns(&clock_os);
		int happened;

		if (now >= end || stop_requested)
		{
			*error = "no answer within the time for it";
			return false;
		}
		latch_reset(my_latch);
		happened = latch_wait_socket(my_latch, socket, WAIT_WRITABLE,
									 (int) ((end - now) / NS_PER_MS) + 1, WAIT_EVENT_PEER_CONNECT);
		if (happened & WAIT_WRITABLE)
			break;
	}
	if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &problem, &length) != 0)
		problem = errno;
	*error = strerror(problem);
	return problem == 0;
}

static int
connect_address(const struct addrinfo *address, int timeout_ms, const char **error)
{
	int file = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (file < 0)
	{
		*error = strerror(errno);
		return -1;
	}
	if (connect(file, address->ai_addr, address->ai_addrlen) == 0)
		return file;
	*error = strerror(errno);
	if (errno == EINPROGRESS && wait_connected(file, timeout_ms, error))
		return file;
	close(file);
	return -1;
}

static int
dial(const char *urls, uint32_t number, int timeout_ms, ConfigUrl *url, const char **error)
{
	ConfigUrl list[CONFIG_URLS_MAX];
	int count = config_urls(urls, list, CONFIG_URLS_MAX);
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	int file = -1;
	int problem;

	*error = "no URL that can be used";
	if (count <= 0)
		return -1;
	*url = list[number % (uint32_t) count];
	/* No host is loopback: on a machine without a hosts file too. */
	problem = getaddrinfo(strcmp(url->host, "localhost") == 0 ? NULL : url->host, url->port, &hints,
						  &found);
	if (problem != 0)
	{
		*error = gai_strerror(problem);
		return -1;
	}
	for (const struct addrinfo *at = found; at != NULL && file < 0; at = at->ai_next)
		file = connect_address(at, timeout_ms, error);
	freeaddrinfo(found);
	return file;
}

static void
own_urls(char urls[LINK_URLS_BYTES], PageAccess *access)
{
	/* Before this member is in the store, and for one that only has just joined. */
	if (find_urls(access, my_shm->recovered->member_id, urls) != RUSD_OK)
		snprintf(urls, LINK_URLS_BYTES, "%s", config.initial_advertise_peer_urls);
}

/*
 * After four fifths to nine tenths of the time that both sides' certificates have left: with the new ones, where files have changed, else for so
 * much of the rest.  Not all links of a node at once.
 */
static uint64_t
time_to_renew(const Stream *stream)
{
	int64_t ends =
		Min(tls_context_expires(tls_contexts_get(TLS_TO_PEERS)), stream_remote_expires(stream));
	int64_t now = (int64_t) (clock_os.wall_ns(&clock_os) / (1000 * NS_PER_MS));
	uint64_t left_ms;

	if (ends == INT64_MAX || ends - now < RENEW_LEAST_S)
		return UINT64_MAX;
	left_ms = (uint64_t) (ends - now) * 1000;
	return clock_os.monotonic_ns(&clock_os) +
		   (left_ms * 7 / 10 + peer_jitter((uint32_t) Min(left_ms / 5, UINT32_MAX))) * NS_PER_MS;
}

/* RUSD_OK: TLS, or none where the URL says so. */
static Status
secure(Stream *stream, int socket, const ConfigUrl *url, const char **error)
{
	uint64_t end = clock_os.monotonic_ns(&clock_os) + TLS_HANDSHAKE_NS;
	Status status;

	stream_plain(stream, socket);
	if (strcmp(url->scheme, "https") != 0)
		return RUSD_OK;
	/* Files may have changed since the last connection. */
	(void) tls_contexts_look();
	*error = "this member has no certificates for connections to other members";
	if (tls_contexts_get(TLS_TO_PEERS) == NULL)
		return RUSD_INVALID;
	status = tls_connect(stream, tls_contexts_get(TLS_TO_PEERS), socket, url->host, "h2");
	while (status == RUSD_OK && (status = stream_handshake(stream)) == RUSD_AGAIN)
	{
		uint64_t now = clock_os.monotonic_ns(&clock_os);

		if (now >= end || stop_requested)
			break;
		latch_reset(my_latch);
		(void) latch_wait_socket(my_latch, socket, stream->read_waits,
								 (int) ((end - now) / NS_PER_MS) + 1, WAIT_EVENT_HANDSHAKE);
		status = RUSD_OK;
	}
	*error = stream->error[0] != '\0' ? stream->error : "the handshake did not end in time";
	return status;
}

Status
peer_connect(PageAccess *access, uint64_t to, uint32_t attempt, const char *path,
			 const SnapshotBase *base, const NetLinkHandlers *handlers, uint32_t message_max,
			 PeerWire *wire, const char **error)
{
	static PeerHelloText hello;
	static char urls[LINK_URLS_BYTES];
	int64_t timeout_ms = Max(config.raft_write_timeout / (int64_t) NS_PER_MS, 1);
	char authority[320];
	ConfigUrl url;
	Status status;

	*error = "its URLs are not known";
	if (find_urls(access, to, urls) != RUSD_OK)
		return RUSD_NOT_FOUND;
	wire->socket = dial(urls, attempt, (int) Min(timeout_ms, INT_MAX), &url, error);
	if (wire->socket < 0)
		return RUSD_IO;
	peer_wire_set_up(wire->socket);
	status = secure(&wire->stream, wire->socket, &url, error);
	if (status != RUSD_OK)
		return status;
	wire->renew_ns = wire->stream.ssl == NULL ? UINT64_MAX : time_to_renew(&wire->stream);
	snprintf(authority, sizeof(authority), strchr(url.host, ':') != NULL ? "[%s]:%s" : "%s:%s",
			 url.host, url.port);
	own_urls(urls, access);
	peer_hello_make(&hello, to, urls, base);
	*error = "no memory";
	return net_link_dial(authority, path, hello.fields, lengthof(hello.fields), handlers,
						 message_max, &wire->link);
}

static bool
is_live_link(const Shm *shm, uint32_t slot)
{
	return atomic_load_explicit(&shm->heads[slot].state, memory_order_acquire) == SLOT_LIVE;
}

uint32_t
peer_links_from(const Shm *shm, uint64_t member_id)
{
	uint32_t found = 0;

	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm_first_backend(&shm->layout); slot++)
		found += is_live_link(shm, slot) && atomic_load_explicit(&shm->areas[slot]->link_member,
																 memory_order_acquire) == member_id;
	return found;
}

void
peer_wake_links_to(Shm *shm, uint64_t member_id)
{
	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm_first_backend(&shm->layout); slot++)
	{
		if (is_live_link(shm, slot) &&
			atomic_load_explicit(&shm->heads[slot].member_id, memory_order_relaxed) == member_id)
			latch_set(&shm->latches[slot]);
	}
}

uint32_t
peer_jitter(uint32_t ms)
{
	uint32_t random = 0;

	/* Without a random number all wait equally long. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		return ms;
	return ms / 2 + random % (ms / 2 + 1);
}
