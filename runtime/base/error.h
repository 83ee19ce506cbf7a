/* error.h: error codes and error texts.
 *
 * Hot paths return an int: 0 or positive for success, a negative code for failure. System errors
 * and libuv's pass through as -errno; ours start at -5001 and come from the one table below. Cold
 * paths (start-up, configuration) fill a clr_error_t, which gathers context as it travels up.
 */
#pragma once

#include <stdbool.h>

#include "base/common.h"

/* X(code, name, text) */
#define CLR_ERROR_MAP(X)                                                                           \
    X(-5001, CLR_EPROTO, "protocol violation")                                                     \
    X(-5002, CLR_ETOOBIG, "larger than the limit")                                                 \
    X(-5003, CLR_EAGAIN, "try again later")                                                        \
    X(-5004, CLR_ECLOSED, "closed")                                                                \
    X(-5005, CLR_EINVAL, "invalid value")                                                          \
    X(-5006, CLR_ENOTFOUND, "not found")                                                           \
    X(-5007, CLR_EUTF8, "invalid UTF-8")                                                           \
    X(-5008, CLR_EFATAL, "cannot go on")

#define CLR_ERROR_ENUM(code, name, text) name = code,
enum { CLR_ERROR_MAP(CLR_ERROR_ENUM) };
#undef CLR_ERROR_ENUM

/* The text of one of ours, of a libuv code or of -errno. Static storage. */
const char *clr_strerror(int code);

/* Caller-owned, never allocated; functions that take one accept NULL. */
typedef struct clr_error {
    int code; /* 0: no error */
    char text[1000];
} clr_error_t;

/* Sets code and text (the former text is lost). Returns code, so that `return clr_error_set(…)`. */
int clr_error_set(clr_error_t *err, int code, const char *fmt, ...) CLR_PRINTF(3, 4) CLR_COLD;

/* Puts "context: " before the text. Returns err->code (or CLR_EFATAL when err is NULL). */
int clr_error_wrap(clr_error_t *err, const char *fmt, ...) CLR_PRINTF(2, 3) CLR_COLD;
