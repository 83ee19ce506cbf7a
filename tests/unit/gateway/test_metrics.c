#include "gateway/metrics.h"

#include "clrun/frames.h"
#include "fixture.h"

static clr_buf_t page;

static void make_page(const clr_worker_status_t *workers, size_t count)
{
    clr_buf_clear(&page);
    clr_metrics_append(&gw, workers, count, &page);
}

/* A line of the page. */
static void expect_line(const char *line)
{
    char whole[200];
    snprintf(whole, sizeof(whole), "\n%s\n", line);
    if (!buf_has(&page, whole))
        TEST_FAIL_("no line \"%s\" in:\n%.*s", line, (int)page.n, page.p);
}

static void on_head(clr_exchange_t *x)
{
    clr_exchange_respond(x, 200, CLR_STR_EMPTY, CLR_STR("hello"));
}

static const clr_handler_t handler = {.on_head = on_head, .kind = CLR_HANDLER_APP};

static void setup(void)
{
    fixture_open(true);
    clr_router_add(&gw, CLR_STR("/app"), &handler, NULL);
}

static void teardown(void)
{
    fixture_close();
    clr_buf_deinit(&page);
}

TEST(metrics_count_requests_connections_and_bytes)
{
    setup();
    int fd = fixture_connect();
    clr_buf_t got = {0};
    static const char requests[] = "GET /app HTTP/1.1\r\nHost: h\r\n\r\n"
                                   "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n";
    loopback_send(&loop, fd, clr_str(requests, sizeof(requests) - 1));
    EXPECT(loopback_read_text(&loop, fd, &got, "404 Not Found\n"));
    make_page(NULL, 0);
    expect_line("clrun_http_requests_total{handler=\"app\",status=\"2xx\"} 1");
    expect_line("clrun_http_requests_total{handler=\"none\",status=\"4xx\"} 1");
    expect_line("clrun_http_requests_total{handler=\"static\",status=\"5xx\"} 0");
    expect_line("clrun_connections{protocol=\"http\"} 1");
    expect_line("clrun_connections{protocol=\"websocket\"} 0");
    char line[80];
    snprintf(line, sizeof(line), "clrun_client_received_bytes_total %zu", sizeof(requests) - 1);
    expect_line(line);
    snprintf(line, sizeof(line), "clrun_client_sent_bytes_total %zu", got.n);
    expect_line(line);
    close(fd);
    LOOPBACK_UNTIL(&loop, -1, gw.metrics.connections_closed == 1);
    make_page(NULL, 0);
    expect_line("clrun_connections{protocol=\"http\"} 0");
    expect_line("clrun_connections_accepted_total 1");
    clr_buf_deinit(&got);
    teardown();
}

TEST(metrics_count_refused_requests_that_no_handler_saw)
{
    setup();
    int fd = fixture_connect();
    clr_buf_t got = {0};
    loopback_send(&loop, fd, CLR_STR("NONSENSE\r\n\r\n"));
    loopback_read_all(&loop, fd, &got);
    make_page(NULL, 0);
    expect_line("clrun_http_requests_total{handler=\"none\",status=\"4xx\"} 1");
    close(fd);
    clr_buf_deinit(&got);
    teardown();
}

TEST(metrics_statuses_out_of_range_stay_in_the_table)
{
    clr_metrics_t m = {0};
    clr_metrics_count_request(&m, CLR_HANDLER_APP, 100);
    clr_metrics_count_request(&m, CLR_HANDLER_APP, 599);
    clr_metrics_count_request(&m, CLR_HANDLER_APP, 999);
    EXPECT_EQ(m.requests[CLR_HANDLER_APP][0], 1);
    EXPECT_EQ(m.requests[CLR_HANDLER_APP][4], 2);
}

TEST(metrics_gauges_are_differences)
{
    setup();
    clr_metrics_t *m = &gw.metrics;
    m->sessions_opened = 10;
    m->sessions_closed[CLR_REASON_PING_TIMEOUT] = 3;
    m->sessions_closed[CLR_REASON_TRANSPORT_ERROR] = 4;
    m->sockets_opened = 9;
    m->sockets_refused = 2;
    m->sockets_closed[CLR_REASON_CLIENT_DISCONNECT] = 6;
    m->connections_accepted = 7;
    m->connections_closed = 1;
    m->websockets_opened = 5;
    m->websockets_closed = 1;
    m->frames_sent[CLR_FRAME_SIO_EVENT] = 11;
    m->events_sent = 12;
    make_page(NULL, 0);
    expect_line("clrun_sessions 3");
    expect_line("clrun_sessions_closed_total{reason=\"ping timeout\"} 3");
    expect_line("clrun_sessions_closed_total{reason=\"server disconnect\"} 0");
    expect_line("clrun_sockets 1");
    expect_line("clrun_connections{protocol=\"http\"} 2");
    expect_line("clrun_connections{protocol=\"websocket\"} 4");
    expect_line("clrun_events_received_total 11");
    expect_line("clrun_events_sent_total 12");
    expect_line("clrun_link_frames_total{direction=\"to_worker\",type=\"SIO_EVENT\"} 11");
    EXPECT(!buf_has(&page, "type=\"SIO_ACK\""));
    teardown();
}

TEST(metrics_tell_what_workers_do)
{
    setup();
    const clr_worker_status_t workers[] = {
        {.number = 1,
         .generation = 3,
         .state = "ready",
         .pid = 4711,
         .age_ms = 1500,
         .restarts = 2},
        {.number = 2, .state = "waiting", .failing = true, .restart_in_ms = 250},
        {.number = 1, .role = CLR_WORKER_ROLE_LEAVING, .generation = 2, .state = "draining"},
    };
    make_page(workers, 3);
    expect_line("clrun_worker_state{worker=\"1\",role=\"serving\",state=\"ready\"} 1");
    expect_line("clrun_worker_state{worker=\"1\",role=\"serving\",state=\"waiting\"} 0");
    expect_line("clrun_worker_state{worker=\"2\",role=\"serving\",state=\"waiting\"} 1");
    expect_line("clrun_worker_pid{worker=\"1\",role=\"serving\"} 4711");
    expect_line("clrun_worker_pid{worker=\"2\",role=\"serving\"} 0");
    expect_line("clrun_worker_restarts_total{worker=\"1\",role=\"serving\"} 2");
    expect_line("clrun_worker_failing{worker=\"2\",role=\"serving\"} 1");
    expect_line("clrun_worker_generation{worker=\"1\",role=\"serving\"} 3");
    expect_line("clrun_worker_generation{worker=\"1\",role=\"leaving\"} 2");
    expect_line("clrun_worker_state{worker=\"1\",role=\"leaving\",state=\"draining\"} 1");
    expect_line("clrun_worker_age_seconds{worker=\"1\",role=\"serving\"} 1.500000");
    expect_line("clrun_worker_restart_seconds{worker=\"2\",role=\"serving\"} 0.250000");
    EXPECT(!buf_has(&page, "clrun_worker_restarts_total{worker=\"1\",role=\"leaving\"}"));
    expect_line("clrun_worker_sockets{worker=\"2\",role=\"serving\"} 0");
    expect_line("clrun_worker_credit{worker=\"2\",role=\"serving\"} 0");
    expect_line("clrun_worker_resident_memory_bytes{worker=\"2\",role=\"serving\"} 0");
    teardown();
}

TEST(metrics_look_a_workers_memory_up)
{
    setup();
    const clr_worker_status_t self = {.number = 3, .state = "ready", .pid = getpid()};
    make_page(&self, 1);
    static const char start[] =
        "\nclrun_worker_resident_memory_bytes{worker=\"3\",role=\"serving\"} ";
    char *at = memmem(page.p, page.n, start, sizeof(start) - 1);
    EXPECT(at);
    EXPECT(strtoull(at + sizeof(start) - 1, NULL, 10) > 1 << 20);
    teardown();
}

TEST(metrics_classes_of_turns_are_cumulative)
{
    setup();
    memset(&loop.stats, 0, sizeof(loop.stats));
    loop.stats.turns[0] = 5;
    loop.stats.turns[3] = 2;
    loop.stats.turns[CLR_LOOP_TURN_CLASSES - 1] = 1;
    loop.stats.turn_ns = 1500000000;
    make_page(NULL, 0);
    expect_line("clrun_loop_turn_seconds_bucket{le=\"0.002\"} 5");
    expect_line("clrun_loop_turn_seconds_bucket{le=\"0.01\"} 5");
    expect_line("clrun_loop_turn_seconds_bucket{le=\"0.025\"} 7");
    expect_line("clrun_loop_turn_seconds_bucket{le=\"2.5\"} 7");
    expect_line("clrun_loop_turn_seconds_bucket{le=\"+Inf\"} 8");
    expect_line("clrun_loop_turn_seconds_sum 1.500000000");
    expect_line("clrun_loop_turn_seconds_count 8");
    teardown();
}

TEST_MAIN(T(metrics_count_requests_connections_and_bytes),
          T(metrics_count_refused_requests_that_no_handler_saw),
          T(metrics_statuses_out_of_range_stay_in_the_table), T(metrics_gauges_are_differences),
          T(metrics_tell_what_workers_do), T(metrics_look_a_workers_memory_up),
          T(metrics_classes_of_turns_are_cumulative))
