/* matmul and matmul_swiglu. */
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
    if (residual_object != Py_None) {
        residual = qtf_py_input(residual_object, "residual", NPY_FLOAT32, 2);
        if (!residual) {
            goto done;
        }
        if (PyArray_DIM(residual, 0) != shape[0] || PyArray_DIM(residual, 1) != shape[1]) {
            PyErr_Format(PyExc_ValueError, "residual: expected shape [%zd, %zd], got [%zd, %zd]",
                         (Py_ssize_t)shape[0], (Py_ssize_t)shape[1],
                         (Py_ssize_t)PyArray_DIM(residual, 0),
                         (Py_ssize_t)PyArray_DIM(residual, 1));
            goto done;
        }
    }
    out = qtf_py_output(out_object, "out", NPY_FLOAT32, 2, shape);
    if (!out) {
        goto done;
    }
    if (qtf_py_overlap(out, x) || (bias && qtf_py_overlap(out, bias)) ||
        (residual && qtf_py_overlap(out, residual) &&
         PyArray_DATA(out) != PyArray_DATA(residual))) {
        PyErr_SetString(PyExc_ValueError,
                        "out: expected an array that shares no memory with x and bias (residual "
                        "may be out itself)");
        Py_CLEAR(out);
        goto done;
    }
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = qtf_matmul(m, PyArray_DATA(x), shape[0], bias ? PyArray_DATA(bias) : NULL,
                        residual ? PyArray_DATA(residual) : NULL, PyArray_DATA(out));
    Py_END_ALLOW_THREADS;
    out = finish(status, out);
done:
    Py_DECREF(x);
    Py_XDECREF(bias);
    Py_XDECREF(residual);
    return (PyObject *)out;
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
    if (PyArray_DIM(x, 1) != m->k || m->n % 2) {
        PyErr_Format(PyExc_ValueError,
                     "gate_up: expected an even number of rows and %zd columns, as x has, got "
                     "[%lld, %lld]",
                     (Py_ssize_t)PyArray_DIM(x, 1), (long long)m->n, (long long)m->k);
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

static PyMethodDef methods[] = {
    {"matmul", (PyCFunction)(void (*)(void))matmul, METH_VARARGS | METH_KEYWORDS,
     "matmul(x, w, bias=None, residual=None, out=None): x [rows, k] times w [n, k] transposed."},
    {"matmul_swiglu", (PyCFunction)(void (*)(void))matmul_swiglu, METH_VARARGS | METH_KEYWORDS,
     "matmul_swiglu(x, gate_up, out=None): swiglu(matmul(x, gate_up)) in one pass."},
    {NULL, NULL, 0, NULL},
};

int qtf_py_add_matmul(PyObject *module) {
    return PyModule_AddFunctions(module, methods);
}
