/* spawn.h: one worker process: its command, its first frame, its end of the link.
 *
 * Threads:  the loop's.
 */
#pragma once

#include <uv.h>

#include "base/buf.h"
#include "supervisor/pool.h"

/* The Python code that a worker runs: "from clrun." and entry, with the package on the path, which
 * is quoted so that any bytes in it survive. */
void clr_spawn_bootstrap(clr_buf_t *out, const char *package, const char *entry);

/* The JSON of the CONFIG frame for worker `number`. */
void clr_spawn_config(clr_buf_t *out, const clr_pool_options_t *options, unsigned number);

/* Starts the process with link_fd and watch_fd (both borrowed) as its descriptors 3 and 4. The
 * handle must be closed whatever is returned. */
CLR_NODISCARD int clr_spawn_process(uv_loop_t *loop, uv_process_t *process,
                                    const clr_pool_options_t *options, int link_fd, int watch_fd,
                                    uv_exit_cb on_exit);

/* The same for the process that preloads the app (zygote.h), with its control socket as descriptor
 * 3. */
CLR_NODISCARD int clr_spawn_zygote(uv_loop_t *loop, uv_process_t *process,
                                   const clr_pool_options_t *options, int control_fd,
                                   uv_exit_cb on_exit);
