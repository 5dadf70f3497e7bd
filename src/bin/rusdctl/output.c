/*
 * output.c
 *	  The forms of output: simple, fields, json, protobuf, table.
 *
 * JSON is made from the descriptors of the messages: names of the .proto files, fields at their
 * default left out, numbers as numbers, bytes as base64: what Go's encoding/json makes of etcd's
 * structs, its escapes included.
 *
 * src/bin/rusdctl/output.c
 */
#include "rusd_fe.h"

#include "ctl.h"

/* ---- JSON ---- */

/* Length of the UTF-8 sequence at s, 0 if it is none. */
static size_t
utf8_length(const uint8_t *s, size_t left)
{
	size_t n = *s < 0x80                 ? 1
			   : *s >= 0xc2 && *s < 0xe0 ? 2
			   : *s >= 0xe0 && *s < 0xf0 ? 3
			   : *s >= 0xf0 && *s < 0xf5 ? 4
										 : 0;

	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
	{
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0)))
		return 0;
	if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90)))
		return 0;
	return n;
}

void
print_json_text(const char *text)
{
	const uint8_t *s = (const uint8_t *) text;
	size_t left = strlen(text);

	putchar('"');
	while (left > 0)
	{
		size_t n = utf8_length(s, left);

		if (n == 0)
		{
			fputs("\\ufffd", stdout);
			n = 1;
		}
		else if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if (*s == '\n' || *s == '\r' || *s == '\t')
			printf("\\%c", *s == '\n' ? 'n' : *s == '\r' ? 'r' : 't');
		else if (*s < 0x20 || strchr("<>&", *s) != NULL)
			printf("\\u%04x", *s);
		else if (n == 3 && memcmp(s, "\xe2\x80", 2) == 0 && (s[2] == 0xa8 || s[2] == 0xa9))
			printf("\\u20%02x", s[2] - 0x80);
		else
			fwrite(s, 1, n, stdout);
		s += n;
		left -= n;
	}
	putchar('"');
}

static void
json_base64(ProtobufCBinaryData bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	putchar('"');
	for (size_t i = 0; i < bytes.len; i += 3)
	{
		uint32_t three = (uint32_t) bytes.data[i] << 16;
		size_t have = Min(bytes.len - i, 3);

		if (have > 1)
			three |= (uint32_t) bytes.data[i + 1] << 8;
		if (have > 2)
			three |= bytes.data[i + 2];
		for (size_t k = 0; k < 4; k++)
			putchar(k > have ? '=' : digits[three >> (18 - 6 * k) & 63]);
	}
	putchar('"');
}

static void json_message(const ProtobufCMessage *message);

/* One value at its place in a message or an array. */
static void
json_value(const ProtobufCFieldDescriptor *field, const void *place)
{
	bool id = strcmp(field->name, "cluster_id") == 0 || strcmp(field->name, "member_id") == 0 ||
			  strcmp(field->name, "ID") == 0;

	switch (field->type)
	{
		case PROTOBUF_C_TYPE_INT64:
			printf("%" PRId64, *(const int64_t *) place);
			break;
		case PROTOBUF_C_TYPE_UINT64:
			if (id && ctl.hex)
				printf("\"%" PRIx64 "\"", *(const uint64_t *) place);
			else
				printf("%" PRIu64, *(const uint64_t *) place);
			break;
		case PROTOBUF_C_TYPE_UINT32:
			printf("%" PRIu32, *(const uint32_t *) place);
			break;
		case PROTOBUF_C_TYPE_INT32:
		case PROTOBUF_C_TYPE_ENUM:
			printf("%" PRId32, *(const int32_t *) place);
			break;
		case PROTOBUF_C_TYPE_BOOL:
			fputs(*(const protobuf_c_boolean *) place ? "true" : "false", stdout);
			break;
		case PROTOBUF_C_TYPE_STRING:
			print_json_text(*(const char *const *) place);
			break;
		case PROTOBUF_C_TYPE_BYTES:
			json_base64(*(const ProtobufCBinaryData *) place);
			break;
		case PROTOBUF_C_TYPE_MESSAGE:
			json_message(*(const ProtobufCMessage *const *) place);
			break;
		default: /* types that etcd's API does not have */
			fputs("null", stdout);
	}
}

static size_t
value_size(const ProtobufCFieldDescriptor *field)
{
	switch (field->type)
	{
		case PROTOBUF_C_TYPE_INT64:
		case PROTOBUF_C_TYPE_UINT64:
			return 8;
		case PROTOBUF_C_TYPE_BYTES:
			return sizeof(ProtobufCBinaryData);
		case PROTOBUF_C_TYPE_STRING:
		case PROTOBUF_C_TYPE_MESSAGE:
			return sizeof(void *);
		default:
			return 4;
	}
}

/* Is it worth a place in the output? */
static bool
is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *) message;
	const void *place = base + field->offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *) (const void *) (base + field->quantifier_offset) > 0;
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *) (const void *) (base + field->quantifier_offset) == field->id;
	switch (field->type)
	{
		case PROTOBUF_C_TYPE_INT64:
		case PROTOBUF_C_TYPE_UINT64:
			return *(const uint64_t *) place != 0;
		case PROTOBUF_C_TYPE_STRING:
			return *(const char *const *) place != NULL && **(const char *const *) place != '\0';
		case PROTOBUF_C_TYPE_BYTES:
			return ((const ProtobufCBinaryData *) place)->len > 0;
		case PROTOBUF_C_TYPE_MESSAGE:
			return *(const void *const *) place != NULL;
		default:
			return *(const uint32_t *) place != 0;
	}
}

static void
json_message(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *d = message->descriptor;
	const char *comma = "";

	putchar('{');
	for (unsigned i = 0; i < d->n_fields; i++)
	{
		const ProtobufCFieldDescriptor *field = &d->fields[i];
		const char *base = (const char *) message;
		bool oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;

		if (!is_set(message, field))
			continue;
		printf("%s%s\"%s\":", comma, oneof ? "\"Response\":{" : "", field->name);
		comma = ",";
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
		{
			size_t count = *(const size_t *) (const void *) (base + field->quantifier_offset);
			const char *items = *(const char *const *) (const void *) (base + field->offset);

			for (size_t k = 0; k < count; k++)
			{
				putchar(k == 0 ? '[' : ',');
				json_value(field, items + k * value_size(field));
			}
			putchar(']');
		}
		else
			json_value(field, base + field->offset);
		if (oneof)
			putchar('}');
	}
	putchar('}');
}

void
print_json(const ProtobufCMessage *message)
{
	json_message(message);
}

void
print_protobuf(const ProtobufCMessage *message)
{
	size_t length = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = ctl_alloc(Max(length, 1));

	protobuf_c_message_pack(message, bytes);
	fwrite(bytes, 1, length, stdout);
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
print_header_fields(const Etcdserverpb__ResponseHeader *h)
{
	const char *form = ctl.hex ? "\"ClusterID\" : %" PRIx64 "\n\"MemberID\" : %" PRIx64 "\n"
							   : "\"ClusterID\" : %" PRIu64 "\n\"MemberID\" : %" PRIu64 "\n";
	static const Etcdserverpb__ResponseHeader none = ETCDSERVERPB__RESPONSE_HEADER__INIT;

	if (h == NULL)
		h = &none;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	printf(form, h->cluster_id, h->member_id);
#pragma GCC diagnostic pop
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

/* ---- table ---- */

static void
table_line(const size_t *width, size_t columns)
{
	for (size_t c = 0; c < columns; c++)
	{
		putchar('+');
		for (size_t i = 0; i < width[c] + 2; i++)
			putchar('-');
	}
	puts("+");
}

void
print_table(const char *const *head, size_t columns, const char *const *cells, size_t rows)
{
	size_t *width = ctl_alloc(columns * sizeof(*width));

	for (size_t c = 0; c < columns; c++)
	{
		width[c] = strlen(head[c]);
		for (size_t r = 0; r < rows; r++)
			width[c] = Max(width[c], strlen(cells[r * columns + c]));
	}
	table_line(width, columns);
	for (size_t c = 0; c < columns; c++)
	{
		size_t pad = width[c] - strlen(head[c]);

		printf("| %*s%s%*s ", (int) (pad / 2), "", head[c], (int) (pad - pad / 2), "");
	}
	puts("|");
	table_line(width, columns);
	for (size_t r = 0; r < rows; r++)
	{
		for (size_t c = 0; c < columns; c++)
			printf("| %*s ", (int) width[c], cells[r * columns + c]);
		puts("|");
	}
	table_line(width, columns);
}

void
print_rows(const char *const *cells, size_t columns, size_t rows)
{
	for (size_t r = 0; r < rows; r++)
	{
		for (size_t c = 0; c < columns; c++)
			printf("%s%s", c > 0 ? ", " : "", cells[r * columns + c]);
		putchar('\n');
	}
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
