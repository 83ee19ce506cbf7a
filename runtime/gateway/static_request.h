/* static_request.h: what a request asks of a file: conditions (RFC 9110 section 13) and ranges
 * (section 14). Pure functions.
 */
#pragma once

#include "gateway/static_file.h"
#include "proto/http.h"

/* More ranges than this, or ranges that overlap so much that they exceed the file, and the whole
 * file is the answer. */
#define CLR_STATIC_RANGES_MAX 16

typedef struct clr_static_range {
    uint64_t first;
    uint64_t last; /* inclusive */
} clr_static_range_t;

/* 0: go on; 304: the client's copy is good; 412: a precondition of the client's does not hold. */
int clr_static_check_conditions(const clr_http_head_t *head, const clr_static_file_t *file);

/* The ranges of a GET that apply to the file as it is: their number; 0: send it whole; -1: none of
 * them is there (416). */
int clr_static_get_ranges(const clr_http_head_t *head, const clr_static_file_t *file,
                          clr_static_range_t out[CLR_STATIC_RANGES_MAX]);

/* A Range header against `size` bytes; returns as above, 0 also for what is malformed. */
int clr_static_parse_ranges(clr_str_t value, uint64_t size,
                            clr_static_range_t out[CLR_STATIC_RANGES_MAX]);
