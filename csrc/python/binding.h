/*
 * What the files of the binding share. The binding checks, borrows, releases the GIL, calls the
 * core and translates errors; it computes nothing.
 */
#ifndef QTF_BINDING_H
#define QTF_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL qtf_numpy_api
#ifndef QTF_BINDING_MAIN
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include "core/matmul.h"
#include "core/status.h"

/*
 * Raise the Python exception for a failed status and return NULL. detail, where there is one,
 * replaces the status's own phrase. For QTF_ABORTED an exception that is already set
 * (KeyboardInterrupt) is kept.
 */
PyObject *qtf_py_raise(qtf_status status, const char *detail);

/*
 * Borrow object as a C-contiguous array of one dtype for reading. ndim < 0 accepts any.
 * name is the argument's name for the message. Returns a new reference (a copy when object is not
 * contiguous), or NULL with TypeError (not an array, other dtype) or ValueError (other ndim).
 */
PyArrayObject *qtf_py_input(PyObject *object, const char *name, int dtype, int ndim);

/*
 * The array to write a result into: a new one when object is NULL or None, else object itself,
 * which must be a writable C-contiguous array of this dtype and shape. Returns a new reference or
 * NULL.
 */
PyArrayObject *qtf_py_output(PyObject *object, const char *name, int dtype, int ndim,
                             const npy_intp *shape);

/* Whether the memory ranges of two arrays, strided ones too, meet; outputs that overlap their
 * inputs are refused by the callers. */
int qtf_py_overlap(PyArrayObject *a, PyArrayObject *b);

/* As qtf_py_output for a float32 matrix "out", refused when it shares memory with the argument
 * `name`. A new reference or NULL. */
PyArrayObject *qtf_py_apart(PyObject *out, const npy_intp *shape, PyArrayObject *input,
                            const char *name);

/* Give result back, or raise what status says and drop it. */
PyObject *qtf_py_finish(qtf_status status, PyArrayObject *result);

/* The matrix inside a _core.Matrix, borrowed from it; NULL with TypeError for another object. */
const qtf_matrix *qtf_py_matrix(PyObject *object, const char *name);

/* A new _core.Matrix over memory that owner keeps alive and unchanged; NULL when out of memory. */
PyObject *qtf_py_borrow_matrix(const qtf_matrix *matrix, PyObject *owner);

/* Set matrix->quant and ->group from a caller's arguments; -1 with ValueError for unknown ones. */
int qtf_py_matrix_format(const char *quant, long long group, qtf_matrix *matrix);

/* Each adds the functions and types of one file to the module; 0, or -1 with an exception set. */
int qtf_py_add_runtime(PyObject *module);
int qtf_py_add_matrix(PyObject *module);
int qtf_py_add_matmul(PyObject *module);
int qtf_py_add_packed(PyObject *module);
int qtf_py_add_layers(PyObject *module);
int qtf_py_add_activations(PyObject *module);
int qtf_py_add_attention(PyObject *module);
int qtf_py_add_tokenizer(PyObject *module);
int qtf_py_add_train(PyObject *module);
int qtf_py_add_hash(PyObject *module);
int qtf_py_add_loss(PyObject *module);
int qtf_py_add_limits(PyObject *module);

#endif
