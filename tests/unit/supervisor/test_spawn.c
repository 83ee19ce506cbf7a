/* What a worker is told. */
#include "supervisor/spawn.h"
#include "test.h"

TEST(bootstrap_quotes_any_path)
{
    clr_buf_t out = {0};
    clr_spawn_bootstrap(&out, "/a b/it's\\\n\xc3\xa9", "_worker import main; main(3, 4)");
    EXPECT_STR_C(
        clr_buf_str(&out),
        "import os, sys; sys.path.insert(0, os.fsdecode(b'/a b/it\\x27s\\x5c\\x0a\\xc3\\xa9')); "
        "from clrun._worker import main; main(3, 4)");
    clr_buf_deinit(&out);
}

TEST(config_is_json)
{
    clr_app_t app = {.target = "my \"app\".py", .attr = "sio"};
    clr_pool_options_t options = {.workers = 3,
                                  .app = &app,
                                  .loop = "uvloop",
                                  .log_level = "info",
                                  .root_path = "/app",
                                  .lifespan = "auto",
                                  .factory = true,
                                  .ui = "page",
                                  .graceful_timeout_ms = 10000,
                                  .spin_us = 50,
                                  .block_warn_ms = 1000};
    clr_buf_t out = {0};
    clr_spawn_config(&out, &options, 2);
    EXPECT_STR_C(clr_buf_str(&out),
                 "{\"worker\":2,\"workers\":3,\"app\":\"my \\\"app\\\".py\",\"attr\":\"sio\","
                 "\"loop\":\"uvloop\",\"log_level\":\"info\",\"root_path\":\"/app\","
                 "\"lifespan\":\"auto\",\"ui\":\"page\",\"factory\":true,\"version\":\"0.1.0\","
                 "\"graceful_timeout_ms\":10000,\"spin_us\":50,\"block_warn_ms\":1000}");
    clr_buf_clear(&out);
    app.attr = NULL;
    clr_spawn_config(&out, &options, 1);
    EXPECT(strstr(out.p, "\"attr\":null") != NULL);
    clr_buf_deinit(&out);
}

TEST_MAIN(T(bootstrap_quotes_any_path), T(config_is_json))
