/* When free memory goes back: a while after half of many clients, or a worker, have left. */
#include "gateway/trim.h"

#include "test.h"

typedef struct scene {
    clr_loop_t loop;
    clr_capacity_t clients;
    clr_trim_t trim;
} scene_t;

static void set_up(scene_t *s)
{
    EXPECT_EQ(clr_loop_init(&s->loop), 0);
    clr_capacity_init(&s->clients, 0, "--max", NULL, NULL);
    clr_trim_init(&s->trim, &s->loop, &s->clients);
}

static void tear_down(scene_t *s)
{
    clr_trim_deinit(&s->trim);
    clr_loop_deinit(&s->loop);
}

static void come(scene_t *s, int n)
{
    for (; n > 0; n--)
        EXPECT(clr_capacity_take(&s->clients));
}

static void leave(scene_t *s, int n)
{
    for (; n > 0; n--) {
        clr_capacity_give(&s->clients);
        clr_trim_client_left(&s->trim);
    }
}

/* Lets all that was armed happen. */
static void pass_time(scene_t *s)
{
    clr_wheel_advance(&s->loop.wheel, clr_loop_now(&s->loop) + CLR_TRIM_DELAY_MS);
}

TEST(trim_follows_when_half_of_the_clients_have_left)
{
    scene_t s;
    set_up(&s);
    come(&s, CLR_TRIM_CLIENTS);
    leave(&s, CLR_TRIM_CLIENTS / 2 - 1);
    pass_time(&s);
    EXPECT_EQ(s.trim.count, 0);
    leave(&s, 1);
    EXPECT_EQ(s.trim.count, 0);
    pass_time(&s);
    EXPECT_EQ(s.trim.count, 1);
    tear_down(&s);
}

TEST(trim_is_not_for_few_clients)
{
    scene_t s;
    set_up(&s);
    come(&s, CLR_TRIM_CLIENTS - 1);
    leave(&s, CLR_TRIM_CLIENTS - 1);
    pass_time(&s);
    EXPECT_EQ(s.trim.count, 0);
    tear_down(&s);
}

TEST(trim_is_not_done_when_the_clients_are_back)
{
    scene_t s;
    set_up(&s);
    come(&s, 1000);
    leave(&s, 1000);
    come(&s, 501);
    pass_time(&s);
    EXPECT_EQ(s.trim.count, 0);
    leave(&s, 1);
    pass_time(&s);
    EXPECT_EQ(s.trim.count, 1);
    tear_down(&s);
}

TEST(trim_counts_from_what_was_left_the_last_time)
{
    scene_t s;
    set_up(&s);
    come(&s, 1000);
    leave(&s, 600);
    pass_time(&s);
    EXPECT_EQ(s.trim.count, 1);
    leave(&s, 199);
    pass_time(&s);
    EXPECT_EQ(s.trim.count, 1);
    leave(&s, 1);
    pass_time(&s);
    EXPECT_EQ(s.trim.count, 2);
    leave(&s, 200);
    pass_time(&s);
    EXPECT_EQ(s.trim.count, 2); /* those were few */
    tear_down(&s);
}

TEST(trim_follows_the_end_of_a_backlog_once)
{
    scene_t s;
    set_up(&s);
    clr_trim_backlog_left(&s.trim);
    clr_trim_backlog_left(&s.trim);
    EXPECT_EQ(s.trim.count, 0);
    pass_time(&s);
    EXPECT_EQ(s.trim.count, 1);
    pass_time(&s);
    EXPECT_EQ(s.trim.count, 1);
    tear_down(&s);
}

TEST(trim_follows_also_what_ended_while_it_was_near)
{
    scene_t s;
    set_up(&s);
    clr_trim_backlog_left(&s.trim);
    uint64_t first = s.trim.timer_.deadline;
    usleep(2000);
    uv_update_time(&s.loop.uv);
    clr_trim_backlog_left(&s.trim);
    clr_wheel_advance(&s.loop.wheel, first);
    EXPECT_EQ(s.trim.count, 1);
    pass_time(&s);
    EXPECT_EQ(s.trim.count, 2);
    pass_time(&s);
    EXPECT_EQ(s.trim.count, 2);
    tear_down(&s);
}

TEST_MAIN(T(trim_follows_when_half_of_the_clients_have_left), T(trim_is_not_for_few_clients),
          T(trim_is_not_done_when_the_clients_are_back),
          T(trim_counts_from_what_was_left_the_last_time),
          T(trim_follows_the_end_of_a_backlog_once),
          T(trim_follows_also_what_ended_while_it_was_near))
