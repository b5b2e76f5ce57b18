/* hash_blocks. */
#include "python/binding.h"

#include "core/qtf.h"

static PyObject *hash_blocks(PyObject *module, PyObject *object) {
    (void)module;
    Py_buffer buffer;
    if (PyObject_GetBuffer(object, &buffer, PyBUF_C_CONTIGUOUS) < 0) {
        return NULL;
    }
    const size_t size = (size_t)buffer.len;
    const npy_intp shape[] = {(npy_intp)(size / QTF_HASH_BLOCK + (size % QTF_HASH_BLOCK != 0))};
    PyArrayObject *digests = (PyArrayObject *)PyArray_SimpleNew(1, shape, NPY_UINT64);
    if (digests) {
        qtf_status status;
        Py_BEGIN_ALLOW_THREADS;
        status = qtf_hash(buffer.buf, size, PyArray_DATA(digests));
        Py_END_ALLOW_THREADS;
        if (status != QTF_OK) {
            Py_CLEAR(digests);
            qtf_py_raise(status, NULL);
        }
    }
    PyBuffer_Release(&buffer);
    return (PyObject *)digests;
}

static PyMethodDef methods[] = {
    {"hash_blocks", hash_blocks, METH_O,
     "hash_blocks(data) -> uint64 [ceil(nbytes / 2**20)]: a hash of each MiB of a buffer."},
    {NULL, NULL, 0, NULL},
};

int qtf_py_add_hash(PyObject *module) {
    return PyModule_AddFunctions(module, methods);
}
