/* notify.h: tells the service manager how we are (the protocol of systemd's sd_notify): datagrams
 * to the socket that NOTIFY_SOCKET names, and every half WATCHDOG_USEC a sign of life from the
 * loop.
 *
 * Without NOTIFY_SOCKET all calls do nothing. A change of state that finds the manager's queue full
 * is sent again a little later; nobody waits for it.
 *
 * Threads:  the loop's.
 * Lifetime: clr_notify_open() … clr_notify_close().
 */
#pragma once

#include "net/loop.h"

typedef struct clr_notify clr_notify_t;

/* From the environment, out of which it takes the variables: workers must not speak for us. Returns
 * owned, or NULL when nobody wants to know. Borrows loop. */
clr_notify_t *clr_notify_open(clr_loop_t *loop);

/* NULL is harmless, here and below. */
void clr_notify_close(clr_notify_t *n);

/* Serves; `status` is a line for people. Also after clr_notify_reloading(). */
void clr_notify_ready(clr_notify_t *n, const char *status);

void clr_notify_reloading(clr_notify_t *n, const char *status);

/* Ends within that time. */
void clr_notify_stopping(clr_notify_t *n, uint64_t within_ms);
