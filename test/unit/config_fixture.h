/*
 * config_fixture.h
 *	  config_parse with what it prints caught.
 *
 * test/unit/config_fixture.h
 */
#ifndef CONFIG_FIXTURE_H
#define CONFIG_FIXTURE_H

/* Of the last parse: standard output, standard error. */
extern char output[1 << 17];
extern char errors[1 << 17];

/* From here on what goes to fd goes into a file; returns what release_fd needs to end that. */
extern int catch_fd(int fd, FILE *into);
/* Ends it, closes the file, and gives what is in it. */
extern void release_fd(int fd, int saved, FILE *from, char *text, size_t size);

/*
 * config_parse, and config_announce if it goes on.  The arguments are one text, separated by blanks;
 * "{}" is an empty argument.
 */
extern int parse(const char *arguments);
extern void accepted(const char *arguments);
/* Refused with exit status 1 and that error in a log line of etcd's. */
extern void refused(const char *arguments, const char *want);
/* Exit status 2: that line, then the usage. */
extern void usage_error(const char *arguments, const char *want);
/* For setups: no ETCD_ and RUSD_ variables. */
extern int clear_environment(void **state);

#endif /* CONFIG_FIXTURE_H */
