/* outbox.c: see outbox.h. */
#include "gateway/outbox.h"

#include "base/assert.h"

/* More than any worker grants; a number above it is a mistake of the worker's. */
#define CREDIT_MAX (1u << 24)

/* Memory that an empty outbox keeps for the next batch. */
#define KEEP (64u << 10)

/* How the frame being written goes. */
enum {
    WAY_DIRECT, /* out, and forgotten */
    WAY_MARKED, /* out; its head is kept */
    WAY_KEPT,   /* out; all of it is kept */
    WAY_WAITS,
};

void clr_outbox_init(clr_outbox_t *o, clr_page_t *page)
{
    *o = (clr_outbox_t){.page = page};
}

void clr_outbox_deinit(clr_outbox_t *o)
{
    clr_buf_deinit(&o->frames_);
    clr_page_drop(o->page);
    o->page = NULL;
}

/* ---- out ---- */

/* What a client sent: another worker may have it. */
static bool is_worth_keeping(uint8_t type)
{
    return type == CLR_FRAME_SIO_EVENT || type == CLR_FRAME_EIO_MESSAGE;
}

static bool may_send(const clr_outbox_t *o, size_t sent)
{
    return o->credit_ > 0 && sent - o->from_ < CLR_OUTBOX_KEPT;
}

clr_buf_t *clr_outbox_begin(clr_outbox_t *o, uint8_t type, uint8_t flags, uint64_t stream)
{
    bool costs = clr_frame_is_creditable(type);
    if ((clr_outbox_waiting(o) > 0 && !clr_frame_passes(type)) || (costs && !may_send(o, o->sent_)))
        o->way_ = WAY_WAITS;
    else if (!costs)
        o->way_ = WAY_DIRECT;
    else
        o->way_ = is_worth_keeping(type) ? WAY_KEPT : WAY_MARKED;
    o->credit_ -= o->way_ == WAY_KEPT || o->way_ == WAY_MARKED;
    clr_buf_t *out = o->way_ >= WAY_KEPT ? &o->frames_ : clr_link_out(o->link);
    o->begun_ = clr_frame_begin(out, type, flags, stream);
    return out;
}

/* The head of the frame that went out, as of one without payload. */
static void mark(clr_outbox_t *o, const clr_buf_t *out)
{
    char *head = clr_buf_reserve(&o->frames_, CLR_FRAME_HEAD_SIZE);
    memcpy(head, out->p + o->begun_, CLR_FRAME_HEAD_SIZE);
    memset(head, 0, sizeof(uint32_t));
    o->frames_.n += CLR_FRAME_HEAD_SIZE;
    o->sent_ = o->frames_.n;
}

void clr_outbox_end(clr_outbox_t *o)
{
    clr_buf_t *out = o->way_ >= WAY_KEPT ? &o->frames_ : clr_link_out(o->link);
    clr_frame_end(out, o->begun_);
    if (o->way_ == WAY_MARKED) {
        mark(o, out);
    } else if (o->way_ == WAY_KEPT) {
        clr_buf_append(clr_link_out(o->link), out->p + o->begun_, out->n - o->begun_);
        o->sent_ = out->n;
    }
}

/* ---- credit ---- */

static size_t decode_at(const clr_outbox_t *o, size_t at, clr_frame_t *frame)
{
    int64_t size = clr_frame_decode(clr_str_from(clr_buf_str(&o->frames_), at), 'G', frame, NULL);
    CLR_ASSERT(size > 0); /* we wrote it */
    return (size_t)size;
}

/* So many creditable frames leave the front, and what stands between them. */
static void let_go(clr_outbox_t *o, uint64_t count)
{
    while (o->from_ < o->sent_) {
        clr_frame_t frame;
        size_t size = decode_at(o, o->from_, &frame);
        bool costs = clr_frame_is_creditable(frame.type);
        if (costs && count == 0)
            return;
        count -= costs;
        o->let_go_ += costs;
        o->from_ += size;
    }
}

static void send_waiting(clr_outbox_t *o)
{
    size_t to = o->sent_;
    while (to < o->frames_.n) {
        clr_frame_t frame;
        size_t size = decode_at(o, to, &frame);
        bool costs = clr_frame_is_creditable(frame.type);
        if (costs && !may_send(o, to))
            break;
        o->credit_ -= costs;
        to += size;
    }
    if (to > o->sent_)
        clr_buf_append(clr_link_out(o->link), o->frames_.p + o->sent_, to - o->sent_);
    o->sent_ = to;
}

static void tidy(clr_outbox_t *o)
{
    if (o->from_ == o->frames_.n) {
        clr_buf_clear(&o->frames_);
        if (o->frames_.cap > KEEP)
            clr_buf_deinit(&o->frames_);
    } else if (o->from_ > o->frames_.n / 2) {
        clr_buf_consume(&o->frames_, o->from_);
    } else {
        return;
    }
    o->sent_ -= o->from_;
    o->from_ = 0;
}

int clr_outbox_credit(clr_outbox_t *o, uint32_t count)
{
    if (count > CREDIT_MAX - o->credit_)
        return CLR_EPROTO;
    if (o->granted_)
        let_go(o, count);
    o->granted_ = true;
    o->credit_ += count;
    send_waiting(o);
    tidy(o);
    return 0;
}

/* ---- the end ---- */

void clr_outbox_drop_begun(clr_outbox_t *o)
{
    uint64_t begun = clr_page_begun(o->page);
    if (begun > o->let_go_)
        let_go(o, begun - o->let_go_);
}

bool clr_outbox_pop(clr_outbox_t *o, clr_frame_t *frame)
{
    if (o->from_ == o->frames_.n)
        return false;
    o->from_ += decode_at(o, o->from_, frame);
    if (o->sent_ < o->from_)
        o->sent_ = o->from_;
    return true;
}
