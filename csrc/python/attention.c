/* attention, attention_weights. */

#include "python/binding.h"

#include <math.h>

#include "core/attention.h"

/*
 * Borrow object [rows, heads, head_dim] of float32 whose rows may lie apart; *stride is their
 * distance in floats. A new reference or NULL.
 */
static PyArrayObject *rows_of_heads(PyObject *object, const char *name, ptrdiff_t *stride) {
    if (!PyArray_Check(object) || PyArray_TYPE((PyArrayObject *)object) != NPY_FLOAT32 ||
        PyArray_NDIM((PyArrayObject *)object) != 3) {
        /* The general check has the right message, whichever it is. */
        return qtf_py_input(object, name, NPY_FLOAT32, 3);
    }
    PyArrayObject *array = (PyArrayObject *)object;
    npy_intp heads = PyArray_DIM(array, 1), head_dim = PyArray_DIM(array, 2);
    if (!PyArray_ISBEHAVED_RO(array) ||
        (head_dim > 1 && PyArray_STRIDE(array, 2) != (npy_intp)sizeof(float)) ||
        (heads > 1 && PyArray_STRIDE(array, 1) != head_dim * (npy_intp)sizeof(float)) ||
        PyArray_STRIDE(array, 0) % (npy_intp)sizeof(float) != 0) {
        PyErr_Format(PyExc_ValueError,
                     "%s: expected the last two axes to be contiguous; copy it with "
                     "np.ascontiguousarray",
                     name);
        return NULL;
    }
    *stride = PyArray_STRIDE(array, 0) / (ptrdiff_t)sizeof(float);
    return (PyArrayObject *)Py_NewRef(object);
}

static int check_offsets(PyArrayObject *offsets, const char *name, npy_intp rows, int whole) {
    const npy_int64 *o = PyArray_DATA(offsets);
    npy_intp n = PyArray_DIM(offsets, 0);
    for (npy_intp i = 0; i + 1 < n; i++) {
        if (o[i] > o[i + 1]) {
            PyErr_Format(PyExc_ValueError, "%s: expected numbers that do not fall, got %lld, %lld",
                         name, (long long)o[i], (long long)o[i + 1]);
            return -1;
        }
    }
    if (o[0] < 0 || o[n - 1] > rows || (whole && (o[0] != 0 || o[n - 1] != rows))) {
        PyErr_Format(PyExc_ValueError, "%s: expected %s the %zd rows, got %lld to %lld", name,
                     whole ? "to span" : "to lie within", (Py_ssize_t)rows, (long long)o[0],
                     (long long)o[n - 1]);
        return -1;
    }
    return 0;
}

static int check_visible(PyArrayObject *q_offsets, PyArrayObject *k_offsets, int causal) {
    const npy_int64 *q = PyArray_DATA(q_offsets), *k = PyArray_DATA(k_offsets);
    for (npy_intp s = 0; s + 1 < PyArray_DIM(q_offsets, 0); s++) {
        npy_int64 nq = q[s + 1] - q[s], nk = k[s + 1] - k[s];
        if (nq > 0 && nk < (causal ? nq : 1)) {
            PyErr_Format(PyExc_ValueError,
                         "k_offsets: expected sequence %zd to have at least %lld keys, so that "
                         "each of its %lld queries sees one, got %lld",
                         (Py_ssize_t)s, (long long)(causal ? nq : 1), (long long)nq, (long long)nk);
            return -1;
        }
    }
    return 0;
}

static int check_heads(npy_intp n_heads, npy_intp n_kv_heads, npy_intp head_dim,
                       npy_intp k_head_dim) {
    if (n_kv_heads < 1 || n_heads < 1 || n_heads % n_kv_heads != 0) {
        PyErr_Format(PyExc_ValueError,
                     "q: expected a number of heads that is a multiple of k's %zd, got %zd",
                     (Py_ssize_t)n_kv_heads, (Py_ssize_t)n_heads);
        return -1;
    }
    if (head_dim != k_head_dim || head_dim < 1 || head_dim > QTF_MAX_HEAD_DIM) {
        PyErr_Format(PyExc_ValueError,
                     "q: expected the head_dim of k, %zd, and one from 1 to %d, got %zd",
                     (Py_ssize_t)k_head_dim, QTF_MAX_HEAD_DIM, (Py_ssize_t)head_dim);
        return -1;
    }
    return 0;
}

static int check_scores(const qtf_attention_args *args) {
    if (!isfinite(args->scale)) {
        PyErr_SetString(PyExc_ValueError, "scale: expected a finite number");
        return -1;
    }
    if (!(args->softcap >= 0.0f && isfinite(args->softcap))) {
        PyErr_SetString(PyExc_ValueError,
                        "softcap: expected a finite number, above 0, or 0 for none");
        return -1;
    }
    if (args->window < 0 || (args->window > 0 && !args->causal)) {
        PyErr_Format(PyExc_ValueError,
                     "window: expected 0 for none, or with causal attention a number of keys, got "
                     "%lld",
                     (long long)args->window);
        return -1;
    }
    return 0;
}

static PyObject *attention(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"q",      "k",   "v",      "q_offsets", "k_offsets", "scale",
                            "causal", "out", "window", "softcap",   NULL};
    PyObject *q_object, *k_object, *v_object, *q_offsets_object, *k_offsets_object;
    PyObject *out_object = NULL;
    double scale, softcap = 0.0;
    int causal;
    long long window = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOdp|OLd:attention", names, &q_object,
                                     &k_object, &v_object, &q_offsets_object, &k_offsets_object,
                                     &scale, &causal, &out_object, &window, &softcap)) {
        return NULL;
    }
    qtf_attention_args a = {
        .scale = (float)scale, .softcap = (float)softcap, .causal = causal, .window = window};
    PyArrayObject *q = NULL, *k = NULL, *v = NULL, *q_offsets = NULL, *k_offsets = NULL;
    PyArrayObject *out = NULL;
    if (!(q = rows_of_heads(q_object, "q", &a.q_stride)) ||
        !(k = rows_of_heads(k_object, "k", &a.k_stride)) ||
        !(v = rows_of_heads(v_object, "v", &a.v_stride)) ||
        !(q_offsets = qtf_py_input(q_offsets_object, "q_offsets", NPY_INT64, 1)) ||
        !(k_offsets = qtf_py_input(k_offsets_object, "k_offsets", NPY_INT64, 1))) {
        goto done;
    }
    npy_intp n = PyArray_DIM(q_offsets, 0);
    if (n < 1 || PyArray_DIM(k_offsets, 0) != n) {
        PyErr_Format(PyExc_ValueError,
                     "k_offsets: expected as many numbers as q_offsets, one more than sequences, "
                     "got %zd and %zd",
                     (Py_ssize_t)PyArray_DIM(k_offsets, 0), (Py_ssize_t)n);
        goto done;
    }
    for (int i = 0; i < 3; i++) {
        if (PyArray_DIM(k, i) != PyArray_DIM(v, i)) {
            PyErr_Format(PyExc_ValueError, "v: expected k's shape, got %zd for %zd along axis %d",
                         (Py_ssize_t)PyArray_DIM(v, i), (Py_ssize_t)PyArray_DIM(k, i), i);
            goto done;
        }
    }
    a.n_heads = PyArray_DIM(q, 1), a.n_kv_heads = PyArray_DIM(k, 1), a.head_dim = PyArray_DIM(q, 2);
    if (check_heads(a.n_heads, a.n_kv_heads, a.head_dim, PyArray_DIM(k, 2)) < 0 ||
        check_scores(&a) < 0 || check_offsets(q_offsets, "q_offsets", PyArray_DIM(q, 0), 1) < 0 ||
        check_offsets(k_offsets, "k_offsets", PyArray_DIM(k, 0), 0) < 0 ||
        check_visible(q_offsets, k_offsets, causal) < 0 ||
        !(out = qtf_py_output(out_object, "out", NPY_FLOAT32, 3, PyArray_DIMS(q)))) {
        goto done;
    }
    if (qtf_py_overlap(out, q) || qtf_py_overlap(out, k) || qtf_py_overlap(out, v)) {
        PyErr_SetString(PyExc_ValueError, "out: expected memory apart from q, k and v, got an "
                                          "overlap");
        Py_CLEAR(out);
        goto done;
    }
    a.q = PyArray_DATA(q), a.k = PyArray_DATA(k), a.v = PyArray_DATA(v);
    a.out = PyArray_DATA(out);
    a.q_offsets = PyArray_DATA(q_offsets), a.k_offsets = PyArray_DATA(k_offsets);
    a.n_sequences = n - 1;
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = qtf_attention(&a);
    Py_END_ALLOW_THREADS;
    if (status != QTF_OK) {
        Py_CLEAR(out);
        qtf_py_raise(status, NULL);
    }
done:
    Py_XDECREF(q);
    Py_XDECREF(k);
    Py_XDECREF(v);
    Py_XDECREF(q_offsets);
    Py_XDECREF(k_offsets);
    return (PyObject *)out;
}

static PyObject *attention_weights(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"q", "k", "scale", "causal", "mask", "window", "softcap", NULL};
    PyObject *q_object, *k_object, *mask_object = Py_None;
    double scale, softcap = 0.0;
    int causal;
    long long window = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOdp|OLd:attention_weights", names, &q_object,
                                     &k_object, &scale, &causal, &mask_object, &window, &softcap)) {
        return NULL;
    }
    qtf_attention_args a = {
        .scale = (float)scale, .softcap = (float)softcap, .causal = causal, .window = window};
    PyArrayObject *q = NULL, *k = NULL, *mask = NULL, *weights = NULL;
    if (!(q = qtf_py_input(q_object, "q", NPY_FLOAT32, 3)) ||
        !(k = qtf_py_input(k_object, "k", NPY_FLOAT32, 3)) ||
        check_heads(PyArray_DIM(q, 0), PyArray_DIM(k, 0), PyArray_DIM(q, 2), PyArray_DIM(k, 2)) <
            0 ||
        check_scores(&a) < 0) {
        goto done;
    }
    npy_intp shape[3] = {PyArray_DIM(q, 0), PyArray_DIM(q, 1), PyArray_DIM(k, 1)};
    if (shape[1] > 0 && shape[2] < (causal ? shape[1] : 1)) {
        PyErr_Format(PyExc_ValueError,
                     "k: expected at least %zd keys, so that every query sees one, got %zd",
                     (Py_ssize_t)(causal ? shape[1] : 1), (Py_ssize_t)shape[2]);
        goto done;
    }
    if (mask_object != Py_None) {
        mask = qtf_py_input(mask_object, "mask", NPY_FLOAT32, 3);
        for (int i = 0; mask && i < 3; i++) {
            if (PyArray_DIM(mask, i) != shape[i]) {
                PyErr_Format(PyExc_ValueError, "mask: expected %zd along axis %d, got %zd",
                             (Py_ssize_t)shape[i], i, (Py_ssize_t)PyArray_DIM(mask, i));
                goto done;
            }
        }
        if (!mask) {
            goto done;
        }
    }
    if (!(weights = (PyArrayObject *)PyArray_SimpleNew(3, shape, NPY_FLOAT32))) {
        goto done;
    }
    a.q = PyArray_DATA(q), a.k = PyArray_DATA(k);
    a.n_heads = shape[0], a.n_kv_heads = PyArray_DIM(k, 0), a.head_dim = PyArray_DIM(q, 2);
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = qtf_attention_weights(&a, shape[1], shape[2], mask ? PyArray_DATA(mask) : NULL,
                                   PyArray_DATA(weights));
    Py_END_ALLOW_THREADS;
    if (status != QTF_OK) {
        Py_CLEAR(weights);
        qtf_py_raise(status, NULL);
    }
done:
    Py_XDECREF(q);
    Py_XDECREF(k);
    Py_XDECREF(mask);
    return (PyObject *)weights;
}

#define KEYWORDS METH_VARARGS | METH_KEYWORDS
static PyMethodDef methods[] = {
    {"attention", (PyCFunction)(void (*)(void))attention, KEYWORDS,
     "attention(q, k, v, q_offsets, k_offsets, scale, causal, out=None, window=0, softcap=0.0) -> "
     "out"},
    {"attention_weights", (PyCFunction)(void (*)(void))attention_weights, KEYWORDS,
     "attention_weights(q, k, scale, causal, mask=None, window=0, softcap=0.0) -> weights"},
    {NULL, NULL, 0, NULL},
};

int qtf_py_add_attention(PyObject *module) {
    return PyModule_AddFunctions(module, methods);
}
