/*
 * q8 products on NEON. A file includes this after the header of its instruction set, which defines
 *
 *   NEON_Q8_ROWS  most rows of a tile, 4 or 8, so that rows × vectors fit the registers;
 *   NEON_Q4_ROWS  the same for q4, which has sums over two lengths at a time;
 *   NEON_ZERO     what neon_dot is to take from the bytes of q8 weights, 128 or 0;
 *   neon_dot      the products' integer sums.
 *
 * Few rows take more columns at a time, which keeps as many sums apart.
 */
#ifndef QTF_GEMM_Q8_NEON_BODY_H
#define QTF_GEMM_Q8_NEON_BODY_H

#include "kernels/gemm_store.h"

/* Vectors of four columns that rows take at a time. */
#define NEON_VECS(rows) (4 * (rows) <= NEON_Q8_ROWS ? 8 : 2 * (rows) <= NEON_Q8_ROWS ? 4 : 2)

/* What ends a group: sum + (float)dot * (x_scale * w_scale), rounded as matmul.h says. */
QTF_INLINE void neon_add_group(float *sum, int32x4_t dot, float x_scale, float32x4_t w_scales) {
    float32x4_t scale = vmulq_f32(vdupq_n_f32(x_scale), w_scales);
    vst1q_f32(sum, vfmaq_f32(vld1q_f32(sum), vcvtq_f32_s32(dot), scale));
}

QTF_INLINE void neon_q8_rows(const qtf_tile *t, const int rows) {
    _Alignas(64) float sums[NEON_Q8_ROWS * QTF_PANEL] = {0};
    const int vecs = NEON_VECS(rows);
    const uint8_t *w = t->w;
    gemm_fetch_out(t, 0, rows);
    for (int64_t g = 0; g < t->n_groups; g++) {
        const int64_t k0 = g * t->group, left = t->k - k0;
        const int64_t steps = ((left < t->group ? left : t->group) + 3) / 4;
        for (int c = 0; c < t->cols; c += 4 * vecs) {
            int32x4_t dot[NEON_Q8_ROWS][8];
            neon_dot((const int8_t *)t->x + k0, t->x_stride, w + 4 * c, steps, dot, rows, vecs,
                     NEON_ZERO);
            QTF_UNROLL for (int v = 0; v < vecs; v++) {
                const int col = c + 4 * v;
                const float32x4_t w_scales = vld1q_f32(t->w_scales + QTF_PANEL * g + col);
                QTF_UNROLL for (int r = 0; r < rows; r++) {
                    const int64_t at = r * t->n_groups + g;
                    neon_add_group(sums + QTF_PANEL * r + col,
                                   vaddq_s32(dot[r][v], vdupq_n_s32(t->x_starts[at])),
                                   t->x_scales[at], w_scales);
                }
            }
        }
        w += 4 * QTF_PANEL * steps;
    }
    gemm_store(t, sums);
}

#endif
