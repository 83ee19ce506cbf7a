/* notify.c: see notify.h. */
#include "supervisor/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define LOG "notify"

/* How long until a message that found the manager's queue full is tried again. */
#define RETRY_MS 20

/* More than the time that was promised, so that nobody is killed on the last step. */
#define STOP_RESERVE_MS 5000

struct clr_notify {
    clr_loop_t *loop;
    int fd;
    struct sockaddr_un address;
    socklen_t address_len;
    clr_timer_t watchdog;
    uint64_t watchdog_ms; /* half of what is asked for; 0: nothing is */
    clr_timer_t retry;    /* runs while `state` could not be sent */
    char state[512];      /* the last change of state */
};

/* False when the manager's queue is full. */
static bool send_text(clr_notify_t *n, const char *text)
{
    ssize_t sent = sendto(n->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
                          (struct sockaddr *)&n->address, n->address_len);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    if (sent < 0)
        clr_log_warn(LOG, "the service manager cannot be told: %s", strerror(errno));
    return true;
}

/* A change of state must arrive; one that comes later takes the place of one that waits. */
static void send_state(clr_notify_t *n)
{
    if (send_text(n, n->state))
        clr_timer_stop(&n->retry);
    else
        clr_loop_timer_start(n->loop, &n->retry, RETRY_MS);
}

static void on_retry(clr_timer_t *t)
{
    send_state(clr_container_of(t, clr_notify_t, retry));
}

/* A sign of life that finds the queue full is not needed: there are others in it. */
static void on_watchdog(clr_timer_t *t)
{
    clr_notify_t *n = clr_container_of(t, clr_notify_t, watchdog);
    if (!clr_timer_is_active(&n->retry))
        (void)send_text(n, "WATCHDOG=1");
    clr_loop_timer_start(n->loop, t, n->watchdog_ms);
}

/* "/path", or "@name" of the abstract namespace. */
static bool parse_address(clr_notify_t *n, const char *text)
{
    size_t len = strlen(text);
    if ((text[0] != '/' && text[0] != '@') || len < 2 || len >= sizeof(n->address.sun_path))
        return false;
    n->address.sun_family = AF_UNIX;
    memcpy(n->address.sun_path, text, len);
    n->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (text[0] == '@')
        n->address.sun_path[0] = '\0';
    else
        n->address_len++; /* the end of the path */
    return true;
}

/* 0: no sign of life is wanted, or not from this process. */
static uint64_t watchdog_interval(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!usec || (pid && strtoull(pid, NULL, 10) != (uint64_t)getpid()))
        return 0;
    uint64_t half_ms = strtoull(usec, NULL, 10) / 2000;
    return half_ms < 1 ? 1 : half_ms;
}

static void clean_environment(void)
{
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

clr_notify_t *clr_notify_open(clr_loop_t *loop)
{
    const char *address = getenv("NOTIFY_SOCKET");
    clr_notify_t *n = NULL;
    if (address && address[0]) {
        n = clr_xcalloc(1, sizeof(*n));
        n->loop = loop;
        n->fd = -1;
        clr_timer_init(&n->watchdog, on_watchdog);
        clr_timer_init(&n->retry, on_retry);
        n->watchdog_ms = watchdog_interval();
        if (parse_address(n, address))
            n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (n->fd < 0) {
            clr_log_warn(LOG, "NOTIFY_SOCKET=%s cannot be used", address);
            free(n);
            n = NULL;
        }
    }
    clean_environment();
    return n;
}

void clr_notify_close(clr_notify_t *n)
{
    if (!n)
        return;
    clr_timer_stop(&n->watchdog);
    clr_timer_stop(&n->retry);
    close(n->fd);
    free(n);
}

void clr_notify_ready(clr_notify_t *n, const char *status)
{
    if (!n)
        return;
    snprintf(n->state, sizeof(n->state), "READY=1\nSTATUS=%.400s", status);
    send_state(n);
    /* The manager counts from its first READY on. */
    if (n->watchdog_ms > 0 && !clr_timer_is_active(&n->watchdog))
        clr_loop_timer_start(n->loop, &n->watchdog, n->watchdog_ms);
}

void clr_notify_reloading(clr_notify_t *n, const char *status)
{
    struct timespec now;
    if (!n)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    snprintf(n->state, sizeof(n->state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=%.400s",
             usec, status);
    send_state(n);
}

void clr_notify_stopping(clr_notify_t *n, uint64_t within_ms)
{
    if (!n)
        return;
    snprintf(n->state, sizeof(n->state),
             "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=%" PRIu64,
             (within_ms + STOP_RESERVE_MS) * 1000);
    send_state(n);
}
