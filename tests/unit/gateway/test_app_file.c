/* Files as (part of) the application's response. */
#include "app_fixture.h"

#define END CLR_FRAME_END

static const char *temp_path(void)
{
    static char path[64];
    snprintf(path, sizeof(path), "/tmp/clr_app_response.%d", (int)getpid());
    return path;
}

static void write_temp(clr_str_t bytes)
{
    int fd = open(temp_path(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    EXPECT(fd >= 0);
    EXPECT_EQ(write(fd, bytes.p, bytes.n), (ssize_t)bytes.n);
    close(fd);
}

static void ask_file(fake_t *f, uint64_t *stream, int *fd, const char *headers)
{
    *fd = app_ask("GET", "1", APP_CLOSING);
    *stream = app_taken(f).stream;
    app_start(f, *stream, 0, 200, headers, "");
}

TEST(app_file_by_its_path)
{
    fake_t f;
    app_setup(&f);
    write_temp(CLR_STR("0123456789"));
    uint64_t stream;
    int fd;
    ask_file(&f, &stream, &fd, "content-length: 10");
    app_file(&f, stream, END, temp_path(), 0, CLR_FILE_REST);
    EXPECT_EQ(app_number(fake_expect(&f, CLR_FRAME_HTTP_FILE_DONE)), 0);
    clr_buf_t got = app_read_all(fd);
    app_expect_text(got, "Content-Length: 10\r\n");
    app_expect_text(got, "\r\n\r\n0123456789");
    clr_buf_deinit(&got);
    EXPECT_EQ(app_count(), 0);
    unlink(temp_path());
    app_teardown(&f);
}

TEST(app_file_parts_among_other_data)
{
    fake_t f;
    app_setup(&f);
    write_temp(CLR_STR("0123456789"));
    uint64_t stream;
    int fd;
    ask_file(&f, &stream, &fd, NULL);
    fake_text(&f, CLR_FRAME_HTTP_DATA, 0, stream, "<");
    app_file(&f, stream, 0, temp_path(), 2, 3);
    EXPECT_EQ(app_number(fake_expect(&f, CLR_FRAME_HTTP_FILE_DONE)), 0);
    app_file(&f, stream, 0, temp_path(), 8, 100); /* as much as there is */
    EXPECT_EQ(app_number(fake_expect(&f, CLR_FRAME_HTTP_FILE_DONE)), 0);
    app_file(&f, stream, 0, temp_path(), 50, CLR_FILE_REST);
    EXPECT_EQ(app_number(fake_expect(&f, CLR_FRAME_HTTP_FILE_DONE)), 0);
    fake_text(&f, CLR_FRAME_HTTP_DATA, END, stream, ">");
    clr_buf_t got = app_read_all(fd);
    app_expect_text(got, "\r\n\r\n1\r\n<\r\n3\r\n234\r\n2\r\n89\r\n1\r\n>\r\n0\r\n\r\n");
    clr_buf_deinit(&got);
    unlink(temp_path());
    app_teardown(&f);
}

TEST(app_file_large_and_whole)
{
    enum { SIZE = 5 << 20 };
    fake_t f;
    app_setup(&f);
    clr_buf_t bytes = {0};
    char *to = clr_buf_reserve(&bytes, SIZE);
    for (size_t i = 0; i < SIZE; i++)
        to[i] = (char)(i * 7 + i / 251);
    bytes.n = SIZE;
    write_temp(clr_buf_str(&bytes));
    uint64_t stream;
    int fd;
    char length[40];
    snprintf(length, sizeof(length), "content-length: %d", SIZE);
    ask_file(&f, &stream, &fd, length);
    app_file(&f, stream, END, temp_path(), 0, CLR_FILE_REST);
    clr_buf_t got = app_read_all(fd);
    EXPECT_EQ(app_number(fake_expect(&f, CLR_FRAME_HTTP_FILE_DONE)), 0);
    const char *body = memmem(got.p, got.n, "\r\n\r\n", 4);
    EXPECT(body != NULL);
    EXPECT_EQ(got.p + got.n - (body + 4), SIZE);
    EXPECT(memcmp(body + 4, bytes.p, SIZE) == 0);
    clr_buf_deinit(&got);
    clr_buf_deinit(&bytes);
    unlink(temp_path());
    app_teardown(&f);
}

TEST(app_file_that_cannot_be_sent)
{
    static const struct {
        const char *path;
        int error;
    } cases[] = {
        {"/nowhere/at/all", ENOENT}, {"/dev/null", EINVAL}, {"/tmp", EINVAL}, {"", EINVAL}};
    fake_t f;
    app_setup(&f);
    for (size_t i = 0; i < clr_array_len(cases); i++) {
        uint64_t stream;
        int fd;
        ask_file(&f, &stream, &fd, NULL);
        app_file(&f, stream, 0, cases[i].path, 0, CLR_FILE_REST);
        EXPECT_EQ(app_number(fake_expect(&f, CLR_FRAME_HTTP_FILE_DONE)), cases[i].error);
        fake_text(&f, CLR_FRAME_HTTP_DATA, END, stream, "instead"); /* the application may go on */
        clr_buf_t got = app_read_all(fd);
        app_expect_text(got, "7\r\ninstead\r\n0\r\n\r\n");
        clr_buf_deinit(&got);
        ask_file(&f, &stream, &fd, NULL);
        app_file(&f, stream, END, cases[i].path, 0, CLR_FILE_REST);
        EXPECT_EQ(app_number(fake_expect(&f, CLR_FRAME_HTTP_FILE_DONE)), cases[i].error);
        got = app_read_all(fd);
        EXPECT(!buf_has(&got, "0\r\n\r\n"));
        clr_buf_deinit(&got);
    }
    EXPECT_EQ(app_count(), 0);
    app_teardown(&f);
}

/* More than the kernel takes of it at once. */
static void write_big(void)
{
    enum { SIZE = 32 << 20 };
    clr_buf_t bytes = {0};
    memset(clr_buf_reserve(&bytes, SIZE), 'x', SIZE);
    bytes.n = SIZE;
    write_temp(clr_buf_str(&bytes));
    clr_buf_deinit(&bytes);
}

TEST(app_file_data_during_a_file_is_a_violation)
{
    fake_t f;
    app_setup(&f);
    write_big();
    uint64_t stream;
    int fd;
    ask_file(&f, &stream, &fd, NULL);
    app_file(&f, stream, 0, temp_path(), 0, CLR_FILE_REST); /* nobody reads */
    fake_text(&f, CLR_FRAME_HTTP_DATA, 0, stream, "x");
    fake_wait_gone(&f);
    EXPECT_EQ(f.gone_reason, CLR_EPROTO);
    close(fd);
    unlink(temp_path());
    app_teardown(&f);
}

TEST(app_file_to_a_client_that_leaves)
{
    fake_t f;
    app_setup(&f);
    write_big();
    uint64_t stream;
    int fd;
    ask_file(&f, &stream, &fd, NULL);
    app_file(&f, stream, END, temp_path(), 0, CLR_FILE_REST);
    close(fd);
    EXPECT_EQ(fake_expect(&f, CLR_FRAME_HTTP_GONE).stream, stream);
    EXPECT_EQ(app_count(), 0);
    unlink(temp_path());
    app_teardown(&f);
}

TEST_MAIN(T(app_file_by_its_path), T(app_file_parts_among_other_data), T(app_file_large_and_whole),
          T(app_file_that_cannot_be_sent), T(app_file_data_during_a_file_is_a_violation),
          T(app_file_to_a_client_that_leaves))
