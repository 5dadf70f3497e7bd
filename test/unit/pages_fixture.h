/*
 * pages_fixture.h
 *	  A cache of pages in plain memory, and a tree of known content in it, for tests of pagecache/
 * and btree/.
 *
 * test/unit/pages_fixture.h
 */
#ifndef PAGES_FIXTURE_H
#define PAGES_FIXTURE_H

#include "btree/btree.h"
#include "pagecache/checkpoint.h"

/* A repeatable source of numbers. */
typedef struct Random
{
	uint64_t state;
} Random;

extern uint64_t random_next(Random *random);
/* Below limit. */
extern uint64_t random_below(Random *random, uint64_t limit);

/* An essential slots' shared memory with so many frames; all slots live. */
extern Shm *pages_shm_create(uint64_t frames);
extern void pages_shm_destroy(Shm *shm);
/* A writer for an empty tree; pages must be resident. */
extern TreeWriter pages_writer(Shm *shm, PageSpace *space);

/* Flag 1 weighs 1, bytes of key and value, bytes of the key; others nothing. */
extern void pages_weigh(const TreeCell *cell, TreeSum *sum);

/* ---- what a tree should contain: a sorted array
 * --------------------------------------------------- */
typedef struct ModelCell
{
	uint8_t *bytes;
	size_t length;
	uint64_t hi;
	uint64_t lo;
	uint64_t value_seed;
	size_t value_length;
	uint8_t flags;
} ModelCell;

typedef struct Model
{
	ModelCell *cells;
	size_t count;
	size_t capacity;
} Model;

extern int model_compare(const ModelCell *cell, const TreeKey *key);
/* First place >= key. */
extern size_t model_place(const Model *model, const TreeKey *key, bool *equal);
extern void model_insert(Model *model, const TreeKey *key, uint8_t flags, uint64_t seed,
						 size_t length);
extern bool model_delete(Model *model, const TreeKey *key);
extern void model_copy(const Model *from, Model *to);
extern void model_free(Model *model);
extern TreeKey model_key(const ModelCell *cell);
extern void model_value(uint64_t seed, uint8_t *buffer, size_t length);

/* Compares the tree with the model, cell by cell, forwards. */
extern void model_check_tree(const Model *model, PageAccess *access, TreeRoot root);
/* Inserts into both.  The first bytes of the value are its head. */
extern void model_tree_insert(Model *model, TreeWriter *writer, const TreeKey *key, uint8_t flags,
							  uint64_t seed, size_t length);

#endif /* PAGES_FIXTURE_H */
