/* Large pieces of bodies that go through the arena: what is lent, and that all of it comes back. */
#include "gateway/loans.h"

#include "app_fixture.h"

#define END CLR_FRAME_END

enum { BODY = 1000000 };

static void setup(void)
{
    fixture_defaults();
    options.http.body_bytes = 64 << 20;
    fixture_open(false);
    clr_loans_open(&gw);
    EXPECT(clr_loans_fd(&gw) >= 0);
}

static clr_buf_t bytes_of(size_t n)
{
    clr_buf_t b = {0};
    char *to = clr_buf_reserve(&b, n);
    for (size_t i = 0; i < n; i++)
        to[i] = (char)('a' + i % 23);
    b.n = n;
    return b;
}

static int post(size_t length)
{
    char head[60];
    snprintf(head, sizeof(head), "Content-Length: %zu\r\n", length);
    return request("POST", "/", head, NULL);
}

/* What the worker was sent of one body. */
typedef struct upload {
    fake_t *f;
    uint64_t stream;
    clr_buf_t got;
    unsigned lent;
    unsigned copied;
    unsigned kept; /* pieces that the worker does not count at once */
    bool end;
} upload_t;

static void take_frame(upload_t *u, clr_frame_t frame)
{
    clr_reader_t r = clr_reader(frame.payload);
    clr_str_t piece;
    EXPECT_EQ(frame.stream, u->stream);
    if (frame.type == CLR_FRAME_HTTP_PIECE) {
        uint32_t at = clr_read_u32(&r), length = clr_read_u32(&r);
        EXPECT_EQ(clr_reader_done(&r), 0);
        piece = clr_arena_piece(u->f->arena, at, length);
        EXPECT_EQ(piece.n, length);
        u->lent++;
    } else {
        EXPECT_EQ(frame.type, CLR_FRAME_HTTP_BODY);
        piece = app_text(frame);
        u->copied++;
    }
    clr_buf_append_str(&u->got, piece);
    u->end = frame.flags & END;
    app_take(u->f, u->stream, (uint32_t)piece.n);
    if (frame.type == CLR_FRAME_HTTP_PIECE && u->kept > 0)
        u->kept--;
    else if (frame.type == CLR_FRAME_HTTP_PIECE)
        clr_page_count_copy(u->f->page);
}

static upload_t begin(fake_t *f, int fd, clr_str_t *body)
{
    size_t first = body->n < 200000 ? body->n : 200000;
    loopback_send(&loop, fd, clr_str(body->p, first));
    *body = clr_str_from(*body, first);
    asked_t a = app_taken(f);
    upload_t u = {.f = f, .stream = a.stream};
    clr_buf_append_str(&u.got, a.body);
    if (a.body.n > 0)
        app_take(f, a.stream, (uint32_t)a.body.n);
    return u;
}

/* The client sends all of it while the worker takes what comes. */
static void run(upload_t *u, int fd, clr_str_t body)
{
    while (!u->end) {
        ssize_t n = send(fd, body.p, body.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            body = clr_str_from(body, (size_t)n);
        take_frame(u, fake_frame(u->f));
    }
    EXPECT_EQ(body.n, 0);
}

static void finish(upload_t *u, int fd, const clr_buf_t *body)
{
    EXPECT_EQ(u->got.n, body->n);
    EXPECT(memcmp(u->got.p, body->p, body->n) == 0);
    app_start(u->f, u->stream, END, 200, NULL, "ok");
    expect_answer(fd, 200, "ok");
    clr_buf_deinit(&u->got);
}

TEST(loans_body_is_lent_and_comes_back)
{
    fake_t f;
    setup();
    app_open(&f, 1, 1000);
    EXPECT(f.arena != NULL);
    clr_buf_t body = bytes_of(BODY);
    clr_str_t rest = clr_buf_str(&body);
    int fd = post(BODY);
    upload_t u = begin(&f, fd, &rest);
    run(&u, fd, rest);
    EXPECT(u.lent > 0);
    finish(&u, fd, &body);
    EXPECT_EQ(clr_loans_count(&gw), 0);
    clr_buf_deinit(&body);
    app_teardown(&f);
}

TEST(loans_small_bodies_come_with_the_request)
{
    fake_t f;
    setup();
    app_open(&f, 1, 1000);
    clr_buf_t body = bytes_of(CLR_APP_GATHER_MAX);
    int fd = post(body.n);
    loopback_send(&loop, fd, clr_buf_str(&body));
    asked_t a = app_asked(&f);
    EXPECT_EQ(a.flags, END);
    EXPECT_STR(a.body, clr_buf_str(&body));
    app_start(&f, a.stream, END, 200, NULL, "ok");
    expect_answer(fd, 200, "ok");
    EXPECT_EQ(clr_loans_count(&gw), 0);
    clr_buf_deinit(&body);
    app_teardown(&f);
}

TEST(loans_chunks_are_lent_where_they_are_large)
{
    fake_t f;
    setup();
    app_open(&f, 1, 1000);
    clr_buf_t body = bytes_of(BODY), out = {0};
    for (size_t from = 0, i = 0; from < body.n; i++) {
        size_t n = i % 4 == 3 ? 100 : 60000;
        n = n < body.n - from ? n : body.n - from;
        clr_buf_printf(&out, "%zx\r\n", n);
        clr_buf_append(&out, body.p + from, n);
        clr_buf_printf(&out, "\r\n");
        from += n;
    }
    clr_buf_printf(&out, "0\r\n\r\n");
    clr_str_t rest = clr_buf_str(&out);
    int fd = request("POST", "/", "Transfer-Encoding: chunked\r\n", NULL);
    upload_t u = begin(&f, fd, &rest);
    run(&u, fd, rest);
    EXPECT(u.lent > 0 && u.copied > 0);
    finish(&u, fd, &body);
    EXPECT_EQ(clr_loans_count(&gw), 0);
    clr_buf_deinit(&out);
    clr_buf_deinit(&body);
    app_teardown(&f);
}

TEST(loans_worker_that_keeps_them_gets_copies)
{
    fake_t f, other;
    enum { LARGE = 24 << 20 };
    setup();
    app_open(&f, 1, 1000);
    clr_buf_t body = bytes_of(LARGE);
    clr_str_t rest = clr_buf_str(&body);
    int fd = post(LARGE);
    upload_t u = begin(&f, fd, &rest);
    u.kept = UINT32_MAX;
    run(&u, fd, rest);
    EXPECT(u.lent > 0 && u.copied > 0);
    EXPECT(clr_loans_count(&gw) > 0);
    finish(&u, fd, &body);
    app_open(&other, 2, 1000); /* what is left is its, too */
    clr_worker_stop(f.w, 1000);
    rest = clr_buf_str(&body);
    fd = post(LARGE);
    upload_t second = begin(&other, fd, &rest);
    run(&second, fd, rest);
    finish(&second, fd, &body);
    for (unsigned i = 0; i < u.lent; i++)
        clr_page_count_copy(f.page);
    EXPECT_EQ(clr_loans_count(&gw), 0);
    clr_buf_deinit(&body);
    fake_close(&other);
    app_teardown(&f);
}

TEST(loans_of_a_client_that_leaves_come_back_from_the_worker)
{
    fake_t f;
    setup();
    app_open(&f, 1, 1000);
    clr_buf_t body = bytes_of(BODY);
    clr_str_t rest = clr_buf_str(&body);
    int fd = post(BODY);
    upload_t u = begin(&f, fd, &rest);
    u.kept = UINT32_MAX;
    take_frame(&u, fake_frame(&f));
    close(fd);
    for (;;) {
        clr_frame_t frame = fake_frame(&f);
        if (frame.type == CLR_FRAME_HTTP_GONE)
            break;
        take_frame(&u, frame);
    }
    EXPECT_EQ(app_count(), 0);
    EXPECT_EQ(clr_loans_count(&gw), u.lent);
    for (unsigned i = 0; i < u.lent; i++)
        clr_page_count_copy(f.page);
    EXPECT_EQ(clr_loans_count(&gw), 0);
    clr_buf_deinit(&u.got);
    clr_buf_deinit(&body);
    app_teardown(&f);
}

TEST(loans_of_a_worker_that_dies_are_back)
{
    fake_t f, other;
    setup();
    app_open(&f, 1, 1000);
    clr_buf_t body = bytes_of(BODY);
    clr_str_t rest = clr_buf_str(&body);
    int fd = post(BODY);
    upload_t u = begin(&f, fd, &rest);
    u.kept = UINT32_MAX;
    take_frame(&u, fake_frame(&f));
    EXPECT(clr_loans_count(&gw) > 0);
    fake_close(&f);
    EXPECT_EQ(clr_loans_count(&gw), 0);
    expect_answer(fd, 502, NULL);
    clr_buf_deinit(&u.got);
    app_open(&other, 2, 1000);
    rest = clr_buf_str(&body);
    fd = post(BODY);
    upload_t second = begin(&other, fd, &rest);
    run(&second, fd, rest);
    finish(&second, fd, &body);
    EXPECT_EQ(clr_loans_count(&gw), 0);
    clr_buf_deinit(&body);
    app_teardown(&other);
}

TEST(loans_worker_that_counts_too_much_stays_alone_with_it)
{
    fake_t f;
    setup();
    app_open(&f, 1, 1000);
    for (unsigned i = 0; i < 100000; i++)
        clr_page_count_copy(f.page);
    clr_buf_t body = bytes_of(BODY);
    clr_str_t rest = clr_buf_str(&body);
    int fd = post(BODY);
    upload_t u = begin(&f, fd, &rest);
    run(&u, fd, rest);
    EXPECT_EQ(u.got.n, BODY); /* whatever it holds */
    EXPECT_EQ(clr_loans_count(&gw), 0);
    app_start(&f, u.stream, END, 200, NULL, "ok");
    expect_answer(fd, 200, "ok");
    clr_buf_deinit(&u.got);
    clr_buf_deinit(&body);
    app_teardown(&f);
}

enum { MANY = 12 };

/* The upload that the frame is about: one more, if it asks. */
static upload_t *upload_of(fake_t *f, upload_t uploads[MANY], unsigned *count, clr_frame_t frame)
{
    for (unsigned i = 0; i < *count; i++) {
        if (uploads[i].stream == frame.stream)
            return &uploads[i];
    }
    EXPECT(*count < MANY);
    upload_t *u = &uploads[(*count)++];
    *u = (upload_t){.f = f, .stream = frame.stream};
    return u;
}

static void take_any(fake_t *f, upload_t uploads[MANY], unsigned *count)
{
    clr_frame_t frame = fake_frame(f);
    upload_t *u = upload_of(f, uploads, count, frame);
    if (frame.type != CLR_FRAME_HTTP_REQUEST) {
        take_frame(u, frame);
        return;
    }
    clr_reader_t r = clr_reader(frame.payload);
    (void)clr_read_u32(&r);
    clr_str_t first = clr_read_str(&r);
    clr_buf_append_str(&u->got, first);
    clr_page_begin(f->page);
    fake_credit(f, 1);
    if (first.n > 0)
        app_take(f, u->stream, (uint32_t)first.n);
}

TEST(loans_many_uploads_at_once_leave_nothing_behind)
{
    fake_t f;
    setup();
    app_open(&f, 1, 1000);
    clr_buf_t body = bytes_of(300000);
    upload_t uploads[MANY];
    int fds[MANY];
    unsigned count = 0, ended = 0, lent = 0;
    for (int i = 0; i < MANY; i++) {
        fds[i] = post(body.n);
        loopback_send(&loop, fds[i], clr_buf_str(&body));
    }
    while (ended < MANY) {
        take_any(&f, uploads, &count);
        ended = 0;
        for (unsigned i = 0; i < count; i++)
            ended += uploads[i].end;
    }
    for (unsigned i = 0; i < MANY; i++) {
        EXPECT_EQ(uploads[i].got.n, body.n);
        EXPECT(memcmp(uploads[i].got.p, body.p, body.n) == 0);
        lent += uploads[i].lent;
        app_start(&f, uploads[i].stream, END, 200, NULL, "ok");
        clr_buf_deinit(&uploads[i].got);
    }
    for (int i = 0; i < MANY; i++)
        expect_answer(fds[i], 200, "ok");
    EXPECT(lent >= MANY);
    EXPECT_EQ(clr_loans_count(&gw), 0);
    clr_buf_deinit(&body);
    app_teardown(&f);
}

TEST_MAIN(T(loans_body_is_lent_and_comes_back), T(loans_small_bodies_come_with_the_request),
          T(loans_chunks_are_lent_where_they_are_large),
          T(loans_worker_that_keeps_them_gets_copies),
          T(loans_of_a_client_that_leaves_come_back_from_the_worker),
          T(loans_of_a_worker_that_dies_are_back),
          T(loans_worker_that_counts_too_much_stays_alone_with_it),
          T(loans_many_uploads_at_once_leave_nothing_behind))
