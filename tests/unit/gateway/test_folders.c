#include "gateway/folders.h"

#include "base/buf.h"
#include "test.h"

/* A list's nodes point to its head: it is filled where it stays. */
static void get(clr_list_t *out, const char *json)
{
    clr_error_t err = {0};
    clr_list_init(out);
    EXPECT_EQ(clr_folders_parse(out, clr_str_c(json), &err), 0);
}

static void expect_refused(const char *json, size_t n)
{
    clr_list_t list;
    clr_error_t err = {0};
    clr_list_init(&list);
    if (clr_folders_parse(&list, clr_str(json, n), &err) != CLR_EPROTO)
        TEST_FAIL_("%s was taken", json);
    EXPECT(clr_list_is_empty(&list));
    EXPECT(err.text[0] != '\0');
}

static void expect_bad(const char *json)
{
    expect_refused(json, strlen(json));
}

/* The directories in which the path is looked for, in order. */
static void expect_found(const clr_folders_t *folders, const char *path, const char *directories)
{
    char found[200] = "";
    const clr_folder_t *folder = NULL;
    while ((folder = clr_folders_find(folders, folder, clr_str_c(path))))
        strncat(strncat(found, folder->directory, 50), " ", 2);
    EXPECT_STR_C(clr_str_c(found), directories);
}

TEST(folders_are_what_an_app_frame_says)
{
    clr_list_t list;
    get(&list, "{\"folders\":{\"/assets\":\"/srv/a\",\"/chat/v1.2/as-s_e~ts\":\"/\"},\"more\":1}");
    const clr_folder_t *first = clr_container_of(list.next, clr_folder_t, node_);
    EXPECT_STR_C(first->path, "/assets");
    EXPECT_STR_C(clr_str_c(first->directory), "/srv/a");
    clr_folders_drop(&list);
    EXPECT(clr_list_is_empty(&list));
    for (int i = 0; i < 2; i++) {
        get(&list, i ? "{}" : "{\"folders\":{}}");
        EXPECT(clr_list_is_empty(&list));
    }
}

TEST(folders_that_no_sound_worker_says_are_refused)
{
    static const char *const paths[] = {"",       "/",     "assets",  "/assets/",
                                        "//a",    "/a//b", "/a/../b", "/.git",
                                        "/a%20b", "/a b",  "/a?b",    "/\\u00e9"};
    char json[800];
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        snprintf(json, sizeof(json), "{\"folders\":{\"/ok\":\"/d\",\"%s\":\"/d\"}}", paths[i]);
        expect_bad(json);
    }
    expect_bad("{\"folders\":{\"/a\":\"\"}}");
    expect_bad("{\"folders\":{\"/a\":\"d\"}}");
    expect_bad("{\"folders\":{\"/a\":\"\\u0000/d\"}}");
    expect_bad("{\"folders\":{\"/a\":7}}");
    expect_bad("{\"folders\":{\"/a\":null}}");
    expect_bad("{\"folders\":[\"/a\"]}");
    expect_bad("{\"folders\":null}");
    expect_bad("[]");
    expect_bad("");
    expect_bad("{} {}");
    expect_bad("{\"folders\":{\"/a\":\"/d\"}");
    expect_refused("{}\0", 3);
}

/* Whether that many folders are taken whose first has a path and a directory that long. */
static bool is_taken(int count, int path, int directory)
{
    clr_list_t list;
    clr_buf_t json = {0};
    clr_list_init(&list);
    clr_buf_printf(&json, "{\"folders\":{\"/%0*d\":\"/%0*d\"", path - 1, 0, directory - 1, 0);
    for (int i = 1; i < count; i++)
        clr_buf_printf(&json, ",\"/%d\":\"/d\"", i);
    clr_buf_append_str(&json, CLR_STR("}}"));
    int rc = clr_folders_parse(&list, clr_buf_str(&json), NULL);
    EXPECT_EQ(clr_list_is_empty(&list), rc != 0);
    clr_folders_drop(&list);
    clr_buf_deinit(&json);
    return rc == 0;
}

TEST(folders_have_limits)
{
    EXPECT(is_taken(CLR_FOLDERS_MAX, CLR_FOLDER_PATH_MAX, CLR_FOLDER_DIRECTORY_MAX));
    EXPECT(!is_taken(CLR_FOLDERS_MAX + 1, 2, 2));
    EXPECT(!is_taken(1, CLR_FOLDER_PATH_MAX + 1, 2));
    EXPECT(!is_taken(1, 2, CLR_FOLDER_DIRECTORY_MAX + 1));
}

TEST(folders_hold_what_is_below_their_path)
{
    clr_folders_t folders;
    clr_list_t mine;
    clr_folders_init(&folders);
    get(&mine, "{\"folders\":{\"/assets\":\"/a\",\"/assets/more\":\"/b\"}}");
    clr_folders_add(&folders, &mine);
    expect_found(&folders, "/assets/x", "/a ");
    expect_found(&folders, "/assets/more/x", "/b /a ");
    expect_found(&folders, "/assets/", "/a ");
    expect_found(&folders, "/assets", "");
    expect_found(&folders, "/assetsx/y", "");
    expect_found(&folders, "/Assets/x", "");
    expect_found(&folders, "/", "");
    clr_folders_remove(&folders, &mine);
    clr_folders_drop(&mine);
    clr_folders_deinit(&folders);
}

TEST(folders_of_a_deploy_are_those_of_both_codes)
{
    clr_folders_t folders;
    clr_list_t old, new, none;
    clr_folders_init(&folders);
    get(&old, "{\"folders\":{\"/assets\":\"/old\"}}");
    get(&new, "{\"folders\":{\"/assets\":\"/new\"}}");
    get(&none, "{}");

    clr_folders_add(&folders, &old);
    clr_folders_add(&folders, &old);
    expect_found(&folders, "/assets/x", "/old ");
    clr_folders_add(&folders, &new);
    expect_found(&folders, "/assets/x", "/new /old ");
    clr_folders_remove(&folders, &old);
    expect_found(&folders, "/assets/x", "/new /old ");
    clr_folders_remove(&folders, &old);
    expect_found(&folders, "/assets/x", "/new ");

    clr_folders_remove(&folders, &new); /* nobody serves: the next one decides */
    expect_found(&folders, "/assets/x", "/new ");
    clr_folders_add(&folders, &old);
    expect_found(&folders, "/assets/x", "/old ");
    clr_folders_remove(&folders, &old);
    clr_folders_add(&folders, &none);
    expect_found(&folders, "/assets/x", "");

    clr_folders_add(&folders, &old);
    clr_folders_deinit(&folders); /* with all that is there */
    clr_folders_drop(&old);
    clr_folders_drop(&new);
    clr_folders_drop(&none);
}

TEST_MAIN(T(folders_are_what_an_app_frame_says), T(folders_that_no_sound_worker_says_are_refused),
          T(folders_have_limits), T(folders_hold_what_is_below_their_path),
          T(folders_of_a_deploy_are_those_of_both_codes))
