/* What the binding's tokenizer files share. */
#ifndef QTF_PYTHON_TOKENIZER_H
#define QTF_PYTHON_TOKENIZER_H

/* Python.h comes before system headers. */
#include "python/binding.h"

#include "core/bpe_tokenizer.h"

typedef struct {
    PyObject_HEAD qtf_tokenizer *tokenizer;
} qtf_py_tokenizer_object;

/* The methods of Tokenizer that encode. */
PyObject *qtf_py_encode(PyObject *self, PyObject *args);
PyObject *qtf_py_encode_offsets(PyObject *self, PyObject *args);
PyObject *qtf_py_encode_batch(PyObject *self, PyObject *args);

/* The tokenizer inside a _core.Tokenizer, borrowed from it; NULL with TypeError. */
qtf_tokenizer *qtf_py_tokenizer(PyObject *object);

/* Borrow the UTF-8 of a str or bytes; -1 with TypeError or, for lone surrogates, ValueError. */
int qtf_py_borrow_text(PyObject *object, const uint8_t **text, size_t *n);

/* Raise the exception for a failed status and its message; returns NULL. */
PyObject *qtf_py_raise_error(qtf_status status, const qtf_error *error);

#endif
