/* log.c: one line per event on stderr. */
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"

/* A message of clr_log() is cut here; one of clr_log_text() is not. */
#define MESSAGE_MAX 2048
#define MODULE_MAX  64
/* One byte becomes at most six: \u0001. 128 holds the rest of a line in either format. */
#define LINE_MAX_BYTES ((MESSAGE_MAX + MODULE_MAX) * 6 + 128)

typedef enum escape {
    ESCAPE_LINE, /* for people: no control character survives */
    ESCAPE_TEXT, /* the same, but tabs and newlines do */
    ESCAPE_JSON,
} escape_t;

static atomic_int log_level = CLR_LOG_INFO;
static atomic_bool log_json;

void clr_log_configure(clr_log_level_t level, bool json)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
    atomic_store_explicit(&log_json, json, memory_order_relaxed);
}

bool clr_log_enabled(clr_log_level_t level)
{
    return (int)level >= atomic_load_explicit(&log_level, memory_order_relaxed) &&
           level < CLR_LOG_OFF;
}

/* Length of the character s starts with if it may be written as it is, else 0. */
static size_t plain_len(clr_str_t s, escape_t how)
{
    unsigned char c = (unsigned char)s.p[0];
    if (c >= 0x80) {
        size_t n = clr_utf8_char_len(s);
        bool is_control = n == 2 && c == 0xc2 && (unsigned char)s.p[1] < 0xa0;
        return is_control ? 0 : n;
    }
    if (how == ESCAPE_TEXT && (c == '\n' || c == '\t'))
        return 1;
    if (how == ESCAPE_JSON && (c == '"' || c == '\\'))
        return 0;
    return c >= 0x20 && c != 0x7f;
}

/* Writes what plain_len() refused. Returns how many bytes of s that were. */
static size_t append_escape(clr_buf_t *out, clr_str_t s, escape_t how)
{
    static const char names[] = {
        ['\t'] = 't', ['\n'] = 'n', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    unsigned char c = (unsigned char)s.p[0];
    if (c < sizeof(names) && names[c]) {
        clr_buf_putc(out, '\\');
        clr_buf_putc(out, names[c]);
        return 1;
    }
    char text[8];
    size_t n = clr_utf8_char_len(s);
    unsigned point = n == 2 ? (c & 0x1fu) << 6 | ((unsigned char)s.p[1] & 0x3fu) : c;
    if (how != ESCAPE_JSON)
        snprintf(text, sizeof(text), "\\x%02x", point & 0xff);
    else
        snprintf(text, sizeof(text), "\\u%04x", n ? point & 0xff : 0xfffd);
    clr_buf_append_str(out, clr_str_c(text));
    return n ? n : 1;
}

static void append_escaped(clr_buf_t *out, clr_str_t s, escape_t how)
{
    while (s.n) {
        size_t n = plain_len(s, how);
        if (n)
            clr_buf_append(out, s.p, n);
        else
            n = append_escape(out, s, how);
        s = clr_str_from(s, n);
    }
}

static const char *level_name(clr_log_level_t level, bool padded)
{
    static const char names[][6] = {"debug", "info", "warn", "error"};
    static const char padded_names[][6] = {"debug", "info ", "warn ", "error"};
    size_t i = level < CLR_LOG_OFF ? (size_t)level : CLR_LOG_ERROR;
    return padded ? padded_names[i] : names[i];
}

/* "12:01:03.123" of the local day, or "2026-11-23T12:01:03.123Z". */
static void append_time(clr_buf_t *out, bool json)
{
    uint64_t ms = clr_clock_wall_ms();
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[32];
    if (json)
        gmtime_r(&seconds, &tm);
    else
        localtime_r(&seconds, &tm);
    size_t n = strftime(text, sizeof(text), json ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S", &tm);
    snprintf(text + n, sizeof(text) - n, ".%03u%s", (unsigned)(ms % 1000), json ? "Z" : "");
    clr_buf_append_str(out, clr_str_c(text));
}

static void append_line(clr_buf_t *out, clr_log_level_t level, const char *module,
                        clr_str_t message, escape_t how)
{
    bool json = how == ESCAPE_JSON;
    clr_str_t name = clr_str_c(module);
    if (name.n > MODULE_MAX)
        name.n = MODULE_MAX;
    clr_buf_append_str(out, json ? CLR_STR("{\"time\":\"") : CLR_STR_EMPTY);
    append_time(out, json);
    clr_buf_append_str(out, json ? CLR_STR("\",\"level\":\"") : CLR_STR(" "));
    clr_buf_append_str(out, clr_str_c(level_name(level, !json)));
    clr_buf_append_str(out, json ? CLR_STR("\",\"module\":\"") : CLR_STR(" "));
    append_escaped(out, name, json ? ESCAPE_JSON : ESCAPE_LINE);
    clr_buf_append_str(out, json ? CLR_STR("\",\"message\":\"") : CLR_STR(": "));
    append_escaped(out, message, how);
    clr_buf_append_str(out, json ? CLR_STR("\"}\n") : CLR_STR("\n"));
}

/* One write(2) unless it is cut short. What stderr does not take is lost: a log must not stop us.
 */
static void write_line(const clr_buf_t *line)
{
    const char *p = line->p;
    size_t left = line->n;
    while (left) {
        ssize_t n = write(STDERR_FILENO, p, left);
        if (n < 0 && errno != EINTR)
            return;
        if (n > 0) {
            p += n;
            left -= (size_t)n;
        }
    }
}

void clr_log(clr_log_level_t level, const char *module, const char *fmt, ...)
{
    if (!clr_log_enabled(level))
        return;
    int saved_errno = errno;
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    if (n >= (int)sizeof(message))
        memcpy(message + sizeof(message) - 4, "...", 4);

    /* The bytes of the line never outgrow this storage, so the buffer never reallocates. */
    char storage[LINE_MAX_BYTES];
    clr_buf_t line = {storage, 0, sizeof(storage)};
    bool json = atomic_load_explicit(&log_json, memory_order_relaxed);
    append_line(&line, level, module, clr_str_c(n < 0 ? fmt : message),
                json ? ESCAPE_JSON : ESCAPE_LINE);
    write_line(&line);
    errno = saved_errno;
}

void clr_log_text(clr_log_level_t level, const char *module, clr_str_t message)
{
    if (!clr_log_enabled(level))
        return;
    int saved_errno = errno;
    clr_buf_t line = {0};
    bool json = atomic_load_explicit(&log_json, memory_order_relaxed);
    while (message.n && message.p[message.n - 1] == '\n')
        message.n--;
    append_line(&line, level, module, message, json ? ESCAPE_JSON : ESCAPE_TEXT);
    write_line(&line);
    clr_buf_deinit(&line);
    errno = saved_errno;
}
