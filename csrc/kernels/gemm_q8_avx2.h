/*
 * q8 products with vpmaddwd: weights zero-extended to 16 bits, activations stored as 16 bits. It
 * is exact where vpmaddubsw would saturate. A column's sum is two halves (of k mod 4 in 0, 1 and in
 * 2, 3), added at the end of the group; each starts at -64 * (sum of the group's activations).
 */
#ifndef QTF_GEMM_Q8_AVX2_H
#define QTF_GEMM_Q8_AVX2_H

#include "kernels/gemm_store.h"

enum { QTF_AVX2_ROWS = 6, QTF_AVX2_COLS = 8 };

QTF_INLINE void avx2_q8_cols(const qtf_tile *t, int col, float *sums, const int rows) {
    const size_t stride = t->x_stride / sizeof(int16_t);
    const uint8_t *w = (const uint8_t *)t->w + 4 * col;
    for (int64_t g = 0; g < t->n_groups; g++) {
        const int64_t k0 = g * t->group;
        const int64_t left = t->k - k0;
        const int64_t steps = ((left < t->group ? left : t->group) + 3) / 4;
        const int16_t *x = (const int16_t *)t->x + k0;
        __m256i acc[QTF_AVX2_ROWS][2];
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            acc[r][0] = acc[r][1] = _mm256_set1_epi32(t->x_starts[r * t->n_groups + g]);
        }
        for (int64_t i = 0; i < steps; i++) {
            __m256i w0 = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)w));
            __m256i w1 = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(w + 16)));
            QTF_UNROLL for (int r = 0; r < rows; r++) {
                long long four;
                memcpy(&four, x + (size_t)r * stride, sizeof four);
                __m256i a = _mm256_set1_epi64x(four);
                acc[r][0] = _mm256_add_epi32(acc[r][0], _mm256_madd_epi16(w0, a));
                acc[r][1] = _mm256_add_epi32(acc[r][1], _mm256_madd_epi16(w1, a));
            }
            w += 4 * QTF_PANEL;
            x += 4;
        }
        __m256 scales = _mm256_loadu_ps(t->w_scales + QTF_PANEL * g + col);
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            __m256i dot = _mm256_hadd_epi32(acc[r][0], acc[r][1]);
            dot = _mm256_permute4x64_epi64(dot, 0xd8); /* columns 0 1 4 5, 2 3 6 7 to order */
            __m256 scale = _mm256_mul_ps(_mm256_set1_ps(t->x_scales[r * t->n_groups + g]), scales);
            float *sum = sums + QTF_PANEL * r + col;
            _mm256_store_ps(sum,
                            _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), scale, _mm256_load_ps(sum)));
        }
    }
}

QTF_INLINE void avx2_q8_rows(const qtf_tile *t, const int rows) {
    _Alignas(64) float sums[QTF_AVX2_ROWS * QTF_PANEL] = {0};
    for (int col = 0; col < t->cols; col += QTF_AVX2_COLS) {
        avx2_q8_cols(t, col, sums, rows);
    }
    gemm_store(t, sums);
}

#endif
