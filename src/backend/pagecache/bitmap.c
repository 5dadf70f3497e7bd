/*
 * bitmap.c
 *	  A set of page numbers with summary levels: adding, removing and finding the lowest member
 *	  touch one word on each level, and mostly on the lowest one alone.
 *
 * Applier only (private memory).
 *
 * src/backend/pagecache/bitmap.c
 */
#include "rusd.h"

#include "pagecache_int.h"

Status
bitmap_create(Bitmap *bitmap, uint64_t size)
{
	memset(bitmap, 0, sizeof(*bitmap));
	bitmap->size = size;
	do
	{
		uint64_t words = size / 64 + 1;

		Check(bitmap->level_count < BITMAP_LEVELS);
		bitmap->levels[bitmap->level_count] = calloc(words, sizeof(uint64_t));
		if (bitmap->levels[bitmap->level_count] == NULL)
		{
			bitmap_destroy(bitmap);
			return RUSD_NO_MEMORY;
		}
		bitmap->level_count++;
		size = words;
	} while (size > 1);
	return RUSD_OK;
}

void
bitmap_destroy(Bitmap *bitmap)
{
	for (int level = 0; level < bitmap->level_count; level++)
		free(bitmap->levels[level]);
	memset(bitmap, 0, sizeof(*bitmap));
}

void
bitmap_add(Bitmap *bitmap, uint64_t member)
{
	Check(member < bitmap->size);
	Check(!bitmap_has(bitmap, member));
	bitmap->members++;
	for (int level = 0; level < bitmap->level_count; level++)
	{
		uint64_t *word = &bitmap->levels[level][member / 64];
		bool was_empty = *word == 0;

		*word |= UINT64_C(1) << (member % 64);
		if (!was_empty)
			return;
		member /= 64;
	}
}

void
bitmap_remove(Bitmap *bitmap, uint64_t member)
{
	Check(member < bitmap->size);
	Check(bitmap_has(bitmap, member));
	bitmap->members--;
	for (int level = 0; level < bitmap->level_count; level++)
	{
		uint64_t *word = &bitmap->levels[level][member / 64];

		*word &= ~(UINT64_C(1) << (member % 64));
		if (*word != 0)
			return;
		member /= 64;
	}
}

uint64_t
bitmap_lowest(const Bitmap *bitmap)
{
	uint64_t place = 0;

	if (bitmap->members == 0)
		return PAGE_NONE;
	for (int level = bitmap->level_count - 1; level >= 0; level--)
		place = place * 64 + (uint64_t) __builtin_ctzll(bitmap->levels[level][place]);
	return place;
}
