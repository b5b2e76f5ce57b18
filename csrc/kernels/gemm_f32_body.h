/*
 * Float matrix products, compiled once for each instruction set. Include after defining
 * QTF_F32_ROWS and QTF_F32_VECS, what fits its registers: rows × vectors of 16 columns;
 * QTF_F32_CASES, the cases for up to so many rows; QTF_F32_TILE_ROWS, those of a tile, which share
 * a block of weights in L1; and QTF_F32_UNROLL, empty or how to unroll the loop over k. Where
 * QTF_F32_VECS is less than a panel: QTF_F32_FEW, up to how many rows in a tile passes take two
 * rows and the whole panel instead, so that weights are read one behind the other.
 *
 * Each output has one accumulator: fma(x, w, acc) in ascending k within a block of QTF_K_BLOCK,
 * then the blocks' sums in order.
 */
#ifndef QTF_GEMM_F32_BODY_H
#define QTF_GEMM_F32_BODY_H

#include "kernels/gemm_store.h"

#ifndef QTF_F32_FEW
#define QTF_F32_FEW 0
#endif

/* n k-steps of rows × vecs accumulators, added to sums [rows][32]. */
QTF_INLINE void gemm_f32_block(const float *x, size_t stride, const float *w, int64_t n,
                               float *sums, const int rows, const int vecs) {
    vf acc[QTF_F32_ROWS][QTF_PANEL / VF];
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        QTF_UNROLL for (int v = 0; v < vecs; v++) {
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
    QTF_F32_UNROLL for (int64_t i = n; i > 0; i--) {
        vf column[QTF_PANEL / VF];
        QTF_UNROLL for (int v = 0; v < vecs; v++) {
            column[v] = vf_load(w + VF * v);
        }
        w += QTF_PANEL;
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            vf value = vf_set1(base[r / 3][(size_t)(r % 3) * stride]);
            if (r % 3 == 2 || r == rows - 1) {
                base[r / 3]++;
            }
            QTF_UNROLL for (int v = 0; v < vecs; v++) {
                acc[r][v] = vf_fma(value, column[v], acc[r][v]);
            }
        }
    }
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        QTF_UNROLL for (int v = 0; v < vecs; v++) {
            float *sum = sums + QTF_PANEL * r + VF * v;
            vf_store(sum, vf_add(vf_load(sum), acc[r][v]));
        }
    }
}

/* What one pass over some of a tile's rows needs. */
typedef struct {
    const qtf_tile *tile;
    int64_t k0, k1;
    int row, rows, col;
    float *sums; /* of the tile's row 0 and column 0 */
} gemm_f32_pass;

QTF_INLINE void gemm_f32_columns(const gemm_f32_pass *pass, const int rows, const int vecs) {
    const qtf_tile *t = pass->tile;
    const size_t stride = t->x_stride / sizeof(float);
    gemm_f32_block((const float *)t->x + (size_t)pass->row * stride + pass->k0, stride,
                   (const float *)t->w + QTF_PANEL * pass->k0 + pass->col, pass->k1 - pass->k0,
                   pass->sums + QTF_PANEL * pass->row + pass->col, rows, vecs);
}

QTF_INLINE void gemm_f32_rows(const gemm_f32_pass *pass, const int rows) {
    gemm_f32_columns(pass, rows, QTF_F32_VECS);
}

QTF_INLINE void gemm_f32_few(const gemm_f32_pass *pass, const int rows) {
    gemm_f32_columns(pass, rows, QTF_PANEL / VF);
}

QTF_INLINE void gemm_f32_tile(const qtf_tile *t) {
    _Alignas(64) float sums[QTF_F32_TILE_ROWS * QTF_PANEL];
    const bool few = QTF_F32_FEW > 0 && t->rows <= QTF_F32_FEW;
    const int pass_rows = few ? 2 : QTF_F32_ROWS, pass_cols = few ? QTF_PANEL : VF * QTF_F32_VECS;
    const int n_passes = (t->rows + pass_rows - 1) / pass_rows;
    memset(sums, 0, (size_t)t->rows * QTF_PANEL * sizeof *sums);
    for (int64_t k0 = 0; k0 < t->k; k0 += QTF_K_BLOCK) {
        const int64_t k1 = t->k - k0 < QTF_K_BLOCK ? t->k : k0 + QTF_K_BLOCK;
        for (int col = 0; col < t->cols; col += pass_cols) {
            for (int i = 0; i < n_passes; i++) {
                const int row = t->rows * i / n_passes;
                const gemm_f32_pass pass = {t,   k0,  k1, row, t->rows * (i + 1) / n_passes - row,
                                            col, sums};
                if (k1 == t->k && col + pass_cols >= t->cols) {
                    gemm_fetch_out(t, row, pass.rows);
                }
                if (few) {
                    switch (pass.rows) { QTF_CASES_2(gemm_f32_few, &pass) }
                } else {
                    switch (pass.rows) { QTF_F32_CASES(gemm_f32_rows, &pass) }
                }
            }
        }
    }
    gemm_store(t, sums);
}

#endif
