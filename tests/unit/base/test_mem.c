#include "test.h"

#include "base/assert.h"
#include "base/mem.h"

TEST(nothing_may_be_allocated)
{
    void *p = clr_xmalloc(0);
    EXPECT(p);
    p = clr_xrealloc(p, 0);
    EXPECT(p);
    free(p);
    p = clr_xcalloc(0, 8);
    EXPECT(p);
    free(p);
}

TEST(calloc_is_zeroed)
{
    char *p = clr_xcalloc(100, 3);
    for (int i = 0; i < 300; i++)
        EXPECT_EQ(p[i], 0);
    free(p);
}

TEST(strdup_ends_with_nul)
{
    char *p = clr_xstrdup(clr_str("abcdef", 3));
    EXPECT_STR_C(clr_str_c(p), "abc");
    free(p);
    p = clr_xstrdup(clr_str(NULL, 0));
    EXPECT_STR_C(clr_str_c(p), "");
    free(p);
}

TEST(a_broken_invariant_aborts)
{
    EXPECT_ABORT(CLR_ASSERT(1 + 1 == 3));
    CLR_ASSERT(1 + 1 == 2);
}

TEST_MAIN(T(nothing_may_be_allocated), T(calloc_is_zeroed), T(strdup_ends_with_nul),
          T(a_broken_invariant_aborts))
