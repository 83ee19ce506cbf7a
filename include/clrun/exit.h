/* exit.h: the exit statuses of clrun. The one table from which come the enum and the list in
 * --help.
 */
#pragma once

/* X(number, name, meaning) */
#define CLR_EXIT_MAP(X)                                                                            \
    X(0, OK, "stopped as asked")                                                                   \
    X(1, RUNTIME, "an error while running")                                                        \
    X(2, USAGE, "a wrong option, no such app, or no usable Python")                                \
    X(3, APP, "the app could not be loaded")                                                       \
    X(4, LISTEN, "cannot listen: the port is in use or not allowed")

#define CLR_EXIT_ENUM(number, name, meaning) CLR_EXIT_##name = (number),
enum clr_exit { CLR_EXIT_MAP(CLR_EXIT_ENUM) };
#undef CLR_EXIT_ENUM
