/* loss. */
#include "python/binding.h"

#include <math.h>

#include "core/loss.h"

static int check_targets(PyArrayObject *targets, npy_intp rows, int64_t vocabulary) {
    if (PyArray_DIM(targets, 0) != rows) {
        PyErr_Format(PyExc_ValueError,
                     "targets: expected one for each of hidden's %zd rows, got %zd",
                     (Py_ssize_t)rows, (Py_ssize_t)PyArray_DIM(targets, 0));
        return -1;
    }
    const npy_int64 *id = PyArray_DATA(targets);
    for (npy_intp i = 0; i < rows; i++) {
        if (id[i] < 0 || id[i] >= vocabulary) {
            PyErr_Format(PyExc_ValueError,
                         "targets[%zd]: expected 0 to %lld, the rows of head, got %lld",
                         (Py_ssize_t)i, (long long)vocabulary - 1, (long long)id[i]);
            return -1;
        }
    }
    return 0;
}

/* Say which number is to blame. */
static void raise_not_finite(PyArrayObject *hidden) {
    const float *x = PyArray_DATA(hidden);
    npy_intp d = PyArray_DIM(hidden, 1);
    for (npy_intp i = 0; i < PyArray_SIZE(hidden); i++) {
        if (!isfinite(x[i])) {
            PyErr_Format(PyExc_ValueError, "hidden[%zd, %zd]: expected finite numbers, got %s",
                         (Py_ssize_t)(i / d), (Py_ssize_t)(i % d),
                         isnan(x[i]) ? "nan" : "an infinity");
            return;
        }
    }
    PyErr_SetString(PyExc_ValueError,
                    "hidden: expected numbers whose products with head fit in float32, but a "
                    "logit overflows");
}

static PyObject *loss(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"hidden", "head", "targets", "top_k", "bias", "softcap", NULL};
    PyObject *hidden_object, *head_object, *targets_object, *bias_object = Py_None, *result = NULL;
    long long top_k = 0;
    double softcap = 0.0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|LOd:loss", names, &hidden_object,
                                     &head_object, &targets_object, &top_k, &bias_object,
                                     &softcap)) {
        return NULL;
    }
    const qtf_matrix *head = qtf_py_matrix(head_object, "head");
    if (!head) {
        return NULL;
    }
    PyArrayObject *targets = NULL, *bias = NULL, *nll = NULL, *rank = NULL, *entropy = NULL,
                  *ids = NULL, *logprobs = NULL;
    PyArrayObject *hidden = qtf_py_input(hidden_object, "hidden", NPY_FLOAT32, 2);
    if (!hidden || !(targets = qtf_py_input(targets_object, "targets", NPY_INT64, 1))) {
        goto done;
    }
    npy_intp shape[2] = {PyArray_DIM(hidden, 0), (npy_intp)top_k};
    if (PyArray_DIM(hidden, 1) != head->k) {
        PyErr_Format(PyExc_ValueError, "hidden: expected head's %lld columns, got %zd",
                     (long long)head->k, (Py_ssize_t)PyArray_DIM(hidden, 1));
        goto done;
    }
    if (check_targets(targets, shape[0], head->n) < 0) {
        goto done;
    }
    if (bias_object != Py_None) {
        if (!(bias = qtf_py_input(bias_object, "bias", NPY_FLOAT32, 1))) {
            goto done;
        }
        if (PyArray_DIM(bias, 0) != head->n) {
            PyErr_Format(PyExc_ValueError,
                         "bias: expected one for each of head's %lld rows, got %zd",
                         (long long)head->n, (Py_ssize_t)PyArray_DIM(bias, 0));
            goto done;
        }
    }
    if (!((float)softcap >= 0.0f && isfinite((float)softcap))) {
        PyErr_SetString(PyExc_ValueError,
                        "softcap: expected a finite number, above 0, or 0 for none");
        goto done;
    }
    if (top_k < 0 || top_k > head->n) {
        PyErr_Format(PyExc_ValueError, "top_k: expected 0 to %lld, the rows of head, got %lld",
                     (long long)head->n, top_k);
        goto done;
    }
    nll = (PyArrayObject *)PyArray_SimpleNew(1, shape, NPY_FLOAT64);
    rank = (PyArrayObject *)PyArray_SimpleNew(1, shape, NPY_INT64);
    entropy = (PyArrayObject *)PyArray_SimpleNew(1, shape, NPY_FLOAT64);
    ids = (PyArrayObject *)PyArray_SimpleNew(2, shape, NPY_INT64);
    logprobs = (PyArrayObject *)PyArray_SimpleNew(2, shape, NPY_FLOAT32);
    if (!nll || !rank || !entropy || !ids || !logprobs) {
        goto done;
    }
    qtf_loss_args a = {.hidden = PyArray_DATA(hidden),
                       .head = head,
                       .targets = PyArray_DATA(targets),
                       .bias = bias ? PyArray_DATA(bias) : NULL,
                       .softcap = (float)softcap,
                       .rows = shape[0],
                       .top_k = top_k,
                       .nll = PyArray_DATA(nll),
                       .rank = PyArray_DATA(rank),
                       .entropy = PyArray_DATA(entropy),
                       .top_ids = PyArray_DATA(ids),
                       .top_logprobs = PyArray_DATA(logprobs)};
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = qtf_loss(&a);
    Py_END_ALLOW_THREADS;
    if (status == QTF_OK) {
        result = PyTuple_Pack(5, nll, rank, entropy, ids, logprobs);
    } else if (status == QTF_NOT_FINITE) {
        raise_not_finite(hidden);
    } else {
        qtf_py_raise(status, NULL);
    }
done:
    Py_XDECREF(hidden);
    Py_XDECREF(targets);
    Py_XDECREF(bias);
    Py_XDECREF(nll);
    Py_XDECREF(rank);
    Py_XDECREF(entropy);
    Py_XDECREF(ids);
    Py_XDECREF(logprobs);
    return result;
}

static PyMethodDef methods[] = {
    {"loss", (PyCFunction)(void (*)(void))loss, METH_VARARGS | METH_KEYWORDS,
     "loss(hidden, head, targets, top_k=0, bias=None, softcap=0.0) -> (nll, rank, entropy, "
     "top_ids, top_logprobs)"},
    {NULL, NULL, 0, NULL},
};

int qtf_py_add_loss(PyObject *module) {
    return PyModule_AddFunctions(module, methods);
}
