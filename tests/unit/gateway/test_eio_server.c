/* Which servers there are, and from when on what a worker says of them counts. */
#include "gateway/eio_server.h"

#include "base/log.h"
#include "eio_fixture.h"

#define SERVER(kind, path, ping)                                                                   \
    "{\"kind\":\"" kind "\",\"path\":\"" path "\",\"ping_interval_ms\":" ping "}"

static fake_t old, new;

static uint64_t interval_of(uint16_t number)
{
    const clr_eio_server_t *server = clr_eio_server_find(&gw, number);
    return server ? server->config.ping_interval_ms : 0;
}

/* Frames are read by the loop. */
static void turn(void)
{
    for (int i = 0; i < 20; i++)
        loopback_turn(&loop);
}

/* One that serves, and one of a deploy that stands by. */
static void setup(void)
{
    clr_log_configure(CLR_LOG_OFF, false);
    fixture_open(false);
    fake_open(&old, 1, SERVER("socketio", "/s", "1000"), 100);
    fake_attach(&new, 1);
    clr_worker_stand_by(new.w);
    fake_hello(&new);
}

static void teardown(void)
{
    fake_close(&old);
    fake_close(&new);
    fixture_close();
}

static void load(void)
{
    fake_simple(&new, CLR_FRAME_READY, 0);
    fake_credit(&new, 100);
    LOOPBACK_UNTIL(&loop, -1, new.is_ready);
}

TEST(new_settings_count_when_the_new_worker_serves)
{
    setup();
    fake_server(&new, 0, SERVER("socketio", "/s", "2000"));
    fake_server(&new, 1, SERVER("engineio", "/e", "3000"));
    load();
    EXPECT_EQ(clr_worker_state(new.w), CLR_WORKER_STANDBY);
    EXPECT_EQ(interval_of(0), 1000);
    EXPECT(!clr_eio_server_find(&gw, 1));
    clr_worker_enlist(new.w);
    EXPECT_EQ(clr_worker_state(new.w), CLR_WORKER_READY);
    EXPECT_EQ(interval_of(0), 2000);
    EXPECT_EQ(interval_of(1), 3000);
    teardown();
}

TEST(a_worker_that_does_not_come_to_serve_changes_nothing)
{
    setup();
    fake_server(&new, 0, SERVER("socketio", "/s", "2000"));
    fake_server(&new, 1, SERVER("socketio", "/t", "2000"));
    turn();
    clr_worker_detach(new.w);
    fake_wait_gone(&new);
    EXPECT_EQ(interval_of(0), 1000);
    EXPECT(!clr_eio_server_find(&gw, 1));
    expect_answer(request("GET", "/t/" POLL_URL, "", NULL), 404, NULL);
    teardown();
}

TEST(what_changes_while_it_loads_replaces_what_was_offered)
{
    setup();
    fake_server(&new, 0, SERVER("socketio", "/s", "2000"));
    fake_server(&new, 0, SERVER("socketio", "/s", "4000"));
    load();
    fake_server(&new, 0, SERVER("socketio", "/s", "5000"));
    turn();
    EXPECT_EQ(interval_of(0), 1000);
    clr_worker_enlist(new.w);
    EXPECT_EQ(interval_of(0), 5000);
    fake_server(&new, 0, SERVER("socketio", "/s", "6000"));
    LOOPBACK_UNTIL(&loop, -1, interval_of(0) == 6000);
    teardown();
}

TEST(old_code_has_no_say_any_more)
{
    setup();
    fake_server(&new, 0, SERVER("socketio", "/s", "2000"));
    load();
    clr_worker_enlist(new.w);
    clr_worker_retire(old.w);
    fake_server(&old, 0, SERVER("socketio", "/s", "9000"));
    fake_server(&old, 1, SERVER("engineio", "/late", "9000"));
    LOOPBACK_UNTIL(&loop, -1, interval_of(1) == 9000); /* a server of its own it may have */
    EXPECT_EQ(interval_of(0), 2000);
    teardown();
}

/* A worker that loads may send as any server that it declared, and nobody is there yet. */
TEST(who_loads_may_send_to_a_server_that_is_not_served_yet)
{
    setup();
    fake_server(&new, 0, SERVER("socketio", "/s", "2000"));
    fake_server(&new, 1, SERVER("socketio", "/t", "2000"));
    size_t at = clr_frame_begin(&new.out, CLR_FRAME_SIO_CLOSE_ROOM, 0, 0);
    clr_buf_append_le(&new.out, 1, 2);
    clr_write_str(&new.out, CLR_STR("/"));
    clr_write_str(&new.out, CLR_STR("room"));
    clr_frame_end(&new.out, at);
    at = clr_frame_begin(&new.out, CLR_FRAME_STATE_ASK, 0, 0);
    clr_buf_append_le(&new.out, 1, 2);
    clr_write_str(&new.out, CLR_STR("/"));
    clr_write_str(&new.out, CLR_STR("sid"));
    clr_buf_append_le(&new.out, 77, 8);
    clr_frame_end(&new.out, at);
    fake_flush(&new);
    clr_frame_t state = fake_expect(&new, CLR_FRAME_STATE);
    EXPECT_EQ(state.stream, 77);
    EXPECT_EQ(state.payload.p[0], 0);
    load();
    EXPECT(!new.gone);
    teardown();
}

static void expect_refused(uint16_t number, const char *json)
{
    setup();
    fake_server(&new, 0, SERVER("socketio", "/s", "2000"));
    fake_server(&new, number, json);
    fake_wait_gone(&new);
    EXPECT_EQ(interval_of(0), 1000);
    teardown();
}

TEST(what_cannot_be_is_refused_at_once)
{
    expect_refused(0, SERVER("socketio", "/elsewhere", "2000"));
    expect_refused(0, SERVER("engineio", "/s", "2000"));
    expect_refused(1, SERVER("engineio", "/s", "2000"));
    expect_refused(2, SERVER("engineio", "/x", "2000"));
    expect_refused(1, "{\"kind\":\"nothing\"}");
}

TEST(of_two_workers_that_disagree_the_second_goes)
{
    setup();
    fake_server(&new, 0, SERVER("socketio", "/s", "2000"));
    fake_server(&new, 1, SERVER("socketio", "/t", "2000"));
    load();
    fake_server(&old, 1, SERVER("socketio", "/u", "2000"));
    LOOPBACK_UNTIL(&loop, -1, clr_eio_server_find(&gw, 1));
    clr_worker_enlist(new.w);
    fake_wait_gone(&new);
    EXPECT_STR_C(clr_str_c(clr_eio_server_find(&gw, 1)->config.path), "/u");
    EXPECT_EQ(clr_dispatch_ready_count(&gw), 1);
    teardown();
}

TEST_MAIN(T(new_settings_count_when_the_new_worker_serves),
          T(a_worker_that_does_not_come_to_serve_changes_nothing),
          T(what_changes_while_it_loads_replaces_what_was_offered), T(old_code_has_no_say_any_more),
          T(who_loads_may_send_to_a_server_that_is_not_served_yet),
          T(what_cannot_be_is_refused_at_once), T(of_two_workers_that_disagree_the_second_goes))
