/*
 * jsontext.c
 *	  JSON strings and base64 onto standard output.
 *
 * src/bin/common/jsontext.c
 */
#include "rusd_fe.h"

#include "jsontext.h"

size_t
utf8_length(const uint8_t *s, size_t left)
{
	size_t n = *s < 0x80                 ? 1
			   : *s >= 0xc2 && *s < 0xe0 ? 2
			   : *s >= 0xe0 && *s < 0xf0 ? 3
			   : *s >= 0xf0 && *s < 0xf5 ? 4
										 : 0;

	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
	{
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0)))
		return 0;
	if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90)))
		return 0;
	return n;
}

void
json_print_text(const void *text, size_t length)
{
	const uint8_t *s = text;
	size_t left = length;

	putchar('"');
	while (left > 0)
	{
		size_t n = utf8_length(s, left);

		if (n == 0)
		{
			fputs("\\ufffd", stdout);
			n = 1;
		}
		else if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if (*s == '\n' || *s == '\r' || *s == '\t')
			printf("\\%c", *s == '\n' ? 'n' : *s == '\r' ? 'r' : 't');
		else if (*s < 0x20 || strchr("<>&", *s) != NULL)
			printf("\\u%04x", *s);
		else if (n == 3 && memcmp(s, "\xe2\x80", 2) == 0 && (s[2] == 0xa8 || s[2] == 0xa9))
			printf("\\u20%02x", s[2] - 0x80);
		else
			fwrite(s, 1, n, stdout);
		s += n;
		left -= n;
	}
	putchar('"');
}

void
json_print_base64(const void *data, size_t length)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	const uint8_t *bytes = data;

	putchar('"');
	for (size_t i = 0; i < length; i += 3)
	{
		uint32_t three = (uint32_t) bytes[i] << 16;
		size_t have = Min(length - i, 3);

		if (have > 1)
			three |= (uint32_t) bytes[i + 1] << 8;
		if (have > 2)
			three |= bytes[i + 2];
		for (size_t k = 0; k < 4; k++)
			putchar(k > have ? '=' : digits[three >> (18 - 6 * k) & 63]);
	}
	putchar('"');
}
