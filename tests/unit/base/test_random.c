#include "test.h"

#include "base/map.h"
#include "base/random.h"

TEST(bytes_differ_from_call_to_call)
{
    char a[64] = {0}, b[64] = {0};
    clr_random_bytes(a, sizeof(a));
    clr_random_bytes(b, sizeof(b));
    EXPECT(memcmp(a, b, sizeof(a)) != 0);
    EXPECT(clr_random_u64() != clr_random_u64());
    clr_random_bytes(a, 0);
}

TEST(large_requests_are_filled_to_the_end)
{
    static char bytes[1 << 20];
    clr_random_bytes(bytes, sizeof(bytes));
    int zeros = 0;
    for (size_t i = sizeof(bytes) - 4096; i < sizeof(bytes); i++)
        zeros += bytes[i] == 0;
    EXPECT(zeros < 200);
}

TEST(ids_are_of_the_url_safe_alphabet_and_unlike_each_other)
{
    static char ids[5000][CLR_ID_LEN];
    clr_map_t seen;
    clr_map_init(&seen, 1);
    for (size_t i = 0; i < clr_array_len(ids); i++) {
        clr_id_generate(ids[i], 0);
        for (size_t c = 0; c < CLR_ID_LEN; c++)
            EXPECT(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                          ids[i][c]));
        EXPECT(clr_map_put(&seen, clr_str(ids[i], CLR_ID_LEN), ids[i]) == NULL);
    }
    clr_map_deinit(&seen);
}

TEST(the_tag_is_the_last_two_characters)
{
    char id[CLR_ID_LEN];
    clr_id_generate(id, 0);
    EXPECT_STR_C(clr_str(id + 22, 2), "AA");
    clr_id_generate(id, 4095);
    EXPECT_STR_C(clr_str(id + 22, 2), "__");
    clr_id_generate(id, 1 << 6 | 2);
    EXPECT_STR_C(clr_str(id + 22, 2), "BC");
    EXPECT_ABORT(clr_id_generate(id, 4096));
}

TEST_MAIN(T(bytes_differ_from_call_to_call), T(large_requests_are_filled_to_the_end),
          T(ids_are_of_the_url_safe_alphabet_and_unlike_each_other),
          T(the_tag_is_the_last_two_characters))
