/* base64.h: RFC 4648. Pure functions. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

/* Standard alphabet, padded. */
void clr_base64_encode(clr_buf_t *out, const void *p, size_t n);

/* Standard alphabet; padding may be missing, anything else wrong fails and out is as before. */
CLR_NODISCARD bool clr_base64_decode(clr_buf_t *out, clr_str_t in);
