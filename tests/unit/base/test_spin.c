/* When polling begins, and when it is given up. */
#include "base/spin.h"

#include <limits.h>

#include "test.h"

#define US    UINT64_C(1000)
#define LIMIT (50 * US)

static clr_spin_t spin;
static uint64_t now;

/* One wait that ends with input after ns. Returns how long of it was polled, at one poll a µs. */
static uint64_t wait_for(uint64_t ns)
{
    uint64_t began = now;
    while (clr_spin_wait(&spin, now)) {
        if (now - began >= ns) {
            clr_spin_end(&spin, now);
            return now - began;
        }
        now += US;
    }
    uint64_t polled = now - began;
    now = began + (ns > polled ? ns : polled);
    clr_spin_end(&spin, now);
    now += 5 * US; /* at work */
    return polled;
}

static bool polls(void)
{
    return wait_for(10 * US) > 0;
}

/* Short waits until it polls. Returns how many it took. */
static unsigned warm_up(void)
{
    for (unsigned i = 0; i < 1000000; i++) {
        if (polls())
            return i;
    }
    return UINT_MAX;
}

static void reset(uint64_t limit)
{
    clr_spin_init(&spin, limit);
    now = 1000 * US;
}

static void hits(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        EXPECT(polls());
}

TEST(spin_begins_after_short_waits_in_a_row)
{
    reset(LIMIT);
    EXPECT_EQ(warm_up(), 8);
    hits(1000);
}

TEST(spin_never_begins_with_long_waits_among_the_short_ones)
{
    reset(LIMIT);
    for (int i = 0; i < 10000; i++)
        EXPECT_EQ(wait_for(i % 8 == 7 ? 201 * US : 200 * US), 0);
}

TEST(spin_never_begins_without_a_limit)
{
    reset(0);
    for (int i = 0; i < 10000; i++)
        EXPECT_EQ(wait_for(US), 0);
}

TEST(spin_polls_no_longer_than_the_limit)
{
    reset(LIMIT);
    warm_up();
    hits(100);
    EXPECT_EQ(wait_for(1000 * US), LIMIT);
    EXPECT(polls()); /* one miss among many hits is none too many */
}

TEST(spin_gives_up_when_misses_outweigh_hits)
{
    reset(LIMIT);
    warm_up();
    hits(100);
    uint64_t wasted = 0, once;
    while ((once = wait_for(100 * US)) > 0)
        wasted += once;
    EXPECT_EQ(wasted, 5 * LIMIT);
}

TEST(spin_goes_on_while_hits_pay_for_misses)
{
    reset(LIMIT);
    warm_up();
    for (int i = 0; i < 1000; i++) {
        hits(4);
        EXPECT_EQ(wait_for(100 * US), LIMIT);
    }
}

TEST(spin_tries_ever_more_rarely_when_it_does_not_pay)
{
    reset(LIMIT);
    uint64_t wasted = 0;
    /* Waits that look short when asleep, and are too long to be polled. */
    for (int i = 0; i < 100000; i++)
        wasted += wait_for(100 * US);
    EXPECT(wasted <= 60 * LIMIT); /* of 200,000 */
    EXPECT_EQ(spin.needed, 2048); /* no fewer attempts: it may pay by now */
    while (!polls())
        continue;
    hits(1100); /* this time it paid… */
    while (wait_for(100 * US) > 0)
        continue;
    EXPECT_EQ(1 + warm_up(), 8); /* …and starts soon again: the last of these was short, asleep */
}

TEST(spin_gives_up_at_once_when_the_processor_is_lost)
{
    reset(LIMIT);
    warm_up();
    hits(100);
    EXPECT(clr_spin_wait(&spin, now));
    now += 3000 * US; /* someone else had it */
    clr_spin_end(&spin, now);
    EXPECT_EQ(wait_for(10 * US), 0);

    reset(LIMIT);
    warm_up();
    hits(100);
    EXPECT(clr_spin_wait(&spin, now));
    now += 3000 * US;
    EXPECT(!clr_spin_wait(&spin, now)); /* without input in the end */
    clr_spin_end(&spin, now);
    EXPECT_EQ(wait_for(10 * US), 0);
}

TEST(spin_end_without_a_wait_is_nothing)
{
    reset(LIMIT);
    for (int i = 0; i < 100; i++)
        clr_spin_end(&spin, now);
    EXPECT(!polls());
}

TEST_MAIN(T(spin_begins_after_short_waits_in_a_row),
          T(spin_never_begins_with_long_waits_among_the_short_ones),
          T(spin_never_begins_without_a_limit), T(spin_polls_no_longer_than_the_limit),
          T(spin_gives_up_when_misses_outweigh_hits), T(spin_goes_on_while_hits_pay_for_misses),
          T(spin_tries_ever_more_rarely_when_it_does_not_pay),
          T(spin_gives_up_at_once_when_the_processor_is_lost),
          T(spin_end_without_a_wait_is_nothing))
