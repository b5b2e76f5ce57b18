/* cpu_info, use_isa, get_num_threads, set_num_threads; Ctrl-C while a kernel runs. */
#include "python/binding.h"

#include <stdlib.h>

#include "core/qtf.h"

/* Where the isa in use came from, for cpu_info. */
static const char *isa_why = "the best this processor supports";

static bool poll_signals(void) {
    PyGILState_STATE state = PyGILState_Ensure();
    bool stop = PyErr_CheckSignals() < 0;
    PyGILState_Release(state);
    return stop;
}

static PyObject *available_isas(void) {
    PyObject *names = PyList_New(0);
    for (int isa = 0; names && isa < QTF_ISA_COUNT; isa++) {
        if (!qtf_isa_available((qtf_isa)isa)) {
            continue;
        }
        PyObject *name = PyUnicode_FromString(qtf_isa_name((qtf_isa)isa));
        if (!name || PyList_Append(names, name) < 0) {
            Py_CLEAR(names);
        }
        Py_XDECREF(name);
    }
    return names;
}

/* advice ends the message: what else to do. */
static int use_isa_named(const char *name, const char *source, const char *advice,
                         PyObject *error) {
    qtf_isa isa;
    if (qtf_isa_from_name(name, &isa) && qtf_use_isa(isa) == QTF_OK) {
        return 0;
    }
    PyObject *names = available_isas();
    if (names) {
        PyErr_Format(error,
                     "%s: expected one of %R, which this processor and build have, got '%s'%s",
                     source, names, name, advice);
        Py_DECREF(names);
    }
    return -1;
}

static PyObject *cpu_info(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    PyObject *available = available_isas();
    if (!available) {
        return NULL;
    }
    return Py_BuildValue("{s:s,s:s,s:s,s:s,s:N,s:i,s:i,s:s}", "cpu", qtf_cpu_name(), "isa",
                         qtf_isa_name(qtf_active_isa()), "isa_why", isa_why, "best_isa",
                         qtf_isa_name(qtf_cpu_best_isa()), "available", available, "cpus",
                         qtf_cpu_count(), "threads", qtf_pool_threads(), "compiler", __VERSION__);
}

static PyObject *use_isa(PyObject *module, PyObject *argument) {
    (void)module;
    const char *name = PyUnicode_AsUTF8(argument);
    if (!name || use_isa_named(name, "isa", "", PyExc_ValueError) < 0) {
        return NULL;
    }
    isa_why = "chosen by use_isa";
    Py_RETURN_NONE;
}

static PyObject *get_num_threads(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    return PyLong_FromLong(qtf_pool_threads());
}

static int set_threads(long n, const char *source, const char *advice, PyObject *error) {
    qtf_status status = QTF_BAD_ARGUMENT;
    if (n >= 1 && n <= QTF_MAX_THREADS) {
        Py_BEGIN_ALLOW_THREADS;
        status = qtf_pool_set_threads((int)n);
        Py_END_ALLOW_THREADS;
    }
    if (status != QTF_OK) {
        PyErr_Format(error, "%s: expected a whole number from 1 to %d, got %ld%s", source,
                     QTF_MAX_THREADS, n, advice);
        return -1;
    }
    return 0;
}

static PyObject *set_num_threads(PyObject *module, PyObject *argument) {
    (void)module;
    long n = PyLong_AsLong(argument);
    if ((n == -1 && PyErr_Occurred()) || set_threads(n, "n", "", PyExc_ValueError) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"cpu_info", cpu_info, METH_NOARGS, "The processor, the kernels in use and the threads."},
    {"use_isa", use_isa, METH_O,
     "Use the kernels of one instruction set; for tests and benchmarks."},
    {"get_num_threads", get_num_threads, METH_NOARGS, "Threads that kernels may use."},
    {"set_num_threads", set_num_threads, METH_O, "Set the threads that kernels may use."},
    {NULL, NULL, 0, NULL},
};

int qtf_py_add_runtime(PyObject *module) {
    qtf_dispatch_init();
    qtf_pool_init();
    qtf_pool_set_poll(poll_signals);
    const char *isa = getenv("PYQTF_ISA");
    if (isa && isa[0]) {
        if (use_isa_named(isa, "environment variable PYQTF_ISA",
                          "; change it, or unset it for the best", PyExc_ImportError) < 0) {
            return -1;
        }
        isa_why = "set by PYQTF_ISA";
    } else if (qtf_active_isa() == QTF_ISA_BASELINE) {
        isa_why = "this processor or build has no AVX2: portable kernels, slow";
    }
    const char *threads = getenv("PYQTF_NUM_THREADS");
    if (threads && threads[0]) {
        const char *advice = "; change it, or unset it for one on each usable CPU";
        char *end;
        long n = strtol(threads, &end, 10);
        if (*end != '\0') {
            PyErr_Format(PyExc_ImportError,
                         "environment variable PYQTF_NUM_THREADS: expected a whole number from 1 "
                         "to %d, got '%s'%s",
                         QTF_MAX_THREADS, threads, advice);
            return -1;
        }
        if (set_threads(n, "environment variable PYQTF_NUM_THREADS", advice, PyExc_ImportError) <
            0) {
            return -1;
        }
    }
    return PyModule_AddFunctions(module, methods);
}
