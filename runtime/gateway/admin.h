/* admin.h: the address for operators: /healthz, /readyz and /metrics, on a listener of its own, so
 * that clients cannot reach them.
 *
 * It answers from the start, while no worker is ready, and until the last client is gone. It is a
 * gateway of its own with nothing but these three routes: requests and connections here count
 * nowhere.
 *
 * Threads:  the loop's.
 * Lifetime: clr_admin_open() … clr_admin_close() … clr_admin_free() once clr_admin_is_closed().
 */
#pragma once

#include "base/error.h"
#include "gateway/gateway.h"
#include "gateway/metrics.h"

typedef struct clr_admin clr_admin_t;

/* The worker of that index, from 0 on; false if there is none. */
typedef bool (*clr_admin_worker_cb)(size_t index, clr_worker_status_t *out, void *ctx);

/* address: "HOST:PORT", "[::1]:PORT", "PORT" (of 127.0.0.1) or "unix:PATH". Borrows gw and ctx
 * until closed. If it fails nothing is to be closed. */
CLR_NODISCARD int clr_admin_open(clr_admin_t **out, clr_gateway_t *gw, const char *address,
                                 clr_admin_worker_cb worker, void *ctx, clr_error_t *err);

/* Appends "http://127.0.0.1:9000" or "unix:/run/clrun-admin.sock". */
void clr_admin_url(const clr_admin_t *a, clr_buf_t *out);

/* Drops all. Harmless when called again, and with NULL. */
void clr_admin_close(clr_admin_t *a);
bool clr_admin_is_closed(const clr_admin_t *a);

/* Harmless with NULL. */
void clr_admin_free(clr_admin_t *a);
