/* Packed matrices: sizes, packing and reading rows back. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "core/dispatch.h"
#include "core/integers.h"
#include "core/matmul.h"
#include "core/pool.h"

enum { ZERO_WEIGHT = 128 };

/* a * b * c, or 0 when it overflows. */
static size_t product(int64_t a, int64_t b, int64_t c) {
    size_t bytes;
    if (__builtin_mul_overflow(a, b, &bytes) || __builtin_mul_overflow(bytes, c, &bytes) ||
        bytes > PTRDIFF_MAX) {
        return 0;
    }
    return bytes;
}

size_t qtf_matrix_data_bytes(const qtf_matrix *m) {
    int64_t panels = ceil_div(m->n, QTF_PANEL);
    switch (m->quant) {
    case QTF_Q8:
        return product(panels, QTF_PANEL, 4 * ceil_div(m->k, 4));
    case QTF_Q4:
        return product(panels, ceil_div(m->k, QTF_Q4_GROUP), sizeof(qtf_q4_block));
    default:
        return product(panels, QTF_PANEL * (int64_t)sizeof(float), m->k);
    }
}

size_t qtf_matrix_scale_bytes(const qtf_matrix *m) {
    if (m->quant != QTF_Q8) {
        return 0;
    }
    return product(ceil_div(m->n, QTF_PANEL), QTF_PANEL * (int64_t)sizeof(float),
                   ceil_div(m->k, m->group));
}

typedef struct {
    qtf_matrix *matrix;
    const char *source;
    qtf_source_type type;
    const float *column_scales, *importance;
    int64_t row0, n_rows, panel0;
    atomic_bool not_finite;
} pack_job;

/* Weights [k0, k0 + n) of row number row of QTF_SRC_Q8_0. */
static void widen_q8_0(const pack_job *job, int64_t row, int64_t k0, int64_t n, float *out) {
    const char *blocks =
        job->source + row * (job->matrix->k / QTF_Q8_0_BLOCK) * (int64_t)QTF_Q8_0_BYTES;
    for (int64_t k = k0, end; k < k0 + n; k = end) {
        const int64_t start = k - k % QTF_Q8_0_BLOCK;
        end = k0 + n < start + QTF_Q8_0_BLOCK ? k0 + n : start + QTF_Q8_0_BLOCK;
        const char *block = blocks + start / QTF_Q8_0_BLOCK * QTF_Q8_0_BYTES;
        const int8_t *weights = (const int8_t *)block + sizeof(uint16_t);
        uint16_t half;
        float scale;
        memcpy(&half, block, sizeof half);
        qtf_active_kernels()->gemm.widen_f16(&half, &scale, 1);
        for (int64_t i = k; i < end; i++) {
            out[i - k0] = scale * (float)weights[i - start];
        }
    }
}

/* Values [k0, k0 + n) of a source row as floats, scaled: in place, or in buffer. */
static const float *source_values(const pack_job *job, int64_t row, int64_t k0, int64_t n,
                                  float *buffer) {
    int64_t at = (row - job->row0) * job->matrix->k + k0;
    const qtf_gemm *gemm = &qtf_active_kernels()->gemm;
    const float *values = buffer;
    switch (job->type) {
    case QTF_SRC_F16:
        gemm->widen_f16((const uint16_t *)job->source + at, buffer, n);
        break;
    case QTF_SRC_BF16:
        gemm->widen_bf16((const uint16_t *)job->source + at, buffer, n);
        break;
    case QTF_SRC_Q8_0:
        widen_q8_0(job, row - job->row0, k0, n, buffer);
        break;
    default:
        values = (const float *)job->source + at;
    }
    if (!job->column_scales) {
        return values;
    }
    for (int64_t i = 0; i < n; i++) {
        buffer[i] = values[i] * job->column_scales[k0 + i];
    }
    return buffer;
}

static bool all_finite(const float *x, int64_t n) {
    float bad = 0.0f;
    for (int64_t i = 0; i < n; i++) {
        bad += x[i] * 0.0f;
    }
    return bad == 0.0f;
}

/* Columns [0, n) of a float panel's row block; NULL values stand for zeros. */
static bool put_f32(float *panel, int col, const float *values, int64_t k0, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        panel[QTF_PANEL * (k0 + i) + col] = values ? values[i] : 0.0f;
    }
    return !values || all_finite(values, n);
}

/* One group of one column; NULL values stand for zeros. */
static bool put_q8(uint8_t *panel, float *scale, int col, const float *values, int64_t k0,
                   int64_t n, bool paired) {
    _Alignas(4) int8_t q[QTF_MAX_GROUP];
    int64_t padded = 4 * ceil_div(n, 4);
    *scale = values ? qtf_active_kernels()->gemm.quantise_i8(values, n, paired, q) : 0.0f;
    if (*scale < 0.0f) {
        return false;
    }
    memset(values ? q + n : q, 0, (size_t)(values ? padded - n : padded));
    for (int64_t i = 0; i < padded; i += 4) {
        uint32_t four;
        memcpy(&four, q + i, sizeof four);
        four ^= 0x80808080u; /* + 128 */
        memcpy(panel + QTF_PANEL * (k0 + i) + 4 * col, &four, sizeof four);
    }
    return true;
}

/* Columns of a block that the job has. */
static void merge_q4(const qtf_q4_block *from, int first, int end, qtf_q4_block *block) {
    for (int col = first; col < end; col++) {
        block->d[col] = from->d[col];
        for (int run = 0; run < QTF_Q4_RUNS; run++) {
            block->scales[run][col] = from->scales[run][col];
            block->minima[run / 2][col][run % 2] = from->minima[run / 2][col][run % 2];
        }
        const uint8_t mask = col < 16 ? 0x0f : 0xf0;
        for (int i = 0; i < QTF_Q4_GROUP; i++) {
            const int at = 4 * (col % 16) + i % 4;
            uint8_t *byte = &block->codes[i / 4][at];
            *byte = (uint8_t)((*byte & ~mask) | (from->codes[i / 4][at] & mask));
        }
    }
}

/* The columns first … end - 1 of a panel that begins at row0; those from rows on are zeros. */
typedef struct {
    int64_t row0;
    int first, rows, end;
} panel_part;

/* One group of these columns. */
static bool put_q4(const pack_job *job, const panel_part *part, int64_t k0, int64_t n,
                   qtf_q4_block *block) {
    _Alignas(64) float x[QTF_PANEL][QTF_Q4_GROUP];
    float ones[QTF_Q4_GROUP];
    const float *importance = job->importance ? job->importance + k0 : ones;
    for (int i = 0; !job->importance && i < QTF_Q4_GROUP; i++) {
        ones[i] = 1.0f;
    }
    for (int col = 0; col < QTF_PANEL; col++) {
        const bool inside = col >= part->first && col < part->rows;
        const int64_t filled = inside ? n : 0;
        const float *values = inside ? source_values(job, part->row0 + col, k0, n, x[col]) : x[col];
        if (values != x[col]) {
            memcpy(x[col], values, (size_t)n * sizeof *values);
        }
        memset(x[col] + filled, 0, (size_t)(QTF_Q4_GROUP - filled) * sizeof(float));
    }
    qtf_q4_block other;
    const bool whole = part->first == 0 && part->end == QTF_PANEL;
    if (!qtf_active_kernels()->gemm.quantise_q4(x[0], (int)n, importance, whole ? block : &other)) {
        return false;
    }
    if (!whole) {
        merge_q4(&other, part->first, part->end, block);
    }
    return true;
}

/* The rows of one panel that the job has, group by group so that what is written stays in cache. */
static void pack_panel(void *context, int64_t task) {
    pack_job *job = context;
    qtf_matrix *m = job->matrix;
    float buffer[QTF_MAX_GROUP];
    const int64_t p = job->panel0 + task, row0 = QTF_PANEL * p, last = job->row0 + job->n_rows;
    panel_part part = {.row0 = row0};
    part.first = (int)(job->row0 > row0 ? job->row0 - row0 : 0);
    part.rows = (int)(last - row0 < QTF_PANEL ? last - row0 : QTF_PANEL);
    part.end = last == m->n ? QTF_PANEL : part.rows;
    int64_t step = m->quant == QTF_F32 ? QTF_K_BLOCK : m->group;
    int64_t k4 = ceil_div(m->k, 4), n_groups = ceil_div(m->k, step);
    bool ok = true;
    for (int64_t g = 0; g < n_groups; g++) {
        int64_t k0 = g * step, n = m->k - k0 < step ? m->k - k0 : step;
        if (m->quant == QTF_Q4) {
            ok &= put_q4(job, &part, k0, n, (qtf_q4_block *)m->data + p * n_groups + g);
            continue;
        }
        for (int col = part.first; col < part.end; col++) {
            const bool inside = col < part.rows;
            const float *values = inside ? source_values(job, row0 + col, k0, n, buffer) : NULL;
            if (m->quant == QTF_Q8) {
                ok &= put_q8((uint8_t *)m->data + p * k4 * 4 * QTF_PANEL,
                             m->scales + (p * n_groups + g) * QTF_PANEL + col, col, values, k0, n,
                             m->group >= QTF_PAIRED_GROUP);
            } else {
                ok &= put_f32((float *)m->data + p * m->k * QTF_PANEL, col, values, k0, n);
            }
        }
    }
    if (!ok) {
        atomic_store(&job->not_finite, true);
    }
}

qtf_status qtf_matrix_pack(qtf_matrix *matrix, int64_t row0, int64_t n_rows, const void *source,
                           qtf_source_type type, const float *column_scales,
                           const float *importance) {
    if (row0 < 0 || n_rows < 1 || n_rows > matrix->n - row0 || matrix->k < 1) {
        return QTF_BAD_ARGUMENT;
    }
    if (matrix->quant == QTF_Q8 &&
        (matrix->group < 4 || matrix->group > QTF_MAX_GROUP || matrix->group % 4)) {
        return QTF_BAD_ARGUMENT;
    }
    if ((matrix->quant == QTF_Q4 && matrix->group != QTF_Q4_GROUP) ||
        (type == QTF_SRC_Q8_0 && matrix->k % QTF_Q8_0_BLOCK)) {
        return QTF_BAD_ARGUMENT;
    }
    pack_job job = {matrix, source,           type, column_scales, importance, row0,
                    n_rows, row0 / QTF_PANEL, false};
    int64_t panels = ceil_div(row0 + n_rows, QTF_PANEL) - job.panel0;
    qtf_status status = qtf_parallel_for(panels, pack_panel, &job);
    return status == QTF_OK && atomic_load(&job.not_finite) ? QTF_NOT_FINITE : status;
}

typedef struct {
    const qtf_matrix *matrix;
    const int64_t *ids;
    float *out;
} rows_job;

static void read_f32(const qtf_matrix *m, int64_t p, int col, float *out) {
    const float *data = (const float *)m->data + p * m->k * QTF_PANEL + col;
    for (int64_t i = 0; i < m->k; i++) {
        out[i] = data[QTF_PANEL * i];
    }
}

static void read_q8(const qtf_matrix *m, int64_t p, int col, float *out) {
    int64_t n_groups = ceil_div(m->k, m->group);
    const uint8_t *data = (const uint8_t *)m->data + p * ceil_div(m->k, 4) * 4 * QTF_PANEL;
    const float *scales = m->scales + p * n_groups * QTF_PANEL + col;
    for (int64_t g = 0; g < n_groups; g++) {
        const float scale = scales[QTF_PANEL * g];
        const int64_t end = m->k - g * m->group < m->group ? m->k : (g + 1) * m->group;
        for (int64_t i = g * m->group; i < end; i++) {
            int weight = data[QTF_PANEL * (i & ~(int64_t)3) + 4 * col + (i & 3)] - ZERO_WEIGHT;
            out[i] = (float)weight * scale;
        }
    }
}

static void read_q4(const qtf_matrix *m, int64_t p, int col, float *out) {
    const qtf_q4_block *block = (const qtf_q4_block *)m->data + p * ceil_div(m->k, QTF_Q4_GROUP);
    for (int64_t i = 0; i < m->k; i++) {
        const qtf_q4_block *b = block + i / QTF_Q4_GROUP;
        int at = (int)(i % QTF_Q4_GROUP), run = at / QTF_Q4_RUN;
        int code = b->codes[at / 4][4 * (col % 16) + at % 4];
        code = col < 16 ? code & 15 : code >> 4;
        uint32_t bits = (uint32_t)b->d[col] << 16;
        float d;
        memcpy(&d, &bits, sizeof d);
        out[i] = (float)(b->scales[run][col] * code - b->minima[run / 2][col][run % 2]) * d;
    }
}

static void read_row(void *context, int64_t task) {
    static void (*const read[])(const qtf_matrix *, int64_t, int, float *) = {
        [QTF_F32] = read_f32, [QTF_Q8] = read_q8, [QTF_Q4] = read_q4};
    const rows_job *job = context;
    const qtf_matrix *m = job->matrix;
    int64_t id = job->ids[task];
    read[m->quant](m, id / QTF_PANEL, (int)(id % QTF_PANEL), job->out + task * m->k);
}

qtf_status qtf_matrix_rows(const qtf_matrix *matrix, const int64_t *ids, int64_t n_ids,
                           float *out) {
    for (int64_t i = 0; i < n_ids; i++) {
        if (ids[i] < 0 || ids[i] >= matrix->n) {
            return QTF_BAD_ARGUMENT;
        }
    }
    rows_job job = {matrix, ids, out};
    return qtf_parallel_for(n_ids, read_row, &job);
}
