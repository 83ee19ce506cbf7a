/* exchange_request.c: the request of an exchange as others need it: where it comes from, and its
 * head as the link carries it (http_conn.h).
 */
#include "base/assert.h"
#include "base/mem.h"
#include "gateway/http_conn_internal.h"

/* Asking the kernel costs two calls: one answer serves all requests of a connection. */
typedef struct clr_http_addresses {
    char peer[46];
    char local[46];
    uint16_t peer_port;
    uint16_t local_port;
} addresses_t;

static const addresses_t *addresses(const clr_exchange_t *x)
{
    clr_http_conn_t *conn = x->conn;
    if (!conn->addresses) {
        conn->addresses = clr_xmalloc(sizeof(*conn->addresses));
        clr_stream_peer(conn->stream, conn->addresses->peer, &conn->addresses->peer_port);
        clr_stream_local(conn->stream, conn->addresses->local, &conn->addresses->local_port);
    }
    return conn->addresses;
}

clr_client_t clr_exchange_client(const clr_exchange_t *x)
{
    const addresses_t *a = addresses(x);
    clr_client_t client = {.host = clr_str_c(a->peer),
                           .port = a->peer_port,
                           .secure = clr_stream_is_secure(x->conn->stream)};
    if (x->gw->options.proxy && x->head)
        clr_proxy_apply(x->gw->options.proxy, x->head, &client);
    return client;
}

void clr_exchange_encode_request(const clr_exchange_t *x, uint8_t transport, clr_buf_t *out)
{
    const clr_http_head_t *h = x->head;
    const addresses_t *a = addresses(x);
    clr_client_t client = clr_exchange_client(x);
    clr_request_head_t request = {
        .transport = transport,
        .secure = client.secure,
        .http_minor = h->minor,
        .method = h->method,
        .target = h->target,
        .peer_host = client.host,
        .peer_port = client.port,
        .local_host = clr_str_c(a->local),
        .local_port = a->local_port,
    };
    clr_write_request(out, &request);

    /* A header is a pair of views, so an array of them is the flat list that the link carries. */
    _Static_assert(sizeof(clr_http_header_t) == 2 * sizeof(clr_str_t), "a pair of views");
    CLR_ASSERT(h->header_count <= UINT16_MAX / 2);
    const clr_str_t *flat = h->header_count > 0 ? &h->headers[0].name : NULL;
    clr_write_strs(out, flat, (uint16_t)(2 * h->header_count));
}
