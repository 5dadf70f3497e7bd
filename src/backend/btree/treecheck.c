/*
 * treecheck.c
 *	  Is a page what it should be, and is a tree?
 *
 * tree_page_is_sane runs in the pager on each page that it reads, so that no reader has to look
 * again: whatever stands in a page of the cache, its cells lie inside it.  What only several pages
 * together can show (levels, kinds, births) readers check as they go.  tree_check is for tests and
 * offline tools.
 *
 * src/backend/btree/treecheck.c
 */
#include "rusd.h"

#include <stdarg.h>

#include "btree_int.h"

/* Bytes of a leaf cell by its own lengths; 0: they contradict each other. */
static uint32_t
leaf_cell_length(const LeafCell *cell, uint32_t room)
{
	uint32_t length = sizeof(LeafCell);
	TreeCell view;

	if (room < length || (cell->form & ~(FORM_LONG_KEY | FORM_LONG_VALUE)) != 0)
		return 0;
	length += (cell->form & FORM_LONG_KEY) != 0 ? (uint32_t) sizeof(ChainRef) : 0;
	length += (cell->form & FORM_LONG_VALUE) != 0 ? (uint32_t) sizeof(ChainRef) : 0;
	length += (uint32_t) cell->key_inline + cell->value_inline;
	if (length > room)
		return 0;
	leaf_cell_view(cell, &view);
	if ((cell->form & FORM_LONG_KEY) != 0 &&
		(view.key_overflow_page == PAGE_NONE || view.key_length <= cell->key_inline))
		return 0;
	if ((cell->form & FORM_LONG_VALUE) != 0 &&
		(view.value_overflow_page == PAGE_NONE || view.value_length <= cell->value_inline))
		return 0;
	return length;
}

static uint32_t
inner_cell_length(const InnerCell *cell, uint32_t room)
{
	uint32_t length = sizeof(InnerCell);
	CellKey key;

	if (room < length || (cell->form & ~(FORM_LONG_KEY | FORM_NUMBERS)) != 0)
		return 0;
	length += (cell->form & FORM_NUMBERS) != 0 ? 2u * (uint32_t) sizeof(uint64_t) : 0;
	length += (cell->form & FORM_LONG_KEY) != 0 ? (uint32_t) sizeof(ChainRef) : 0;
	length += cell->key_inline;
	if (length > room)
		return 0;
	inner_key(cell, &key);
	if ((cell->form & FORM_LONG_KEY) != 0 &&
		(key.page == PAGE_NONE || key.length <= cell->key_inline))
		return 0;
	return length;
}

bool
tree_page_is_sane(const PageHeader *header)
{
	const TreePage *page = (const TreePage *) header;
	uint32_t cells_begin;
	uint32_t bytes = 0;

	if (header->kind == PAGE_OVERFLOW)
		return header->used > 0 && header->used <= TREE_OVERFLOW_BYTES;
	if (header->kind != PAGE_LEAF && header->kind != PAGE_INNER)
		return false;
	if ((header->kind == PAGE_LEAF) != (page->level == 0) || page->level >= TREE_DEPTH_MAX)
		return false;
	cells_begin = (uint32_t) (sizeof(TreePage) + header->used * sizeof(TreeSlot));
	if (header->used == 0 || header->used > PAGE_CELLS_MAX || page->prefix > TREE_PREFIX_MAX ||
		page->bottom < cells_begin || page->bottom > PAGE_BYTES)
		return false;
	for (uint32_t i = 0; i < header->used; i++)
	{
		const TreeSlot *slot = &page->slots[i];
		uint32_t length;
		CellKey key;

		if (slot->offset < page->bottom || slot->offset > PAGE_BYTES ||
			slot->length > PAGE_BYTES - slot->offset)
			return false;
		length = page_is_leaf(page) ? leaf_cell_length(page_cell(page, i), slot->length)
									: inner_cell_length(page_cell(page, i), slot->length);
		if (length == 0 || length != slot->length || length > TREE_CELL_MAX)
			return false;
		bytes += length;
		page_key(page, i, &key);
		if (!page_is_leaf(page) && i == 0)
			continue;
		if (key.inline_length < page->prefix ||
			slot->head != key_head(key.bytes, key.inline_length, page->prefix))
			return false;
	}
	return bytes + page->garbage == (uint32_t) PAGE_BYTES - page->bottom;
}

/* ---- a whole tree
 * ---------------------------------------------------------------------------------------------- */

typedef struct TreeCheck
{
	PageAccess *access;
	TreeWeigh weigh;
	void (*visit)(void *arg, uint64_t page, uint64_t birth);
	void *arg;
	char *message;
	size_t message_size;
	/* The key before, whole: all must rise. */
	uint8_t *bytes;
	TreeKey last;
	bool any;
	bool last_is_separator;
} TreeCheck;

static Status complain(TreeCheck *check, const char *format, ...) printf_like(2, 3);

static Status
complain(TreeCheck *check, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(check->message, check->message_size, format, args);
	va_end(args);
	return RUSD_DAMAGED;
}

static Status
check_chain(TreeCheck *check, uint64_t page, uint64_t birth, uint64_t length, uint64_t parent_birth)
{
	while (length > 0)
	{
		const PageHeader *header;
		const OverflowPage *from;

		if (birth > parent_birth)
			return complain(check, "overflow page %" PRIu64 " is younger than what points to it",
							page);
		if (page_get(check->access, page, birth, &header) != RUSD_OK)
			return complain(check, "overflow page %" PRIu64 " cannot be read", page);
		from = (const OverflowPage *) header;
		if (header->kind != PAGE_OVERFLOW || header->used == 0 || header->used > length ||
			header->used > TREE_OVERFLOW_BYTES)
			return complain(check, "overflow page %" PRIu64 " is not one of this chain", page);
		if (check->visit != NULL)
			check->visit(check->arg, page, birth);
		length -= header->used;
		if ((length == 0) != (from->next == PAGE_NONE))
			return complain(check, "chain ends too early or late at page %" PRIu64, page);
		page = from->next;
		birth = from->next_birth;
	}
	return RUSD_OK;
}

/* The order of the cell's key and the one before; a separator may be the same as the key behind it.
 */
static Status
check_order(TreeCheck *check, const TreePage *page, uint32_t position)
{
	CellKey key;
	Status status;
	int order;

	page_key(page, position, &key);
	if (check->any)
	{
		status = key_compare(check->access, &key, &check->last, &order);
		if (status != RUSD_OK)
			return complain(check, "key %u of page %" PRIu64 " cannot be read", position,
							page->header.number);
		if (order < 0 || (order == 0 && !(check->last_is_separator && page_is_leaf(page))))
			return complain(check, "keys of page %" PRIu64 " are not in order at %u",
							page->header.number, position);
	}
	/* Memory is asked for by a number that stands in the page. */
	if (key.length > check->access->shm->layout.frame_count * PAGE_BYTES)
		return complain(check, "key %u of page %" PRIu64 " is longer than all pages", position,
						page->header.number);
	free(check->bytes);
	check->bytes = malloc(key.length + 1);
	Check(check->bytes != NULL);
	memcpy(check->bytes, key.bytes, key.inline_length);
	if (key.page != PAGE_NONE &&
		chain_read(check->access, key.page, key.birth, 0, check->bytes + key.inline_length,
				   key.length - key.inline_length, NULL, 0) != RUSD_OK)
		return complain(check, "key %u of page %" PRIu64 " cannot be read", position,
						page->header.number);
	check->last = (TreeKey){.bytes = {check->bytes, key.length}, .hi = key.hi, .lo = key.lo};
	check->any = true;
	check->last_is_separator = !page_is_leaf(page);
	return RUSD_OK;
}

static Status
check_leaf(TreeCheck *check, const TreePage *page)
{
	for (uint32_t i = 0; i < page->header.used; i++)
	{
		TreeCell cell;
		Status status = check_order(check, page, i);

		leaf_cell_view(page_cell(page, i), &cell);
		if (status == RUSD_OK && cell.key_overflow_page != PAGE_NONE)
			status = check_chain(check, cell.key_overflow_page, cell.key_overflow_birth,
								 cell.key_length - cell.key_inline.length, page->header.birth);
		if (status == RUSD_OK && cell.value_overflow_page != PAGE_NONE)
			status = check_chain(check, cell.value_overflow_page, cell.value_overflow_birth,
								 cell.value_length - cell.value_inline.length, page->header.birth);
		if (status != RUSD_OK)
			return status;
	}
	return RUSD_OK;
}

static Status
check_page(TreeCheck *check, const TreePage *page, TreeSum *sum)
{
	if (!tree_page_is_sane(&page->header))
		return complain(check, "page %" PRIu64 " does not hang together", page->header.number);
	if (page->header.crc != 0 && page->header.crc != page_checksum(&page->header))
		return complain(check, "checksum of page %" PRIu64 " does not match", page->header.number);
	if (check->visit != NULL)
		check->visit(check->arg, page->header.number, page->header.birth);
	page_sum(page, check->weigh, sum);
	if (page_is_leaf(page))
		return check_leaf(check, page);
	for (uint32_t i = 0; i < page->header.used; i++)
	{
		const InnerCell *cell = inner_cell(page, i);
		const TreePage *child;
		TreeSum child_sum;
		CellKey key;
		Status status = i == 0 ? RUSD_OK : check_order(check, page, i);

		inner_key(cell, &key);
		if (i == 0 && (cell->form != 0 || cell->key_inline != 0))
			return complain(check, "the first cell of inner page %" PRIu64 " has a key",
							page->header.number);
		if (status == RUSD_OK && key.page != PAGE_NONE)
			status = check_chain(check, key.page, key.birth, key.length - key.inline_length,
								 page->header.birth);
		if (status != RUSD_OK)
			return status;
		if (cell->birth > page->header.birth)
			return complain(check, "page %" PRIu64 " is younger than what points to it",
							cell->child);
		if (tree_child(check->access, page, i, &child) != RUSD_OK)
			return complain(check, "page %" PRIu64 " cannot be read, or is of another level",
							cell->child);
		if (child->header.number != cell->child || child->header.birth != cell->birth)
			return complain(check, "page %" PRIu64 " is another one", cell->child);
		status = check_page(check, child, &child_sum);
		if (status != RUSD_OK)
			return status;
		if (memcmp(child_sum.weight, cell->sum, sizeof(cell->sum)) != 0)
			return complain(check, "sums of page %" PRIu64 " do not match", cell->child);
	}
	return RUSD_OK;
}

Status
tree_check(PageAccess *access, TreeRoot root, TreeWeigh weigh,
		   void (*visit)(void *arg, uint64_t page, uint64_t birth), void *arg, char *message,
		   size_t message_size)
{
	TreeCheck check = {.access = access,
					   .weigh = weigh,
					   .visit = visit,
					   .arg = arg,
					   .message = message,
					   .message_size = message_size};
	const TreePage *page;
	TreeSum sum;
	Status status;

	if (root.page == PAGE_NONE)
		return RUSD_OK;
	status = tree_page(access, root.page, root.birth, &page);
	if (status != RUSD_OK)
		return complain(&check, "root page %" PRIu64 " cannot be read", root.page);
	status = check_page(&check, page, &sum);
	free(check.bytes);
	return status;
}
