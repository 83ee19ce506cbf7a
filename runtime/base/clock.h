/* clock.h: time. Milliseconds everywhere, as uint64_t. Threads: any. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Monotonic; its zero means nothing. */
uint64_t clr_clock_now_ms(void);

/* The same in nanoseconds. */
uint64_t clr_clock_now_ns(void);

/* Wall clock, since 1970-01-01 UTC. */
uint64_t clr_clock_wall_ms(void);

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7) and NUL: 30 bytes. */
#define CLR_HTTP_DATE_SIZE 30
void clr_clock_http_date(uint64_t wall_ms, char out[CLR_HTTP_DATE_SIZE]);

/* The other way; returns the wall time in ms, or -1 when it is no IMF-fixdate. */
int64_t clr_clock_parse_http_date(const char *p, size_t n);
