/* The type Tokenizer: a core tokenizer and what Python asks of it. */
#include "python/tokenizer.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    PyObject_HEAD qtf_tokenizer *tokenizer;
} tokenizer_object;

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

static PyObject *tokenizer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"data", "pattern", NULL};
    Py_buffer data;
    const char *pattern = NULL;
    Py_ssize_t length = 0;
    qtf_split split = QTF_SPLIT_GPT2;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*|s#:Tokenizer", names, &data, &pattern,
                                     &length)) {
        return NULL;
    }
    if (pattern && !qtf_split_find(pattern, (size_t)length, &split)) {
        PyBuffer_Release(&data);
        return PyErr_Format(PyExc_ValueError, "the split pattern is not one of those known: %.200s",
                            pattern);
    }
    qtf_tokenizer *tokenizer = NULL;
    qtf_error error;
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status =
        pattern ? qtf_tokenizer_from_tiktoken(data.buf, (size_t)data.len, split, &tokenizer, &error)
                : qtf_tokenizer_from_json(data.buf, (size_t)data.len, &tokenizer, &error);
    Py_END_ALLOW_THREADS;
    PyBuffer_Release(&data);
    if (status != QTF_OK) {
        return qtf_py_raise_error(status, &error);
    }
    tokenizer_object *self = (tokenizer_object *)type->tp_alloc(type, 0);
    if (!self) {
        qtf_tokenizer_free(tokenizer);
        return NULL;
    }
    self->tokenizer = tokenizer;
    return (PyObject *)self;
}

static void tokenizer_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    qtf_tokenizer_free(((tokenizer_object *)self)->tokenizer);
    type->tp_free(self);
    Py_DECREF(type);
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

static PyObject *new_ids(const qtf_encoding *encoding) {
    npy_intp n = (npy_intp)encoding->n;
    PyObject *array = PyArray_SimpleNew(1, &n, NPY_INT32);
    if (array && n) {
        memcpy(PyArray_DATA((PyArrayObject *)array), encoding->ids, encoding->n * sizeof(int32_t));
    }
    return array;
}

static unsigned make_flags(int template, int plain) {
    return (template ? (unsigned)QTF_ENCODE_TEMPLATE : 0) |
           (plain ? (unsigned)QTF_ENCODE_PLAIN : 0);
}

static PyObject *tokenizer_encode(PyObject *self, PyObject *args) {
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
    status = qtf_encode(((tokenizer_object *)self)->tokenizer, text, n, make_flags(template, plain),
                        &encoding, &error);
    Py_END_ALLOW_THREADS;
    PyObject *ids = status == QTF_OK ? new_ids(&encoding) : qtf_py_raise_error(status, &error);
    qtf_encoding_free(&encoding);
    return ids;
}

/* Positions as int64 [n]. */
static PyObject *new_positions(const size_t *positions, size_t n) {
    npy_intp shape = (npy_intp)n;
    PyObject *array = PyArray_SimpleNew(1, &shape, NPY_INT64);
    int64_t *to = array ? PyArray_DATA((PyArrayObject *)array) : NULL;
    for (size_t i = 0; array && i < n; i++) {
        to[i] = (int64_t)positions[i];
    }
    return array;
}

static PyObject *tokenizer_encode_offsets(PyObject *self, PyObject *args) {
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
    status = qtf_encode(((tokenizer_object *)self)->tokenizer, text, n, flags, &encoding, &error);
    Py_END_ALLOW_THREADS;
    PyObject *result = NULL;
    if (status != QTF_OK) {
        qtf_py_raise_error(status, &error);
    } else {
        PyObject *ids = new_ids(&encoding);
        PyObject *starts = new_positions(encoding.starts, encoding.n);
        PyObject *ends = new_positions(encoding.ends, encoding.n);
        if (ids && starts && ends) {
            result = PyTuple_Pack(3, ids, starts, ends);
        }
        Py_XDECREF(ids);
        Py_XDECREF(starts);
        Py_XDECREF(ends);
    }
    qtf_encoding_free(&encoding);
    return result;
}

static PyObject *list_of_ids(const qtf_encoding *encodings, Py_ssize_t n) {
    PyObject *list = PyList_New(n);
    for (Py_ssize_t i = 0; list && i < n; i++) {
        PyObject *ids = new_ids(&encodings[i]);
        if (!ids) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, ids);
    }
    return list;
}

static PyObject *tokenizer_encode_batch(PyObject *self, PyObject *args) {
    PyObject *list, *result = NULL;
    int template, plain;
    if (!PyArg_ParseTuple(args, "O!pp:encode_batch", &PyTuple_Type, &list, &template, &plain)) {
        return NULL;
    }
    Py_ssize_t n_texts = PyTuple_GET_SIZE(list);
    size_t room = (size_t)n_texts + 1, failed = 0;
    const uint8_t **texts = calloc(room, sizeof *texts);
    size_t *lengths = calloc(room, sizeof *lengths);
    qtf_encoding *encodings = calloc(room, sizeof *encodings);
    if (!texts || !lengths || !encodings) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < n_texts; i++) {
        if (qtf_py_borrow_text(PyTuple_GET_ITEM(list, i), &texts[i], &lengths[i]) < 0) {
            goto done;
        }
    }
    qtf_error error;
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status =
        qtf_encode_batch(((tokenizer_object *)self)->tokenizer, texts, lengths, (size_t)n_texts,
                         make_flags(template, plain), encodings, &failed, &error);
    Py_END_ALLOW_THREADS;
    result =
        status == QTF_OK ? list_of_ids(encodings, n_texts) : qtf_py_raise_error(status, &error);
done:
    for (Py_ssize_t i = 0; encodings && i < n_texts; i++) {
        qtf_encoding_free(&encodings[i]);
    }
    free(encodings);
    free(lengths);
    free(texts);
    return result;
}

static PyObject *raise_id(const qtf_tokenizer *tokenizer, long long id) {
    PyErr_Format(PyExc_ValueError,
                 "token id %lld is not in the vocabulary, expected one of its %zu ids up to %zu",
                 id, tokenizer->bpe.n_tokens, tokenizer->bpe.n_ids - 1);
    return NULL;
}

static PyObject *tokenizer_decode(PyObject *self, PyObject *args) {
    const qtf_tokenizer *tokenizer = ((tokenizer_object *)self)->tokenizer;
    PyObject *object, *result = NULL;
    int skip_special;
    if (!PyArg_ParseTuple(args, "Op:decode", &object, &skip_special)) {
        return NULL;
    }
    PyArrayObject *array = qtf_py_input(object, "ids", NPY_INT64, 1);
    if (!array) {
        return NULL;
    }
    const int64_t *ids = PyArray_DATA(array);
    npy_intp n = PyArray_DIM(array, 0);
    size_t total = 0, length;
    for (npy_intp i = 0; i < n; i++) {
        if (!qtf_token_bytes(tokenizer, ids[i], &length)) {
            raise_id(tokenizer, ids[i]);
            goto done;
        }
        total += skip_special && tokenizer->special[ids[i]] ? 0 : length;
    }
    result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)total);
    if (!result) {
        goto done;
    }
    char *to = PyBytes_AS_STRING(result);
    for (npy_intp i = 0; i < n; i++) {
        if (!(skip_special && tokenizer->special[ids[i]])) {
            const uint8_t *bytes = qtf_token_bytes(tokenizer, ids[i], &length);
            memcpy(to, bytes, length);
            to += length;
        }
    }
done:
    Py_DECREF(array);
    return result;
}

static PyObject *tokenizer_token_bytes(PyObject *self, PyObject *argument) {
    const qtf_tokenizer *tokenizer = ((tokenizer_object *)self)->tokenizer;
    size_t n;
    long long id = PyLong_AsLongLong(argument);
    if (id == -1 && PyErr_Occurred()) {
        return NULL;
    }
    const uint8_t *bytes = qtf_token_bytes(tokenizer, id, &n);
    return bytes ? PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)n)
                 : raise_id(tokenizer, id);
}

/* The spelling of a token in the vocabulary file. */
static PyObject *spelling(const qtf_tokenizer *tokenizer, uint32_t id) {
    const qtf_bpe_token *token = &tokenizer->bpe.tokens[id];
    const uint8_t *bytes = tokenizer->bpe.bytes + token->start;
    if (token->literal) {
        return PyUnicode_DecodeUTF8((const char *)bytes, token->length, NULL);
    }
    uint8_t *text = malloc(2 * (size_t)token->length + 1);
    if (!text) {
        return PyErr_NoMemory();
    }
    size_t n = qtf_bytelevel_encode(bytes, token->length, text);
    PyObject *string = PyUnicode_DecodeUTF8((const char *)text, (Py_ssize_t)n, NULL);
    free(text);
    return string;
}

static PyObject *tokenizer_id_to_token(PyObject *self, PyObject *argument) {
    const qtf_tokenizer *tokenizer = ((tokenizer_object *)self)->tokenizer;
    size_t n;
    long long id = PyLong_AsLongLong(argument);
    if (id == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return qtf_token_bytes(tokenizer, id, &n) ? spelling(tokenizer, (uint32_t)id)
                                              : raise_id(tokenizer, id);
}

static PyObject *tokenizer_token_to_id(PyObject *self, PyObject *argument) {
    const uint8_t *text;
    size_t n;
    uint32_t id;
    if (qtf_py_borrow_text(argument, &text, &n) < 0) {
        return NULL;
    }
    if (qtf_token_find(((tokenizer_object *)self)->tokenizer, text, n, &id) != QTF_OK) {
        return PyErr_NoMemory();
    }
    if (id == QTF_BPE_NONE) {
        Py_RETURN_NONE;
    }
    return PyLong_FromUnsignedLong(id);
}

static PyObject *tokenizer_vocab(PyObject *self, PyObject *unused) {
    (void)unused;
    const qtf_tokenizer *tokenizer = ((tokenizer_object *)self)->tokenizer;
    PyObject *vocab = PyDict_New();
    for (uint32_t id = 0; vocab && id < tokenizer->bpe.n_ids; id++) {
        if (!qtf_bpe_has(&tokenizer->bpe, id)) {
            continue;
        }
        PyObject *token = spelling(tokenizer, id), *value = PyLong_FromUnsignedLong(id);
        if (!token || !value || PyDict_SetItem(vocab, token, value) < 0) {
            Py_CLEAR(vocab);
        }
        Py_XDECREF(token);
        Py_XDECREF(value);
    }
    return vocab;
}

static PyObject *tokenizer_add_special(PyObject *self, PyObject *args) {
    PyObject *object;
    const uint8_t *content;
    size_t n;
    unsigned int id;
    qtf_error error;
    if (!PyArg_ParseTuple(args, "OI:add_special", &object, &id) ||
        qtf_py_borrow_text(object, &content, &n) < 0) {
        return NULL;
    }
    qtf_status status =
        qtf_tokenizer_add_special(((tokenizer_object *)self)->tokenizer, content, n, id, &error);
    if (status != QTF_OK) {
        return qtf_py_raise_error(status, &error);
    }
    Py_RETURN_NONE;
}

static PyObject *tokenizer_special_ids(PyObject *self, PyObject *unused) {
    (void)unused;
    const qtf_tokenizer *tokenizer = ((tokenizer_object *)self)->tokenizer;
    PyObject *ids = PyList_New(0);
    for (uint32_t id = 0; ids && id < tokenizer->bpe.n_ids; id++) {
        if (!tokenizer->special[id]) {
            continue;
        }
        PyObject *value = PyLong_FromUnsignedLong(id);
        if (!value || PyList_Append(ids, value) < 0) {
            Py_CLEAR(ids);
        }
        Py_XDECREF(value);
    }
    return ids;
}

static Py_ssize_t tokenizer_length(PyObject *self) {
    return (Py_ssize_t)((tokenizer_object *)self)->tokenizer->bpe.n_tokens;
}

static PyMethodDef methods[] = {
    {"encode", tokenizer_encode, METH_VARARGS, "encode(text, add_special_tokens, plain) -> ids"},
    {"encode_batch", tokenizer_encode_batch, METH_VARARGS,
     "encode_batch(texts, add_special_tokens, plain) -> list of ids"},
    {"encode_offsets", tokenizer_encode_offsets, METH_VARARGS,
     "encode_offsets(text, add_special_tokens, plain, chars) -> ids, starts, ends"},
    {"add_special", tokenizer_add_special, METH_VARARGS,
     "add_special(content, id): only before the first use"},
    {"decode", tokenizer_decode, METH_VARARGS, "decode(ids, skip_special_tokens) -> bytes"},
    {"token_bytes", tokenizer_token_bytes, METH_O, "token_bytes(id) -> bytes"},
    {"id_to_token", tokenizer_id_to_token, METH_O, "id_to_token(id) -> spelling"},
    {"token_to_id", tokenizer_token_to_id, METH_O, "token_to_id(spelling) -> id or None"},
    {"vocab", tokenizer_vocab, METH_NOARGS, "vocab() -> dict from spelling to id"},
    {"special_ids", tokenizer_special_ids, METH_NOARGS, "special_ids() -> ids, ascending"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, tokenizer_new},
    {Py_tp_dealloc, tokenizer_dealloc},
    {Py_tp_methods, methods},
    {Py_sq_length, tokenizer_length},
    {Py_tp_doc, "A byte-level BPE tokenizer built from the bytes of a tokenizer.json, or of a "
                "tiktoken file and its split pattern."},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "pyqtf._core.Tokenizer",
    .basicsize = sizeof(tokenizer_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

/* The type, kept for checking arguments; the module owns a reference too. */
static PyTypeObject *tokenizer_type;

qtf_tokenizer *qtf_py_tokenizer(PyObject *object) {
    if (!PyObject_TypeCheck(object, tokenizer_type)) {
        PyErr_Format(PyExc_TypeError, "expected a Tokenizer, got %s", Py_TYPE(object)->tp_name);
        return NULL;
    }
    return ((tokenizer_object *)object)->tokenizer;
}

int qtf_py_add_tokenizer(PyObject *module) {
    PyObject *type = PyType_FromSpec(&spec);
    tokenizer_type = (PyTypeObject *)type;
    return type ? PyModule_AddObjectRef(module, "Tokenizer", type) : -1;
}
