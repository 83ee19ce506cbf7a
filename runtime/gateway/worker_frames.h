/* worker_frames.h: what a worker says about sockets and sessions, decoded, checked and done. Frames
 * about the worker itself are the dispatcher's.
 *
 * Threads: the loop's.
 */
#pragma once

#include "gateway/dispatch.h"

/* 0, or negative for a frame that no sound worker sends: its link then goes down. A frame for a
 * socket that is gone meanwhile is none of those. */
CLR_NODISCARD int clr_worker_frame(clr_gateway_t *gw, clr_worker_t *w, const clr_frame_t *frame);
