#include "gateway/router.h"

#include "fixture.h"

static const char a_name[] = "a", deep_name[] = "deep", all_name[] = "all";

static void on_head(clr_exchange_t *x)
{
    clr_str_t path = clr_router_path(x);
    clr_buf_t text = {0};
    clr_buf_printf(&text, "[%s %.*s]", (const char *)x->ctx, CLR_STR_ARG(path));
    clr_exchange_respond(x, 200, CLR_STR_EMPTY, clr_buf_str(&text));
    clr_buf_deinit(&text);
}

static const clr_handler_t handler = {.on_head = on_head};

static clr_buf_t got;
static int fd;

static void setup(void)
{
    fixture_open(true);
    clr_router_add(&gw, CLR_STR("/a"), &handler, (void *)a_name);
    clr_router_add(&gw, CLR_STR("/a/deep/"), &handler, (void *)deep_name);
    fd = fixture_connect();
}

static void teardown(void)
{
    clr_buf_deinit(&got);
    close(fd);
    fixture_close();
}

static void expect(const char *target, const char *answer)
{
    char request[200];
    int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
    clr_buf_clear(&got);
    loopback_send(&loop, fd, clr_str(request, (size_t)n));
    if (!loopback_read_text(&loop, fd, &got, answer))
        TEST_FAIL_("%s: expected %s", target, answer);
}

TEST(router_matches_whole_segments_and_the_longest_path)
{
    setup();
    expect("/a", "[a /a]");
    expect("/a/", "[a /a/]");
    expect("/a?x=/b", "[a /a]");
    expect("/a/b", "[a /a/b]");
    expect("/a/deep", "[deep /a/deep]");
    expect("/a/deep/er", "[deep /a/deep/er]");
    expect("/a/deeper", "[a /a/deeper]");
    expect("/ab", "404 Not Found\n");
    expect("/", "404 Not Found\n");
    expect("/b/a", "404 Not Found\n");
    expect("/public/x", "404 Not Found\n");
    teardown();
}

TEST(router_removes_and_takes_everything)
{
    setup();
    clr_router_remove(&gw, CLR_STR("/a/deep"), a_name); /* another owner's */
    expect("/a/deep", "[deep ");
    clr_router_remove(&gw, CLR_STR("/a/deep"), deep_name);
    expect("/a/deep", "[a ");
    clr_router_add(&gw, CLR_STR("/"), &handler, (void *)all_name);
    expect("/", "[all /]");
    expect("/b", "[all /b]");
    expect("/a", "[a /a]");
    teardown();
}

TEST(router_strips_the_root_path_where_it_is_there)
{
    fixture_defaults();
    options.root_path = "/root/";
    setup();
    clr_router_add(&gw, CLR_STR("/"), &handler, (void *)all_name);
    expect("/root/a/x", "[a /a/x]");
    expect("/root", "[all /]");
    expect("/rootless", "[all /rootless]");
    expect("/a", "[a /a]"); /* a proxy that took it off already */
    teardown();
}

TEST_MAIN(T(router_matches_whole_segments_and_the_longest_path),
          T(router_removes_and_takes_everything), T(router_strips_the_root_path_where_it_is_there))
