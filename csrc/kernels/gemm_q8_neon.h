/*
 * Integer sums of q8 products with what every AArch64 has: products of bytes, two of them added in
 * 16 bits (2 * 127 * 127 < 2^15), then pairs of those in 32 bits.
 */
#ifndef QTF_GEMM_Q8_NEON_H
#define QTF_GEMM_Q8_NEON_H

#include <stdint.h>

#include "core/compiler.h"
#include "kernels/gemm.h"

enum { NEON_Q8_ROWS = 4, NEON_Q4_ROWS = 4, NEON_ZERO = 128 };

/* Four k of one row, for four columns. */
QTF_INLINE int8x16_t neon_four(const int8_t *x) {
    return vreinterpretq_s8_s32(vld1q_dup_s32((const int32_t *)x));
}

/* Four k of four columns. */
QTF_INLINE int8x16_t neon_weights(const uint8_t *w, const uint8_t zero) {
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(w), vdupq_n_u8(zero)));
}

/*
 * dot[r][v] = sums over 4 * steps k of row r, x + r * stride, times columns 4 v … 4 v + 3 of a
 * panel, w: [steps][32][4], where a byte is zero (0 or 128) more than the weight.
 */
QTF_INLINE void neon_dot(const int8_t *x, size_t stride, const uint8_t *w, int64_t steps,
                         int32x4_t dot[][8], const int rows, const int vecs, const uint8_t zero) {
    int32x4_t acc[NEON_Q8_ROWS][8][2]; /* of columns 4 v, 4 v + 1, and 4 v + 2, 4 v + 3 */
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        QTF_UNROLL for (int v = 0; v < vecs; v++) {
            acc[r][v][0] = acc[r][v][1] = vdupq_n_s32(0);
        }
    }
    for (; steps >= 2; steps -= 2, x += 8, w += 8 * QTF_PANEL) {
        int8x16_t x0[NEON_Q8_ROWS], x1[NEON_Q8_ROWS];
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            x0[r] = neon_four(x + (size_t)r * stride);
            x1[r] = neon_four(x + (size_t)r * stride + 4);
        }
        QTF_UNROLL for (int v = 0; v < vecs; v++) {
            const int8x16_t w0 = neon_weights(w + 16 * v, zero);
            const int8x16_t w1 = neon_weights(w + 16 * v + 4 * QTF_PANEL, zero);
            QTF_UNROLL for (int r = 0; r < rows; r++) {
                int16x8_t low = vmull_s8(vget_low_s8(w0), vget_low_s8(x0[r]));
                int16x8_t high = vmull_high_s8(w0, x0[r]);
                low = vmlal_s8(low, vget_low_s8(w1), vget_low_s8(x1[r]));
                high = vmlal_high_s8(high, w1, x1[r]);
                acc[r][v][0] = vpadalq_s16(acc[r][v][0], low);
                acc[r][v][1] = vpadalq_s16(acc[r][v][1], high);
            }
        }
    }
    if (steps) {
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            const int8x16_t four = neon_four(x + (size_t)r * stride);
            QTF_UNROLL for (int v = 0; v < vecs; v++) {
                const int8x16_t weights = neon_weights(w + 16 * v, zero);
                acc[r][v][0] =
                    vpadalq_s16(acc[r][v][0], vmull_s8(vget_low_s8(weights), vget_low_s8(four)));
                acc[r][v][1] = vpadalq_s16(acc[r][v][1], vmull_high_s8(weights, four));
            }
        }
    }
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        QTF_UNROLL for (int v = 0; v < vecs; v++) {
            dot[r][v] = vpaddq_s32(acc[r][v][0], acc[r][v][1]);
        }
    }
}

#endif
