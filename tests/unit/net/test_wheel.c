#include "net/wheel.h"

#include "test.h"

#define COUNT 300

typedef struct item {
    clr_timer_t timer;
    uint64_t due; /* of the model; 0: not active */
    uint64_t fired_at;
    int fired;
} item_t;

static item_t items[COUNT];
static clr_wheel_t wheel;
static uint64_t now;
static uint64_t seed = 42;

static uint64_t random_u64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void on_fire(clr_timer_t *t)
{
    item_t *item = clr_container_of(t, item_t, timer);
    EXPECT(item->due != 0);
    EXPECT(item->due <= now);
    item->due = 0;
    item->fired++;
    item->fired_at = now;
    if (random_u64() % 4 == 0) { /* restart from the callback */
        item->due = now + random_u64() % 500;
        clr_wheel_start(&wheel, t, item->due);
    }
}

static uint64_t random_delay(void)
{
    switch (random_u64() % 5) {
    case 0:
        return random_u64() % 3;
    case 1:
        return random_u64() % 100;
    case 2:
        return random_u64() % 5000;
    case 3:
        return random_u64() % 100000;
    default:
        return random_u64() % 20000000;
    }
}

static uint64_t model_next(void)
{
    uint64_t next = UINT64_MAX;
    for (int i = 0; i < COUNT; i++) {
        if (items[i].due && items[i].due < next)
            next = items[i].due;
    }
    return next;
}

static void step(void)
{
    item_t *item = &items[random_u64() % COUNT];
    if (random_u64() % 3 == 0) {
        clr_timer_stop(&item->timer);
        item->due = 0;
    } else {
        item->due = now + random_delay();
        clr_wheel_start(&wheel, &item->timer, item->due);
    }
    EXPECT_EQ(clr_timer_is_active(&item->timer), item->due != 0);
}

static void advance(uint64_t to)
{
    uint64_t before[COUNT];
    for (int i = 0; i < COUNT; i++)
        before[i] = items[i].due;
    now = to;
    clr_wheel_advance(&wheel, now);
    for (int i = 0; i < COUNT; i++) /* all that was due has fired, at once */
        EXPECT(!(before[i] && before[i] <= now) || items[i].fired_at == now);
}

static void run_model(uint64_t start)
{
    now = start;
    clr_wheel_init(&wheel, now);
    for (int i = 0; i < COUNT; i++) {
        items[i] = (item_t){0};
        clr_timer_init(&items[i].timer, on_fire);
    }
    for (int round = 0; round < 20000; round++) {
        for (uint64_t i = random_u64() % 5; i > 0; i--)
            step();
        uint64_t next = model_next();
        int64_t told = clr_wheel_next(&wheel, now);
        if (next == UINT64_MAX) {
            EXPECT_EQ(told, -1);
            advance(now + random_u64() % 1000);
            continue;
        }
        EXPECT(told >= 0);
        EXPECT(now + (uint64_t)told <= (next > now ? next : now)); /* never too late */
        EXPECT(next <= now || told > 0);                           /* never spinning */
        if (random_u64() % 2)
            advance(now + (uint64_t)told);
        else
            advance(now + random_u64() % 2000);
    }
}

TEST(wheel_agrees_with_a_model)
{
    run_model(1);
    run_model(123456789);
}

TEST(wheel_agrees_with_a_model_where_the_top_level_wraps)
{
    run_model((UINT64_C(1) << 36) - 5000000);
    run_model((UINT64_C(1) << 42) - 1000);
}

TEST(wheel_holds_deadlines_beyond_its_reach)
{
    item_t item = {.due = 0};
    now = 1000;
    clr_wheel_init(&wheel, now);
    clr_timer_init(&item.timer, on_fire);
    item.due = now + (UINT64_C(1) << 40);
    clr_wheel_start(&wheel, &item.timer, item.due);
    int hops = 0;
    while (!item.fired && hops++ < 200) {
        int64_t wait = clr_wheel_next(&wheel, now);
        EXPECT(wait > 0);
        now += (uint64_t)wait;
        clr_wheel_advance(&wheel, now);
        EXPECT(now <= item.due || item.fired || item.due == 0);
    }
    EXPECT(item.fired);
    EXPECT_EQ(item.fired_at, 1000 + (UINT64_C(1) << 40));
}

static int fired;

static void on_again(clr_timer_t *t)
{
    fired++;
    clr_wheel_start(&wheel, t, 0); /* in the past: the next advance, not this one */
}

TEST(wheel_fires_a_past_deadline_at_the_next_advance_only)
{
    clr_wheel_init(&wheel, 100);
    clr_timer_t t;
    clr_timer_init(&t, on_again);
    clr_wheel_start(&wheel, &t, 3);
    EXPECT_EQ(clr_wheel_next(&wheel, 100), 0);
    clr_wheel_advance(&wheel, 100);
    EXPECT_EQ(fired, 1);
    clr_wheel_advance(&wheel, 100);
    EXPECT_EQ(fired, 2);
    clr_timer_stop(&t);
    clr_timer_stop(&t);
    EXPECT_EQ(clr_wheel_next(&wheel, 100), -1);
}

static clr_timer_t *victim;

static void on_kill(clr_timer_t *t)
{
    (void)t;
    clr_timer_stop(victim);
    free(victim);
}

static void on_never(clr_timer_t *t)
{
    (void)t;
    TEST_FAIL_("a stopped timer fired");
}

TEST(wheel_callback_may_free_a_timer_that_is_due_as_well)
{
    clr_wheel_init(&wheel, 0);
    clr_timer_t killer;
    victim = malloc(sizeof(*victim));
    clr_timer_init(&killer, on_kill);
    clr_timer_init(victim, on_never);
    clr_wheel_start(&wheel, &killer, 10);
    clr_wheel_start(&wheel, victim, 11);
    clr_wheel_advance(&wheel, 20);
}

TEST_MAIN(T(wheel_agrees_with_a_model), T(wheel_agrees_with_a_model_where_the_top_level_wraps),
          T(wheel_holds_deadlines_beyond_its_reach),
          T(wheel_fires_a_past_deadline_at_the_next_advance_only),
          T(wheel_callback_may_free_a_timer_that_is_due_as_well))
