/*
 * config_gates.c
 *	  etcd's feature gates (BOOT-5): which exist, which may be switched here.
 *
 * Runs in the postmaster, before any fork.
 *
 * src/backend/utils/config_gates.c
 */
#include "rusd.h"

#include "config_int.h"
#include "utils/log.h"

typedef struct Gate
{
	const char *name;
	bool by_default;
	ParamStatus status; /* of the value that is not the default */
	const char *note;
} Gate;

static const Gate gates[] = {
	{"AllAlpha", false, PARAM_NOT_YET, ""},
	{"AllBeta", false, PARAM_NOT_YET, ""},
	{"StopGRPCServiceOnDefrag", false, PARAM_NOT_YET, ""},
	{"InitialCorruptCheck", false, PARAM_WARNED,
	 "a single member has nobody to compare hashes with"},
	{"CompactHashCheck", false, PARAM_WARNED, "a single member has nobody to compare hashes with"},
	{"TxnModeWriteWithSharedBuffer", true, PARAM_WARNED,
	 "transactions read the tree that they write; there is no buffer to share or copy"},
	{"LeaseCheckpoint", false, PARAM_NOT_YET, ""},
	{"LeaseCheckpointPersist", false, PARAM_NOT_YET, ""},
	{"SetMemberLocalAddr", false, PARAM_NOT_YET, ""},
	{"FastLeaseKeepAlive", true, PARAM_NOT_YET, ""},
	{"PriorityRequest", false, PARAM_NOT_YET, ""},
};

static const Gate *
find_gate(const char *name, size_t length)
{
	for (size_t i = 0; i < lengthof(gates); i++)
	{
		if (strlen(gates[i].name) == length && memcmp(gates[i].name, name, length) == 0)
			return &gates[i];
	}
	return NULL;
}

/* One item "Name=true" of the list; moves *at behind it.  NULL with the reason if it is none. */
static const Gate *
next_gate(const char **at, bool *value, char error[CONFIG_ERROR_SIZE])
{
	size_t length = strcspn(*at, ",");
	size_t name = strcspn(*at, "=,");
	size_t word = length - Min(name + 1, length);
	const char *text = *at + name + 1;
	const Gate *gate = find_gate(*at, name);

	if (gate == NULL)
		(void) snprintf(error, CONFIG_ERROR_SIZE, "unrecognized feature gate: %.*s", (int) name,
						*at);
	else if (name == length)
		(void) snprintf(error, CONFIG_ERROR_SIZE, "missing bool value for feature gate: %s",
						gate->name);
	else if ((word == 4 && strncasecmp(text, "true", 4) == 0) ||
			 (word == 5 && strncasecmp(text, "false", 5) == 0))
	{
		*value = word == 4;
		*at += length;
		if (**at == ',')
			(*at)++;
		return gate;
	}
	else
		(void) snprintf(error, CONFIG_ERROR_SIZE, "invalid value of %s=%.*s", gate->name,
						(int) word, text);
	return NULL;
}

bool
gates_parse(const char *list, char error[CONFIG_ERROR_SIZE])
{
	bool value;

	while (*list != '\0')
	{
		if (next_gate(&list, &value, error) == NULL)
			return false;
	}
	return true;
}

bool
gates_check(const char *list, char error[CONFIG_ERROR_SIZE])
{
	while (*list != '\0')
	{
		bool value = false;
		const Gate *gate = next_gate(&list, &value, error);

		if (gate == NULL)
			return false;
		if (value != gate->by_default && gate->status == PARAM_NOT_YET)
		{
			(void) snprintf(error, CONFIG_ERROR_SIZE,
							"--feature-gates: %s=%s is not supported by this version of rusd yet",
							gate->name, value ? "true" : "false");
			return false;
		}
	}
	return true;
}

void
gates_warn(const char *list)
{
	char error[CONFIG_ERROR_SIZE];

	while (*list != '\0')
	{
		bool value = false;
		const Gate *gate = next_gate(&list, &value, error);

		if (gate == NULL)
			return;
		if (value != gate->by_default)
			log_warn("feature gate has no effect", LOG_TEXT("gate", gate->name),
					 LOG_TEXT("instead", gate->note));
	}
}
