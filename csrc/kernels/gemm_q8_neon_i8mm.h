/*
 * Integer sums of q8 products with usmmla: two columns (unsigned, as they are stored) times two
 * rows (signed), eight k at once. As with vpdpbusd, x_starts takes back the 128 that was added.
 */
#ifndef QTF_GEMM_Q8_NEON_I8MM_H
#define QTF_GEMM_Q8_NEON_I8MM_H

#include <stdint.h>

#include "core/compiler.h"
#include "kernels/gemm.h"

enum { NEON_Q8_ROWS = 8, NEON_Q8_PAIRS = NEON_Q8_ROWS / 2, NEON_Q4_ROWS = 6, NEON_ZERO = 0 };

/* Assembly, because some compilers have the intrinsic only in files compiled for it throughout. */
#define NEON_USMMLA(acc, w, x) __asm__("usmmla %0.4s, %1.16b, %2.16b" : "+w"(acc) : "w"(w), "w"(x))

/* Eight k of the columns 4 v … 4 v + 3, from two steps, with the row pairs x8. */
QTF_INLINE void neon_usmmla(int32x4_t acc[][8][2], const int v, uint32x4_t step0, uint32x4_t step1,
                            const int8x16_t *x8, const int pairs) {
    const uint32x4_t w01 = vzip1q_u32(step0, step1), w23 = vzip2q_u32(step0, step1);
    QTF_UNROLL for (int p = 0; p < pairs; p++) {
        NEON_USMMLA(acc[p][v][0], w01, x8[p]);
        NEON_USMMLA(acc[p][v][1], w23, x8[p]);
    }
}

QTF_INLINE uint32x4_t neon_weights(const uint8_t *w) {
    return vreinterpretq_u32_u8(vld1q_u8(w));
}

/*
 * dot[r][v] = sums over 4 * steps k of row r, x + r * stride, times columns 4 v … 4 v + 3 of a
 * panel, w: [steps][32][4] as they are: zero is 0. The last of an odd number of rows is a pair with
 * itself.
 */
QTF_INLINE void neon_dot(const int8_t *x, size_t stride, const uint8_t *w, int64_t steps,
                         int32x4_t dot[][8], const int rows, const int vecs, const uint8_t zero) {
    (void)zero;
    const int pairs = (rows + 1) / 2;
    const int8_t *odd = x + (rows > 1 ? stride : 0);
    /* Column by column: both rows of 4 v, both of 4 v + 1; then of 4 v + 2 and 4 v + 3. */
    int32x4_t acc[NEON_Q8_PAIRS][8][2];
    int8x16_t x8[NEON_Q8_PAIRS];
    QTF_UNROLL for (int p = 0; p < pairs; p++) {
        QTF_UNROLL for (int v = 0; v < vecs; v++) {
            acc[p][v][0] = acc[p][v][1] = vdupq_n_s32(0);
        }
    }
    for (; steps >= 2; steps -= 2, x += 8, odd += 8, w += 8 * QTF_PANEL) {
        QTF_UNROLL for (int p = 0; p < pairs; p++) {
            const size_t at = 2 * (size_t)p * stride;
            x8[p] = vcombine_s8(vld1_s8(x + at), vld1_s8(2 * p + 1 < rows ? odd + at : x + at));
        }
        QTF_UNROLL for (int v = 0; v < vecs; v++) {
            neon_usmmla(acc, v, neon_weights(w + 16 * v), neon_weights(w + 16 * v + 4 * QTF_PANEL),
                        x8, pairs);
        }
    }
    if (steps) { /* four k, and four times zero */
        QTF_UNROLL for (int p = 0; p < pairs; p++) {
            const size_t at = 2 * (size_t)p * stride;
            const int8_t *second = 2 * p + 1 < rows ? odd + at : x + at;
            int32x4_t fours = vdupq_n_s32(0);
            fours = vld1q_lane_s32((const int32_t *)(x + at), fours, 0);
            x8[p] = vreinterpretq_s8_s32(vld1q_lane_s32((const int32_t *)second, fours, 2));
        }
        QTF_UNROLL for (int v = 0; v < vecs; v++) {
            neon_usmmla(acc, v, neon_weights(w + 16 * v), vdupq_n_u32(0), x8, pairs);
        }
    }
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        QTF_UNROLL for (int v = 0; v < vecs; v++) {
            const int32x4_t *sums = acc[r / 2][v];
            dot[r][v] = r % 2 ? vuzp2q_s32(sums[0], sums[1]) : vuzp1q_s32(sums[0], sums[1]);
        }
    }
}

#endif
