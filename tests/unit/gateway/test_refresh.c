/* New code for workers that go on: who is asked, what is reported, and that a worker cannot say
 * anything else. */
#include "gateway/refresh.h"

#include "base/log.h"
#include "eio_fixture.h"

static fake_t worker, other;
static ws_t client;
static char sources[256];
static uint64_t sources_since;

static void on_sources(clr_str_t directory, uint64_t since_ns, void *ctx)
{
    EXPECT(ctx == &gw);
    snprintf(sources, sizeof(sources), "%.*s", CLR_STR_ARG(directory));
    sources_since = since_ns;
}

static const clr_refresh_ops_t ops = {on_sources};

static void setup(void)
{
    clr_log_configure(CLR_LOG_OFF, false);
    fixture_open(false);
    clr_refresh_open(&gw, &ops, &gw);
    fake_open(&worker, 1, SOCKETIO_SERVER, 100000);
    ws_join(&client, &worker, "/", NULL);
    fake_open(&other, 2, SOCKETIO_SERVER, 100000);
}

static void teardown(void)
{
    ws_close(&client);
    if (!worker.gone)
        fake_close(&worker);
    if (!other.gone)
        fake_close(&other);
    clr_refresh_close(&gw);
    fixture_close();
}

static void begin(const char *file)
{
    clr_str_t files[] = {clr_str_c(file)};
    clr_refresh_begin(&gw, files, 1, 1);
}

static void expect_asked(fake_t *f, uint32_t number)
{
    clr_frame_t frame = fake_expect(f, CLR_FRAME_REFRESH);
    clr_reader_t r = clr_reader(frame.payload);
    EXPECT_EQ(clr_read_u32(&r), number);
    EXPECT_EQ(clr_reader_done(&r), 0);
}

/* app.py was saved, and both are asked. */
static void begin_at_both(uint32_t number)
{
    begin("app.py");
    expect_asked(&worker, number);
    expect_asked(&other, number);
}

static void answer(fake_t *f, uint32_t number, bool ok, const char *file, uint32_t line,
                   const char *text)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_REFRESHED, 0, 0);
    clr_buf_append_le(&f->out, number, 4);
    clr_buf_append_le(&f->out, ok, 1);
    clr_write_str(&f->out, clr_str_c(file));
    clr_buf_append_le(&f->out, line, 4);
    clr_write_str(&f->out, clr_str_c(text));
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

static void succeed(fake_t *f, uint32_t number)
{
    answer(f, number, true, "", 0, "");
}

#define DONE(file) "42[\"clrun:refresh\",{\"ok\":true,\"files\":[\"" file "\"]}]"

TEST(clients_hear_of_it_when_every_worker_is_done)
{
    setup();
    begin_at_both(1);
    succeed(&worker, 1);
    ws_expect_nothing(&client);
    succeed(&other, 1);
    ws_expect(&client, DONE("app.py"));
    ws_expect_nothing(&client);
    teardown();
}

TEST(what_is_wrong_is_told_once)
{
    setup();
    begin_at_both(1);
    answer(&other, 1, false, "/x/a\"b.py", 7, "line\n  ^");
    ws_expect(&client, "42[\"clrun:refresh\",{\"ok\":false,\"file\":\"/x/a\\\"b.py\",\"line\":7,"
                       "\"text\":\"line\\n  ^\"}]");
    answer(&worker, 1, false, "/x/a.py", 7, "line\n  ^");
    ws_expect_nothing(&client);
    begin_at_both(2);
    succeed(&worker, 2);
    succeed(&other, 2);
    ws_expect(&client, DONE("app.py"));
    teardown();
}

TEST(a_file_that_was_half_saved_is_no_failure)
{
    setup();
    begin_at_both(1);
    answer(&worker, 1, false, "app.py", 1, "empty");
    clr_refresh_expect(&gw); /* before the failure was told */
    answer(&other, 1, false, "app.py", 1, "empty");
    begin_at_both(2);
    clr_refresh_expect(&gw); /* before it came */
    answer(&worker, 2, false, "app.py", 1, "half");
    succeed(&other, 2);
    begin_at_both(3);
    succeed(&worker, 3);
    succeed(&other, 3);
    ws_expect(&client, DONE("app.py"));
    ws_expect_nothing(&client);
    teardown();
}

TEST(what_is_saved_meanwhile_follows_and_alone_counts)
{
    setup();
    begin("one.py");
    expect_asked(&worker, 1);
    expect_asked(&other, 1);
    begin("two.py");
    begin("three.py");
    fake_expect_nothing(&worker);
    answer(&worker, 1, false, "one.py", 1, "half saved");
    expect_asked(&worker, 3);
    succeed(&worker, 3);
    ws_expect_nothing(&client);
    succeed(&other, 1);
    expect_asked(&other, 3);
    succeed(&other, 3);
    ws_expect(&client, DONE("three.py"));
    teardown();
}

TEST(nobody_waits_for_a_worker_that_died)
{
    setup();
    begin_at_both(1);
    succeed(&worker, 1);
    ws_expect_nothing(&client);
    fake_close(&other);
    ws_expect(&client, DONE("app.py"));
    teardown();
}

TEST(a_worker_that_loads_is_asked_too)
{
    fake_t third;
    setup();
    fake_attach(&third, 3);
    begin("app.py");
    fake_expect_nothing(&third); /* it has not begun to load */
    expect_asked(&worker, 1);
    expect_asked(&other, 1);
    succeed(&worker, 1);
    succeed(&other, 1);
    ws_expect(&client, DONE("app.py"));
    fake_hello(&third);
    begin("app.py");
    expect_asked(&third, 2);
    succeed(&third, 2);
    fake_close(&third);
    teardown();
}

TEST(new_workers_may_do_it_instead)
{
    clr_str_t files[] = {CLR_STR("app.py")};
    setup();
    clr_refresh_begin_elsewhere(&gw, files, 1, 1);
    fake_expect_nothing(&worker);
    clr_refresh_conclude(&gw, true, CLR_STR_EMPTY);
    ws_expect(&client, DONE("app.py"));
    clr_refresh_conclude(&gw, false, CLR_STR("why"));
    ws_expect(&client,
              "42[\"clrun:refresh\",{\"ok\":false,\"file\":\"\",\"line\":0,\"text\":\"why\"}]");
    teardown();
}

static void send_sources(fake_t *f, clr_str_t directory)
{
    size_t at = clr_frame_begin(&f->out, CLR_FRAME_SOURCES, 0, 0);
    clr_buf_append_le(&f->out, 5000, 8);
    clr_write_str(&f->out, directory);
    clr_frame_end(&f->out, at);
    fake_flush(f);
}

TEST(sources_are_passed_on)
{
    setup();
    send_sources(&worker, CLR_STR("/srv/app"));
    LOOPBACK_UNTIL(&loop, -1, sources[0]);
    EXPECT_STR_C(clr_str_c(sources), "/srv/app");
    EXPECT(sources_since == 5000);
    teardown();
}

TEST(a_worker_that_says_anything_else_is_cut_off)
{
    static char long_text[70000];
    memset(long_text, 'x', sizeof(long_text) - 1);
    setup();
    succeed(&other, 1); /* nobody asked */
    fake_wait_gone(&other);
    fake_close(&other);
    begin("app.py");
    expect_asked(&worker, 1);
    answer(&worker, 1, false, "", 0, long_text);
    fake_wait_gone(&worker);
    fake_close(&worker);
    static const struct {
        const char *p;
        size_t n;
    } bad[] = {{"", 0}, {"relative", 8}, {"/a\0b", 4}, {long_text, 5000}};
    for (size_t i = 0; i < clr_array_len(bad); i++) {
        fake_t f;
        fake_attach(&f, 4);
        fake_hello(&f);
        send_sources(&f, clr_str(bad[i].p, bad[i].n));
        fake_wait_gone(&f);
        fake_close(&f);
    }
    EXPECT(!sources[0]);
    teardown();
}

TEST(without_watching_the_frames_are_an_error)
{
    fixture_open(false);
    fake_open(&worker, 1, SOCKETIO_SERVER, 100000);
    send_sources(&worker, CLR_STR("/srv"));
    fake_wait_gone(&worker);
    fake_close(&worker);
    fixture_close();
}

TEST_MAIN(T(clients_hear_of_it_when_every_worker_is_done), T(what_is_wrong_is_told_once),
          T(a_file_that_was_half_saved_is_no_failure),
          T(what_is_saved_meanwhile_follows_and_alone_counts),
          T(nobody_waits_for_a_worker_that_died), T(a_worker_that_loads_is_asked_too),
          T(new_workers_may_do_it_instead), T(sources_are_passed_on),
          T(a_worker_that_says_anything_else_is_cut_off),
          T(without_watching_the_frames_are_an_error))
