#include "core/loss.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/dispatch.h"
#include "core/integers.h"
#include "core/math64.h"
#include "core/pool.h"
#include "core/scratch.h"

enum {
    SLAB_ROWS = 960,         /* most rows whose tile results are held at once */
    BLOCK_ROWS = 240,        /* rows of a task: a tile of the head is read once for all */
    LOGIT_ROWS = 120,        /* rows of logits a task holds: they stay in the second cache */
    RANGE_TILES = 16,        /* most tiles of a task */
    MAX_CANDIDATES = 1 << 21 /* candidates held at once, in all */
};

/* One slab: rows of args, and what the tiles say about each. */
typedef struct {
    const qtf_loss_args *args; /* of this slab's rows alone */
    const qtf_kernels *kernels;
    qtf_activations activations;
    int64_t n_tiles, n_ranges, range_tiles, row_blocks;
    float *targets;        /* [rows]: the targets' logits */
    qtf_loss_tile *tiles;  /* [rows, n_tiles] */
    qtf_candidate *top;    /* [rows, n_ranges, top_k] */
    _Atomic float *bounds; /* [rows]: at least top_k logits of the row are known to be as large */
    _Atomic bool out_of_memory, not_finite;
} loss_job;

/* Finish the logits of columns [first, first + n) that the product has left in x. */
static void finish_logits(const loss_job *job, float *x, int64_t first, int64_t n) {
    const qtf_loss_args *args = job->args;
    for (int64_t i = 0; args->bias && i < n; i++) {
        x[i] += args->bias[first + i];
    }
    if (args->softcap > 0.0f) {
        job->kernels->softcap(x, args->softcap, x, (size_t)n);
    }
}

/* Where the rank starts: the same kernel as the target's tile gives the same bits. */
static void target_task(void *context, int64_t row) {
    loss_job *job = context;
    const qtf_matrix *head = job->args->head;
    int64_t target = job->args->targets[row], panel = target / QTF_PANEL;
    int64_t n = min64(QTF_PANEL, head->n - panel * QTF_PANEL);
    float logits[QTF_PANEL];
    qtf_matmul_block(head, &job->activations, row, 1, panel, n, logits, QTF_PANEL);
    finish_logits(job, logits, panel * QTF_PANEL, n);
    job->targets[row] = logits[target % QTF_PANEL];
}

/* The logits of rows [row0, row0 + rows) in one tile, and what is kept of them. */
static void reduce_tile(loss_job *job, int64_t row0, int64_t rows, int64_t tile, int64_t range,
                        float *logits) {
    const qtf_matrix *head = job->args->head;
    int64_t first = tile * QTF_VOCABULARY_TILE, k = job->args->top_k;
    int64_t n = min64(QTF_VOCABULARY_TILE, head->n - first);
    qtf_matmul_block(head, &job->activations, row0, rows, first / QTF_PANEL, n, logits,
                     QTF_VOCABULARY_TILE);
    for (int64_t i = 0; i < rows; i++) {
        float *x = logits + i * QTF_VOCABULARY_TILE;
        int64_t row = row0 + i;
        finish_logits(job, x, first, n);
        job->kernels->loss_tile(x, (int)n, job->targets[row],
                                &job->tiles[row * job->n_tiles + tile]);
        qtf_candidate *top = job->top + (row * job->n_ranges + range) * k;
        if (k > 0 && job->tiles[row * job->n_tiles + tile].max > top[k - 1].logit) {
            job->kernels->top_k(x, (int)n, (int32_t)first, top, k);
        }
    }
}

/*
 * Candidates of a range start just below the bound that other ranges have found, so that few logits
 * are ever inserted. Equal ones still get in: they may have the lower id. Which ranges were done
 * before changes the work and not the result.
 */
static void start_top(const loss_job *job, int64_t row, int64_t range) {
    int64_t k = job->args->top_k;
    qtf_candidate *top = job->top + (row * job->n_ranges + range) * k;
    float bound = atomic_load_explicit(&job->bounds[row], memory_order_relaxed);
    float below = nextafterf(bound, -INFINITY);
    for (int64_t i = 0; i < k; i++) {
        top[i] = (qtf_candidate){below, -1};
    }
}

static void share_bound(const loss_job *job, int64_t row, int64_t range) {
    int64_t k = job->args->top_k;
    const qtf_candidate *last = job->top + (row * job->n_ranges + range) * k + k - 1;
    float bound = atomic_load_explicit(&job->bounds[row], memory_order_relaxed);
    while (last->id >= 0 && last->logit > bound &&
           !atomic_compare_exchange_weak_explicit(&job->bounds[row], &bound, last->logit,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* A range of tiles and a block of rows; neighbours in time share the tiles. */
static void tiles_task(void *context, int64_t task) {
    loss_job *job = context;
    bool top = job->args->top_k > 0;
    int64_t rows = job->args->rows;
    int64_t range = task / job->row_blocks, block = task % job->row_blocks;
    int64_t begin = rows * block / job->row_blocks, end = rows * (block + 1) / job->row_blocks;
    float *logits = qtf_scratch_alloc((size_t)min64(LOGIT_ROWS, end - begin) * QTF_VOCABULARY_TILE,
                                      sizeof(float));
    if (!logits) {
        atomic_store(&job->out_of_memory, true);
        return;
    }
    for (int64_t row = begin; top && row < end; row++) {
        start_top(job, row, range);
    }
    int64_t last = min64((range + 1) * job->range_tiles, job->n_tiles);
    int64_t parts = ceil_div(end - begin, LOGIT_ROWS);
    for (int64_t tile = range * job->range_tiles; tile < last; tile++) {
        for (int64_t i = 0; i < parts; i++) {
            int64_t row = begin + (end - begin) * i / parts;
            int64_t next = begin + (end - begin) * (i + 1) / parts;
            reduce_tile(job, row, next - row, tile, range, logits);
        }
    }
    for (int64_t row = begin; top && row < end; row++) {
        share_bound(job, row, range);
    }
    qtf_scratch_free(logits);
}

/* Keep the best k of the ranges' candidates in the first range; ranges come in ascending ids. */
static void merge_top(const loss_job *job, int64_t row, double max, double log_sum) {
    int64_t k = job->args->top_k;
    qtf_candidate *top = job->top + row * job->n_ranges * k;
    for (int64_t i = k; i < job->n_ranges * k; i++) {
        qtf_candidate candidate = top[i];
        int64_t at = k;
        while (at > 0 && candidate.logit > top[at - 1].logit) {
            at--;
        }
        for (int64_t j = k - 1; j > at; j--) {
            top[j] = top[j - 1];
        }
        if (at < k) {
            top[at] = candidate;
        }
    }
    for (int64_t i = 0; i < k; i++) {
        job->args->top_ids[row * k + i] = top[i].id;
        job->args->top_logprobs[row * k + i] = (float)((top[i].logit - max) - log_sum);
    }
}

static void merge_task(void *context, int64_t row) {
    loss_job *job = context;
    const qtf_loss_tile *tiles = job->tiles + row * job->n_tiles;
    double max = tiles[0].max;
    for (int64_t t = 1; t < job->n_tiles; t++) {
        max = tiles[t].max > max ? tiles[t].max : max;
    }
    double sum = 0.0, weighted = 0.0;
    int64_t greater = 0;
    for (int64_t t = 0; t < job->n_tiles; t++) {
        double below = tiles[t].max - max, factor = qtf_exp64(below);
        double tile_sum = tiles[t].n_max + (double)tiles[t].sum;
        sum += factor * tile_sum;
        weighted += factor * (tiles[t].weighted + below * tile_sum);
        greater += tiles[t].greater;
    }
    if (!isfinite(max) || !isfinite(sum) || !isfinite(weighted)) {
        atomic_store(&job->not_finite, true);
        return;
    }
    double log_sum = qtf_log64(sum);
    job->args->nll[row] = log_sum + (max - job->targets[row]);
    job->args->rank[row] = 1 + greater;
    job->args->entropy[row] = log_sum - weighted / sum;
    if (job->args->top_k > 0) {
        merge_top(job, row, max, log_sum);
    }
}

static qtf_status run_slab(const qtf_loss_args *args) {
    loss_job job = {.args = args, .kernels = qtf_active_kernels()};
    int64_t threads = qtf_pool_threads();
    job.n_tiles = ceil_div(args->head->n, QTF_VOCABULARY_TILE);
    job.row_blocks = ceil_div(args->rows, BLOCK_ROWS);
    job.range_tiles = max64(1, min64(RANGE_TILES, job.n_tiles * job.row_blocks / (8 * threads)));
    job.n_ranges = ceil_div(job.n_tiles, job.range_tiles);
    job.targets = qtf_scratch_alloc((size_t)args->rows, sizeof *job.targets);
    job.tiles = qtf_scratch_alloc((size_t)(args->rows * job.n_tiles), sizeof *job.tiles);
    job.bounds = qtf_scratch_alloc((size_t)args->rows, sizeof *job.bounds);
    job.top = qtf_scratch_alloc((size_t)(args->rows * job.n_ranges * args->top_k), sizeof *job.top);
    qtf_status status = QTF_NO_MEMORY;
    if (job.targets && job.tiles && job.bounds && job.top) {
        for (int64_t i = 0; i < args->rows; i++) {
            atomic_init(&job.bounds[i], -INFINITY);
        }
        status = qtf_activations_init(&job.activations, args->hidden, args->rows, args->head);
    }
    if (status == QTF_OK) {
        status = qtf_parallel_for(args->rows, target_task, &job);
        if (status == QTF_OK) {
            status = qtf_parallel_for(job.n_ranges * job.row_blocks, tiles_task, &job);
        }
        qtf_activations_free(&job.activations);
    }
    if (status == QTF_OK && atomic_load(&job.out_of_memory)) {
        status = QTF_NO_MEMORY;
    }
    if (status == QTF_OK) {
        status = qtf_parallel_for(args->rows, merge_task, &job);
    }
    if (status == QTF_OK && atomic_load(&job.not_finite)) {
        status = QTF_NOT_FINITE;
    }
    qtf_scratch_free(job.targets);
    qtf_scratch_free(job.tiles);
    qtf_scratch_free(job.bounds);
    qtf_scratch_free(job.top);
    return status;
}

qtf_status qtf_loss(const qtf_loss_args *args) {
    if (args->head->n > INT32_MAX || args->top_k < 0 || args->top_k > args->head->n ||
        !(args->softcap >= 0.0f)) {
        return QTF_BAD_ARGUMENT;
    }
    for (int64_t i = 0; i < args->rows; i++) {
        if (args->targets[i] < 0 || args->targets[i] >= args->head->n) {
            return QTF_BAD_ARGUMENT;
        }
    }
    /* Many candidates are held for fewer rows, so that memory stays bounded. */
    int64_t n_ranges = ceil_div(args->head->n, QTF_VOCABULARY_TILE);
    int64_t most = max64(1, min64(SLAB_ROWS, MAX_CANDIDATES / (n_ranges * args->top_k + 1)));
    /* Slabs of nearly equal height: each reads the whole head. */
    int64_t n_slabs = ceil_div(args->rows, most);
    qtf_status status = QTF_OK;
    for (int64_t i = 0; i < n_slabs && status == QTF_OK; i++) {
        int64_t row = args->rows * i / n_slabs;
        qtf_loss_args part = *args;
        part.rows = args->rows * (i + 1) / n_slabs - row;
        part.hidden += row * args->head->k;
        part.targets += row;
        part.nll += row;
        part.rank += row;
        part.entropy += row;
        part.top_ids += row * args->top_k;
        part.top_logprobs += row * args->top_k;
        status = run_slab(&part);
    }
    return status;
}
