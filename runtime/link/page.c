/* page.c: see page.h. */
#include "link/page.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "link/arena.h"

static clr_page_t *map(int fd, int flags)
{
    void *p = mmap(NULL, sizeof(clr_page_t), PROT_READ | PROT_WRITE, flags, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

clr_page_t *clr_page_private(void)
{
    clr_page_t *page = map(-1, MAP_PRIVATE | MAP_ANONYMOUS);
    CLR_ASSERT(page); /* out of memory */
    return page;
}

clr_page_t *clr_page_make(int *fd)
{
    *fd = memfd_create("clrun-link", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0)
        return clr_page_private();
    clr_page_t *page = NULL;
    if (ftruncate(*fd, sizeof(clr_page_t)) == 0 &&
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        page = map(*fd, MAP_SHARED);
    if (page)
        return page;
    close(*fd);
    *fd = -1;
    return clr_page_private();
}

/* The page's and the arena's. */
#define DESCRIPTORS 2

typedef union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
} control_t;

int clr_page_send(int link_fd, clr_str_t bytes, int fd, int arena_fd)
{
    struct iovec piece = {.iov_base = (char *)bytes.p, .iov_len = bytes.n};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    control_t control = {0};
    if (fd >= 0) {
        int fds[DESCRIPTORS] = {fd, arena_fd};
        size_t size = (arena_fd < 0 ? 1 : 2) * sizeof(int);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(head), fds, size);
    }
    ssize_t n = sendmsg(link_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return -errno;
    return (size_t)n == bytes.n ? 0 : CLR_EPROTO;
}

static void take_page(int fd, clr_page_t **page)
{
    clr_page_t *shared = map(fd, MAP_SHARED);
    if (!shared)
        return;
    clr_page_drop(*page);
    *page = shared;
}

static void take(struct cmsghdr *head, clr_page_t **page, const char **arena)
{
    int fds[DESCRIPTORS];
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
        return;
    size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    CLR_ASSERT(count > 0 && count <= DESCRIPTORS); /* there is no room for more */
    memcpy(fds, CMSG_DATA(head), count * sizeof(int));
    take_page(fds[0], page);
    if (count > 1 && !*arena)
        *arena = clr_arena_map(fds[1]);
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

ssize_t clr_page_receive(int link_fd, char *out, size_t n, clr_page_t **page, const char **arena)
{
    struct iovec piece = {.iov_base = out, .iov_len = n};
    control_t control;
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t got = recvmsg(link_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *head = got >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (head)
        take(head, page, arena);
    return got;
}

void clr_page_drop(clr_page_t *page)
{
    if (page)
        munmap(page, sizeof(*page));
}
