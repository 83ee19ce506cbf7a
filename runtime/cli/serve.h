/* serve.h: the gateway's process, from the options to its exit status.
 *
 * Threads:  blocks until the program is to end.
 */
#pragma once

#include "cli/options.h"

/* Returns an exit status (clrun/exit.h); what went wrong was printed. */
int clr_serve(const clr_options_t *options);
