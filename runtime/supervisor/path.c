/* path.c: paths as strings, and where clrun's own files are. */
#include "supervisor/path.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

char *clr_path_join(const char *base, const char *name)
{
    if (name[0] == '/' || strcmp(base, ".") == 0)
        return clr_xstrdup(clr_str_c(name));
    clr_buf_t path = {0};
    clr_buf_append_str(&path, clr_str_c(base));
    if (path.n == 0 || path.p[path.n - 1] != '/')
        clr_buf_putc(&path, '/');
    clr_buf_append_str(&path, clr_str_c(name));
    clr_buf_putc(&path, 0);
    return path.p;
}

bool clr_path_is(const char *path, mode_t type)
{
    struct stat st;
    return stat(path, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

char *clr_path_absolute(const char *path)
{
    char cwd[PATH_MAX];
    if (path[0] == '/' || !getcwd(cwd, sizeof(cwd)))
        return clr_xstrdup(clr_str_c(path));
    return clr_path_join(cwd, path);
}

static bool home_at(clr_home_t *out, const char *lib)
{
    char *package = clr_path_join(lib, "python");
    char *worker = clr_path_join(lib, "clrun-worker");
    char *main_module = clr_path_join(package, "clrun/_worker.py");
    bool found = clr_path_is(worker, S_IFREG) && clr_path_is(main_module, S_IFREG);
    free(main_module);
    if (found) {
        *out = (clr_home_t){.worker = worker, .package = package};
        return true;
    }
    free(package);
    free(worker);
    return false;
}

/* Takes the last part off a path. */
static void cut_last(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = 0;
}

int clr_home_find(clr_home_t *out, clr_error_t *err)
{
    char exe[PATH_MAX];
    *out = (clr_home_t){0};
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n < 0)
        return clr_error_set(err, -errno, "cannot read /proc/self/exe: %s", strerror(errno));
    exe[n] = 0;
    char *program = clr_xstrdup(clr_str_c(exe));
    bool found = false;
    for (int i = 0; i < 2 && !found; i++) {
        cut_last(exe);
        char *lib = clr_path_join(exe, "lib/clrun");
        found = home_at(out, lib);
        free(lib);
    }
    int rc = 0;
    if (!found)
        rc = clr_error_set(err, CLR_ENOTFOUND,
                           "lib/clrun is missing beside %s: build or install it whole", program);
    free(program);
    return rc;
}

void clr_home_deinit(clr_home_t *home)
{
    free(home->worker);
    free(home->package);
    *home = (clr_home_t){0};
}
