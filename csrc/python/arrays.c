#include "python/binding.h"

#include "core/scratch.h"

static const char *dtype_name(int dtype) {
    switch (dtype) {
    case NPY_FLOAT32:
        return "float32";
    case NPY_FLOAT64:
        return "float64";
    case NPY_INT8:
        return "int8";
    case NPY_UINT8:
        return "uint8";
    case NPY_UINT16:
        return "uint16";
    case NPY_INT32:
        return "int32";
    case NPY_INT64:
        return "int64";
    default:
        return "another dtype";
    }
}

static int check(PyObject *object, const char *name, int dtype, int ndim) {
    if (!PyArray_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s: expected a NumPy array of %s, got %s", name,
                     dtype_name(dtype), Py_TYPE(object)->tp_name);
        return -1;
    }
    PyArrayObject *array = (PyArrayObject *)object;
    if (PyArray_TYPE(array) != dtype || PyArray_ISBYTESWAPPED(array)) {
        PyErr_Format(PyExc_TypeError, "%s: expected dtype %s, got %S; convert it with .astype",
                     name, dtype_name(dtype), (PyObject *)PyArray_DESCR(array));
        return -1;
    }
    if (ndim >= 0 && PyArray_NDIM(array) != ndim) {
        PyErr_Format(PyExc_ValueError, "%s: expected %d dimensions, got %d", name, ndim,
                     PyArray_NDIM(array));
        return -1;
    }
    return 0;
}

PyArrayObject *qtf_py_input(PyObject *object, const char *name, int dtype, int ndim) {
    if (check(object, name, dtype, ndim) < 0) {
        return NULL;
    }
    return (PyArrayObject *)PyArray_FROMANY(object, dtype, 0, 0, NPY_ARRAY_CARRAY_RO);
}

enum { LARGE = 4096 };

static void free_memory(PyObject *capsule) {
    qtf_scratch_free(PyCapsule_GetPointer(capsule, NULL));
}

/* A new array. A large one starts on a cache line, which malloc's does not: rows of kernels' tiles
 * would straddle lines. */
static PyArrayObject *new_array(int dtype, int ndim, const npy_intp *shape) {
    PyArray_Descr *descr = PyArray_DescrFromType(dtype);
    size_t bytes = (size_t)PyArray_MultiplyList(shape, ndim) * (size_t)PyDataType_ELSIZE(descr);
    Py_DECREF(descr);
    if (bytes < LARGE) {
        return (PyArrayObject *)PyArray_SimpleNew(ndim, shape, dtype);
    }
    void *data = qtf_scratch_alloc(bytes, 1);
    if (!data) {
        PyErr_NoMemory();
        return NULL;
    }
    PyObject *memory = PyCapsule_New(data, NULL, free_memory);
    if (!memory) {
        qtf_scratch_free(data);
        return NULL;
    }
    PyObject *array = PyArray_SimpleNewFromData(ndim, shape, dtype, data);
    if (!array) {
        Py_DECREF(memory);
    } else if (PyArray_SetBaseObject((PyArrayObject *)array, memory) < 0) {
        Py_CLEAR(array);
    }
    return (PyArrayObject *)array;
}

PyArrayObject *qtf_py_output(PyObject *object, const char *name, int dtype, int ndim,
                             const npy_intp *shape) {
    if (object == NULL || object == Py_None) {
        return new_array(dtype, ndim, shape);
    }
    if (check(object, name, dtype, ndim) < 0) {
        return NULL;
    }
    PyArrayObject *array = (PyArrayObject *)object;
    if (!PyArray_ISCARRAY(array)) {
        PyErr_Format(PyExc_ValueError, "%s: expected a writable C-contiguous array", name);
        return NULL;
    }
    for (int i = 0; i < ndim; i++) {
        if (PyArray_DIM(array, i) != shape[i]) {
            PyErr_Format(PyExc_ValueError, "%s: expected %zd along axis %d, got %zd", name,
                         (Py_ssize_t)shape[i], i, (Py_ssize_t)PyArray_DIM(array, i));
            return NULL;
        }
    }
    Py_INCREF(array);
    return array;
}

/* The bytes from the lowest to the highest element. */
static void extent(PyArrayObject *array, const char **low, const char **high) {
    *low = *high = PyArray_BYTES(array);
    for (int i = 0; i < PyArray_NDIM(array); i++) {
        npy_intp reach = (PyArray_DIM(array, i) - 1) * PyArray_STRIDE(array, i);
        *(reach < 0 ? low : high) += reach;
    }
    *high += PyArray_ITEMSIZE(array);
}

int qtf_py_overlap(PyArrayObject *a, PyArrayObject *b) {
    const char *a0, *a1, *b0, *b1;
    if (PyArray_SIZE(a) == 0 || PyArray_SIZE(b) == 0) {
        return 0;
    }
    extent(a, &a0, &a1);
    extent(b, &b0, &b1);
    return a0 < b1 && b0 < a1;
}

PyArrayObject *qtf_py_apart(PyObject *out, const npy_intp *shape, PyArrayObject *input,
                            const char *name) {
    PyArrayObject *result = qtf_py_output(out, "out", NPY_FLOAT32, 2, shape);
    if (result && qtf_py_overlap(result, input)) {
        PyErr_Format(PyExc_ValueError, "out: expected memory apart from %s's, got an overlap",
                     name);
        Py_CLEAR(result);
    }
    return result;
}

PyObject *qtf_py_finish(qtf_status status, PyArrayObject *result) {
    if (status != QTF_OK) {
        Py_XDECREF(result);
        return qtf_py_raise(status, NULL);
    }
    return (PyObject *)result;
}
