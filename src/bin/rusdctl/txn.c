/*
 * txn.c
 *	  txn: reads a transaction from standard input in etcdctl's grammar.
 *
 *	  compares      value("k") = "v"      one a line; also version, create, mod, lease; = != < >
 *	  (empty line)
 *	  success       put k v               get, put, del lines with the flags of these commands
 *	  (empty line)
 *	  failure       get k
 *	  (empty line)
 *
 * src/bin/rusdctl/txn.c
 */
#include "rusd_fe.h"

#include <ctype.h>

#include "ctl.h"

typedef struct List
{
	void **items;
	size_t count;
	size_t room;
} List;

static bool interactive;

static Flag txn_flags[] = {
	{"interactive", 'i', FLAG_BOOL, &interactive, NULL, "say what is asked for", NULL, false}, {0}};

static void
append(List *list, void *item)
{
	if (list->count == list->room)
	{
		void **larger = ctl_alloc((list->room * 2 + 8) * sizeof(void *));

		if (list->count > 0)
			memcpy(larger, list->items, list->count * sizeof(void *));
		list->items = larger;
		list->room = list->room * 2 + 8;
	}
	list->items[list->count++] = item;
}

/* ---- lines and words ---- */

/* Next line without blanks around it; NULL for the empty one that ends a block. */
static char *
read_line(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t length = getline(&line, &room, stdin);
	char *kept;
	char *start;

	if (length <= 0 || line[length - 1] != '\n')
	{
		free(line);
		ctl_fail(EXIT_INVALID_INPUT, "EOF (each of the three blocks ends with an empty line)");
	}
	if (strlen(line) != (size_t) length)
	{
		free(line);
		ctl_fail(EXIT_INVALID_INPUT, "a line has a NUL byte in it");
	}
	kept = ctl_printf("%s", line);
	free(line);
	for (start = kept; isspace((unsigned char) *start); start++)
		;
	length = (ssize_t) strlen(start);
	while (length > 0 && isspace((unsigned char) start[length - 1]))
		start[--length] = '\0';
	return length > 0 ? start : NULL;
}

/* One digit sequence of an escape: \x41, \101. Returns how many characters it took, 0 if wrong. */
static size_t
numeric_escape(const char *s, char *out)
{
	char digits[4] = {0};
	char *end;
	bool hex = *s == 'x';
	size_t want = hex ? 2 : 3;
	unsigned long value;

	strncpy(digits, s + hex, want);
	value = strtoul(digits, &end, hex ? 16 : 8);
	if (end != digits + want || value > 255 || value == 0)
		return 0;
	*out = (char) value;
	return want + hex;
}

/*
 * Takes a word in double quotes at *at, with Go's escapes.  Moves *at behind it.  Returns NULL if
 * it is not well formed. A NUL byte is refused: the words become arguments.
 */
static char *
take_quoted(const char **at)
{
	static const char from[] = "abfnrtv\\\"'";
	static const char to[] = "\a\b\f\n\r\t\v\\\"'";
	const char *s = *at;
	char *word;
	size_t n = 0;

	if (*s++ != '"')
		return NULL;
	word = ctl_alloc(strlen(s) + 1);
	for (; *s != '"'; s++)
	{
		const char *known;

		if (*s == '\0')
			return NULL;
		if (*s != '\\')
		{
			word[n++] = *s;
			continue;
		}
		s++;
		known = *s != '\0' ? strchr(from, *s) : NULL;
		if (known != NULL)
			word[n++] = to[known - from];
		else
		{
			size_t used = *s == 'x' || (*s >= '0' && *s <= '3') ? numeric_escape(s, &word[n]) : 0;

			if (used == 0)
				return NULL;
			n++;
			s += used - 1;
		}
	}
	*at = s + 1;
	return word;
}

/* Splits a line into words: bare, 'literal', or "with escapes".  Returns false if a quote is not
 * closed. */
static bool
split_words(const char *line, List *words)
{
	while (*line != '\0')
	{
		char *word;

		if (isspace((unsigned char) *line))
		{
			line++;
			continue;
		}
		if (*line == '"')
			word = take_quoted(&line);
		else
		{
			bool literal = *line == '\'';
			const char *start = line + literal;
			size_t length = strcspn(start, literal ? "'" : " \t\r\v\f");

			if (literal && start[length] == '\0')
				return false;
			word = ctl_printf("%.*s", (int) length, start);
			line = start + length + literal;
		}
		if (word == NULL)
			return false;
		append(words, word);
	}
	append(words, NULL);
	words->count--;
	return true;
}

/* ---- compares ---- */

static int64_t
number(const char *line, const char *text, int base)
{
	int64_t value;
	const char *why;

	if (!parse_int(text, base, &value, &why))
		ctl_fail(EXIT_INVALID_INPUT, "invalid txn compare request: %s", line);
	return value;
}

/* Sets what is compared with what. */
static void
set_target(Etcdserverpb__Compare *c, const char *line, const char *target, char *value)
{
	if (strcmp(target, "ver") == 0 || strcmp(target, "version") == 0)
	{
		c->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__VERSION;
		c->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_VERSION;
		c->version = number(line, value, 10);
	}
	else if (strcmp(target, "c") == 0 || strcmp(target, "create") == 0)
	{
		c->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__CREATE;
		c->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_CREATE_REVISION;
		c->create_revision = number(line, value, 10);
	}
	else if (strcmp(target, "m") == 0 || strcmp(target, "mod") == 0)
	{
		c->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD;
		c->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION;
		c->mod_revision = number(line, value, 10);
	}
	else if (strcmp(target, "val") == 0 || strcmp(target, "value") == 0)
	{
		c->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__VALUE;
		c->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE;
		c->value = (ProtobufCBinaryData){strlen(value), (uint8_t *) value};
	}
	else if (strcmp(target, "lease") == 0)
	{
		c->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__LEASE;
		c->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_LEASE;
		c->lease = number(line, value, 16);
	}
	else
		ctl_fail(EXIT_INVALID_INPUT, "malformed comparison: %s (unknown target %s)", line, target);
}

static void
skip_blanks(const char **at)
{
	while (isspace((unsigned char) **at))
		(*at)++;
}

static Etcdserverpb__Compare *
parse_compare(const char *line)
{
	/* in the order of the enum of the protocol */
	static const char *const operators[] = {"=", ">", "<", "!="};
	Etcdserverpb__Compare *c = ctl_alloc(sizeof(*c));
	size_t target = strcspn(line, "(");
	const char *at = line + target;
	char *key = NULL;
	char *value = NULL;
	size_t length = 0;
	size_t result;

	etcdserverpb__compare__init(c);
	if (*at == '(')
	{
		at++;
		key = take_quoted(&at);
	}
	if (key != NULL && *at == ')')
	{
		at++;
		skip_blanks(&at);
		length = strcspn(at, " \t\"");
		for (result = 0; result < lengthof(operators); result++)
		{
			if (strlen(operators[result]) == length && strncmp(at, operators[result], length) == 0)
				break;
		}
		if (length > 0 && result == lengthof(operators))
			ctl_fail(EXIT_INVALID_INPUT, "malformed comparison: %s (unknown operator %.*s)", line,
					 (int) length, at);
		c->result = (Etcdserverpb__Compare__CompareResult) result;
		at += length;
		skip_blanks(&at);
		value = length > 0 ? take_quoted(&at) : NULL;
	}
	if (value == NULL || *at != '\0')
		ctl_fail(EXIT_INVALID_INPUT,
				 "malformed comparison: %s; expected TARGET(\"KEY\") OPERATOR \"VALUE\"", line);
	c->key = (ProtobufCBinaryData){strlen(key), (uint8_t *) key};
	set_target(c, line, ctl_printf("%.*s", (int) target, line), value);
	return c;
}

/* ---- operations ---- */

static Etcdserverpb__RequestOp *
parse_operation(const char *line)
{
	Etcdserverpb__RequestOp *op = ctl_alloc(sizeof(*op));
	List words = {0};
	int argc;
	char **argv;
	Flag *flags;
	const char *why;

	etcdserverpb__request_op__init(op);
	if (!split_words(line, &words) || words.count == 0)
		ctl_fail(EXIT_INVALID_INPUT, "invalid txn request: %s", line);
	argv = (char **) words.items + 1;
	argc = (int) words.count - 1;
	if (strcmp(words.items[0], "get") == 0)
		flags = range_flags;
	else if (strcmp(words.items[0], "put") == 0)
		flags = put_flags;
	else if (strcmp(words.items[0], "del") == 0)
		flags = delete_flags;
	else
		ctl_fail(EXIT_INVALID_INPUT, "invalid txn request: %s", line);
	reset_kv_flags();
	if (!options_parse(&argc, argv, flags, NULL, false, &why))
		ctl_fail(EXIT_INVALID_INPUT, "invalid txn request: %s (%s)", line, why);
	/* standard input is the transaction: a value cannot come from there too */
	if (flags == put_flags && argc == 1 && strstr(line, "--ignore-value") == NULL)
		ctl_fail(EXIT_INVALID_INPUT, "invalid txn request: %s (no value)", line);
	if (flags == range_flags)
	{
		op->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
		op->request_range = make_range(argc, argv);
	}
	else if (flags == put_flags)
	{
		op->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
		op->request_put = make_put(argc, argv);
	}
	else
	{
		op->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
		op->request_delete_range = make_delete(argc, argv);
	}
	return op;
}

/* ---- the command ---- */

static void
prompt(const char *text)
{
	if (interactive)
	{
		puts(text);
		fflush(stdout);
	}
}

static List
read_operations(void)
{
	List list = {0};
	const char *line;

	while ((line = read_line()) != NULL)
		append(&list, parse_operation(line));
	return list;
}

static void
print_responses(const Etcdserverpb__TxnResponse *reply)
{
	for (size_t i = 0; i < reply->n_responses; i++)
	{
		const Etcdserverpb__ResponseOp *op = reply->responses[i];

		if (ctl.format == OUTPUT_SIMPLE)
			putchar('\n');
		if (op->response_case == ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE)
			print_range(op->response_range, false);
		else if (op->response_case == ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_PUT)
			print_put(op->response_put);
		else if (op->response_case == ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE)
			print_delete(op->response_delete_range);
	}
}

static int
run_txn(int argc, char **argv)
{
	Etcdserverpb__TxnRequest request = ETCDSERVERPB__TXN_REQUEST__INIT;
	const Etcdserverpb__TxnResponse *reply;
	List compares = {0};
	List success;
	List failure;
	const char *line;

	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "txn command does not accept argument");
	prompt("compares:");
	while ((line = read_line()) != NULL)
		append(&compares, parse_compare(line));
	prompt("success requests (get, put, del):");
	success = read_operations();
	prompt("failure requests (get, put, del):");
	failure = read_operations();
	request.n_compare = compares.count;
	request.compare = (Etcdserverpb__Compare **) compares.items;
	request.n_success = success.count;
	request.success = (Etcdserverpb__RequestOp **) success.items;
	request.n_failure = failure.count;
	request.failure = (Etcdserverpb__RequestOp **) failure.items;
	reply = ctl_call(&txn_method, &request.base);
	if (print_encoded(&reply->base))
		return 0;
	if (ctl.format == OUTPUT_TABLE)
		print_header_table(reply->header, "SUCCEEDED", yes_no(reply->succeeded));
	else if (ctl.format == OUTPUT_FIELDS)
	{
		print_header_fields(reply->header);
		printf("\"Succeeded\" : %s\n", yes_no(reply->succeeded));
	}
	else
		puts(reply->succeeded ? "SUCCESS" : "FAILURE");
	print_responses(reply);
	return 0;
}

const Command txn_command = {"txn",
							 NULL,
							 "",
							 "Run a transaction that is read from standard input",
							 "Three blocks, each ended by an empty line:\n"
							 "  compares    value(\"KEY\") = \"VALUE\", one a line; value, "
							 "version, create, mod, lease; = != < >\n"
							 "  success     get, put and del lines, done if all compares hold\n"
							 "  failure     the same, done if one does not",
							 txn_flags,
							 run_txn,
							 NULL};
