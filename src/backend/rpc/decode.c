/*
 * decode.c
 *	  Requests: looked at before protobuf-c unpacks them.
 *
 * protobuf-c recurses into nested messages without a bound (154 kB of message nested 40,000 deep
 * make it crash) and takes what a message asks for (2 MB of empty operations: 56 MB).  So a scan of
 * the serialized form comes first: it keeps its own stack, allocates nothing, and tells depth and
 * memory; only what is within bounds is unpacked.  Runs in backends.
 *
 * src/backend/rpc/decode.c
 */
#include "rusd.h"

#include "rpc/decode.h"
#include "rpc/wire.h"

/* What protobuf-c keeps for each field that it sees while it works on one message, in slabs that
 * double; the first slab is on its stack. */
#define SCANNED_BYTES 48
#define SCANNED_ON_STACK 16
/* What an arena may add to each allocation. */
#define ARENA_ROUND 16

typedef struct Level
{
	const ProtobufCMessageDescriptor *descriptor;
	const uint8_t *end;
	uint32_t fields;  /* seen in this message so far */
	uint32_t run_tag; /* elements of one repeated field, one behind the other */
	uint32_t run_length;
} Level;

typedef struct Scan
{
	uint8_t *at;
	uint32_t depth;
	uint32_t depth_max;
	DecodeFacts *facts;
	Level levels[DECODE_DEPTH_MAX];
} Scan;

/* What scan_bytes says where one more level would be too many. */
static const char too_deep[] = "messages are nested too deep";

/* A varint of at most 10 bytes, of which the last may hold one bit. */
static bool
take_varint(uint8_t **at, const uint8_t *end, uint64_t *value)
{
	uint64_t result = 0;
	int shift;

	for (shift = 0; shift < 70; shift += 7)
	{
		uint8_t byte;

		if (*at == end)
			return false;
		byte = *(*at)++;
		if (shift == 63 && byte > 1)
			return false;
		result |= (uint64_t) (byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
		{
			*value = result;
			return true;
		}
	}
	return false;
}

static const ProtobufCFieldDescriptor *
find_field(const ProtobufCMessageDescriptor *descriptor, uint32_t number)
{
	/* Nearly all messages number their fields 1, 2, 3 ... */
	if (descriptor->n_field_ranges >= 1 && descriptor->field_ranges[0].start_value == 1 &&
		number - 1 < descriptor->field_ranges[1].orig_index)
		return &descriptor->fields[number - 1];
	return protobuf_c_message_descriptor_get_field(descriptor, number);
}

/* The wire type that a value of this field has outside of a packed list. */
static uint32_t
wire_type_of(const ProtobufCFieldDescriptor *field)
{
	switch (field->type)
	{
		case PROTOBUF_C_TYPE_SFIXED32:
		case PROTOBUF_C_TYPE_FIXED32:
		case PROTOBUF_C_TYPE_FLOAT:
			return WIRE_FIXED32;
		case PROTOBUF_C_TYPE_SFIXED64:
		case PROTOBUF_C_TYPE_FIXED64:
		case PROTOBUF_C_TYPE_DOUBLE:
			return WIRE_FIXED64;
		case PROTOBUF_C_TYPE_STRING:
		case PROTOBUF_C_TYPE_BYTES:
		case PROTOBUF_C_TYPE_MESSAGE:
			return WIRE_BYTES;
		default:
			return WIRE_VARINT;
	}
}

static uint64_t
rounded(uint64_t bytes)
{
	return AlignUp(bytes, ARENA_ROUND) + ARENA_ROUND;
}

/* Gives the field at tag a number that no message has, in as many bytes as it had. */
static void
rename_field(uint8_t *tag, size_t tag_bytes, uint32_t wire_type)
{
	size_t i;

	tag[0] = (uint8_t) (0x78 | wire_type); /* 15, or the low bits of more */
	for (i = 1; i < tag_bytes; i++)
	{
		tag[i - 1] |= 0x80;
		tag[i] = 0x7f;
	}
	/* Five bytes hold a number of at most 29 bits. */
	if (tag_bytes == 5)
		tag[4] = 0x0f;
}

/* Room that protobuf-c's slabs for the fields of one message take: known when the message has been
 * seen to its end. */
static uint64_t
slab_memory(uint32_t fields)
{
	return fields <= SCANNED_ON_STACK ? 0
									  : (uint64_t) SCANNED_BYTES * 2 * (fields + SCANNED_ON_STACK);
}

/* Is a packed list made of whole elements? */
static bool
packed_is_valid(const ProtobufCFieldDescriptor *field, uint8_t *data, uint64_t length)
{
	uint8_t *end = data + length;
	uint32_t wire_type = wire_type_of(field);
	uint64_t value;

	if (wire_type != WIRE_VARINT)
		return length % (wire_type == WIRE_FIXED64 ? 8 : 4) == 0;
	while (data != end)
		if (!take_varint(&data, end, &value))
			return false;
	return true;
}

/* A field whose value is length bytes, which the scan stands at: adds what it takes; enters a
 * message.  NULL or what is wrong. */
static const char *
scan_bytes(Scan *scan, const ProtobufCFieldDescriptor *field, uint64_t length)
{
	DecodeFacts *facts = scan->facts;
	Level *level;

	if (field == NULL || field->type == PROTOBUF_C_TYPE_BYTES)
		facts->memory += rounded(length);
	else if (field->type == PROTOBUF_C_TYPE_STRING)
	{
		if (!utf8_is_valid(scan->at, length))
			return "string field contains invalid UTF-8";
		facts->memory += rounded(length + 1);
	}
	else if (field->type != PROTOBUF_C_TYPE_MESSAGE)
	{
		/* A packed list: at least a byte for each element. */
		if (!packed_is_valid(field, scan->at, length))
			return "malformed packed list";
		facts->memory += rounded(length * 8);
	}
	else if (scan->depth == scan->depth_max)
	{
		facts->depth = scan->depth + 1;
		return too_deep;
	}
	else
	{
		level = &scan->levels[scan->depth++];
		level->descriptor = field->descriptor;
		level->end = scan->at + length;
		level->fields = level->run_tag = level->run_length = 0;
		facts->depth = Max(facts->depth, scan->depth);
		facts->memory += rounded(level->descriptor->sizeof_message);
		return NULL;
	}
	scan->at += length;
	return NULL;
}

/* Counts the field in its message and its list. */
static void
count_field(Scan *scan, Level *level, const ProtobufCFieldDescriptor *field, uint32_t number)
{
	DecodeFacts *facts = scan->facts;

	level->fields++;
	if (field == NULL)
	{
		facts->memory += 2 * sizeof(ProtobufCMessageUnknownField);
		return;
	}
	if (field->label != PROTOBUF_C_LABEL_REPEATED)
		return;
	facts->memory += 8; /* its place in the array */
	if (level->run_tag != number)
	{
		level->run_tag = number;
		level->run_length = 0;
		facts->memory += 2 * ARENA_ROUND;
	}
	level->run_length++;
	facts->repeated_max = Max(facts->repeated_max, level->run_length);
}

/* Skips the value of one field (enters it, if it is a message).  NULL or what is wrong. */
static const char *
scan_value(Scan *scan, Level *level, const ProtobufCFieldDescriptor *field, uint32_t wire_type)
{
	const uint8_t *start;
	uint64_t length;
	size_t fixed = wire_type == WIRE_FIXED64 ? 8 : 4;

	switch (wire_type)
	{
		case WIRE_VARINT:
			if (!take_varint(&scan->at, level->end, &length))
				return "malformed varint";
			return NULL;
		case WIRE_FIXED64:
		case WIRE_FIXED32:
			if ((size_t) (level->end - scan->at) < fixed)
				return "unexpected end of message";
			scan->at += fixed;
			return NULL;
		case WIRE_BYTES:
			/* protobuf-c reads lengths of up to five bytes. */
			start = scan->at;
			if (!take_varint(&scan->at, level->end, &length) || scan->at - start > 5)
				return "malformed length";
			if (length > (uint64_t) (level->end - scan->at))
				return "unexpected end of message";
			return scan_bytes(scan, field, length);
		default:
			return "cannot parse reserved wire type";
	}
}

/* One field of the innermost message.  NULL or what is wrong. */
static const char *
scan_field(Scan *scan)
{
	Level *level = &scan->levels[scan->depth - 1];
	uint8_t *tag = scan->at;
	const ProtobufCFieldDescriptor *field;
	uint64_t value;
	uint32_t number;
	uint32_t wire_type;

	if (!take_varint(&scan->at, level->end, &value) || scan->at - tag > 5 || value >> 32 != 0 ||
		value >> 3 == 0)
		return "invalid field number";
	number = (uint32_t) (value >> 3);
	wire_type = value & 7;
	field = find_field(level->descriptor, number);
	if (field != NULL && wire_type_of(field) != wire_type &&
		!(field->label == PROTOBUF_C_LABEL_REPEATED && wire_type == WIRE_BYTES))
	{
		rename_field(tag, (size_t) (scan->at - tag), wire_type);
		field = NULL;
	}
	count_field(scan, level, field, number);
	return scan_value(scan, level, field, wire_type);
}

Status
decode_scan(const ProtobufCMessageDescriptor *descriptor, uint8_t *data, size_t length,
			const DecodeLimits *limits, DecodeFacts *facts)
{
	Scan scan;

	scan.at = data;
	scan.facts = facts;
	scan.depth_max = Min(limits->depth_max, DECODE_DEPTH_MAX);
	scan.depth = 1;
	scan.levels[0] = (Level){.descriptor = descriptor, .end = data + length};
	*facts = (DecodeFacts){.depth = 1, .memory = rounded(descriptor->sizeof_message)};
	for (;;)
	{
		const Level *level = &scan.levels[scan.depth - 1];

		if (scan.at == level->end)
		{
			facts->memory += slab_memory(level->fields);
			if (facts->memory > limits->memory_max)
				return RUSD_AGAIN;
			if (--scan.depth == 0)
				return RUSD_OK;
			continue;
		}
		facts->error = scan_field(&scan);
		if (facts->error == too_deep || facts->memory > limits->memory_max)
			return RUSD_AGAIN;
		if (facts->error != NULL)
			return RUSD_INVALID;
	}
}

static void *
allocate_in_arena(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void
free_in_arena(void *arena, void *pointer)
{
	(void) arena;
	(void) pointer;
}

ProtobufCAllocator
decode_allocator(Arena *arena)
{
	return (ProtobufCAllocator){
		.alloc = allocate_in_arena, .free = free_in_arena, .allocator_data = arena};
}

Status
decode_message(const ProtobufCMessageDescriptor *descriptor, Bytes message,
			   const DecodeLimits *limits, Arena *arena, ProtobufCMessage **result,
			   DecodeFacts *facts)
{
	ProtobufCAllocator allocator = decode_allocator(arena);
	Status status;

	/* The bytes lie in memory of this process that nobody else looks at. */
	status = decode_scan(descriptor, (uint8_t *) (uintptr_t) message.data, message.length, limits,
						 facts);
	if (status != RUSD_OK)
		return status;
	*result = protobuf_c_message_unpack(descriptor, &allocator, message.length, message.data);
	if (*result != NULL)
		return RUSD_OK;
	/* What the scan lets pass is well formed; so it was memory. */
	return RUSD_NO_MEMORY;
}

/* Length of the well-formed sequence of a lead byte >= 0x80 at data, 0 if there is none. */
static size_t
utf8_sequence(const uint8_t *data, size_t length)
{
	uint8_t lead = data[0];
	uint8_t low = 0x80;
	uint8_t high = 0xbf;
	size_t size;
	size_t i;

	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (length < size)
		return 0;
	/* Over-long forms, surrogates and what lies above U+10FFFF show in the second byte. */
	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	if (data[1] < low || data[1] > high)
		return 0;
	for (i = 2; i < size; i++)
		if ((data[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

bool
utf8_is_valid(const uint8_t *data, size_t length)
{
	size_t i = 0;

	while (i < length)
	{
		size_t size = 1;

		if (data[i] >= 0x80)
			size = utf8_sequence(data + i, length - i);
		if (size == 0)
			return false;
		i += size;
	}
	return true;
}
