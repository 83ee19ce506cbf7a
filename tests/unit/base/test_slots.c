#include "test.h"

#include "base/slots.h"

TEST(an_empty_table_knows_no_handle)
{
    clr_slots_t s;
    clr_slots_init(&s);
    EXPECT(clr_slots_get(&s, 0) == NULL);
    EXPECT(clr_slots_get(&s, UINT64_MAX) == NULL);
    EXPECT(clr_slots_remove(&s, 1) == NULL);
    EXPECT_EQ(s.count, 0);
    clr_slots_deinit(&s);
}

TEST(handles_find_their_values)
{
    static int values[1000];
    uint64_t handles[1000];
    clr_slots_t s;
    clr_slots_init(&s);
    for (int i = 0; i < 1000; i++) {
        handles[i] = clr_slots_add(&s, &values[i]);
        EXPECT(handles[i] != 0);
    }
    EXPECT_EQ(s.count, 1000);
    for (int i = 0; i < 1000; i++)
        EXPECT(clr_slots_get(&s, handles[i]) == &values[i]);
    clr_slots_deinit(&s);
    EXPECT(clr_slots_get(&s, handles[0]) == NULL);
}

TEST(a_removed_handle_stays_dead_after_its_place_is_taken)
{
    int a, b;
    clr_slots_t s;
    clr_slots_init(&s);
    uint64_t first = clr_slots_add(&s, &a);
    EXPECT(clr_slots_remove(&s, first) == &a);
    EXPECT(clr_slots_remove(&s, first) == NULL);
    uint64_t second = clr_slots_add(&s, &b);
    EXPECT_EQ((uint32_t)second, (uint32_t)first); /* the same place */
    EXPECT(second != first);
    EXPECT(clr_slots_get(&s, first) == NULL);
    EXPECT(clr_slots_get(&s, second) == &b);
    EXPECT_EQ(s.count, 1);
    clr_slots_deinit(&s);
}

TEST(a_handle_with_any_bit_changed_finds_nothing)
{
    int a;
    clr_slots_t s;
    clr_slots_init(&s);
    uint64_t handle = clr_slots_add(&s, &a);
    for (int bit = 0; bit < 64; bit++)
        EXPECT(clr_slots_get(&s, handle ^ UINT64_C(1) << bit) == NULL);
    clr_slots_deinit(&s);
}

TEST(the_generation_of_a_free_place_is_not_a_live_handle)
{
    int a;
    clr_slots_t s;
    clr_slots_init(&s);
    uint64_t handle = clr_slots_add(&s, &a);
    clr_slots_remove(&s, handle);
    EXPECT(clr_slots_get(&s, handle + (UINT64_C(1) << 32)) == NULL);
    EXPECT(clr_slots_remove(&s, handle + (UINT64_C(1) << 32)) == NULL);
    clr_slots_deinit(&s);
}

TEST(a_place_out_of_generations_is_retired)
{
    int a, b;
    clr_slots_t s;
    clr_slots_init(&s);
    uint64_t handle = clr_slots_add(&s, &a);
    clr_slots_remove(&s, handle);
    uint32_t index = (uint32_t)handle;
    s.slots_[index].generation_ = UINT32_MAX; /* as after that many removals */
    uint64_t last = clr_slots_add(&s, &a);
    EXPECT_EQ((uint32_t)last, index);
    EXPECT_EQ(last >> 32, UINT32_MAX);
    EXPECT(clr_slots_remove(&s, last) == &a);
    for (int i = 0; i < 100; i++)
        EXPECT((uint32_t)clr_slots_add(&s, &b) != index);
    EXPECT(clr_slots_get(&s, last) == NULL);
    clr_slots_deinit(&s);
}

#define LIVE_MAX 500

TEST(random_adds_and_removes_match_a_model)
{
    static char values[LIVE_MAX];
    uint64_t live[LIVE_MAX] = {0};
    uint64_t dead[LIVE_MAX] = {0};
    uint64_t random = 1;
    clr_slots_t s;
    clr_slots_init(&s);
    for (int step = 0; step < 50000; step++) {
        size_t i = test_random(&random) % LIVE_MAX;
        if (live[i]) {
            EXPECT(clr_slots_remove(&s, live[i]) == &values[i]);
            dead[i] = live[i];
            live[i] = 0;
        } else {
            live[i] = clr_slots_add(&s, &values[i]);
        }
        size_t j = test_random(&random) % LIVE_MAX;
        EXPECT(clr_slots_get(&s, dead[j]) == NULL);
        EXPECT(clr_slots_get(&s, live[j]) == (live[j] ? &values[j] : NULL));
    }
    EXPECT(s.cap_ <= 512);
    clr_slots_deinit(&s);
}

TEST_MAIN(T(an_empty_table_knows_no_handle), T(handles_find_their_values),
          T(a_removed_handle_stays_dead_after_its_place_is_taken),
          T(a_handle_with_any_bit_changed_finds_nothing),
          T(the_generation_of_a_free_place_is_not_a_live_handle),
          T(a_place_out_of_generations_is_retired), T(random_adds_and_removes_match_a_model))
