/* Rows of activations in the form that products take. */
#include "core/activations.h"

#include <stdatomic.h>
#include <string.h>

#include "core/dispatch.h"
#include "core/integers.h"
#include "core/memory.h"
#include "core/pool.h"
#include "core/scratch.h"

qtf_status qtf_activations_alloc(qtf_activations *a, int64_t rows, const qtf_matrix *matrix) {
    *a = (qtf_activations){.rows = rows,
                           .k = matrix->k,
                           .quant = matrix->quant,
                           .group = matrix->group,
                           .stride = (size_t)matrix->k * sizeof(float),
                           .n_starts = matrix->quant == QTF_Q4 ? QTF_Q4_RUNS / 2 : 1};
    bool quantised = a->quant != QTF_F32;
    if (quantised) {
        /* An odd number of cache lines, so that the rows of a tile do not share one set of L1. */
        int64_t row_bytes = a->quant == QTF_Q4 ? ceil_div(a->k, QTF_Q4_GROUP) * QTF_Q4_GROUP
                                               : ceil_div(a->k, 4) * 4;
        a->stride = ((size_t)ceil_div(row_bytes, QTF_ALIGN) | 1) * QTF_ALIGN;
        size_t n_scales = (size_t)rows * (size_t)ceil_div(a->k, a->group);
        a->scales = qtf_scratch_alloc(n_scales, sizeof(float));
        a->starts = qtf_scratch_alloc(n_scales, (size_t)a->n_starts * sizeof(int32_t));
    }
    a->x = qtf_scratch_alloc((size_t)rows, a->stride);
    if (!a->x || (quantised && (!a->scales || !a->starts))) {
        qtf_activations_free(a);
        return QTF_NO_MEMORY;
    }
    return QTF_OK;
}

bool qtf_activations_put(const qtf_activations *a, int64_t row, int64_t col, const float *x,
                         int64_t n) {
    char *to = (char *)a->x + (size_t)row * a->stride;
    if (a->quant == QTF_F32) {
        memcpy(to + (size_t)col * sizeof *x, x, (size_t)n * sizeof *x);
        return true;
    }
    const qtf_gemm *gemm = &qtf_active_kernels()->gemm;
    int64_t at = row * ceil_div(a->k, a->group) + col / a->group;
    float *scales = a->scales + at;
    int32_t *starts = a->starts + at * a->n_starts;
    return a->quant == QTF_Q4 ? gemm->quantise_row_q4(x, n, (int8_t *)to + col, scales, starts)
                              : gemm->quantise_row(x, n, a->group, to + col, scales, starts);
}

typedef struct {
    const qtf_activations *activations;
    const float *x;
    int64_t rows_per_task;
    atomic_bool not_finite;
} quantise_job;

static void quantise_rows(void *context, int64_t task) {
    quantise_job *job = context;
    const qtf_activations *a = job->activations;
    int64_t end = min64(a->rows, (task + 1) * job->rows_per_task);
    for (int64_t row = task * job->rows_per_task; row < end; row++) {
        if (!qtf_activations_put(a, row, 0, job->x + row * a->k, a->k)) {
            atomic_store(&job->not_finite, true);
        }
    }
}

qtf_activations qtf_activations_borrow(const float *x, int64_t rows, int64_t k) {
    return (qtf_activations){
        .rows = rows, .k = k, .stride = (size_t)k * sizeof *x, .x = (void *)x, .borrowed = true};
}

qtf_status qtf_activations_init(qtf_activations *a, const float *x, int64_t rows,
                                const qtf_matrix *matrix) {
    if (matrix->quant == QTF_F32) {
        *a = qtf_activations_borrow(x, rows, matrix->k);
        return QTF_OK;
    }
    qtf_status status = qtf_activations_alloc(a, rows, matrix);
    if (status != QTF_OK) {
        return status;
    }
    quantise_job job = {a, x, 1 + 32768 / a->k, false};
    status = qtf_parallel_for(ceil_div(rows, job.rows_per_task), quantise_rows, &job);
    if (status == QTF_OK && atomic_load(&job.not_finite)) {
        status = QTF_NOT_FINITE;
    }
    if (status != QTF_OK) {
        qtf_activations_free(a);
    }
    return status;
}

void qtf_activations_free(qtf_activations *a) {
    if (!a->borrowed) {
        qtf_scratch_free(a->x);
    }
    qtf_scratch_free(a->scales);
    qtf_scratch_free(a->starts);
    a->x = NULL;
    a->scales = NULL;
    a->starts = NULL;
}
