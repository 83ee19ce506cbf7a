/* option_value.c: texts into values. */
#include "cli/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit_t;

/* The first one is what a bare number means. */
static const unit_t size_units[] = {
    {"", 1},          {"B", 1},         {"k", 1 << 10},   {"K", 1 << 10}, {"kB", 1 << 10},
    {"KB", 1 << 10},  {"M", 1 << 20},   {"MB", 1 << 20},  {"G", 1 << 30}, {"GB", 1 << 30},
    {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
};
static const unit_t duration_units[] = {
    {"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000},
};
static const unit_t count_units[] = {{"", 1}};

/* "1.5m" into 90000: decimal digits, at most nine after the point, then a unit. */
static bool parse_number(const char *text, const unit_t *units, size_t unit_count, uint64_t *out)
{
    static const uint64_t limit = 1ull << 50;
    uint64_t whole = 0, fraction = 0, scale = 1;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if ((whole = whole * 10 + (uint64_t)(*p - '0')) > limit)
            return false;
    }
    if (p == text)
        return false;
    if (*p == '.' && unit_count > 1) {
        for (p++; *p >= '0' && *p <= '9'; p++) {
            if (scale >= 1000000000)
                return false;
            fraction = fraction * 10 + (uint64_t)(*p - '0');
            scale *= 10;
        }
    }
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(p, units[i].name) != 0)
            continue;
        if (whole > limit / units[i].factor)
            return false;
        *out = whole * units[i].factor + fraction * units[i].factor / scale;
        return true;
    }
    return false;
}

static void format_bound(char out[32], clr_option_kind_t kind, uint64_t value)
{
    if (kind == CLR_OPTION_DURATION && value % 1000 == 0)
        snprintf(out, 32, "%llus", (unsigned long long)value / 1000);
    else if (kind == CLR_OPTION_DURATION)
        snprintf(out, 32, "%llums", (unsigned long long)value);
    else if (kind == CLR_OPTION_SIZE && value >= 1 << 20 && value % (1 << 20) == 0)
        snprintf(out, 32, "%lluM", (unsigned long long)value >> 20);
    else
        snprintf(out, 32, "%llu", (unsigned long long)value);
}

static int set_number(uint64_t *out, const clr_option_t *o, const char *text, clr_error_t *err)
{
    const unit_t *units = count_units;
    size_t n = clr_array_len(count_units);
    const char *expected = "a number";
    if (o->kind == CLR_OPTION_SIZE) {
        units = size_units;
        n = clr_array_len(size_units);
        expected = "a size such as 512k or 1M";
    } else if (o->kind == CLR_OPTION_DURATION) {
        units = duration_units;
        n = clr_array_len(duration_units);
        expected = "a duration such as 500ms, 10s or 2m";
    }
    char bound[32];
    uint64_t value = 0;
    if (!parse_number(text, units, n, &value))
        return clr_error_set(err, CLR_EINVAL, "'%s' is not %s", text, expected);
    if (value < o->min) {
        format_bound(bound, o->kind, o->min);
        return clr_error_set(err, CLR_EINVAL, "%s is below the least, %s", text, bound);
    }
    if (value > o->max) {
        format_bound(bound, o->kind, o->max);
        return clr_error_set(err, CLR_EINVAL, "%s is above the most, %s", text, bound);
    }
    *out = value;
    return 0;
}

static int set_choice(const char **out, const clr_option_t *o, const char *text, clr_error_t *err)
{
    clr_str_t rest = clr_str_c(o->value), word;
    while (clr_str_split(&rest, '|', &word)) {
        if (clr_str_eq(word, clr_str_c(text))) {
            *out = text;
            return 0;
        }
    }
    return clr_error_set(err, CLR_EINVAL, "'%s' is not one of %s", text, o->value);
}

/* "yes" is what it is without a value, "no" is nothing. */
static int set_switch(const char **out, const clr_option_t *o, const char *text, clr_error_t *err)
{
    static const struct {
        const char *word;
        bool on;
    } words[] = {{"0", false}, {"no", false}, {"off", false}, {"false", false},
                 {"1", true},  {"yes", true}, {"on", true},   {"true", true}};
    for (size_t i = 0; i < clr_array_len(words); i++) {
        if (clr_str_ieq(clr_str_c(text), clr_str_c(words[i].word))) {
            *out = words[i].on ? o->alone : NULL;
            return 0;
        }
    }
    return set_choice(out, o, text, err);
}

static int add_item(clr_option_list_t *list, const char *text, clr_error_t *err)
{
    if (list->is_default)
        *list = (clr_option_list_t){0};
    if (list->count == CLR_OPTION_LIST_MAX)
        return clr_error_set(err, CLR_EINVAL, "given more than %d times", CLR_OPTION_LIST_MAX);
    list->items[list->count++] = text;
    return 0;
}

static int set_flag(bool *out, const char *text, clr_error_t *err)
{
    static const char *const words[] = {"0", "no", "off", "false", "1", "yes", "on", "true"};
    for (size_t i = 0; i < clr_array_len(words); i++) {
        if (clr_str_ieq(clr_str_c(text), clr_str_c(words[i]))) {
            *out = i >= clr_array_len(words) / 2;
            return 0;
        }
    }
    return clr_error_set(err, CLR_EINVAL, "'%s' is neither yes nor no", text);
}

int clr_option_set(clr_options_t *out, const clr_option_t *option, const char *text,
                   clr_error_t *err)
{
    void *field = (char *)out + option->offset;
    switch (option->kind) {
    case CLR_OPTION_SECTION:
        break;
    case CLR_OPTION_TEXT:
        *(const char **)field = *text ? text : NULL;
        return 0;
    case CLR_OPTION_SWITCH:
        return set_switch(field, option, text, err);
    case CLR_OPTION_LIST:
        return add_item(field, text, err);
    case CLR_OPTION_CHOICE:
        return set_choice(field, option, text, err);
    case CLR_OPTION_FLAG:
        return set_flag(field, text, err);
    case CLR_OPTION_COUNT:
    case CLR_OPTION_SIZE:
    case CLR_OPTION_DURATION:
        return set_number(field, option, text, err);
    }
    return clr_error_set(err, CLR_EINVAL, "not an option");
}
