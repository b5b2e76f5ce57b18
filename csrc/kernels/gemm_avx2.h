/* What integer products with 256-bit vectors share. */
#ifndef QTF_GEMM_AVX2_H
#define QTF_GEMM_AVX2_H

#include "kernels/gemm_store.h"

QTF_INLINE __m256i avx2_load(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

/* sums [rows][32] += scale * d * acc, 16 columns of them; x_scales of the rows n_groups apart. */
QTF_INLINE void avx2_add(float *sums, __m256i acc[][2], const float *x_scales, int64_t n_groups,
                         __m256 d0, __m256 d1, const int rows) {
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        const __m256 scale = _mm256_broadcast_ss(x_scales + r * n_groups);
        float *sum = sums + QTF_PANEL * r;
        _mm256_store_ps(sum, _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[r][0]),
                                             _mm256_mul_ps(scale, d0), _mm256_load_ps(sum)));
        _mm256_store_ps(sum + 8,
                        _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[r][1]), _mm256_mul_ps(scale, d1),
                                        _mm256_load_ps(sum + 8)));
    }
}

#endif
