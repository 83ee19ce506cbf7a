/* common.h: the compiler attributes and tiny helpers that every layer uses. No code, no state. */
#pragma once

#include <stddef.h>

#define CLR_NODISCARD         __attribute__((warn_unused_result))
#define CLR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define CLR_COLD              __attribute__((cold, noinline))
#define CLR_NORETURN          __attribute__((noreturn))
#define CLR_UNUSED            __attribute__((unused))
#define CLR_LIKELY(x)         __builtin_expect(!!(x), 1)
#define CLR_UNLIKELY(x)       __builtin_expect(!!(x), 0)

/* The struct of `type` whose `member` is at `ptr`. */
#define clr_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define clr_array_len(a) (sizeof(a) / sizeof((a)[0]))
