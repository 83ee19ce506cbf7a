/* zygote.c: see zygote.h.
 *
 * Messages to the zygote: 'L' and the JSON of a worker's CONFIG; 'K', u32 token, with two
 * descriptors. From it: 'R'; 'F', u8 kind, text; 'C', u32 token, i32 pid; 'X', i32 pid, i32 wait
 * status. Numbers are little-endian.
 */
#include "supervisor/zygote.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "link/message.h"
#include "supervisor/spawn.h"

#define LOG "preload"

#define MESSAGE_MAX (64u << 10)

struct clr_zygote {
    clr_loop_t *loop;
    void (*on_closed)(void *ctx);
    void *ctx;
    unsigned refs;
    unsigned open_handles;
    uv_process_t process;
    uv_poll_t poll;
    int fd;
    int pid;
    bool up;
    uint32_t next_token;
    clr_list_t children;
    char message[MESSAGE_MAX];
};

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    clr_zygote_t *z = handle->data;
    if (--z->open_handles > 0)
        return;
    close(z->fd);
    z->on_closed(z->ctx);
    free(z);
}

/* Nobody refers to it, and its process is gone. */
static void close_all(clr_zygote_t *z)
{
    z->open_handles = 2;
    uv_close((uv_handle_t *)&z->poll, on_handle_closed);
    uv_close((uv_handle_t *)&z->process, on_handle_closed);
}

static void end_children(clr_zygote_t *z, int64_t status, int sig)
{
    for (clr_list_t *node; (node = clr_list_pop_front(&z->children));) {
        clr_zygote_child_t *c = clr_container_of(node, clr_zygote_child_t, node_);
        /* Those that live die with their parent. */
        c->on_exit(c, c->pid ? 0 : status, c->pid ? SIGKILL : sig);
    }
}

clr_zygote_t *clr_zygote_ref(clr_zygote_t *z)
{
    z->refs++;
    return z;
}

void clr_zygote_unref(clr_zygote_t *z)
{
    CLR_ASSERT(z->refs > 0);
    if (--z->refs > 0)
        return;
    if (z->up)
        kill(z->pid, SIGKILL);
    else
        close_all(z);
}

/* ---- what it says ---- */

static clr_zygote_child_t *find(clr_zygote_t *z, uint32_t token, int pid)
{
    clr_list_each(node, &z->children)
    {
        clr_zygote_child_t *c = clr_container_of(node, clr_zygote_child_t, node_);
        if (pid ? c->pid == pid : c->token_ == token)
            return c;
    }
    return NULL;
}

static void on_forked(clr_zygote_t *z, uint32_t token, int pid)
{
    clr_zygote_child_t *c = find(z, token, 0);
    if (c && !c->pid && pid > 0) {
        c->pid = pid;
        c->on_forked(c);
    } else if (c && !c->pid) {
        clr_list_remove(&c->node_);
        c->on_exit(c, -pid, 0);
    } else if (pid > 0) {
        kill(pid, SIGKILL); /* nobody wants it any more */
    }
}

static void on_exited(clr_zygote_t *z, int pid, int status)
{
    clr_zygote_child_t *c = find(z, 0, pid);
    if (!c)
        return;
    clr_list_remove(&c->node_);
    c->on_exit(c, WIFEXITED(status) ? WEXITSTATUS(status) : 0,
               WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* The callbacks may take children out. */
static void on_failed(clr_zygote_t *z, uint8_t kind, clr_str_t text)
{
    clr_list_t all;
    clr_list_take(&all, &z->children);
    for (clr_list_t *node; (node = clr_list_pop_front(&all));) {
        clr_zygote_child_t *c = clr_container_of(node, clr_zygote_child_t, node_);
        clr_list_push_back(&z->children, &c->node_);
        if (!c->pid)
            c->on_failed(c, kind, text);
    }
}

static bool on_message(clr_zygote_t *z, clr_str_t message)
{
    clr_reader_t r = clr_reader(message);
    char type = (char)clr_read_u8(&r);
    if (type == 'F') {
        uint8_t kind = clr_read_u8(&r);
        if (message.n >= 2)
            on_failed(z, kind, clr_str_from(message, 2));
        return message.n >= 2;
    }
    if (type == 'R') {
        clr_log_debug(LOG, "the app is loaded (pid %d)", z->pid);
        return message.n == 1;
    }
    uint32_t first = clr_read_u32(&r);
    uint32_t second = clr_read_u32(&r);
    if (clr_reader_done(&r) != 0)
        return false;
    if (type == 'C')
        on_forked(z, first, (int)second);
    else if (type == 'X')
        on_exited(z, (int)first, (int)second);
    return type == 'C' || type == 'X';
}

/* What is there to read. It may be gone after the call, unless the caller holds it. */
static void read_all(clr_zygote_t *z)
{
    for (;;) {
        ssize_t n = recv(z->fd, z->message, sizeof(z->message), MSG_DONTWAIT);
        if (n > 0 && on_message(z, clr_str(z->message, (size_t)n)))
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n > 0)
            clr_log_error(LOG, "the process that preloads (pid %d) sent nonsense", z->pid);
        uv_poll_stop(&z->poll);
        if (z->up)
            kill(z->pid, SIGKILL);
        return;
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    clr_zygote_t *z = poll->data;
    (void)status;
    (void)events;
    clr_zygote_ref(z);
    read_all(z);
    clr_zygote_unref(z);
}

static void on_exit_of_process(uv_process_t *process, int64_t status, int sig)
{
    clr_zygote_t *z = process->data;
    clr_zygote_ref(z);
    z->up = false;
    read_all(z);
    uv_poll_stop(&z->poll);
    end_children(z, status, sig);
    clr_zygote_unref(z);
}

/* ---- asking it ---- */

static int send_message(clr_zygote_t *z, clr_str_t text, const int *fds, size_t count)
{
    struct iovec iov = {.iov_base = (void *)text.p, .iov_len = text.n};
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    }
    return sendmsg(z->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int clr_zygote_fork(clr_zygote_t *z, clr_zygote_child_t *child, int link_fd, int watch_fd)
{
    char text[5] = {'K'};
    uint32_t token = ++z->next_token;
    for (int i = 0; i < 4; i++)
        text[1 + i] = (char)(token >> (8 * i));
    int rc = z->up ? send_message(z, clr_str(text, sizeof(text)), (int[]){link_fd, watch_fd}, 2)
                   : CLR_ECLOSED;
    if (rc < 0)
        return rc;
    child->pid = 0;
    child->token_ = token;
    clr_list_push_back(&z->children, &child->node_);
    return 0;
}

void clr_zygote_forget(clr_zygote_child_t *child)
{
    clr_list_remove(&child->node_);
}

bool clr_zygote_is_up(const clr_zygote_t *z)
{
    return z->up;
}

static int send_config(clr_zygote_t *z, const clr_pool_options_t *options)
{
    clr_buf_t text = {0};
    clr_buf_putc(&text, 'L');
    clr_spawn_config(&text, options, 0);
    int rc = send_message(z, clr_buf_str(&text), NULL, 0);
    clr_buf_deinit(&text);
    return rc;
}

static void start_process(clr_zygote_t *z, const clr_pool_options_t *options, int theirs)
{
    int rc = clr_spawn_zygote(&z->loop->uv, &z->process, options, theirs, on_exit_of_process);
    z->process.data = z;
    if (rc == 0) {
        z->up = true;
        z->pid = z->process.pid;
        rc = send_config(z, options);
    }
    if (rc == 0)
        rc = uv_poll_start(&z->poll, UV_READABLE, on_readable);
    if (rc < 0)
        clr_log_error(LOG, "the process that preloads the app cannot be started: %s",
                      clr_strerror(rc));
    if (rc < 0 && z->up)
        kill(z->pid, SIGKILL);
}

clr_zygote_t *clr_zygote_start(clr_loop_t *loop, const clr_pool_options_t *options,
                               void (*on_closed)(void *ctx), void *ctx)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return NULL;
    clr_zygote_t *z = clr_xcalloc(1, sizeof(*z));
    z->loop = loop;
    z->on_closed = on_closed;
    z->ctx = ctx;
    z->refs = 1;
    z->fd = ends[0];
    clr_list_init(&z->children);
    int rc = uv_poll_init(&loop->uv, &z->poll, z->fd);
    if (rc == 0) {
        z->poll.data = z;
        start_process(z, options, ends[1]);
    } else {
        close(z->fd);
        free(z);
        z = NULL;
    }
    close(ends[1]);
    return z;
}
