/* packed and from_packed: a matrix's memory as arrays, and arrays as a matrix, without copying. */
#include "python/binding.h"

#include "core/qtf.h"

/* A read-only flat array over memory that owner keeps alive. */
static PyObject *view(PyObject *owner, void *memory, size_t count, int dtype) {
    const npy_intp shape[] = {(npy_intp)count};
    PyObject *array = PyArray_SimpleNewFromData(1, shape, dtype, memory);
    if (array) {
        PyArray_CLEARFLAGS((PyArrayObject *)array, NPY_ARRAY_WRITEABLE);
        if (PyArray_SetBaseObject((PyArrayObject *)array, Py_NewRef(owner)) < 0) {
            Py_CLEAR(array);
        }
    }
    return array;
}

static PyObject *packed(PyObject *module, PyObject *object) {
    (void)module;
    const qtf_matrix *m = qtf_py_matrix(object, "matrix");
    if (!m) {
        return NULL;
    }
    PyObject *data = view(object, m->data, qtf_matrix_data_bytes(m), NPY_UINT8);
    PyObject *scales = view(object, m->scales ? (void *)m->scales : m->data,
                            qtf_matrix_scale_bytes(m) / sizeof(float), NPY_FLOAT32);
    if (!data || !scales) {
        Py_XDECREF(data);
        Py_XDECREF(scales);
        return NULL;
    }
    return Py_BuildValue("NN", data, scales);
}

/* Whether array is a flat aligned block of exactly this many bytes; else an exception is set. */
static int check_block(PyObject *object, const char *name, int dtype, size_t bytes) {
    PyArrayObject *array = qtf_py_input(object, name, dtype, 1);
    if (!array) {
        return -1;
    }
    /* A copy would be freed on return: the caller's own memory must do. */
    int same = (PyObject *)array == object, ok = 0;
    if (!same || (uintptr_t)PyArray_DATA(array) % QTF_ALIGN) {
        PyErr_Format(PyExc_ValueError, "%s: expected contiguous memory aligned to %d bytes", name,
                     QTF_ALIGN);
    } else if ((size_t)PyArray_NBYTES(array) != bytes) {
        PyErr_Format(PyExc_ValueError, "%s: expected %zu bytes for this shape, got %zd", name,
                     bytes, (Py_ssize_t)PyArray_NBYTES(array));
    } else {
        ok = 1;
    }
    Py_DECREF(array);
    return ok ? 0 : -1;
}

static PyObject *from_packed(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"data", "scales", "shape", "quant", "group", NULL};
    PyObject *data, *scales;
    const char *quant;
    long long n, k, group;
    qtf_matrix m = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO(LL)sL", names, &data, &scales, &n, &k,
                                     &quant, &group) ||
        qtf_py_matrix_format(quant, group, &m) < 0) {
        return NULL;
    }
    m.n = n;
    m.k = k;
    const size_t data_bytes = n > 0 && k > 0 ? qtf_matrix_data_bytes(&m) : 0;
    const size_t scale_bytes = data_bytes ? qtf_matrix_scale_bytes(&m) : 0;
    if (!data_bytes || (m.quant == QTF_Q8 && !scale_bytes)) {
        PyErr_Format(PyExc_ValueError,
                     "shape: expected positive sizes that fit into memory, got "
                     "(%lld, %lld)",
                     n, k);
        return NULL;
    }
    if (check_block(data, "data", NPY_UINT8, data_bytes) < 0 ||
        (scale_bytes && check_block(scales, "scales", NPY_FLOAT32, scale_bytes) < 0)) {
        return NULL;
    }
    m.data = PyArray_DATA((PyArrayObject *)data);
    m.scales = scale_bytes ? PyArray_DATA((PyArrayObject *)scales) : NULL;
    PyObject *owner = PyTuple_Pack(2, data, scales);
    PyObject *matrix = owner ? qtf_py_borrow_matrix(&m, owner) : NULL;
    Py_XDECREF(owner);
    return matrix;
}

static PyMethodDef methods[] = {
    {"packed", packed, METH_O,
     "packed(matrix) -> (data uint8, scales float32): its memory as read-only arrays."},
    {"from_packed", (PyCFunction)(void (*)(void))from_packed, METH_VARARGS | METH_KEYWORDS,
     "from_packed(data, scales, shape, quant, group): a Matrix over the caller's arrays."},
    {NULL, NULL, 0, NULL},
};

int qtf_py_add_packed(PyObject *module) {
    return PyModule_AddFunctions(module, methods);
}
