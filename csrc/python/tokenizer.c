/* The type Tokenizer: how it is made and what its vocabulary answers; encode.c has its encoding. */
#include "python/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "core/bpe_spelling.h"

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
    qtf_py_tokenizer_object *self = (qtf_py_tokenizer_object *)type->tp_alloc(type, 0);
    if (!self) {
        qtf_tokenizer_free(tokenizer);
        return NULL;
    }
    self->tokenizer = tokenizer;
    return (PyObject *)self;
}

static void tokenizer_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    qtf_tokenizer_free(((qtf_py_tokenizer_object *)self)->tokenizer);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *raise_id(const qtf_tokenizer *tokenizer, long long id) {
    PyErr_Format(PyExc_ValueError,
                 "token id %lld is not in the vocabulary, expected one of its %zu ids up to %zu",
                 id, tokenizer->bpe.n_tokens, tokenizer->bpe.n_ids - 1);
    return NULL;
}

static PyObject *tokenizer_decode(PyObject *self, PyObject *args) {
    const qtf_tokenizer *tokenizer = ((qtf_py_tokenizer_object *)self)->tokenizer;
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
    for (npy_intp i = 0; i < n; i++) {
        size_t ignored;
        if (!qtf_token_bytes(tokenizer, ids[i], &ignored)) {
            raise_id(tokenizer, ids[i]);
            goto done;
        }
    }
    size_t total = qtf_decode(tokenizer, ids, (size_t)n, skip_special, NULL);
    result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)total);
    if (result) {
        qtf_decode(tokenizer, ids, (size_t)n, skip_special, (uint8_t *)PyBytes_AS_STRING(result));
    }
done:
    Py_DECREF(array);
    return result;
}

static PyObject *tokenizer_token_bytes(PyObject *self, PyObject *argument) {
    const qtf_tokenizer *tokenizer = ((qtf_py_tokenizer_object *)self)->tokenizer;
    size_t n;
    long long id = PyLong_AsLongLong(argument);
    if (id == -1 && PyErr_Occurred()) {
        return NULL;
    }
    const uint8_t *bytes = qtf_token_bytes(tokenizer, id, &n);
    return bytes ? PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)n)
                 : raise_id(tokenizer, id);
}

static PyObject *spelling(const qtf_tokenizer *tokenizer, uint32_t id, bool normalised) {
    uint8_t *text = malloc(3 * (size_t)tokenizer->bpe.tokens[id].length + 9);
    if (!text) {
        return PyErr_NoMemory();
    }
    size_t n = qtf_token_spelling(tokenizer, id, normalised, text);
    PyObject *string = PyUnicode_DecodeUTF8((const char *)text, (Py_ssize_t)n, NULL);
    free(text);
    return string;
}

static PyObject *spell(PyObject *self, PyObject *argument, bool normalised) {
    const qtf_tokenizer *tokenizer = ((qtf_py_tokenizer_object *)self)->tokenizer;
    size_t n;
    long long id = PyLong_AsLongLong(argument);
    if (id == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return qtf_token_bytes(tokenizer, id, &n) ? spelling(tokenizer, (uint32_t)id, normalised)
                                              : raise_id(tokenizer, id);
}

static PyObject *tokenizer_id_to_token(PyObject *self, PyObject *argument) {
    return spell(self, argument, true);
}

static PyObject *tokenizer_spelling(PyObject *self, PyObject *argument) {
    return spell(self, argument, false);
}

static PyObject *tokenizer_token_to_id(PyObject *self, PyObject *argument) {
    const uint8_t *text;
    size_t n;
    uint32_t id;
    if (qtf_py_borrow_text(argument, &text, &n) < 0) {
        return NULL;
    }
    if (qtf_token_find(((qtf_py_tokenizer_object *)self)->tokenizer, text, n, &id) != QTF_OK) {
        return PyErr_NoMemory();
    }
    if (id == QTF_BPE_NONE) {
        Py_RETURN_NONE;
    }
    return PyLong_FromUnsignedLong(id);
}

static PyObject *tokenizer_vocab(PyObject *self, PyObject *unused) {
    (void)unused;
    const qtf_tokenizer *tokenizer = ((qtf_py_tokenizer_object *)self)->tokenizer;
    PyObject *vocab = PyDict_New();
    for (uint32_t id = 0; vocab && id < tokenizer->bpe.n_ids; id++) {
        if (!qtf_bpe_has(&tokenizer->bpe, id)) {
            continue;
        }
        PyObject *token = spelling(tokenizer, id, false), *value = PyLong_FromUnsignedLong(id);
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
    qtf_status status = qtf_tokenizer_add_special(((qtf_py_tokenizer_object *)self)->tokenizer,
                                                  content, n, id, &error);
    if (status != QTF_OK) {
        return qtf_py_raise_error(status, &error);
    }
    Py_RETURN_NONE;
}

static PyObject *tokenizer_special_ids(PyObject *self, PyObject *unused) {
    (void)unused;
    const qtf_tokenizer *tokenizer = ((qtf_py_tokenizer_object *)self)->tokenizer;
    PyObject *ids = PyList_New(0);
    for (uint32_t id = 0; ids && id < tokenizer->bpe.n_ids; id++) {
        if (!(tokenizer->marks[id] & QTF_MARK_SPECIAL)) {
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

static PyObject *tokenizer_vocab_size(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyLong_FromSize_t(((qtf_py_tokenizer_object *)self)->tokenizer->n_model);
}

static PyObject *tokenizer_is_byte(PyObject *self, PyObject *argument) {
    const qtf_tokenizer *tokenizer = ((qtf_py_tokenizer_object *)self)->tokenizer;
    size_t n;
    long long id = PyLong_AsLongLong(argument);
    if (id == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return qtf_token_bytes(tokenizer, id, &n)
               ? PyBool_FromLong(tokenizer->bpe.tokens[id].kind == QTF_TOKEN_BYTE)
               : raise_id(tokenizer, id);
}

static PyObject *tokenizer_strips_space(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(((qtf_py_tokenizer_object *)self)->tokenizer->strip_space);
}

static PyObject *tokenizer_template(PyObject *self, PyObject *unused) {
    (void)unused;
    const qtf_tokenizer *tokenizer = ((qtf_py_tokenizer_object *)self)->tokenizer;
    return Py_BuildValue("ii", tokenizer->n_before, tokenizer->n_behind);
}

static Py_ssize_t tokenizer_length(PyObject *self) {
    return (Py_ssize_t)((qtf_py_tokenizer_object *)self)->tokenizer->bpe.n_tokens;
}

static PyMethodDef methods[] = {
    {"encode", qtf_py_encode, METH_VARARGS, "encode(text, add_special_tokens, plain) -> ids"},
    {"encode_batch", qtf_py_encode_batch, METH_VARARGS,
     "encode_batch(texts, add_special_tokens, plain) -> list of ids"},
    {"encode_offsets", qtf_py_encode_offsets, METH_VARARGS,
     "encode_offsets(text, add_special_tokens, plain, chars) -> ids, offsets"},
    {"add_special", tokenizer_add_special, METH_VARARGS,
     "add_special(content, id): only before the first use"},
    {"decode", tokenizer_decode, METH_VARARGS, "decode(ids, skip_special_tokens) -> bytes"},
    {"is_byte", tokenizer_is_byte, METH_O, "is_byte(id) -> whether it is a byte-fallback token"},
    {"strips_space", tokenizer_strips_space, METH_NOARGS,
     "strips_space() -> whether a decoded text loses a space at its start"},
    {"token_bytes", tokenizer_token_bytes, METH_O, "token_bytes(id) -> bytes"},
    {"spelling", tokenizer_spelling, METH_O, "spelling(id) -> spelling in the vocabulary"},
    {"id_to_token", tokenizer_id_to_token, METH_O,
     "id_to_token(id) -> spelling, of an added token as it is searched for"},
    {"token_to_id", tokenizer_token_to_id, METH_O, "token_to_id(spelling) -> id or None"},
    {"vocab", tokenizer_vocab, METH_NOARGS, "vocab() -> dict from spelling to id"},
    {"special_ids", tokenizer_special_ids, METH_NOARGS, "special_ids() -> ids, ascending"},
    {"vocab_size", tokenizer_vocab_size, METH_NOARGS,
     "vocab_size() -> number of tokens without the added ones"},
    {"template", tokenizer_template, METH_NOARGS,
     "template() -> how many tokens it puts before and behind a text"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, tokenizer_new},
    {Py_tp_dealloc, tokenizer_dealloc},
    {Py_tp_methods, methods},
    {Py_sq_length, tokenizer_length},
    {Py_tp_doc, "A BPE tokenizer built from the bytes of a tokenizer.json, or of a "
                "tiktoken file and its split pattern."},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "pyqtf._core.Tokenizer",
    .basicsize = sizeof(qtf_py_tokenizer_object),
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
    return ((qtf_py_tokenizer_object *)object)->tokenizer;
}

int qtf_py_add_tokenizer(PyObject *module) {
    PyObject *type = PyType_FromSpec(&spec);
    tokenizer_type = (PyTypeObject *)type;
    return type ? PyModule_AddObjectRef(module, "Tokenizer", type) : -1;
}
