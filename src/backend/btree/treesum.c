/*
 * treesum.c
 *	  Sums of weights over an interval: the pages along its two edges are read, what lies between
 *	  is in the inner cells.
 *
 * Any process that holds a snapshot.
 *
 * src/backend/btree/treesum.c
 */
#include "rusd.h"

#include "btree_int.h"

/* Adds the weights of the page's places [from, to). */
static void
add_places(const TreePage *page, uint32_t from, uint32_t to, TreeWeigh weigh, TreeSum *sum)
{
	for (uint32_t i = from; i < to; i++)
	{
		TreeSum one = {{0}};
		const uint64_t *weights = one.weight;
		TreeCell cell;

		if (page_is_leaf(page))
		{
			leaf_cell_view(page_cell(page, i), &cell);
			weigh(&cell, &one);
			for (int w = 0; w < TREE_WEIGHTS; w++)
				sum->weight[w] += weights[w];
		}
		else
		{
			for (int w = 0; w < TREE_WEIGHTS; w++)
				sum->weight[w] += inner_cell(page, i)->sum[w];
		}
	}
}

/* Where the first cell >= key is (in a leaf), or below which entry it would be. */
static Status
place_of(PageAccess *access, const TreePage *page, const TreeKey *key, uint32_t *place)
{
	bool equal;

	if (page_is_leaf(page))
		return leaf_search(access, page, key, place, &equal);
	return inner_search(access, page, key, place);
}

/* Adds all below page that is >= key (upper) or < key. */
static Status
add_side(PageAccess *access, const TreePage *page, TreeWeigh weigh, const TreeKey *key, bool upper,
		 TreeSum *sum)
{
	for (;;)
	{
		uint32_t place;
		Status status = place_of(access, page, key, &place);

		if (status != RUSD_OK)
			return status;
		if (upper)
			add_places(page, page_is_leaf(page) ? place : place + 1, page->header.used, weigh, sum);
		else
			add_places(page, 0, place, weigh, sum);
		if (page_is_leaf(page))
			return RUSD_OK;
		status = tree_child(access, page, place, &page);
		if (status != RUSD_OK)
			return status;
	}
}

/* An edge below the entry at place: all of it where there is no key. */
static Status
add_edge(PageAccess *access, const TreePage *page, uint32_t place, TreeWeigh weigh,
		 const TreeKey *key, bool upper, TreeSum *sum)
{
	const TreePage *child;
	Status status;

	if (key == NULL)
	{
		add_places(page, place, place + 1, weigh, sum);
		return RUSD_OK;
	}
	status = tree_child(access, page, place, &child);
	return status != RUSD_OK ? status : add_side(access, child, weigh, key, upper, sum);
}

Status
tree_sum(PageAccess *access, TreeRoot root, TreeWeigh weigh, const TreeKey *from, const TreeKey *to,
		 TreeSum *sum)
{
	const TreePage *page;
	Status status;

	memset(sum, 0, sizeof(*sum));
	if (root.page == PAGE_NONE)
		return RUSD_OK;
	status = tree_page(access, root.page, root.birth, &page);
	while (status == RUSD_OK)
	{
		uint32_t low = 0;
		uint32_t high = page->header.used - (page_is_leaf(page) ? 0u : 1u);

		if (from != NULL)
			status = place_of(access, page, from, &low);
		if (status == RUSD_OK && to != NULL)
			status = place_of(access, page, to, &high);
		if (status != RUSD_OK || low > high)
			return status;
		if (page_is_leaf(page))
		{
			add_places(page, low, high, weigh, sum);
			return RUSD_OK;
		}
		if (low < high || (from == NULL && to == NULL))
		{
			if (low == high)
				return add_edge(access, page, low, weigh, NULL, true, sum);
			add_places(page, low + 1, high, weigh, sum);
			status = add_edge(access, page, low, weigh, from, true, sum);
			return status != RUSD_OK ? status : add_edge(access, page, high, weigh, to, false, sum);
		}
		/* Both edges are below the same entry. */
		status = tree_child(access, page, low, &page);
	}
	return status;
}
