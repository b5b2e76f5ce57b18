/*
 * q8 products with vpmaddubsw: activations + 128, unsigned, times signed weights. Two neighbouring
 * products are added up in 16 bits, which is exact while |w0| + |w1| <= 128: see core/matmul.h.
 * Weights that are larger than that are cut in halves which are not, at twice the work.
 *
 * Half a panel at a time, 16 columns, is unpacked for a chunk of whole groups; then all rows of the
 * tile pass over the chunk. Sums start at -128 * (sum of the group's weights). |sum| <= 255 * 127 *
 * 4096 < 2^31.
 */
#ifndef QTF_GEMM_Q8_AVX2_H
#define QTF_GEMM_Q8_AVX2_H

#include "kernels/gemm_avx2.h"

enum {
    AVX2_Q8_ROWS = 6,
    AVX2_Q8_TILE_ROWS = 240, /* rows that share the unpacked weights */
    AVX2_Q8_CHUNK = 1024,    /* k in a chunk, unless a group is longer: 16 KiB */
};

/*
 * Four k of one row with 16 columns at w. In assembly because compilers load w once for all rows
 * and move their broadcasts to the front, and then spill accumulators.
 */
#define AVX2_DOT(acc0, acc1, ones, w, x)                                                           \
    do {                                                                                           \
        __m256i avx2_four, avx2_products;                                                          \
        __asm__(                                                                                   \
            "vpbroadcastd %[four_], %[x_]\n\t"                                                     \
            "vpmaddubsw %[w0_], %[x_], %[p_]\n\t"                                                  \
            "vpmaddubsw %[w1_], %[x_], %[x_]\n\t"                                                  \
            "vpmaddwd %[p_], %[ones_], %[p_]\n\t"                                                  \
            "vpmaddwd %[x_], %[ones_], %[x_]\n\t"                                                  \
            "vpaddd %[p_], %[a0_], %[a0_]\n\t"                                                     \
            "vpaddd %[x_], %[a1_], %[a1_]"                                                         \
            : [a0_] "+x"(acc0), [a1_] "+x"(acc1), [x_] "=&x"(avx2_four), [p_] "=&x"(avx2_products) \
            : [ones_] "x"(ones), [w0_] "m"(*(const __m256i *)(w)),                                 \
              [w1_] "m"(*(const __m256i *)((w) + 32)), [four_] "m"(*(const uint8_t (*)[4])(x)));   \
    } while (0)

/* The unpacked chunk of half a panel. */
typedef struct {
    _Alignas(64) int8_t w[2 * QTF_MAX_GROUP * 16];      /* of each group [parts][steps][16][4] */
    _Alignas(64) int32_t starts[AVX2_Q8_CHUNK / 4][16]; /* of each group */
    int parts;                                          /* 2: halves, which add up to the weights */
} avx2_q8_chunk;

/* Whether |w0| + |w1| > 128 for any pair; of half a panel, [steps][32][4]. */
QTF_INLINE int avx2_q8_is_large(const uint8_t *w, int64_t steps) {
    const __m256i zero = _mm256_set1_epi8(-128), ones = _mm256_set1_epi8(1);
    __m256i most = _mm256_setzero_si256();
    for (int64_t i = 0; i < steps; i++) {
        QTF_UNROLL for (int part = 0; part < 64; part += 32) {
            const __m256i v = avx2_load(w + 4 * QTF_PANEL * i + part);
            const __m256i size = _mm256_abs_epi8(_mm256_xor_si256(v, zero));
            most = _mm256_max_epi16(most, _mm256_maddubs_epi16(size, ones));
        }
    }
    return _mm256_movemask_epi8(_mm256_cmpgt_epi16(most, _mm256_set1_epi16(128))) != 0;
}

/* One group of half a panel, [steps][32][4], to out [parts][steps][16][4]. */
QTF_INLINE void avx2_q8_unpack(const uint8_t *w, int64_t steps, int8_t *out, int32_t *starts,
                               const int parts) {
    const __m256i zero = _mm256_set1_epi8(-128), bytes = _mm256_set1_epi8(1);
    const __m256i words = _mm256_set1_epi16(-128);
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int64_t i = 0; i < steps; i++) {
        const uint8_t *from = w + 4 * QTF_PANEL * i;
        QTF_UNROLL for (int v = 0; v < 2; v++) {
            __m256i *to = (__m256i *)(out + 64 * i + 32 * v);
            const __m256i stored = avx2_load(from + 32 * v);
            const __m256i weights = _mm256_xor_si256(stored, zero);
            const __m256i pairs = _mm256_maddubs_epi16(bytes, weights);
            sums[v] = _mm256_add_epi32(sums[v], _mm256_madd_epi16(pairs, words));
            if (parts == 1) {
                _mm256_store_si256(to, weights);
            } else {
                /* (stored + 127 + 1) / 2 is half the weight, rounded down, + 128. */
                const __m256i half =
                    _mm256_xor_si256(_mm256_avg_epu8(stored, _mm256_set1_epi8(127)), zero);
                _mm256_store_si256(to, half);
                _mm256_store_si256(to + 2 * steps, _mm256_sub_epi8(weights, half));
            }
        }
    }
    _mm256_store_si256((__m256i *)starts, sums[0]);
    _mm256_store_si256((__m256i *)starts + 1, sums[1]);
}

/*
 * One group: x [rows] with stride, from k on; w [parts][steps][16][4]; scales of the rows a groups
 * apart; to sums [rows][32].
 */
QTF_INLINE void avx2_q8_group(const uint8_t *x, size_t stride, const float *x_scales,
                              int64_t n_groups, const int8_t *w, const int32_t *starts,
                              const float *w_scales, int64_t steps, int parts, float *sums,
                              const int rows) {
    const __m256i ones = _mm256_set1_epi16(1);
    const __m256i start0 = avx2_load(starts), start1 = avx2_load(starts + 8);
    __m256i acc[AVX2_Q8_ROWS][2];
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        acc[r][0] = start0;
        acc[r][1] = start1;
    }
    do {
        const int8_t *end = w + 64 * steps;
        const uint8_t *four = x;
        do {
            QTF_UNROLL for (int r = 0; r < rows; r++) {
                AVX2_DOT(acc[r][0], acc[r][1], ones, w, four + (size_t)r * stride);
            }
            w += 64;
            four += 4;
        } while (w != end);
    } while (--parts);
    avx2_add(sums, acc, x_scales, n_groups, _mm256_loadu_ps(w_scales),
             _mm256_loadu_ps(w_scales + 8), rows);
}

/* What one pass over the rows needs. */
typedef struct {
    const qtf_tile *tile;
    const avx2_q8_chunk *chunk;
    int64_t group0, group1;
    int row, rows, col;
    float *sums; /* of the tile's row 0 and column 0 */
    /* What to fetch, each pass its part of a group's lines: half a panel at every other line. */
    const uint8_t *fetch;
    int fetch_lines;
} avx2_q8_pass;

/* k of group g, rounded up to whole steps. */
QTF_INLINE int64_t avx2_q8_steps(const qtf_tile *t, int64_t g) {
    const int64_t left = t->k - g * t->group;
    return ((left < t->group ? left : t->group) + 3) / 4;
}

QTF_INLINE void avx2_q8_rows(const avx2_q8_pass *pass, const int rows) {
    const qtf_tile *t = pass->tile;
    const uint8_t *x = (const uint8_t *)t->x + (size_t)pass->row * t->x_stride;
    const int8_t *w = pass->chunk->w;
    const int parts = pass->chunk->parts;
    const uint8_t *fetch = pass->fetch;
    for (int64_t g = pass->group0; g < pass->group1; g++) {
        const int64_t steps = avx2_q8_steps(t, g);
        for (int i = 0; i < pass->fetch_lines; i++) {
            __builtin_prefetch(fetch + 4 * QTF_PANEL * i, 0, 2);
        }
        fetch += QTF_PANEL * t->group;
        avx2_q8_group(x + g * t->group, t->x_stride, t->x_scales + pass->row * t->n_groups + g,
                      t->n_groups, w, pass->chunk->starts[g - pass->group0],
                      t->w_scales + QTF_PANEL * g + pass->col, steps, parts,
                      pass->sums + QTF_PANEL * pass->row + pass->col, rows);
        w += 64 * steps * parts;
    }
}

/* Groups [g, g1) of the half panel that starts at col. Apart, so that its constants stay in
 * registers. */
static QTF_NOINLINE void avx2_q8_unpack_chunk(const qtf_tile *t, int col, int64_t g, int64_t g1,
                                              avx2_q8_chunk *chunk) {
    const uint8_t *from = (const uint8_t *)t->w + QTF_PANEL * t->group * g + 4 * col;
    int8_t *to = chunk->w;
    int64_t all = 0;
    for (int64_t i = g; i < g1; i++) {
        all += avx2_q8_steps(t, i);
    }
    chunk->parts = avx2_q8_is_large(from, all) ? 2 : 1;
    for (int64_t i = g; i < g1; i++) {
        const int64_t steps = avx2_q8_steps(t, i);
        if (chunk->parts == 1) {
            avx2_q8_unpack(from, steps, to, chunk->starts[i - g], 1);
        } else {
            avx2_q8_unpack(from, steps, to, chunk->starts[i - g], 2);
        }
        from += 4 * QTF_PANEL * steps;
        to += 64 * steps * chunk->parts;
    }
}

QTF_INLINE void avx2_q8_tile(const qtf_tile *t) {
    _Alignas(64) float sums[AVX2_Q8_TILE_ROWS * QTF_PANEL];
    avx2_q8_chunk unpacked;
    const int64_t chunk = t->group < AVX2_Q8_CHUNK ? AVX2_Q8_CHUNK / t->group : 1; /* groups */
    const int n_passes = (t->rows + AVX2_Q8_ROWS - 1) / AVX2_Q8_ROWS;
    /* The passes share out the fetching of the next panel, which follows this one; fetching beyond
     * the last does nothing. */
    const size_t panel_bytes = (size_t)(t->k + 3) / 4 * 4 * QTF_PANEL;
    const int fetch_lines = (int)((t->group / 4 + n_passes - 1) / n_passes);
    memset(sums, 0, (size_t)t->rows * QTF_PANEL * sizeof *sums);
    for (int col = 0; col < t->cols; col += 16) {
        for (int64_t g = 0; g < t->n_groups; g += chunk) {
            const int64_t g1 = g + chunk < t->n_groups ? g + chunk : t->n_groups;
            avx2_q8_unpack_chunk(t, col, g, g1, &unpacked);
            for (int i = 0; i < n_passes; i++) {
                const int row = t->rows * i / n_passes;
                const avx2_q8_pass pass = {
                    .tile = t,
                    .chunk = &unpacked,
                    .group0 = g,
                    .group1 = g1,
                    .row = row,
                    .rows = t->rows * (i + 1) / n_passes - row,
                    .col = col,
                    .sums = sums,
                    .fetch = (const uint8_t *)t->w + panel_bytes + QTF_PANEL * t->group * g +
                             4 * col + 4 * QTF_PANEL * fetch_lines * i,
                    .fetch_lines = fetch_lines,
                };
                if (col + 16 >= t->cols && g1 == t->n_groups) {
                    gemm_fetch_out(t, row, pass.rows);
                }
                switch (pass.rows) { QTF_CASES_6(avx2_q8_rows, &pass) }
            }
        }
    }
    gemm_store(t, sums);
}

#endif
