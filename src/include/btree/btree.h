/*
 * btree.h
 *	  Copy-on-write B+trees over pages: one writer, any number of readers, no locks.
 *
 * A key is bytes (any length, compared as unsigned bytes, a prefix before what it begins) and two
 * numbers: order is bytes, then hi, then lo.  A cell of a leaf has a key, 8 bits of flags and a
 * value of any length; what is long lies in overflow pages.  Each inner entry carries, for the
 * subtree below it, three sums over the weights of its cells; the weight of a cell is a pure
 * function of the cell that the owner of the tree gives.  Sums over any interval are O(log n).
 *
 * src/include/btree/btree.h
 */
#ifndef BTREE_BTREE_H
#define BTREE_BTREE_H

#include "pagecache/page.h"
#include "pagecache/space.h"

typedef struct TreeKey
{
	Bytes bytes;
	uint64_t hi;
	uint64_t lo;
} TreeKey;

#define TREE_WEIGHTS 3
typedef struct TreeSum
{
	uint64_t weight[TREE_WEIGHTS];
} TreeSum;

/* Longer keys lie in part in overflow pages, TREE_OVERFLOW_BYTES in each. */
#define TREE_KEY_INLINE_MAX 1024
#define TREE_OVERFLOW_BYTES (PAGE_BYTES - sizeof(PageHeader) - 16)

/* Values begin with a head of at most this many bytes that is always inline, so that it can be read
 * without following anything. */
#define TREE_HEAD_MAX 64

/*
 * A cell as a cursor shows it; pointers are into pages and valid while the snapshot is.  key_inline
 * and value_inline are the bytes that lie in the leaf: all of them unless long_key / long_value say
 * that the rest is in overflow pages.
 */
typedef struct TreeCell
{
	Bytes key_inline;
	uint64_t key_length;
	uint64_t hi;
	uint64_t lo;
	Bytes value_inline; /* at least the head */
	uint64_t value_length;
	uint64_t key_overflow_page, key_overflow_birth; /* PAGE_NONE: none */
	uint64_t value_overflow_page, value_overflow_birth;
	uint8_t flags;
} TreeCell;

typedef void (*TreeWeigh)(const TreeCell *cell, TreeSum *sum);

/* ---- reading: any process that holds a snapshot
 * ------------------------------------------------------ */
#define TREE_DEPTH_MAX 16

typedef struct TreeCursor
{
	PageAccess *access;
	TreeRoot root;
	int depth; /* levels in path; 0: at the end */
	struct
	{
		const PageHeader *page;
		uint32_t position;
	} path[TREE_DEPTH_MAX];
	TreeCell cell; /* valid after RUSD_OK */
} TreeCursor;

/* All return RUSD_OK with cell filled, RUSD_END if there is no such cell, or the error of a page.
 */
extern Status tree_seek(TreeCursor *cursor, PageAccess *access, TreeRoot root,
						const TreeKey *key); /* first cell >= key */
extern Status tree_seek_before(TreeCursor *cursor, PageAccess *access, TreeRoot root,
							   const TreeKey *key); /* last cell < key; NULL: the last of all */
extern Status tree_next(TreeCursor *cursor);
extern Status tree_previous(TreeCursor *cursor);
/* Next or previous cell whose weight[0] is not 0, subtrees without any being skipped; the present
 * one included if it has. */
extern Status tree_next_weighted(TreeCursor *cursor, TreeWeigh weigh);
extern Status tree_previous_weighted(TreeCursor *cursor, TreeWeigh weigh);
/* Levels of the tree, from its root page alone; 0: it is empty. */
extern Status tree_depth(PageAccess *access, TreeRoot root, uint64_t *depth);
/* Sum over [from, to); NULL: open on that side. */
extern Status tree_sum(PageAccess *access, TreeRoot root, TreeWeigh weigh, const TreeKey *from,
					   const TreeKey *to, TreeSum *sum);

/* Compares the cell's whole key bytes with these: <0, 0, >0 in *order. */
extern Status tree_cell_compare(PageAccess *access, const TreeCell *cell, Bytes bytes, int *order);
/*
 * Copies length bytes of the key or the value from offset on, following overflow pages.  *hint (0
 * at first) remembers the place for sequential reading; one hint for each stream of reads.
 */
typedef struct TreeHint
{
	uint64_t page, birth, offset;
	bool valid;
} TreeHint;
extern Status tree_read_key(PageAccess *access, const TreeCell *cell, uint64_t offset, void *buffer,
							uint64_t length, TreeHint *hint);
extern Status tree_read_value(PageAccess *access, const TreeCell *cell, uint64_t offset,
							  void *buffer, uint64_t length, TreeHint *hint);

/*
 * All pages of a tree, overflow pages included, each once, in no particular order.  To begin with: access
 * and root set, the rest zero.  RUSD_END after the last, RUSD_DAMAGED, or the error of a page.
 */
typedef struct TreeWalk
{
	PageAccess *access;
	TreeRoot root;
	bool begun;
	int depth; /* levels in path */
	struct
	{
		const PageHeader *page;
		uint32_t position; /* of the cell that is looked at */
		uint32_t part; /* what of it comes next: its key's chain, or its value's chain or child */
	} path[TREE_DEPTH_MAX];
	uint64_t chain_page; /* overflow pages of the cell that are still to come */
	uint64_t chain_birth;
	uint64_t chain_left; /* bytes */
} TreeWalk;
extern Status tree_walk_next(TreeWalk *walk, const PageHeader **page);

/* ---- writing: applier
 * ---------------------------------------------------------------------------------- */
typedef struct TreeWriter
{
	PageAccess access;
	PageSpace *space;
	TreeWeigh weigh;
	TreeRoot root; /* of the tree being built */
} TreeWriter;

/* Value = head (inline, <= TREE_HEAD_MAX) then body.  Replaces a cell of equal key.  Errors are
 * those of reading a page: PANIC. */
extern Status tree_insert(TreeWriter *writer, const TreeKey *key, uint8_t flags, Bytes head,
						  Bytes body);
/*
 * A new version of a key, in one descent.  Versions of a key stand newest first, so the one that it replaces is the cell behind it: succeed is
 * called with that cell (NULL: there is none with these key bytes), may look at it, and gives head and body of the new cell; that cell's flags
 * become 0.  RUSD_AGAIN, with nothing done: where the cell behind it lies in another page or has a long key; the caller then uses the calls around this one.
 * Errors of succeed are returned, with nothing done.
 */
typedef Status (*TreeSucceed)(void *arg, const TreeCell *replaced, Bytes *head, Bytes *body);
extern Status tree_insert_newest(TreeWriter *writer, const TreeKey *key, uint8_t flags,
								 TreeSucceed succeed, void *arg);
/* Changes the flags of the cell with exactly that key; RUSD_NOT_FOUND. */
extern Status tree_set_flags(TreeWriter *writer, const TreeKey *key, uint8_t flags);
/* RUSD_NOT_FOUND if there is none. */
extern Status tree_delete(TreeWriter *writer, const TreeKey *key);
/* Pages that an insert may need beyond those of its value; a key above TREE_KEY_INLINE_MAX bytes
 * needs twice its own pages in addition.  For store_estimate. */
extern uint64_t tree_insert_pages(const TreeWriter *writer);
/*
 * Defragmentation: copies pages of the tree that lie at or above limit to lower places, going on
 * behind *key_buffer (bytes) for at most max_leaves leaves; *done when the walk is over.  The
 * cursor key is kept by the caller as bytes, hi and lo in *resume.
 */
typedef struct TreeResume TreeResume;
extern TreeResume *tree_resume_create(void);
extern void tree_resume_destroy(TreeResume *resume);
extern Status tree_move_down(TreeWriter *writer, TreeResume *resume, uint64_t limit,
							 uint32_t max_leaves, bool *done);

/* The inside of a page as read from disk hangs together: whoever reads it stays inside it.  For the
 * pager. */
extern bool tree_page_is_sane(const PageHeader *page);

/* Offline and in tests: walks the whole tree and checks order, sums, numbers, births, checksums
 * where crc != 0; calls visit for every page. */
extern Status tree_check(PageAccess *access, TreeRoot root, TreeWeigh weigh,
						 void (*visit)(void *arg, uint64_t page, uint64_t birth), void *arg,
						 char *message, size_t message_size);

#endif /* BTREE_BTREE_H */
