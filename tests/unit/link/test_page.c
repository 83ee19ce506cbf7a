#include "link/page.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

/* A worker that takes the page, begins so many frames and is killed. */
static void run_worker(int fd, int count)
{
    char bytes[64];
    const char *arena = NULL;
    clr_page_t *page = clr_page_private();
    while (clr_page_receive(fd, bytes, sizeof(bytes), &page, &arena) < 0)
        continue;
    for (int i = 0; i < count; i++)
        clr_page_begin(page);
    kill(getpid(), SIGKILL);
}

TEST(count_outlives_a_killed_worker)
{
    int ends[2], fd;
    clr_page_t *page = clr_page_make(&fd);
    EXPECT(fd >= 0);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    EXPECT_EQ(clr_page_send(ends[0], CLR_STR("first"), fd, -1), 0);
    EXPECT_EQ(clr_page_begun(page), 0);
    pid_t pid = fork();
    if (pid == 0)
        run_worker(ends[1], 1234);
    EXPECT_EQ(waitpid(pid, NULL, 0), pid);
    EXPECT_EQ(clr_page_begun(page), 1234);
    clr_page_drop(page);
    close(fd);
    close(ends[0]);
    close(ends[1]);
}

TEST(page_cannot_be_taken_away)
{
    int fd;
    clr_page_t *page = clr_page_make(&fd);
    EXPECT(ftruncate(fd, 0) != 0);
    EXPECT_EQ(clr_page_begun(page), 0);
    clr_page_drop(page);
    close(fd);
}

TEST(bytes_come_without_a_page_too)
{
    int ends[2];
    char bytes[64];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    EXPECT_EQ(clr_page_send(ends[0], CLR_STR("first"), -1, -1), 0);
    clr_page_t *page = clr_page_private(), *before = page;
    const char *arena = NULL;
    EXPECT_EQ(clr_page_receive(ends[1], bytes, sizeof(bytes), &page, &arena), 5);
    EXPECT(page == before);
    EXPECT(!arena);
    clr_page_begin(page);
    EXPECT_EQ(clr_page_begun(page), 1);
    clr_page_drop(page);
    close(ends[0]);
    close(ends[1]);
}

TEST_MAIN(T(count_outlives_a_killed_worker), T(page_cannot_be_taken_away),
          T(bytes_come_without_a_page_too))
