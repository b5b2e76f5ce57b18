/* attention, attention_weights, quantise_heads. */

#include "python/binding.h"

#include <math.h>
#include <stdio.h>

#include "core/attention.h"
#include "kernels/kernels.h"

/*
 * Borrow object [rows, heads, head_dim] of dtype, whose rows and heads may lie apart; strides are
 * their distances in elements. A new reference or NULL.
 */
static PyArrayObject *rows_of_heads(PyObject *object, const char *name, int dtype,
                                    ptrdiff_t strides[2]) {
    if (!PyArray_Check(object) || PyArray_TYPE((PyArrayObject *)object) != dtype ||
        PyArray_NDIM((PyArrayObject *)object) != 3) {
        /* The general check has the right message, whichever it is. */
        return qtf_py_input(object, name, dtype, 3);
    }
    PyArrayObject *array = (PyArrayObject *)object;
    npy_intp size = PyArray_ITEMSIZE(array);
    if (!PyArray_ISBEHAVED_RO(array) ||
        (PyArray_DIM(array, 2) > 1 && PyArray_STRIDE(array, 2) != size) ||
        PyArray_STRIDE(array, 0) % size != 0 || PyArray_STRIDE(array, 1) % size != 0) {
        PyErr_Format(PyExc_ValueError,
                     "%s: expected the last axis to be contiguous; copy it with "
                     "np.ascontiguousarray",
                     name);
        return NULL;
    }
    strides[0] = PyArray_STRIDE(array, 0) / size;
    strides[1] = PyArray_STRIDE(array, 1) / size;
    return (PyArrayObject *)Py_NewRef(object);
}

/* Queries: heads within a row are contiguous. */
static PyArrayObject *query_rows(PyObject *object, ptrdiff_t *stride) {
    ptrdiff_t strides[2] = {0, 0};
    PyArrayObject *array = rows_of_heads(object, "q", NPY_FLOAT32, strides);
    if (array && PyArray_DIM(array, 1) > 1 && strides[1] != PyArray_DIM(array, 2)) {
        PyErr_SetString(PyExc_ValueError, "q: expected the last two axes to be contiguous; copy it "
                                          "with np.ascontiguousarray");
        Py_CLEAR(array);
    }
    *stride = strides[0];
    return array;
}

/* What a qtf_kv borrows; scales is NULL but for 8 bits. */
typedef struct {
    PyArrayObject *data, *scales;
} kv_arrays;

static void kv_release(kv_arrays *arrays) {
    Py_XDECREF(arrays->data);
    Py_XDECREF(arrays->scales);
}

/*
 * Borrow keys or values: floats, half floats, the bits of bfloat16, or with scales 8-bit integers.
 * 0, or -1 with an exception; arrays may be released either way.
 */
static int kv_borrow(PyObject *object, PyObject *scales, const char *name, kv_arrays *arrays,
                     qtf_kv *kv) {
    int type = PyArray_Check(object) ? PyArray_TYPE((PyArrayObject *)object) : NPY_FLOAT32;
    bool halves = type == NPY_HALF || type == NPY_UINT16;
    int dtype = scales != Py_None ? NPY_INT8 : halves ? type : NPY_FLOAT32;
    ptrdiff_t strides[2] = {0, 0}, scale_strides[2] = {0, 0};
    if (!(arrays->data = rows_of_heads(object, name, dtype, strides))) {
        return -1;
    }
    *kv = (qtf_kv){.type = dtype == NPY_INT8     ? QTF_KV_Q8
                           : dtype == NPY_HALF   ? QTF_KV_F16
                           : dtype == NPY_UINT16 ? QTF_KV_BF16
                                                 : QTF_KV_F32,
                   .data = PyArray_DATA(arrays->data),
                   .stride = strides[0],
                   .head_stride = strides[1]};
    if (scales == Py_None) {
        return 0;
    }
    char scales_name[16];
    snprintf(scales_name, sizeof scales_name, "%s_scales", name);
    if (!(arrays->scales = rows_of_heads(scales, scales_name, NPY_FLOAT32, scale_strides))) {
        return -1;
    }
    npy_intp groups = (PyArray_DIM(arrays->data, 2) + QTF_KV_GROUP - 1) / QTF_KV_GROUP;
    if (PyArray_DIM(arrays->scales, 0) != PyArray_DIM(arrays->data, 0) ||
        PyArray_DIM(arrays->scales, 1) != PyArray_DIM(arrays->data, 1) ||
        PyArray_DIM(arrays->scales, 2) != groups) {
        PyErr_Format(PyExc_ValueError,
                     "%s: expected %zd rows of %zd heads of %zd numbers, one for every %d of %s's",
                     scales_name, (Py_ssize_t)PyArray_DIM(arrays->data, 0),
                     (Py_ssize_t)PyArray_DIM(arrays->data, 1), (Py_ssize_t)groups, QTF_KV_GROUP,
                     name);
        return -1;
    }
    kv->scales = PyArray_DATA(arrays->scales);
    kv->scale_stride = scale_strides[0], kv->scale_head_stride = scale_strides[1];
    return 0;
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
    static char *names[] = {"q",   "k",      "v",       "q_offsets", "k_offsets", "scale", "causal",
                            "out", "window", "softcap", "k_scales",  "v_scales",  NULL};
    PyObject *q_object, *k_object, *v_object, *q_offsets_object, *k_offsets_object;
    PyObject *out_object = NULL, *k_scales_object = Py_None, *v_scales_object = Py_None;
    double scale, softcap = 0.0;
    int causal;
    long long window = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOdp|OLdOO:attention", names, &q_object,
                                     &k_object, &v_object, &q_offsets_object, &k_offsets_object,
                                     &scale, &causal, &out_object, &window, &softcap,
                                     &k_scales_object, &v_scales_object)) {
        return NULL;
    }
    qtf_attention_args a = {
        .scale = (float)scale, .softcap = (float)softcap, .causal = causal, .window = window};
    PyArrayObject *q = NULL, *q_offsets = NULL, *k_offsets = NULL, *out = NULL;
    kv_arrays keys = {NULL, NULL}, values = {NULL, NULL};
    if (!(q = query_rows(q_object, &a.q_stride)) ||
        kv_borrow(k_object, k_scales_object, "k", &keys, &a.k) < 0 ||
        kv_borrow(v_object, v_scales_object, "v", &values, &a.v) < 0 ||
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
        if (PyArray_DIM(keys.data, i) != PyArray_DIM(values.data, i)) {
            PyErr_Format(PyExc_ValueError, "v: expected k's shape, got %zd for %zd along axis %d",
                         (Py_ssize_t)PyArray_DIM(values.data, i),
                         (Py_ssize_t)PyArray_DIM(keys.data, i), i);
            goto done;
        }
    }
    if ((a.k.type == QTF_KV_BF16) != (a.v.type == QTF_KV_BF16)) {
        PyErr_SetString(PyExc_TypeError,
                        "v: expected bfloat16 (uint16) where k is, and only there");
        goto done;
    }
    a.n_heads = PyArray_DIM(q, 1), a.n_kv_heads = PyArray_DIM(keys.data, 1),
    a.head_dim = PyArray_DIM(q, 2);
    if (check_heads(a.n_heads, a.n_kv_heads, a.head_dim, PyArray_DIM(keys.data, 2)) < 0 ||
        check_scores(&a) < 0 || check_offsets(q_offsets, "q_offsets", PyArray_DIM(q, 0), 1) < 0 ||
        check_offsets(k_offsets, "k_offsets", PyArray_DIM(keys.data, 0), 0) < 0 ||
        check_visible(q_offsets, k_offsets, causal) < 0 ||
        !(out = qtf_py_output(out_object, "out", NPY_FLOAT32, 3, PyArray_DIMS(q)))) {
        goto done;
    }
    if (qtf_py_overlap(out, q) || qtf_py_overlap(out, keys.data) ||
        qtf_py_overlap(out, values.data)) {
        PyErr_SetString(PyExc_ValueError, "out: expected memory apart from q, k and v, got an "
                                          "overlap");
        Py_CLEAR(out);
        goto done;
    }
    a.q = PyArray_DATA(q);
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
    kv_release(&keys);
    kv_release(&values);
    Py_XDECREF(q_offsets);
    Py_XDECREF(k_offsets);
    return (PyObject *)out;
}

static PyObject *quantise_heads(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *x_object, *data_object, *scales_object = Py_None;
    if (!PyArg_ParseTuple(args, "OO|O:quantise_heads", &x_object, &data_object, &scales_object)) {
        return NULL;
    }
    PyObject *result = NULL;
    kv_arrays from = {NULL, NULL}, to = {NULL, NULL};
    qtf_kv x, out;
    if (kv_borrow(x_object, Py_None, "x", &from, &x) < 0 ||
        kv_borrow(data_object, scales_object, "out", &to, &out) < 0) {
        goto done;
    }
    if (x.type != QTF_KV_F32 || (out.type != QTF_KV_BF16 && out.type != QTF_KV_Q8) ||
        !PyArray_CHKFLAGS(to.data, NPY_ARRAY_WRITEABLE) ||
        (to.scales && !PyArray_CHKFLAGS(to.scales, NPY_ARRAY_WRITEABLE)) ||
        !PyArray_CompareLists(PyArray_DIMS(from.data), PyArray_DIMS(to.data), 3)) {
        PyErr_SetString(PyExc_ValueError,
                        "out: expected writable integers of x's shape, int8 with their scales or "
                        "uint16 for bfloat16");
        goto done;
    }
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = qtf_kv_quantise(&x, PyArray_DIM(from.data, 0), PyArray_DIM(from.data, 1),
                             PyArray_DIM(from.data, 2), &out);
    Py_END_ALLOW_THREADS;
    result =
        status == QTF_OK ? Py_NewRef(Py_None) : qtf_py_raise(status, "x: expected finite numbers");
done:
    kv_release(&from);
    kv_release(&to);
    return result;
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
    a.q = PyArray_DATA(q), a.k.data = PyArray_DATA(k);
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
     "attention(q, k, v, q_offsets, k_offsets, scale, causal, out=None, window=0, softcap=0.0, "
     "k_scales=None, v_scales=None) -> out"},
    {"quantise_heads", quantise_heads, METH_VARARGS,
     "quantise_heads(x, out, scales=None): write x [rows, heads, head_dim] as 8-bit integers and a "
     "scale for every 32 numbers of a head, or without scales as the bits of bfloat16"},
    {"attention_weights", (PyCFunction)(void (*)(void))attention_weights, KEYWORDS,
     "attention_weights(q, k, scale, causal, mask=None, window=0, softcap=0.0) -> weights"},
    {NULL, NULL, 0, NULL},
};

int qtf_py_add_attention(PyObject *module) {
    if (PyModule_AddIntConstant(module, "KEY_TILE", QTF_KEY_TILE) < 0 ||
        PyModule_AddIntConstant(module, "KV_GROUP", QTF_KV_GROUP) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, methods);
}
