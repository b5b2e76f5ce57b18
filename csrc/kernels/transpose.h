/*
 * transpose_16x16: out[j * out_stride + i] = x[i * x_stride + j] for i, j < 16. Include it after
 * vec.h, within the same target.
 */
#ifndef QTF_TRANSPOSE_H
#define QTF_TRANSPOSE_H

#include "kernels/vec.h"

#if defined(QTF_VEC_AVX512)

QTF_INLINE void transpose_16x16(const float *x, ptrdiff_t x_stride, float *out,
                                ptrdiff_t out_stride) {
    __m512 a[16], b[16];
    QTF_UNROLL for (int i = 0; i < 16; i++) {
        a[i] = _mm512_loadu_ps(x + i * x_stride);
    }
    /* Within each 128-bit part: pairs of rows, then fours. */
    QTF_UNROLL for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
    QTF_UNROLL for (int i = 0; i < 16; i += 4) {
        QTF_UNROLL for (int j = 0; j < 2; j++) {
            __m512d low = _mm512_castps_pd(b[i + j]), high = _mm512_castps_pd(b[i + j + 2]);
            a[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
            a[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
        }
    }
    /* a[4 g + c] holds column c + 4 p of rows 4 g … 4 g + 3 in part p; now move the parts. */
    QTF_UNROLL for (int c = 0; c < 4; c++) {
        b[c] = _mm512_shuffle_f32x4(a[c], a[4 + c], 0x88);
        b[4 + c] = _mm512_shuffle_f32x4(a[c], a[4 + c], 0xdd);
        b[8 + c] = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0x88);
        b[12 + c] = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0xdd);
    }
    QTF_UNROLL for (int c = 0; c < 4; c++) {
        _mm512_storeu_ps(out + c * out_stride, _mm512_shuffle_f32x4(b[c], b[8 + c], 0x88));
        _mm512_storeu_ps(out + (c + 8) * out_stride, _mm512_shuffle_f32x4(b[c], b[8 + c], 0xdd));
        _mm512_storeu_ps(out + (c + 4) * out_stride,
                         _mm512_shuffle_f32x4(b[4 + c], b[12 + c], 0x88));
        _mm512_storeu_ps(out + (c + 12) * out_stride,
                         _mm512_shuffle_f32x4(b[4 + c], b[12 + c], 0xdd));
    }
}

#elif defined(QTF_VEC_AVX2)

QTF_INLINE void transpose_8x8(const float *x, ptrdiff_t x_stride, float *out,
                              ptrdiff_t out_stride) {
    __m256 a[8], b[8];
    QTF_UNROLL for (int i = 0; i < 8; i++) {
        a[i] = _mm256_loadu_ps(x + i * x_stride);
    }
    QTF_UNROLL for (int i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
    QTF_UNROLL for (int i = 0; i < 8; i += 4) {
        QTF_UNROLL for (int j = 0; j < 2; j++) {
            __m256d low = _mm256_castps_pd(b[i + j]), high = _mm256_castps_pd(b[i + j + 2]);
            a[i + 2 * j] = _mm256_castpd_ps(_mm256_unpacklo_pd(low, high));
            a[i + 2 * j + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low, high));
        }
    }
    QTF_UNROLL for (int c = 0; c < 4; c++) {
        _mm256_storeu_ps(out + c * out_stride, _mm256_permute2f128_ps(a[c], a[4 + c], 0x20));
        _mm256_storeu_ps(out + (c + 4) * out_stride, _mm256_permute2f128_ps(a[c], a[4 + c], 0x31));
    }
}

QTF_INLINE void transpose_16x16(const float *x, ptrdiff_t x_stride, float *out,
                                ptrdiff_t out_stride) {
    for (int i = 0; i < 16; i += 8) {
        for (int j = 0; j < 16; j += 8) {
            transpose_8x8(x + i * x_stride + j, x_stride, out + j * out_stride + i, out_stride);
        }
    }
}

#else

QTF_INLINE void transpose_16x16(const float *x, ptrdiff_t x_stride, float *out,
                                ptrdiff_t out_stride) {
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 16; j++) {
            out[j * out_stride + i] = x[i * x_stride + j];
        }
    }
}

#endif
#endif
