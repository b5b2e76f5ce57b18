/*
 * q8 products with one row, when reading the weights is all that takes time: they are fetched
 * ahead, since the processor's own prefetching ends with a page. As vnni_q8_rows otherwise.
 */
#ifndef QTF_GEMM_ONE_AVX512VNNI_H
#define QTF_GEMM_ONE_AVX512VNNI_H

#include "kernels/gemm_q8_avx512vnni.h"

enum { VNNI_AHEAD = 3072 }; /* bytes that weights are fetched ahead */

QTF_INLINE void vnni_q8_one(const qtf_tile *t) {
    _Alignas(64) float sums[QTF_PANEL] = {0};
    const uint8_t *w = t->w;
    const int8_t *x = t->x;
    for (int64_t g = 0; g < t->n_groups; g++) {
        const int64_t left = t->k - g * t->group;
        int64_t steps = ((left < t->group ? left : t->group) + 3) / 4;
        __m512i acc[2];
        acc[0] = acc[1] = _mm512_set1_epi32(t->x_starts[g]);
        do {
            __builtin_prefetch(w + VNNI_AHEAD);
            __builtin_prefetch(w + VNNI_AHEAD + 64);
            VNNI_DOT(acc[0], acc[1], _mm512_loadu_si512(w), _mm512_loadu_si512(w + 64), x);
            w += 4 * QTF_PANEL;
            x += 4;
        } while (--steps);
        const __m512 scale = _mm512_set1_ps(t->x_scales[g]);
        QTF_UNROLL for (int v = 0; v < 2; v++) {
            const __m512 d = _mm512_loadu_ps(t->w_scales + QTF_PANEL * g + VF * v);
            float *sum = sums + VF * v;
            _mm512_store_ps(sum, _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[v]),
                                                 _mm512_mul_ps(scale, d), _mm512_load_ps(sum)));
        }
    }
    gemm_store(t, sums);
}

#endif
