/*
 * q4 products on NEON: a block is unpacked once for the rows of a tile, each code in the byte that
 * neon_dot takes for it, NEON_ZERO + code; a run's sum is then multiplied by its scale in 32 bits.
 * Include it after gemm_q8_neon_body.h.
 */
#ifndef QTF_GEMM_Q4_NEON_BODY_H
#define QTF_GEMM_Q4_NEON_BODY_H

#include "kernels/gemm_q8_neon_body.h"
#include "kernels/q4.h"

enum { NEON_Q4_TILE_ROWS = 6 * NEON_Q8_ROWS };

/* What one pass over some rows of a tile needs. */
typedef struct {
    const qtf_tile *tile;
    const qtf_q4_block *block;
    const uint8_t (*codes)[4 * QTF_PANEL]; /* [QTF_Q4_GROUP / 4] */
    int64_t group;
    int row, rows;
    float *sums; /* of the tile's row 0 */
} neon_q4_pass;

QTF_INLINE void neon_q4_unpack(const qtf_q4_block *b, uint8_t (*codes)[4 * QTF_PANEL]) {
    const uint8x16_t low = vdupq_n_u8(15), zero = vdupq_n_u8(NEON_ZERO);
    for (int i = 0; i < QTF_Q4_GROUP / 4; i++) {
        QTF_UNROLL for (int part = 0; part < 64; part += 16) {
            const uint8x16_t v = vld1q_u8(b->codes[i] + part);
            vst1q_u8(codes[i] + part, vorrq_u8(vandq_u8(v, low), zero));
            vst1q_u8(codes[i] + 64 + part, vorrq_u8(vshrq_n_u8(v, 4), zero));
        }
    }
}

/* Four columns' minima times the negative sums of two runs. */
QTF_INLINE int32x4_t neon_q4_minima(const uint8_t (*minima)[2], const int32_t *starts) {
    const int16x8_t m = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(minima[0])));
    const int16x8_t s = vreinterpretq_s16_s32(vdupq_n_s32(*starts));
    return vpaddq_s32(vmull_s16(vget_low_s16(m), vget_low_s16(s)), vmull_high_s16(m, s));
}

QTF_INLINE int32x4_t neon_q4_scales(const uint8_t *scales) {
    uint32_t four;
    memcpy(&four, scales, sizeof four);
    const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(four));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))));
}

QTF_INLINE void neon_q4_rows(const neon_q4_pass *pass, const int rows) {
    const qtf_tile *t = pass->tile;
    const qtf_q4_block *b = pass->block;
    const int8_t *x = (const int8_t *)t->x + (size_t)pass->row * t->x_stride;
    const int64_t at = pass->row * t->n_groups + pass->group;
    const int vecs = NEON_VECS(rows);
    x += QTF_Q4_GROUP * pass->group;
    for (int c = 0; c < t->cols; c += 4 * vecs) {
        int32x4_t total[NEON_Q8_ROWS][8], dot[NEON_Q8_ROWS][8];
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            const int32_t *starts = t->x_starts + QTF_Q4_RUNS / 2 * (at + r * t->n_groups);
            QTF_UNROLL for (int v = 0; v < vecs; v++) {
                const int col = c + 4 * v;
                total[r][v] = vaddq_s32(neon_q4_minima(b->minima[0] + col, starts),
                                        neon_q4_minima(b->minima[1] + col, starts + 1));
            }
        }
        for (int run = 0; run < QTF_Q4_RUNS; run++) {
            neon_dot(x + QTF_Q4_RUN * run, t->x_stride, pass->codes[QTF_Q4_RUN / 4 * run] + 4 * c,
                     QTF_Q4_RUN / 4, dot, rows, vecs);
            QTF_UNROLL for (int v = 0; v < vecs; v++) {
                const int32x4_t scales = neon_q4_scales(b->scales[run] + c + 4 * v);
                QTF_UNROLL for (int r = 0; r < rows; r++) {
                    total[r][v] = vmlaq_s32(total[r][v], dot[r][v], scales);
                }
            }
        }
        QTF_UNROLL for (int v = 0; v < vecs; v++) {
            const int col = c + 4 * v;
            const float32x4_t d = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(b->d + col), 16));
            QTF_UNROLL for (int r = 0; r < rows; r++) {
                neon_add_group(pass->sums + QTF_PANEL * (pass->row + r) + col, total[r][v],
                               t->x_scales[at + r * t->n_groups], d);
            }
        }
    }
}

/* run(pass) is neon_q4_rows with the pass's rows as a constant. */
QTF_INLINE void neon_q4_tile(const qtf_tile *t, void (*run)(const neon_q4_pass *)) {
    _Alignas(64) float sums[NEON_Q4_TILE_ROWS * QTF_PANEL];
    _Alignas(64) uint8_t codes[QTF_Q4_GROUP / 4][4 * QTF_PANEL];
    const int n_passes = (t->rows + NEON_Q8_ROWS - 1) / NEON_Q8_ROWS;
    memset(sums, 0, (size_t)t->rows * QTF_PANEL * sizeof *sums);
    for (int64_t g = 0; g < t->n_groups; g++) {
        const qtf_q4_block *b = (const qtf_q4_block *)t->w + g;
        neon_q4_unpack(b, codes);
        for (int i = 0; i < n_passes; i++) {
            const int row = t->rows * i / n_passes;
            run(&(neon_q4_pass){t, b, (const uint8_t (*)[4 * QTF_PANEL]) codes, g, row,
                                t->rows * (i + 1) / n_passes - row, sums});
        }
    }
    gemm_store(t, sums);
}

#endif
