/*
 * q4 products on NEON: a block is unpacked once for the rows of a tile, a code a byte; a run's sum
 * is then multiplied by its scale in 32 bits.
 * Include it after gemm_q8_neon_body.h.
 */
#ifndef QTF_GEMM_Q4_NEON_BODY_H
#define QTF_GEMM_Q4_NEON_BODY_H

#include "kernels/gemm_q8_neon_body.h"
#include "kernels/q4.h"

enum { NEON_Q4_TILE_ROWS = 48 };

/* Vectors of four columns that rows take at a time: twelve totals at most, and as many sums of a
 * run, beside the rows' and a weight's register. */
#define NEON_Q4_VECS(rows) ((rows) == 1 ? 8 : (rows) == 2 ? 4 : 2)

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
    const uint8x16_t low = vdupq_n_u8(15);
    for (int i = 0; i < QTF_Q4_GROUP / 4; i++) {
        QTF_UNROLL for (int part = 0; part < 64; part += 16) {
            const uint8x16_t v = vld1q_u8(b->codes[i] + part);
            vst1q_u8(codes[i] + part, vandq_u8(v, low));
            vst1q_u8(codes[i] + 64 + part, vshrq_n_u8(v, 4));
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
    const int vecs = NEON_Q4_VECS(rows);
    x += QTF_Q4_GROUP * pass->group;
    for (int c = 0; c < t->cols; c += 4 * vecs) {
        int32x4_t total[NEON_Q4_ROWS][8], dot[NEON_Q4_ROWS][8];
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            const int32_t *starts = t->x_starts + QTF_Q4_RUNS / 2 * (at + r * t->n_groups);
            QTF_UNROLL for (int v = 0; v < vecs; v++) {
                const int col = c + 4 * v;
                total[r][v] = vaddq_s32(neon_q4_minima(b->minima[0] + col, starts),
                                        neon_q4_minima(b->minima[1] + col, starts + 1));
            }
        }
        const int8_t *x_run = x;
        const uint8_t *codes = pass->codes[0] + 4 * c, *scales = b->scales[0] + c;
        for (int left = QTF_Q4_RUNS; left; left--) {
            QTF_OPAQUE(left); /* or the loop ends with an array, whose end takes a register */
            neon_dot(x_run, t->x_stride, codes, QTF_Q4_RUN / 4, dot, rows, vecs, 0);
            QTF_UNROLL for (int v = 0; v < vecs; v++) {
                const int32x4_t scale = neon_q4_scales(scales + 4 * v);
                QTF_UNROLL for (int r = 0; r < rows; r++) {
                    total[r][v] = vmlaq_s32(total[r][v], dot[r][v], scale);
                }
            }
            x_run += QTF_Q4_RUN;
            codes += QTF_PANEL * QTF_Q4_RUN;
            scales += QTF_PANEL;
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
    const int n_passes = (t->rows + NEON_Q4_ROWS - 1) / NEON_Q4_ROWS;
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
