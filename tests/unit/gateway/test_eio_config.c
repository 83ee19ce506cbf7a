#include "gateway/eio_config.h"

#include "test.h"

static clr_eio_config_t config;
static clr_error_t err;

static int parse(const char *json)
{
    return clr_eio_config_parse(&config, clr_str_c(json), &err);
}

TEST(eio_config_has_the_reference_defaults)
{
    EXPECT_EQ(parse("{\"kind\":\"socketio\",\"path\":\"/socket.io/\"}"), 0);
    EXPECT_STR_C(clr_str_c(config.path), "/socket.io");
    EXPECT(config.is_socketio && config.polling && config.websocket && config.allow_upgrades);
    EXPECT_EQ(config.ping_interval_ms, 25000);
    EXPECT_EQ(config.ping_timeout_ms, 20000);
    EXPECT_EQ(config.max_payload, 1000000);
    EXPECT_EQ(config.cors, CLR_EIO_CORS_SAME_ORIGIN);
    EXPECT(config.cookie_name == NULL && !config.msgpack);
    clr_eio_config_deinit(&config);
}

TEST(eio_config_reads_everything)
{
    EXPECT_EQ(parse("{\"kind\":\"engineio\",\"path\":\"engine.io\",\"ping_interval_ms\":300,"
                    "\"ping_timeout_ms\":200,\"max_payload\":5000,\"transports\":[\"websocket\"],"
                    "\"allow_upgrades\":false,\"cors\":[\"https://a\",\"https://b\"],"
                    "\"cors_credentials\":false,\"serializer\":\"msgpack\","
                    "\"cookie\":{\"name\":\"io\",\"attributes\":\"; path=/\"},"
                    "\"http_compression\":false,\"compression_threshold\":77,"
                    "\"connect_timeout_ms\":1000}"),
              0);
    EXPECT_STR_C(clr_str_c(config.path), "/engine.io");
    EXPECT(!config.is_socketio && !config.polling && config.websocket && !config.allow_upgrades);
    EXPECT(!config.cors_credentials && !config.http_compression && config.msgpack);
    EXPECT_EQ(config.cors, CLR_EIO_CORS_LIST);
    EXPECT_EQ(config.origin_count, 2);
    EXPECT_EQ(config.compression_threshold, 77);
    EXPECT_EQ(config.connect_timeout_ms, 1000);
    EXPECT_STR_C(clr_str_c(config.cookie_attributes), "; path=/");
    clr_eio_config_deinit(&config);
}

TEST(eio_config_knows_the_kinds_of_cors)
{
    static const struct {
        const char *json;
        int cors;
    } cases[] = {
        {"null", CLR_EIO_CORS_SAME_ORIGIN},
        {"\"*\"", CLR_EIO_CORS_ANY},
        {"\"https://a\"", CLR_EIO_CORS_LIST},
        {"[\"https://a\",\"*\"]", CLR_EIO_CORS_ANY},
        {"[]", CLR_EIO_CORS_OFF},
        {"{\"callable\":true}", CLR_EIO_CORS_ASK},
    };
    for (size_t i = 0; i < clr_array_len(cases); i++) {
        char json[200];
        snprintf(json, sizeof(json), "{\"kind\":\"socketio\",\"path\":\"/s\",\"cors\":%s}",
                 cases[i].json);
        EXPECT_EQ(parse(json), 0);
        EXPECT_EQ(config.cors, cases[i].cors);
        clr_eio_config_deinit(&config);
    }
}

TEST(eio_config_refuses_what_it_cannot_use)
{
    static const char *const cases[] = {
        "",
        "[]",
        "{\"path\":\"/s\"}",
        "{\"kind\":\"other\",\"path\":\"/s\"}",
        "{\"kind\":\"socketio\"}",
        "{\"kind\":\"socketio\",\"path\":\"/a b\"}",
        "{\"kind\":\"socketio\",\"path\":\"/a?b\"}",
        "{\"kind\":\"socketio\",\"path\":\"/s\",\"ping_interval_ms\":-1}",
        "{\"kind\":\"socketio\",\"path\":\"/s\",\"ping_interval_ms\":1.5}",
        "{\"kind\":\"socketio\",\"path\":\"/s\",\"ping_interval_ms\":\"25\"}",
        "{\"kind\":\"socketio\",\"path\":\"/s\",\"ping_interval_ms\":1e300}",
        "{\"kind\":\"socketio\",\"path\":\"/s\",\"transports\":[]}",
        "{\"kind\":\"socketio\",\"path\":\"/s\",\"transports\":\"polling\"}",
        "{\"kind\":\"socketio\",\"path\":\"/s\",\"cors\":[1]}",
        "{\"kind\":\"socketio\",\"path\":\"/s\",\"cors\":true}",
        "{\"kind\":\"socketio\",\"path\":\"/s\",\"cookie\":{\"name\":\"a b\"}}",
        ("{\"kind\":\"socketio\",\"path\":\"/s\",\"cookie\":{\"name\":\"io\","
         "\"attributes\":\"; a\\r\\nSet-Cookie: x\"}}"),
        "{\"kind\":\"socketio\",\"path\":\"/s\",\"serializer\":\"pickle\"}",
        "{\"kind\":\"socketio\",\"path\":\"/s\",\"allow_upgrades\":1}",
    };
    for (size_t i = 0; i < clr_array_len(cases); i++) {
        if (parse(cases[i]) == 0)
            TEST_FAIL_("accepted %s", cases[i]);
        EXPECT(err.text[0] != '\0');
    }
}

TEST(eio_config_lets_the_command_line_win)
{
    clr_gateway_options_t options = {.socketio_path = "/x/",
                                     .cors_allowed_origins = "https://a, https://b",
                                     .ping_interval_ms = 1,
                                     .ping_timeout_ms = 2,
                                     .max_payload = 3,
                                     .connect_timeout_ms = 4};
    EXPECT_EQ(parse("{\"kind\":\"socketio\",\"path\":\"/s\",\"cors\":\"*\"}"), 0);
    clr_eio_config_override(&config, &options, true);
    EXPECT_STR_C(clr_str_c(config.path), "/x");
    EXPECT_EQ(config.cors, CLR_EIO_CORS_LIST);
    EXPECT_EQ(config.origin_count, 2);
    EXPECT_STR_C(clr_str_c(config.origins[1]), "https://b");
    EXPECT_EQ(config.ping_interval_ms + config.ping_timeout_ms + config.max_payload, 6);
    EXPECT_EQ(config.connect_timeout_ms, 4);
    clr_eio_config_deinit(&config);
    EXPECT_EQ(parse("{\"kind\":\"socketio\",\"path\":\"/s\"}"), 0);
    clr_eio_config_override(&config, &options, false); /* the path is for the first server */
    EXPECT_STR_C(clr_str_c(config.path), "/s");
    clr_eio_config_deinit(&config);
}

TEST(eio_config_caps_the_payload)
{
    EXPECT_EQ(parse("{\"kind\":\"socketio\",\"path\":\"/s\",\"max_payload\":1000000000}"), 0);
    EXPECT(config.max_payload < (64u << 20));
    clr_eio_config_deinit(&config);
}

TEST_MAIN(T(eio_config_has_the_reference_defaults), T(eio_config_reads_everything),
          T(eio_config_knows_the_kinds_of_cors), T(eio_config_refuses_what_it_cannot_use),
          T(eio_config_lets_the_command_line_win), T(eio_config_caps_the_payload))
