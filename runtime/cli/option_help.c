/* option_help.c: --help, docs/cli.md and --version, from the option table. */
#include "cli/options.h"

#include <string.h>
#include <uv.h>

#include "base/str.h"
#include "clrun/exit.h"
#include "clrun/version.h"

static const char intro[] =
    "Serves APP, a Python file (app.py) or module (package.module): Socket.IO and Engine.IO "
    "servers, an ASGI application, a chat. A name after a colon (app.py:sio) says which object of "
    "the module is the app.";

static const struct {
    unsigned status;
    const char *meaning;
} statuses[] = {
#define ROW(number, name, meaning) {(number), (meaning)},
    CLR_EXIT_MAP(ROW)
#undef ROW
};

/* "--port PORT", "--[no-]access-log", "--loop asyncio|uvloop" */
static void format_left(char out[64], const clr_option_t *o)
{
    if (o->kind == CLR_OPTION_FLAG)
        snprintf(out, 64, "--[no-]%s", o->flag);
    else if (o->kind == CLR_OPTION_SWITCH)
        snprintf(out, 64, "--[no-]%s[=%s]", o->flag, o->value);
    else
        snprintf(out, 64, "--%s %s", o->flag, o->value);
}

/* Prints words with line breaks at `width`, each further line indented; returns the column. */
static unsigned print_wrapped(FILE *out, const char *text, unsigned indent, unsigned column,
                              unsigned width)
{
    clr_str_t rest = clr_str_c(text), word;
    bool first = true;
    while (clr_str_split(&rest, ' ', &word)) {
        if (!first && column + 1 + word.n > width) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", CLR_STR_ARG(word));
        column += (unsigned)word.n;
        first = false;
    }
    return column;
}

#define HELP_INDENT 27

static void print_row(FILE *out, const char *left, const char *help, unsigned width)
{
    unsigned column = (unsigned)fprintf(out, "  %s", left);
    if (column + 2 > HELP_INDENT) {
        fprintf(out, "\n%*s", HELP_INDENT, "");
    } else {
        fprintf(out, "%*s", (int)(HELP_INDENT - column), "");
    }
    print_wrapped(out, help, HELP_INDENT, HELP_INDENT, width);
    fputc('\n', out);
}

static void print_option(FILE *out, const clr_option_t *o, unsigned width)
{
    char left[64], help[512];
    format_left(left, o);
    if (*o->def && o->kind != CLR_OPTION_FLAG)
        snprintf(help, sizeof(help), "%s [%s]", o->help, o->def);
    else
        snprintf(help, sizeof(help), "%s", o->help);
    print_row(out, left, help, width);
}

void clr_options_print_help(FILE *out, unsigned width)
{
    if (width < 60)
        width = 60;
    fputs("Usage: clrun [options] APP\n\n", out);
    print_wrapped(out, intro, 0, 0, width);
    fputc('\n', out);
    for (size_t i = 0; i < clr_option_count; i++) {
        const clr_option_t *o = &clr_option_table[i];
        if (o->kind == CLR_OPTION_SECTION)
            fprintf(out, "\n%s\n", o->flag);
        else
            print_option(out, o, width);
    }
    fputs("\nAbout clrun\n", out);
    print_row(out, "-h, --help", "Print this.", width);
    print_row(out, "--help-markdown", "Print this as a page of the documentation.", width);
    print_row(out, "--version", "Print the versions of clrun and libuv.", width);
    fputc('\n', out);
    print_wrapped(
        out,
        "Each option is also an environment variable: --log-level is CLRUN_LOG_LEVEL. A flag "
        "beats its variable. Times take ms, s, m or h and are seconds otherwise; sizes take k, M "
        "or G.",
        0, 0, width);
    fputs("\n\nExit status\n", out);
    for (size_t i = 0; i < clr_array_len(statuses); i++)
        fprintf(out, "  %u  %s\n", statuses[i].status, statuses[i].meaning);
}

/* Table cells: a bar would end the cell. */
static void print_cell(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text, out);
    }
}

void clr_options_print_markdown(FILE *out)
{
    fputs("# Command line\n\n"
          "<!-- Made by `clrun --help-markdown` from runtime/cli/options.def; scripts/gen-docs "
          "writes "
          "it. -->\n\n"
          "`clrun [options] APP`\n\n",
          out);
    fprintf(out, "%s\n\n", intro);
    fputs("A flag beats its environment variable, which beats the default. `--flag value` and "
          "`--flag=value` "
          "are the same;\n`--no-flag` switches off what is yes or no. Times take `ms`, `s`, `m` or "
          "`h` and "
          "are seconds otherwise; sizes take\n`k`, `M` or `G`.\n",
          out);
    for (size_t i = 0; i < clr_option_count; i++) {
        const clr_option_t *o = &clr_option_table[i];
        if (o->kind == CLR_OPTION_SECTION) {
            fprintf(out,
                    "\n## %s\n\n| option | variable | default | meaning |\n|---|---|---|---|\n",
                    o->flag);
            continue;
        }
        char left[64], env[64];
        format_left(left, o);
        clr_option_env_name(o, env);
        fputs("| `", out);
        print_cell(out, left);
        fprintf(out, "` | `%s` | %s%s%s | ", env, *o->def ? "`" : "", o->def, *o->def ? "`" : "");
        print_cell(out, o->help);
        fputs(" |\n", out);
    }
    fputs("\n`-h`, `--help` print the options, `--version` the versions of clrun and libuv.\n\n"
          "## Exit status\n\n| status | meaning |\n|---|---|\n",
          out);
    for (size_t i = 0; i < clr_array_len(statuses); i++)
        fprintf(out, "| %u | %s |\n", statuses[i].status, statuses[i].meaning);
}

void clr_options_print_version(FILE *out)
{
    fprintf(out, "clrun %s (libuv %s)\n", CLR_VERSION, uv_version_string());
}
