/* What the service manager is told. Its end of the socket is here. */
#include "supervisor/notify.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "loopback.h"
#include "temp.h"

static clr_loop_t loop;
static uv_timer_t alive; /* timers of ours alone do not keep the loop turning */
static clr_notify_t *notify;
static int manager = -1;
static struct sockaddr_un address;
static socklen_t address_len;
static char text[1024];

/* As it stands in NOTIFY_SOCKET. */
static void bind_manager(const char *name)
{
    size_t n = strlen(name);
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, name, n);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    EXPECT(manager >= 0);
    EXPECT_EQ(bind(manager, (struct sockaddr *)&address, address_len), 0);
    setenv("NOTIFY_SOCKET", name, 1);
}

static void on_alive(uv_timer_t *t)
{
    (void)t;
}

static void open_notify(void)
{
    clr_log_configure(CLR_LOG_OFF, false);
    EXPECT_EQ(clr_loop_init(&loop), 0);
    EXPECT_EQ(uv_timer_init(&loop.uv, &alive), 0);
    EXPECT_EQ(uv_timer_start(&alive, on_alive, 3600000, 0), 0);
    notify = clr_notify_open(&loop);
}

static void setup(const char *name)
{
    char whole[200];
    temp_enter();
    EXPECT(getcwd(whole, sizeof(whole) - 20) != NULL);
    strcat(whole, "/manager");
    bind_manager(name ? name : whole);
    open_notify();
    EXPECT(notify != NULL);
}

static void teardown(void)
{
    clr_notify_close(notify);
    uv_close((uv_handle_t *)&alive, NULL);
    loopback_turn(&loop);
    clr_loop_deinit(&loop);
    if (manager >= 0)
        close(manager);
}

/* The next message is in text; false: there is none. */
static bool receive(void)
{
    ssize_t n = recv(manager, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static void expect(const char *message)
{
    LOOPBACK_UNTIL(&loop, manager, receive());
    EXPECT_STR_C(clr_str_c(text), message);
}

static void expect_nothing(void)
{
    for (int i = 0; i < 20; i++)
        loopback_turn(&loop);
    if (receive())
        TEST_FAIL_("received \"%s\"", text);
}

TEST(states_are_told)
{
    setup(NULL);
    expect_nothing();
    clr_notify_ready(notify, "2 workers");
    expect("READY=1\nSTATUS=2 workers");
    clr_notify_stopping(notify, 10000);
    expect("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=15000000");
    expect_nothing(); /* no sign of life was asked for */
    teardown();
}

TEST(a_reload_has_the_time_of_the_managers_clock)
{
    unsigned long long usec;
    int end = 0;
    struct timespec before, after;
    setup(NULL);
    clock_gettime(CLOCK_MONOTONIC, &before);
    clr_notify_reloading(notify, "new workers start");
    clock_gettime(CLOCK_MONOTONIC, &after);
    LOOPBACK_UNTIL(&loop, manager, receive());
    EXPECT_EQ(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=%n", &usec, &end), 1);
    EXPECT_STR_C(clr_str_c(text + end), "new workers start");
    EXPECT(usec >= (uint64_t)before.tv_sec * 1000000 + (uint64_t)before.tv_nsec / 1000);
    EXPECT(usec <= (uint64_t)after.tv_sec * 1000000 + (uint64_t)after.tv_nsec / 1000);
    clr_notify_ready(notify, "reloaded");
    expect("READY=1\nSTATUS=reloaded");
    teardown();
}

TEST(a_status_that_is_long_is_cut)
{
    char status[1000];
    setup(NULL);
    memset(status, 'x', sizeof(status) - 1);
    status[sizeof(status) - 1] = '\0';
    clr_notify_ready(notify, status);
    LOOPBACK_UNTIL(&loop, manager, receive());
    EXPECT_EQ(strlen(text), strlen("READY=1\nSTATUS=") + 400);
    teardown();
}

TEST(an_abstract_socket_serves_as_well)
{
    char name[64];
    snprintf(name, sizeof(name), "@clrun-test-notify-%d", (int)getpid());
    setup(name);
    clr_notify_ready(notify, "here");
    expect("READY=1\nSTATUS=here");
    teardown();
}

TEST(the_variables_are_for_nobody_else)
{
    setenv("WATCHDOG_USEC", "60000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    setup(NULL);
    EXPECT(!getenv("NOTIFY_SOCKET") && !getenv("WATCHDOG_USEC") && !getenv("WATCHDOG_PID"));
    teardown();
}

TEST(signs_of_life_begin_when_it_is_ready)
{
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_USEC", "2000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    setup(NULL);
    expect_nothing();
    clr_notify_ready(notify, "x");
    expect("READY=1\nSTATUS=x");
    for (int i = 0; i < 3; i++)
        expect("WATCHDOG=1");
    teardown();
}

TEST(signs_of_life_of_another_process_are_not_ours)
{
    setenv("WATCHDOG_USEC", "2", 1);
    setenv("WATCHDOG_PID", "1", 1);
    setup(NULL);
    clr_notify_ready(notify, "x");
    expect("READY=1\nSTATUS=x");
    expect_nothing();
    teardown();
}

/* The manager does not read. Returns how many messages it took. */
static int fill_queue(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), count = 0;
    while (sendto(fd, "F", 1, 0, (struct sockaddr *)&address, address_len) == 1)
        EXPECT(++count < 1000000);
    EXPECT_EQ(errno, EAGAIN);
    close(fd);
    return count;
}

static void skip(int count)
{
    for (int i = 0; i < count; i++)
        expect("F");
}

TEST(a_change_of_state_waits_for_room)
{
    setup(NULL);
    int count = fill_queue();
    clr_notify_ready(notify, "late");
    skip(count);
    expect("READY=1\nSTATUS=late");
    expect_nothing();
    teardown();
}

TEST(of_states_that_wait_the_last_one_counts)
{
    setup(NULL);
    int count = fill_queue();
    clr_notify_ready(notify, "1");
    clr_notify_reloading(notify, "2");
    clr_notify_ready(notify, "3");
    skip(count);
    expect("READY=1\nSTATUS=3");
    expect_nothing();
    teardown();
}

TEST(signs_of_life_do_not_pass_a_state_that_waits)
{
    setenv("WATCHDOG_USEC", "2000", 1);
    setup(NULL);
    int count = fill_queue();
    clr_notify_ready(notify, "x");
    skip(count);
    expect("READY=1\nSTATUS=x");
    expect("WATCHDOG=1");
    teardown();
}

TEST(closing_forgets_what_waits)
{
    setup(NULL);
    int count = fill_queue();
    clr_notify_ready(notify, "x");
    clr_notify_close(notify);
    notify = NULL;
    skip(count);
    expect_nothing();
    teardown();
}

TEST(a_manager_that_is_gone_does_no_harm)
{
    setup(NULL);
    close(manager);
    manager = -1;
    EXPECT_EQ(unlink(address.sun_path), 0);
    clr_notify_ready(notify, "x");
    clr_notify_stopping(notify, 1);
    teardown();
}

static void expect_unusable(const char *name)
{
    setenv("NOTIFY_SOCKET", name, 1);
    open_notify();
    EXPECT(notify == NULL);
    EXPECT(!getenv("NOTIFY_SOCKET"));
    clr_notify_ready(notify, "x");
    clr_notify_reloading(notify, "x");
    clr_notify_stopping(notify, 1);
    teardown();
}

TEST(an_address_of_no_use_is_none)
{
    char name[200];
    memset(name, 'x', sizeof(name) - 1);
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    expect_unusable(name);
    expect_unusable("");
    expect_unusable("@");
    expect_unusable("/");
    expect_unusable("vsock:1:2");
    expect_unusable("relative");
}

TEST_MAIN(T(states_are_told), T(a_reload_has_the_time_of_the_managers_clock),
          T(a_status_that_is_long_is_cut), T(an_abstract_socket_serves_as_well),
          T(the_variables_are_for_nobody_else), T(signs_of_life_begin_when_it_is_ready),
          T(signs_of_life_of_another_process_are_not_ours), T(a_change_of_state_waits_for_room),
          T(of_states_that_wait_the_last_one_counts),
          T(signs_of_life_do_not_pass_a_state_that_waits), T(closing_forgets_what_waits),
          T(a_manager_that_is_gone_does_no_harm), T(an_address_of_no_use_is_none))
