/*
 * btree_int.h
 *	  The inside of a tree's pages, and what the files of btree/ share.
 *
 * A leaf or inner page: header, slots (growing up), unused bytes, cells (growing down from the
 * end).  A slot has a cell's place and the four bytes of its key that follow the bytes that all keys
 * of the page begin with, so a search touches slots and, where those bytes tie, cells.
 * doc/formats/pages.md tells the whole.
 *
 * src/backend/btree/btree_int.h
 */
#ifndef BTREE_INT_H
#define BTREE_INT_H

#include "btree/btree.h"

typedef struct TreeSlot
{
	uint32_t head;   /* of the key, after the page's prefix: big-endian, filled with zero bytes */
	uint16_t offset; /* of the cell, from the beginning of the page */
	uint16_t length; /* of the cell */
} TreeSlot;

typedef struct TreePage
{
	PageHeader header; /* used: number of cells */
	uint16_t level;    /* 0: leaf */
	uint16_t bottom;   /* offset of the lowest cell; PAGE_BYTES: none */
	uint16_t garbage;  /* bytes between bottom and the end that belong to no cell */
	uint16_t
		prefix; /* all keys (but an inner page's first) begin with the same so many inline bytes */
	TreeSlot slots[];
} TreePage;

StaticAssert(sizeof(TreePage) == 32, "disk format");
StaticAssert(sizeof(TreeSlot) == 8, "disk format");

#define TREE_PAGE_ROOM (PAGE_BYTES - sizeof(TreePage))
/* A cell and its slot: four fit into a page, so that two pages always do for a page and one cell
 * more. */
#define TREE_CELL_MAX (TREE_PAGE_ROOM / 4 - sizeof(TreeSlot))
/* Of a key that is longer than TREE_KEY_INLINE_MAX: what lies in the cell. */
#define TREE_LONG_KEY_PREFIX 256
/* A page's prefix and the four bytes behind it are inline in every key that has so many bytes. */
#define TREE_PREFIX_MAX (TREE_LONG_KEY_PREFIX - 4)

/* ---- cells: all numbers little-endian and unaligned
 * ------------------------------------------------- */
#define FORM_LONG_KEY 1
#define FORM_LONG_VALUE 2
#define FORM_NUMBERS 4 /* inner cells: hi and lo are there; without: both 0 */

/* The place of bytes that lie in overflow pages. */
typedef struct __attribute__((packed)) ChainRef
{
	uint64_t length; /* of the whole, inline bytes included */
	uint64_t page;
	uint64_t birth;
} ChainRef;

/* Then, by form: ChainRef of the key, ChainRef of the value; key bytes; value bytes. */
typedef struct __attribute__((packed)) LeafCell
{
	uint64_t hi;
	uint64_t lo;
	uint16_t key_inline;
	uint16_t value_inline;
	uint8_t flags;
	uint8_t form;
} LeafCell;

/* Then, by form: hi and lo; ChainRef of the key; key bytes. */
typedef struct __attribute__((packed)) InnerCell
{
	uint64_t child;
	uint64_t birth;
	uint64_t sum[TREE_WEIGHTS];
	uint16_t key_inline;
	uint8_t form;
	uint8_t reserved;
} InnerCell;

StaticAssert(sizeof(LeafCell) == 22, "disk format");
StaticAssert(sizeof(InnerCell) == 44, "disk format");

typedef struct OverflowPage
{
	PageHeader header; /* used: bytes of data here */
	uint64_t next;     /* PAGE_NONE: the last one */
	uint64_t next_birth;
	uint8_t data[];
} OverflowPage;

StaticAssert(offsetof(OverflowPage, data) + TREE_OVERFLOW_BYTES == PAGE_BYTES, "disk format");

/* A key as it lies in a cell. */
typedef struct CellKey
{
	const uint8_t *bytes;
	uint32_t inline_length;
	uint64_t length;
	uint64_t hi;
	uint64_t lo;
	uint64_t page; /* of the rest; PAGE_NONE: there is none */
	uint64_t birth;
} CellKey;

static inline bool
page_is_leaf(const TreePage *page)
{
	return page->level == 0;
}

static inline const void *
page_cell(const TreePage *page, uint32_t position)
{
	return (const uint8_t *) page + page->slots[position].offset;
}

static inline InnerCell *
inner_cell(const TreePage *page, uint32_t position)
{
	return (InnerCell *) ((uintptr_t) page + page->slots[position].offset);
}

static inline uint32_t
page_gap(const TreePage *page)
{
	return (uint32_t) (page->bottom - sizeof(TreePage) - page->header.used * sizeof(TreeSlot));
}

/* Bytes of cells and slots. */
static inline uint32_t
page_filled(const TreePage *page)
{
	return (uint32_t) (TREE_PAGE_ROOM - page_gap(page) - page->garbage);
}

static inline uint32_t
key_head(const uint8_t *bytes, size_t length, uint32_t prefix)
{
	uint32_t head = 0;

	if (likely(length >= prefix + 4))
	{
		memcpy(&head, bytes + prefix, 4);
		return __builtin_bswap32(head);
	}
	for (uint32_t i = prefix; i < prefix + 4; i++)
		head = head << 8 | (i < length ? bytes[i] : 0);
	return head;
}

static inline uint32_t
common_length(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length)
{
	uint32_t most = (uint32_t) Min(a_length, b_length);
	uint32_t i = 0;

	while (i < most && a[i] == b[i])
		i++;
	return i;
}

/* ---- treepage.c: cells in one page
 * -------------------------------------------------------------------- */
extern void leaf_key(const LeafCell *cell, CellKey *key);
extern void inner_key(const InnerCell *cell, CellKey *key);
extern void page_key(const TreePage *page, uint32_t position, CellKey *key);
extern void leaf_cell_view(const LeafCell *cell, TreeCell *view);

/* A page with these cells in this order; page keeps number and birth.  The cells may not lie in
 * page. */
typedef struct CellSpan
{
	const void *cell;
	uint32_t length;
} CellSpan;
/* Of the most small cells and one more. */
#define PAGE_CELLS_MAX (TREE_PAGE_ROOM / (sizeof(LeafCell) + sizeof(TreeSlot)) + 2)

extern void page_init(TreePage *page, uint32_t level);
extern void page_fill(TreePage *page, uint32_t level, const CellSpan *cells, uint32_t count);
extern uint32_t page_spans(const TreePage *page, CellSpan *cells);
/* False: the cell does not fit. */
extern bool page_put(TreePage *page, uint32_t position, const void *cell, uint32_t length);
extern void page_drop(TreePage *page, uint32_t position);

/* ---- treesearch.c
 * ---------------------------------------------------------------------------------------- */
/* Leaf: first position whose key is >= key.  Inner: the child that key belongs to (strict: keys
 * below key). */
extern Status leaf_search(PageAccess *access, const TreePage *page, const TreeKey *key,
						  uint32_t *position, bool *equal);
extern Status inner_search(PageAccess *access, const TreePage *page, const TreeKey *key,
						   uint32_t *position);
/* Whole order of a cell's key against key. */
extern Status key_compare(PageAccess *access, const CellKey *cell, const TreeKey *key, int *order);
/* A tree page of that level; RUSD_DAMAGED for anything else. */
extern Status tree_page(PageAccess *access, uint64_t number, uint64_t birth, const TreePage **page);
extern Status tree_child(PageAccess *access, const TreePage *parent, uint32_t position,
						 const TreePage **child);

/* ---- treechain.c: overflow pages
 * ---------------------------------------------------------------------------- */
extern Status chain_write(TreeWriter *writer, Bytes bytes, uint64_t *page, uint64_t *birth);
extern Status chain_free(TreeWriter *writer, uint64_t page, uint64_t birth, uint64_t length);
extern Status chain_read(PageAccess *access, uint64_t page, uint64_t birth, uint64_t offset,
						 uint8_t *buffer, uint64_t length, TreeHint *hint, uint64_t base);
/* Compares the bytes of a chain with these, up to the shorter one's end. */
extern Status chain_compare(PageAccess *access, uint64_t page, uint64_t birth, uint64_t length,
							Bytes bytes, int *order);
/* Frees the chains of a cell. */
extern Status leaf_free_chains(TreeWriter *writer, const LeafCell *cell);
extern Status inner_free_chain(TreeWriter *writer, const InnerCell *cell);

/* ---- treepath.c: from the root to a leaf, for the writer
 * ------------------------------------------------------ */
typedef struct TreePath
{
	int depth; /* pages */
	struct
	{
		TreePage *page; /* to be changed only after path_make_writable */
		uint32_t position;
	} steps[TREE_DEPTH_MAX];
} TreePath;

/* To the leaf that key belongs to.  The tree is not empty. */
extern Status path_descend(TreeWriter *writer, const TreeKey *key, TreePath *path, bool *equal);
/* Copies what was born before the root being built, from the top down. */
extern void path_make_writable(TreeWriter *writer, TreePath *path);
/* Adds plus and takes minus away in all inner pages above the leaf. */
extern void path_change_sums(TreePath *path, const TreeSum *plus, const TreeSum *minus);
/* A cell into the leaf at the path's end, splitting where there is no room.  The path must not be
 * used afterwards. */
extern Status path_put(TreeWriter *writer, TreePath *path, const void *cell, uint32_t length);
/* Removes the leaf's cell, merging or removing pages that run empty.  The same. */
extern Status path_drop(TreeWriter *writer, TreePath *path);

static inline TreePage *
fresh_page(TreeWriter *writer, uint32_t level)
{
	TreePage *page =
		(TreePage *) space_allocate(writer->space, level == 0 ? PAGE_LEAF : PAGE_INNER);

	page_init(page, level);
	return page;
}

extern void page_sum(const TreePage *page, TreeWeigh weigh, TreeSum *sum);

#endif /* BTREE_INT_H */
