/*
 * cmocka_all.h
 *	  What cmocka wants to be included before itself.  Include after rusd.h.
 *
 * test/unit/cmocka_all.h
 */
#ifndef CMOCKA_ALL_H
#define CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif /* CMOCKA_ALL_H */
