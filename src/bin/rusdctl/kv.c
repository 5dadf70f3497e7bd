/*
 * kv.c
 *	  get, put, del, compaction; and the making and printing of their requests, which txn uses too.
 *
 * src/bin/rusdctl/kv.c
 */
#include "rusd_fe.h"

#include <strings.h>

#include "ctl.h"

/* ---- flags ---- */

static struct
{
	const char *consistency;
	const char *order;
	const char *sort_by;
	int64_t limit;
	int64_t rev;
	int64_t min_create, max_create, min_mod, max_mod;
	bool prefix, from_key, keys_only, count_only, value_only;
} get;

static struct
{
	const char *lease;
	bool prev_kv, ignore_value, ignore_lease;
} put;

static struct
{
	bool prefix, prev_kv, from_key, range;
} del;

static bool physical;

Flag range_flags[] = {
	{"consistency", 0, FLAG_TEXT, &get.consistency, "\"l\"", "linearizable (l) or serializable (s)",
	 "l s", false},
	{"count-only", 0, FLAG_BOOL, &get.count_only, NULL,
	 "only the count; not with --write-out=simple", NULL, false},
	{"from-key", 0, FLAG_BOOL, &get.from_key, NULL, "all keys from KEY on", NULL, false},
	{"keys-only", 0, FLAG_BOOL, &get.keys_only, NULL, "without the values", NULL, false},
	{"limit", 0, FLAG_INT, &get.limit, "0: no limit", "at most so many keys", NULL, false},
	{"max-create-rev", 0, FLAG_INT, &get.max_create, NULL,
	 "only keys created at this revision or before", NULL, false},
	{"max-mod-rev", 0, FLAG_INT, &get.max_mod, NULL,
	 "only keys last changed at this revision or before", NULL, false},
	{"min-create-rev", 0, FLAG_INT, &get.min_create, NULL,
	 "only keys created at this revision or after", NULL, false},
	{"min-mod-rev", 0, FLAG_INT, &get.min_mod, NULL,
	 "only keys last changed at this revision or after", NULL, false},
	{"order", 0, FLAG_TEXT, &get.order, "ASCEND", "ASCEND or DESCEND", "ASCEND DESCEND", false},
	{"prefix", 0, FLAG_BOOL, &get.prefix, NULL, "all keys that begin with KEY", NULL, false},
	{"print-value-only", 0, FLAG_BOOL, &get.value_only, NULL,
	 "values without keys, with --write-out=simple", NULL, false},
	{"rev", 0, FLAG_INT, &get.rev, "0: now", "as it was at this revision", NULL, false},
	{"sort-by", 0, FLAG_TEXT, &get.sort_by, "KEY", "CREATE, KEY, MODIFY, VALUE or VERSION",
	 "CREATE KEY MODIFY VALUE VERSION", false},
	{0}};

Flag put_flags[] = {
	{"ignore-lease", 0, FLAG_BOOL, &put.ignore_lease, NULL, "keep the lease that the key has", NULL,
	 false},
	{"ignore-value", 0, FLAG_BOOL, &put.ignore_value, NULL, "keep the value that the key has", NULL,
	 false},
	{"lease", 0, FLAG_TEXT, &put.lease, "\"0\"", "id of a lease, hexadecimal, to attach to the key",
	 NULL, false},
	{"prev-kv", 0, FLAG_BOOL, &put.prev_kv, NULL, "print what the key was before", NULL, false},
	{0}};

Flag delete_flags[] = {
	{"from-key", 0, FLAG_BOOL, &del.from_key, NULL, "all keys from KEY on", NULL, false},
	{"prefix", 0, FLAG_BOOL, &del.prefix, NULL, "all keys that begin with KEY", NULL, false},
	{"prev-kv", 0, FLAG_BOOL, &del.prev_kv, NULL, "print what was deleted", NULL, false},
	{"range", 0, FLAG_BOOL, &del.range, NULL,
	 "accepted for etcdctl's sake; RANGE_END is never asked about", NULL, false},
	{0}};

static Flag compaction_flags[] = {{"physical", 0, FLAG_BOOL, &physical, NULL,
								   "wait until the old revisions are gone from the store", NULL,
								   false},
								  {0}};

void
reset_kv_flags(void)
{
	memset(&get, 0, sizeof(get));
	memset(&put, 0, sizeof(put));
	memset(&del, 0, sizeof(del));
	get.consistency = "l";
	get.order = get.sort_by = put.lease = "";
}

/* ---- requests ---- */

static ProtobufCBinaryData
bytes_of(const char *text)
{
	return (ProtobufCBinaryData){strlen(text), (uint8_t *) (uintptr_t) text};
}

/* First key that does not begin with this one; "\0" (no end) where there is none. */
static ProtobufCBinaryData
prefix_end(ProtobufCBinaryData key)
{
	uint8_t *end = ctl_alloc(key.len + 1);

	memcpy(end, key.data, key.len);
	for (size_t n = key.len; n > 0; n--)
	{
		if (end[n - 1] < 0xff)
		{
			end[n - 1]++;
			return (ProtobufCBinaryData){n, end};
		}
	}
	end[0] = 0;
	return (ProtobufCBinaryData){1, end};
}

/* KEY [RANGE_END] with --prefix and --from-key, for get and del. */
static void
key_range(int argc, char **argv, bool prefix, bool from_key, ProtobufCBinaryData *key,
		  ProtobufCBinaryData *end)
{
	static uint8_t zero[1];

	if (prefix && from_key)
		ctl_fail(EXIT_BAD_ARGS,
				 "`--prefix` and `--from-key` cannot be set at the same time, choose one");
	if (argc > 1 && (prefix || from_key))
		ctl_fail(
			EXIT_BAD_ARGS,
			"too many arguments, only accept one argument when `--prefix` or `--from-key` is set");
	*key = bytes_of(argv[0]);
	if (argc > 1)
		*end = bytes_of(argv[1]);
	else if (prefix)
		*end = prefix_end(*key);
	else if (from_key)
		*end = (ProtobufCBinaryData){1, zero};
	if ((prefix || from_key) && key->len == 0)
		*key = (ProtobufCBinaryData){1, zero};
}

/* One of names, without regard to case; the empty text is the first. */
static int
choice(const char *text, const char *const *names, const char *what)
{
	if (*text == '\0')
		return 0;
	for (int i = 0; names[i] != NULL; i++)
	{
		if (strcasecmp(text, names[i]) == 0)
			return i;
	}
	ctl_fail(EXIT_UNSUPPORTED, "bad sort %s %s", what, text);
}

Etcdserverpb__RangeRequest *
make_range(int argc, char **argv)
{
	static const char *const orders[] = {"", "ASCEND", "DESCEND", NULL};
	/* in the order of the enum of the protocol */
	static const char *const targets[] = {"KEY", "VERSION", "CREATE", "MODIFY", "VALUE", NULL};
	Etcdserverpb__RangeRequest *r = ctl_alloc(sizeof(*r));

	etcdserverpb__range_request__init(r);
	if (argc < 1 || argc > 2)
		ctl_fail(EXIT_BAD_ARGS,
				 "get command needs one argument as key and an optional argument as range_end");
	if (strcmp(get.consistency, "s") == 0)
		r->serializable = true;
	else if (strcmp(get.consistency, "l") != 0)
		ctl_fail(EXIT_UNSUPPORTED, "unknown consistency flag \"%s\"", get.consistency);
	key_range(argc, argv, get.prefix, get.from_key, &r->key, &r->range_end);
	r->sort_order = (Etcdserverpb__RangeRequest__SortOrder) choice(get.order, orders, "order");
	r->sort_target =
		(Etcdserverpb__RangeRequest__SortTarget) choice(get.sort_by, targets, "target");
	/* This is the order of keys anyway, and costs the server less if it is not asked for. */
	if (r->sort_target == ETCDSERVERPB__RANGE_REQUEST__SORT_TARGET__KEY &&
		r->sort_order == ETCDSERVERPB__RANGE_REQUEST__SORT_ORDER__ASCEND)
		r->sort_order = ETCDSERVERPB__RANGE_REQUEST__SORT_ORDER__NONE;
	r->limit = get.limit;
	r->revision = Max(get.rev, 0);
	r->keys_only = get.keys_only;
	r->count_only = get.count_only;
	r->min_create_revision = get.min_create;
	r->max_create_revision = get.max_create;
	r->min_mod_revision = get.min_mod;
	r->max_mod_revision = get.max_mod;
	return r;
}

/* All of standard input. */
static ProtobufCBinaryData
read_input(void)
{
	size_t room = 1 << 16;
	ProtobufCBinaryData all = {0, ctl_alloc(room)};

	for (;;)
	{
		size_t n = fread(all.data + all.len, 1, room - all.len, stdin);
		uint8_t *larger;

		all.len += n;
		if (n == 0)
			break;
		if (all.len < room)
			continue;
		larger = ctl_alloc(room * 2);
		memcpy(larger, all.data, all.len);
		all.data = larger;
		room *= 2;
	}
	if (ferror(stdin))
		ctl_fail(EXIT_IO, "could not read standard input: %s", strerror(errno));
	return all;
}

Etcdserverpb__PutRequest *
make_put(int argc, char **argv)
{
	Etcdserverpb__PutRequest *r = ctl_alloc(sizeof(*r));
	const char *why;

	etcdserverpb__put_request__init(r);
	if (argc < 1 || argc > 2)
		ctl_fail(EXIT_BAD_ARGS, "put command needs 1 argument and input from stdin or 2 arguments");
	if (put.ignore_value && argc > 1)
		ctl_fail(EXIT_BAD_ARGS, "put command needs only 1 argument when 'ignore-value' is set");
	r->key = bytes_of(argv[0]);
	if (argc > 1)
		r->value = bytes_of(argv[1]);
	else if (!put.ignore_value)
	{
		r->value = read_input();
		if (r->value.len == 0)
			ctl_fail(EXIT_BAD_ARGS,
					 "put command needs 1 argument and input from stdin or 2 arguments");
	}
	if (*put.lease != '\0' && !parse_int(put.lease, 16, &r->lease, &why))
		ctl_fail(EXIT_BAD_ARGS, "bad lease ID (%s), expecting ID in Hex", why);
	r->prev_kv = put.prev_kv;
	r->ignore_value = put.ignore_value;
	r->ignore_lease = put.ignore_lease;
	return r;
}

Etcdserverpb__DeleteRangeRequest *
make_delete(int argc, char **argv)
{
	Etcdserverpb__DeleteRangeRequest *r = ctl_alloc(sizeof(*r));

	etcdserverpb__delete_range_request__init(r);
	if (argc < 1 || argc > 2)
		ctl_fail(EXIT_BAD_ARGS,
				 "del command needs one argument as key and an optional argument as range_end");
	key_range(argc, argv, del.prefix, del.from_key, &r->key, &r->range_end);
	r->prev_kv = del.prev_kv;
	return r;
}

/* ---- answers, in the forms simple and fields ---- */

void
print_range(const Etcdserverpb__RangeResponse *r, bool value_only)
{
	if (ctl.format == OUTPUT_TABLE && r->n_kvs == 0)
	{
		print_header_table(r->header, "COUNT", ctl_printf("%" PRId64, r->count));
		return;
	}
	if (ctl.format == OUTPUT_TABLE)
	{
		print_kv_table(r->kvs, r->n_kvs);
		return;
	}
	if (ctl.format == OUTPUT_FIELDS)
		print_header_fields(r->header);
	for (size_t i = 0; i < r->n_kvs; i++)
	{
		if (ctl.format == OUTPUT_FIELDS)
			print_kv_fields("", r->kvs[i]);
		else
			print_kv(r->kvs[i], value_only);
	}
	if (ctl.format == OUTPUT_FIELDS)
		printf("\"More\" : %s\n\"Count\" : %" PRId64 "\n", r->more ? "true" : "false", r->count);
}

void
print_put(const Etcdserverpb__PutResponse *r)
{
	if (ctl.format == OUTPUT_FIELDS)
	{
		print_header_fields(r->header);
		if (r->prev_kv != NULL)
			print_kv_fields("Prev", r->prev_kv);
		return;
	}
	if (ctl.format == OUTPUT_TABLE)
	{
		print_header_table(r->header, NULL, NULL);
		if (r->prev_kv != NULL)
			print_kv_table((Mvccpb__KeyValue *const[]){r->prev_kv}, 1);
		return;
	}
	puts("OK");
	if (r->prev_kv != NULL)
		print_kv(r->prev_kv, false);
}

void
print_delete(const Etcdserverpb__DeleteRangeResponse *r)
{
	if (ctl.format == OUTPUT_TABLE)
	{
		print_header_table(r->header, "DELETED", ctl_printf("%" PRId64, r->deleted));
		if (r->n_prev_kvs > 0)
			print_kv_table(r->prev_kvs, r->n_prev_kvs);
		return;
	}
	if (ctl.format == OUTPUT_FIELDS)
	{
		print_header_fields(r->header);
		printf("\"Deleted\" : %" PRId64 "\n", r->deleted);
	}
	else
		printf("%" PRId64 "\n", r->deleted);
	for (size_t i = 0; i < r->n_prev_kvs; i++)
	{
		if (ctl.format == OUTPUT_FIELDS)
			print_kv_fields("Prev", r->prev_kvs[i]);
		else
			print_kv(r->prev_kvs[i], false);
	}
}

/* ---- commands ---- */

static int
run_get(int argc, char **argv)
{
	const Etcdserverpb__RangeRequest *request = make_range(argc, argv);
	const Etcdserverpb__RangeResponse *reply;

	if (get.keys_only && get.count_only)
		ctl_fail(EXIT_BAD_ARGS,
				 "`--keys-only` and `--count-only` cannot be set at the same time, choose one");
	if (get.count_only && ctl.format == OUTPUT_SIMPLE)
		ctl_fail(EXIT_BAD_ARGS,
				 "--count-only is only for `--write-out=fields` and `--write-out=json`");
	if (get.value_only && ctl.format != OUTPUT_SIMPLE)
		ctl_fail(EXIT_BAD_ARGS, "print-value-only is only for `--write-out=simple`");
	reply = ctl_call(&range_method, &request->base);
	if (!print_encoded(&reply->base))
		print_range(reply, get.value_only);
	return 0;
}

static int
run_put(int argc, char **argv)
{
	const Etcdserverpb__PutRequest *request = make_put(argc, argv);
	const Etcdserverpb__PutResponse *reply = ctl_call(&put_method, &request->base);

	if (!print_encoded(&reply->base))
		print_put(reply);
	return 0;
}

static int
run_del(int argc, char **argv)
{
	const Etcdserverpb__DeleteRangeRequest *request = make_delete(argc, argv);
	const Etcdserverpb__DeleteRangeResponse *reply = ctl_call(&delete_method, &request->base);

	if (!print_encoded(&reply->base))
		print_delete(reply);
	return 0;
}

static int
run_compaction(int argc, char **argv)
{
	Etcdserverpb__CompactionRequest request = ETCDSERVERPB__COMPACTION_REQUEST__INIT;
	const Etcdserverpb__CompactionResponse *reply;
	const char *why;

	if (argc != 1)
		ctl_fail(EXIT_BAD_ARGS, "compaction command needs 1 argument");
	if (!parse_int(argv[0], 10, &request.revision, &why))
		ctl_fail(EXIT_ERROR, "%s", why);
	request.physical = physical;
	reply = ctl_call(&compact_method, &request.base);
	if (print_encoded(&reply->base))
		return 0;
	if (ctl.format == OUTPUT_SIMPLE)
		printf("compacted revision %" PRId64 "\n", request.revision);
	else if (ctl.format == OUTPUT_TABLE)
		print_header_table(reply->header, "COMPACTED", ctl_printf("%" PRId64, request.revision));
	else
	{
		print_header_fields(reply->header);
		printf("\"Compacted\" : %" PRId64 "\n", request.revision);
	}
	return 0;
}

const Command get_command = {"get",
							 NULL,
							 "KEY [RANGE_END]",
							 "Get a key or a range of keys",
							 "With RANGE_END, the keys from KEY on and before RANGE_END.  Each "
							 "pair is printed as two lines.",
							 range_flags,
							 run_get,
							 NULL};
const Command put_command = {"put",
							 NULL,
							 "KEY [VALUE]",
							 "Put a value under a key",
							 "Without VALUE it is read from standard input, to its end.  After -- "
							 "nothing is taken for an option.",
							 put_flags,
							 run_put,
							 NULL};
const Command del_command = {"del",
							 NULL,
							 "KEY [RANGE_END]",
							 "Delete a key or a range of keys",
							 "Prints how many keys were deleted.",
							 delete_flags,
							 run_del,
							 NULL};
const Command compaction_command = {
	"compaction", "compact",        "REVISION",     "Forget the history before a revision",
	NULL,         compaction_flags, run_compaction, NULL};
