/* options.c: the table and the parser of the command line. */
#include "cli/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"

#define FIELD(field) offsetof(clr_options_t, field)

const clr_option_t clr_option_table[] = {
#define SECTION(title) {.kind = CLR_OPTION_SECTION, .flag = (title)},
#define TEXT(field, flag_, value_, def_, help_)                                                    \
    {CLR_OPTION_TEXT, (flag_), (value_), (def_), (help_), 0, 0, FIELD(field), NULL},
#define SWITCH(field, flag_, choices_, alone_, help_)                                              \
    {CLR_OPTION_SWITCH, (flag_), (choices_), "", (help_), 0, 0, FIELD(field), (alone_)},
#define LIST(field, flag_, value_, help_)                                                          \
    {CLR_OPTION_LIST, (flag_), (value_), "", (help_), 0, 0, FIELD(field), NULL},
#define CHOICE(field, flag_, choices_, def_, help_)                                                \
    {CLR_OPTION_CHOICE, (flag_), (choices_), (def_), (help_), 0, 0, FIELD(field), NULL},
#define FLAG(field, flag_, def_, help_)                                                            \
    {CLR_OPTION_FLAG, (flag_), "", (def_) ? "yes" : "no", (help_), 0, 0, FIELD(field), NULL},
#define COUNT(field, flag_, value_, def_, min_, max_, help_)                                       \
    {CLR_OPTION_COUNT, (flag_), (value_), (def_), (help_), (min_), (max_), FIELD(field), NULL},
#define SIZE(field, flag_, def_, min_, max_, help_)                                                \
    {CLR_OPTION_SIZE, (flag_), "SIZE", (def_), (help_), (min_), (max_), FIELD(field), NULL},
#define DURATION(field, flag_, def_, min_, max_, help_)                                            \
    {CLR_OPTION_DURATION, (flag_), "TIME", (def_), (help_), (min_), (max_), FIELD(field), NULL},
#include "cli/options.def"
};
const size_t clr_option_count = clr_array_len(clr_option_table);

static const struct {
    const char *word;
    clr_action_t action;
} actions[] = {
    {"-h", CLR_ACTION_HELP},
    {"--help", CLR_ACTION_HELP},
    {"--help-markdown", CLR_ACTION_HELP_MARKDOWN},
    {"--version", CLR_ACTION_VERSION},
};

void clr_option_env_name(const clr_option_t *option, char out[64])
{
    size_t n = (size_t)snprintf(out, 64, "CLRUN_%s", option->flag);
    CLR_ASSERT(n < 64);
    for (char *p = out; *p; p++) {
        if (*p == '-')
            *p = '_';
        else if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    }
}

static int set_defaults(clr_options_t *out, clr_error_t *err)
{
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < clr_option_count; i++) {
        const clr_option_t *o = &clr_option_table[i];
        if (o->kind == CLR_OPTION_SECTION || !*o->def)
            continue;
        if (clr_option_set(out, o, o->def, err) < 0)
            return clr_error_wrap(err, "default of --%s", o->flag);
    }
    return 0;
}

static int set_from_environment(clr_options_t *out, clr_error_t *err)
{
    for (size_t i = 0; i < clr_option_count; i++) {
        const clr_option_t *o = &clr_option_table[i];
        if (o->kind == CLR_OPTION_SECTION)
            continue;
        char name[64];
        clr_option_env_name(o, name);
        const char *text = getenv(name);
        if (!text || !*text)
            continue;
        if (clr_option_set(out, o, text, err) < 0)
            return clr_error_wrap(err, "%s", name);
        if (o->kind == CLR_OPTION_LIST)
            ((clr_option_list_t *)(void *)((char *)out + o->offset))->is_default = true;
    }
    return 0;
}

static const clr_option_t *find(clr_str_t flag)
{
    for (size_t i = 0; i < clr_option_count; i++) {
        const clr_option_t *o = &clr_option_table[i];
        if (o->kind != CLR_OPTION_SECTION && clr_str_eq(clr_str_c(o->flag), flag))
            return o;
    }
    return NULL;
}

#define WORD_MAX 40 /* longer ones get no suggestion */

/* The number of insertions, deletions, replacements and swaps of neighbours between two words. */
static unsigned edit_distance(clr_str_t a, clr_str_t b)
{
    unsigned d[WORD_MAX + 1][WORD_MAX + 1];
    if (a.n > WORD_MAX || b.n > WORD_MAX)
        return WORD_MAX;
    for (unsigned i = 0; i <= a.n; i++)
        d[i][0] = i;
    for (unsigned j = 0; j <= b.n; j++)
        d[0][j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        for (unsigned j = 1; j <= b.n; j++) {
            unsigned best = d[i - 1][j - 1] + (a.p[i - 1] != b.p[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1];
            if (swapped && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[a.n][b.n];
}

/* The option that was probably meant, or NULL: an abbreviation, or a slip of the fingers. */
static const char *nearest(clr_str_t flag)
{
    const char *best = NULL;
    unsigned least = flag.n < 6 ? 2 : 3; /* at most so many slips, less one */
    for (size_t i = 0; i < clr_option_count; i++) {
        const clr_option_t *o = &clr_option_table[i];
        if (o->kind == CLR_OPTION_SECTION)
            continue;
        if (flag.n >= 3 && clr_str_starts(clr_str_c(o->flag), flag))
            return o->flag;
        unsigned d = edit_distance(flag, clr_str_c(o->flag));
        if (d <= least && (!best || d < least)) {
            best = o->flag;
            least = d;
        }
    }
    return best;
}

static int unknown(const char *arg, clr_str_t flag, clr_error_t *err)
{
    const char *meant = nearest(flag);
    int shown = (int)(strcspn(arg, "="));
    if (meant)
        return clr_error_set(err, CLR_EINVAL, "unknown option %.*s; did you mean --%s?", shown, arg,
                             meant);
    return clr_error_set(err, CLR_EINVAL, "unknown option %.*s; see clrun --help", shown, arg);
}

/* May be given without a value, and as --no-… */
static bool is_flag_like(const clr_option_t *o)
{
    return o->kind == CLR_OPTION_FLAG || o->kind == CLR_OPTION_SWITCH;
}

/* One argument that starts with a dash. Returns how many arguments were used, or an error. */
static int parse_option(clr_options_t *out, char *const *args, int left, clr_error_t *err)
{
    const char *arg = args[0];
    for (size_t i = 0; i < clr_array_len(actions); i++) {
        if (strcmp(arg, actions[i].word) == 0) {
            out->action = actions[i].action;
            return 1;
        }
    }
    if (arg[1] != '-')
        return unknown(arg, clr_str_c(arg + 1), err);

    const char *equals = strchr(arg, '=');
    clr_str_t flag = equals ? clr_str(arg + 2, (size_t)(equals - arg - 2)) : clr_str_c(arg + 2);
    const clr_option_t *o = find(flag);
    bool negated = !o && clr_str_starts(flag, CLR_STR("no-"));
    if (negated)
        o = find(clr_str_from(flag, 3));
    if (!o || (negated && !is_flag_like(o)))
        return unknown(arg, flag, err);

    const char *text = equals ? equals + 1 : NULL;
    int used = 1;
    if (is_flag_like(o)) {
        if (text && negated)
            return clr_error_set(err, CLR_EINVAL, "--no-%s takes no value", o->flag);
        if (!text)
            text = negated ? "no" : "yes";
    } else if (!text) {
        if (left < 2)
            return clr_error_set(err, CLR_EINVAL, "--%s needs a value, %s", o->flag, o->value);
        text = args[1];
        used = 2;
    }
    if (clr_option_set(out, o, text, err) < 0)
        return clr_error_wrap(err, "--%s", o->flag);
    return used;
}

static int parse_arguments(clr_options_t *out, int argc, char *const argv[], clr_error_t *err)
{
    bool only_apps = false; /* after "--" */
    for (int i = 1; i < argc;) {
        const char *arg = argv[i];
        if (!only_apps && strcmp(arg, "--") == 0) {
            only_apps = true;
            i++;
        } else if (!only_apps && arg[0] == '-' && arg[1]) {
            int used = parse_option(out, argv + i, argc - i, err);
            if (used < 0)
                return used;
            i += used;
        } else if (out->app) {
            return clr_error_set(err, CLR_EINVAL, "one APP is expected, not both %s and %s",
                                 out->app, arg);
        } else {
            out->app = arg;
            i++;
        }
    }
    return 0;
}

int clr_options_parse(clr_options_t *out, int argc, char *const argv[], clr_error_t *err)
{
    int rc = set_defaults(out, err);
    CLR_ASSERT(rc == 0);
    rc = parse_arguments(out, argc, argv, err);
    if (rc < 0 || out->action != CLR_ACTION_RUN)
        return rc;

    /* A flag beats the environment, so the environment is read into the defaults and the flags
     * again over it; a wrong flag is the error that the user sees first. */
    if ((rc = set_defaults(out, err)) < 0 || (rc = set_from_environment(out, err)) < 0)
        return rc;
    if ((rc = parse_arguments(out, argc, argv, err)) < 0)
        return rc;
    if (!out->app || !*out->app)
        return clr_error_set(err, CLR_EINVAL, "no APP given; usage: clrun [options] APP");
    return 0;
}
