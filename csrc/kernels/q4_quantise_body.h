/* Quantising activations for q4, compiled once for each instruction set. */
#ifndef QTF_Q4_QUANTISE_BODY_H
#define QTF_Q4_QUANTISE_BODY_H

#include "kernels/gemm_quantise_body.h"
#include "kernels/q4.h"

/* See qtf_gemm.quantise_row_q4. */
QTF_INLINE int quantise_row_q4_body(const float *x, int64_t k, int8_t *q, float *scales,
                                    int32_t *starts) {
    const int64_t n_groups = (k + QTF_Q4_GROUP - 1) / QTF_Q4_GROUP, padded = (k + 3) / 4 * 4;
    if (!quantise_row_body(x, k, QTF_Q4_GROUP, q, scales, starts, 0)) {
        return 0;
    }
    memset(q + padded, 0, (size_t)(n_groups * QTF_Q4_GROUP - padded));
    for (int64_t pair = 0; pair < n_groups * QTF_Q4_RUNS / 2; pair++, q += 2 * QTF_Q4_RUN) {
        int16_t sums[2] = {0, 0}; /* negative, of two runs */
        for (int i = 0; i < QTF_Q4_RUN; i++) {
            sums[0] = (int16_t)(sums[0] - q[i]);
            sums[1] = (int16_t)(sums[1] - q[QTF_Q4_RUN + i]);
        }
        memcpy(starts + pair, sums, sizeof sums);
    }
    return 1;
}

#endif
