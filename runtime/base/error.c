/* error.c: error codes and error texts. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* libuv's codes that are no errno; the numbers are part of its ABI. This layer does not link it. */
static const char *strerror_libuv(int code)
{
    switch (code) {
    case -4095:
        return "end of file";
    case -3001:
        return "address lookup failed for the moment";
    case -3007: /* EAI_NODATA */
    case -3008: /* EAI_NONAME */
        return "no such host or service";
    default:
        return code <= -3000 && code > -3100 ? "address lookup failed" : "unknown error";
    }
}

const char *clr_strerror(int code)
{
    switch (code) {
    case 0:
        return "success";
#define CLR_ERROR_CASE(number, name, text)                                                         \
    case name:                                                                                     \
        return text;
        CLR_ERROR_MAP(CLR_ERROR_CASE)
#undef CLR_ERROR_CASE
    default:
        break;
    }
    if (code < -200 || code > 0)
        return strerror_libuv(code);
#ifdef __GLIBC__
    const char *text = strerrordesc_np(-code); /* static storage and thread-safe, unlike strerror */
    return text ? text : "unknown error";
#else
    return strerror(-code);
#endif
}

int clr_error_set(clr_error_t *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    err->code = code;
    return code;
}

int clr_error_wrap(clr_error_t *err, const char *fmt, ...)
{
    if (!err)
        return CLR_EFATAL;
    clr_error_t inner = *err;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    if (n < 0)
        n = 0;
    if ((size_t)n + 2 < sizeof(err->text)) {
        size_t room = sizeof(err->text) - (size_t)n - 3; /* less ": " and the NUL */
        size_t kept = strnlen(inner.text, room);
        memcpy(err->text + n, ": ", 2);
        memcpy(err->text + n + 2, inner.text, kept);
        err->text[(size_t)n + 2 + kept] = '\0';
    }
    return err->code;
}
