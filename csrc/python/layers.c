/* rms_norm, layer_norm, rope. */

#include "python/binding.h"

#include "core/layers.h"

static PyObject *rms_norm(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"x", "weight", "eps", "out", NULL};
    PyObject *x_object, *weight_object, *out_object = NULL;
    double eps;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOd|O:rms_norm", names, &x_object,
                                     &weight_object, &eps, &out_object)) {
        return NULL;
    }
    PyArrayObject *weight = NULL, *out = NULL;
    PyArrayObject *x = qtf_py_input(x_object, "x", NPY_FLOAT32, 2);
    if (!x || !(weight = qtf_py_input(weight_object, "weight", NPY_FLOAT32, 1))) {
        goto done;
    }
    npy_intp rows = PyArray_DIM(x, 0), d = PyArray_DIM(x, 1);
    if (d < 1 || PyArray_DIM(weight, 0) != d) {
        PyErr_Format(PyExc_ValueError,
                     "weight: expected one number for each of x's columns, at least 1; got %zd for "
                     "x of [%zd, %zd]",
                     (Py_ssize_t)PyArray_DIM(weight, 0), (Py_ssize_t)rows, (Py_ssize_t)d);
        goto done;
    }
    if (!(eps >= 0.0 && eps <= 1e30)) {
        PyErr_SetString(PyExc_ValueError, "eps: expected a finite number, 0 or above");
        goto done;
    }
    out = qtf_py_apart(out_object, PyArray_DIMS(x), x, "x");
    if (out && qtf_py_overlap(out, weight)) {
        PyErr_SetString(PyExc_ValueError, "out: expected memory apart from weight's, got an "
                                          "overlap");
        Py_CLEAR(out);
    }
    if (out) {
        qtf_status status;
        Py_BEGIN_ALLOW_THREADS;
        status = qtf_rms_norm(PyArray_DATA(x), PyArray_DATA(weight), (float)eps, rows, d,
                              PyArray_DATA(out));
        Py_END_ALLOW_THREADS;
        out = (PyArrayObject *)qtf_py_finish(status, out);
    }
done:
    Py_XDECREF(x);
    Py_XDECREF(weight);
    return (PyObject *)out;
}

static int check_positions(PyArrayObject *positions, npy_intp n_positions) {
    const npy_int64 *p = PyArray_DATA(positions);
    for (npy_intp i = 0; i < PyArray_DIM(positions, 0); i++) {
        if (p[i] < 0 || p[i] >= n_positions) {
            PyErr_Format(PyExc_ValueError,
                         "positions[%zd]: expected 0 to %zd, the rows of cos, got %lld",
                         (Py_ssize_t)i, (Py_ssize_t)n_positions - 1, (long long)p[i]);
            return -1;
        }
    }
    return 0;
}

static PyObject *rope(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"x", "cos", "sin", "positions", "n_heads", "head_dim", NULL};
    PyObject *x_object, *cos_object, *sin_object, *positions_object;
    Py_ssize_t n_heads, head_dim = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOn|n:rope", names, &x_object, &cos_object,
                                     &sin_object, &positions_object, &n_heads, &head_dim)) {
        return NULL;
    }
    PyObject *result = NULL;
    PyArrayObject *x = NULL, *cosine = NULL, *sine = NULL, *positions = NULL;
    if (!PyArray_Check(x_object) || PyArray_NDIM((PyArrayObject *)x_object) != 2) {
        PyErr_SetString(PyExc_TypeError, "x: expected a NumPy array of float32 [T, width]");
        goto done;
    }
    x = qtf_py_output(x_object, "x", NPY_FLOAT32, 2, PyArray_DIMS((PyArrayObject *)x_object));
    if (!x || !(cosine = qtf_py_input(cos_object, "cos", NPY_FLOAT32, 2)) ||
        !(sine = qtf_py_input(sin_object, "sin", NPY_FLOAT32, 2)) ||
        !(positions = qtf_py_input(positions_object, "positions", NPY_INT64, 1))) {
        goto done;
    }
    npy_intp rows = PyArray_DIM(x, 0), width = PyArray_DIM(x, 1);
    npy_intp n_positions = PyArray_DIM(cosine, 0), half = PyArray_DIM(cosine, 1);
    if (PyArray_DIM(sine, 0) != n_positions || PyArray_DIM(sine, 1) != half) {
        PyErr_Format(PyExc_ValueError, "sin: expected the shape of cos, [%zd, %zd], got [%zd, %zd]",
                     (Py_ssize_t)n_positions, (Py_ssize_t)half, (Py_ssize_t)PyArray_DIM(sine, 0),
                     (Py_ssize_t)PyArray_DIM(sine, 1));
        goto done;
    }
    if (PyArray_DIM(positions, 0) != rows) {
        PyErr_Format(PyExc_ValueError, "positions: expected one for each of x's %zd rows, got %zd",
                     (Py_ssize_t)rows, (Py_ssize_t)PyArray_DIM(positions, 0));
        goto done;
    }
    head_dim = head_dim ? head_dim : 2 * half;
    if (half < 1 || head_dim < 2 * half) {
        PyErr_Format(PyExc_ValueError,
                     "head_dim: expected at least twice the columns of cos, which are %zd and at "
                     "least 1, got %zd",
                     (Py_ssize_t)half, head_dim);
        goto done;
    }
    if (n_heads < 0 || n_heads > width / head_dim) {
        PyErr_Format(PyExc_ValueError,
                     "n_heads: expected heads of %zd numbers to fit in x's rows of %zd, got %zd "
                     "heads",
                     head_dim, (Py_ssize_t)width, n_heads);
        goto done;
    }
    if (check_positions(positions, n_positions) < 0) {
        goto done;
    }
    if (qtf_py_overlap(x, cosine) || qtf_py_overlap(x, sine) || qtf_py_overlap(x, positions)) {
        PyErr_SetString(PyExc_ValueError, "x: expected memory apart from cos, sin and positions, "
                                          "got an overlap");
        goto done;
    }
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = qtf_rope(PyArray_DATA(x), rows, width, PyArray_DATA(cosine), PyArray_DATA(sine),
                      n_positions, half, PyArray_DATA(positions), n_heads, head_dim);
    Py_END_ALLOW_THREADS;
    result = status == QTF_OK ? Py_NewRef(Py_None) : qtf_py_raise(status, NULL);
done:
    Py_XDECREF(x);
    Py_XDECREF(cosine);
    Py_XDECREF(sine);
    Py_XDECREF(positions);
    return result;
}

static PyObject *layer_norm(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"x", "weight", "bias", "eps", "out", NULL};
    PyObject *x_object, *weight_object, *bias_object, *out_object = NULL;
    double eps;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOd|O:layer_norm", names, &x_object,
                                     &weight_object, &bias_object, &eps, &out_object)) {
        return NULL;
    }
    PyArrayObject *weight = NULL, *bias = NULL, *out = NULL;
    PyArrayObject *x = qtf_py_input(x_object, "x", NPY_FLOAT32, 2);
    if (!x || !(weight = qtf_py_input(weight_object, "weight", NPY_FLOAT32, 1)) ||
        !(bias = qtf_py_input(bias_object, "bias", NPY_FLOAT32, 1))) {
        goto done;
    }
    npy_intp rows = PyArray_DIM(x, 0), d = PyArray_DIM(x, 1);
    if (d < 1 || PyArray_DIM(weight, 0) != d || PyArray_DIM(bias, 0) != d) {
        PyErr_Format(PyExc_ValueError,
                     "weight and bias: expected one number for each of x's columns, at least 1; "
                     "got %zd and %zd for x of [%zd, %zd]",
                     (Py_ssize_t)PyArray_DIM(weight, 0), (Py_ssize_t)PyArray_DIM(bias, 0),
                     (Py_ssize_t)rows, (Py_ssize_t)d);
        goto done;
    }
    if (!(eps >= 0.0 && eps <= 1e30)) {
        PyErr_SetString(PyExc_ValueError, "eps: expected a finite number, 0 or above");
        goto done;
    }
    out = qtf_py_apart(out_object, PyArray_DIMS(x), x, "x");
    if (out && (qtf_py_overlap(out, weight) || qtf_py_overlap(out, bias))) {
        PyErr_SetString(PyExc_ValueError,
                        "out: expected memory apart from weight's and bias's, got an overlap");
        Py_CLEAR(out);
    }
    if (out) {
        qtf_status status;
        Py_BEGIN_ALLOW_THREADS;
        status = qtf_layer_norm(PyArray_DATA(x), PyArray_DATA(weight), PyArray_DATA(bias),
                                (float)eps, rows, d, PyArray_DATA(out));
        Py_END_ALLOW_THREADS;
        out = (PyArrayObject *)qtf_py_finish(status, out);
    }
done:
    Py_XDECREF(x);
    Py_XDECREF(weight);
    Py_XDECREF(bias);
    return (PyObject *)out;
}

#define KEYWORDS METH_VARARGS | METH_KEYWORDS
static PyMethodDef methods[] = {
    {"rms_norm", (PyCFunction)(void (*)(void))rms_norm, KEYWORDS,
     "rms_norm(x, weight, eps, out=None) -> out"},
    {"rope", (PyCFunction)(void (*)(void))rope, KEYWORDS,
     "rope(x, cos, sin, positions, n_heads, head_dim=2 * cos.shape[1]), in place"},
    {"layer_norm", (PyCFunction)(void (*)(void))layer_norm, KEYWORDS,
     "layer_norm(x, weight, bias, eps, out=None) -> out"},
    {NULL, NULL, 0, NULL},
};

int qtf_py_add_layers(PyObject *module) {
    return PyModule_AddFunctions(module, methods);
}
