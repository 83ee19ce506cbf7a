/* placeholder.c: a walk over JSON text that is known to be valid. */
#include "proto/placeholder.h"

#include "base/assert.h"
#include "proto/json.h"

typedef enum member { KEY_OTHER, KEY_MARK, KEY_NUM } member_t;

typedef struct level {
    bool object;
    bool marked; /* "_placeholder" is true: the last one counts, as in JSON.parse() */
    bool num_ok; /* "num" is an attachment's number */
} level_t;

typedef struct walk {
    clr_str_t rest;
    uint32_t attachments;
    size_t depth;
    bool at_key;
    member_t key; /* of the value that comes */
    level_t levels[CLR_JSON_MAX_DEPTH];
} walk_t;

static bool number_is_attachment(clr_str_t s, uint32_t attachments)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    uint64_t num = 0;
    if (!clr_str_to_u64(clr_str(s.p, n), UINT32_MAX, &num) || num >= attachments)
        return false;
    char next = n < s.n ? s.p[n] : '\0';
    return next != '.' && next != 'e' && next != 'E';
}

static void on_key(walk_t *w, clr_str_t string)
{
    w->at_key = false;
    w->key = clr_json_string_is(string, CLR_STR("_placeholder")) ? KEY_MARK
             : clr_json_string_is(string, CLR_STR("num"))        ? KEY_NUM
                                                                 : KEY_OTHER;
}

/* The first character of a value. */
static void on_value(walk_t *w)
{
    if (w->depth == 0 || w->key == KEY_OTHER)
        return;
    level_t *level = &w->levels[w->depth - 1];
    if (w->key == KEY_MARK)
        level->marked = w->rest.p[0] == 't';
    else
        level->num_ok = number_is_attachment(w->rest, w->attachments);
    w->key = KEY_OTHER;
}

static void open_level(walk_t *w)
{
    CLR_ASSERT(w->depth < CLR_JSON_MAX_DEPTH);
    bool object = w->rest.p[0] == '{';
    w->levels[w->depth++] = (level_t){.object = object};
    w->at_key = object;
}

static bool close_level(walk_t *w)
{
    CLR_ASSERT(w->depth > 0);
    const level_t *level = &w->levels[--w->depth];
    w->at_key = false;
    return !level->marked || level->num_ok;
}

/* Passes one token. False for a bad placeholder. */
static bool step(walk_t *w)
{
    char c = w->rest.p[0];
    size_t n = 1;
    if (c == '"') {
        n = clr_json_string_length(w->rest);
        if (w->at_key)
            on_key(w, clr_str(w->rest.p, n));
        else
            on_value(w);
    } else if (c == '{' || c == '[') {
        on_value(w);
        open_level(w);
    } else if (c == '}' || c == ']') {
        if (!close_level(w))
            return false;
    } else if (c == ',') {
        w->at_key = w->depth > 0 && w->levels[w->depth - 1].object;
    } else if (c == 't' || c == 'f' || c == 'n' || c == '-' || (c >= '0' && c <= '9')) {
        on_value(w); /* the rest of the token changes nothing: see KEY_OTHER */
    }
    w->rest = clr_str_from(w->rest, n);
    return true;
}

bool clr_placeholders_are_valid(clr_str_t json, uint32_t attachments)
{
    walk_t w;
    w.rest = json;
    w.attachments = attachments;
    w.depth = 0;
    w.at_key = false;
    w.key = KEY_OTHER;
    while (w.rest.n > 0)
        if (!step(&w))
            return false;
    return true;
}
