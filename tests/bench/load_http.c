/* load_http.c: see load_http.h. */
#include "load_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CLIENTS   64u
#define READ_SIZE (256u << 10)
#define HEAD_MAX  (16u << 10) /* of a response, and of the line before a chunk */
#define EVENTS    256
#define RUNS_MAX  100u

enum http_state { HTTP_HEAD, HTTP_LENGTH, HTTP_CHUNK_SIZE, HTTP_CHUNK, HTTP_TRAILER };

typedef struct http_conn {
    int fd;
    enum http_state state;
    bool want_write;
    size_t sent;    /* of the request */
    uint64_t left;  /* of the body, or of the chunk and its line's end */
    uint64_t began; /* when the request was sent */
    size_t held;    /* bytes in line */
    char *line;     /* a head or a line whose end has not come; HEAD_MAX */
} http_conn_t;

typedef struct http_run {
    const load_options_t *options;
    int epoll;
    char *request;
    size_t request_len;
    bool is_head;
    http_conn_t *conns;
    uint32_t conn_count;
    char *scratch;
    uint64_t count;
    uint64_t bytes;
    load_histogram_t latency;
} http_run_t;

static void *must(void *memory)
{
    if (memory == NULL) {
        load_die("out of memory");
    }
    return memory;
}

/* -- requests */

static void watch(http_run_t *run, http_conn_t *c, int op, bool writable)
{
    struct epoll_event event = {.events = EPOLLIN | (writable ? (uint32_t)EPOLLOUT : 0u),
                                .data.ptr = c};
    epoll_ctl(run->epoll, op, c->fd, &event);
    c->want_write = writable;
}

static void write_request(http_run_t *run, http_conn_t *c)
{
    ssize_t n = send(c->fd, run->request + c->sent, run->request_len - c->sent,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) {
        load_die("send: %s", strerror(errno));
    }
    c->sent += n > 0 ? (size_t)n : 0;
    bool pending = c->sent < run->request_len;
    if (pending != c->want_write) {
        watch(run, c, EPOLL_CTL_MOD, pending);
    }
}

static void next_request(http_run_t *run, http_conn_t *c)
{
    c->sent = 0;
    c->state = HTTP_HEAD;
    c->began = load_now();
    write_request(run, c);
}

/* -- responses */

static void on_response(http_run_t *run, http_conn_t *c)
{
    if (c->sent < run->request_len) {
        load_die("a response before the request was sent");
    }
    load_histogram_add(&run->latency, load_now() - c->began);
    run->count++;
    next_request(run, c);
}

/* The value of a header, or NULL. head: whole lines, NUL-terminated. */
static const char *find_header(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = head; (line = strstr(line, "\r\n")) != NULL;) {
        line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            return line + n + 1 + strspn(line + n + 1, " ");
        }
    }
    return NULL;
}

static void on_head(http_run_t *run, http_conn_t *c)
{
    if (strncmp(c->line, "HTTP/1.1 2", 10) != 0) {
        load_die("unexpected answer: %.60s", c->line);
    }
    const char *length = find_header(c->line, "Content-Length");
    const char *coding = find_header(c->line, "Transfer-Encoding");
    c->state = HTTP_LENGTH;
    c->left = 0;
    if (run->is_head) {
        return;
    }
    if (coding != NULL && strncasecmp(coding, "chunked", 7) == 0) {
        c->state = HTTP_CHUNK_SIZE;
    } else if (length != NULL) {
        c->left = strtoull(length, NULL, 10);
    } else {
        load_die("a response without a length");
    }
}

static void on_chunk_size(http_conn_t *c)
{
    c->left = strtoull(c->line, NULL, 16) + 2;
    c->state = c->left == 2 ? HTTP_TRAILER : HTTP_CHUNK;
}

/* Moves text up to its end to c->line. Returns how many bytes were taken: all of them while the end
 * has not come. */
static size_t take_text(http_conn_t *c, const char *p, size_t n, const char *end, bool *whole)
{
    size_t before = c->held, end_len = strlen(end);
    size_t some = n < HEAD_MAX - 1 - before ? n : HEAD_MAX - 1 - before;
    memcpy(c->line + before, p, some);
    c->line[before + some] = '\0';
    char *found = strstr(c->line, end);
    *whole = found != NULL;
    if (found == NULL) {
        if (some < n) {
            load_die("a head of more than %u bytes", HEAD_MAX);
        }
        c->held = before + some;
        return n;
    }
    found[end_len] = '\0';
    c->held = 0;
    return (size_t)(found - c->line) + end_len - before;
}

static size_t take_body(http_conn_t *c, size_t n)
{
    size_t some = n < c->left ? n : (size_t)c->left;
    c->left -= some;
    return some;
}

/* One step of a response. Returns how many bytes were taken. */
static size_t take(http_run_t *run, http_conn_t *c, const char *p, size_t n)
{
    bool whole = false;
    size_t used;
    switch (c->state) {
    case HTTP_HEAD:
        used = take_text(c, p, n, "\r\n\r\n", &whole);
        if (whole) {
            on_head(run, c);
        }
        break;
    case HTTP_CHUNK_SIZE:
        used = take_text(c, p, n, "\r\n", &whole);
        if (whole) {
            on_chunk_size(c);
        }
        return used;
    case HTTP_CHUNK:
        used = take_body(c, n);
        if (c->left == 0) {
            c->state = HTTP_CHUNK_SIZE;
        }
        return used;
    case HTTP_TRAILER:
        used = take_text(c, p, n, "\r\n", &whole);
        if (whole) {
            c->state = HTTP_LENGTH;
            c->left = 0;
        }
        break;
    default:
        used = take_body(c, n);
        break;
    }
    if (c->state == HTTP_LENGTH && c->left == 0) {
        on_response(run, c);
    }
    return used;
}

static void on_readable(http_run_t *run, http_conn_t *c)
{
    ssize_t n = recv(c->fd, run->scratch, READ_SIZE, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        load_die("%s", n == 0 ? "closed by the server" : strerror(errno));
    }
    run->bytes += (uint64_t)n;
    for (size_t at = 0; at < (size_t)n;) {
        at += take(run, c, run->scratch + at, (size_t)n - at);
    }
}

/* -- driving */

static void open_conn(http_run_t *run, http_conn_t *c)
{
    const struct sockaddr_in *server = &run->options->server;
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)server, sizeof(*server)) < 0) {
        load_die("connect: %s", strerror(errno));
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c->line = must(malloc(HEAD_MAX));
    watch(run, c, EPOLL_CTL_ADD, false);
}

static void turn(http_run_t *run)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(run->epoll, events, EVENTS, 10);
    for (int i = 0; i < n; i++) {
        http_conn_t *c = events[i].data.ptr;
        if (events[i].events & EPOLLOUT) {
            write_request(run, c);
        }
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
            on_readable(run, c);
        }
    }
}

static void drive(http_run_t *run, double seconds)
{
    uint64_t end = load_now() + (uint64_t)(seconds * 1e9);
    do {
        turn(run);
    } while (load_now() < end);
}

static void make_request(http_run_t *run)
{
    const load_options_t *o = run->options;
    char head[1024];
    int n = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n", o->method,
                     o->path, ntohs(o->server.sin_port));
    if (o->body > 0 && n > 0 && (size_t)n < sizeof(head)) {
        n += snprintf(head + n, sizeof(head) - (size_t)n,
                      "Content-Type: application/octet-stream\r\nContent-Length: %u\r\n", o->body);
    }
    if (n < 0 || (size_t)n + 3 > sizeof(head)) {
        load_die("path too long");
    }
    memcpy(head + n, "\r\n", 2);
    run->request_len = (size_t)n + 2 + o->body;
    run->request = must(malloc(run->request_len));
    memcpy(run->request, head, (size_t)n + 2);
    memset(run->request + n + 2, 'x', o->body);
    run->is_head = strcmp(o->method, "HEAD") == 0;
}

static http_run_t *new_run(const load_options_t *options)
{
    http_run_t *run = must(calloc(1, sizeof(*run)));
    run->options = options;
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    run->scratch = must(malloc(READ_SIZE));
    run->conn_count = options->clients ? options->clients : CLIENTS;
    run->conns = must(calloc(run->conn_count, sizeof(*run->conns)));
    make_request(run);
    for (uint32_t i = 0; i < run->conn_count; i++) {
        open_conn(run, &run->conns[i]);
        next_request(run, &run->conns[i]);
    }
    return run;
}

static void free_run(http_run_t *run)
{
    for (uint32_t i = 0; i < run->conn_count; i++) {
        close(run->conns[i].fd);
        free(run->conns[i].line);
    }
    close(run->epoll);
    free(run->conns);
    free(run->scratch);
    free(run->request);
    free(run);
}

static void print_result(const http_run_t *run, double *rates, double cpu, double mib)
{
    const load_options_t *o = run->options;
    printf("{\"scenario\":\"http\",\"unit\":\"requests/s\",\"clients\":%u,\"runs\":[",
           run->conn_count);
    for (uint32_t i = 0; i < o->runs; i++) {
        printf("%s%.1f", i ? "," : "", rates[i]);
    }
    printf("],\"rate\":%.1f,\"load_cpu\":%.3f,\"mib_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
           load_median(rates, o->runs), cpu, mib,
           (double)load_histogram_percentile(&run->latency, 0.5) / 1e3,
           (double)load_histogram_percentile(&run->latency, 0.99) / 1e3);
}

void load_http_run(const load_options_t *o)
{
    double rates[RUNS_MAX], cpu = 0, mib = 0;
    if (o->runs == 0 || o->runs > RUNS_MAX) {
        load_die("runs: 1 to %u", RUNS_MAX);
    }
    http_run_t *run = new_run(o);
    drive(run, o->warmup);
    load_histogram_clear(&run->latency);
    for (uint32_t i = 0; i < o->runs; i++) {
        run->count = run->bytes = 0;
        uint64_t began = load_now(), cpu_began = load_cpu();
        drive(run, o->seconds);
        double elapsed = (double)(load_now() - began);
        rates[i] = (double)run->count * 1e9 / elapsed;
        mib += (double)run->bytes / (1 << 20) * 1e9 / elapsed / o->runs;
        cpu += (double)(load_cpu() - cpu_began) / elapsed / o->runs;
    }
    print_result(run, rates, cpu, mib);
    free_run(run);
}
