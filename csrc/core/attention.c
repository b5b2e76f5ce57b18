#include "core/attention.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/dispatch.h"
#include "core/integers.h"
#include "core/pool.h"
#include "core/scratch.h"

enum { LANES = 16 /* rows side by side in a kernel */ };

#define LOG2_E 1.4426950408889634

/*
 * Most rows of a task. Where the keys of a sequence outgrow the second cache, more rows make more
 * of each time they are fetched; else fewer rows share the work better.
 */
static int64_t task_rows(int64_t n_keys) {
    return n_keys < 4096 ? 192 : 768;
}

/* Queries [first, first + n) of one sequence and the heads of one key/value head. */
typedef struct {
    int64_t sequence, kv_head, first, n;
    int64_t cost; /* keys seen by the queries together, times queries */
} attention_task;

typedef struct {
    const qtf_attention_args *args;
    const qtf_kernels *kernels;
    const attention_task *tasks;
    _Atomic bool out_of_memory;
} attention_job;

/* Longest first, so that no thread is left with a long task at the end. */
static int by_cost(const void *a, const void *b) {
    int64_t x = ((const attention_task *)a)->cost, y = ((const attention_task *)b)->cost;
    return (x < y) - (x > y);
}

/* The key of the sequence behind the last one that its query i sees. */
static int64_t visible_end(const qtf_attention_args *args, int64_t sequence, int64_t i) {
    int64_t nq = args->q_offsets[sequence + 1] - args->q_offsets[sequence];
    int64_t nk = args->k_offsets[sequence + 1] - args->k_offsets[sequence];
    return args->causal ? nk - nq + i + 1 : nk;
}

/* The first key that a query sees whose last one lies before end. */
static int64_t visible_start(const qtf_attention_args *args, int64_t end) {
    return args->window && args->window < end ? end - args->window : 0;
}

/* All of a task in one piece of memory; start is what qtf_scratch_free takes. */
typedef struct {
    void *start;
    int64_t *first, *end;
    float *q, *max, *sum, *out;
    float *keys, *k, *v; /* [QTF_KEY_TILE, width]: see qtf_attention_rows; a tile as floats */
} workspace;

static bool workspace_init(workspace *w, int64_t rows, int64_t width) {
    int64_t tile = QTF_KEY_TILE * width;
    size_t floats = (size_t)(rows * (2 + 2 + 1 + 1 + 2 * width) + 3 * tile);
    float *p = qtf_scratch_alloc(floats, sizeof(float));
    w->start = p;
    if (!p) {
        return false;
    }
    w->q = p, p += rows * width;
    w->out = p, p += rows * width;
    w->keys = p, p += tile;
    w->k = p, p += tile;
    w->v = p, p += tile;
    w->max = p, p += rows;
    w->sum = p, p += rows;
    w->first = (int64_t *)(void *)p;
    w->end = w->first + rows;
    memset(w->v, 0, (size_t)tile * sizeof(float)); /* where a row of values is read to its width */
    return true;
}

/* Row r of a task is head r % group of its query r / group: where that is in q or out. */
static ptrdiff_t row_offset(const qtf_attention_args *args, const attention_task *task, int64_t row,
                            ptrdiff_t stride) {
    int64_t group = args->n_heads / args->n_kv_heads;
    int64_t query = args->q_offsets[task->sequence] + task->first + row / group;
    return query * stride + (task->kv_head * group + row % group) * args->head_dim;
}

/* Whether the kernels in use read bfloat16 in words of two. */
static bool in_pairs(const attention_job *job) {
    return job->args->k.type == QTF_KV_BF16 && job->kernels->bf16.tile;
}

/* Numbers of a head in one word of the kernels. */
static int64_t words_of(const attention_job *job, int64_t head_dim) {
    return in_pairs(job) ? ceil_div(head_dim, 2) : head_dim;
}

/* Write a query, times scale, as floats or words; halves [head_dim] is to work in. */
static void load_query(const attention_job *job, const float *q, float scale, uint16_t *halves,
                       float *out) {
    const qtf_kernels *kernels = job->kernels;
    int head_dim = (int)job->args->head_dim;
    if (job->args->k.type != QTF_KV_BF16) {
        for (int d = 0; d < head_dim; d++) {
            out[d] = q[d] * scale;
        }
        return;
    }
    kernels->round_bf16(q, scale, head_dim, halves);
    if (in_pairs(job)) {
        kernels->bf16.pair_keys(halves, 0, 1, head_dim, out, 0);
    } else {
        kernels->gemm.widen_bf16(halves, out, head_dim);
    }
}

/* Write up to 16 of the task's queries one behind the other. */
static void load_queries(const attention_job *job, const attention_task *task, int64_t first,
                         int64_t n, float scale, int64_t width, uint16_t *halves, float *out) {
    const qtf_attention_args *args = job->args;
    const float *q[LANES];
    for (int64_t r = 0; r < n; r++) {
        q[r] = args->q + row_offset(args, task, first + r, args->q_stride);
        /* Waiting for one line after the other costs more than the work itself. */
        for (int64_t d = 0; d < args->head_dim; d += 16) {
            __builtin_prefetch(q[r] + d);
        }
    }
    for (int64_t r = 0; r < n; r++) {
        load_query(job, q[r], scale, halves, out + r * width);
    }
}

/*
 * Lay out the task's queries, scaled as qtf_attention_rows asks for, and set the online softmax to
 * its start.
 */
static void load_rows(const attention_job *job, const attention_task *task, int64_t rows,
                      const qtf_attention_rows *state, workspace *w) {
    const qtf_attention_args *args = job->args;
    int64_t group = args->n_heads / args->n_kv_heads, padded = ceil_div(rows, LANES) * LANES;
    double unit = args->softcap > 0.0f ? 1.0 / (double)args->softcap : LOG2_E;
    float scale = (float)(args->scale * unit);
    uint16_t *halves = (uint16_t *)(void *)w->keys; /* no keys are there yet */
    if (rows <= QTF_FEW_ROWS) {
        load_queries(job, task, 0, rows, scale, state->width, halves, w->q);
    } else {
        for (int64_t r = 0; r < padded; r += LANES) {
            int64_t n = min64(LANES, rows - r);
            load_queries(job, task, r, n, scale, state->width, halves, w->k);
            job->kernels->attention_load(w->k, state->width, (int)n,
                                         (int)words_of(job, state->head_dim),
                                         w->q + r * state->width);
        }
    }
    for (int64_t r = 0; r < padded; r++) {
        int64_t query = task->first + min64(r, rows - 1) / group;
        w->end[r] = visible_end(args, task->sequence, query);
        w->first[r] = visible_start(args, w->end[r]);
        w->max[r] = -INFINITY;
    }
    memset(w->sum, 0, (size_t)padded * sizeof(float));
    memset(w->out, 0, (size_t)(padded * state->width) * sizeof(float));
}

static void store_rows(const attention_job *job, const attention_task *task, int64_t rows,
                       const qtf_attention_rows *state) {
    const qtf_attention_args *args = job->args;
    for (int64_t r = 0; r < rows; r += LANES) {
        float *out[LANES];
        int n = (int)min64(LANES, rows - r);
        for (int i = 0; i < n; i++) {
            out[i] = args->out + row_offset(args, task, r + i, args->n_heads * args->head_dim);
        }
        job->kernels->attention_finish(state->out + r * state->width, state->sum + r, n,
                                       state->head_dim, out);
    }
}

/* As attention_finish, for rows one behind the other. */
static void store_few(const attention_job *job, const attention_task *task,
                      const qtf_attention_rows *state) {
    const qtf_attention_args *args = job->args;
    for (int64_t r = 0; r < state->n; r++) {
        float *out = args->out + row_offset(args, task, r, args->n_heads * args->head_dim);
        float inverse = 1.0f / state->sum[r];
        for (int64_t d = 0; d < state->head_dim; d++) {
            out[d] = state->out[r * state->width + d] * inverse + 0.0f;
        }
    }
}

/* Take one tile of n keys from key start of the sequence on into the rows. */
static void attend_tile(const attention_job *job, const qtf_attention_rows *state, int64_t row,
                        int64_t n, int64_t head, int64_t start, workspace *w, bool few) {
    const qtf_attention_args *args = job->args;
    const qtf_kernels *kernels = job->kernels;
    int64_t head_dim = args->head_dim, width = state->width;
    if (in_pairs(job)) {
        qtf_kv_pairs(&args->k, row, n, head, head_dim, false, w->k, width);
        qtf_kv_pairs(&args->v, row, n, head, head_dim, true, w->v, width);
        (few ? kernels->bf16.few : kernels->bf16.tile)(state, w->k, width, w->v, width, start);
        return;
    }
    /* Rows that lie apart crowd into a few sets of the first cache: many queries read copies. */
    ptrdiff_t k_stride, v_stride;
    const float *k = qtf_kv_rows(&args->k, row, n, head, head_dim, few, w->k, width, &k_stride);
    const float *v = qtf_kv_rows(&args->v, row, n, head, head_dim, few && head_dim == width, w->v,
                                 width, &v_stride);
    (few ? kernels->attention_few : kernels->attention_tile)(state, k, k_stride, v, v_stride,
                                                             start);
}

static void attention_task_run(void *context, int64_t index) {
    attention_job *job = context;
    const qtf_attention_args *args = job->args;
    const attention_task *task = &job->tasks[index];
    int64_t head_dim = args->head_dim, head = task->kv_head;
    int64_t rows = task->n * (args->n_heads / args->n_kv_heads);
    int64_t padded = ceil_div(rows, LANES) * LANES, width = ceil_div(head_dim, 16) * 16;
    bool few = rows <= QTF_FEW_ROWS;
    workspace w;
    if (!workspace_init(&w, padded, width)) {
        atomic_store(&job->out_of_memory, true);
        return;
    }
    qtf_attention_rows state = {.n = (int)(few ? rows : padded),
                                .head_dim = (int)head_dim,
                                .width = (int)width,
                                .softcap = (float)(args->softcap * LOG2_E),
                                .bf16 = args->k.type == QTF_KV_BF16,
                                .first_visible = w.first,
                                .n_visible = w.end,
                                .q = w.q,
                                .max = w.max,
                                .sum = w.sum,
                                .out = w.out,
                                .keys = w.keys};
    load_rows(job, task, rows, &state, &w);
    int64_t first_key = args->k_offsets[task->sequence];
    int64_t n_keys = visible_end(args, task->sequence, task->first + task->n - 1);
    int64_t start = w.first[0] / QTF_KEY_TILE * QTF_KEY_TILE;
    for (; start < n_keys; start += QTF_KEY_TILE) {
        int64_t row = first_key + start, n = min64(QTF_KEY_TILE, n_keys - start);
        if (few) {
            int64_t next = min64(QTF_KEY_TILE, n_keys - start - n);
            qtf_kv_prefetch(&args->k, row + n, next, head, head_dim);
            qtf_kv_prefetch(&args->v, row + n, next, head, head_dim);
        }
        attend_tile(job, &state, row, n, head, start, &w, few);
    }
    if (few) {
        store_few(job, task, &state);
    } else {
        store_rows(job, task, rows, &state);
    }
    qtf_scratch_free(w.start);
}

/* Write the tasks if there is room for them, and return how many there are. */
static int64_t make_tasks(const qtf_attention_args *args, attention_task *tasks) {
    int64_t count = 0, group = args->n_heads / args->n_kv_heads;
    for (int64_t s = 0; s < args->n_sequences; s++) {
        int64_t nq = args->q_offsets[s + 1] - args->q_offsets[s];
        int64_t nk = args->k_offsets[s + 1] - args->k_offsets[s];
        int64_t rows = task_rows(args->window ? min64(args->window, nk) : nk);
        int64_t block = group < rows ? rows / group : 1;
        if (!tasks) {
            count += (nq + block - 1) / block * args->n_kv_heads;
            continue;
        }
        for (int64_t first = 0; first < nq; first += block) {
            int64_t n = min64(block, nq - first);
            int64_t start = visible_start(args, visible_end(args, s, first));
            int64_t cost = n * (visible_end(args, s, first + n - 1) - start);
            for (int64_t h = 0; h < args->n_kv_heads; h++) {
                tasks[count++] = (attention_task){s, h, first, n, cost};
            }
        }
    }
    return count;
}

static bool is_valid(const qtf_attention_args *args) {
    return args->n_kv_heads >= 1 && args->n_heads >= 1 && args->n_heads % args->n_kv_heads == 0 &&
           args->head_dim >= 1 && args->head_dim <= QTF_MAX_HEAD_DIM && args->window >= 0 &&
           (args->causal || args->window == 0) && args->softcap >= 0.0f &&
           (args->k.type == QTF_KV_BF16) == (args->v.type == QTF_KV_BF16);
}

qtf_status qtf_attention(const qtf_attention_args *args) {
    if (!is_valid(args)) {
        return QTF_BAD_ARGUMENT;
    }
    for (int64_t s = 0; s < args->n_sequences; s++) {
        if (args->q_offsets[s] < args->q_offsets[s + 1] && visible_end(args, s, 0) < 1) {
            return QTF_BAD_ARGUMENT;
        }
    }
    int64_t n_tasks = make_tasks(args, NULL);
    attention_task *tasks = qtf_scratch_alloc((size_t)n_tasks, sizeof *tasks);
    if (!tasks) {
        return QTF_NO_MEMORY;
    }
    make_tasks(args, tasks);
    qsort(tasks, (size_t)n_tasks, sizeof *tasks, by_cost);
    attention_job job = {.args = args, .kernels = qtf_active_kernels(), .tasks = tasks};
    qtf_status status = qtf_parallel_for(n_tasks, attention_task_run, &job);
    if (status == QTF_OK && atomic_load(&job.out_of_memory)) {
        status = QTF_NO_MEMORY;
    }
    qtf_scratch_free(tasks);
    return status;
}

typedef struct {
    const qtf_attention_args *args;
    const qtf_kernels *kernels;
    const float *mask;
    float *weights;
    int64_t nq, nk;
} weights_job;

/* Head task / nq, query task % nq. */
static void weights_task(void *context, int64_t task) {
    const weights_job *job = context;
    const qtf_attention_args *args = job->args;
    int64_t i = task % job->nq, head = task / job->nq, d = args->head_dim;
    const float *q = args->q + task * d;
    const float *k = args->k.data;
    k += head / (args->n_heads / args->n_kv_heads) * job->nk * d;
    const float *mask = job->mask ? job->mask + task * job->nk : NULL;
    float *row = job->weights + task * job->nk;
    int64_t end = args->causal ? job->nk - job->nq + i + 1 : job->nk;
    int64_t first = visible_start(args, end);
    for (int64_t j = 0; j < job->nk; j++) {
        float dot = 0.0f;
        for (int64_t x = 0; x < d; x++) {
            dot += q[x] * k[j * d + x];
        }
        row[j] = dot * args->scale;
    }
    if (args->softcap > 0.0f) {
        job->kernels->softcap(row, args->softcap, row, (size_t)job->nk);
    }
    for (int64_t j = 0; j < job->nk; j++) {
        row[j] = first <= j && j < end ? row[j] + (mask ? mask[j] : 0.0f) : -INFINITY;
    }
    job->kernels->softmax(row, (size_t)job->nk);
}

qtf_status qtf_attention_weights(const qtf_attention_args *args, int64_t nq, int64_t nk,
                                 const float *mask, float *weights) {
    if (!is_valid(args) || (nq > 0 && (args->causal ? nk - nq + 1 : nk) < 1)) {
        return QTF_BAD_ARGUMENT;
    }
    weights_job job = {args, qtf_active_kernels(), mask, weights, nq, nk};
    return qtf_parallel_for(args->n_heads * nq, weights_task, &job);
}
