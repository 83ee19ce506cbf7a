/* outq.c: see outq.h. */
#include "net/outq.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"

enum { PIECE_CHUNK, PIECE_HEAP, PIECE_SHARED, PIECE_FILE };

/* One element of the queue. The pieces form a ring; q->last_ is the last one. */
typedef struct clr_piece {
    struct clr_piece *next;
    void *owner;   /* PIECE_HEAP, PIECE_SHARED */
    const char *p; /* the first byte not yet written */
    uint32_t len;
    uint32_t cap : 30; /* PIECE_CHUNK: of data[] */
    uint32_t kind : 2;
    char data[]; /* PIECE_CHUNK: the bytes; PIECE_FILE: clr_outq_file_t */
} clr_piece_t;

/* Sizes of a chunk, struct included: a small one first, since most turns queue one small message
 * per client, larger ones while the queue grows. */
#define CHUNK_FIRST  512u
#define CHUNK_SECOND 4096u
#define CHUNK_MAX    16384u

/* Shared bytes up to this are copied when the last chunk has room: cheaper than an iovec of their
 * own. */
#define COPY_SHARED_MAX 256u

_Static_assert(offsetof(clr_piece_t, data) % _Alignof(clr_outq_file_t) == 0, "a file lies in data");

static clr_piece_t *first_of(const clr_outq_t *q)
{
    return q->last_->next;
}

static clr_outq_file_t *file_of(clr_piece_t *piece)
{
    return (clr_outq_file_t *)(void *)piece->data;
}

static clr_piece_t *piece_new(unsigned kind, uint32_t cap)
{
    clr_piece_t *piece = clr_xmalloc(sizeof(*piece) + cap);
    piece->owner = NULL;
    piece->p = piece->data;
    piece->len = 0;
    piece->cap = cap & 0x3fffffff;
    piece->kind = kind & 3;
    return piece;
}

static void piece_free(clr_piece_t *piece)
{
    if (piece->kind == PIECE_SHARED)
        clr_shared_unref(piece->owner);
    else if (piece->kind == PIECE_HEAP)
        free(piece->owner);
    else if (piece->kind == PIECE_FILE)
        close(file_of(piece)->fd);
    free(piece);
}

static void push_front(clr_outq_t *q, clr_piece_t *piece)
{
    if (q->last_) {
        piece->next = q->last_->next;
        q->last_->next = piece;
    } else {
        piece->next = piece;
        q->last_ = piece;
    }
}

static void push_back(clr_outq_t *q, clr_piece_t *piece)
{
    push_front(q, piece);
    q->last_ = piece;
}

static void pop_first(clr_outq_t *q)
{
    clr_piece_t *first = first_of(q);
    if (first == q->last_)
        q->last_ = NULL;
    else
        q->last_->next = first->next;
    piece_free(first);
}

static uint32_t room(const clr_piece_t *piece)
{
    if (piece->kind != PIECE_CHUNK)
        return 0;
    return piece->cap - (uint32_t)(piece->p - piece->data) - piece->len;
}

char *clr_outq_reserve(clr_outq_t *q, size_t n)
{
    CLR_ASSERT(n < 1u << 30);
    CLR_DCHECK(!q->last_ || q->last_->next);
    clr_piece_t *piece = q->last_;
    if (!piece || room(piece) < n) {
        uint32_t size = CHUNK_FIRST;
        if (piece)
            size =
                piece->kind == PIECE_CHUNK && piece->cap <= CHUNK_FIRST ? CHUNK_SECOND : CHUNK_MAX;
        uint32_t cap = size - (uint32_t)sizeof(clr_piece_t);
        piece = piece_new(PIECE_CHUNK, n > cap ? (uint32_t)n : cap);
        push_back(q, piece);
    }
    return (char *)piece->p + piece->len;
}

void clr_outq_commit(clr_outq_t *q, size_t used)
{
    CLR_ASSERT(q->last_ && room(q->last_) >= used);
    q->last_->len += (uint32_t)used;
}

char *clr_outq_reopen(clr_outq_t *q, size_t n, size_t more)
{
    clr_piece_t *piece = q->last_;
    if (!piece || piece->kind != PIECE_CHUNK || piece->len < n || room(piece) < more)
        return NULL;
    return (char *)piece->p + piece->len - n;
}

void clr_outq_push_shared(clr_outq_t *q, clr_shared_t *buf, uint32_t off, uint32_t len)
{
    if (len <= COPY_SHARED_MAX && q->last_ && room(q->last_) >= len) {
        memcpy(clr_outq_reserve(q, len), buf->data + off, len);
        clr_outq_commit(q, len);
        return;
    }
    clr_piece_t *piece = piece_new(PIECE_SHARED, 0);
    piece->owner = clr_shared_ref(buf);
    piece->p = buf->data + off;
    piece->len = len;
    push_back(q, piece);
}

void clr_outq_push_heap(clr_outq_t *q, char *memory, size_t off, uint32_t len)
{
    clr_piece_t *piece = piece_new(PIECE_HEAP, 0);
    piece->owner = memory;
    piece->p = memory + off;
    piece->len = len;
    push_back(q, piece);
}

void clr_outq_push_file(clr_outq_t *q, const clr_outq_file_t *file)
{
    CLR_ASSERT(file->left > 0);
    clr_piece_t *piece = piece_new(PIECE_FILE, sizeof(*file));
    *file_of(piece) = *file;
    push_back(q, piece);
}

/* A chunk that was reserved and not used. */
static bool is_spent(const clr_piece_t *piece)
{
    return piece->len == 0 && piece->kind != PIECE_FILE;
}

clr_outq_file_t *clr_outq_file(clr_outq_t *q)
{
    while (q->last_ && is_spent(first_of(q)))
        pop_first(q);
    return q->last_ && first_of(q)->kind == PIECE_FILE ? file_of(first_of(q)) : NULL;
}

void clr_outq_file_sent(clr_outq_t *q, size_t n)
{
    clr_outq_file_t *file = clr_outq_file(q);
    CLR_ASSERT(file && n <= file->left);
    file->at += n;
    file->left -= n;
    if (file->left == 0)
        pop_first(q);
}

ssize_t clr_outq_read_file(clr_outq_t *q, size_t most)
{
    clr_outq_file_t *file = clr_outq_file(q);
    size_t want = file->left < most ? (size_t)file->left : most;
    char *bytes = clr_xmalloc(want);
    ssize_t n;
    do {
        n = pread(file->fd, bytes, want, (off_t)file->at);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        int err = errno;
        free(bytes);
        return n == 0 ? 0 : -err;
    }
    clr_outq_file_sent(q, (size_t)n);
    clr_piece_t *piece = piece_new(PIECE_HEAP, 0);
    piece->owner = bytes;
    piece->p = bytes;
    piece->len = (uint32_t)n;
    push_front(q, piece);
    return n;
}

unsigned clr_outq_gather(const clr_outq_t *q, uv_buf_t iov[CLR_OUTQ_GATHER], size_t *total)
{
    unsigned count = 0;
    *total = 0;
    for (clr_piece_t *piece = first_of(q); piece->kind != PIECE_FILE && count < CLR_OUTQ_GATHER;
         piece = piece->next) {
        iov[count++] = uv_buf_init((char *)piece->p, piece->len);
        *total += piece->len;
        if (piece == q->last_)
            break;
    }
    return count;
}

void clr_outq_consume(clr_outq_t *q, size_t n)
{
    while (q->last_) {
        clr_piece_t *first = first_of(q);
        if (first->kind == PIECE_FILE)
            break;
        if (n < first->len) {
            first->p += n;
            first->len -= (uint32_t)n;
            return;
        }
        n -= first->len;
        pop_first(q);
    }
    CLR_ASSERT(n == 0);
}

void clr_outq_discard(clr_outq_t *q)
{
    while (q->last_)
        pop_first(q);
}
