/*
 * q8 products with vpdpbusd: weights, unsigned, in registers; activations, signed, broadcast from
 * memory. Sums start at -128 * (sum of the group's activations), which takes back the 128 that was
 * added to each weight. |sum| <= 255 * 127 * 4096 < 2^31.
 */
#ifndef QTF_GEMM_Q8_AVX512VNNI_H
#define QTF_GEMM_Q8_AVX512VNNI_H

#include "kernels/gemm_store.h"

/* Of a q8 tile, so few that the floats of all groups stay in registers beside the integers of one:
 * in memory they cost 3 to 5 % of a product. */
enum { VNNI_Q8_ROWS = 6 };

/*
 * Four k of one row with both halves of the panel. In assembly because compilers move the
 * broadcasts of all rows to the front and then spill accumulators.
 */
#define VNNI_DOT(acc0, acc1, w0, w1, x)                                                            \
    do {                                                                                           \
        __m512i vnni_four;                                                                         \
        __asm__("vpbroadcastd %[four_], %[x_]\n\t"                                                 \
                "vpdpbusd %[x_], %[w0_], %[a0_]\n\t"                                               \
                "vpdpbusd %[x_], %[w1_], %[a1_]"                                                   \
                : [a0_] "+v"(acc0), [a1_] "+v"(acc1), [x_] "=&v"(vnni_four)                        \
                : [w0_] "v"(w0), [w1_] "v"(w1), [four_] "m"(*(const int8_t (*)[4])(x)));           \
    } while (0)

QTF_INLINE void vnni_q8_step(__m512i acc[][2], const int8_t *x, size_t stride, const uint8_t *w,
                             const int rows) {
    __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 64);
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        VNNI_DOT(acc[r][0], acc[r][1], w0, w1, x + (size_t)r * stride);
    }
}

QTF_INLINE void vnni_q8_rows(const qtf_tile *t, const int rows) {
    const uint8_t *w = t->w;
    const size_t stride = t->x_stride;
    const char *fetch = t->fetch;
    gemm_fetch_out(t, 0, rows);
    __m512 sums[VNNI_Q8_ROWS][2];
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        sums[r][0] = sums[r][1] = _mm512_setzero_ps();
    }
    for (int64_t g = 0; g < t->n_groups; g++) {
        const int64_t k0 = g * t->group;
        const int64_t left = t->k - k0;
        int64_t steps = ((left < t->group ? left : t->group) + 3) / 4;
        const int8_t *x = (const int8_t *)t->x + k0;
        const float *scales = t->w_scales + QTF_PANEL * g;
        __builtin_prefetch(scales);
        __builtin_prefetch(scales + VF);
        for (int i = 0; i < t->fetch_lines; i++, fetch += 64) {
            __builtin_prefetch(fetch, 0, 2);
        }
        __m512i acc[VNNI_Q8_ROWS][2];
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            acc[r][0] = acc[r][1] = _mm512_set1_epi32(t->x_starts[r * t->n_groups + g]);
        }
        do {
            vnni_q8_step(acc, x, stride, w, rows);
            w += 128;
            x += 4;
        } while (--steps);
        __m512 s0 = _mm512_loadu_ps(scales), s1 = _mm512_loadu_ps(scales + VF);
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            __m512 scale = _mm512_set1_ps(t->x_scales[r * t->n_groups + g]);
            sums[r][0] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[r][0]), _mm512_mul_ps(scale, s0),
                                         sums[r][0]);
            sums[r][1] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[r][1]), _mm512_mul_ps(scale, s1),
                                         sums[r][1]);
        }
    }
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        gemm_store_vector(t, r, 0, sums[r][0]);
        gemm_store_vector(t, r, VF, sums[r][1]);
    }
}

#endif
