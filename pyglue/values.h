/* values.h: JSON text to Python objects and back, exactly as Python's json module does it, except
 * that NaN and the infinities, which no JSON has, are refused both ways. Bytes-like values are told
 * apart on the way: encoding moves them out into attachments, decoding puts attachments in the
 * place of their placeholders.
 *
 * Threads:  the interpreter lock must be held.
 * Lifetime: nothing is kept but a bounded cache of short strings, in the module's state.
 */
#pragma once

#include "base/buf.h"
#include "state.h"

/* Nesting of lists and dicts, both ways; the gateway refuses deeper text as well. */
#define CLR_VALUES_DEPTH 512

/* `attachments` is a list of bytes, borrowed, or NULL when the packet has none (then placeholders
 * are plain data). Returns a new reference, or NULL with ValueError. */
PyObject *clr_values_decode(clr_state_t *st, clr_str_t json, PyObject *attachments);

/* A str of UTF-8 that probably came before (a key, the name of an event), from a cache. n is at
 * most CLR_VALUES_CACHED. Returns a new reference, or NULL with an exception. */
PyObject *clr_values_string(clr_state_t *st, const char *p, size_t n);

#define CLR_VALUES_CACHED 32

/* The values of a JSON array, each an owned reference. */
typedef struct clr_items {
    PyObject **v;
    size_t n;
    PyObject *few_[8];
} clr_items_t;

/* 0, or -1 with ValueError: not an array, not valid. Then nothing is to be cleared. */
CLR_NODISCARD int clr_values_decode_array(clr_state_t *st, clr_str_t json, PyObject *attachments,
                                          clr_items_t *out);

/* The same from a list or tuple. */
CLR_NODISCARD int clr_items_from_sequence(PyObject *sequence, clr_items_t *out);

/* A tuple of the prefix (borrowed) and the items from `from` on, which are moved into it. Returns a
 * new reference, or NULL with MemoryError. */
PyObject *clr_items_tuple(clr_items_t *items, size_t from, PyObject *const *prefix, size_t count);

void clr_items_clear(clr_items_t *items);

/* Appends obj as JSON. Bytes-like values are appended to *attachments, a list that is made when
 * needed (start with NULL). 0, or -1 with TypeError, ValueError or RecursionError; what was
 * appended until then stays in the buffer. Runs Python code for subclasses of dict. */
CLR_NODISCARD int clr_values_encode(clr_state_t *st, clr_buf_t *out, PyObject *obj,
                                    PyObject **attachments);

/* For an app's own json module. Returns obj itself (a new reference) when no bytes are in its lists
 * and dicts, else a copy with placeholders; bytes go to *attachments. NULL with an exception. */
PyObject *clr_values_deconstruct(clr_state_t *st, PyObject *obj, PyObject **attachments);

/* Replaces placeholders in lists and dicts, in place. Returns a new reference, or NULL with
 * ValueError. */
PyObject *clr_values_reconstruct(clr_state_t *st, PyObject *obj, PyObject *attachments);

void clr_values_deinit(clr_state_t *st);
