/* Places for connections: the bound, who is told when one is free, and how often the log is. */
#include "gateway/capacity.h"

#include "base/log.h"
#include "test.h"

static int rooms;
static bool take_again;

static void on_room(void *ctx)
{
    rooms++;
    if (take_again)
        EXPECT(clr_capacity_take(ctx));
}

TEST(capacity_without_a_limit)
{
    clr_capacity_t c;
    clr_capacity_init(&c, 0, "--max", NULL, NULL);
    for (int i = 0; i < 1000; i++)
        EXPECT(clr_capacity_take(&c));
    for (int i = 0; i < 1000; i++)
        clr_capacity_give(&c);
    EXPECT_EQ(c.open, 0);
}

TEST(capacity_tells_of_room_once_for_each_that_was_turned_away)
{
    clr_capacity_t c;
    clr_capacity_init(&c, 2, "--max", on_room, &c);
    EXPECT(clr_capacity_take(&c));
    EXPECT(clr_capacity_take(&c));
    clr_capacity_give(&c);
    EXPECT_EQ(rooms, 0);
    EXPECT(clr_capacity_take(&c));
    EXPECT(!clr_capacity_take(&c));
    EXPECT(!clr_capacity_take(&c));
    EXPECT_EQ(c.open, 2);
    take_again = true;
    clr_capacity_give(&c);
    EXPECT_EQ(rooms, 1);
    EXPECT_EQ(c.open, 2);
    clr_capacity_give(&c);
    clr_capacity_give(&c);
    EXPECT_EQ(rooms, 1);
    EXPECT_EQ(c.open, 0);
}

/* Lines that were logged since the last call, through a pipe in the place of standard error. */
static int lines(int pipe_end)
{
    char text[4096];
    ssize_t n = read(pipe_end, text, sizeof(text));
    int count = 0;
    for (ssize_t i = 0; i < n; i++)
        count += text[i] == '\n';
    return count;
}

TEST(capacity_logs_once_per_burst)
{
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_NONBLOCK), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    clr_capacity_t c;
    clr_capacity_init(&c, 4, "--max", NULL, NULL);
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(clr_capacity_take(&c), i < 4);
    int first = lines(ends[0]);
    for (int i = 0; i < 10; i++) {
        clr_capacity_give(&c);
        EXPECT(clr_capacity_take(&c));
        EXPECT(!clr_capacity_take(&c));
    }
    int same = lines(ends[0]);
    clr_capacity_give(&c);
    clr_capacity_give(&c);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(clr_capacity_take(&c), i < 2);
    int next = lines(ends[0]);
    dup2(saved, STDERR_FILENO);
    EXPECT_EQ(first, 1);
    EXPECT_EQ(same, 0);
    EXPECT_EQ(next, 1);
}

TEST_MAIN(T(capacity_without_a_limit), T(capacity_tells_of_room_once_for_each_that_was_turned_away),
          T(capacity_logs_once_per_burst))
