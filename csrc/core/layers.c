#include "core/layers.h"

#include <stddef.h>

#include "core/dispatch.h"
#include "core/pool.h"

/* Numbers a task handles: some ten microseconds, well above the price of handing it out. */
enum { TASK_SIZE = 32768 };

typedef struct {
    const qtf_kernels *kernels;
    int64_t rows, rows_per_task;
    int64_t d; /* numbers in a row of the result */
    const float *x;
    float *out;
    const float *weight; /* rms_norm, layer_norm */
    const float *bias;   /* layer_norm */
    float eps;
    const float *cosine, *sine; /* rope; x is out */
    const int64_t *positions;
    int64_t half, n_heads, head_dim;
    void (*gate)(const float *gate, const float *up, float *out, size_t n);
    void (*function)(const float *x, float *out, size_t n);
    float cap; /* softcap */
} layer_job;

static qtf_status run(layer_job *job, qtf_task_fn task) {
    if (job->rows == 0) {
        return QTF_OK;
    }
    job->kernels = qtf_active_kernels();
    job->rows_per_task = job->d < TASK_SIZE ? TASK_SIZE / job->d : 1;
    return qtf_parallel_for((job->rows + job->rows_per_task - 1) / job->rows_per_task, task, job);
}

static int64_t end_row(const layer_job *job, int64_t task) {
    int64_t end = (task + 1) * job->rows_per_task;
    return end < job->rows ? end : job->rows;
}

static void rms_norm_task(void *context, int64_t task) {
    const layer_job *job = context;
    for (int64_t i = task * job->rows_per_task; i < end_row(job, task); i++) {
        job->kernels->rms_norm(job->x + i * job->d, job->weight, job->eps, job->out + i * job->d,
                               (size_t)job->d);
    }
}

qtf_status qtf_rms_norm(const float *x, const float *weight, float eps, int64_t rows, int64_t d,
                        float *out) {
    layer_job job = {.rows = rows, .d = d, .x = x, .out = out, .weight = weight, .eps = eps};
    return run(&job, rms_norm_task);
}

static void layer_norm_task(void *context, int64_t task) {
    const layer_job *job = context;
    for (int64_t i = task * job->rows_per_task; i < end_row(job, task); i++) {
        job->kernels->layer_norm(job->x + i * job->d, job->weight, job->bias, job->eps,
                                 job->out + i * job->d, (size_t)job->d);
    }
}

qtf_status qtf_layer_norm(const float *x, const float *weight, const float *bias, float eps,
                          int64_t rows, int64_t d, float *out) {
    layer_job job = {
        .rows = rows, .d = d, .x = x, .out = out, .weight = weight, .bias = bias, .eps = eps};
    return run(&job, layer_norm_task);
}

static void rope_task(void *context, int64_t task) {
    const layer_job *job = context;
    for (int64_t i = task * job->rows_per_task; i < end_row(job, task); i++) {
        int64_t angle = job->positions[i] * job->half;
        job->kernels->rope(job->out + i * job->d, job->cosine + angle, job->sine + angle,
                           (size_t)job->n_heads, (size_t)job->half, (size_t)job->head_dim);
    }
}

qtf_status qtf_rope(float *x, int64_t rows, int64_t width, const float *cosine, const float *sine,
                    int64_t n_positions, int64_t half, const int64_t *positions, int64_t n_heads,
                    int64_t head_dim) {
    for (int64_t i = 0; i < rows; i++) {
        if (positions[i] < 0 || positions[i] >= n_positions) {
            return QTF_BAD_ARGUMENT;
        }
    }
    layer_job job = {.rows = rows,
                     .d = width,
                     .out = x,
                     .cosine = cosine,
                     .sine = sine,
                     .positions = positions,
                     .half = half,
                     .n_heads = n_heads,
                     .head_dim = head_dim};
    return run(&job, rope_task);
}

static void gated_task(void *context, int64_t task) {
    const layer_job *job = context;
    for (int64_t i = task * job->rows_per_task; i < end_row(job, task); i++) {
        const float *gate = job->x + i * 2 * job->d;
        job->gate(gate, gate + job->d, job->out + i * job->d, (size_t)job->d);
    }
}

qtf_status qtf_swiglu(const float *gate_up, int64_t rows, int64_t f, float *out) {
    layer_job job = {
        .rows = rows, .d = f, .x = gate_up, .out = out, .gate = qtf_active_kernels()->swiglu};
    return run(&job, gated_task);
}

qtf_status qtf_geglu(const float *gate_up, int64_t rows, int64_t f, float *out) {
    layer_job job = {
        .rows = rows, .d = f, .x = gate_up, .out = out, .gate = qtf_active_kernels()->geglu};
    return run(&job, gated_task);
}

static void function_task(void *context, int64_t task) {
    const layer_job *job = context;
    for (int64_t i = task * job->rows_per_task; i < end_row(job, task); i++) {
        job->function(job->x + i * job->d, job->out + i * job->d, (size_t)job->d);
    }
}

qtf_status qtf_gelu(const float *x, int64_t rows, int64_t d, float *out) {
    layer_job job = {
        .rows = rows, .d = d, .x = x, .out = out, .function = qtf_active_kernels()->gelu};
    return run(&job, function_task);
}

qtf_status qtf_gelu_erf(const float *x, int64_t rows, int64_t d, float *out) {
    layer_job job = {
        .rows = rows, .d = d, .x = x, .out = out, .function = qtf_active_kernels()->gelu_erf};
    return run(&job, function_task);
}

static void softcap_task(void *context, int64_t task) {
    const layer_job *job = context;
    for (int64_t i = task * job->rows_per_task; i < end_row(job, task); i++) {
        job->kernels->softcap(job->x + i * job->d, job->cap, job->out + i * job->d, (size_t)job->d);
    }
}

qtf_status qtf_softcap(const float *x, float cap, int64_t rows, int64_t d, float *out) {
    layer_job job = {.rows = rows, .d = d, .x = x, .out = out, .cap = cap};
    return run(&job, softcap_task);
}
