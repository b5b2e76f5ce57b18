/* Encoding: texts borrowed from Python, ids and offsets as arrays. */
#include "python/tokenizer.h"

#include <stdlib.h>
#include <string.h>

PyObject *qtf_py_raise_error(qtf_status status, const qtf_error *error) {
    if (status == QTF_NO_MEMORY || status == QTF_ABORTED) {
        return qtf_py_raise(status, NULL);
    }
    /* A message quotes the file, cut where it is long: that may be inside a character. */
    PyObject *text = PyUnicode_DecodeUTF8(error->text, (Py_ssize_t)strlen(error->text), "replace");
    if (text) {
        PyErr_SetObject(PyExc_ValueError, text);
        Py_DECREF(text);
    }
    return NULL;
}

int qtf_py_borrow_text(PyObject *object, const uint8_t **text, size_t *n) {
    Py_ssize_t length;
    if (PyBytes_Check(object)) {
        *text = (const uint8_t *)PyBytes_AS_STRING(object);
        *n = (size_t)PyBytes_GET_SIZE(object);
        return 0;
    }
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "text: expected str or UTF-8 bytes, got %s",
                     Py_TYPE(object)->tp_name);
        return -1;
    }
    const char *utf8 = PyUnicode_AsUTF8AndSize(object, &length);
    if (!utf8) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            PyErr_Clear();
            Py_ssize_t i = 0;
            while (!Py_UNICODE_IS_SURROGATE(PyUnicode_READ_CHAR(object, i))) {
                i++;
            }
            PyErr_Format(PyExc_ValueError,
                         "text: lone surrogate U+%x at index %zd, expected Unicode text; "
                         "replace it with text.encode('utf-8', 'replace')",
                         (unsigned)PyUnicode_READ_CHAR(object, i), i);
        }
        return -1;
    }
    *text = (const uint8_t *)utf8;
    *n = (size_t)length;
    return 0;
}

/* int32 [n]. */
static PyObject *new_ids(const int32_t *ids, size_t n) {
    npy_intp shape = (npy_intp)n;
    PyObject *array = PyArray_SimpleNew(1, &shape, NPY_INT32);
    if (array && n) {
        memcpy(PyArray_DATA((PyArrayObject *)array), ids, n * sizeof *ids);
    }
    return array;
}

static unsigned make_flags(int template, int plain) {
    return (template ? (unsigned)QTF_ENCODE_TEMPLATE : 0) |
           (plain ? (unsigned)QTF_ENCODE_PLAIN : 0);
}

PyObject *qtf_py_encode(PyObject *self, PyObject *args) {
    PyObject *object;
    int template, plain;
    const uint8_t *text;
    size_t n;
    if (!PyArg_ParseTuple(args, "Opp:encode", &object, &template, &plain) ||
        qtf_py_borrow_text(object, &text, &n) < 0) {
        return NULL;
    }
    qtf_encoding encoding = {0};
    qtf_error error;
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = qtf_encode(((qtf_py_tokenizer_object *)self)->tokenizer, text, n,
                        make_flags(template, plain), &encoding, &error);
    Py_END_ALLOW_THREADS;
    PyObject *ids =
        status == QTF_OK ? new_ids(encoding.ids, encoding.n) : qtf_py_raise_error(status, &error);
    qtf_encoding_free(&encoding);
    return ids;
}

/* Starts and ends as int64 [n, 2]. */
static PyObject *new_offsets(const qtf_encoding *encoding) {
    npy_intp shape[] = {(npy_intp)encoding->n, 2};
    PyObject *array = PyArray_SimpleNew(2, shape, NPY_INT64);
    int64_t *to = array ? PyArray_DATA((PyArrayObject *)array) : NULL;
    for (size_t i = 0; array && i < encoding->n; i++) {
        to[2 * i] = (int64_t)encoding->starts[i];
        to[2 * i + 1] = (int64_t)encoding->ends[i];
    }
    return array;
}

PyObject *qtf_py_encode_offsets(PyObject *self, PyObject *args) {
    PyObject *object;
    int template, plain, chars;
    const uint8_t *text;
    size_t n;
    if (!PyArg_ParseTuple(args, "Oppp:encode_offsets", &object, &template, &plain, &chars) ||
        qtf_py_borrow_text(object, &text, &n) < 0) {
        return NULL;
    }
    unsigned flags = make_flags(template, plain) | QTF_ENCODE_OFFSETS;
    flags |= chars ? (unsigned)QTF_ENCODE_CHARS : 0;
    qtf_encoding encoding = {0};
    qtf_error error;
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status =
        qtf_encode(((qtf_py_tokenizer_object *)self)->tokenizer, text, n, flags, &encoding, &error);
    Py_END_ALLOW_THREADS;
    PyObject *result = NULL;
    if (status != QTF_OK) {
        qtf_py_raise_error(status, &error);
    } else {
        PyObject *ids = new_ids(encoding.ids, encoding.n);
        PyObject *offsets = new_offsets(&encoding);
        if (ids && offsets) {
            result = PyTuple_Pack(2, ids, offsets);
        }
        Py_XDECREF(ids);
        Py_XDECREF(offsets);
    }
    qtf_encoding_free(&encoding);
    return result;
}

typedef struct {
    PyObject *list; /* of arrays, NULL where a text is still to come */
    PyThreadState *thread;
} taker;

/* Turn a part of a batch into arrays, while the pool's threads encode on. */
static bool take_ids(void *context, const qtf_encoded *part) {
    taker *t = context;
    bool done = true;
    PyEval_RestoreThread(t->thread);
    for (; part && done; part = part->next) {
        const int32_t *ids = part->ids;
        for (size_t i = 0; i < part->n_texts && done; ids += part->counts[i++]) {
            PyObject *array = new_ids(ids, part->counts[i]);
            PyList_SET_ITEM(t->list, (Py_ssize_t)(part->first + i), array);
            done = array != NULL;
        }
    }
    t->thread = PyEval_SaveThread();
    return done;
}

PyObject *qtf_py_encode_batch(PyObject *self, PyObject *args) {
    PyObject *tuple;
    int template, plain;
    if (!PyArg_ParseTuple(args, "O!pp:encode_batch", &PyTuple_Type, &tuple, &template, &plain)) {
        return NULL;
    }
    Py_ssize_t n_texts = PyTuple_GET_SIZE(tuple);
    size_t room = (size_t)n_texts + 1, failed = 0;
    const uint8_t **texts = malloc(room * sizeof *texts);
    size_t *lengths = malloc(room * sizeof *lengths);
    taker result = {PyList_New(n_texts), NULL};
    if (!texts || !lengths || !result.list) {
        PyErr_NoMemory();
        goto fail;
    }
    for (Py_ssize_t i = 0; i < n_texts; i++) {
        if (qtf_py_borrow_text(PyTuple_GET_ITEM(tuple, i), &texts[i], &lengths[i]) < 0) {
            goto fail;
        }
    }
    /* Nobody else sees the list while it has holes. */
    PyObject_GC_UnTrack(result.list);
    qtf_error error;
    result.thread = PyEval_SaveThread();
    qtf_status status = qtf_encode_batch(((qtf_py_tokenizer_object *)self)->tokenizer, texts,
                                         lengths, (size_t)n_texts, make_flags(template, plain),
                                         take_ids, &result, &failed, &error);
    PyEval_RestoreThread(result.thread);
    PyObject_GC_Track(result.list);
    if (status != QTF_OK) {
        qtf_py_raise_error(status, &error);
        goto fail;
    }
    free(lengths);
    free(texts);
    return result.list;
fail:
    Py_XDECREF(result.list);
    free(lengths);
    free(texts);
    return NULL;
}
