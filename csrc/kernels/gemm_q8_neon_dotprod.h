/* Integer sums of q8 products with sdot: four products a lane, added in 32 bits. */
#ifndef QTF_GEMM_Q8_NEON_DOTPROD_H
#define QTF_GEMM_Q8_NEON_DOTPROD_H

#include <stdint.h>

#include "core/compiler.h"
#include "kernels/gemm.h"

enum { NEON_Q8_ROWS = 8, NEON_Q4_ROWS = 6, NEON_ZERO = 128 };

/* Assembly, because some compilers have the intrinsic only in files compiled for it throughout. */
#define NEON_SDOT(acc, w, x, four)                                                                 \
    __asm__("sdot %0.4s, %1.16b, %2.4b[" #four "]" : "+w"(acc) : "w"(w), "w"(x))

/* Four k of four columns. */
QTF_INLINE int8x16_t neon_weights(const uint8_t *w, const uint8_t zero) {
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(w), vdupq_n_u8(zero)));
}

/* Four k of a panel's columns with number four of the fours in x. */
#define NEON_STEP(four)                                                                            \
    QTF_UNROLL for (int v = 0; v < vecs; v++) {                                                    \
        const int8x16_t weights = neon_weights(w + 4 * QTF_PANEL * four + 16 * v, zero);           \
        QTF_UNROLL for (int r = 0; r < rows; r++) {                                                \
            NEON_SDOT(dot[r][v], weights, x16[r], four);                                           \
        }                                                                                          \
    }

/*
 * dot[r][v] = sums over 4 * steps k of row r, x + r * stride, times columns 4 v … 4 v + 3 of a
 * panel, w: [steps][32][4], where a byte is zero (0 or 128) more than the weight.
 */
QTF_INLINE void neon_dot(const int8_t *x, size_t stride, const uint8_t *w, int64_t steps,
                         int32x4_t dot[][8], const int rows, const int vecs, const uint8_t zero) {
    int8x16_t x16[NEON_Q8_ROWS];
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        QTF_UNROLL for (int v = 0; v < vecs; v++) {
            dot[r][v] = vdupq_n_s32(0);
        }
    }
    for (; steps >= 4; steps -= 4, x += 16, w += 16 * QTF_PANEL) {
        QTF_OPAQUE(x); /* rows are found from it, and not by an offset each, which take registers */
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            x16[r] = vld1q_s8(x + (size_t)r * stride);
        }
        NEON_STEP(0)
        NEON_STEP(1)
        NEON_STEP(2)
        NEON_STEP(3)
    }
    for (; steps; steps--, x += 4, w += 4 * QTF_PANEL) {
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            x16[r] = vreinterpretq_s8_s32(vld1q_dup_s32((const int32_t *)(x + (size_t)r * stride)));
        }
        NEON_STEP(0)
    }
}

#endif
