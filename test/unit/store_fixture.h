/*
 * store_fixture.h
 *	  A store over plain shared memory, and beside it a model of what it must hold: every version of
 * every key in one array, searched from end to end.
 *
 * test/unit/store_fixture.h
 */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include "format/entry.h"
#include "pagecache/checkpoint.h"
#include "store/range.h"
#include "store/snapshot.h"
#include "store/store.h"

/* ---- bytes that grow ---- */
typedef struct Text
{
	uint8_t *data;
	size_t length;
	size_t capacity;
} Text;

extern void text_add(Text *text, const void *bytes, size_t length);
extern void text_free(Text *text);
extern Bytes bytes_of(const char *text);
extern int bytes_order(Bytes a, Bytes b);

/* ---- the model ---- */
typedef struct ModelVersion
{
	Bytes key; /* owned */
	Bytes value;
	int64_t main;
	uint64_t sub;
	int64_t create;
	int64_t version;
	int64_t lease;
	bool tombstone;
} ModelVersion;

typedef struct Model
{
	ModelVersion *versions; /* in the order of (main, sub) */
	size_t count;
	size_t capacity;
	int64_t revision;
	int64_t compacted;
	int64_t main; /* of the entry under way */
	uint64_t sub;
} Model;

/* One operation as a test thinks of it: a transaction has branches. */
typedef struct TestOp
{
	OpKind kind;
	Bytes key;
	Bytes range_end;
	Bytes value;
	int64_t number; /* lease, revision, operand */
	uint16_t flags;
	uint32_t target; /* compare */
	uint32_t result;
	struct TestOp *compares;
	uint32_t compare_count;
	struct TestOp *then_ops;
	uint32_t then_count;
	struct TestOp *else_ops;
	uint32_t else_count;
	bool chosen; /* by the model */
} TestOp;

/* What the view (main, sub) sees of key; NULL. */
extern const ModelVersion *model_get(const Model *model, Bytes key, int64_t main, uint64_t sub);
/* Live keys of the interval at the view, ascending; the caller frees the array. */
extern size_t model_range(const Model *model, Bytes key, Bytes end, int64_t main, uint64_t sub,
						  const ModelVersion ***found);
/* Applies one operation as an entry of its own: status; *deleted of a delete. */
extern Status model_apply(Model *model, TestOp *op, uint64_t *deleted);
/* The versions that a compaction at revision keeps (COMPACT-6); others are dropped if drop. */
extern bool model_keeps(const Model *model, const ModelVersion *version, int64_t revision);
extern void model_compact(Model *model, int64_t revision);
extern bool in_interval(Bytes key, Bytes from, Bytes end);
/* KeyValue as protobuf, without tag and length. */
extern void model_encode(const ModelVersion *version, bool value, bool lease, Text *out);
extern void model_encode_field(const ModelVersion *version, bool value, bool lease, uint8_t tag,
							   Text *out);

/* ---- the store ---- */
typedef struct Fixture
{
	Shm *shm;
	Store *store;
	PageAccess applier; /* how the store reads */
	PageAccess reader;  /* a backend */
	uint32_t slot;
	uint64_t index;
	int64_t quota;
	Text payload;
	Model model;
	uint64_t seed;
} Fixture;

extern Fixture *fixture_create(uint64_t frames, int64_t quota);
extern void fixture_destroy(Fixture *fixture);
/* Another store over the last published root, as after a restart whose pages are all in memory. */
extern void fixture_restart(Fixture *fixture);
/* Applies op to both; fails the test where they differ. */
extern ApplyResult fixture_op(Fixture *fixture, TestOp *op);
/* To the store alone. */
extern ApplyResult fixture_entry(Fixture *fixture, uint32_t kind, const void *body, size_t length);
extern ApplyResult fixture_put(Fixture *fixture, const char *key, const char *value);
extern ApplyResult fixture_delete(Fixture *fixture, const char *key, const char *range_end);
extern ApplyResult fixture_compact(Fixture *fixture, int64_t revision, bool physical);
/* Background work to its end, a root published after each slice. */
extern void fixture_finish_background(Fixture *fixture);
extern Snapshot fixture_snapshot(Fixture *fixture);
/* All three trees hang together, and the trees of versions agree with each other and with the
 * model. */
extern void fixture_check(Fixture *fixture);

extern uint64_t random_below(Fixture *fixture, uint64_t bound);
/* From a small pool, so that keys meet again: short ones, long ones, prefixes of each other, any
 * bytes. */
extern Bytes random_key(Fixture *fixture);
extern Bytes random_end(Fixture *fixture);
extern Bytes random_value(Fixture *fixture);
extern TestOp random_put(Fixture *fixture);
extern TestOp random_delete(Fixture *fixture);
/* A history of so many entries of all kinds. */
extern void fixture_history(Fixture *fixture, uint32_t entries);

#endif /* STORE_FIXTURE_H */
