/* proxy.c: see proxy.h. */
#include "gateway/proxy.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/mem.h"

/* IPv4 as IPv6 sees it, ::ffff:a.b.c.d, so that there is one kind of address. */
typedef struct address {
    uint8_t bytes[16];
} address_t;

typedef struct network {
    address_t base;
    unsigned bits;
} network_t;

struct clr_proxy {
    bool all;
    bool local; /* Unix sockets */
    size_t count;
    network_t networks[];
};

#define V4_BITS_BEFORE 96

/* --- addresses --- */

static bool parse_v4(const char *text, address_t *out)
{
    *out = (address_t){.bytes = {[10] = 0xff, [11] = 0xff}};
    return inet_pton(AF_INET, text, out->bytes + 12) == 1;
}

static bool parse_address(clr_str_t text, address_t *out, bool *is_v4)
{
    char name[46];
    if (text.n == 0 || text.n >= sizeof(name) || memchr(text.p, 0, text.n))
        return false;
    memcpy(name, text.p, text.n);
    name[text.n] = '\0';
    *is_v4 = parse_v4(name, out);
    return *is_v4 || inet_pton(AF_INET6, name, out->bytes) == 1;
}

static bool is_within(const address_t *a, const network_t *net)
{
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    if (memcmp(a->bytes, net->base.bytes, whole) != 0)
        return false;
    return rest == 0 || (a->bytes[whole] ^ net->base.bytes[whole]) >> (8 - rest) == 0;
}

static bool trusts_address(const clr_proxy_t *proxy, const address_t *a)
{
    for (size_t i = 0; i < proxy->count; i++) {
        if (is_within(a, &proxy->networks[i]))
            return true;
    }
    return proxy->all;
}

bool clr_proxy_trusts(const clr_proxy_t *proxy, clr_str_t host)
{
    address_t a;
    bool is_v4;
    if (host.n == 0)
        return proxy->local || proxy->all;
    return parse_address(host, &a, &is_v4) && trusts_address(proxy, &a);
}

/* --- the list --- */

/* "10.0.0.0/8", "::1" */
static bool parse_network(clr_str_t text, network_t *out)
{
    ptrdiff_t slash = clr_str_chr(text, '/');
    clr_str_t host = slash < 0 ? text : clr_str(text.p, (size_t)slash);
    bool is_v4;
    if (!parse_address(host, &out->base, &is_v4))
        return false;
    unsigned before = is_v4 ? V4_BITS_BEFORE : 0;
    uint64_t bits = 128 - before;
    if (slash >= 0 && !clr_str_to_u64(clr_str_from(text, (size_t)slash + 1), bits, &bits))
        return false;
    out->bits = before + (unsigned)bits;
    return true;
}

static bool add_item(clr_proxy_t *proxy, clr_str_t item)
{
    if (clr_str_eq(item, CLR_STR("*")))
        proxy->all = true;
    else if (clr_str_eq(item, CLR_STR("unix")))
        proxy->local = true;
    else if (item.n > 0)
        return parse_network(item, &proxy->networks[proxy->count++]);
    return true;
}

int clr_proxy_new(clr_proxy_t **out, const char *trusted, clr_error_t *err)
{
    size_t most = 1;
    for (const char *p = trusted; *p; p++)
        most += *p == ',';
    clr_proxy_t *proxy = clr_xcalloc(1, sizeof(*proxy) + most * sizeof(network_t));
    clr_str_t rest = clr_str_c(trusted), item;
    while (clr_str_split(&rest, ',', &item)) {
        item = clr_str_trim(item);
        if (add_item(proxy, item))
            continue;
        clr_error_set(err, CLR_EINVAL, "%.*s is neither an address nor a network nor \"unix\"",
                      CLR_STR_ARG(item));
        free(proxy);
        return CLR_EINVAL;
    }
    *out = proxy;
    return 0;
}

void clr_proxy_free(clr_proxy_t *proxy)
{
    free(proxy);
}

/* --- the headers --- */

#define FORWARDED_FOR   CLR_STR("x-forwarded-for")
#define FORWARDED_PROTO CLR_STR("x-forwarded-proto")

/* "1.2.3.4", "1.2.3.4:80", "::1", "[::1]", "[::1]:80". */
static bool parse_element(clr_str_t text, address_t *a, clr_client_t *out)
{
    clr_str_t host = text, port = CLR_STR_EMPTY;
    ptrdiff_t end = -1;
    bool is_v4;
    if (text.p[0] == '[') {
        end = clr_str_chr(text, ']');
        if (end < 0)
            return false;
        host = clr_str(text.p + 1, (size_t)end - 1);
        port = clr_str_from(text, (size_t)end + 1);
        if (clr_str_chr(host, ':') < 0)
            return false;
    } else if (clr_str_chr(text, '.') >= 0 && (end = clr_str_chr(text, ':')) > 0 &&
               clr_str_chr(clr_str_from(text, (size_t)end + 1), ':') < 0) {
        host = clr_str(text.p, (size_t)end);
        port = clr_str_from(text, (size_t)end);
    }
    uint64_t number = 0;
    if (port.n > 0 &&
        (port.p[0] != ':' || !clr_str_to_u64(clr_str_from(port, 1), UINT16_MAX, &number)))
        return false;
    out->host = host;
    out->port = (uint16_t)number;
    return parse_address(host, a, &is_v4);
}

/* Cuts the part after the last comma off *rest; false when nothing is left. */
static bool cut_last(clr_str_t *rest, clr_str_t *part)
{
    if (!rest->p)
        return false;
    size_t at = rest->n;
    while (at > 0 && rest->p[at - 1] != ',')
        at--;
    *part = clr_str_trim(clr_str(rest->p + at, rest->n - at));
    *rest = at > 0 ? clr_str(rest->p, at - 1) : clr_str(NULL, 0);
    return true;
}

/* One header's elements, from the right. False: the search is over. */
static bool search(const clr_proxy_t *proxy, clr_str_t value, clr_client_t *client)
{
    for (clr_str_t part; cut_last(&value, &part);) {
        address_t a;
        clr_client_t found = *client;
        if (part.n == 0)
            continue;
        if (!parse_element(part, &a, &found))
            return false;
        *client = found;
        if (!trusts_address(proxy, &a))
            return false;
    }
    return true;
}

static bool is_named(const clr_http_header_t *h, clr_str_t name)
{
    return h->name.n == name.n && clr_str_eq(h->name, name);
}

static void apply_proto(const clr_http_head_t *head, clr_client_t *client)
{
    clr_str_t list = clr_http_head_get(head, FORWARDED_PROTO), first = CLR_STR_EMPTY;
    if (!list.p)
        return;
    (void)clr_str_split(&list, ',', &first);
    first = clr_str_trim(first);
    if (clr_str_ieq(first, CLR_STR("https")) || clr_str_ieq(first, CLR_STR("wss")))
        client->secure = true;
    else if (clr_str_ieq(first, CLR_STR("http")) || clr_str_ieq(first, CLR_STR("ws")))
        client->secure = false;
}

/* Whether there is anything to apply: most requests are spared the rest. */
static bool has_headers(const clr_http_head_t *head)
{
    for (size_t i = 0; i < head->header_count; i++) {
        if (is_named(&head->headers[i], FORWARDED_FOR) ||
            is_named(&head->headers[i], FORWARDED_PROTO))
            return true;
    }
    return false;
}

void clr_proxy_apply(const clr_proxy_t *proxy, const clr_http_head_t *head, clr_client_t *client)
{
    if (!has_headers(head) || !clr_proxy_trusts(proxy, client->host))
        return;
    apply_proto(head, client);
    for (size_t i = head->header_count; i-- > 0;) {
        const clr_http_header_t *h = &head->headers[i];
        if (is_named(h, FORWARDED_FOR) && !search(proxy, h->value, client))
            return;
    }
}
