#include "gateway/static_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "test.h"

static char dir[] = "/tmp/clr-static-XXXXXX";
static char public_dir[64];

static void write_file(const char *name, const char *text, int64_t mtime_s)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT(fd >= 0);
    EXPECT_EQ(write(fd, text, strlen(text)), (int64_t)strlen(text));
    struct timespec times[2] = {{mtime_s, 5}, {mtime_s, 5}};
    EXPECT_EQ(futimens(fd, times), 0);
    close(fd);
}

static void link_to(const char *target, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/public/%s", dir, name);
    EXPECT_EQ(symlink(target, path), 0);
}

static void setup(void)
{
    EXPECT(mkdtemp(dir));
    snprintf(public_dir, sizeof(public_dir), "%s/public", dir);
    EXPECT_EQ(mkdir(public_dir, 0700), 0);
    write_file("secret.txt", "secret", 1000);
    write_file("public/app.js", "plain", 1000);
    link_to("../secret.txt", "out.txt");
    link_to("/etc/passwd", "abs.txt");
    link_to("app.js", "in.js");
    link_to("loop", "loop");
}

static void teardown(void)
{
    char command[100];
    snprintf(command, sizeof(command), "rm -r %s", dir);
    EXPECT_EQ(system(command), 0);
}

static int open_name(clr_static_file_t *file, const char *name, const char *accept)
{
    return clr_static_file_open(file, public_dir, clr_str_c(name), clr_str_c(accept));
}

/* What is in the file; it is closed. */
static const char *content(const clr_static_file_t *file)
{
    static char text[64];
    ssize_t n = read(file->fd, text, sizeof(text) - 1);
    EXPECT(n >= 0);
    text[n] = '\0';
    close(file->fd);
    EXPECT_EQ(file->size, n);
    return text;
}

TEST(static_file_opens_what_lies_below_the_directory)
{
    setup();
    clr_static_file_t file;
    EXPECT_EQ(open_name(&file, "app.js", ""), 0);
    EXPECT(strcmp(content(&file), "plain") == 0);
    EXPECT_EQ(file.mtime_s, 1000);
    EXPECT(strcmp(file.etag, "\"e8d4a51005-5\"") == 0);
    EXPECT(!file.coding && file.varies);
    EXPECT_EQ(open_name(&file, "in.js", ""), 0);
    EXPECT(strcmp(content(&file), "plain") == 0);
    EXPECT_EQ(open_name(&file, "", ""), 1);
    EXPECT_EQ(open_name(&file, "out.txt", ""), -EXDEV);
    EXPECT_EQ(open_name(&file, "abs.txt", ""), -EXDEV);
    EXPECT_EQ(open_name(&file, "../secret.txt", ""), -EXDEV);
    EXPECT_EQ(open_name(&file, "loop", ""), -ELOOP);
    EXPECT_EQ(open_name(&file, "nothing", ""), -ENOENT);
    EXPECT_EQ(open_name(&file, "app.js/x", ""), -ENOTDIR);
    teardown();
}

TEST(static_file_names_have_a_limit)
{
    setup();
    clr_static_file_t file;
    clr_buf_t name = {0};
    for (int i = 0; i < 3000; i++)
        clr_buf_append_str(&name, CLR_STR("./"));
    EXPECT_EQ(clr_static_file_open(&file, public_dir, clr_buf_str(&name), CLR_STR_EMPTY),
              -ENAMETOOLONG);
    clr_buf_deinit(&name);
    teardown();
}

TEST(static_file_takes_the_form_that_the_client_likes_best)
{
    setup();
    write_file("public/app.js.br", "br", 1000);
    write_file("public/app.js.gz", "gzip", 1001);
    static const struct {
        const char *accept, *text;
    } cases[] = {{"", "plain"},
                 {"gzip", "gzip"},
                 {"br", "br"},
                 {"gzip, br", "br"},
                 {"br;q=0.1, *", "gzip"},
                 {"*", "br"},
                 {"*;q=0", "plain"},
                 {"gzip;q=0, deflate", "plain"}};
    clr_static_file_t file;
    for (size_t i = 0; i < clr_array_len(cases); i++) {
        EXPECT_EQ(open_name(&file, "app.js", cases[i].accept), 0);
        EXPECT_STR_C(clr_str_c(content(&file)), cases[i].text);
        EXPECT_EQ(file.coding != NULL, strcmp(cases[i].text, "plain") != 0);
        EXPECT(file.varies);
        EXPECT(strcmp(file.type, "text/javascript; charset=utf-8") == 0);
    }
    teardown();
}

TEST(static_file_passes_over_forms_that_are_older_or_no_files)
{
    setup();
    clr_static_file_t file;
    char path[128];
    write_file("public/app.js.br", "br", 999);
    EXPECT_EQ(open_name(&file, "app.js", "br, gzip"), 0);
    EXPECT(strcmp(content(&file), "plain") == 0);
    link_to("../secret.txt", "app.js.gz");
    EXPECT_EQ(open_name(&file, "app.js", "br, gzip"), 0);
    EXPECT(strcmp(content(&file), "plain") == 0);
    /* Images are compressed already. */
    write_file("public/a.png", "png", 1000);
    write_file("public/a.png.gz", "gz", 1000);
    EXPECT_EQ(open_name(&file, "a.png", "gzip"), 0);
    EXPECT(strcmp(content(&file), "png") == 0 && !file.varies);
    snprintf(path, sizeof(path), "%s/a.js.gz", public_dir);
    EXPECT_EQ(mkdir(path, 0700), 0);
    write_file("public/a.js", "plain", 1000);
    EXPECT_EQ(open_name(&file, "a.js", "gzip"), 0);
    EXPECT(strcmp(content(&file), "plain") == 0);
    teardown();
}

TEST(static_file_names_with_a_dot_in_front_are_invisible)
{
    EXPECT(clr_static_file_is_visible(CLR_STR("a/b.c")));
    EXPECT(clr_static_file_is_visible(CLR_STR("")));
    EXPECT(!clr_static_file_is_visible(CLR_STR(".env")));
    EXPECT(!clr_static_file_is_visible(CLR_STR("a/.git/config")));
}

TEST(static_without_openat2_nothing_leads_out_either)
{
    setup();
    const char *root = public_dir;
    int file = clr_static_open_checked(root, "in.js");
    EXPECT(file >= 0);
    close(file);
    file = clr_static_open_checked(root, ".");
    EXPECT(file >= 0);
    close(file);
    EXPECT_EQ(clr_static_open_checked(root, "out.txt"), -EXDEV);
    EXPECT_EQ(clr_static_open_checked(root, "abs.txt"), -EXDEV);
    EXPECT_EQ(clr_static_open_checked(root, "../secret.txt"), -EXDEV);
    EXPECT_EQ(clr_static_open_checked(root, "nothing"), -ENOENT);
    teardown();
}

TEST(static_content_types)
{
    EXPECT(strcmp(clr_static_content_type(CLR_STR("a/b.HTML")), "text/html; charset=utf-8") == 0);
    EXPECT(strcmp(clr_static_content_type(CLR_STR("b.tar.png")), "image/png") == 0);
    EXPECT(strcmp(clr_static_content_type(CLR_STR("a.js/b")), "application/octet-stream") == 0);
    EXPECT(strcmp(clr_static_content_type(CLR_STR("js")), "application/octet-stream") == 0);
    EXPECT(strcmp(clr_static_content_type(CLR_STR("")), "application/octet-stream") == 0);
}

TEST_MAIN(T(static_file_opens_what_lies_below_the_directory), T(static_file_names_have_a_limit),
          T(static_file_takes_the_form_that_the_client_likes_best),
          T(static_file_passes_over_forms_that_are_older_or_no_files),
          T(static_file_names_with_a_dot_in_front_are_invisible),
          T(static_without_openat2_nothing_leads_out_either), T(static_content_types))
