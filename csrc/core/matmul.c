/* Products of activations with packed matrices; how they are cut for the kernels and the threads.
 */
#include "core/matmul.h"

#include <stdatomic.h>

#include "core/activations.h"
#include "core/dispatch.h"
#include "core/integers.h"
#include "core/layers.h"
#include "core/memory.h"
#include "core/pool.h"
#include "core/scratch.h"

/* A task is about this many multiply-adds, some 20 us: small against a product, large against the
 * cost of handing it out. */
static const int64_t task_products = 4000000;

/* Rows of activations that stay in L2 beside a panel. */
enum { ROW_BLOCK = 240 };

/* Columns of SwiGLU that are quantised together, whole panels and groups, and their rows, where
 * tiles are low: gates and ups stay in L1. */
enum { SWIGLU_COLS = 128, SWIGLU_ROWS = 30 };

/* Cache lines that a kernel fetches at once, for a group; of a panel's only tile, which reads what
 * it fetches at once, fewer. */
enum { MAX_FETCH_LINES = 32, MAX_FETCH_LINES_ALONE = 8 };

typedef struct {
    void (*run)(const qtf_tile *);
    int rows; /* most rows of a tile */
} tile_kernel;

static tile_kernel kernel_of(qtf_quant quant) {
    const qtf_gemm *gemm = &qtf_active_kernels()->gemm;
    const tile_kernel kernels[] = {[QTF_F32] = {gemm->f32, gemm->f32_rows},
                                   [QTF_Q8] = {gemm->q8, gemm->q8_rows},
                                   [QTF_Q4] = {gemm->q4, gemm->q4_rows}};
    return kernels[quant];
}

/* qtf_matmul_block with the end of the tile: bias [n] and residual, laid out as out, or NULL. */
static void block(const qtf_matrix *m, const qtf_activations *a, int64_t row0, int64_t rows,
                  int64_t panel0, int64_t cols, const float *bias, const float *residual,
                  float *out, int64_t stride) {
    const tile_kernel kernel = kernel_of(m->quant);
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
                .x_starts = a->starts ? a->starts + row * n_groups * a->n_starts : NULL,
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

/* Rows and columns, of which a task takes a part. */
typedef struct {
    int64_t rows, cols, unit; /* tasks begin at a multiple of unit columns */
    int64_t row_blocks, tasks_per_row_block;
} grid;

/* What a task works on. */
typedef struct {
    int64_t row0, rows, col0, cols;
} task_range;

/* Nearly equal tasks, as many for each thread: with few rows, none waits for another long. */
static grid cut(int64_t rows, int64_t cols, int64_t unit, int64_t products) {
    grid g = {.rows = rows, .cols = cols, .unit = unit, .row_blocks = ceil_div(rows, ROW_BLOCK)};
    int64_t n_units = ceil_div(cols, unit), threads = qtf_pool_threads();
    int64_t unit_products = ceil_div(rows, g.row_blocks) * unit * products;
    int64_t large = ceil_div(n_units, 1 + task_products / unit_products);
    g.tasks_per_row_block = min64(n_units, ceil_div(large, 4 * threads) * 4 * threads);
    return g;
}

static task_range range_of(const grid *g, int64_t task) {
    int64_t n_units = ceil_div(g->cols, g->unit), tasks = g->tasks_per_row_block;
    int64_t row_block = task / tasks, part = task % tasks;
    task_range range = {
        .row0 = g->rows * row_block / g->row_blocks,
        .col0 = g->unit * (n_units * part / tasks),
    };
    range.rows = g->rows * (row_block + 1) / g->row_blocks - range.row0;
    range.cols = min64(g->unit * (n_units * (part + 1) / tasks), g->cols) - range.col0;
    return range;
}

static qtf_status run(const grid *g, qtf_task_fn function, void *job) {
    return qtf_parallel_for(g->row_blocks * g->tasks_per_row_block, function, job);
}

typedef struct {
    const qtf_matrix *matrix;
    const qtf_activations *activations;
    const float *bias, *residual;
    float *out;
    grid grid;
} matmul_job;

static void matmul_task(void *context, int64_t task) {
    const matmul_job *job = context;
    task_range r = range_of(&job->grid, task);
    int64_t n = job->matrix->n, at = r.row0 * n + r.col0;
    block(job->matrix, job->activations, r.row0, r.rows, r.col0 / QTF_PANEL, r.cols, job->bias,
          job->residual ? job->residual + at : NULL, job->out + at, n);
}

static qtf_status product(const qtf_matrix *matrix, const qtf_activations *activations,
                          const float *bias, const float *residual, float *out) {
    matmul_job job = {matrix, activations,
                      bias,   residual,
                      out,    cut(activations->rows, matrix->n, QTF_PANEL, matrix->k)};
    return run(&job.grid, matmul_task, &job);
}

qtf_status qtf_matmul(const qtf_matrix *matrix, const float *x, int64_t rows, const float *bias,
                      const float *residual, float *out) {
    if (rows == 0) {
        return QTF_OK;
    }
    qtf_activations activations;
    qtf_status status = qtf_activations_init(&activations, x, rows, matrix);
    if (status == QTF_OK) {
        status = product(matrix, &activations, bias, residual, out);
        qtf_activations_free(&activations);
    }
    return status;
}

typedef struct {
    const qtf_matrix *gate_up;
    const qtf_activations *activations, *out;
    grid grid;
    atomic_bool not_finite;
} swiglu_job;

/* SwiGLU of a few rows and at most SWIGLU_COLS columns, or more of fewer rows. */
static void swiglu_part(swiglu_job *job, const task_range *r) {
    const qtf_matrix *m = job->gate_up;
    _Alignas(QTF_ALIGN) float gate[ROW_BLOCK * SWIGLU_COLS], up[ROW_BLOCK * QTF_PANEL];
    int64_t panel = r->col0 / QTF_PANEL, up_panel = panel + m->n / 2 / QTF_PANEL;
    qtf_matmul_block(m, job->activations, r->row0, r->rows, panel, r->cols, gate, r->cols);
    int64_t width = QTF_PANEL * (ROW_BLOCK / r->rows);
    for (int64_t col = 0; col < r->cols; col += width) {
        int64_t cols = min64(width, r->cols - col);
        qtf_matmul_block(m, job->activations, r->row0, r->rows, up_panel + col / QTF_PANEL, cols,
                         up, cols);
        for (int64_t i = 0; i < r->rows; i++) {
            float *x = gate + r->cols * i + col;
            qtf_active_kernels()->swiglu(x, up + cols * i, x, (size_t)cols);
        }
    }
    for (int64_t i = 0; i < r->rows; i++) {
        if (!qtf_activations_put(job->out, r->row0 + i, r->col0, gate + r->cols * i, r->cols)) {
            atomic_store(&job->not_finite, true);
        }
    }
}

static void swiglu_task(void *context, int64_t task) {
    swiglu_job *job = context;
    task_range r = range_of(&job->grid, task);
    /* High tiles are not cut: they unpack weights, once for all rows. */
    bool cut_rows = job->out->quant != QTF_F32 && kernel_of(job->gate_up->quant).rows < SWIGLU_ROWS;
    int64_t n_parts = cut_rows ? ceil_div(r.rows, SWIGLU_ROWS) : 1;
    /* Of few rows many panels, so that weights are read one behind the other. */
    int64_t unit = job->grid.unit;
    int64_t width = unit * max64(1, ROW_BLOCK * QTF_PANEL / unit / r.rows);
    for (int64_t col = 0; col < r.cols; col += width) {
        for (int64_t i = 0; i < n_parts; i++) {
            int64_t row = r.rows * i / n_parts;
            swiglu_part(job, &(task_range){.row0 = r.row0 + row,
                                           .rows = r.rows * (i + 1) / n_parts - row,
                                           .col0 = r.col0 + col,
                                           .cols = min64(width, r.cols - col)});
        }
    }
}

/* Whether parts of SwiGLU's columns are whole panels, and whole groups of what they are for. */
static bool has_parts(const qtf_matrix *gate_up, int64_t group) {
    return gate_up->n / 2 % QTF_PANEL == 0 && (group == 0 || SWIGLU_COLS % group == 0);
}

static qtf_status swiglu_in_parts(const qtf_matrix *gate_up, const float *x,
                                  const qtf_activations *out) {
    qtf_activations activations;
    qtf_status status = qtf_activations_init(&activations, x, out->rows, gate_up);
    if (status != QTF_OK) {
        return status;
    }
    int64_t unit = out->quant == QTF_F32 ? QTF_PANEL : SWIGLU_COLS;
    swiglu_job job = {gate_up, &activations, out,
                      cut(out->rows, gate_up->n / 2, unit, 2 * gate_up->k), false};
    status = run(&job.grid, swiglu_task, &job);
    qtf_activations_free(&activations);
    return status == QTF_OK && atomic_load(&job.not_finite) ? QTF_NOT_FINITE : status;
}

qtf_status qtf_matmul_swiglu(const qtf_matrix *matrix, const float *x, int64_t rows, float *out) {
    if (matrix->n % 2) {
        return QTF_BAD_ARGUMENT;
    }
    if (rows == 0) {
        return QTF_OK;
    }
    int64_t f = matrix->n / 2;
    if (has_parts(matrix, 0)) {
        qtf_activations floats = qtf_activations_borrow(out, rows, f);
        return swiglu_in_parts(matrix, x, &floats);
    }
    float *gate_up = qtf_scratch_alloc((size_t)rows, (size_t)matrix->n * sizeof(float));
    qtf_status status = gate_up ? QTF_OK : QTF_NO_MEMORY;
    if (status == QTF_OK) {
        status = qtf_matmul(matrix, x, rows, NULL, NULL, gate_up);
    }
    if (status == QTF_OK) {
        status = qtf_swiglu(gate_up, rows, f, out);
    }
    qtf_scratch_free(gate_up);
    return status;
}

qtf_status qtf_swiglu_mlp(const qtf_matrix *gate_up, const qtf_matrix *down, const float *x,
                          int64_t rows, const float *residual, float *out) {
    int64_t f = gate_up->n / 2;
    if (gate_up->n % 2 || down->k != f) {
        return QTF_BAD_ARGUMENT;
    }
    if (rows == 0) {
        return QTF_OK;
    }
    if (has_parts(gate_up, down->group)) {
        qtf_activations inner;
        qtf_status status = qtf_activations_alloc(&inner, rows, down);
        if (status == QTF_OK) {
            status = swiglu_in_parts(gate_up, x, &inner);
            if (status == QTF_OK) {
                status = product(down, &inner, NULL, residual, out);
            }
            qtf_activations_free(&inner);
        }
        return status;
    }
    float *inner = qtf_scratch_alloc((size_t)rows, (size_t)f * sizeof *inner);
    qtf_status status = inner ? QTF_OK : QTF_NO_MEMORY;
    if (status == QTF_OK) {
        status = qtf_matmul_swiglu(gate_up, x, rows, inner);
    }
    if (status == QTF_OK) {
        status = qtf_matmul(down, inner, rows, NULL, residual, out);
    }
    qtf_scratch_free(inner);
    return status;
}
