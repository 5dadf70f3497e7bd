/*
 * output.c
 *	  The forms simple, fields and protobuf, and what all forms share.
 *
 * src/bin/rusdctl/output.c
 */
#include "rusd_fe.h"

#include "../common/jsontext.h"
#include "ctl.h"

static void
print_packed(const ProtobufCMessage *message, bool delimited)
{
	size_t length = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = ctl_alloc(Max(length, 1));

	protobuf_c_message_pack(message, bytes);
	for (size_t left = length; delimited; left >>= 7)
	{
		putchar((int) ((left & 0x7f) | (left > 0x7f ? 0x80 : 0)));
		delimited = left > 0x7f;
	}
	fwrite(bytes, 1, length, stdout);
}

void
print_protobuf(const ProtobufCMessage *message)
{
	print_packed(message, false);
}

void
print_protobuf_delimited(const ProtobufCMessage *message)
{
	print_packed(message, true);
}

bool
print_encoded(const ProtobufCMessage *message)
{
	if (ctl.format == OUTPUT_JSON)
	{
		print_json(message);
		putchar('\n');
	}
	else if (ctl.format == OUTPUT_PROTOBUF)
		print_protobuf(message);
	else
		return false;
	return true;
}

/* ---- texts ---- */

const char *
yes_no(bool value)
{
	return value ? "true" : "false";
}

const char *
joined(char *const *texts, size_t count, const char *between)
{
	const char *all = "";

	for (size_t i = 0; i < count; i++)
		all = ctl_printf("%s%s%s", all, i > 0 ? between : "", texts[i]);
	return all;
}

const char *
hex_id(uint64_t id)
{
	return ctl_printf("%" PRIx64, id);
}

const char *
decimal(uint64_t number)
{
	return ctl_printf("%" PRIu64, number);
}

/* ---- simple ---- */

void
print_bytes(ProtobufCBinaryData bytes)
{
	if (ctl.hex)
	{
		for (size_t i = 0; i < bytes.len; i++)
			printf("\\x%02x", bytes.data[i]);
	}
	else if (bytes.len > 0)
		fwrite(bytes.data, 1, bytes.len, stdout);
	putchar('\n');
}

void
print_kv(const Mvccpb__KeyValue *kv, bool value_only)
{
	if (!value_only)
		print_bytes(kv->key);
	print_bytes(kv->value);
}

/* ---- fields ---- */

/* Go's %q. */
void
print_quoted(const void *data, size_t length)
{
	const uint8_t *s = data;

	putchar('"');
	while (length > 0)
	{
		static const char names[] = "abtnvfr"; /* 7 to 13 */
		size_t n = utf8_length(s, length);

		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if (*s >= 7 && *s <= 13)
			printf("\\%c", names[*s - 7]);
		else if (n == 0 || *s < 0x20 || *s == 0x7f)
			printf("\\x%02x", *s);
		else if (n == 2 && s[0] == 0xc2 && s[1] < 0xa0)
			printf("\\u00%02x", s[1]);
		else
			fwrite(s, 1, n, stdout);
		n = Max(n, 1);
		s += n;
		length -= n;
	}
	putchar('"');
}

void
print_id_field(const char *name, uint64_t id)
{
	printf("\"%s\" : %s\n", name, ctl.hex ? hex_id(id) : decimal(id));
}

void
print_header_fields(const Etcdserverpb__ResponseHeader *h)
{
	static const Etcdserverpb__ResponseHeader none = ETCDSERVERPB__RESPONSE_HEADER__INIT;

	if (h == NULL)
		h = &none;
	print_id_field("ClusterID", h->cluster_id);
	print_id_field("MemberID", h->member_id);
	printf("\"Revision\" : %" PRId64 "\n\"RaftTerm\" : %" PRIu64 "\n", h->revision, h->raft_term);
}

void
print_kv_fields(const char *prefix, const Mvccpb__KeyValue *kv)
{
	printf("\"%sKey\" : ", prefix);
	print_quoted(kv->key.data, kv->key.len);
	printf("\n\"%sCreateRevision\" : %" PRId64 "\n\"%sModRevision\" : %" PRId64
		   "\n\"%sVersion\" : %" PRId64 "\n\"%sValue\" : ",
		   prefix, kv->create_revision, prefix, kv->mod_revision, prefix, kv->version, prefix);
	print_quoted(kv->value.data, kv->value.len);
	if (ctl.hex)
		printf("\n\"%sLease\" : %016" PRIx64 "\n", prefix, kv->lease);
	else
		printf("\n\"%sLease\" : %" PRId64 "\n", prefix, kv->lease);
}

/* ---- numbers for people ---- */

const char *
human_bytes(int64_t bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double) bytes;
	size_t unit = 0;

	if (bytes < 10)
		return ctl_printf("%" PRId64 " B", bytes);
	while (value >= 1000 && unit + 1 < lengthof(units))
	{
		value /= 1000;
		unit++;
	}
	value = (double) (int64_t) (value * 10 + 0.5) / 10;
	if (value < 10)
		return ctl_printf("%.1f %s", value, units[unit]);
	return ctl_printf("%.0f %s", value, units[unit]);
}

/* Number with a fraction whose zeros at the end are dropped. */
static char *
trimmed(int64_t whole, int64_t fraction, int digits)
{
	char *text = ctl_printf("%" PRId64 ".%0*" PRId64, whole, digits, fraction);
	size_t length = strlen(text);

	while (text[length - 1] == '0')
		text[--length] = '\0';
	if (text[length - 1] == '.')
		text[--length] = '\0';
	return text;
}

const char *
go_duration(int64_t ns)
{
	int64_t seconds = ns / 1000000000;

	if (ns == 0)
		return "0s";
	if (ns < 1000)
		return ctl_printf("%" PRId64 "ns", ns);
	if (ns < 1000000)
		return ctl_printf("%sµs", trimmed(ns / 1000, ns % 1000, 3));
	if (ns < 1000000000)
		return ctl_printf("%sms", trimmed(ns / 1000000, ns % 1000000, 6));
	if (seconds < 60)
		return ctl_printf("%ss", trimmed(seconds, ns % 1000000000, 9));
	if (seconds < 3600)
		return ctl_printf("%" PRId64 "m%ss", seconds / 60,
						  trimmed(seconds % 60, ns % 1000000000, 9));
	return ctl_printf("%" PRId64 "h%" PRId64 "m%ss", seconds / 3600, seconds / 60 % 60,
					  trimmed(seconds % 60, ns % 1000000000, 9));
}
