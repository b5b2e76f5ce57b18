/*
 * Float matrix products, compiled once for each instruction set. Include after defining
 * QTF_F32_ROWS and QTF_F32_VECS, the tile that fits its registers: rows × vectors of 16 columns.
 *
 * Each output has one accumulator: fma(x, w, acc) in ascending k within a block of QTF_K_BLOCK,
 * then the blocks' sums in order.
 */
#ifndef QTF_GEMM_F32_BODY_H
#define QTF_GEMM_F32_BODY_H

#include "kernels/gemm_store.h"

/* n k-steps of rows × QTF_F32_VECS accumulators, added to sums [rows][32]. */
QTF_INLINE void gemm_f32_block(const float *x, size_t stride, const float *w, int64_t n,
                               float *sums, const int rows) {
    vf acc[QTF_F32_ROWS][QTF_F32_VECS];
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        QTF_UNROLL for (int v = 0; v < QTF_F32_VECS; v++) {
            acc[r][v] = vf_set1(0.0f);
        }
    }
    /* Rows by threes, at base, base + stride and base + 2 stride, which x86 can address: a register
     * for each row would be too many. The compiler may not see through it. */
    const float *base[(QTF_F32_ROWS + 2) / 3];
    QTF_UNROLL for (int b = 0; 3 * b < rows; b++) {
        base[b] = x + 3 * (size_t)b * stride;
        QTF_OPAQUE(base[b]);
    }
    for (int64_t i = n; i > 0; i--) {
        vf column[QTF_F32_VECS];
        QTF_UNROLL for (int v = 0; v < QTF_F32_VECS; v++) {
            column[v] = vf_load(w + VF * v);
        }
        w += QTF_PANEL;
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            vf value = vf_set1(base[r / 3][(size_t)(r % 3) * stride]);
            if (r % 3 == 2 || r == rows - 1) {
                base[r / 3]++;
            }
            QTF_UNROLL for (int v = 0; v < QTF_F32_VECS; v++) {
                acc[r][v] = vf_fma(value, column[v], acc[r][v]);
            }
        }
    }
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        QTF_UNROLL for (int v = 0; v < QTF_F32_VECS; v++) {
            float *sum = sums + QTF_PANEL * r + VF * v;
            vf_store(sum, vf_add(vf_load(sum), acc[r][v]));
        }
    }
}

QTF_INLINE void gemm_f32_rows(const qtf_tile *t, const int rows) {
    _Alignas(64) float sums[QTF_F32_ROWS * QTF_PANEL] = {0};
    const size_t stride = t->x_stride / sizeof(float);
    gemm_fetch_out(t, 0, rows);
    for (int64_t k0 = 0; k0 < t->k; k0 += QTF_K_BLOCK) {
        const int64_t n = t->k - k0 < QTF_K_BLOCK ? t->k - k0 : QTF_K_BLOCK;
        for (int c = 0; c < t->cols; c += VF * QTF_F32_VECS) {
            gemm_f32_block((const float *)t->x + k0, stride,
                           (const float *)t->w + QTF_PANEL * k0 + c, n, sums + c, rows);
        }
    }
    gemm_store(t, sums);
}

#endif
