/*
 * q4 products with vpdpbusd. Codes are unpacked and multiplied by their run's scale in registers,
 * two bytes with one 16-bit product: 15 * 17 fits a byte, so nothing carries over. Sums start at
 * the minima times the runs' negative sums of activations.
 */
#ifndef QTF_GEMM_Q4_AVX512VNNI_H
#define QTF_GEMM_Q4_AVX512VNNI_H

#include "kernels/gemm_one_avx512vnni.h"
#include "kernels/gemm_q8_avx512vnni.h"
#include "kernels/q4.h"

enum { VNNI_Q4_ROWS = 12 }; /* many, since each tile unpacks the weights */

/* A run's scales of 16 columns, each in both halves of a lane. */
QTF_INLINE __m512i vnni_q4_scales(const uint8_t *scales) {
    __m512i s = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)scales));
    return _mm512_or_si512(s, _mm512_slli_epi32(s, 16));
}

QTF_INLINE void vnni_q4_run(__m512i acc[][2], const int8_t *x, size_t stride, const qtf_q4_block *b,
                            int run, const int rows) {
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i s0 = vnni_q4_scales(b->scales[run]), s1 = vnni_q4_scales(b->scales[run] + 16);
    for (int step = 0; step < QTF_Q4_RUN / 4; step++, x += 4) {
        const uint8_t *codes = b->codes[QTF_Q4_RUN / 4 * run + step];
        const __m512i v = _mm512_loadu_si512(codes);
        __builtin_prefetch(codes + VNNI_AHEAD);
        const __m512i w0 = _mm512_mullo_epi16(_mm512_and_si512(v, low), s0);
        const __m512i w1 = _mm512_mullo_epi16(_mm512_and_si512(_mm512_srli_epi16(v, 4), low), s1);
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            VNNI_DOT(acc[r][0], acc[r][1], w0, w1, x + (size_t)r * stride);
        }
    }
}

/* Where a group's sums start. */
QTF_INLINE void vnni_q4_start(__m512i acc[][2], const qtf_q4_block *b, const int32_t *starts,
                              size_t starts_stride, const int rows) {
    for (int half = 0; half < 2; half++) {
        const uint8_t (*m)[32][2] = b->minima;
        const __m512i m0 =
            _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)m[0][16 * half]));
        const __m512i m1 =
            _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)m[1][16 * half]));
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            const int32_t *s = starts + (size_t)r * starts_stride;
            acc[r][half] = _mm512_add_epi32(_mm512_madd_epi16(m0, _mm512_set1_epi32(s[0])),
                                            _mm512_madd_epi16(m1, _mm512_set1_epi32(s[1])));
        }
    }
}

QTF_INLINE __m512 vnni_q4_d(const uint16_t *d) {
    __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)d));
    return _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
}

QTF_INLINE void vnni_q4_rows(const qtf_tile *t, const int rows) {
    _Alignas(64) float sums[VNNI_Q4_ROWS * QTF_PANEL];
    const size_t stride = t->x_stride, n_pairs = QTF_Q4_RUNS / 2 * (size_t)t->n_groups;
    const qtf_q4_block *b = t->w;
    gemm_fetch_out(t, 0, rows);
    for (int i = 0; i < rows * QTF_PANEL; i += VF) {
        vf_store(sums + i, vf_set1(0.0f));
    }
    for (int64_t g = 0; g < t->n_groups; g++, b++) {
        const int8_t *x = (const int8_t *)t->x + QTF_Q4_GROUP * g;
        __m512i acc[VNNI_Q4_ROWS][2];
        vnni_q4_start(acc, b, t->x_starts + QTF_Q4_RUNS / 2 * g, n_pairs, rows);
        for (int run = 0; run < QTF_Q4_RUNS; run++) {
            vnni_q4_run(acc, x + QTF_Q4_RUN * run, stride, b, run, rows);
        }
        const __m512 d0 = vnni_q4_d(b->d), d1 = vnni_q4_d(b->d + 16);
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            const __m512 scale = _mm512_set1_ps(t->x_scales[r * t->n_groups + g]);
            float *sum = sums + QTF_PANEL * r;
            _mm512_store_ps(sum, _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[r][0]),
                                                 _mm512_mul_ps(scale, d0), _mm512_load_ps(sum)));
            _mm512_store_ps(sum + VF,
                            _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[r][1]), _mm512_mul_ps(scale, d1),
                                            _mm512_load_ps(sum + VF)));
        }
        QTF_TO_MEMORY(sums); /* the registers belong to the next group's integers */
    }
    gemm_store(t, sums);
}

#endif
