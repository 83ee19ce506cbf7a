/* limits.h: how many files the process may open, and how many clients that is enough for.
 *
 * Threads:  main, at start.
 */
#pragma once

#include <stdint.h>

/* Raises the limit of open files as far as the system allows. Returns it. */
uint64_t clr_limits_raise_open_files(void);

/* The connections that fit: `wanted`, or as many as possible if that is 0 or too many (which is
 * logged). The rest of the files are the workers', and those that are being sent. */
uint32_t clr_limits_connections(uint64_t open_files, unsigned workers, uint64_t wanted);
