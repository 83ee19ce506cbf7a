/* log.h: one line per event on stderr, as text for people or as JSON for machines.
 *
 *   clr_log_warn("gateway", "client=%s closed: %s", id, why);
 *   12:01:03.123 warn  gateway: client=… closed: …
 *   {"time":"2026-11-23T12:01:03.123Z","level":"warn","module":"gateway","message":"client=…
 * closed: …"}
 *
 * Threads:  any; a line is one write(2).
 * State:    level and format are process-wide: one of the few mutable globals
 * (docs/architecture.md).
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "base/common.h"
#include "base/str.h"

typedef enum clr_log_level {
    CLR_LOG_DEBUG,
    CLR_LOG_INFO,
    CLR_LOG_WARN,
    CLR_LOG_ERROR,
    CLR_LOG_OFF,
} clr_log_level_t;

void clr_log_configure(clr_log_level_t level, bool json);
bool clr_log_enabled(clr_log_level_t level);

void clr_log(clr_log_level_t level, const char *module, const char *fmt, ...)
    CLR_PRINTF(3, 4) CLR_COLD;

/* A message that may hold several lines (a traceback): text keeps them, JSON escapes them. */
void clr_log_text(clr_log_level_t level, const char *module, clr_str_t message) CLR_COLD;

#define clr_log_debug(module, ...)                                                                 \
    (clr_log_enabled(CLR_LOG_DEBUG) ? clr_log(CLR_LOG_DEBUG, module, __VA_ARGS__) : (void)0)
#define clr_log_info(module, ...)  clr_log(CLR_LOG_INFO, module, __VA_ARGS__)
#define clr_log_warn(module, ...)  clr_log(CLR_LOG_WARN, module, __VA_ARGS__)
#define clr_log_error(module, ...) clr_log(CLR_LOG_ERROR, module, __VA_ARGS__)
