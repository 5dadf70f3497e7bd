/*
 * jsontext.h
 *	  JSON strings and base64 onto standard output.
 *
 * src/bin/common/jsontext.h
 */
#ifndef COMMON_JSONTEXT_H
#define COMMON_JSONTEXT_H

#include "c.h"

/* Length of the UTF-8 sequence at s, 0 if it is none. */
extern size_t utf8_length(const uint8_t *s, size_t left);
/* In quotes, as Go's encoding/json escapes; what is not UTF-8 stands as U+FFFD. */
extern void json_print_text(const void *text, size_t length);
/* Bytes as base64, in quotes. */
extern void json_print_base64(const void *data, size_t length);

#endif /* COMMON_JSONTEXT_H */
