#include "test.h"

#include "base/shared.h"

TEST(a_copy_holds_the_bytes_until_the_last_owner_goes)
{
    clr_shared_t *s = clr_shared_copy(CLR_STR("packet"));
    EXPECT(clr_shared_is_sole(s));
    clr_shared_ref(s);
    clr_shared_ref(s);
    EXPECT(!clr_shared_is_sole(s));
    clr_shared_unref(s);
    clr_shared_unref(s);
    EXPECT(clr_shared_is_sole(s));
    EXPECT_STR_C(clr_shared_str(s), "packet");
    clr_shared_unref(s); /* LeakSanitizer sees the end of it */
}

TEST(new_is_empty_with_room)
{
    clr_shared_t *s = clr_shared_new(100);
    EXPECT_EQ(s->len, 0);
    EXPECT_EQ(s->cap, 100);
    memset(s->data, 1, 100);
    clr_shared_unref(s);
}

TEST(nothing_can_be_shared_too)
{
    clr_shared_t *s = clr_shared_copy(clr_str(NULL, 0));
    EXPECT_EQ(clr_shared_str(s).n, 0);
    clr_shared_unref(s);
}

TEST_MAIN(T(a_copy_holds_the_bytes_until_the_last_owner_goes), T(new_is_empty_with_room),
          T(nothing_can_be_shared_too))
