/* matmul, matmul_swiglu and swiglu_mlp. */
#include "python/binding.h"

#include "core/qtf.h"

/* out, or NULL with what status says raised: only activations can be not finite here. */
static PyArrayObject *finish(qtf_status status, PyArrayObject *out) {
    if (status == QTF_NOT_FINITE) {
        qtf_py_raise(status, "x: expected finite activations, got a NaN or an infinity");
        Py_CLEAR(out);
        return NULL;
    }
    return (PyArrayObject *)qtf_py_finish(status, out);
}

/* A residual [shape] or NULL for None; false with an exception set. */
static bool take_residual(PyObject *object, const npy_intp *shape, PyArrayObject **residual) {
    *residual = NULL;
    if (object == Py_None) {
        return true;
    }
    *residual = qtf_py_input(object, "residual", NPY_FLOAT32, 2);
    if (!*residual) {
        return false;
    }
    const npy_intp *given = PyArray_DIMS(*residual);
    if (given[0] != shape[0] || given[1] != shape[1]) {
        PyErr_Format(PyExc_ValueError, "residual: expected shape [%zd, %zd], got [%zd, %zd]",
                     (Py_ssize_t)shape[0], (Py_ssize_t)shape[1], (Py_ssize_t)given[0],
                     (Py_ssize_t)given[1]);
        return false;
    }
    return true;
}

/* Where the product goes; NULL with an exception set, also when it shares memory with what is read
 * meanwhile, each of which may be NULL. */
static PyArrayObject *take_out(PyObject *object, const npy_intp *shape, PyArrayObject *x,
                               PyArrayObject *bias, PyArrayObject *residual) {
    PyArrayObject *out = qtf_py_output(object, "out", NPY_FLOAT32, 2, shape);
    if (out && ((x && qtf_py_overlap(out, x)) || (bias && qtf_py_overlap(out, bias)) ||
                (residual && qtf_py_overlap(out, residual) &&
                 PyArray_DATA(out) != PyArray_DATA(residual)))) {
        PyErr_SetString(PyExc_ValueError,
                        "out: expected an array that shares no memory with x and bias (residual "
                        "may be out itself)");
        Py_CLEAR(out);
    }
    return out;
}

static float *data_or_null(PyArrayObject *array) {
    return array ? PyArray_DATA(array) : NULL;
}

static PyObject *matmul(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"x", "w", "bias", "residual", "out", NULL};
    PyObject *x_object, *w, *bias_object = Py_None, *residual_object = Py_None, *out_object = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|OOO", names, &x_object, &w, &bias_object,
                                     &residual_object, &out_object)) {
        return NULL;
    }
    const qtf_matrix *m = qtf_py_matrix(w, "w");
    PyArrayObject *x = m ? qtf_py_input(x_object, "x", NPY_FLOAT32, 2) : NULL;
    PyArrayObject *bias = NULL, *residual = NULL, *out = NULL;
    if (!x) {
        return NULL;
    }
    const npy_intp shape[] = {PyArray_DIM(x, 0), (npy_intp)m->n};
    if (PyArray_DIM(x, 1) != m->k) {
        PyErr_Format(PyExc_ValueError, "x: expected %lld columns, as w [%lld, %lld] has, got %zd",
                     (long long)m->k, (long long)m->n, (long long)m->k,
                     (Py_ssize_t)PyArray_DIM(x, 1));
        goto done;
    }
    if (bias_object != Py_None) {
        bias = qtf_py_input(bias_object, "bias", NPY_FLOAT32, 1);
        if (!bias) {
            goto done;
        }
        if (PyArray_DIM(bias, 0) != shape[1]) {
            PyErr_Format(PyExc_ValueError, "bias: expected %zd elements, got %zd",
                         (Py_ssize_t)shape[1], (Py_ssize_t)PyArray_DIM(bias, 0));
            goto done;
        }
    }
    if (take_residual(residual_object, shape, &residual)) {
        out = take_out(out_object, shape, x, bias, residual);
    }
    if (!out) {
        goto done;
    }
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = qtf_matmul(m, PyArray_DATA(x), shape[0], data_or_null(bias), data_or_null(residual),
                        PyArray_DATA(out));
    Py_END_ALLOW_THREADS;
    out = finish(status, out);
done:
    Py_DECREF(x);
    Py_XDECREF(bias);
    Py_XDECREF(residual);
    return (PyObject *)out;
}

/* Whether x can be multiplied with gate and up; else an exception is set. */
static bool fits_gate_up(PyArrayObject *x, const qtf_matrix *gate_up) {
    if (PyArray_DIM(x, 1) == gate_up->k && gate_up->n % 2 == 0) {
        return true;
    }
    PyErr_Format(PyExc_ValueError,
                 "gate_up: expected an even number of rows and %zd columns, as x has, got "
                 "[%lld, %lld]",
                 (Py_ssize_t)PyArray_DIM(x, 1), (long long)gate_up->n, (long long)gate_up->k);
    return false;
}

static PyObject *matmul_swiglu(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"x", "gate_up", "out", NULL};
    PyObject *x_object, *w, *out_object = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O", names, &x_object, &w, &out_object)) {
        return NULL;
    }
    const qtf_matrix *m = qtf_py_matrix(w, "gate_up");
    PyArrayObject *x = m ? qtf_py_input(x_object, "x", NPY_FLOAT32, 2) : NULL, *out = NULL;
    if (!x) {
        return NULL;
    }
    const npy_intp shape[] = {PyArray_DIM(x, 0), (npy_intp)m->n / 2};
    if (!fits_gate_up(x, m)) {
        goto done;
    }
    out = qtf_py_output(out_object, "out", NPY_FLOAT32, 2, shape);
    if (out && qtf_py_overlap(out, x)) {
        PyErr_SetString(PyExc_ValueError, "out: expected an array that shares no memory with x");
        Py_CLEAR(out);
    }
    if (!out) {
        goto done;
    }
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = qtf_matmul_swiglu(m, PyArray_DATA(x), shape[0], PyArray_DATA(out));
    Py_END_ALLOW_THREADS;
    out = finish(status, out);
done:
    Py_DECREF(x);
    return (PyObject *)out;
}

static PyObject *swiglu_mlp(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"x", "gate_up", "down", "residual", "out", NULL};
    PyObject *x_object, *w, *down_object, *residual_object = Py_None, *out_object = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|OO", names, &x_object, &w, &down_object,
                                     &residual_object, &out_object)) {
        return NULL;
    }
    const qtf_matrix *gate_up = qtf_py_matrix(w, "gate_up");
    const qtf_matrix *down = gate_up ? qtf_py_matrix(down_object, "down") : NULL;
    PyArrayObject *x = down ? qtf_py_input(x_object, "x", NPY_FLOAT32, 2) : NULL;
    PyArrayObject *residual = NULL, *out = NULL;
    if (!x) {
        return NULL;
    }
    const npy_intp shape[] = {PyArray_DIM(x, 0), (npy_intp)down->n};
    if (!fits_gate_up(x, gate_up)) {
        goto done;
    }
    if (down->k != gate_up->n / 2) {
        PyErr_Format(PyExc_ValueError,
                     "down: expected %lld columns, half of gate_up's rows, got [%lld, %lld]",
                     (long long)gate_up->n / 2, (long long)down->n, (long long)down->k);
        goto done;
    }
    if (take_residual(residual_object, shape, &residual)) {
        out = take_out(out_object, shape, NULL, NULL, residual);
    }
    if (!out) {
        goto done;
    }
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = qtf_swiglu_mlp(gate_up, down, PyArray_DATA(x), shape[0], data_or_null(residual),
                            PyArray_DATA(out));
    Py_END_ALLOW_THREADS;
    out = finish(status, out);
done:
    Py_DECREF(x);
    Py_XDECREF(residual);
    return (PyObject *)out;
}

static PyMethodDef methods[] = {
    {"matmul", (PyCFunction)(void (*)(void))matmul, METH_VARARGS | METH_KEYWORDS,
     "matmul(x, w, bias=None, residual=None, out=None): x [rows, k] times w [n, k] transposed."},
    {"matmul_swiglu", (PyCFunction)(void (*)(void))matmul_swiglu, METH_VARARGS | METH_KEYWORDS,
     "matmul_swiglu(x, gate_up, out=None): swiglu(matmul(x, gate_up)) in one pass."},
    {"swiglu_mlp", (PyCFunction)(void (*)(void))swiglu_mlp, METH_VARARGS | METH_KEYWORDS,
     "swiglu_mlp(x, gate_up, down, residual=None, out=None): matmul(matmul_swiglu(x, gate_up), "
     "down, None, residual), with what is between them in the cache."},
    {NULL, NULL, 0, NULL},
};

int qtf_py_add_matmul(PyObject *module) {
    return PyModule_AddFunctions(module, methods);
}
