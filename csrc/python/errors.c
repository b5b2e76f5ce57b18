#include "python/binding.h"

PyObject *qtf_py_raise(qtf_status status, const char *detail) {
    if (status == QTF_NO_MEMORY) {
        return PyErr_NoMemory();
    }
    if (status == QTF_ABORTED) {
        if (!PyErr_Occurred()) {
            PyErr_SetNone(PyExc_KeyboardInterrupt);
        }
        return NULL;
    }
    if (detail && detail[0]) {
        PyErr_SetString(PyExc_ValueError, detail);
    } else {
        PyErr_SetString(PyExc_ValueError, qtf_status_text(status));
    }
    return NULL;
}
