/* Products of activations with packed matrices; how they are cut for the kernels and the threads.
 */
#include "core/matmul.h"

#include <stdatomic.h>

#include "core/dispatch.h"
#include "core/integers.h"
#include "core/layers.h"
#include "core/memory.h"
#include "core/pool.h"

/* A task is about this many multiply-adds, some 20 us: small against a product, large against the
 * cost of handing it out. */
static const int64_t task_products = 4000000;

/* Rows of activations that stay in L2 beside a panel. */
enum { ROW_BLOCK = 240 };

/* Cache lines that a kernel fetches at once, for a group; of a panel's only tile, which reads what
 * it fetches at once, fewer. */
enum { MAX_FETCH_LINES = 32, MAX_FETCH_LINES_ALONE = 8 };

typedef struct {
    qtf_activations *activations;
    const float *x;
    int64_t rows_per_task;
    atomic_bool not_finite;
} quantise_job;

/* Of a group; see qtf_gemm. */
static int64_t n_starts(qtf_quant quant) {
    return quant == QTF_Q4 ? QTF_Q4_RUNS / 2 : 1;
}

static void quantise_rows(void *context, int64_t task) {
    quantise_job *job = context;
    qtf_activations *a = job->activations;
    int64_t n_groups = ceil_div(a->k, a->group);
    int64_t end = min64(a->rows, (task + 1) * job->rows_per_task);
    const qtf_gemm *gemm = &qtf_active_kernels()->gemm;
    for (int64_t row = task * job->rows_per_task; row < end; row++) {
        const float *x = job->x + row * a->k;
        void *q = (char *)a->x + (size_t)row * a->stride;
        float *scales = a->scales + row * n_groups;
        int32_t *starts = a->starts + row * n_groups * n_starts(a->quant);
        if (!(a->quant == QTF_Q4 ? gemm->quantise_row_q4(x, a->k, q, scales, starts)
                                 : gemm->quantise_row(x, a->k, a->group, q, scales, starts))) {
            atomic_store(&job->not_finite, true);
        }
    }
}

qtf_status qtf_activations_init(qtf_activations *a, const float *x, int64_t rows,
                                const qtf_matrix *matrix) {
    *a = (qtf_activations){.rows = rows,
                           .k = matrix->k,
                           .quant = matrix->quant,
                           .group = matrix->group,
                           .stride = (size_t)matrix->k * sizeof(float)};
    if (matrix->quant == QTF_F32) {
        a->x = x;
        return QTF_OK;
    }
    /* An odd number of cache lines, so that the rows of a tile do not share one set of L1. */
    int64_t row_bytes =
        a->quant == QTF_Q4 ? ceil_div(a->k, QTF_Q4_GROUP) * QTF_Q4_GROUP : ceil_div(a->k, 4) * 4;
    a->stride = ((size_t)ceil_div(row_bytes, QTF_ALIGN) | 1) * QTF_ALIGN;
    size_t n_scales = (size_t)rows * (size_t)ceil_div(a->k, a->group);
    a->x = qtf_alloc((size_t)rows, a->stride);
    a->scales = qtf_alloc(n_scales, sizeof(float));
    a->starts = qtf_alloc(n_scales, (size_t)n_starts(a->quant) * sizeof(int32_t));
    qtf_status status = a->x && a->scales && a->starts ? QTF_OK : QTF_NO_MEMORY;
    if (status == QTF_OK) {
        quantise_job job = {a, x, 1 + 32768 / a->k, false};
        status = qtf_parallel_for(ceil_div(rows, job.rows_per_task), quantise_rows, &job);
        if (status == QTF_OK && atomic_load(&job.not_finite)) {
            status = QTF_NOT_FINITE;
        }
    }
    if (status != QTF_OK) {
        qtf_activations_free(a);
    }
    return status;
}

void qtf_activations_free(qtf_activations *a) {
    if (a->quant != QTF_F32) {
        qtf_free((void *)a->x);
        qtf_free(a->scales);
        qtf_free(a->starts);
        a->x = NULL;
        a->scales = NULL;
        a->starts = NULL;
    }
}

/* qtf_matmul_block with the end of the tile: bias [n] and residual, laid out as out, or NULL. */
static void block(const qtf_matrix *m, const qtf_activations *a, int64_t row0, int64_t rows,
                  int64_t panel0, int64_t cols, const float *bias, const float *residual,
                  float *out, int64_t stride) {
    const qtf_gemm *gemm = &qtf_active_kernels()->gemm;
    const struct {
        void (*run)(const qtf_tile *);
        int rows;
    } kernels[] = {[QTF_F32] = {gemm->f32, gemm->f32_rows},
                   [QTF_Q8] = {gemm->q8, gemm->q8_rows},
                   [QTF_Q4] = {gemm->q4, gemm->q4_rows}},
      kernel = kernels[m->quant];
    int64_t n_tiles = ceil_div(rows, kernel.rows);
    int64_t n_groups = m->group ? ceil_div(m->k, m->group) : 0;
    size_t panel_bytes = qtf_matrix_data_bytes(m) / (size_t)ceil_div(m->n, QTF_PANEL);
    /* The tiles of a panel share out the fetching of the next one; what few cannot, is left. */
    int64_t fetch_lines =
        n_groups ? min64(n_tiles > 1 ? MAX_FETCH_LINES : MAX_FETCH_LINES_ALONE,
                         ceil_div((int64_t)panel_bytes, QTF_ALIGN * n_tiles * n_groups))
                 : 0;
    for (int64_t col = 0; col < cols; col += QTF_PANEL) {
        int64_t p = panel0 + col / QTF_PANEL;
        const char *panel = (const char *)m->data + (size_t)p * panel_bytes;
        /* Tiles of nearly equal height: the last one is not a slow, low one. */
        for (int64_t i = 0; i < n_tiles; i++) {
            int64_t top = rows * i / n_tiles, row = row0 + top;
            kernel.run(&(qtf_tile){
                .x = (const char *)a->x + (size_t)row * a->stride,
                .x_stride = a->stride,
                .x_scales = a->scales ? a->scales + row * n_groups : NULL,
                .x_starts = a->starts ? a->starts + row * n_groups * n_starts(m->quant) : NULL,
                .w = panel,
                .w_scales = m->scales ? m->scales + p * n_groups * QTF_PANEL : NULL,
                .k = m->k,
                .group = m->group,
                .n_groups = n_groups,
                .bias = bias ? bias + QTF_PANEL * p : NULL,
                .residual = residual ? residual + top * stride + col : NULL,
                .out = out + top * stride + col,
                .stride = (size_t)stride,
                .rows = (int)(rows * (i + 1) / n_tiles - top),
                .cols = (int)min64(cols - col, QTF_PANEL),
                .fetch = panel + panel_bytes + i * n_groups * fetch_lines * QTF_ALIGN,
                .fetch_lines = (int)fetch_lines,
            });
        }
    }
}

void qtf_matmul_block(const qtf_matrix *matrix, const qtf_activations *activations, int64_t row0,
                      int64_t rows, int64_t panel0, int64_t cols, float *out, int64_t stride) {
    block(matrix, activations, row0, rows, panel0, cols, NULL, NULL, out, stride);
}

typedef struct {
    const qtf_matrix *matrix;
    const qtf_activations *activations;
    const float *bias, *residual;
    float *out;
    int64_t n; /* columns of out */
    int64_t row_blocks, tasks_per_row_block;
} matmul_job;

/* What a task works on. */
typedef struct {
    int64_t row0, rows, panel0, cols;
} task_range;

static task_range range_of(const matmul_job *job, int64_t task) {
    int64_t rows = job->activations->rows, n_panels = ceil_div(job->n, QTF_PANEL);
    int64_t tasks = job->tasks_per_row_block, row_block = task / tasks, part = task % tasks;
    task_range range = {
        .row0 = rows * row_block / job->row_blocks,
        .panel0 = n_panels * part / tasks,
    };
    range.rows = rows * (row_block + 1) / job->row_blocks - range.row0;
    range.cols =
        min64(QTF_PANEL * (n_panels * (part + 1) / tasks), job->n) - QTF_PANEL * range.panel0;
    return range;
}

static void matmul_task(void *context, int64_t task) {
    const matmul_job *job = context;
    task_range r = range_of(job, task);
    int64_t at = r.row0 * job->n + QTF_PANEL * r.panel0;
    block(job->matrix, job->activations, r.row0, r.rows, r.panel0, r.cols, job->bias,
          job->residual ? job->residual + at : NULL, job->out + at, job->n);
}

static void swiglu_task(void *context, int64_t task) {
    const matmul_job *job = context;
    task_range r = range_of(job, task);
    _Alignas(QTF_ALIGN) float gate[ROW_BLOCK * QTF_PANEL], up[ROW_BLOCK * QTF_PANEL];
    /* Of few rows many panels, so that weights are read one behind the other. */
    int64_t width = QTF_PANEL * (ROW_BLOCK / r.rows);
    for (int64_t col = 0; col < r.cols; col += width) {
        int64_t p = r.panel0 + col / QTF_PANEL, cols = min64(width, r.cols - col);
        qtf_matmul_block(job->matrix, job->activations, r.row0, r.rows, p, cols, gate, cols);
        qtf_matmul_block(job->matrix, job->activations, r.row0, r.rows, p + job->n / QTF_PANEL,
                         cols, up, cols);
        for (int64_t i = 0; i < r.rows; i++) {
            float *out = job->out + (r.row0 + i) * job->n + QTF_PANEL * p;
            qtf_active_kernels()->swiglu(gate + cols * i, up + cols * i, out, (size_t)cols);
        }
    }
}

/* Quantise x and run the tasks; job's matrix, n and what the tasks need are set. */
static qtf_status run(matmul_job *job, qtf_task_fn function, const float *x, int64_t rows) {
    if (rows == 0) {
        return QTF_OK;
    }
    qtf_activations activations;
    qtf_status status = qtf_activations_init(&activations, x, rows, job->matrix);
    if (status != QTF_OK) {
        return status;
    }
    int64_t n_panels = ceil_div(job->n, QTF_PANEL);
    job->activations = &activations;
    job->row_blocks = ceil_div(rows, ROW_BLOCK);
    int64_t panel_products =
        ceil_div(rows, job->row_blocks) * (job->matrix->n / job->n) * QTF_PANEL * job->matrix->k;
    /* Nearly equal tasks, as many for each thread: with few rows, none waits for another long. */
    int64_t threads = qtf_pool_threads(),
            large = ceil_div(n_panels, 1 + task_products / panel_products);
    job->tasks_per_row_block = min64(n_panels, ceil_div(large, 4 * threads) * 4 * threads);
    status = qtf_parallel_for(job->row_blocks * job->tasks_per_row_block, function, job);
    qtf_activations_free(&activations);
    return status;
}

qtf_status qtf_matmul(const qtf_matrix *matrix, const float *x, int64_t rows, const float *bias,
                      const float *residual, float *out) {
    matmul_job job = {
        .matrix = matrix, .bias = bias, .residual = residual, .out = out, .n = matrix->n};
    return run(&job, matmul_task, x, rows);
}

qtf_status qtf_matmul_swiglu(const qtf_matrix *matrix, const float *x, int64_t rows, float *out) {
    if (matrix->n % 2) {
        return QTF_BAD_ARGUMENT;
    }
    int64_t f = matrix->n / 2;
    if (f % QTF_PANEL == 0) {
        matmul_job job = {.matrix = matrix, .out = out, .n = f};
        return run(&job, swiglu_task, x, rows);
    }
    float *gate_up = qtf_alloc((size_t)rows, (size_t)matrix->n * sizeof(float));
    qtf_status status = gate_up ? QTF_OK : QTF_NO_MEMORY;
    if (status == QTF_OK) {
        status = qtf_matmul(matrix, x, rows, NULL, NULL, gate_up);
    }
    if (status == QTF_OK) {
        status = qtf_swiglu(gate_up, rows, f, out);
    }
    qtf_free(gate_up);
    return status;
}
