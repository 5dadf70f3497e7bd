/*
 * encode.c
 *	  A key and its value as a protobuf KeyValue, straight from pages.
 *
 * Runs in backends (answers) and the applier (hashes).  Fields in number order, zero fields and an
 * empty value left out: 1 key, 2 create_revision, 3 mod_revision, 4 version, 5 value, 6 lease.  The
 * same bytes are the weights of the tree by key and the records that HashKV is fed with (MAINT-32),
 * so there is one encoder.
 *
 * src/backend/store/encode.c
 */
#include "rusd.h"

#include "store_int.h"

enum
{
	TAG_KEY = 0x0a,
	TAG_CREATE = 0x10,
	TAG_MOD = 0x18,
	TAG_VERSION = 0x20,
	TAG_VALUE = 0x2a,
	TAG_LEASE = 0x30
};

typedef enum ItemPart
{
	PART_HEAD, /* up to the key's length */
	PART_KEY,
	PART_MIDDLE, /* up to the value's length */
	PART_VALUE,
	PART_TAIL, /* the lease */
	PART_DONE
} ItemPart;

static inline uint32_t
varint_length(uint64_t value)
{
	return (uint32_t) (63 - __builtin_clzll(value | 1)) / 7 + 1;
}

static inline uint8_t *
varint_put(uint8_t *out, uint64_t value)
{
	while (value >= 0x80)
	{
		*out++ = (uint8_t) (value | 0x80);
		value >>= 7;
	}
	*out++ = (uint8_t) value;
	return out;
}

static inline uint64_t
number_length(int64_t value)
{
	return value == 0 ? 0 : 1 + varint_length((uint64_t) value);
}

static inline uint8_t *
number_put(uint8_t *out, uint8_t tag, int64_t value)
{
	if (value == 0)
		return out;
	*out++ = tag;
	return varint_put(out, (uint64_t) value);
}

static inline uint64_t
bytes_length(uint64_t length)
{
	return length == 0 ? 0 : 1 + varint_length(length) + length;
}

static inline bool
has_value(const RangeItem *item, ItemForm form)
{
	return form == ITEM_FULL && item->value_length > 0;
}

Status
item_from_cell(const TreeCell *cell, RangeItem *item)
{
	KeyRecord record;

	if (unlikely(cell->value_inline.length < sizeof(record)))
		return RUSD_DAMAGED;
	memcpy(&record, cell->value_inline.data, sizeof(record));
	item->cell = *cell;
	item->create_revision = record.create_revision;
	item->mod_revision = (int64_t) ~cell->hi;
	item->version = record.version;
	item->lease = record.lease;
	item->value_length = cell->value_length - sizeof(record);
	return RUSD_OK;
}

uint64_t
item_length(const RangeItem *item, ItemForm form)
{
	uint64_t length = bytes_length(item->cell.key_length) + number_length(item->create_revision) +
					  number_length(item->mod_revision) + number_length(item->version);

	if (form == ITEM_FULL)
		length += bytes_length(item->value_length);
	if (form != ITEM_KEYS)
		length += number_length(item->lease);
	return length;
}

uint64_t
item_field_length(const RangeItem *item, ItemForm form)
{
	uint64_t length = item_length(item, form);

	return 1 + varint_length(length) + length;
}

void
store_weigh_keys(const TreeCell *cell, TreeSum *sum)
{
	RangeItem item;

	memset(sum, 0, sizeof(*sum));
	if ((cell->flags & RECORD_LIVE) == 0)
		return;
	sum->weight[0] = 1;
	if (item_from_cell(cell, &item) != RUSD_OK)
		return;
	sum->weight[1] = item_field_length(&item, ITEM_FULL);
	sum->weight[2] = item_field_length(&item, ITEM_KEYS);
}

void
store_weigh_count(const TreeCell *cell, TreeSum *sum)
{
	(void) cell;
	sum->weight[0] = 1;
	sum->weight[1] = 0;
	sum->weight[2] = 0;
}

bool
item_is_inline(const RangeItem *item, ItemForm form)
{
	const TreeCell *cell = &item->cell;

	return cell->key_inline.length == cell->key_length &&
		   (form != ITEM_FULL || cell->value_inline.length == cell->value_length);
}

/* Up to the key's bytes. */
static uint8_t *
put_head(const RangeItem *item, ItemForm form, uint8_t tag, uint8_t *out)
{
	if (tag != 0)
	{
		*out++ = tag;
		out = varint_put(out, item_length(item, form));
	}
	if (item->cell.key_length == 0)
		return out;
	*out++ = TAG_KEY;
	return varint_put(out, item->cell.key_length);
}

/* Between key and value. */
static uint8_t *
put_middle(const RangeItem *item, ItemForm form, uint8_t *out)
{
	out = number_put(out, TAG_CREATE, item->create_revision);
	out = number_put(out, TAG_MOD, item->mod_revision);
	out = number_put(out, TAG_VERSION, item->version);
	if (!has_value(item, form))
		return out;
	*out++ = TAG_VALUE;
	return varint_put(out, item->value_length);
}

static uint8_t *
put_tail(const RangeItem *item, ItemForm form, uint8_t *out)
{
	return form == ITEM_KEYS ? out : number_put(out, TAG_LEASE, item->lease);
}

uint8_t *
item_put(const RangeItem *item, ItemForm form, uint8_t tag, uint8_t *out)
{
	out = put_head(item, form, tag, out);
	memcpy(out, item->cell.key_inline.data, item->cell.key_length);
	out = put_middle(item, form, out + item->cell.key_length);
	if (has_value(item, form))
	{
		memcpy(out, item->cell.value_inline.data + sizeof(KeyRecord), item->value_length);
		out += item->value_length;
	}
	return put_tail(item, form, out);
}

void
encoder_begin(ItemEncoder *encoder, const RangeItem *item, ItemForm form, uint8_t tag)
{
	encoder->item = *item;
	encoder->form = form;
	encoder->part = PART_HEAD;
	encoder->offset = 0;
	encoder->small_length = (uint32_t) (put_head(item, form, tag, encoder->small) - encoder->small);
}

bool
encoder_is_done(const ItemEncoder *encoder)
{
	return encoder->part == PART_DONE;
}

/* Prepares the part that comes next. */
static void
next_part(ItemEncoder *encoder)
{
	uint8_t *small = encoder->small;

	encoder->part++;
	encoder->offset = 0;
	encoder->hint = (TreeHint){0};
	if (encoder->part == PART_MIDDLE)
		encoder->small_length =
			(uint32_t) (put_middle(&encoder->item, encoder->form, small) - small);
	else if (encoder->part == PART_TAIL)
		encoder->small_length = (uint32_t) (put_tail(&encoder->item, encoder->form, small) - small);
}

static uint64_t
part_length(const ItemEncoder *encoder)
{
	switch (encoder->part)
	{
		case PART_KEY:
			return encoder->item.cell.key_length;
		case PART_VALUE:
			return has_value(&encoder->item, encoder->form) ? encoder->item.value_length : 0;
		default:
			return encoder->small_length;
	}
}

static Status
read_part(ItemEncoder *encoder, PageAccess *access, uint8_t *buffer, size_t length)
{
	const TreeCell *cell = &encoder->item.cell;

	switch (encoder->part)
	{
		case PART_KEY:
			return tree_read_key(access, cell, encoder->offset, buffer, length, &encoder->hint);
		case PART_VALUE:
			return tree_read_value(access, cell, sizeof(KeyRecord) + encoder->offset, buffer,
								   length, &encoder->hint);
		default:
			memcpy(buffer, encoder->small + encoder->offset, length);
			return RUSD_OK;
	}
}

Status
encoder_pull(ItemEncoder *encoder, PageAccess *access, uint8_t *buffer, size_t max, size_t *got)
{
	size_t done = 0;

	while (encoder->part != PART_DONE)
	{
		uint64_t left = part_length(encoder) - encoder->offset;
		size_t length = (size_t) Min(left, max - done);

		if (left == 0)
		{
			next_part(encoder);
			continue;
		}
		if (length == 0)
			break;
		Status status = read_part(encoder, access, buffer + done, length);

		if (status != RUSD_OK)
			return status;
		encoder->offset += length;
		done += length;
	}
	*got = done;
	return RUSD_OK;
}

uint32_t
key_field_head(uint64_t key_length, uint8_t *out)
{
	if (key_length == 0)
		return 0;
	out[0] = TAG_KEY;
	return (uint32_t) (varint_put(out + 1, key_length) - out);
}

uint64_t
range_item_length(const RangeItem *item, bool keys_only)
{
	return item_length(item, keys_only ? ITEM_KEYS : ITEM_FULL);
}

Status
range_item_encode(const Snapshot *snapshot, const RangeItem *item, bool keys_only, uint8_t *buffer)
{
	ItemForm form = keys_only ? ITEM_KEYS : ITEM_FULL;
	ItemEncoder encoder;
	size_t got;

	if (likely(item_is_inline(item, form)))
	{
		(void) item_put(item, form, 0, buffer);
		return RUSD_OK;
	}
	encoder_begin(&encoder, item, form, 0);
	return encoder_pull(&encoder, snapshot->access, buffer, item_length(item, form), &got);
}
