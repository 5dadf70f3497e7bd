/*
 * config_params.c
 *	  The table of all parameters, from configlist.h, and how a value is read into Config.
 *
 * Runs in the postmaster, before any fork and at SIGHUP.
 *
 * src/backend/utils/config_params.c
 */
#include "rusd.h"

#include <ctype.h>

#include "config_int.h"
#include "utils/arena.h"
#include "utils/units.h"

/* What configlist.h is written with. */
#define PARAM_MILLISECOND INT64_C(1000000)
#define PARAM_SECOND INT64_C(1000000000)
#define PARAM_MINUTE (60 * PARAM_SECOND)
#define PARAM_HOUR (60 * PARAM_MINUTE)
#define PARAM_MIB (INT64_C(1) << 20)
#define PARAM_GIB (INT64_C(1) << 30)
#define PARAM_TIB (INT64_C(1) << 40)
#define PARAM_FIXED false
#define PARAM_RELOAD true

const Param params[] = {
#define COMMON(field_, flag_, status_, reload_, sentence_, note_)                                  \
	.flag = (flag_), .line = __LINE__, .offset = offsetof(Config, field_),                         \
	.status = PARAM_##status_, .reload = PARAM_##reload_, .sentence = (sentence_), .note = (note_)
#define RUSD_PARAM_TEXT(field, flag_, type_, default_, choices_, status_, reload_, sentence_,      \
						note_)                                                                     \
	{COMMON(field, flag_, status_, reload_, sentence_, note_), .type = PARAM_##type_,              \
	 .default_text = (default_), .choices = (choices_)},
#define RUSD_PARAM_INT(field, flag_, type_, default_, min_, max_, status_, reload_, sentence_,     \
					   note_)                                                                      \
	{COMMON(field, flag_, status_, reload_, sentence_, note_), .type = PARAM_##type_,              \
	 .default_number = (default_), .min = (min_), .max = (max_)},
#define RUSD_PARAM_BOOL(field, flag_, default_, status_, reload_, sentence_, note_)                \
	{COMMON(field, flag_, status_, reload_, sentence_, note_), .type = PARAM_BOOL,                 \
	 .default_number = (default_), .max = 1},
#include "utils/configlist.h"
#undef COMMON
};
const int param_count = (int) lengthof(params);

static const ParamSection sections[] = {
#define RUSD_PARAM_SECTION(title, own) {title, own, __LINE__},
#include "utils/configlist.h"
};

const char *const ignored_flags[] = {
#define RUSD_PARAM_IGNORED(flag) flag,
#include "utils/configlist.h"
};
const int ignored_flag_count = (int) lengthof(ignored_flags);

const ParamSection *
param_section(const Param *param)
{
	size_t i = lengthof(sections) - 1;

	while (i > 0 && sections[i].line > param->line)
		i--;
	return &sections[i];
}

const Param *
param_find(const char *flag, size_t length)
{
	for (int i = 0; i < param_count; i++)
	{
		if (strlen(params[i].flag) == length && memcmp(params[i].flag, flag, length) == 0)
			return &params[i];
	}
	return NULL;
}

const char *
config_keep_text(const char *text)
{
	static Arena kept;
	size_t size = strlen(text) + 1;
	char *copy = arena_alloc(&kept, size);

	Check(copy != NULL);
	return memcpy(copy, text, size);
}

/* ---- places in a Config ---- */

static const char **
text_of(const Param *param, const Config *in)
{
	return (const char **) ((char *) in + param->offset);
}

static bool
is_number(const Param *param)
{
	return param->type >= PARAM_INT;
}

static void
put_number(const Param *param, Config *into, int64_t number)
{
	void *place = (char *) into + param->offset;

	if (param->type == PARAM_BOOL)
		*(bool *) place = number != 0;
	else
		*(int64_t *) place = number;
}

int64_t
param_number(const Param *param, const Config *from)
{
	const void *place = (const char *) from + param->offset;

	if (param->type == PARAM_BOOL)
		return *(const bool *) place;
	return is_number(param) ? *(const int64_t *) place : 0;
}

const char *
param_text(const Param *param, const Config *from)
{
	return *text_of(param, from);
}

void
params_set_defaults(Config *into)
{
	for (int i = 0; i < param_count; i++)
	{
		if (params[i].default_text != NULL)
			*text_of(&params[i], into) = params[i].default_text;
		else
			put_number(&params[i], into, params[i].default_number);
	}
}

bool
param_is_default(const Param *param, const Config *from)
{
	if (param->default_text != NULL)
		return strcmp(param_text(param, from), param->default_text) == 0;
	return param_number(param, from) == param->default_number;
}

/* ---- reading values ---- */

/* Go's ParseInt and ParseUint with base 0: 0x, 0o, 0b, a leading 0; underscores between digits. */
static const char *
parse_magnitude(const char *text, uint64_t *value)
{
	unsigned base = 10;
	bool separable = true; /* an underscore may stand here */
	uint64_t sum = 0;

	if (text[0] == '0' && text[1] != '\0')
	{
		char kind = (char) tolower((unsigned char) text[1]);

		base = kind == 'x' ? 16 : kind == 'b' ? 2 : 8;
		text += kind == 'x' || kind == 'b' || kind == 'o' ? 2 : 1;
	}
	else
		separable = false;
	if (*text == '\0')
		return "parse error";
	for (; *text != '\0'; text++)
	{
		unsigned digit = 99;

		if (*text == '_' && separable && isxdigit((unsigned char) text[1]))
		{
			/* Only behind a prefix or where the number is written with one. */
			continue;
		}
		if (isdigit((unsigned char) *text))
			digit = (unsigned) (*text - '0');
		else if (isxdigit((unsigned char) *text))
			digit = (unsigned) (tolower((unsigned char) *text) - 'a' + 10);
		if (digit >= base)
			return "parse error";
		separable = true;
		if (__builtin_mul_overflow(sum, (uint64_t) base, &sum) ||
			__builtin_add_overflow(sum, (uint64_t) digit, &sum))
			return "value out of range";
	}
	*value = sum;
	return NULL;
}

static const char *
parse_signed(const char *text, int64_t *number)
{
	bool negative = *text == '-';
	uint64_t value = 0;
	const char *wrong;

	if (*text == '-' || *text == '+')
		text++;
	wrong = parse_magnitude(text, &value);
	if (wrong != NULL)
		return wrong;
	if (value > (uint64_t) INT64_MAX + negative)
		return "value out of range";
	*number = negative ? (int64_t) (0 - value) : (int64_t) value;
	return NULL;
}

bool
config_parse_integer(const char *text, int64_t *number)
{
	return parse_signed(text, number) == NULL;
}

static const char *
parse_unsigned(const char *text, uint64_t most, int64_t *number)
{
	uint64_t value = 0;
	const char *wrong = parse_magnitude(text, &value);

	if (wrong != NULL)
		return wrong;
	if (value > most)
		return "value out of range";
	/* What exceeds 63 bits is as good as infinite. */
	*number = (int64_t) Min(value, (uint64_t) INT64_MAX);
	return NULL;
}

static const char *
parse_bool(const char *text, int64_t *number)
{
	static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

	for (size_t i = 0; i < lengthof(yes); i++)
	{
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0)
		{
			*number = strcmp(text, yes[i]) == 0;
			return NULL;
		}
	}
	return "parse error";
}

static const char *
parse_number(const Param *param, const char *text, int64_t *number)
{
	switch (param->type)
	{
		case PARAM_BOOL:
			return parse_bool(text, number);
		case PARAM_INT:
		case PARAM_INT64:
			return parse_signed(text, number);
		case PARAM_UINT32:
			return parse_unsigned(text, UINT32_MAX, number);
		case PARAM_UINT:
		case PARAM_UINT64:
			return parse_unsigned(text, UINT64_MAX, number);
		case PARAM_DURATION:
			return duration_parse(text, number) ? NULL : "parse error";
		case PARAM_SIZE:
			return size_parse(text, number) ? NULL : "not a size in bytes, KiB, MiB, GiB or TiB";
		default:
			return "parse error";
	}
}

/* Whether value is one of the words of "a|b|c". */
bool
param_is_choice(const Param *param, const char *value)
{
	size_t length = strlen(value);

	for (const char *choice = param->choices;; choice++)
	{
		size_t n = strcspn(choice, "|");

		if (n == length && memcmp(choice, value, n) == 0)
			return true;
		choice += n;
		if (*choice == '\0')
			return false;
	}
}

static bool
check_text(const Param *param, const char *value, char error[CONFIG_ERROR_SIZE])
{
	switch (param->type)
	{
		case PARAM_URLS:
			return *value == '\0' || config_urls_explained(value, NULL, 0, error) >= 0;
		case PARAM_ORIGINS:
			return *value == '\0' || strcmp(value, "*") == 0 ||
				   config_urls_explained(value, NULL, 0, error) >= 0;
		case PARAM_GATES:
			return gates_parse(value, error);
		case PARAM_ENUM:
			if (param_is_choice(param, value))
				return true;
			(void) snprintf(error, CONFIG_ERROR_SIZE, "invalid value \"%s\"", value);
			return false;
		default:
			return true;
	}
}

bool
param_set(const Param *param, Config *into, const char *value, char error[CONFIG_ERROR_SIZE])
{
	if (param->default_text != NULL)
	{
		if (!check_text(param, value, error))
			return false;
		*text_of(param, into) = config_keep_text(value);
	}
	else
	{
		int64_t number = 0;
		const char *wrong = parse_number(param, value, &number);

		if (wrong != NULL)
		{
			(void) snprintf(error, CONFIG_ERROR_SIZE, "%s", wrong);
			return false;
		}
		put_number(param, into, number);
	}
	return true;
}

/* ---- names ---- */

void
param_variable(const Param *param, const char *prefix, char *buffer, size_t size)
{
	int length = snprintf(buffer, size, "%s%s", prefix, param->flag);

	Check(length > 0 && (size_t) length < size);
	for (char *p = buffer; *p != '\0'; p++)
		*p = *p == '-' ? '_' : (char) toupper((unsigned char) *p);
}

const char *
param_type_name(const Param *param)
{
	switch (param->type)
	{
		case PARAM_BOOL:
			return "bool";
		case PARAM_STRINGS:
			return "list";
		case PARAM_URLS:
		case PARAM_ORIGINS:
			return "URLs";
		case PARAM_GATES:
			return "name=bool,...";
		case PARAM_ENUM:
		case PARAM_WORD:
			return "choice";
		case PARAM_STRING:
			return "string";
		case PARAM_INT:
		case PARAM_INT64:
			return "int";
		case PARAM_DURATION:
			return "duration";
		case PARAM_SIZE:
			return "size";
		default:
			return "uint";
	}
}

const char *
param_default(const Param *param, char *buffer, size_t size)
{
	char text[UNITS_TEXT_SIZE];

	if (param->default_text != NULL)
		return param->default_text;
	if (param->type == PARAM_BOOL)
		return param->default_number ? "true" : "false";
	if (param->type == PARAM_DURATION)
		(void) snprintf(buffer, size, "%s", duration_format(text, param->default_number));
	else if (param->type == PARAM_SIZE)
		(void) snprintf(buffer, size, "%s", size_format(text, param->default_number));
	else
		(void) snprintf(buffer, size, "%" PRId64, param->default_number);
	return buffer;
}
