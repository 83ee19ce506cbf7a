/* values_decode.c: JSON text to Python objects. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "values.h"
#include "values_internal.h"

/* Keys and event names come again and again: a direct-mapped cache saves making and hashing them.
 */
#define STRINGS_COUNT 256

typedef struct clr_string {
    const char *p; /* inside s */
    PyObject *s;
    uint32_t n;
} clr_string_t;

struct clr_strings {
    clr_string_t slots[STRINGS_COUNT];
};

typedef struct clr_decoder {
    const char *p;
    const char *end;
    const char *start;
    clr_state_t *st;
    PyObject *attachments;
    clr_buf_t text;   /* an unescaped string */
    PyObject **stack; /* values of the containers being read */
    size_t count;
    size_t cap;
    PyObject *few_[64];
} clr_decoder_t;

static PyObject *parse_value(clr_decoder_t *d, unsigned depth);

static CLR_COLD PyObject *fail(clr_decoder_t *d, const char *what)
{
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_ValueError, "invalid JSON at byte %zd: %s",
                     (Py_ssize_t)(d->p - d->start), what);
    return NULL;
}

static void skip_space(clr_decoder_t *d)
{
    while (d->p < d->end && (*d->p == ' ' || *d->p == '\n' || *d->p == '\r' || *d->p == '\t'))
        d->p++;
}

static void push(clr_decoder_t *d, PyObject *value)
{
    if (d->count == d->cap) {
        bool few = d->stack == d->few_;
        d->cap *= 2;
        d->stack = clr_xrealloc(few ? NULL : d->stack, d->cap * sizeof(*d->stack));
        if (few)
            memcpy(d->stack, d->few_, sizeof(d->few_));
    }
    d->stack[d->count++] = value;
}

static void drop_to(clr_decoder_t *d, size_t count)
{
    while (d->count > count)
        Py_DECREF(d->stack[--d->count]);
}

/* ---- strings ---- */

PyObject *clr_values_string(clr_state_t *st, const char *p, size_t n)
{
    if (!st->strings)
        st->strings = clr_xcalloc(1, sizeof(*st->strings));
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)p[i]) * 16777619u;
    clr_string_t *slot = &st->strings->slots[(hash ^ hash >> 15) % STRINGS_COUNT];
    if (slot->s && slot->n == n && memcmp(slot->p, p, n) == 0)
        return Py_NewRef(slot->s);
    PyObject *s = PyUnicode_DecodeUTF8(p, (Py_ssize_t)n, NULL);
    if (!s)
        return NULL;
    Py_ssize_t size;
    const char *bytes = PyUnicode_AsUTF8AndSize(s, &size);
    if (!bytes || PyObject_Hash(s) == -1) {
        Py_DECREF(s);
        return NULL;
    }
    PyObject *old = slot->s;
    *slot = (clr_string_t){bytes, Py_NewRef(s), (uint32_t)n};
    Py_XDECREF(old);
    return s;
}

static int hex4(const char *p, const char *end, uint32_t *out)
{
    if (end - p < 4)
        return -1;
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (uint32_t)((c | 0x20) - 'a') + 10;
        else
            return -1;
        v = v << 4 | digit;
    }
    *out = v;
    return 0;
}

/* Surrogates too, as three bytes: the caller decodes them with "surrogatepass". */
static void put_utf8(clr_buf_t *b, uint32_t c)
{
    if (c < 0x80) {
        clr_buf_putc(b, (char)c);
    } else if (c < 0x800) {
        clr_buf_putc(b, (char)(0xc0 | c >> 6));
        clr_buf_putc(b, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        clr_buf_putc(b, (char)(0xe0 | c >> 12));
        clr_buf_putc(b, (char)(0x80 | (c >> 6 & 0x3f)));
        clr_buf_putc(b, (char)(0x80 | (c & 0x3f)));
    } else {
        clr_buf_putc(b, (char)(0xf0 | c >> 18));
        clr_buf_putc(b, (char)(0x80 | (c >> 12 & 0x3f)));
        clr_buf_putc(b, (char)(0x80 | (c >> 6 & 0x3f)));
        clr_buf_putc(b, (char)(0x80 | (c & 0x3f)));
    }
}

/* After "\u". A pair of surrogates gives one character; a lone one stays and sets *lone. */
static int unescape_unicode(clr_decoder_t *d, bool *lone)
{
    uint32_t c, low;
    if (hex4(d->p, d->end, &c) < 0)
        return -1;
    d->p += 4;
    if (c >= 0xd800 && c < 0xdc00 && d->end - d->p >= 6 && d->p[0] == '\\' && d->p[1] == 'u' &&
        hex4(d->p + 2, d->end, &low) == 0 && low >= 0xdc00 && low < 0xe000) {
        d->p += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *lone |= c >= 0xd800 && c < 0xe000;
    put_utf8(&d->text, c);
    return 0;
}

/* At the character after a backslash. */
static int unescape(clr_decoder_t *d, bool *lone)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    if (d->p == d->end)
        return -1;
    char c = *d->p++;
    if (c == 'u')
        return unescape_unicode(d, lone);
    const char *at = c ? strchr(from, c) : NULL;
    if (!at)
        return -1;
    clr_buf_putc(&d->text, to[at - from]);
    return 0;
}

/* The rest of a string that has escapes; d->p is at the first. */
static PyObject *parse_escaped(clr_decoder_t *d, const char *from)
{
    bool lone = false;
    clr_buf_clear(&d->text);
    clr_buf_append(&d->text, from, (size_t)(d->p - from));
    const char *run = d->p;
    while (d->p < d->end && *d->p != '"') {
        if (*d->p != '\\')
            return fail(d, "control character in a string");
        d->p++;
        if (unescape(d, &lone) < 0)
            return fail(d, "bad escape");
        size_t n = clr_values_plain_run(d->p, (size_t)(d->end - d->p));
        clr_buf_append(&d->text, d->p, n);
        d->p += n;
    }
    if (d->p == d->end)
        return fail(d, "unterminated string");
    /* "surrogatepass" would let encoded surrogates of the text itself through. */
    if (lone && !clr_utf8_is_valid(clr_str(from, (size_t)(run - from))))
        return fail(d, "invalid UTF-8");
    if (lone && !clr_utf8_is_valid(clr_str(run, (size_t)(d->p - run))))
        return fail(d, "invalid UTF-8");
    d->p++;
    return PyUnicode_DecodeUTF8(d->text.p ? d->text.p : "", (Py_ssize_t)d->text.n,
                                lone ? "surrogatepass" : NULL);
}

/* After the opening quote. */
static PyObject *parse_string(clr_decoder_t *d, bool cache)
{
    const char *from = d->p;
    size_t n = clr_values_plain_run(from, (size_t)(d->end - from));
    d->p += n;
    if (d->p == d->end)
        return fail(d, "unterminated string");
    if (*d->p != '"')
        return parse_escaped(d, from);
    d->p++;
    if (cache && n <= CLR_VALUES_CACHED)
        return clr_values_string(d->st, from, n);
    return PyUnicode_DecodeUTF8(from, (Py_ssize_t)n, NULL);
}

/* ---- numbers ---- */

static bool is_digit(const clr_decoder_t *d)
{
    return d->p < d->end && *d->p >= '0' && *d->p <= '9';
}

static void skip_digits(clr_decoder_t *d)
{
    while (is_digit(d))
        d->p++;
}

/* Terminated copy of the text from `from` to d->p, in d->text. */
static char *number_text(clr_decoder_t *d, const char *from)
{
    clr_buf_clear(&d->text);
    clr_buf_append(&d->text, from, (size_t)(d->p - from));
    clr_buf_putc(&d->text, '\0');
    return d->text.p;
}

static PyObject *parse_fraction(clr_decoder_t *d, const char *from)
{
    if (d->p < d->end && *d->p == '.') {
        d->p++;
        if (!is_digit(d))
            return fail(d, "digit expected after the point");
        skip_digits(d);
    }
    if (d->p < d->end && (*d->p | 0x20) == 'e') {
        d->p++;
        if (d->p < d->end && (*d->p == '+' || *d->p == '-'))
            d->p++;
        if (!is_digit(d))
            return fail(d, "digit expected in the exponent");
        skip_digits(d);
    }
    double v = PyOS_string_to_double(number_text(d, from), NULL, NULL);
    return v == -1.0 && PyErr_Occurred() ? NULL : PyFloat_FromDouble(v);
}

static PyObject *parse_number(clr_decoder_t *d)
{
    const char *from = d->p;
    bool negative = *d->p == '-';
    d->p += negative;
    if (!is_digit(d))
        return fail(d, "value expected");
    const char *digits = d->p;
    int64_t v = 0;
    if (*d->p == '0')
        d->p++;
    else
        for (; is_digit(d); d->p++)
            v = d->p - digits < 18 ? v * 10 + (*d->p - '0') : v;
    if (d->p < d->end && (*d->p == '.' || (*d->p | 0x20) == 'e'))
        return parse_fraction(d, from);
    if (d->p - digits <= 18)
        return PyLong_FromLongLong(negative ? -v : v);
    return PyLong_FromString(number_text(d, from), NULL, 10);
}

/* ---- containers ---- */

/* The bytes a placeholder stands for, or the dict itself. Takes dict. */
static PyObject *resolve_placeholder(clr_state_t *st, PyObject *dict, PyObject *attachments)
{
    PyObject *flag = PyDict_GetItemWithError(dict, st->n._placeholder);
    if (flag != Py_True)
        return dict;
    PyObject *num = PyDict_GetItemWithError(dict, st->n.num);
    Py_ssize_t i = num && PyLong_CheckExact(num) ? PyLong_AsSsize_t(num) : -1;
    PyObject *bytes = NULL;
    if (i >= 0 && i < PyList_Size(attachments)) {
        bytes = Py_NewRef(PyList_GetItem(attachments, i));
    } else {
        PyErr_Clear();
        PyErr_SetString(PyExc_ValueError, "illegal attachments");
    }
    Py_DECREF(dict);
    return bytes;
}

static int parse_member(clr_decoder_t *d, PyObject *dict, unsigned depth)
{
    skip_space(d);
    if (d->p == d->end || *d->p != '"') {
        fail(d, "property name expected");
        return -1;
    }
    d->p++;
    PyObject *key = parse_string(d, true);
    if (!key)
        return -1;
    skip_space(d);
    PyObject *value = NULL;
    if (d->p < d->end && *d->p == ':') {
        d->p++;
        value = parse_value(d, depth);
    } else {
        fail(d, "':' expected");
    }
    int status = value ? PyDict_SetItem(dict, key, value) : -1;
    Py_XDECREF(value);
    Py_DECREF(key);
    return status;
}

/* After a value in a container: 1 for another one, 0 at its end, -1 for anything else. */
static int next_item(clr_decoder_t *d, char close)
{
    skip_space(d);
    if (d->p < d->end && (*d->p == ',' || *d->p == close))
        return *d->p++ == ',';
    fail(d, "',' or the end of the container expected");
    return -1;
}

static PyObject *parse_object(clr_decoder_t *d, unsigned depth)
{
    PyObject *dict = PyDict_New();
    if (!dict)
        return NULL;
    skip_space(d);
    if (d->p < d->end && *d->p == '}') {
        d->p++;
        return dict;
    }
    int more;
    do {
        more = parse_member(d, dict, depth) < 0 ? -1 : next_item(d, '}');
    } while (more > 0);
    if (more < 0) {
        Py_DECREF(dict);
        return NULL;
    }
    return d->attachments ? resolve_placeholder(d->st, dict, d->attachments) : dict;
}

/* After '['. Leaves the values on the stack. */
static int parse_items(clr_decoder_t *d, unsigned depth, bool cache_first)
{
    size_t base = d->count;
    skip_space(d);
    if (d->p < d->end && *d->p == ']') {
        d->p++;
        return 0;
    }
    int more;
    do {
        PyObject *value;
        skip_space(d);
        if (cache_first && d->count == base && d->p < d->end && *d->p == '"') {
            d->p++;
            value = parse_string(d, true);
        } else {
            value = parse_value(d, depth);
        }
        if (value)
            push(d, value);
        more = value ? next_item(d, ']') : -1;
    } while (more > 0);
    if (more < 0)
        drop_to(d, base);
    return more;
}

static PyObject *parse_array(clr_decoder_t *d, unsigned depth)
{
    size_t base = d->count;
    if (parse_items(d, depth, false) < 0)
        return NULL;
    size_t n = d->count - base;
    PyObject *list = PyList_New((Py_ssize_t)n);
    if (!list) {
        drop_to(d, base);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        PyList_SetItem(list, (Py_ssize_t)i, d->stack[base + i]);
    d->count = base;
    return list;
}

static PyObject *parse_literal(clr_decoder_t *d, const char *word, PyObject *value)
{
    size_t n = strlen(word);
    if ((size_t)(d->end - d->p) < n || memcmp(d->p, word, n) != 0)
        return fail(d, "value expected");
    d->p += n;
    return Py_NewRef(value);
}

static PyObject *parse_value(clr_decoder_t *d, unsigned depth)
{
    skip_space(d);
    if (d->p == d->end)
        return fail(d, "value expected");
    switch (*d->p) {
    case '"':
        d->p++;
        return parse_string(d, false);
    case '{':
    case '[':
        if (depth == CLR_VALUES_DEPTH)
            return fail(d, "nested too deeply");
        return *d->p++ == '{' ? parse_object(d, depth + 1) : parse_array(d, depth + 1);
    case 't':
        return parse_literal(d, "true", Py_True);
    case 'f':
        return parse_literal(d, "false", Py_False);
    case 'n':
        return parse_literal(d, "null", Py_None);
    default:
        return parse_number(d);
    }
}

/* ---- entry points ---- */

static void start(clr_decoder_t *d, clr_state_t *st, clr_str_t json, PyObject *attachments)
{
    d->p = d->start = json.p;
    d->end = json.p + json.n;
    d->st = st;
    d->attachments = attachments;
    clr_buf_init(&d->text);
    d->stack = d->few_;
    d->count = 0;
    d->cap = clr_array_len(d->few_);
}

static void finish(clr_decoder_t *d)
{
    drop_to(d, 0);
    if (d->stack != d->few_)
        free(d->stack);
    clr_buf_deinit(&d->text);
}

PyObject *clr_values_decode(clr_state_t *st, clr_str_t json, PyObject *attachments)
{
    clr_decoder_t d;
    start(&d, st, json, attachments);
    PyObject *value = parse_value(&d, 0);
    skip_space(&d);
    if (value && d.p != d.end) {
        fail(&d, "extra data");
        Py_CLEAR(value);
    }
    finish(&d);
    return value;
}

static void items_init(clr_items_t *items, size_t n)
{
    items->n = n;
    items->v = n <= clr_array_len(items->few_) ? items->few_ : clr_xmalloc(n * sizeof(*items->v));
}

int clr_values_decode_array(clr_state_t *st, clr_str_t json, PyObject *attachments,
                            clr_items_t *out)
{
    clr_decoder_t d;
    start(&d, st, json, attachments);
    int status = -1;
    skip_space(&d);
    if (d.p == d.end || *d.p != '[') {
        fail(&d, "array expected");
    } else {
        d.p++;
        status = parse_items(&d, 1, true);
        skip_space(&d);
    }
    if (status == 0 && d.p != d.end) {
        fail(&d, "extra data");
        status = -1;
    }
    if (status == 0) {
        items_init(out, d.count);
        memcpy(out->v, d.stack, d.count * sizeof(*d.stack));
        d.count = 0;
    }
    finish(&d);
    return status;
}

int clr_items_from_sequence(PyObject *sequence, clr_items_t *out)
{
    PyObject *list =
        PyList_Check(sequence) || PyTuple_Check(sequence) ? PySequence_List(sequence) : NULL;
    if (!list) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "array expected");
        return -1;
    }
    items_init(out, (size_t)PyList_Size(list));
    for (size_t i = 0; i < out->n; i++)
        out->v[i] = Py_NewRef(PyList_GetItem(list, (Py_ssize_t)i));
    Py_DECREF(list);
    return 0;
}

PyObject *clr_items_tuple(clr_items_t *items, size_t from, PyObject *const *prefix, size_t count)
{
    size_t rest = items->n > from ? items->n - from : 0;
    PyObject *tuple = PyTuple_New((Py_ssize_t)(count + rest));
    if (!tuple)
        return NULL;
    for (size_t i = 0; i < count; i++)
        PyTuple_SetItem(tuple, (Py_ssize_t)i, Py_NewRef(prefix[i]));
    for (size_t i = 0; i < rest; i++) {
        PyTuple_SetItem(tuple, (Py_ssize_t)(count + i), items->v[from + i]);
        items->v[from + i] = NULL;
    }
    return tuple;
}

void clr_items_clear(clr_items_t *items)
{
    for (size_t i = 0; i < items->n; i++)
        Py_XDECREF(items->v[i]);
    if (items->v != items->few_)
        free(items->v);
    items->v = items->few_;
    items->n = 0;
}

/* ---- an app's own json module ---- */

static PyObject *reconstruct(clr_state_t *st, PyObject *obj, PyObject *attachments, unsigned depth)
{
    if (depth > CLR_VALUES_DEPTH) {
        PyErr_SetString(PyExc_ValueError, "nested too deeply");
        return NULL;
    }
    if (PyList_Check(obj)) {
        for (Py_ssize_t i = 0; i < PyList_Size(obj); i++) {
            PyObject *item = Py_NewRef(PyList_GetItem(obj, i));
            PyObject *value = reconstruct(st, item, attachments, depth + 1);
            Py_DECREF(item);
            if (!value || PyList_SetItem(obj, i, value) < 0)
                return NULL;
        }
        return Py_NewRef(obj);
    }
    if (!PyDict_Check(obj))
        return Py_NewRef(obj);
    PyObject *keys = PyDict_Keys(obj);
    for (Py_ssize_t i = 0; keys && i < PyList_Size(keys); i++) {
        PyObject *key = PyList_GetItem(keys, i);
        PyObject *item = PyDict_GetItemWithError(obj, key);
        Py_XINCREF(item);
        PyObject *value = item ? reconstruct(st, item, attachments, depth + 1) : NULL;
        Py_XDECREF(item);
        if (!value || PyDict_SetItem(obj, key, value) < 0)
            Py_CLEAR(keys);
        Py_XDECREF(value);
    }
    if (!keys)
        return NULL;
    Py_DECREF(keys);
    return resolve_placeholder(st, Py_NewRef(obj), attachments);
}

PyObject *clr_values_reconstruct(clr_state_t *st, PyObject *obj, PyObject *attachments)
{
    return reconstruct(st, obj, attachments, 0);
}

void clr_values_deinit(clr_state_t *st)
{
    if (!st->strings)
        return;
    for (size_t i = 0; i < STRINGS_COUNT; i++)
        Py_CLEAR(st->strings->slots[i].s);
    free(st->strings);
    st->strings = NULL;
}
