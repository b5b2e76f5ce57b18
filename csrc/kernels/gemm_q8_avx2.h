/*
 * q8 products with vpmaddwd on 16-bit integers, exact where vpmaddubsw would saturate.
 *
 * Half a panel at a time, 16 columns, weights are widened for a chunk of whole groups into pairs of
 * k, [k / 2][16][2], so that a 32-bit lane adds up one column and nothing is added across lanes;
 * then all rows of the tile pass over the chunk. |sum| <= 127 * 127 * 4096 < 2^31.
 */
#ifndef QTF_GEMM_Q8_AVX2_H
#define QTF_GEMM_Q8_AVX2_H

#include "kernels/gemm_store.h"

enum {
    AVX2_Q8_ROWS = 6,
    AVX2_Q8_COLS = 16,
    AVX2_Q8_TILE_ROWS = 240, /* rows that share the widened weights */
    AVX2_Q8_CHUNK = 1024,    /* k in a chunk, unless a group is longer: 32 KiB */
};

/*
 * Two k of one row with 16 columns. In assembly because compilers move the broadcasts of all rows
 * to the front and then spill accumulators.
 */
#define AVX2_DOT(acc0, acc1, w0, w1, x)                                                            \
    do {                                                                                           \
        __m256i avx2_pair, avx2_products;                                                          \
        __asm__(                                                                                   \
            "vpbroadcastd %[pair_], %[x_]\n\t"                                                     \
            "vpmaddwd %[x_], %[w0_], %[p_]\n\t"                                                    \
            "vpmaddwd %[x_], %[w1_], %[x_]\n\t"                                                    \
            "vpaddd %[p_], %[a0_], %[a0_]\n\t"                                                     \
            "vpaddd %[x_], %[a1_], %[a1_]"                                                         \
            : [a0_] "+x"(acc0), [a1_] "+x"(acc1), [x_] "=&x"(avx2_pair), [p_] "=&x"(avx2_products) \
            : [w0_] "x"(w0), [w1_] "x"(w1), [pair_] "m"(*(const int16_t (*)[2])(x)));              \
    } while (0)

/*
 * steps of four k, from half a panel [steps][32][4] to out [2 * steps][16][2]. The next panel is
 * fetched meanwhile: it follows this one, and fetching beyond the last does nothing.
 */
QTF_INLINE void avx2_widen(const uint8_t *w, int64_t steps, size_t panel_bytes, int16_t *out) {
    const __m256i pairs = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15, 0,
                                           1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    const __m256i sign = _mm256_set1_epi8(-128);
    for (int64_t i = 0; i < steps; i++) {
        __builtin_prefetch(w + 4 * QTF_PANEL * i + panel_bytes, 0, 2);
        QTF_UNROLL for (int half = 0; half < 2; half++) {
            __m256i v = _mm256_loadu_si256((const __m256i *)(w + 4 * QTF_PANEL * i + 32 * half));
            v = _mm256_shuffle_epi8(_mm256_xor_si256(v, sign), pairs);
            v = _mm256_permute4x64_epi64(v, 0xd8); /* k 0, 1 of 8 columns, then k 2, 3 */
            int16_t *to = out + 64 * i + 16 * half;
            _mm256_store_si256((__m256i *)to, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(v)));
            _mm256_store_si256((__m256i *)(to + 32),
                               _mm256_cvtepi8_epi16(_mm256_extracti128_si256(v, 1)));
        }
    }
}

QTF_INLINE void avx2_q8_step(__m256i acc[][2], const int16_t *x, size_t stride, const int16_t *w,
                             const int rows) {
    __m256i w0 = _mm256_load_si256((const __m256i *)w);
    __m256i w1 = _mm256_load_si256((const __m256i *)(w + 16));
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        AVX2_DOT(acc[r][0], acc[r][1], w0, w1, x + (size_t)r * stride);
    }
}

/*
 * One group: x [rows] with stride, from k on; w [pairs][16][2]; scales of the rows a groups apart;
 * to sums [rows][32].
 */
QTF_INLINE void avx2_q8_group(const int16_t *x, size_t stride, const float *x_scales,
                              int64_t n_groups, const int16_t *w, const float *w_scales,
                              int64_t pairs, float *sums, const int rows) {
    __m256i acc[AVX2_Q8_ROWS][2];
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        acc[r][0] = acc[r][1] = _mm256_setzero_si256();
    }
    do {
        avx2_q8_step(acc, x, stride, w, rows);
        w += 32;
        x += 2;
    } while (--pairs);
    __m256 s0 = _mm256_loadu_ps(w_scales), s1 = _mm256_loadu_ps(w_scales + 8);
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        __m256 scale = _mm256_broadcast_ss(x_scales + r * n_groups);
        float *sum = sums + QTF_PANEL * r;
        _mm256_store_ps(sum, _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[r][0]),
                                             _mm256_mul_ps(scale, s0), _mm256_load_ps(sum)));
        _mm256_store_ps(sum + 8,
                        _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[r][1]), _mm256_mul_ps(scale, s1),
                                        _mm256_load_ps(sum + 8)));
    }
}

/* What one pass over the rows needs. */
typedef struct {
    const qtf_tile *tile;
    const int16_t *w; /* the widened chunk */
    int64_t group0, group1;
    int row, rows, col;
    float *sums; /* of the tile's row 0 and column 0 */
} avx2_pass;

QTF_INLINE void avx2_q8_rows(const avx2_pass *pass, const int rows) {
    const qtf_tile *t = pass->tile;
    const size_t stride = t->x_stride / sizeof(int16_t);
    const int16_t *x = (const int16_t *)t->x + (size_t)pass->row * stride;
    const int16_t *w = pass->w;
    for (int64_t g = pass->group0; g < pass->group1; g++) {
        const int64_t k0 = g * t->group, left = t->k - k0;
        const int64_t pairs = ((left < t->group ? left : t->group) + 3) / 4 * 2;
        avx2_q8_group(x + k0, stride, t->x_scales + pass->row * t->n_groups + g, t->n_groups, w,
                      t->w_scales + QTF_PANEL * g + pass->col, pairs,
                      pass->sums + QTF_PANEL * pass->row + pass->col, rows);
        w += pairs * 32;
    }
}

QTF_INLINE void avx2_q8_tile(const qtf_tile *t) {
    _Alignas(64) float sums[AVX2_Q8_TILE_ROWS * QTF_PANEL];
    _Alignas(64) int16_t widened[QTF_MAX_GROUP * AVX2_Q8_COLS];
    const int64_t chunk = t->group < AVX2_Q8_CHUNK ? AVX2_Q8_CHUNK / t->group : 1; /* groups */
    const size_t panel_bytes = (size_t)(t->k + 3) / 4 * 4 * QTF_PANEL;
    const int n_passes = (t->rows + AVX2_Q8_ROWS - 1) / AVX2_Q8_ROWS;
    memset(sums, 0, (size_t)t->rows * QTF_PANEL * sizeof *sums);
    for (int col = 0; col < t->cols; col += AVX2_Q8_COLS) {
        for (int64_t g = 0; g < t->n_groups; g += chunk) {
            const int64_t g1 = g + chunk < t->n_groups ? g + chunk : t->n_groups;
            const int64_t k0 = g * t->group, k1 = g1 * t->group < t->k ? g1 * t->group : t->k;
            avx2_widen((const uint8_t *)t->w + QTF_PANEL * k0 + 4 * col, (k1 - k0 + 3) / 4,
                       panel_bytes, widened);
            for (int i = 0; i < n_passes; i++) {
                const int row = t->rows * i / n_passes;
                const avx2_pass pass = {
                    t, widened, g, g1, row, t->rows * (i + 1) / n_passes - row, col, sums};
                if (col + AVX2_Q8_COLS >= t->cols && g1 == t->n_groups) {
                    gemm_fetch_out(t, row, pass.rows);
                }
                switch (pass.rows) { QTF_CASES_6(avx2_q8_rows, &pass) }
            }
        }
    }
    gemm_store(t, sums);
}

#endif
