/* temp.h: a directory of its own for each test, and files in it. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "test.h"

/* Makes it, and goes there. It is left to the system's cleaning. */
static inline void temp_enter(void)
{
    static char dir[] = "/tmp/clrun-test-XXXXXX";
    EXPECT(mkdtemp(dir) != NULL);
    EXPECT_EQ(chdir(dir), 0);
}

static inline void temp_dir(const char *path)
{
    EXPECT_EQ(mkdir(path, 0755), 0);
}

static inline void temp_file(const char *path, mode_t mode, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    EXPECT(fd >= 0);
    EXPECT_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}
