/* limit: the loops of kernels/limits.h on all threads, for benchmarks. */
#include "python/binding.h"

#include <time.h>

#include "core/qtf.h"
#include "kernels/limits.h"

enum { TASKS = 64, READ_CHUNK = 1 << 20 };

typedef struct {
    void (*run)(int64_t n);
    int64_t n;
    const char *data;
} limit_job;

static void run_loop(void *context, int64_t task) {
    const limit_job *job = context;
    (void)task;
    job->run(job->n);
}

static void run_read(void *context, int64_t task) {
    const limit_job *job = context;
    qtf_limit_read(job->data + (size_t)task * READ_CHUNK, READ_CHUNK);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The rate at which n_tasks tasks of ops operations run on all threads; < 0 when interrupted. */
static double rate(qtf_task_fn function, limit_job *job, int64_t n_tasks, double ops) {
    double start = now();
    if (qtf_parallel_for(n_tasks, function, job) != QTF_OK) {
        return -1.0;
    }
    return ops * (double)n_tasks / (now() - start);
}

static PyObject *limit(PyObject *module, PyObject *args) {
    (void)module;
    const char *kind;
    double seconds = 0.05;
    PyObject *buffer = NULL;
    if (!PyArg_ParseTuple(args, "s|dO", &kind, &seconds, &buffer)) {
        return NULL;
    }
    if (!(seconds > 0.0 && seconds <= 10.0)) {
        PyErr_SetString(PyExc_ValueError, "seconds: expected more than 0 and at most 10");
        return NULL;
    }
    double result = 0.0;
    const char *name = "chain";
    if (strcmp(kind, "memory") == 0) {
        PyArrayObject *array = buffer ? qtf_py_input(buffer, "buffer", NPY_UINT8, 1) : NULL;
        if (!array) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_TypeError, "buffer: expected an array of uint8 to read");
            }
            return NULL;
        }
        limit_job job = {.data = PyArray_DATA(array)};
        Py_BEGIN_ALLOW_THREADS;
        result = rate(run_read, &job, PyArray_NBYTES(array) / READ_CHUNK, READ_CHUNK);
        Py_END_ALLOW_THREADS;
        name = "read";
        Py_DECREF(array);
    } else {
        qtf_limit loop = {name, qtf_limit_clock, 3};
        if (strcmp(kind, "f32") == 0) {
            loop = qtf_limit_f32(qtf_active_isa());
        } else if (strcmp(kind, "q8") == 0) {
            loop = qtf_limit_q8(qtf_active_isa());
        } else if (strcmp(kind, "q4") == 0) {
            loop = qtf_limit_q4(qtf_active_isa());
        } else if (strcmp(kind, "clock") != 0) {
            PyErr_Format(PyExc_ValueError,
                         "kind: expected 'f32', 'q8', 'q4', 'memory' or 'clock', got '%s'", kind);
            return NULL;
        }
        name = loop.instructions;
        if (loop.run) {
            Py_BEGIN_ALLOW_THREADS;
            limit_job job = {.run = loop.run, .n = 1000};
            double steps = rate(run_loop, &job, TASKS, 1000.0); /* how many fill the time */
            job.n = 1 + (int64_t)(seconds * steps / TASKS);
            result = steps < 0.0 ? steps : rate(run_loop, &job, TASKS, (double)job.n * loop.ops);
            Py_END_ALLOW_THREADS;
        }
    }
    return result < 0.0 ? qtf_py_raise(QTF_ABORTED, NULL) : Py_BuildValue("sd", name, result);
}

static PyMethodDef methods[] = {
    {"limit", limit, METH_VARARGS,
     "limit(kind, seconds=0.05, buffer=None): what is measured and its rate on all threads: 'f32', "
     "'q8' and 'q4' operations, bytes of 'memory' read, cycles of the 'clock' times threads, a "
     "second."},
    {NULL, NULL, 0, NULL},
};

int qtf_py_add_limits(PyObject *module) {
    return PyModule_AddFunctions(module, methods);
}
