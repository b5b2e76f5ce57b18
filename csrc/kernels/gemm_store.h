/* The end of a tile, compiled once for each instruction set. */
#ifndef QTF_GEMM_STORE_H
#define QTF_GEMM_STORE_H

#include "kernels/gemm.h"
#include "kernels/vec.h"

/* Fetch rows of out, which are written at the end of the tile, while its products are computed. */
QTF_INLINE void gemm_fetch_out(const qtf_tile *t, int row, int rows) {
    for (int r = row; r < row + rows; r++) {
        const char *line = (const char *)(t->out + (size_t)r * t->stride);
        __builtin_prefetch(line, 1);
        __builtin_prefetch(line + 64, 1);
        __builtin_prefetch(line + (size_t)(t->cols - 1) * sizeof(float), 1);
    }
}

/* VF sums of a row, from column col on, with bias and residual to out. */
QTF_INLINE void gemm_store_vector(const qtf_tile *t, int row, int col, vf v) {
    const size_t at = (size_t)row * t->stride + (size_t)col;
    const int n = t->cols - col;
    if (n >= VF) {
        v = t->bias ? vf_add(v, vf_load(t->bias + col)) : v;
        v = t->residual ? vf_add(v, vf_load(t->residual + at)) : v;
        vf_store(t->out + at, v);
    } else if (n > 0) {
        v = t->bias ? vf_add(v, vf_load_n(t->bias + col, n)) : v;
        v = t->residual ? vf_add(v, vf_load_n(t->residual + at, n)) : v;
        vf_store_n(t->out + at, v, n);
    }
}

/* The tile's sums [rows][32] with bias and residual to out. Apart, so that it takes none of the
 * registers that a kernel's loops need. */
static QTF_NOINLINE void gemm_store(const qtf_tile *t, const float *sums) {
    for (int r = 0; r < t->rows; r++) {
        for (int c = 0; c < QTF_PANEL; c += VF) {
            gemm_store_vector(t, r, c, vf_load(sums + QTF_PANEL * r + c));
        }
    }
}

#endif
