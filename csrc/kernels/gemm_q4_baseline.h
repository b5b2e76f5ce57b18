/* q4 products in portable C. The group's float step is a product and a sum, rounded each. */
#ifndef QTF_GEMM_Q4_BASELINE_H
#define QTF_GEMM_Q4_BASELINE_H

#include "kernels/gemm_store.h"
#include "kernels/q4.h"

/* acc [32] += the runs' scales times their products with x [128]. */
QTF_INLINE void baseline_q4_block(const qtf_q4_block *b, const int8_t *x, int32_t *acc) {
    for (int run = 0; run < QTF_Q4_RUNS; run++) {
        int32_t low[16] = {0}, high[16] = {0};
        for (int i = 0; i < QTF_Q4_RUN; i++) {
            const uint8_t *codes = b->codes[(QTF_Q4_RUN * run + i) / 4] + i % 4;
            for (int c = 0; c < 16; c++) {
                low[c] += x[QTF_Q4_RUN * run + i] * (codes[4 * c] & 15);
                high[c] += x[QTF_Q4_RUN * run + i] * (codes[4 * c] >> 4);
            }
        }
        for (int c = 0; c < 16; c++) {
            acc[c] += b->scales[run][c] * low[c];
            acc[16 + c] += b->scales[run][16 + c] * high[c];
        }
    }
}

QTF_INLINE void baseline_q4_row(const qtf_tile *t) {
    _Alignas(64) float sums[QTF_PANEL] = {0};
    const qtf_q4_block *b = t->w;
    for (int64_t g = 0; g < t->n_groups; g++, b++) {
        int32_t acc[QTF_PANEL] = {0};
        for (int pair = 0; pair < QTF_Q4_RUNS / 2; pair++) {
            int16_t starts[2];
            memcpy(starts, t->x_starts + QTF_Q4_RUNS / 2 * g + pair, sizeof starts);
            for (int c = 0; c < QTF_PANEL; c++) {
                acc[c] += b->minima[pair][c][0] * starts[0] + b->minima[pair][c][1] * starts[1];
            }
        }
        baseline_q4_block(b, (const int8_t *)t->x + QTF_Q4_GROUP * g, acc);
        for (int c = 0; c < QTF_PANEL; c++) {
            uint32_t bits = (uint32_t)b->d[c] << 16;
            float d;
            memcpy(&d, &bits, sizeof d);
            sums[c] += (float)acc[c] * (t->x_scales[g] * d);
        }
    }
    gemm_store(t, sums);
}

#endif
