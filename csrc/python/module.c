/* The module pyqtf._core. */
#define QTF_BINDING_MAIN
#include "python/binding.h"

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pyqtf._core",
    .m_doc = "The C core of pyqtf. Use it through pyqtf, pyqtf.ops and pyqtf.tokenizer.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__core(void) {
    import_array();
    PyObject *module = PyModule_Create(&definition);
    if (!module) {
        return NULL;
    }
    static int (*const add[])(PyObject *) = {
        qtf_py_add_runtime, qtf_py_add_matrix,      qtf_py_add_matmul,    qtf_py_add_packed,
        qtf_py_add_layers,  qtf_py_add_activations, qtf_py_add_attention, qtf_py_add_tokenizer,
        qtf_py_add_train,   qtf_py_add_hash,        qtf_py_add_loss,      qtf_py_add_limits,
    };
    for (size_t i = 0; i < sizeof add / sizeof add[0]; i++) {
        if (add[i](module) < 0) {
            Py_DECREF(module);
            return NULL;
        }
    }
    return module;
}
