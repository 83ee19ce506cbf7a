/* load_http.h: the scenario `http`: keep-alive connections, each with one request at a time, and
 * the time from sending it to the last byte of its response.
 *
 * Any method, path and size of request body; responses with a length or in chunks. A response that
 * is not 2xx, or a connection that is closed, ends the program.
 *
 * Threads: one.
 */
#pragma once

#include "load_scenarios.h"

/* Measures and prints one line of JSON. */
void load_http_run(const load_options_t *options);
