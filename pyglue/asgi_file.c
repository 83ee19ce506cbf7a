/* asgi_file.c: files as (part of) a response's body. The gateway reads them: by their path, or, of
 * an open one, through this process's table of descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "asgi_internal.h"

/* The frame for a part of a file, behind the head. */
static void write_file(clr_asgi_call_t *call, clr_str_t path, uint64_t offset, uint64_t count,
                       bool more)
{
    clr_asgi_response_t *r = &call->response;
    if (r->state == RESPONSE_HELD)
        clr_asgi_response_release(call);
    if (!call->stream)
        return; /* the link broke */
    clr_buf_t *out = clr_wlink_out(call->link);
    uint8_t flags = more || r->sends_trailers ? 0 : CLR_FRAME_END;
    size_t begun = clr_frame_begin(out, CLR_FRAME_HTTP_FILE, flags, call->stream);
    clr_write_str(out, path);
    clr_buf_append_le(out, offset, 8);
    clr_buf_append_le(out, count, 8);
    clr_frame_end(out, begun);
    r->has_body = true;
    r->length = -1; /* the gateway counts */
    r->is_sending = true;
    r->more = more;
    clr_wlink_sent(call->link);
}

/* ---- by path ---- */

/* Better now than when the head is out. 0, or -1 with OSError. */
static int check_file(PyObject *path, const char *p)
{
    struct stat st;
    int fd = open(p, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int error = fd < 0 || fstat(fd, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? EISDIR : 0;
    if (fd >= 0)
        close(fd);
    if (error == 0)
        return 0;
    errno = error;
    PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
    return -1;
}

int clr_asgi_file_pathsend(clr_asgi_call_t *call, PyObject *message)
{
    bool failed;
    PyObject *path = clr_asgi_field(message, call->st->asgi->path, &failed);
    if (failed || clr_asgi_response_check_body(call) < 0)
        return -1;
    if (call->response.has_body) {
        PyErr_SetString(PyExc_RuntimeError, "a file by its path is the whole body or none of it");
        return -1;
    }
    if (!path || !PyUnicode_Check(path)) {
        PyErr_SetString(PyExc_TypeError, "the 'path' of a file is a str");
        return -1;
    }
    PyObject *bytes = PyUnicode_EncodeFSDefault(path);
    char *p;
    if (!bytes || PyBytes_AsStringAndSize(bytes, &p, NULL) < 0) {
        Py_XDECREF(bytes);
        return -1;
    }
    int status = -1;
    if (p[0] != '/')
        PyErr_Format(PyExc_ValueError, "the path of a file is absolute, not %R", path);
    else
        status = check_file(path, p);
    if (status == 0)
        write_file(call, clr_str_c(p), 0, CLR_FILE_REST, false);
    Py_DECREF(bytes);
    return status;
}

/* ---- by descriptor ---- */

/* A number of the message that is not negative; -1 when it is not there, -2 with an exception. */
static int64_t number_of(PyObject *message, PyObject *key)
{
    bool failed;
    PyObject *value = clr_asgi_field(message, key, &failed);
    if (!value)
        return failed ? -2 : -1;
    int64_t number = PyLong_Check(value) ? PyLong_AsLongLong(value) : -1;
    if (number >= 0)
        return number;
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_ValueError, "%R of a file is a number that is not negative, not %R", key,
                     value);
    return -2;
}

/* Where the file is sent from and to; CLR_FILE_REST: to its end. */
typedef struct part {
    int64_t offset;
    uint64_t count;
    bool moves; /* the file's own position is meant */
} part_t;

static int find_part(const clr_asgi_consts_t *n, PyObject *message, int fd, part_t *part)
{
    int64_t count = number_of(message, n->count);
    part->offset = count < -1 ? -2 : number_of(message, n->offset);
    if (part->offset < -1)
        return -1;
    part->count = count < 0 ? CLR_FILE_REST : (uint64_t)count;
    part->moves = part->offset < 0;
    if (part->moves)
        part->offset = lseek(fd, 0, SEEK_CUR);
    if (part->offset >= 0)
        return 0;
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

/* Takes the duplicate. */
static void send_part(clr_asgi_call_t *call, int fd, const part_t *part, bool more)
{
    clr_asgi_response_t *r = &call->response;
    struct stat st;
    int64_t size = fstat(fd, &st) == 0 ? st.st_size : 0;
    r->file = fd;
    r->file_moves = part->moves;
    r->file_end = size;
    if (part->count != CLR_FILE_REST && part->count < (uint64_t)size &&
        part->offset < size - (int64_t)part->count)
        r->file_end = part->offset + (int64_t)part->count;
    clr_buf_t path = {0};
    clr_buf_printf(&path, "/proc/%d/fd/%d", (int)getpid(), fd);
    write_file(call, clr_buf_str(&path), (uint64_t)part->offset, part->count, more);
    clr_buf_deinit(&path);
}

int clr_asgi_file_zerocopysend(clr_asgi_call_t *call, PyObject *message)
{
    const clr_asgi_consts_t *n = call->st->asgi;
    bool failed;
    PyObject *file = clr_asgi_field(message, n->file, &failed);
    int more = failed ? -1 : clr_asgi_flag(message, n->more_body);
    if (more < 0)
        return -1;
    if (!file) {
        PyErr_SetString(PyExc_ValueError, "there is no 'file' to be sent");
        return -1;
    }
    int fd = PyObject_AsFileDescriptor(file);
    part_t part;
    if (fd < 0 || find_part(n, message, fd, &part) < 0 || clr_asgi_response_check_body(call) < 0)
        return -1;
    /* The application may close its own as soon as it likes. */
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    send_part(call, fd, &part, more);
    return 0;
}

void clr_asgi_file_close(clr_asgi_response_t *r)
{
    if (r->file >= 0)
        close(r->file);
    r->file = -1;
}

int clr_asgi_file_done(clr_asgi_call_t *call, uint32_t error)
{
    clr_asgi_response_t *r = &call->response;
    if (!r->is_sending || r->rest.obj)
        return CLR_EPROTO; /* no file is on its way */
    if (r->file >= 0 && r->file_moves && error == 0)
        (void)lseek(r->file, r->file_end, SEEK_SET); /* the duplicate shares the position */
    clr_asgi_file_close(r);
    r->file_error = error;
    bool is_last = !r->more && !r->sends_trailers;
    if (error && is_last) {
        clr_asgi_gone(call); /* the gateway has cut the connection */
        return 0;
    }
    clr_asgi_response_advance(call, r->more || error != 0);
    clr_asgi_wake(call, WAIT_SEND);
    return 0;
}
