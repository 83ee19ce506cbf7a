/* worker.c: the program that becomes a worker: CPython as a shared library, or as its own program.
 *
 *   clrun-worker PARENT LIBRARY PYTHON BOOTSTRAP
 *
 * PARENT is the gateway's process id, LIBRARY the libpython to load ("" for none), PYTHON the
 * interpreter's path as the environment knows it, BOOTSTRAP the Python code to run. Descriptor 3 is
 * the link.
 *
 * A program of its own, which links nothing but libc: extension modules look their symbols up
 * globally, and those of uvloop (which brings its own libuv) or of ssl would find the gateway's
 * libraries first, in another version.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
/* CPython leaves memory behind by design. The name is the sanitizer's. */
int __lsan_is_turned_off(void); /* NOLINT */
int __lsan_is_turned_off(void)  /* NOLINT */
{
    return 1;
}
#endif

typedef int (*py_main_fn)(int argc, char **argv);

/* Py_BytesMain of the library, which stays loaded; NULL with a line on stderr. */
static py_main_fn load(const char *library)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
    void *symbol = handle ? dlsym(handle, "Py_BytesMain") : NULL;
    py_main_fn fn = NULL;
    if (!symbol)
        fprintf(stderr, "clrun-worker: %s\n", dlerror());
    else
        memcpy(&fn, &symbol, sizeof(fn)); /* ISO C has no cast for this */
    return fn;
}

/* Nothing of the worker outlives the gateway, and the terminal's Ctrl-C reaches the gateway alone.
 */
static void tie_to_gateway(const char *parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != (pid_t)strtol(parent, NULL, 10))
        exit(0); /* it died before the line above */
    setpgid(0, 0);
    signal(SIGPIPE, SIG_IGN);
    unsetenv("PYTHONHOME"); /* would turn the interpreter away from its own library */
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("clrun-worker: clrun starts this program\n", stderr);
        return 2;
    }
    const char *library = argv[2];
    char *python = argv[3];
    char *args[] = {python, "-c", argv[4], NULL};
    tie_to_gateway(argv[1]);
    py_main_fn py_main = *library ? load(library) : NULL;
    if (py_main)
        return py_main(3, args);
    execv(python, args);
    fprintf(stderr, "clrun-worker: cannot start %s: %s\n", python, strerror(errno));
    return 1;
}
