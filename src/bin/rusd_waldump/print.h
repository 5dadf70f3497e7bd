/*
 * print.h
 *	  Records of the log as lines of text or of JSON.
 *
 * src/bin/rusd_waldump/print.h
 */
#ifndef WALDUMP_PRINT_H
#define WALDUMP_PRINT_H

#include "format/walformat.h"

/* What the whole log tells, and what each record is judged by. */
typedef struct LogSummary
{
	uint64_t cluster_id;
	uint64_t member_id;
	uint64_t segment_bytes;
	uint64_t begin_position; /* of the first batch */
	uint64_t end_position;   /* behind the last one */
	uint64_t first_index;    /* of the first record with an index; 0: none has one */
	uint64_t last_index;
	uint64_t commit_index; /* the highest that anything in the log tells */
	uint64_t records;
	LogBegin log_begin; /* of the control record */
} LogSummary;

typedef struct LogRecord
{
	uint64_t position; /* of its header */
	const WalRecordHeader *header;
	const uint8_t *payload;
	bool is_void;      /* a later record, or an installed snapshot, took its place */
	bool is_committed; /* as far as the log tells */
} LogRecord;

extern void print_summary(const LogSummary *summary, bool json);
/* Returns false if the payload is no entry of its kind; the line says so. */
extern bool print_record(const LogRecord *record, bool json);

#endif /* WALDUMP_PRINT_H */
