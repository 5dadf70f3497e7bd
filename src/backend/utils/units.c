/*
 * units.c
 *	  Durations as Go writes them, sizes as people write them.
 *
 * Any process, tools too.  Pure; never allocates (the log calls it).
 *
 * src/backend/utils/units.c
 */
#ifdef FRONTEND
#include "rusd_fe.h"
#else
#include "rusd.h"
#endif

#include "utils/units.h"

typedef struct Unit
{
	const char *name;
	uint64_t factor;
} Unit;

/* Those that begin like another one stand before it. */
static const Unit duration_units[] = {
	{"ns", 1},           {"us", 1000},      {"\302\265s", 1000}, /* U+00B5, micro */
	{"\316\274s", 1000},                                         /* U+03BC, mu */
	{"ms", 1000000},     {"s", 1000000000}, {"m", 60000000000},  {"h", 3600000000000},
};

/* Moves *p behind a unit; 0 if there is none. */
static uint64_t
take_unit(const char **p)
{
	size_t length = strcspn(*p, ".0123456789");

	for (size_t i = 0; i < lengthof(duration_units); i++)
	{
		const char *name = duration_units[i].name;

		if (strlen(name) == length && strncmp(*p, name, length) == 0)
		{
			*p += length;
			return duration_units[i].factor;
		}
	}
	return 0;
}

/* Digits as a number; false if there are none or they exceed 2^63. */
static bool
take_digits(const char **p, uint64_t *value)
{
	const char *start = *p;
	uint64_t sum = 0;

	for (; **p >= '0' && **p <= '9'; (*p)++)
	{
		if (sum > ((uint64_t) 1 << 63) / 10)
			return false;
		sum = sum * 10 + (uint64_t) (**p - '0');
	}
	*value = sum;
	return *p != start;
}

/* The part behind the point, as digits and their scale; digits beyond 19 do not matter. */
static bool
take_fraction(const char **p, uint64_t *digits, double *scale)
{
	const char *start = *p;

	*digits = 0;
	*scale = 1;
	for (; **p >= '0' && **p <= '9'; (*p)++)
	{
		if (*digits > (uint64_t) INT64_MAX / 10)
			continue;
		*digits = *digits * 10 + (uint64_t) (**p - '0');
		*scale *= 10;
	}
	return *p != start;
}

/* One number with its unit, added to *sum. */
static bool
take_term(const char **p, uint64_t *sum)
{
	uint64_t whole = 0;
	uint64_t digits = 0;
	double scale = 1;
	bool some = **p >= '0' && **p <= '9';
	uint64_t unit;
	uint64_t part;

	if (some && !take_digits(p, &whole))
		return false;
	if (**p == '.')
	{
		(*p)++;
		some |= take_fraction(p, &digits, &scale);
	}
	unit = take_unit(p);
	if (!some || unit == 0 || whole > ((uint64_t) 1 << 63) / unit)
		return false;
	part = whole * unit + (uint64_t) ((double) digits * ((double) unit / scale));
	*sum += part;
	return part <= (uint64_t) 1 << 63 && *sum <= (uint64_t) 1 << 63;
}

bool
duration_parse(const char *text, int64_t *nanoseconds)
{
	bool negative = *text == '-';
	uint64_t sum = 0;

	if (*text == '-' || *text == '+')
		text++;
	if (strcmp(text, "0") == 0)
	{
		*nanoseconds = 0;
		return true;
	}
	if (*text == '\0')
		return false;
	while (*text != '\0')
	{
		if (!take_term(&text, &sum))
			return false;
	}
	if (sum == (uint64_t) 1 << 63)
	{
		*nanoseconds = INT64_MIN;
		return negative;
	}
	*nanoseconds = negative ? -(int64_t) sum : (int64_t) sum;
	return true;
}

/* "1.05", "3": value / unit without zeros at the end, then the unit's name. */
static size_t
put_decimal(char *buffer, size_t size, uint64_t value, uint64_t unit, const char *name)
{
	uint64_t rest = value % unit;
	int digits = 0;

	for (uint64_t u = unit; u > 1; u /= 10)
		digits++;
	if (rest == 0)
		return (size_t) snprintf(buffer, size, "%" PRIu64 "%s", value / unit, name);
	for (; rest % 10 == 0; rest /= 10)
		digits--;
	return (size_t) snprintf(buffer, size, "%" PRIu64 ".%0*" PRIu64 "%s", value / unit, digits,
							 rest, name);
}

const char *
duration_format(char buffer[UNITS_TEXT_SIZE], int64_t nanoseconds)
{
	uint64_t value = nanoseconds < 0 ? -(uint64_t) nanoseconds : (uint64_t) nanoseconds;
	char *p = buffer;
	char *end = buffer + UNITS_TEXT_SIZE;

	if (nanoseconds < 0)
		*p++ = '-';
	if (value == 0)
		put_decimal(p, (size_t) (end - p), 0, 1, "s");
	else if (value < 1000)
		put_decimal(p, (size_t) (end - p), value, 1, "ns");
	else if (value < 1000000)
		put_decimal(p, (size_t) (end - p), value, 1000, "\302\265s");
	else if (value < 1000000000)
		put_decimal(p, (size_t) (end - p), value, 1000000, "ms");
	else
	{
		uint64_t minutes = value / 60000000000u;

		if (minutes >= 60)
			p += snprintf(p, (size_t) (end - p), "%" PRIu64 "h", minutes / 60);
		if (minutes > 0)
			p += snprintf(p, (size_t) (end - p), "%" PRIu64 "m", minutes % 60);
		put_decimal(p, (size_t) (end - p), value % 60000000000u, 1000000000u, "s");
	}
	return buffer;
}

static const Unit size_units[] = {
	{"TiB", (uint64_t) 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1},
};

bool
size_parse(const char *text, int64_t *bytes)
{
	uint64_t number;

	if (!take_digits(&text, &number))
		return false;
	for (size_t i = 0; i < lengthof(size_units); i++)
	{
		if (strcmp(text, size_units[i].name) != 0)
			continue;
		if (number > (uint64_t) INT64_MAX / size_units[i].factor)
			return false;
		*bytes = (int64_t) (number * size_units[i].factor);
		return true;
	}
	return false;
}

const char *
size_format(char buffer[UNITS_TEXT_SIZE], int64_t bytes)
{
	size_t i = 0;

	while (bytes == 0 || bytes % (int64_t) size_units[i].factor != 0)
	{
		if (++i == lengthof(size_units) - 1)
			break;
	}
	(void) snprintf(buffer, UNITS_TEXT_SIZE, "%" PRId64 "%s",
					bytes / (int64_t) size_units[i].factor, size_units[i].name);
	return buffer;
}
