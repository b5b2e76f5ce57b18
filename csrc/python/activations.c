/* swiglu, geglu, gelu, gelu_erf, softcap. */

#include "python/binding.h"

#include <math.h>

#include "core/layers.h"

typedef qtf_status (*activation)(const float *x, int64_t rows, int64_t d, float *out);

/* One of the functions that halve a row: gate_up [T, 2 f] to out [T, f]. */
static PyObject *gated(PyObject *args, PyObject *kwargs, const char *format, activation function) {
    static char *names[] = {"gate_up", "out", NULL};
    PyObject *x_object, *out_object = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, format, names, &x_object, &out_object)) {
        return NULL;
    }
    PyArrayObject *x = qtf_py_input(x_object, "gate_up", NPY_FLOAT32, 2), *out = NULL;
    if (!x) {
        return NULL;
    }
    npy_intp shape[2] = {PyArray_DIM(x, 0), PyArray_DIM(x, 1) / 2};
    if (PyArray_DIM(x, 1) % 2 != 0 || shape[1] < 1) {
        PyErr_Format(PyExc_ValueError,
                     "gate_up: expected an even number of columns, gate then up, got %zd",
                     (Py_ssize_t)PyArray_DIM(x, 1));
    } else if ((out = qtf_py_apart(out_object, shape, x, "gate_up"))) {
        qtf_status status;
        Py_BEGIN_ALLOW_THREADS;
        status = function(PyArray_DATA(x), shape[0], shape[1], PyArray_DATA(out));
        Py_END_ALLOW_THREADS;
        out = (PyArrayObject *)qtf_py_finish(status, out);
    }
    Py_DECREF(x);
    return (PyObject *)out;
}

static PyObject *swiglu(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    return gated(args, kwargs, "O|O:swiglu", qtf_swiglu);
}

static PyObject *geglu(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    return gated(args, kwargs, "O|O:geglu", qtf_geglu);
}

/* One of the functions that keep a row's length. */
static PyObject *plain(PyObject *args, PyObject *kwargs, const char *format, activation function) {
    static char *names[] = {"x", "out", NULL};
    PyObject *x_object, *out_object = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, format, names, &x_object, &out_object)) {
        return NULL;
    }
    PyArrayObject *x = qtf_py_input(x_object, "x", NPY_FLOAT32, 2), *out = NULL;
    if (!x) {
        return NULL;
    }
    if (PyArray_DIM(x, 1) < 1) {
        PyErr_SetString(PyExc_ValueError, "x: expected at least one column, got none");
    } else if ((out = qtf_py_apart(out_object, PyArray_DIMS(x), x, "x"))) {
        qtf_status status;
        Py_BEGIN_ALLOW_THREADS;
        status = function(PyArray_DATA(x), PyArray_DIM(x, 0), PyArray_DIM(x, 1), PyArray_DATA(out));
        Py_END_ALLOW_THREADS;
        out = (PyArrayObject *)qtf_py_finish(status, out);
    }
    Py_DECREF(x);
    return (PyObject *)out;
}

static PyObject *gelu(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    return plain(args, kwargs, "O|O:gelu", qtf_gelu);
}

static PyObject *gelu_erf(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    return plain(args, kwargs, "O|O:gelu_erf", qtf_gelu_erf);
}

static PyObject *softcap(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"x", "cap", "out", NULL};
    PyObject *x_object, *out_object = NULL;
    double cap;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Od|O:softcap", names, &x_object, &cap,
                                     &out_object)) {
        return NULL;
    }
    PyArrayObject *x = qtf_py_input(x_object, "x", NPY_FLOAT32, 2), *out = NULL;
    if (!x) {
        return NULL;
    }
    if (!((float)cap > 0.0f && isfinite((float)cap)) || PyArray_DIM(x, 1) < 1) {
        PyErr_SetString(PyExc_ValueError,
                        "cap: expected a finite number above 0, and x to have columns");
    } else if (out_object == x_object) {
        out = qtf_py_output(x_object, "out", NPY_FLOAT32, 2, PyArray_DIMS(x));
    } else {
        out = qtf_py_apart(out_object, PyArray_DIMS(x), x, "x");
    }
    if (out) {
        qtf_status status;
        Py_BEGIN_ALLOW_THREADS;
        status = qtf_softcap(PyArray_DATA(x), (float)cap, PyArray_DIM(x, 0), PyArray_DIM(x, 1),
                             PyArray_DATA(out));
        Py_END_ALLOW_THREADS;
        out = (PyArrayObject *)qtf_py_finish(status, out);
    }
    Py_DECREF(x);
    return (PyObject *)out;
}

#define KEYWORDS METH_VARARGS | METH_KEYWORDS
static PyMethodDef methods[] = {
    {"swiglu", (PyCFunction)(void (*)(void))swiglu, KEYWORDS, "swiglu(gate_up, out=None) -> out"},
    {"geglu", (PyCFunction)(void (*)(void))geglu, KEYWORDS,
     "geglu(gate_up, out=None) -> out, GELU in its tanh form"},
    {"gelu", (PyCFunction)(void (*)(void))gelu, KEYWORDS, "gelu(x, out=None) -> out, tanh form"},
    {"gelu_erf", (PyCFunction)(void (*)(void))gelu_erf, KEYWORDS, "gelu_erf(x, out=None) -> out"},
    {"softcap", (PyCFunction)(void (*)(void))softcap, KEYWORDS,
     "softcap(x, cap, out=None) -> out, which may be x"},
    {NULL, NULL, 0, NULL},
};

int qtf_py_add_activations(PyObject *module) {
    return PyModule_AddFunctions(module, methods);
}
