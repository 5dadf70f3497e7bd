/*
 * units.h
 *	  Durations as Go writes them, sizes as people write them.  Server and tools.
 *
 * src/include/utils/units.h
 */
#ifndef UTILS_UNITS_H
#define UTILS_UNITS_H

#define UNITS_TEXT_SIZE 40 /* enough for whatever the two functions below write */

/*
 * Go's time.ParseDuration: an optional sign, then numbers with a unit each ("1h30m", "1.5s",
 * "-2us"); units ns, us, µs, μs, ms, s, m, h.  A bare number other than 0 is refused.  Nanoseconds.
 */
extern bool duration_parse(const char *text, int64_t *nanoseconds);
/* Go's Duration.String: "1h0m0s", "1.5s", "250µs", "0s".  Returns buffer. */
extern const char *duration_format(char buffer[UNITS_TEXT_SIZE], int64_t nanoseconds);

/* Decimal bytes, or a decimal number followed by KiB, MiB, GiB or TiB. */
extern bool size_parse(const char *text, int64_t *bytes);
/* The largest unit that divides it: "16MiB", "1572864".  Returns buffer. */
extern const char *size_format(char buffer[UNITS_TEXT_SIZE], int64_t bytes);

#endif /* UTILS_UNITS_H */
