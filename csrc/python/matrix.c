/* Matrix and pack. */
#include "python/binding.h"

#include "core/qtf.h"

typedef struct {
    PyObject_HEAD qtf_matrix matrix; /* owns data and scales, unless there is an owner */
    PyObject *owner;                 /* keeps borrowed memory alive, or NULL */
} MatrixObject;

static PyTypeObject *matrix_type;

static const char *const quant_names[] = {[QTF_F32] = "f32", [QTF_Q8] = "q8", [QTF_Q4] = "q4"};

static void matrix_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    MatrixObject *object = (MatrixObject *)self;
    if (!object->owner) {
        qtf_free(object->matrix.data);
        qtf_free(object->matrix.scales);
    }
    Py_XDECREF(object->owner);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *matrix_repr(PyObject *self) {
    const qtf_matrix *m = &((MatrixObject *)self)->matrix;
    return PyUnicode_FromFormat("<pyqtf Matrix [%lld, %lld] %s>", (long long)m->n, (long long)m->k,
                                quant_names[m->quant]);
}

static PyObject *get_shape(PyObject *self, void *unused) {
    (void)unused;
    const qtf_matrix *m = &((MatrixObject *)self)->matrix;
    return Py_BuildValue("LL", (long long)m->n, (long long)m->k);
}

static PyObject *get_quant(PyObject *self, void *unused) {
    (void)unused;
    return PyUnicode_FromString(quant_names[((MatrixObject *)self)->matrix.quant]);
}

static PyObject *get_group(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromLongLong(((MatrixObject *)self)->matrix.group);
}

static PyObject *get_nbytes(PyObject *self, void *unused) {
    (void)unused;
    const qtf_matrix *m = &((MatrixObject *)self)->matrix;
    return PyLong_FromSize_t(qtf_matrix_data_bytes(m) + qtf_matrix_scale_bytes(m));
}

static PyObject *matrix_rows(PyObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"ids", "out", NULL};
    const qtf_matrix *m = &((MatrixObject *)self)->matrix;
    PyObject *ids_object, *out_object = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O", names, &ids_object, &out_object)) {
        return NULL;
    }
    PyArrayObject *ids = qtf_py_input(ids_object, "ids", NPY_INT64, 1), *out = NULL;
    if (!ids) {
        return NULL;
    }
    const npy_intp shape[] = {PyArray_DIM(ids, 0), (npy_intp)m->k};
    out = qtf_py_output(out_object, "out", NPY_FLOAT32, 2, shape);
    if (!out) {
        goto done;
    }
    qtf_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = qtf_matrix_rows(m, PyArray_DATA(ids), shape[0], PyArray_DATA(out));
    Py_END_ALLOW_THREADS;
    if (status == QTF_BAD_ARGUMENT) {
        PyErr_Format(PyExc_IndexError, "ids: expected row numbers from 0 to %lld",
                     (long long)m->n - 1);
        Py_CLEAR(out);
    } else if (status != QTF_OK) {
        qtf_py_raise(status, NULL);
        Py_CLEAR(out);
    }
done:
    Py_DECREF(ids);
    return (PyObject *)out;
}

static PyObject *matrix_dequantize(PyObject *self, PyObject *unused) {
    (void)unused;
    const qtf_matrix *m = &((MatrixObject *)self)->matrix;
    const npy_intp shape[] = {(npy_intp)m->n, (npy_intp)m->k};
    PyArrayObject *out = (PyArrayObject *)PyArray_SimpleNew(2, shape, NPY_FLOAT32);
    int64_t *ids = qtf_alloc((size_t)m->n, sizeof *ids);
    qtf_status status = ids ? QTF_OK : QTF_NO_MEMORY;
    if (out && ids) {
        Py_BEGIN_ALLOW_THREADS;
        for (int64_t i = 0; i < m->n; i++) {
            ids[i] = i;
        }
        status = qtf_matrix_rows(m, ids, m->n, PyArray_DATA(out));
        Py_END_ALLOW_THREADS;
    }
    qtf_free(ids);
    if (out && status != QTF_OK) {
        qtf_py_raise(status, NULL);
        Py_CLEAR(out);
    }
    return (PyObject *)out;
}

static PyGetSetDef matrix_getset[] = {
    {"shape", get_shape, NULL, "(n, k): output and input features.", NULL},
    {"quant", get_quant, NULL, "'q8', 'q4' or 'f32'.", NULL},
    {"group", get_group, NULL, "Weights that share a scale along a row; 0 for f32.", NULL},
    {"nbytes", get_nbytes, NULL, "Bytes of weights and scales, padding included.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef matrix_methods[] = {
    {"rows", (PyCFunction)(void (*)(void))matrix_rows, METH_VARARGS | METH_KEYWORDS,
     "rows(ids, out=None): some rows as float32 [len(ids), k]."},
    {"dequantize", matrix_dequantize, METH_NOARGS, "All rows as float32 [n, k]."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot matrix_slots[] = {
    {Py_tp_dealloc, matrix_dealloc},
    {Py_tp_repr, matrix_repr},
    {Py_tp_getset, matrix_getset},
    {Py_tp_methods, matrix_methods},
    {Py_tp_doc, "A weight matrix packed for the kernels; made by pack."},
    {0, NULL},
};

static PyType_Spec matrix_spec = {
    .name = "pyqtf._core.Matrix",
    .basicsize = sizeof(MatrixObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = matrix_slots,
};

const qtf_matrix *qtf_py_matrix(PyObject *object, const char *name) {
    if (!PyObject_TypeCheck(object, matrix_type)) {
        PyErr_Format(PyExc_TypeError, "%s: expected a Matrix, made by pyqtf.ops.quantize, got %s",
                     name, Py_TYPE(object)->tp_name);
        return NULL;
    }
    return &((MatrixObject *)object)->matrix;
}

/* How many columns a part of this shape has; -1 where its rows are no whole blocks. */
static int64_t part_columns(PyArrayObject *part, qtf_source_type type) {
    const int64_t width = PyArray_DIM(part, 1);
    if (type != QTF_SRC_Q8_0) {
        return width;
    }
    return width % QTF_Q8_0_BYTES ? -1 : width / QTF_Q8_0_BYTES * QTF_Q8_0_BLOCK;
}

/* The part as a contiguous array [rows, k] of a type that packing knows; k < 0 accepts any k. */
static PyArrayObject *part_array(PyObject *part, Py_ssize_t i, int64_t k, qtf_source_type *type) {
    int dtype = PyArray_Check(part) ? PyArray_TYPE((PyArrayObject *)part) : NPY_NOTYPE;
    if (dtype != NPY_FLOAT32 && dtype != NPY_HALF && dtype != NPY_UINT16 && dtype != NPY_UINT8) {
        PyErr_Format(PyExc_TypeError,
                     "parts[%zd]: expected a NumPy array of float32, float16, uint16 (the words "
                     "of bfloat16) or uint8 (GGUF's blocks of Q8_0), got %S",
                     i,
                     dtype == NPY_NOTYPE ? (PyObject *)Py_TYPE(part)
                                         : (PyObject *)PyArray_DESCR((PyArrayObject *)part));
        return NULL;
    }
    *type = dtype == NPY_FLOAT32  ? QTF_SRC_F32
            : dtype == NPY_HALF   ? QTF_SRC_F16
            : dtype == NPY_UINT16 ? QTF_SRC_BF16
                                  : QTF_SRC_Q8_0;
    char name[32];
    PyOS_snprintf(name, sizeof name, "parts[%zd]", i);
    PyArrayObject *array = qtf_py_input(part, name, dtype, 2);
    const int64_t columns = array ? part_columns(array, *type) : 0;
    if (array && (PyArray_SIZE(array) == 0 || columns < 0 || (k >= 0 && columns != k))) {
        PyErr_Format(PyExc_ValueError,
                     "%s: expected at least one row of %lld columns%s, got [%zd, %zd]", name,
                     (long long)(k < 0 ? 1 : k),
                     *type == QTF_SRC_Q8_0 ? ", 34 bytes for every 32" : "",
                     (Py_ssize_t)PyArray_DIM(array, 0), (Py_ssize_t)PyArray_DIM(array, 1));
        Py_CLEAR(array);
    }
    return array;
}

/* Give a matrix whose shape is set memory of its own. */
static int allocate(qtf_matrix *m) {
    size_t data = qtf_matrix_data_bytes(m), scales = qtf_matrix_scale_bytes(m);
    m->data = data ? qtf_alloc(data, 1) : NULL;
    m->scales = scales ? qtf_alloc(scales, 1) : NULL;
    if (!m->data || (!m->scales && m->quant == QTF_Q8)) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* Give it the caller's memory: the data, then the scales. */
static int place(qtf_matrix *m, PyObject *memory) {
    size_t data = qtf_matrix_data_bytes(m), scales = qtf_matrix_scale_bytes(m);
    PyArrayObject *array = PyArray_Check(memory) ? (PyArrayObject *)memory : NULL;
    if (!array || PyArray_TYPE(array) != NPY_UINT8 || !PyArray_ISCARRAY(array) ||
        (uintptr_t)PyArray_DATA(array) % QTF_ALIGN ||
        (size_t)PyArray_NBYTES(array) != data + scales) {
        PyErr_Format(PyExc_ValueError,
                     "memory: expected a writable contiguous array of %zu uint8, aligned to %d "
                     "bytes",
                     data + scales, QTF_ALIGN);
        return -1;
    }
    m->data = PyArray_DATA(array);
    m->scales = scales ? (float *)(PyArray_BYTES(array) + data) : NULL;
    return 0;
}

static MatrixObject *new_matrix(const qtf_matrix *format, PyObject *memory) {
    MatrixObject *object = (MatrixObject *)matrix_type->tp_alloc(matrix_type, 0);
    if (object) {
        object->matrix = *format;
        if (memory != Py_None) {
            object->owner = Py_NewRef(memory);
        }
        if ((object->owner ? place(&object->matrix, memory) : allocate(&object->matrix)) < 0) {
            Py_CLEAR(object);
        }
    }
    return object;
}

PyObject *qtf_py_borrow_matrix(const qtf_matrix *matrix, PyObject *owner) {
    MatrixObject *object = (MatrixObject *)matrix_type->tp_alloc(matrix_type, 0);
    if (object) {
        object->matrix = *matrix;
        object->owner = Py_NewRef(owner);
    }
    return (PyObject *)object;
}

int qtf_py_matrix_format(const char *quant, long long group, qtf_matrix *matrix) {
    for (int i = 0; i < (int)(sizeof quant_names / sizeof *quant_names); i++) {
        if (strcmp(quant, quant_names[i]) != 0) {
            continue;
        }
        if (i == QTF_Q8 && (group < 4 || group > QTF_MAX_GROUP || group % 4)) {
            PyErr_Format(PyExc_ValueError, "group: expected a multiple of 4 from 4 to %d, got %lld",
                         QTF_MAX_GROUP, group);
            return -1;
        }
        if (i == QTF_Q4 && group != QTF_Q4_GROUP) {
            PyErr_Format(PyExc_ValueError, "group: expected %d, as q4 always has, got %lld",
                         QTF_Q4_GROUP, group);
            return -1;
        }
        matrix->quant = (qtf_quant)i;
        matrix->group = i == QTF_F32 ? 0 : group;
        return 0;
    }
    PyErr_Format(PyExc_ValueError, "quant: expected 'q8', 'q4' or 'f32', got '%s'", quant);
    return -1;
}

/* The shape of a list of arrays, stacked along their rows; -1 with an exception set. */
static int stacked_shape(PyObject *parts, long long *n, long long *k) {
    *n = 0;
    *k = -1;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(parts); i++) {
        qtf_source_type type;
        PyArrayObject *array = part_array(PySequence_Fast_GET_ITEM(parts, i), i, *k, &type);
        if (!array) {
            return -1;
        }
        *n += PyArray_DIM(array, 0);
        *k = part_columns(array, type);
        Py_DECREF(array);
    }
    if (*n == 0) {
        PyErr_SetString(PyExc_ValueError, "parts: expected at least one array, got an empty list");
        return -1;
    }
    return 0;
}

/* Pack what an iterable gives, each array dropped before the next; -1 with an exception set. */
static int pack_parts(qtf_matrix *m, PyObject *parts, const float *column_scales,
                      const float *importance) {
    PyObject *iterator = PyObject_GetIter(parts), *part;
    int64_t row0 = 0;
    for (Py_ssize_t i = 0; iterator && (part = PyIter_Next(iterator)); i++) {
        qtf_source_type type;
        PyArrayObject *array = part_array(part, i, m->k, &type);
        Py_DECREF(part);
        int64_t rows = array ? PyArray_DIM(array, 0) : 0;
        if (rows > m->n - row0) {
            PyErr_Format(PyExc_ValueError, "parts: expected %lld rows, as shape says, got more",
                         (long long)m->n);
            Py_CLEAR(array);
        }
        if (!array) {
            break;
        }
        qtf_status status;
        Py_BEGIN_ALLOW_THREADS;
        status =
            qtf_matrix_pack(m, row0, rows, PyArray_DATA(array), type, column_scales, importance);
        Py_END_ALLOW_THREADS;
        Py_DECREF(array);
        if (status != QTF_OK) {
            char detail[96];
            PyOS_snprintf(detail, sizeof detail,
                          "parts[%zd]: expected finite weights, got a NaN or an infinity", i);
            qtf_py_raise(status, status == QTF_NOT_FINITE ? detail : NULL);
            break;
        }
        row0 += rows;
    }
    Py_XDECREF(iterator);
    if (PyErr_Occurred()) {
        return -1;
    }
    if (row0 != m->n) {
        PyErr_Format(PyExc_ValueError, "parts: expected %lld rows, as shape says, got %lld",
                     (long long)m->n, (long long)row0);
        return -1;
    }
    return 0;
}

/* One float for each of k columns, or NULL for None; -1 with an exception set. */
static int column_array(PyObject *object, const char *name, int64_t k, PyArrayObject **array) {
    *array = object == Py_None ? NULL : qtf_py_input(object, name, NPY_FLOAT32, 1);
    if (!*array) {
        return object == Py_None ? 0 : -1;
    }
    if (PyArray_DIM(*array, 0) != k) {
        PyErr_Format(PyExc_ValueError, "%s: expected %lld elements, got %zd", name, (long long)k,
                     (Py_ssize_t)PyArray_DIM(*array, 0));
        Py_CLEAR(*array);
        return -1;
    }
    return 0;
}

static PyObject *pack(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"parts",         "quant",      "group",  "shape",
                            "column_scales", "importance", "memory", NULL};
    PyObject *parts, *list = NULL, *shape = NULL, *scales_object = Py_None;
    PyObject *importance_object = Py_None, *memory = Py_None;
    const char *quant_text = "q8";
    long long group = 128, n, k;
    qtf_matrix format = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|sLO!OOO", names, &parts, &quant_text, &group,
                                     &PyTuple_Type, &shape, &scales_object, &importance_object,
                                     &memory) ||
        qtf_py_matrix_format(quant_text, group, &format) < 0) {
        return NULL;
    }
    if (shape) {
        if (!PyArg_ParseTuple(shape, "LL;shape: expected (n, k)", &n, &k)) {
            return NULL;
        }
        if (n < 1 || k < 1) {
            PyErr_Format(PyExc_ValueError, "shape: expected positive sizes, got (%lld, %lld)", n,
                         k);
            return NULL;
        }
    } else {
        list = PySequence_Fast(parts, "parts: expected a list of arrays");
        if (!list || stacked_shape(list, &n, &k) < 0) {
            Py_XDECREF(list);
            return NULL;
        }
    }
    MatrixObject *object = NULL;
    PyArrayObject *scales = NULL, *importance = NULL;
    if (column_array(scales_object, "column_scales", k, &scales) < 0 ||
        column_array(importance_object, "importance", k, &importance) < 0) {
        goto done;
    }
    for (int64_t i = 0; importance && i < k; i++) {
        float value = ((const float *)PyArray_DATA(importance))[i];
        if (!(value >= 0.0f && value <= 1e6f)) {
            PyErr_Format(PyExc_ValueError,
                         "importance: expected numbers from 0 to 1e6, not so at "
                         "column %lld",
                         (long long)i);
            goto done;
        }
    }
    format.n = n;
    format.k = k;
    object = new_matrix(&format, memory);
    if (object &&
        pack_parts(&object->matrix, list ? list : parts, scales ? PyArray_DATA(scales) : NULL,
                   importance ? PyArray_DATA(importance) : NULL) < 0) {
        Py_CLEAR(object);
    }
done:
    Py_XDECREF(scales);
    Py_XDECREF(importance);
    Py_XDECREF(list);
    return (PyObject *)object;
}

static PyMethodDef methods[] = {
    {"pack", (PyCFunction)(void (*)(void))pack, METH_VARARGS | METH_KEYWORDS,
     "pack(parts, quant='q8', group=128, shape=None, column_scales=None, importance=None, "
     "memory=None): stack arrays [n_i, k] along rows into one Matrix [n, k], column j times "
     "column_scales[j]; with shape given, parts may be any iterable. An array of uint8 [n_i, "
     "k / 32 * 34] holds GGUF's blocks of Q8_0. In q4 the squared errors of column j count "
     "importance[j]. memory: uint8 to pack into, as long as the matrix's nbytes."},
    {NULL, NULL, 0, NULL},
};

int qtf_py_add_matrix(PyObject *module) {
    matrix_type = (PyTypeObject *)PyType_FromSpec(&matrix_spec);
    if (!matrix_type || PyModule_AddType(module, matrix_type) < 0 ||
        PyModule_AddIntConstant(module, "Q4_GROUP", QTF_Q4_GROUP) < 0 ||
        PyModule_AddIntConstant(module, "Q4_RUN", QTF_Q4_RUN) < 0 ||
        PyModule_AddIntConstant(module, "Q4_BLOCK_BYTES", sizeof(qtf_q4_block)) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, methods);
}
