/* app_body.c: a request's body on its way to the worker. */
#include "base/assert.h"
#include "gateway/app_internal.h"
#include "gateway/loans.h"

static void send_piece(clr_app_request_t *r, clr_str_t piece, bool end)
{
    uint32_t at;
    uint8_t flags = end ? CLR_FRAME_END : 0;
    if (clr_loans_lend(r->worker, piece, &at)) {
        clr_buf_t *out = clr_worker_begin(r->worker, CLR_FRAME_HTTP_PIECE, flags, r->handle);
        clr_buf_append_le(out, at, 4);
        clr_buf_append_le(out, piece.n, 4);
    } else {
        clr_write_str(clr_worker_begin(r->worker, CLR_FRAME_HTTP_BODY, flags, r->handle), piece);
    }
    clr_worker_end(r->worker);
    r->untaken += (uint32_t)piece.n;
    r->end_sent = end;
    r->split = 1;
}

void clr_app_drop_kept(clr_app_request_t *r)
{
    if (!r->kept)
        return;
    r->kept = 0;
    r->split = 1;
    clr_buf_clear(&r->body);
}

static bool is_last(const clr_exchange_t *x)
{
    return !x->head->chunked && x->received_ == x->head->content_length;
}

void clr_app_send_more(clr_app_request_t *r, clr_str_t piece)
{
    send_piece(r, piece, is_last(r->x));
}

static bool has_worker(const clr_app_request_t *r)
{
    return r->worker != NULL;
}

/* More may be sent to the worker now. One that has a request that was parked says so with
 * HTTP_TAKE: more than CLR_APP_GATHER_MAX of the body came with it, or it has to ask for 100
 * Continue. */
static bool is_window_open(const clr_app_request_t *r)
{
    return has_worker(r) && !r->parked && r->untaken < CLR_REQUEST_WINDOW;
}

void clr_app_on_body(clr_exchange_t *x, clr_str_t piece)
{
    clr_app_request_t *r = clr_app_of(x);
    if (r->state == CLR_APP_GATHERING && r->body.n + piece.n > CLR_APP_GATHER_MAX) {
        clr_app_place(r, piece);
        return;
    }
    if (!has_worker(r)) {
        clr_buf_append_str(&r->body, piece);
        clr_app_update_reading(r);
        return;
    }
    clr_app_drop_kept(r);
    if (r->body.n == 0 && is_window_open(r))
        clr_app_send_more(r, piece);
    else
        clr_buf_append_str(&r->body, piece);
    clr_app_update_reading(r);
}

/* Only the end is left to be sent. */
static void send_end(clr_app_request_t *r)
{
    if (!r->end_sent && is_window_open(r))
        send_piece(r, CLR_STR_EMPTY, true);
}

void clr_app_on_end(clr_exchange_t *x)
{
    clr_app_request_t *r = clr_app_of(x);
    r->complete = 1;
    if (r->state == CLR_APP_GATHERING) {
        clr_app_place(r, CLR_STR_EMPTY);
        return;
    }
    if (r->kept || r->body.n == 0)
        send_end(r);
    clr_app_update_reading(r);
}

/* What waited for the window: at most what one read brought, and so one piece. */
static void flush_body(clr_app_request_t *r)
{
    if (!is_window_open(r))
        return;
    if (r->body.n > 0)
        send_piece(r, clr_buf_str(&r->body), r->complete);
    else if (r->complete)
        send_end(r);
    clr_buf_clear(&r->body);
}

int clr_app_take(clr_app_request_t *r, uint32_t bytes)
{
    if (bytes > r->untaken)
        return CLR_EPROTO;
    r->untaken -= bytes;
    bool was_parked = r->parked;
    r->parked = 0;
    if (r->continue_due && r->x) {
        r->continue_due = 0;
        clr_exchange_continue(r->x);
    }
    if (bytes == 0 && !was_parked)
        return 0;
    if (r->state >= CLR_APP_OPEN) {
        clr_app_flush_messages(r);
        return 0;
    }
    clr_app_drop_kept(r);
    flush_body(r);
    clr_app_update_reading(r);
    return 0;
}

static bool must_pause(const clr_app_request_t *r)
{
    if (!has_worker(r))
        return r->state == CLR_APP_WAITING && r->body.n > CLR_APP_GATHER_MAX;
    return (r->body.n > 0 && !r->kept) || !is_window_open(r) || clr_worker_is_congested(r->worker);
}

void clr_app_update_reading(clr_app_request_t *r)
{
    if (r->ws)
        clr_ws_pause(r->ws, must_pause(r));
    else if (r->x) /* all is there: the client's end is to be seen */
        clr_exchange_pause(r->x, !r->complete && must_pause(r));
}
