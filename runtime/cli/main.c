/* main.c: the program clrun. */
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/serve.h"
#include "clrun/exit.h"

#define WIDTH_DEFAULT 80
#define WIDTH_MAX     100 /* longer lines are hard to read */

static unsigned terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return WIDTH_DEFAULT;
    return size.ws_col < WIDTH_MAX ? size.ws_col : WIDTH_MAX;
}

int main(int argc, char **argv)
{
    clr_options_t options;
    clr_error_t err = {0};
    if (clr_options_parse(&options, argc, argv, &err) < 0) {
        fprintf(stderr, "clrun: %s\n", err.text);
        return CLR_EXIT_USAGE;
    }
    switch (options.action) {
    case CLR_ACTION_HELP:
        clr_options_print_help(stdout, terminal_width());
        return CLR_EXIT_OK;
    case CLR_ACTION_HELP_MARKDOWN:
        clr_options_print_markdown(stdout);
        return CLR_EXIT_OK;
    case CLR_ACTION_VERSION:
        clr_options_print_version(stdout);
        return CLR_EXIT_OK;
    case CLR_ACTION_RUN:
        break;
    }
    return clr_serve(&options);
}
