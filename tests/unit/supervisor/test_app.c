/* What APP may be, and what is said about what it is not. */
#include "supervisor/app.h"
#include "temp.h"

static clr_app_t app;
static clr_error_t error;

static int resolve(const char *spec, const char *work_dir)
{
    clr_app_deinit(&app);
    error = (clr_error_t){0};
    return clr_app_resolve(&app, spec, work_dir, &error);
}

#define EXPECT_REFUSED(said, spec)                                                                 \
    do {                                                                                           \
        EXPECT(resolve(spec, NULL) < 0);                                                           \
        EXPECT_STR_C(clr_str_c(error.text), said);                                                 \
        clr_app_deinit(&app);                                                                      \
    } while (0)

#define EXPECT_APP(target_, attr_, file_, dir_)                                                    \
    do {                                                                                           \
        EXPECT_STR_C(clr_str_c(app.target), target_);                                              \
        EXPECT_STR(clr_str_c(app.attr), clr_str_c(attr_));                                         \
        EXPECT_STR(clr_str_c(app.file), clr_str_c(file_));                                         \
        EXPECT_STR_C(clr_str_c(app.dir), dir_);                                                    \
    } while (0)

static void make_tree(void)
{
    temp_enter();
    temp_dir("chat");
    temp_dir("chat/public");
    temp_dir("pkg");
    temp_dir("pkg/sub");
    temp_file("chat/app.py", 0644, "");
    temp_file("my-app.py", 0644, "");
    temp_file("odd:name.py", 0644, "");
    temp_file("notes.txt", 0644, "");
    temp_file("pkg/__init__.py", 0644, "");
    temp_file("pkg/sub/main.py", 0644, "");
}

TEST(a_file)
{
    make_tree();
    EXPECT_EQ(resolve("chat/app.py", NULL), 0);
    EXPECT_APP("chat/app.py", NULL, "chat/app.py", "chat");
    char *public_dir = clr_app_public_dir(&app);
    EXPECT_STR_C(clr_str_c(public_dir), "chat/public");
    free(public_dir);
    EXPECT_EQ(resolve("my-app.py:sio", NULL), 0);
    EXPECT_APP("my-app.py", "sio", "my-app.py", ".");
    EXPECT(!clr_app_public_dir(&app));
    EXPECT_EQ(resolve("odd:name.py", NULL), 0);
    EXPECT_APP("odd:name.py", NULL, "odd:name.py", ".");
    clr_app_deinit(&app);
}

TEST(a_module)
{
    make_tree();
    EXPECT_EQ(resolve("pkg.sub.main:server.sio", NULL), 0);
    EXPECT_APP("pkg.sub.main", "server.sio", "pkg/sub/main.py", "pkg/sub");
    EXPECT_EQ(resolve("pkg", NULL), 0);
    EXPECT_APP("pkg", NULL, "pkg/__init__.py", "pkg");
    EXPECT_EQ(resolve("somewhere.else", NULL), 0); /* an installed one, perhaps */
    EXPECT_APP("somewhere.else", NULL, NULL, ".");
    clr_app_deinit(&app);
}

TEST(beside_another_directory)
{
    make_tree();
    EXPECT_EQ(resolve("app.py", "chat"), 0);
    EXPECT_APP("app.py", NULL, "chat/app.py", "chat");
    EXPECT_STR_C(clr_str_c(app.work_dir), "chat");
    EXPECT_EQ(resolve("app", "chat"), 0);
    EXPECT_APP("app", NULL, "chat/app.py", "chat");
    EXPECT(resolve("app.py", "nowhere") < 0);
    EXPECT_STR_C(clr_str_c(error.text), "--app-dir: nowhere is not a directory");
    clr_app_deinit(&app);
}

TEST(what_is_no_app)
{
    make_tree();
    EXPECT_REFUSED("cannot read nothing.py: No such file or directory", "nothing.py");
    EXPECT_REFUSED("cannot read chat/nothing.py: No such file or directory", "chat/nothing.py:sio");
    EXPECT_REFUSED("chat is a directory, not an app; did you mean chat/app.py?", "chat");
    EXPECT_REFUSED("chat/ is a directory, not an app; did you mean chat/app.py?", "chat/");
    EXPECT_REFUSED("./notes.txt is not a Python file (.py)", "./notes.txt");
    EXPECT_REFUSED("notes-txt is neither a Python file (.py) nor a module", "notes-txt");
    EXPECT_REFUSED("my-app is neither a Python file (.py) nor a module; did you mean my-app.py?",
                   "my-app");
    EXPECT_REFUSED("chat/app.py:1: what follows the colon is not a name", "chat/app.py:1");
    EXPECT_REFUSED("chat/app.py:: what follows the colon is not a name", "chat/app.py:");
    EXPECT_REFUSED("a..b is neither a Python file (.py) nor a module", "a..b");
    if (geteuid() != 0) {
        temp_file("secret.py", 0, "");
        EXPECT_REFUSED("cannot read secret.py: Permission denied", "secret.py");
    }
}

TEST_MAIN(T(a_file), T(a_module), T(beside_another_directory), T(what_is_no_app))
