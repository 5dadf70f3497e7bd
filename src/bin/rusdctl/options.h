/*
 * options.h
 *	  Flags in the manner of etcdctl, and the variables that stand for them.
 *
 * src/bin/rusdctl/options.h
 */
#ifndef RUSDCTL_OPTIONS_H
#define RUSDCTL_OPTIONS_H

typedef enum FlagKind
{
	FLAG_BOOL,
	FLAG_TEXT,
	FLAG_INT,
	FLAG_DURATION /* nanoseconds in an int64_t */
} FlagKind;

typedef struct Flag
{
	const char *name; /* NULL ends a table */
	char letter;      /* '\0': none */
	FlagKind kind;
	void *value;               /* bool *, const char **, int64_t * */
	const char *shown_default; /* for help; NULL: none worth showing */
	const char *help;
	const char *choices; /* values there are, with blanks between them; NULL: any */
	bool given;
} Flag;

/*
 * Takes the flags of both tables out of argv (either may be NULL); what is left are the arguments,
 * at *argc and argv, and after "--" everything is an argument.  With stop_at_argument, ends at the
 * first argument. Returns false with a text in *error (not to be freed).
 */
extern bool options_parse(int *argc, char **argv, Flag *own, Flag *global, bool stop_at_argument,
						  const char **error);

/* RUSDCTL_<FLAG>, else ETCDCTL_<FLAG>, for each flag of the table that was not given. */
extern bool options_environment(Flag *global, const char **error);

extern void options_print(const Flag *flags);

/* Go's syntax of numbers and durations, with Go's texts of errors. */
extern bool parse_int(const char *text, int base, int64_t *value, const char **error);
/* Of a member: hexadecimal, without sign. */
extern bool parse_id(const char *text, uint64_t *id, const char **error);
extern bool parse_duration(const char *text, int64_t *value, const char **error);

#endif /* RUSDCTL_OPTIONS_H */
