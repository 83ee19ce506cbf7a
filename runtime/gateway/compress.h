/* compress.h: gzip of response bodies (--gzip): which ones, what changes in their headers, and the
 * bytes. exchange.c puts the body through here where the handler said that it may be
 * (clr_exchange_t.compressible); nobody else calls these.
 *
 * A response is compressed when its type is one that becomes smaller, it is not small, nothing in
 * its headers forbids it, and the client takes gzip. Its length is then not known, so that it goes
 * out in chunks; its ETag becomes a weak one, since its bytes may differ from one time to the next.
 *
 * Threads:  the loop's.
 * Lifetime: from begin to clr_compress_end(), which may be called more than once.
 */
#pragma once

#include "gateway/http_conn.h"

/* Looks at a response that begins. Where something is to be changed, *headers becomes a view of
 * other lines, valid for the call of the caller; *length becomes UINT64_MAX when it will be
 * compressed. */
void clr_compress_begin(clr_exchange_t *x, int status, clr_str_t *headers, uint64_t *length);

/* The bytes to send for the next piece of the body (which is counted in x->sent_ already), and for
 * its end. Borrowed until the next call; may be empty. */
clr_str_t clr_compress_piece(clr_exchange_t *x, clr_str_t piece);
clr_str_t clr_compress_rest(clr_exchange_t *x);

/* Bytes of the body so far, as they are sent: of any response, compressed or not. */
uint64_t clr_compress_written(const clr_exchange_t *x);

/* clr_exchange_send_file() of a response that is compressed. */
void clr_compress_send_file(clr_exchange_t *x, int fd, uint64_t offset, uint64_t count,
                            void (*sent)(clr_exchange_t *x));

/* Gives everything back, if there is anything. */
void clr_compress_end(clr_exchange_t *x);
