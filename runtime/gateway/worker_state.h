/* worker_state.h: what the app keeps with its clients (save_session), and the frames of workers
 * about it. The bytes are the workers' own; the gateway only keeps them, so that they outlive the
 * worker and any worker may ask.
 *
 * Threads: the loop's.
 */
#pragma once

#include "gateway/dispatch.h"

/* Of one client in one namespace. */
#define CLR_SAVED_MAX (1u << 20)

/* SAVE, STATE_ASK and STATE_SAVE. Negative refuses the frame. */
CLR_NODISCARD int clr_worker_state_frame(clr_gateway_t *gw, clr_worker_t *w,
                                         const clr_frame_t *frame);
