/*
 * table.c
 *	  The form table.
 *
 * src/bin/rusdctl/table.c
 */
#include "rusd_fe.h"

#include "../common/jsontext.h"
#include "ctl.h"

Table
table_begin(const char *const *head, size_t columns)
{
	return (Table){.head = head, .columns = columns};
}

/* One line of text whatever the bytes are: what would break a table, or speak to a terminal, stands as an escape. */
static const char *
one_line(const void *data, size_t length, bool hex)
{
	const uint8_t *bytes = data;
	char *text = ctl_alloc(length * 4 + 1);
	char *at = text;

	for (size_t i = 0; i < length;)
	{
		size_t n = utf8_length(bytes + i, length - i);
		bool plain = n > 0 && bytes[i] >= 0x20 && bytes[i] != 0x7f &&
					 !(n == 2 && bytes[i] == 0xc2 && bytes[i + 1] < 0xa0);

		n = Max(n, 1);
		for (size_t k = 0; k < n; k++, i++)
		{
			if (plain && !hex)
				*at++ = (char) bytes[i];
			else
				at += snprintf(at, 5, "\\x%02x", bytes[i]);
		}
	}
	*at = '\0';
	return text;
}

void
table_add(Table *t, const char *const *row)
{
	if (t->rows == t->room)
	{
		size_t room = t->room * 2 + 8;
		const char **larger = ctl_alloc(room * t->columns * sizeof(*larger));

		if (t->rows > 0)
			memcpy(larger, t->cells, t->rows * t->columns * sizeof(*larger));
		t->cells = larger;
		t->room = room;
	}
	for (size_t c = 0; c < t->columns; c++)
		t->cells[t->rows * t->columns + c] = one_line(row[c], strlen(row[c]), false);
	t->rows++;
}

/* Characters, not bytes; each is taken for one column wide. */
static size_t
shown_width(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char) *text & 0xc0) != 0x80;
	return n;
}

static void
print_line(const size_t *width, size_t columns)
{
	for (size_t c = 0; c < columns; c++)
	{
		putchar('+');
		for (size_t i = 0; i < width[c] + 2; i++)
			putchar('-');
	}
	puts("+");
}

void
print_table(const Table *t)
{
	size_t *width = ctl_alloc(t->columns * sizeof(*width));

	for (size_t c = 0; c < t->columns; c++)
	{
		width[c] = shown_width(t->head[c]);
		for (size_t r = 0; r < t->rows; r++)
			width[c] = Max(width[c], shown_width(t->cells[r * t->columns + c]));
	}
	print_line(width, t->columns);
	for (size_t c = 0; c < t->columns; c++)
	{
		size_t pad = width[c] - shown_width(t->head[c]);

		printf("| %*s%s%*s ", (int) (pad / 2), "", t->head[c], (int) (pad - pad / 2), "");
	}
	puts("|");
	print_line(width, t->columns);
	for (size_t r = 0; r < t->rows; r++)
	{
		for (size_t c = 0; c < t->columns; c++)
		{
			const char *cell = t->cells[r * t->columns + c];

			printf("| %*s%s ", (int) (width[c] - shown_width(cell)), "", cell);
		}
		puts("|");
	}
	print_line(width, t->columns);
}

void
print_rows(const Table *t)
{
	for (size_t r = 0; r < t->rows; r++)
	{
		for (size_t c = 0; c < t->columns; c++)
			printf("%s%s", c > 0 ? ", " : "", t->cells[r * t->columns + c]);
		putchar('\n');
	}
}

/* ---- tables that several commands print ---- */

void
print_header_table(const Etcdserverpb__ResponseHeader *h, const char *name, const char *value)
{
	static const Etcdserverpb__ResponseHeader none = ETCDSERVERPB__RESPONSE_HEADER__INIT;
	const char *head[] = {"CLUSTER ID", "MEMBER ID", "REVISION", "RAFT TERM", name};
	Table t = table_begin(head, lengthof(head) - (name == NULL));

	if (h == NULL)
		h = &none;
	table_add(&t, (const char *const[]){hex_id(h->cluster_id), hex_id(h->member_id),
										ctl_printf("%" PRId64, h->revision), decimal(h->raft_term),
										value});
	print_table(&t);
}

void
print_kv_table(Mvccpb__KeyValue *const *kvs, size_t count)
{
	static const char *const head[] = {"KEY",          "VALUE",   "CREATE REVISION",
									   "MOD REVISION", "VERSION", "LEASE"};
	Table t = table_begin(head, lengthof(head));

	for (size_t i = 0; i < count; i++)
	{
		const Mvccpb__KeyValue *kv = kvs[i];

		table_add(&t, (const char *const[]){one_line(kv->key.data, kv->key.len, ctl.hex),
											one_line(kv->value.data, kv->value.len, ctl.hex),
											ctl_printf("%" PRId64, kv->create_revision),
											ctl_printf("%" PRId64, kv->mod_revision),
											ctl_printf("%" PRId64, kv->version),
											hex_id((uint64_t) kv->lease)});
	}
	print_table(&t);
}
