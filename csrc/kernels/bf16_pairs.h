/*
 * Dot products of bfloat16 with AVX512_BF16. A word of 32 bits holds two numbers, the first in its
 * upper half, because vdpbf16ps takes that one first: it is two fused multiply-adds, in that order,
 * which flush subnormals. Of numbers as core/kvcache.h rounds them there are none to flush.
 */
#ifndef QTF_BF16_PAIRS_H
#define QTF_BF16_PAIRS_H

#include "kernels/vec.h"

/* acc plus the products of two numbers, the first ones first. */
QTF_INLINE vf vf_dot(vf x, vf y, vf acc) {
    return _mm512_dpbf16_ps(acc, (__m512bh)x, (__m512bh)y);
}

/* Words of the numbers nearest to first and second, halves to even. */
QTF_INLINE vf vf_pair(vf first, vf second) {
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(first, second);
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, halves));
}

QTF_INLINE __m512i load_halves(const uint16_t *x, int n) {
    return n >= 2 * VF ? _mm512_loadu_si512(x)
                       : _mm512_maskz_loadu_epi16((__mmask32)((1u << n) - 1u), x);
}

/* n rows [head_dim] as words of neighbours in a row, padded with zeros. */
QTF_INLINE void pair_keys_body(const uint16_t *x, ptrdiff_t stride, int n, int head_dim, float *out,
                               ptrdiff_t out_stride) {
    for (int r = 0; r < n; r++) {
        for (int d = 0; d < head_dim; d += 2 * VF) {
            __m512i halves = load_halves(x + r * stride + d, head_dim - d);
            _mm512_storeu_si512(out + r * out_stride + d / 2, _mm512_rol_epi32(halves, 16));
        }
    }
}

/* n rows [head_dim] as words of two rows each, the last one's second being zeros if n is odd. */
QTF_INLINE void pair_values_body(const uint16_t *x, ptrdiff_t stride, int n, int head_dim,
                                 float *out, ptrdiff_t out_stride) {
    const __m512i low =
        _mm512_set_epi16(15, 47, 14, 46, 13, 45, 12, 44, 11, 43, 10, 42, 9, 41, 8, 40, 7, 39, 6, 38,
                         5, 37, 4, 36, 3, 35, 2, 34, 1, 33, 0, 32);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(VF));
    for (int r = 0; r < n; r += 2) {
        float *row = out + r / 2 * out_stride;
        for (int d = 0; d < head_dim; d += 2 * VF) {
            __m512i first = load_halves(x + r * stride + d, head_dim - d);
            __m512i second = r + 1 < n ? load_halves(x + (r + 1) * stride + d, head_dim - d)
                                       : _mm512_setzero_si512();
            _mm512_storeu_si512(row + d, _mm512_permutex2var_epi16(first, low, second));
            if (head_dim - d > VF) {
                _mm512_storeu_si512(row + d + VF, _mm512_permutex2var_epi16(first, high, second));
            }
        }
    }
}

#endif
