/*
 * json.c
 *	  JSON from the descriptors of the messages.
 *
 * Names of the .proto files, fields at their default left out, numbers as numbers, bytes as base64:
 * what Go's encoding/json makes of etcd's structs, its escapes included.
 *
 * src/bin/rusdctl/json.c
 */
#include "rusd_fe.h"

#include "../common/jsontext.h"
#include "ctl.h"

void
print_json_text(const char *text)
{
	json_print_text(text, strlen(text));
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
		{
			const ProtobufCBinaryData *bytes = place;

			json_print_base64(bytes->data, bytes->len);
			break;
		}
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
