/* assert.h: checks of our own invariants. Never on data from a peer, a file or the application.
 *
 * CLR_ASSERT is always on and cheap. CLR_DCHECK is for checks that cost; debug builds only.
 */
#pragma once

#include "base/common.h"

CLR_NORETURN CLR_COLD void clr_assert_failed(const char *expr, const char *file, int line);

#define CLR_ASSERT(expr) (CLR_LIKELY(expr) ? (void)0 : clr_assert_failed(#expr, __FILE__, __LINE__))

#ifdef NDEBUG
#define CLR_DCHECK(expr) ((void)0)
#else
#define CLR_DCHECK(expr) CLR_ASSERT(expr)
#endif
