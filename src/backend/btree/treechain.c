/*
 * treechain.c
 *	  Long keys and values: chains of overflow pages, written once and never changed.
 *
 * A chain belongs to one cell and is shared by all copies of the page that the cell lies in; it
 * dies when the cell is removed.
 *
 * src/backend/btree/treechain.c
 */
#include "rusd.h"

#include "btree_int.h"

static Status
chain_page(PageAccess *access, uint64_t number, uint64_t birth, const OverflowPage **page)
{
	const PageHeader *header;
	Status status = page_get(access, number, birth, &header);

	if (unlikely(status != RUSD_OK))
		return status;
	/* An empty page would let a damaged chain lead round in a circle. */
	if (unlikely(header->kind != PAGE_OVERFLOW || header->used == 0 ||
				 header->used > TREE_OVERFLOW_BYTES))
		return RUSD_DAMAGED;
	*page = (const OverflowPage *) header;
	return RUSD_OK;
}

/* Written from the end to the beginning, so that each page knows the next. */
Status
chain_write(TreeWriter *writer, Bytes bytes, uint64_t *page, uint64_t *birth)
{
	uint64_t next = PAGE_NONE;
	uint64_t next_birth = 0;
	size_t left = bytes.length;

	while (left > 0)
	{
		size_t part =
			left % TREE_OVERFLOW_BYTES != 0 ? left % TREE_OVERFLOW_BYTES : TREE_OVERFLOW_BYTES;
		OverflowPage *to = (OverflowPage *) space_allocate(writer->space, PAGE_OVERFLOW);

		left -= part;
		to->header.used = (uint16_t) part;
		to->next = next;
		to->next_birth = next_birth;
		memcpy(to->data, bytes.data + left, part);
		next = to->header.number;
		next_birth = to->header.birth;
	}
	*page = next;
	*birth = next_birth;
	return RUSD_OK;
}

Status
chain_free(TreeWriter *writer, uint64_t page, uint64_t birth, uint64_t length)
{
	while (length > 0)
	{
		const OverflowPage *from;
		uint64_t next;
		uint64_t next_birth;
		Status status = chain_page(&writer->access, page, birth, &from);

		if (status != RUSD_OK)
			return status;
		next = from->next;
		next_birth = from->next_birth;
		length -= Min(length, from->header.used);
		space_free(writer->space, page, birth);
		page = next;
		birth = next_birth;
	}
	return RUSD_OK;
}

Status
chain_read(PageAccess *access, uint64_t page, uint64_t birth, uint64_t offset, uint8_t *buffer,
		   uint64_t length, TreeHint *hint, uint64_t base)
{
	uint64_t place = base; /* of the page's first byte in the whole */

	offset += base;
	if (hint != NULL && hint->valid && hint->offset <= offset)
	{
		page = hint->page;
		birth = hint->birth;
		place = hint->offset;
	}
	while (length > 0)
	{
		const OverflowPage *from;
		Status status = chain_page(access, page, birth, &from);

		if (status != RUSD_OK)
			return status;
		if (offset < place + from->header.used)
		{
			uint64_t part = Min(length, place + from->header.used - offset);

			memcpy(buffer, from->data + (offset - place), part);
			buffer += part;
			offset += part;
			length -= part;
			if (hint != NULL)
				*hint = (TreeHint){.page = page, .birth = birth, .offset = place, .valid = true};
		}
		place += from->header.used;
		page = from->next;
		birth = from->next_birth;
	}
	return RUSD_OK;
}

Status
chain_compare(PageAccess *access, uint64_t page, uint64_t birth, uint64_t length, Bytes bytes,
			  int *order)
{
	*order = 0;
	while (length > 0 && bytes.length > 0)
	{
		const OverflowPage *from;
		uint64_t part;
		Status status = chain_page(access, page, birth, &from);

		if (status != RUSD_OK)
			return status;
		part = Min(from->header.used, Min(length, bytes.length));
		*order = memcmp(from->data, bytes.data, part);
		if (*order != 0)
			return RUSD_OK;
		length -= part;
		bytes.data += part;
		bytes.length -= part;
		page = from->next;
		birth = from->next_birth;
	}
	return RUSD_OK;
}

Status
leaf_free_chains(TreeWriter *writer, const LeafCell *cell)
{
	TreeCell view;
	Status status = RUSD_OK;

	if ((cell->form & (FORM_LONG_KEY | FORM_LONG_VALUE)) == 0)
		return RUSD_OK;
	leaf_cell_view(cell, &view);
	if (view.key_overflow_page != PAGE_NONE)
		status = chain_free(writer, view.key_overflow_page, view.key_overflow_birth,
							view.key_length - view.key_inline.length);
	if (status == RUSD_OK && view.value_overflow_page != PAGE_NONE)
		status = chain_free(writer, view.value_overflow_page, view.value_overflow_birth,
							view.value_length - view.value_inline.length);
	return status;
}

Status
inner_free_chain(TreeWriter *writer, const InnerCell *cell)
{
	CellKey key;

	inner_key(cell, &key);
	if (key.page == PAGE_NONE)
		return RUSD_OK;
	return chain_free(writer, key.page, key.birth, key.length - key.inline_length);
}

/* From the inline bytes first, then from the chain. */
static Status
read_part(PageAccess *access, Bytes inline_bytes, uint64_t whole, uint64_t page, uint64_t birth,
		  uint64_t offset, uint8_t *buffer, uint64_t length, TreeHint *hint)
{
	if (offset > whole || length > whole - offset)
		return RUSD_INVALID;
	if (offset < inline_bytes.length)
	{
		uint64_t part = Min(length, inline_bytes.length - offset);

		memcpy(buffer, inline_bytes.data + offset, part);
		buffer += part;
		offset += part;
		length -= part;
	}
	if (length == 0)
		return RUSD_OK;
	if (page == PAGE_NONE)
		return RUSD_DAMAGED;
	return chain_read(access, page, birth, offset - inline_bytes.length, buffer, length, hint,
					  inline_bytes.length);
}

Status
tree_read_key(PageAccess *access, const TreeCell *cell, uint64_t offset, void *buffer,
			  uint64_t length, TreeHint *hint)
{
	return read_part(access, cell->key_inline, cell->key_length, cell->key_overflow_page,
					 cell->key_overflow_birth, offset, buffer, length, hint);
}

Status
tree_read_value(PageAccess *access, const TreeCell *cell, uint64_t offset, void *buffer,
				uint64_t length, TreeHint *hint)
{
	return read_part(access, cell->value_inline, cell->value_length, cell->value_overflow_page,
					 cell->value_overflow_birth, offset, buffer, length, hint);
}
