/* load_chat.c: chats whose answers are streamed, as of the page of Chainlit and clrun.
 *
 * Each client asks for an answer of --burst tokens, one each --pace milliseconds (0: as fast as it
 * goes), and once it is complete for the next. What is counted are tokens, however many events they
 * come in; the latency is that from a question to the first token of its answer.
 */
#include "load_scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN     "token " /* each token of the app, which needs no escape */
#define TOKEN_LEN (sizeof(TOKEN) - 1)
#define IS(text, len, name)                                                                        \
    ((len) > sizeof(name) + 3 && memcmp((text), "42[\"" name "\"", sizeof(name) + 4) == 0)

enum chat_state {
    CHAT_GREETING, /* until the server has taken notice of the connection */
    CHAT_IDLE,
    CHAT_ASKED,
    CHAT_ANSWERED, /* at least in part */
};

typedef struct load_chat {
    enum chat_state state;
    uint32_t want; /* tokens of this answer */
    uint32_t got;
    uint32_t questions;
    uint64_t asked_at;
} load_chat_t;

static load_run_t *run_of(load_conn_t *c)
{
    return c->loop->ctx;
}

static load_chat_t *chat_of(load_conn_t *c)
{
    load_run_t *run = run_of(c);
    if (run->chats == NULL &&
        (run->chats = calloc(run->loop.conn_count, sizeof(load_chat_t))) == NULL) {
        load_die("out of memory");
    }
    return &run->chats[c->index];
}

/* The payload of CONNECT: a session is known by an id that the client makes. */
static size_t chat_auth(load_conn_t *c, char *out, size_t room)
{
    return (size_t)snprintf(out, room,
                            "{\"sessionId\":\"%08x-0000-4000-8000-%012x\",\"clientType\":"
                            "\"webapp\",\"threadId\":\"\",\"userEnv\":\"{}\",\"chatProfile\":\"\"}",
                            (unsigned)load_now(), c->index);
}

static void chat_ready(load_conn_t *c)
{
    static const char hello[] = "42[\"connection_successful\"]";
    load_conn_send(c, hello, sizeof(hello) - 1);
}

static void ask(load_conn_t *c, uint32_t tokens)
{
    load_run_t *run = run_of(c);
    load_chat_t *chat = chat_of(c);
    char text[512];
    int len = snprintf(text, sizeof(text),
                       "42[\"client_message\",{\"message\":{\"threadId\":\"\",\"id\":"
                       "\"%08x-0000-4000-8000-%012x\",\"name\":\"User\",\"type\":\"user_message\","
                       "\"output\":\"%u %u\",\"createdAt\":\"2026-01-01T00:00:00.000Z\"},"
                       "\"fileReferences\":[]}]",
                       chat->questions++, c->index, tokens, run->options->pace);
    chat->state = CHAT_ASKED;
    chat->want = tokens;
    chat->got = 0;
    chat->asked_at = load_now();
    load_conn_send(c, text, (size_t)len);
}

/* The first answers have different lengths, so that from then on the questions are spread. */
static void chat_start(load_run_t *run)
{
    uint32_t count = run->loop.conn_count;
    for (uint32_t i = 0; i < count; i++) {
        ask(&run->loop.conns[i], 1 + (uint32_t)((uint64_t)run->options->burst * i / count));
    }
}

/* The tokens in the value of a key, which ends with a quote. */
static uint32_t count_tokens(const char *text, size_t len, const char *key)
{
    const char *p = memmem(text, len, key, strlen(key));
    const char *end = text + len;
    uint32_t count = 0;
    for (p = p ? p + strlen(key) : end; p < end && *p != '"'; p += TOKEN_LEN) {
        if ((size_t)(end - p) <= TOKEN_LEN || memcmp(p, TOKEN, TOKEN_LEN) != 0) {
            load_die("not what was asked for: %.*s", (int)len, text);
        }
        count++;
    }
    return count;
}

static void on_tokens(load_conn_t *c, load_chat_t *chat, uint32_t count)
{
    load_run_t *run = run_of(c);
    if (chat->state == CHAT_ASKED) {
        load_histogram_add(&run->latency, load_now() - chat->asked_at);
        chat->state = CHAT_ANSWERED;
    }
    chat->got += count;
    run->count += count;
}

/* The server does nothing more for the client. */
static void on_end(load_conn_t *c, load_chat_t *chat)
{
    load_run_t *run = run_of(c);
    if (chat->state == CHAT_GREETING) {
        chat->state = CHAT_IDLE;
        run->ready++;
    } else if (chat->state == CHAT_ANSWERED && chat->got == chat->want) {
        ask(c, run->options->burst);
    } else {
        load_die("client %u: %u of %u tokens", c->index, chat->got, chat->want);
    }
}

static void chat_message(load_conn_t *c, const char *text, size_t len)
{
    if (IS(text, len, "stream_token")) {
        on_tokens(c, chat_of(c), count_tokens(text, len, "\"token\":\""));
    } else if (IS(text, len, "stream_start")) {
        on_tokens(c, chat_of(c), count_tokens(text, len, "\"output\":\""));
    } else if (IS(text, len, "task_end")) {
        on_end(c, chat_of(c));
    }
}

const load_scenario_t load_chat_scenario = {
    .name = "chat",
    .unit = "tokens",
    .ops = {chat_ready, chat_message, NULL, chat_auth},
    .clients = 50,
    .burst = 1000,
    .start = chat_start,
    .has_latency = true,
};
