/* Connections that fit the limit of open files. */
#include "cli/limits.h"

#include <sys/resource.h>

#include "base/log.h"
#include "test.h"

TEST(limits_raise_the_soft_limit_to_the_hard_one)
{
    struct rlimit limit = {64, 200};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(clr_limits_raise_open_files(), 200);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(limit.rlim_cur, 200);
    EXPECT_EQ(clr_limits_raise_open_files(), 200);
}

TEST(limits_leave_files_for_workers_and_for_sending)
{
    EXPECT_EQ(clr_limits_connections(1024, 1, 0), 1024 - 64 - 8 - 128);
    EXPECT_EQ(clr_limits_connections(1024, 4, 0), 1024 - 64 - 32 - 128);
    EXPECT_EQ(clr_limits_connections(1024, 1, 100), 100);
    EXPECT_EQ(clr_limits_connections(1024, 1, 824), 824);
}

TEST(limits_are_never_more_than_fits)
{
    clr_log_configure(CLR_LOG_OFF, false);
    EXPECT_EQ(clr_limits_connections(1024, 1, 825), 824);
    EXPECT_EQ(clr_limits_connections(1024, 1, UINT64_MAX), 824);
    EXPECT_EQ(clr_limits_connections(UINT64_MAX, 1, 0), (1 << 20) - 64 - 8 - (1 << 17));
    EXPECT_EQ(clr_limits_connections(64, 256, 0), 16);
    EXPECT_EQ(clr_limits_connections(0, 1, 3), 3);
}

TEST_MAIN(T(limits_raise_the_soft_limit_to_the_hard_one),
          T(limits_leave_files_for_workers_and_for_sending), T(limits_are_never_more_than_fits))
