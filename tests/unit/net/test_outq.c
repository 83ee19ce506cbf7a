#include "net/outq.h"

#include <errno.h>

#include "test.h"

static clr_outq_t q;
static uv_buf_t iov[CLR_OUTQ_GATHER];

static void push(const char *text)
{
    size_t n = strlen(text);
    memcpy(clr_outq_reserve(&q, n), text, n);
    clr_outq_commit(&q, n);
}

static int file_of(const char *text)
{
    char path[] = "/tmp/clr-outq-XXXXXX";
    int fd = mkstemp(path);
    EXPECT(fd >= 0);
    unlink(path);
    EXPECT_EQ(write(fd, text, strlen(text)), (int64_t)strlen(text));
    return fd;
}

static void push_file(const char *text, uint64_t at, uint64_t left)
{
    clr_outq_push_file(&q, &(clr_outq_file_t){.fd = file_of(text), .at = at, .left = left});
}

/* All that can be gathered, which is then consumed. */
static void expect_bytes(const char *text)
{
    char got[256];
    size_t total, n = 0;
    EXPECT(!clr_outq_file(&q));
    unsigned count = clr_outq_gather(&q, iov, &total);
    EXPECT(total < sizeof(got));
    for (unsigned i = 0; i < count; i++) {
        memcpy(got + n, iov[i].base, iov[i].len);
        n += iov[i].len;
    }
    EXPECT_EQ(n, total);
    EXPECT_STR_C(clr_str(got, n), text);
    clr_outq_consume(&q, total);
}

TEST(outq_keeps_the_order_of_all_kinds)
{
    clr_shared_t *shared = clr_shared_copy(CLR_STR("[shared]"));
    push("one ");
    push("two ");
    clr_outq_push_shared(&q, shared, 1, 6);
    clr_outq_push_heap(&q, strdup(" heap "), 0, 6);
    push_file("0123456789", 2, 5);
    push("last");
    EXPECT(clr_shared_is_sole(shared)); /* so short that it was copied */
    expect_bytes("one two shared heap ");
    clr_outq_file_t *file = clr_outq_file(&q);
    EXPECT(file && file->at == 2 && file->left == 5);
    clr_outq_file_sent(&q, 3);
    EXPECT(file->at == 5 && file->left == 2);
    clr_outq_file_sent(&q, 2);
    expect_bytes("last");
    EXPECT(clr_outq_is_empty(&q));
    clr_shared_unref(shared);
}

TEST(outq_counts_long_shared_bytes_instead_of_copying_them)
{
    char text[1001];
    memset(text, 'x', sizeof(text));
    clr_shared_t *shared = clr_shared_copy(clr_str(text, sizeof(text)));
    clr_outq_push_shared(&q, shared, 0, 1000);
    clr_outq_push_shared(&q, shared, 1, 1000);
    EXPECT(!clr_shared_is_sole(shared));
    clr_outq_consume(&q, 1500);
    size_t total;
    EXPECT_EQ(clr_outq_gather(&q, iov, &total), 1);
    EXPECT_EQ(total, 500);
    clr_outq_discard(&q);
    EXPECT(clr_shared_is_sole(shared));
    clr_shared_unref(shared);
}

TEST(outq_gathers_a_bounded_number_up_to_a_file)
{
    size_t total;
    for (int i = 0; i < CLR_OUTQ_GATHER + 5; i++)
        clr_outq_push_heap(&q, strdup("x"), 0, 1);
    EXPECT_EQ(clr_outq_gather(&q, iov, &total), CLR_OUTQ_GATHER);
    EXPECT_EQ(total, CLR_OUTQ_GATHER);
    clr_outq_consume(&q, total);
    push_file("abc", 0, 3);
    push("after");
    EXPECT_EQ(clr_outq_gather(&q, iov, &total), 5);
    clr_outq_consume(&q, 5);
    EXPECT(clr_outq_file(&q));
    clr_outq_discard(&q);
    EXPECT(clr_outq_is_empty(&q));
}

TEST(outq_chunks_that_were_reserved_for_nothing_go)
{
    (void)clr_outq_reserve(&q, 10);
    clr_outq_commit(&q, 0);
    EXPECT(!clr_outq_is_empty(&q));
    EXPECT(!clr_outq_file(&q));
    EXPECT(clr_outq_is_empty(&q));
    (void)clr_outq_reserve(&q, 10);
    push_file("abc", 0, 3);
    EXPECT(clr_outq_file(&q));
    clr_outq_discard(&q);
}

TEST(outq_reads_files_into_memory_in_place)
{
    push_file("0123456789", 3, 6);
    push("after");
    EXPECT_EQ(clr_outq_read_file(&q, 4), 4);
    expect_bytes("3456");
    EXPECT_EQ(clr_outq_file(&q)->left, 2);
    EXPECT_EQ(clr_outq_read_file(&q, 100), 2);
    expect_bytes("78after");
    EXPECT(clr_outq_is_empty(&q));
    push_file("012", 3, 1);
    EXPECT_EQ(clr_outq_read_file(&q, 4), 0); /* shorter than it was said to be */
    clr_outq_discard(&q);
    clr_outq_push_file(&q, &(clr_outq_file_t){.fd = open("/", O_RDONLY | O_CLOEXEC), .left = 1});
    EXPECT_EQ(clr_outq_read_file(&q, 4), -EISDIR);
    clr_outq_discard(&q);
}

TEST(outq_holds_writers_to_what_they_reserved)
{
    EXPECT_ABORT(clr_outq_commit(&q, 1));
    EXPECT_ABORT(((void)clr_outq_reserve(&q, 1), clr_outq_commit(&q, 100000)));
    push("abc");
    EXPECT_ABORT(clr_outq_consume(&q, 4));
    EXPECT_ABORT(clr_outq_file_sent(&q, 1));
    clr_outq_discard(&q);
}

TEST(outq_reopens_what_was_queued_last)
{
    char block[400];
    memset(block, 'x', sizeof(block));
    EXPECT(!clr_outq_reopen(&q, 0, 0));
    push("one ");
    push("two");
    char *at = clr_outq_reopen(&q, 3, 6);
    EXPECT(at && memcmp(at, "two", 3) == 0);
    memcpy(at, "2 and more", 9);
    clr_outq_commit(&q, 6);
    EXPECT(!clr_outq_reopen(&q, 14, 0)); /* there are 13 */
    EXPECT(!clr_outq_reopen(&q, 1, 512));
    clr_outq_consume(&q, 4);
    EXPECT(!clr_outq_reopen(&q, 10, 0));
    EXPECT(clr_outq_reopen(&q, 9, 1));
    expect_bytes("2 and mor");
    clr_shared_t *shared = clr_shared_copy(clr_str(block, sizeof(block)));
    clr_outq_push_shared(&q, shared, 0, 300);
    EXPECT(!clr_outq_reopen(&q, 1, 0)); /* not ours to change */
    push("again");
    EXPECT(clr_outq_reopen(&q, 5, 1));
    EXPECT(!clr_outq_reopen(&q, 6, 1));
    clr_outq_discard(&q);
    clr_shared_unref(shared);
}

TEST_MAIN(T(outq_reopens_what_was_queued_last), T(outq_keeps_the_order_of_all_kinds),
          T(outq_counts_long_shared_bytes_instead_of_copying_them),
          T(outq_gathers_a_bounded_number_up_to_a_file),
          T(outq_chunks_that_were_reserved_for_nothing_go),
          T(outq_reads_files_into_memory_in_place), T(outq_holds_writers_to_what_they_reserved))
