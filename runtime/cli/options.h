/* options.h: the command line: `clrun [options] APP`. Flags beat environment variables, which beat
 * defaults. All options come from options.def.
 *
 * Threads:  any.
 * Lifetime: the strings of clr_options_t are borrowed from argv, the environment or the program.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

typedef enum clr_action {
    CLR_ACTION_RUN,
    CLR_ACTION_HELP,
    CLR_ACTION_HELP_MARKDOWN,
    CLR_ACTION_VERSION,
} clr_action_t;

/* What was given for an option that may be repeated; views of argv or the environment. */
#define CLR_OPTION_LIST_MAX 16
typedef struct clr_option_list {
    const char *items[CLR_OPTION_LIST_MAX];
    unsigned count;
    bool is_default; /* from the environment: the first flag begins anew */
} clr_option_list_t;

typedef struct clr_options {
    clr_action_t action;
    const char *app; /* set when action is CLR_ACTION_RUN */
#define TEXT(field, flag, value, def, help)            const char *field;
#define SWITCH(field, flag, choices, alone, help)      const char *field;
#define LIST(field, flag, value, help)                 clr_option_list_t field;
#define CHOICE(field, flag, choices, def, help)        const char *field;
#define FLAG(field, flag, def, help)                   bool field;
#define COUNT(field, flag, value, def, min, max, help) uint64_t field;
#define SIZE(field, flag, def, min, max, help)         uint64_t field;
#define DURATION(field, flag, def, min, max, help)     uint64_t field;
#include "cli/options.def"
} clr_options_t;

typedef enum clr_option_kind {
    CLR_OPTION_SECTION, /* a title in the table, no option */
    CLR_OPTION_TEXT,
    CLR_OPTION_SWITCH,
    CLR_OPTION_LIST,
    CLR_OPTION_CHOICE,
    CLR_OPTION_FLAG,
    CLR_OPTION_COUNT,
    CLR_OPTION_SIZE,
    CLR_OPTION_DURATION,
} clr_option_kind_t;

typedef struct clr_option {
    clr_option_kind_t kind;
    const char *flag;  /* without the dashes; a section's title */
    const char *value; /* what --help calls it; a choice's words */
    const char *def;   /* as text; "" for none */
    const char *help;
    uint64_t min, max; /* of numbers */
    size_t offset;     /* of the field */
    const char *alone; /* what a switch is without a value */
} clr_option_t;

/* The table, sections among the options, in the order of options.def. */
extern const clr_option_t clr_option_table[];
extern const size_t clr_option_count;

/* Fills *out from argv and the environment. On a wrong option: CLR_EINVAL and one line in err,
 * which suggests the nearest option when there is one. */
CLR_NODISCARD int clr_options_parse(clr_options_t *out, int argc, char *const argv[],
                                    clr_error_t *err);

/* Sets one option of *out from its text; err says what is wrong with it, without the option's name.
 */
CLR_NODISCARD int clr_option_set(clr_options_t *out, const clr_option_t *option, const char *text,
                                 clr_error_t *err);

/* "CLRUN_LOG_LEVEL"; out holds at least 64 bytes. */
void clr_option_env_name(const clr_option_t *option, char out[64]);

/* --help, wrapped to `width` columns. */
void clr_options_print_help(FILE *out, unsigned width);

/* docs/cli.md. */
void clr_options_print_markdown(FILE *out);

void clr_options_print_version(FILE *out);
