/* q8 products in portable C. The group's float step is a product and a sum, rounded each. */
#ifndef QTF_GEMM_Q8_BASELINE_H
#define QTF_GEMM_Q8_BASELINE_H

#include "kernels/gemm_store.h"

QTF_INLINE void baseline_q8_row(const qtf_tile *t) {
    _Alignas(64) float sums[QTF_PANEL] = {0};
    const uint8_t *w = t->w;
    const int8_t *x = t->x;
    for (int64_t g = 0; g < t->n_groups; g++) {
        const int64_t left = t->k - g * t->group;
        const int64_t steps = ((left < t->group ? left : t->group) + 3) / 4;
        int32_t acc[QTF_PANEL];
        for (int c = 0; c < QTF_PANEL; c++) {
            acc[c] = t->x_starts[g];
        }
        for (int64_t i = 0; i < steps; i++, w += 4 * QTF_PANEL, x += 4) {
            for (int c = 0; c < QTF_PANEL; c++) {
                acc[c] += x[0] * w[4 * c] + x[1] * w[4 * c + 1] + x[2] * w[4 * c + 2] +
                          x[3] * w[4 * c + 3];
            }
        }
        for (int c = 0; c < QTF_PANEL; c++) {
            sums[c] += (float)acc[c] * (t->x_scales[g] * t->w_scales[QTF_PANEL * g + c]);
        }
    }
    gemm_store(t, sums);
}

#endif
