#include "gateway/proxy.h"

#include "test.h"

static clr_proxy_t *proxy;

static void trust(const char *list)
{
    clr_error_t err = {0};
    clr_proxy_free(proxy);
    proxy = NULL;
    EXPECT_EQ(clr_proxy_new(&proxy, list, &err), 0);
}

static clr_http_header_t headers[8];
static size_t header_count;

static void header(const char *name, const char *value)
{
    headers[header_count++] = (clr_http_header_t){clr_str_c(name), clr_str_c(value)};
}

static clr_client_t from(const char *peer)
{
    clr_http_head_t head = {.headers = headers, .header_count = header_count};
    clr_client_t client = {.host = clr_str_c(peer), .port = 4000};
    clr_proxy_apply(proxy, &head, &client);
    header_count = 0;
    return client;
}

/* One X-Forwarded-For header. */
static clr_client_t forwarded(const char *peer, const char *value)
{
    header("x-forwarded-for", value);
    return from(peer);
}

static void expect(clr_client_t client, const char *host, uint16_t port)
{
    EXPECT_STR_C(client.host, host);
    EXPECT_EQ(client.port, port);
}

TEST(proxy_counts_only_from_a_trusted_peer)
{
    trust("127.0.0.1");
    expect(forwarded("127.0.0.1", "1.2.3.4"), "1.2.3.4", 0);
    expect(forwarded("127.0.0.2", "1.2.3.4"), "127.0.0.2", 4000);
    expect(forwarded("", "1.2.3.4"), "", 4000);
    header("x-forwarded-proto", "https");
    EXPECT(!from("127.0.0.2").secure);
    header("x-forwarded-proto", "https");
    EXPECT(from("127.0.0.1").secure);
    expect(from("127.0.0.1"), "127.0.0.1", 4000);
    clr_proxy_free(proxy);
}

TEST(proxy_takes_the_rightmost_address_that_is_not_trusted)
{
    trust("127.0.0.1, 10.0.0.0/8");
    expect(forwarded("127.0.0.1", "6.6.6.6, 1.2.3.4, 10.1.2.3"), "1.2.3.4", 0);
    expect(forwarded("127.0.0.1", "6.6.6.6,1.2.3.4"), "1.2.3.4", 0);
    expect(forwarded("127.0.0.1", "10.9.9.9, 10.1.2.3"), "10.9.9.9", 0);
    header("x-forwarded-for", "6.6.6.6, 1.2.3.4");
    header("x-forwarded-for", "10.0.0.1");
    expect(from("127.0.0.1"), "1.2.3.4", 0);
    header("x-forwarded-for", "6.6.6.6");
    header("x-other", "8.8.8.8");
    header("x-forwarded-for", "1.2.3.4,");
    expect(from("127.0.0.1"), "1.2.3.4", 0);
    clr_proxy_free(proxy);
}

TEST(proxy_stops_at_what_is_no_address)
{
    static const char *const bad[] = {"unknown",
                                      "_hidden",
                                      "1.2.3",
                                      "1.2.3.4.5",
                                      "256.1.1.1",
                                      "1.2.3.4:",
                                      "1.2.3.4:x",
                                      "1.2.3.4:65536",
                                      "[::1",
                                      "[]",
                                      "[1.2.3.4]",
                                      "[::1]x",
                                      "[::1]:",
                                      "::g",
                                      "1.2.3.4 5",
                                      "http://1.2.3.4",
                                      "\"1.2.3.4\"",
                                      "fe80::1%eth0",
                                      "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
    trust("127.0.0.1,10.0.0.0/8");
    for (size_t i = 0; i < clr_array_len(bad); i++) {
        char list[200];
        expect(forwarded("127.0.0.1", bad[i]), "127.0.0.1", 4000);
        snprintf(list, sizeof(list), "9.9.9.9, %s, 10.0.0.1", bad[i]);
        expect(forwarded("127.0.0.1", list), "10.0.0.1", 0);
    }
    clr_proxy_free(proxy);
}

TEST(proxy_reads_all_forms_of_an_address)
{
    trust("127.0.0.1");
    expect(forwarded("127.0.0.1", "1.2.3.4:5678"), "1.2.3.4", 5678);
    expect(forwarded("127.0.0.1", "2001:db8::1"), "2001:db8::1", 0);
    expect(forwarded("127.0.0.1", "[2001:db8::1]"), "2001:db8::1", 0);
    expect(forwarded("127.0.0.1", "[2001:db8::1]:80"), "2001:db8::1", 80);
    expect(forwarded("127.0.0.1", "::ffff:1.2.3.4"), "::ffff:1.2.3.4", 0);
    expect(forwarded("127.0.0.1", " \t1.2.3.4\t "), "1.2.3.4", 0);
    expect(forwarded("127.0.0.1", ""), "127.0.0.1", 4000);
    expect(forwarded("127.0.0.1", ",, ,"), "127.0.0.1", 4000);
    clr_proxy_free(proxy);
}

TEST(proxy_star_trusts_everyone_and_takes_the_leftmost)
{
    trust("*");
    expect(forwarded("8.8.8.8", "1.2.3.4, 5.6.7.8"), "1.2.3.4", 0);
    expect(forwarded("", "1.2.3.4"), "1.2.3.4", 0);
    expect(forwarded("8.8.8.8", "junk, 5.6.7.8"), "5.6.7.8", 0);
    clr_proxy_free(proxy);
}

TEST(proxy_unix_trusts_unix_sockets_alone)
{
    trust("unix");
    expect(forwarded("", "1.2.3.4"), "1.2.3.4", 0);
    expect(forwarded("127.0.0.1", "1.2.3.4"), "127.0.0.1", 4000);
    clr_proxy_free(proxy);
}

TEST(proxy_networks)
{
    static const struct {
        const char *list;
        const char *host;
        bool trusted;
    } cases[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.1.2.3/8", "10.9.9.9", true},
        {"1.2.3.4/32", "1.2.3.4", true},
        {"1.2.3.4/32", "1.2.3.5", false},
        {"1.2.3.4/31", "1.2.3.5", true},
        {"1.2.3.4/30", "1.2.3.8", false},
        {"0.0.0.0/0", "9.9.9.9", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "9.9.9.9", true},
        {"::1", "::1", true},
        {"::1", "0:0:0:0:0:0:0:1", true},
        {"fc00::/7", "fd12::1", true},
        {"fc00::/7", "fe80::1", false},
        {"1.2.3.4", "::ffff:1.2.3.4", true},
        {"::ffff:1.2.3.0/120", "1.2.3.9", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
    };
    for (size_t i = 0; i < clr_array_len(cases); i++) {
        trust(cases[i].list);
        if (clr_proxy_trusts(proxy, clr_str_c(cases[i].host)) != cases[i].trusted)
            TEST_FAIL_("%s: %s", cases[i].list, cases[i].host);
    }
    clr_proxy_free(proxy);
}

TEST(proxy_every_prefix_length)
{
    char list[64];
    for (unsigned bits = 0; bits <= 32; bits++) {
        snprintf(list, sizeof(list), "255.255.255.255/%u", bits);
        trust(list);
        for (unsigned flipped = 0; flipped < 32; flipped++) {
            uint32_t a = ~(UINT32_C(1) << (31 - flipped));
            char host[46];
            snprintf(host, sizeof(host), "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255,
                     a & 255);
            EXPECT_EQ(clr_proxy_trusts(proxy, clr_str_c(host)), flipped >= bits);
        }
    }
    clr_proxy_free(proxy);
}

TEST(proxy_list_says_what_is_wrong)
{
    static const char *const bad[] = {"localhost",     "1.2.3",   "1.2.3.4/33", "1.2.3.4/",
                                      "1.2.3.4/-1",    "::1/129", "/8",         "1.2.3.4/8/8",
                                      "127.0.0.1;::1", "** ",     "Unix",       "127.0.0.1 ::1"};
    for (size_t i = 0; i < clr_array_len(bad); i++) {
        clr_error_t err = {0};
        clr_proxy_t *none = NULL;
        EXPECT_EQ(clr_proxy_new(&none, bad[i], &err), CLR_EINVAL);
        EXPECT(none == NULL);
        EXPECT(strstr(err.text, "is neither an address nor a network") != NULL);
    }
    trust("");
    EXPECT(!clr_proxy_trusts(proxy, CLR_STR("127.0.0.1")));
    EXPECT(!clr_proxy_trusts(proxy, CLR_STR_EMPTY));
    trust(" 127.0.0.1 ,, ::1 ,");
    EXPECT(clr_proxy_trusts(proxy, CLR_STR("::1")));
    clr_proxy_free(proxy);
}

TEST(proxy_scheme)
{
    static const struct {
        const char *value;
        bool secure;
    } cases[] = {{"https", true}, {"HTTPS", true}, {"wss", true},
                 {"http", false}, {"ws", false},   {" https , http", true},
                 {"", false},     {"ftp", false},  {"http,https", false}};
    trust("127.0.0.1");
    for (size_t i = 0; i < clr_array_len(cases); i++) {
        header("x-forwarded-proto", cases[i].value);
        EXPECT_EQ(from("127.0.0.1").secure, cases[i].secure);
    }
    clr_client_t tls = {.host = CLR_STR("127.0.0.1"), .secure = true};
    header("x-forwarded-proto", "http");
    clr_http_head_t head = {.headers = headers, .header_count = header_count};
    clr_proxy_apply(proxy, &head, &tls);
    EXPECT(!tls.secure);
    clr_proxy_free(proxy);
}

TEST(proxy_survives_any_bytes)
{
    uint64_t seed = 7;
    trust("127.0.0.1,10.0.0.0/8,::1");
    static const char alphabet[] = "0123456789abcdef.:[],, \t%x";
    for (int i = 0; i < 20000; i++) {
        char text[60];
        size_t n = test_random(&seed) % (sizeof(text) - 1);
        for (size_t k = 0; k < n; k++)
            text[k] = alphabet[test_random(&seed) % (sizeof(alphabet) - 1)];
        text[n] = '\0';
        clr_client_t client = forwarded("127.0.0.1", text);
        bool inside = client.host.p >= text && client.host.p + client.host.n <= text + n;
        EXPECT(client.host.n > 0);
        EXPECT(inside || clr_str_eq(client.host, CLR_STR("127.0.0.1")));
    }
    clr_proxy_free(proxy);
}

TEST_MAIN(T(proxy_counts_only_from_a_trusted_peer),
          T(proxy_takes_the_rightmost_address_that_is_not_trusted),
          T(proxy_stops_at_what_is_no_address), T(proxy_reads_all_forms_of_an_address),
          T(proxy_star_trusts_everyone_and_takes_the_leftmost),
          T(proxy_unix_trusts_unix_sockets_alone), T(proxy_networks), T(proxy_every_prefix_length),
          T(proxy_list_says_what_is_wrong), T(proxy_scheme), T(proxy_survives_any_bytes))
