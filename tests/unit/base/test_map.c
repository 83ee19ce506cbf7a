#include "test.h"

#include "base/map.h"

/* Computed with another implementation, which was checked against the published SipHash-2-4 vector
 * and against CPython's hash of bytes: SipHash-1-3 of the bytes 0, 1, 2, … with the seed as both
 * halves of the key. */
TEST(hash_matches_an_independent_implementation)
{
    static const struct {
        uint64_t seed;
        size_t n;
        uint64_t hash;
    } known[] = {
        {UINT64_C(0x0), 0, UINT64_C(0xd1fba762150c532c)},
        {UINT64_C(0x0), 1, UINT64_C(0x68a914128e01e473)},
        {UINT64_C(0x0), 7, UINT64_C(0x2f098ab0c751325a)},
        {UINT64_C(0x0), 8, UINT64_C(0xead411e67ebe2eea)},
        {UINT64_C(0x0), 9, UINT64_C(0x75927f9d95124362)},
        {UINT64_C(0x0), 15, UINT64_C(0xf30eb725bb91c9ea)},
        {UINT64_C(0x0), 63, UINT64_C(0x385d3e39e5f37359)},
        {UINT64_C(0x123456789abcdef), 0, UINT64_C(0x7772128d8337b8ed)},
        {UINT64_C(0x123456789abcdef), 1, UINT64_C(0x3806ed69f4fb2815)},
        {UINT64_C(0x123456789abcdef), 7, UINT64_C(0x69e785e44b329308)},
        {UINT64_C(0x123456789abcdef), 8, UINT64_C(0x29673127ae29c94e)},
        {UINT64_C(0x123456789abcdef), 9, UINT64_C(0xd15014aeb507007e)},
        {UINT64_C(0x123456789abcdef), 15, UINT64_C(0xae32cae3070a15da)},
        {UINT64_C(0x123456789abcdef), 63, UINT64_C(0xaa239d95f8ec4bfd)},
    };
    char bytes[64];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    for (size_t i = 0; i < clr_array_len(known); i++)
        EXPECT_EQ(clr_hash(clr_str(bytes, known[i].n), known[i].seed), known[i].hash);
}

TEST(hash_depends_on_the_seed)
{
    EXPECT(clr_hash(CLR_STR("room"), 1) != clr_hash(CLR_STR("room"), 2));
}

TEST(an_empty_map_finds_nothing_and_holds_no_memory)
{
    clr_map_t m;
    clr_map_init(&m, 1);
    EXPECT(clr_map_get(&m, CLR_STR("a")) == NULL);
    EXPECT(clr_map_remove(&m, CLR_STR("a")) == NULL);
    clr_map_entry_t e;
    size_t cursor = 0;
    EXPECT(!clr_map_next(&m, &cursor, &e));
    EXPECT(m.slots_ == NULL);
    clr_map_deinit(&m);
}

TEST(put_returns_what_was_there)
{
    clr_map_t m;
    int a, b;
    clr_map_init(&m, 1);
    EXPECT(clr_map_put(&m, CLR_STR("k"), &a) == NULL);
    EXPECT(clr_map_put(&m, CLR_STR("k"), &b) == &a);
    EXPECT_EQ(m.count, 1);
    EXPECT(clr_map_get(&m, CLR_STR("k")) == &b);
    EXPECT(clr_map_remove(&m, CLR_STR("k")) == &b);
    EXPECT_EQ(m.count, 0);
    EXPECT_ABORT(clr_map_put(&m, CLR_STR("k"), NULL));
    clr_map_deinit(&m);
}

TEST(put_borrows_the_newest_key)
{
    char first[] = "key", second[] = "key";
    clr_map_t m;
    int value;
    clr_map_init(&m, 1);
    clr_map_put(&m, clr_str_c(first), &value);
    clr_map_put(&m, clr_str_c(second), &value);
    memset(first, 'x', 3); /* the first owner is gone */
    EXPECT(clr_map_get(&m, CLR_STR("key")) == &value);
    clr_map_deinit(&m);
}

TEST(keys_may_be_empty_and_hold_any_byte)
{
    clr_map_t m;
    int a, b, c;
    clr_map_init(&m, 1);
    clr_map_put(&m, CLR_STR(""), &a);
    clr_map_put(&m, CLR_STR("\0"), &b);
    clr_map_put(&m, CLR_STR("\0\0"), &c);
    EXPECT(clr_map_get(&m, clr_str(NULL, 0)) == &a);
    EXPECT(clr_map_get(&m, CLR_STR("\0")) == &b);
    EXPECT(clr_map_get(&m, CLR_STR("\0\0")) == &c);
    clr_map_deinit(&m);
}

#define MODEL_KEYS 3000

typedef struct model_key {
    char text[12];
    bool present;
} model_key_t;

static void check_against_model(const clr_map_t *m, const model_key_t *keys)
{
    size_t expected = 0;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        const void *value = clr_map_get(m, clr_str_c(keys[i].text));
        EXPECT(value == (keys[i].present ? &keys[i] : NULL));
        expected += keys[i].present;
    }
    EXPECT_EQ(m->count, expected);
    size_t cursor = 0, seen = 0;
    clr_map_entry_t e;
    while (clr_map_next(m, &cursor, &e)) {
        EXPECT(((const model_key_t *)e.value)->present);
        EXPECT_STR_C(e.key, ((const model_key_t *)e.value)->text);
        seen++;
    }
    EXPECT_EQ(seen, expected);
}

TEST(random_puts_and_removes_match_a_model)
{
    static model_key_t keys[MODEL_KEYS];
    uint64_t random = 1;
    clr_map_t m;
    clr_map_init(&m, 42);
    for (size_t i = 0; i < MODEL_KEYS; i++)
        snprintf(keys[i].text, sizeof(keys[i].text), "key%zu", i);
    for (int step = 0; step < 60000; step++) {
        /* Phases of growth and of decline, so that the map resizes both ways. */
        bool put = test_random(&random) % 10 < (step / 10000 % 2 ? 2u : 8u);
        model_key_t *k = &keys[test_random(&random) % MODEL_KEYS];
        void *before =
            put ? clr_map_put(&m, clr_str_c(k->text), k) : clr_map_remove(&m, clr_str_c(k->text));
        EXPECT(before == (k->present ? k : NULL));
        k->present = put;
        if (step % 3000 == 0)
            check_against_model(&m, keys);
    }
    check_against_model(&m, keys);
    clr_map_deinit(&m);
}

TEST(memory_shrinks_with_the_contents)
{
    static char keys[4096][8];
    clr_map_t m;
    clr_map_init(&m, 3);
    for (int i = 0; i < 4096; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%d", i);
        clr_map_put(&m, clr_str_c(keys[i]), keys[i]);
    }
    for (int i = 0; i < 4096; i++)
        EXPECT(clr_map_remove(&m, clr_str_c(keys[i])) == keys[i]);
    EXPECT_EQ(m.count, 0);
    EXPECT(m.cap_ <= 8);
    clr_map_deinit(&m);
}

TEST_MAIN(T(hash_matches_an_independent_implementation), T(hash_depends_on_the_seed),
          T(an_empty_map_finds_nothing_and_holds_no_memory), T(put_returns_what_was_there),
          T(put_borrows_the_newest_key), T(keys_may_be_empty_and_hold_any_byte),
          T(random_puts_and_removes_match_a_model), T(memory_shrinks_with_the_contents))
