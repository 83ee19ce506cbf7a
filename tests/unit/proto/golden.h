/* golden.h: reads tests/golden/<name>.md and runs its cases. Two kinds of fenced blocks:
 *
 *   ```input      with an ```events block after it: the runner gets the lines of the input and must
 * print …             the events exactly; the case is named by the heading before it.
 *   ```cases      one case a line: "input => output".
 *
 * Escapes in inputs and in what runners print: \r \n \t \0 \xHH \\.
 */
#pragma once

#include <errno.h>

#include "base/buf.h"
#include "test.h"

/* Reads the input, feeds `step` bytes at a time (SIZE_MAX: all at once), prints events. */
typedef void (*golden_feed_cb)(clr_str_t input, size_t step, clr_buf_t *events);

/* Reads the input, prints the output. */
typedef void (*golden_case_cb)(clr_str_t input, clr_buf_t *output);

static inline void golden_escape(clr_buf_t *out, clr_str_t s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        static const char from[] = "\r\n\t\\";
        const char *at = c ? strchr(from, c) : NULL;
        if (at)
            clr_buf_printf(out, "\\%c", "rnt\\"[at - from]);
        else if (c < 0x20 || c >= 0x7f)
            clr_buf_printf(out, "\\x%02x", c);
        else
            clr_buf_putc(out, (char)c);
    }
}

static inline void golden_unescape(clr_buf_t *out, clr_str_t s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\\' || i + 1 == s.n) {
            clr_buf_putc(out, s.p[i]);
            continue;
        }
        char c = s.p[++i];
        if (c == 'x' && i + 2 < s.n) {
            char hex[3] = {s.p[i + 1], s.p[i + 2], '\0'};
            clr_buf_putc(out, (char)strtoul(hex, NULL, 16));
            i += 2;
        } else {
            clr_buf_putc(out, c == 'r'   ? '\r'
                              : c == 'n' ? '\n'
                              : c == 't' ? '\t'
                              : c == '0' ? '\0'
                                         : c);
        }
    }
}

static inline clr_buf_t golden_read(const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.md", CLR_GOLDEN_DIR, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        TEST_FAIL_("%s: %s", path, strerror(errno));
    clr_buf_t text = {0};
    size_t n;
    while ((n = fread(clr_buf_reserve(&text, 65536), 1, 65536, f)) > 0)
        text.n += n;
    fclose(f);
    return text;
}

typedef struct golden {
    clr_str_t rest;
    clr_str_t heading;
    clr_str_t kind; /* of the block: input, events, cases */
    clr_str_t body; /* its lines */
    int cases;
    int failed;
} golden_t;

static inline bool golden_next_block(golden_t *g)
{
    clr_str_t line;
    while (clr_str_split(&g->rest, '\n', &line)) {
        if (clr_str_starts(line, CLR_STR("#")))
            g->heading = line;
        if (!clr_str_starts(line, CLR_STR("```")))
            continue;
        g->kind = clr_str_from(line, 3);
        const char *from = g->rest.p;
        const char *to = from;
        while (clr_str_split(&g->rest, '\n', &line) && !clr_str_eq(line, CLR_STR("```")))
            to = line.p + line.n + 1;
        g->body = clr_str(from, (size_t)(to - from));
        return true;
    }
    return false;
}

static inline void golden_compare(golden_t *g, const char *how, clr_str_t input, clr_str_t expected,
                                  clr_str_t actual)
{
    g->cases++;
    if (clr_str_eq(expected, actual))
        return;
    g->failed++;
    fprintf(stderr, "%.*s (%s)\ninput:    %.*s\nexpected: %.*s\nactual:   %.*s\n\n",
            CLR_STR_ARG(g->heading), how, CLR_STR_ARG(input), CLR_STR_ARG(expected),
            CLR_STR_ARG(actual));
}

static inline void golden_finish(const golden_t *g, clr_buf_t *text)
{
    clr_buf_deinit(text);
    EXPECT(g->cases > 0);
    EXPECT_EQ(g->failed, 0);
}

/* Runs every input of the file whole, byte by byte and in sevens. */
static inline void golden_run_feeds(const char *name, golden_feed_cb run)
{
    clr_buf_t text = golden_read(name);
    golden_t g = {.rest = clr_buf_str(&text)};
    static const size_t steps[] = {SIZE_MAX, 1, 7};
    static const char *const how[] = {"whole", "byte by byte", "by 7 bytes"};
    while (golden_next_block(&g)) {
        if (!clr_str_eq(g.kind, CLR_STR("input")))
            continue;
        clr_str_t input = g.body;
        if (!golden_next_block(&g) || !clr_str_eq(g.kind, CLR_STR("events")))
            TEST_FAIL_("%.*s: no events after the input", CLR_STR_ARG(g.heading));
        for (size_t i = 0; i < clr_array_len(steps); i++) {
            clr_buf_t events = {0};
            run(input, steps[i], &events);
            golden_compare(&g, how[i], input, g.body, clr_buf_str(&events));
            clr_buf_deinit(&events);
        }
    }
    golden_finish(&g, &text);
}

static inline void golden_run_line(golden_t *g, clr_str_t line, golden_case_cb run)
{
    const char *arrow = memmem(line.p, line.n, " => ", 4);
    if (!arrow)
        TEST_FAIL_("no arrow in: %.*s", CLR_STR_ARG(line));
    size_t n = (size_t)(arrow - line.p);
    clr_buf_t input = {0}, output = {0};
    golden_unescape(&input, clr_str(line.p, n));
    run(clr_buf_str(&input), &output);
    golden_compare(g, "case", clr_str(line.p, n), clr_str_from(line, n + 4), clr_buf_str(&output));
    clr_buf_deinit(&input);
    clr_buf_deinit(&output);
}

/* Runs every line of the blocks of cases. */
static inline void golden_run_cases(const char *name, golden_case_cb run)
{
    clr_buf_t text = golden_read(name);
    golden_t g = {.rest = clr_buf_str(&text)};
    while (golden_next_block(&g)) {
        clr_str_t line;
        while (clr_str_eq(g.kind, CLR_STR("cases")) && clr_str_split(&g.body, '\n', &line)) {
            if (line.n > 0)
                golden_run_line(&g, line, run);
        }
    }
    golden_finish(&g, &text);
}
