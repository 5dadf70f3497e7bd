/*
 * test_descriptors.c
 *	  Do the compiled messages and services say what the tables in test/conformance say?  Row by
 * row: every row is there, and nothing else is.
 *
 * protobuf-c's descriptors do not tell which methods stream; that column is compared with the
 * .proto files themselves.
 *
 * test/unit/test_descriptors.c
 */
#include "rusd.h"

#include "auth.pb-c.h"
#include "health.pb-c.h"
#include "kv.pb-c.h"
#include "rpc.pb-c.h"
#include "status.pb-c.h"
#include "v3election.pb-c.h"
#include "v3lock.pb-c.h"

#include "cmocka_all.h"

#define ROWS_MAX 512
#define LINE_MAX_BYTES 1024
#define MESSAGES_MAX 256

static const ProtobufCServiceDescriptor *const services[] = {
	&etcdserverpb__kv__descriptor,          &etcdserverpb__watch__descriptor,
	&etcdserverpb__lease__descriptor,       &etcdserverpb__cluster__descriptor,
	&etcdserverpb__maintenance__descriptor, &etcdserverpb__auth__descriptor,
	&v3electionpb__election__descriptor,    &v3lockpb__lock__descriptor,
	&grpc__health__v1__health__descriptor,
};

/* Messages that no service leads to: stored, or of the log, or of the gateway. */
static const ProtobufCMessageDescriptor *const others[] = {
	&authpb__user__descriptor,
	&authpb__role__descriptor,
	&mvccpb__event__descriptor,
	&etcdserverpb__lease_checkpoint_request__descriptor,
	&etcdserverpb__lease_checkpoint_response__descriptor,
	&etcdserverpb__downgrade_version_test_request__descriptor,
	&google__rpc__status__descriptor,
};

static char rows[ROWS_MAX][LINE_MAX_BYTES];
static bool seen[ROWS_MAX];
static size_t row_count;
static const ProtobufCMessageDescriptor *messages[MESSAGES_MAX];
static size_t message_count;

/* ---- the table ---- */

static void
add_row(const char *row)
{
	assert_true(row_count < ROWS_MAX);
	snprintf(rows[row_count++], LINE_MAX_BYTES, "%s", row);
}

/* Rows of a table; what "# messages without fields:" lists become rows "<message>\t-". */
static void
read_table(const char *name)
{
	static const char empty[] = "# messages without fields:";
	char path[256];
	char line[LINE_MAX_BYTES];
	FILE *file;

	snprintf(path, sizeof(path), "test/conformance/%s", name);
	file = fopen(path, "r");
	if (file == NULL)
		fail_msg("%s cannot be read: run from the top of the tree", path);
	row_count = 0;
	memset(seen, 0, sizeof(seen));
	while (fgets(line, sizeof(line), file) != NULL)
	{
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, empty, sizeof(empty) - 1) == 0)
		{
			char *word;

			for (word = strtok(line + sizeof(empty) - 1, " "); word != NULL;
				 word = strtok(NULL, " "))
			{
				char row[LINE_MAX_BYTES];

				snprintf(row, sizeof(row), "%s\t-", word);
				add_row(row);
			}
		}
		else if (line[0] != '#' && line[0] != '\0')
			add_row(line);
	}
	fclose(file);
	assert_true(row_count > 0);
}

static void
expect_row(const char *row)
{
	size_t i;

	for (i = 0; i < row_count; i++)
		if (strcmp(rows[i], row) == 0)
		{
			if (seen[i])
				fail_msg("twice: %s", row);
			seen[i] = true;
			return;
		}
	fail_msg("compiled, but not in the table: %s", row);
}

static void
expect_all_seen(void)
{
	size_t i;

	for (i = 0; i < row_count; i++)
		if (!seen[i])
			fail_msg("in the table, but not compiled: %s", rows[i]);
}

/* ---- the descriptors ---- */

static bool
ends_with(const char *text, const char *end)
{
	size_t length = strlen(text);

	return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

static bool
is_map(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_MESSAGE &&
		   ends_with(((const ProtobufCMessageDescriptor *) field->descriptor)->name, "Entry");
}

/* All messages that can be reached. */
static void
gather(const ProtobufCMessageDescriptor *message)
{
	size_t i;

	for (i = 0; i < message_count; i++)
		if (messages[i] == message)
			return;
	assert_true(message_count < MESSAGES_MAX);
	messages[message_count++] = message;
	for (i = 0; i < message->n_fields; i++)
		if (message->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			gather(message->fields[i].descriptor);
}

static void
gather_all(void)
{
	size_t i;
	unsigned j;

	message_count = 0;
	for (i = 0; i < lengthof(services); i++)
		for (j = 0; j < services[i]->n_methods; j++)
		{
			gather(services[i]->methods[j].input);
			gather(services[i]->methods[j].output);
		}
	for (i = 0; i < lengthof(others); i++)
		gather(others[i]);
}

static void
type_name(const ProtobufCFieldDescriptor *field, char *name, size_t size)
{
	switch (field->type)
	{
		case PROTOBUF_C_TYPE_INT32:
			snprintf(name, size, "int32");
			break;
		case PROTOBUF_C_TYPE_INT64:
			snprintf(name, size, "int64");
			break;
		case PROTOBUF_C_TYPE_UINT32:
			snprintf(name, size, "uint32");
			break;
		case PROTOBUF_C_TYPE_UINT64:
			snprintf(name, size, "uint64");
			break;
		case PROTOBUF_C_TYPE_BOOL:
			snprintf(name, size, "bool");
			break;
		case PROTOBUF_C_TYPE_STRING:
			snprintf(name, size, "string");
			break;
		case PROTOBUF_C_TYPE_BYTES:
			snprintf(name, size, "bytes");
			break;
		case PROTOBUF_C_TYPE_ENUM:
			snprintf(name, size, "%s", ((const ProtobufCEnumDescriptor *) field->descriptor)->name);
			break;
		case PROTOBUF_C_TYPE_MESSAGE:
			if (is_map(field))
			{
				const ProtobufCMessageDescriptor *entry = field->descriptor;
				char value[128];

				assert_int_equal(entry->n_fields, 2);
				assert_int_equal(entry->fields[0].type, PROTOBUF_C_TYPE_STRING);
				type_name(&entry->fields[1], value, sizeof(value));
				snprintf(name, size, "map<string,%s>", value);
			}
			else
				snprintf(name, size, "%s",
						 ((const ProtobufCMessageDescriptor *) field->descriptor)->name);
			break;
		default:
			fail_msg("field %s has a type that no table has", field->name);
	}
}

/* protobuf-c keeps the name of a oneof nowhere but in the names of C members: these would not
 * compile under others. */
StaticAssert(sizeof(((Etcdserverpb__RequestOp *) NULL)->request_case) > 0, "oneof request");
StaticAssert(sizeof(((Etcdserverpb__ResponseOp *) NULL)->response_case) > 0, "oneof response");
StaticAssert(sizeof(((Etcdserverpb__Compare *) NULL)->target_union_case) > 0, "oneof target_union");
StaticAssert(sizeof(((Etcdserverpb__WatchRequest *) NULL)->request_union_case) > 0,
			 "oneof request_union");

static const char *
oneof_name(const ProtobufCMessageDescriptor *message)
{
	static const struct
	{
		const char *message;
		const char *oneof;
	} oneofs[] = {
		{"etcdserverpb.RequestOp", "request"},
		{"etcdserverpb.ResponseOp", "response"},
		{"etcdserverpb.Compare", "target_union"},
		{"etcdserverpb.WatchRequest", "request_union"},
	};
	size_t i;

	for (i = 0; i < lengthof(oneofs); i++)
		if (strcmp(oneofs[i].message, message->name) == 0)
			return oneofs[i].oneof;
	fail_msg("%s has a oneof that no table has", message->name);
	return NULL;
}

static void
compare_message(const ProtobufCMessageDescriptor *message)
{
	char row[LINE_MAX_BYTES];
	unsigned i;

	if (message->n_fields == 0)
	{
		snprintf(row, sizeof(row), "%s\t-", message->name);
		expect_row(row);
	}
	for (i = 0; i < message->n_fields; i++)
	{
		const ProtobufCFieldDescriptor *field = &message->fields[i];
		char type[192];
		char label[64];

		type_name(field, type, sizeof(type));
		if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
			snprintf(label, sizeof(label), "oneof %s", oneof_name(message));
		else
			snprintf(label, sizeof(label), "%s",
					 field->label == PROTOBUF_C_LABEL_REPEATED ? "repeated" : "singular");
		snprintf(row, sizeof(row), "%s\t%u\t%s\t%s\t%s", message->name, field->id, field->name,
				 type, label);
		expect_row(row);
	}
}

static void
test_every_field(void **state)
{
	size_t i;

	(void) state;
	read_table("etcd-fields.tsv");
	gather_all();
	for (i = 0; i < message_count; i++)
	{
		/* Not etcd's: what google.rpc.Status refers to, and what protobuf makes of a map. */
		if (strcmp(messages[i]->name, "google.protobuf.Any") == 0 ||
			ends_with(messages[i]->name, "Entry"))
			continue;
		compare_message(messages[i]);
	}
	expect_all_seen();
}

/* "stream" before the type in brackets, as the .proto file has it. */
static void
streaming(const char *method, char *kind, size_t size)
{
	static const char *const files[] = {"rpc.proto", "v3lock.proto", "v3election.proto",
										"health.proto"};
	const char *service = strrchr(method, '/');
	char wanted_service[64];
	char wanted[64];
	char line[LINE_MAX_BYTES];
	char path[256];
	size_t i;

	/* method: package.Service/Method */
	snprintf(wanted, sizeof(wanted), "  rpc %s(", service + 1);
	service = strchr(method, '/');
	while (service > method && service[-1] != '.')
		service--;
	snprintf(wanted_service, sizeof(wanted_service), "service %.*s {", (int) strcspn(service, "/"),
			 service);
	for (i = 0; i < lengthof(files); i++)
	{
		bool inside = false;
		FILE *file;

		snprintf(path, sizeof(path), "src/include/proto/%s", files[i]);
		file = fopen(path, "r");
		assert_non_null(file);
		while (fgets(line, sizeof(line), file) != NULL)
		{
			if (strncmp(line, "service ", 8) == 0)
				inside = strncmp(line, wanted_service, strlen(wanted_service)) == 0;
			if (!inside || strncmp(line, wanted, strlen(wanted)) != 0)
				continue;
			snprintf(kind, size, "%s",
					 strstr(line, "(stream ") == NULL                    ? "unary"
					 : strncmp(line + strlen(wanted), "stream ", 7) != 0 ? "server"
					 : strstr(line, "returns (stream ") != NULL          ? "bidi"
																		 : "client");
			fclose(file);
			return;
		}
		fclose(file);
	}
	fail_msg("%s is in no .proto file", method);
}

/* The last column is the gateway's, which no .proto file has. */
static void
cut_last_column(char *row)
{
	*strrchr(row, '\t') = '\0';
}

static void
test_every_method(void **state)
{
	size_t i;
	unsigned j;

	(void) state;
	read_table("etcd-methods.tsv");
	for (i = 0; i < row_count; i++)
		cut_last_column(rows[i]);
	for (i = 0; i < lengthof(services); i++)
		for (j = 0; j < services[i]->n_methods; j++)
		{
			const ProtobufCMethodDescriptor *method = &services[i]->methods[j];
			char path[128];
			char kind[16];
			char row[LINE_MAX_BYTES];

			snprintf(path, sizeof(path), "%s/%s", services[i]->name, method->name);
			streaming(path, kind, sizeof(kind));
			snprintf(row, sizeof(row), "%s\t%s\t/%s\t%s\t%s\t%s", services[i]->name, method->name,
					 path, method->input->name, method->output->name, kind);
			expect_row(row);
		}
	expect_all_seen();
}

/* Enum values are in neither table: those that rusd's own code relies on, and the rest of etcd's,
 * by number. */
static void
test_enums(void **state)
{
	static const struct
	{
		const ProtobufCEnumDescriptor *descriptor;
		const char *values;
	} enums[] = {
		{&etcdserverpb__range_request__sort_order__descriptor, "NONE ASCEND DESCEND"},
		{&etcdserverpb__range_request__sort_target__descriptor, "KEY VERSION CREATE MOD VALUE"},
		{&etcdserverpb__compare__compare_result__descriptor, "EQUAL GREATER LESS NOT_EQUAL"},
		{&etcdserverpb__compare__compare_target__descriptor, "VERSION CREATE MOD VALUE LEASE"},
		{&etcdserverpb__watch_create_request__filter_type__descriptor, "NOPUT NODELETE"},
		{&etcdserverpb__alarm_request__alarm_action__descriptor, "GET ACTIVATE DEACTIVATE"},
		{&etcdserverpb__alarm_type__descriptor, "NONE NOSPACE CORRUPT"},
		{&etcdserverpb__downgrade_request__downgrade_action__descriptor, "VALIDATE ENABLE CANCEL"},
		{&authpb__permission__type__descriptor, "READ WRITE READWRITE"},
		{&mvccpb__event__event_type__descriptor, "PUT DELETE"},
		{&grpc__health__v1__health_check_response__serving_status__descriptor,
		 "UNKNOWN SERVING NOT_SERVING SERVICE_UNKNOWN"},
	};
	size_t i;
	unsigned j;

	(void) state;
	for (i = 0; i < lengthof(enums); i++)
	{
		char values[256] = "";

		for (j = 0; j < enums[i].descriptor->n_values; j++)
		{
			size_t at = strlen(values);

			assert_int_equal(enums[i].descriptor->values[j].value, (int) j);
			snprintf(values + at, sizeof(values) - at, "%s%s", j == 0 ? "" : " ",
					 enums[i].descriptor->values[j].name);
		}
		assert_string_equal(values, enums[i].values);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_every_method),
		cmocka_unit_test(test_enums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
