/*
 * hello.c
 *	  What two members say at the beginning of a link, and when they refuse each other.  Processes peer and transfer.
 *
 * src/backend/peer/hello.c
 */
#include "rusd.h"

#include "peer_int.h"
#include "wal/recovery.h"

/* In this order in PeerHelloText. */
static const char *const names[] = {"rusd-protocol", "rusd-cluster-id", "rusd-from",
									"rusd-to",       "rusd-version",    "rusd-peer-urls",
									"rusd-log-term", "rusd-has"};

uint64_t
peer_log_term(void)
{
	ControlState control;

	shm_control_read(my_shm, &control);
	return Max(control.last_term, my_shm->recovered->last_term);
}

void
peer_hello_make(PeerHelloText *text, uint64_t to, const char *urls, const SnapshotBase *base)
{
	const NodeRecovered *own = my_shm->recovered;

	snprintf(text->texts[0], sizeof(text->texts[0]), "%d", PEER_PROTOCOL);
	snprintf(text->texts[1], sizeof(text->texts[1]), "%" PRIx64, own->cluster_id);
	snprintf(text->texts[2], sizeof(text->texts[2]), "%" PRIx64, own->member_id);
	snprintf(text->texts[3], sizeof(text->texts[3]), "%" PRIx64, to);
	snprintf(text->texts[4], sizeof(text->texts[4]), "%s", RUSD_VERSION_STRING);
	snprintf(text->texts[5], sizeof(text->texts[5]), "%s", urls);
	snprintf(text->texts[6], sizeof(text->texts[6]), "%" PRIu64, peer_log_term());
	snprintf(text->texts[7], sizeof(text->texts[7]), "%" PRIx64 ".%" PRIx64 ".%" PRIx64 ".%" PRIx64,
			 base->incarnation, base->generation, base->root, base->below);
	for (size_t i = 0; i < lengthof(names); i++)
		text->fields[i] = (NetLinkField){names[i], text->texts[i]};
}

static const char *
find(const NetLinkField *fields, uint32_t count, const char *name)
{
	for (uint32_t i = 0; i < count; i++)
	{
		if (strcmp(fields[i].name, name) == 0)
			return fields[i].value;
	}
	return "";
}

static bool
read_number(const char *text, int base, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, base);
	return errno == 0 && end != text && *end == '\0' && *text != '-';
}

/* Four hexadecimal numbers, separated by dots. */
static bool
read_base(const char *text, SnapshotBase *base)
{
	uint64_t *numbers[] = {&base->incarnation, &base->generation, &base->root, &base->below};
	char copy[80];
	char *rest = copy;

	if (strlen(text) >= sizeof(copy))
		return false;
	memcpy(copy, text, strlen(text) + 1);
	for (size_t i = 0; i < lengthof(numbers); i++)
	{
		const char *number = strsep(&rest, ".");

		if (number == NULL || !read_number(number, 16, numbers[i]))
			return false;
	}
	return rest == NULL;
}

Status
peer_hello_read(const NetLinkField *fields, uint32_t count, PeerHello *hello)
{
	uint64_t protocol;

	if (!read_number(find(fields, count, names[0]), 10, &protocol) ||
		!read_number(find(fields, count, names[1]), 16, &hello->cluster_id) ||
		!read_number(find(fields, count, names[2]), 16, &hello->from) ||
		!read_number(find(fields, count, names[3]), 16, &hello->to) || hello->from == 0 ||
		!read_number(find(fields, count, names[6]), 10, &hello->log_term) ||
		!read_base(find(fields, count, names[7]), &hello->base))
		return RUSD_INVALID;
	hello->protocol = (uint32_t) Min(protocol, UINT32_MAX);
	snprintf(hello->version, sizeof(hello->version), "%s", find(fields, count, names[4]));
	snprintf(hello->urls, sizeof(hello->urls), "%s", find(fields, count, names[5]));
	return RUSD_OK;
}

const char *
peer_hello_refusal(const PeerHello *hello)
{
	const NodeRecovered *own = my_shm->recovered;

	if (hello->protocol != PEER_PROTOCOL)
		return "the versions of rusd are not compatible";
	if (hello->cluster_id != own->cluster_id)
		return "cluster ID mismatch";
	if (hello->to != own->member_id)
		return "member ID mismatch";
	if (hello->from == own->member_id)
		return "this member has the same member ID";
	return NULL;
}
