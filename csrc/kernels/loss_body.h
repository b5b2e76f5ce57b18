/* Bodies of the kernels that reduce a tile of logits, compiled once for each instruction set. */
#ifndef QTF_LOSS_BODY_H
#define QTF_LOSS_BODY_H

#include "kernels/vec.h"

/* What the second pass adds up. */
typedef struct {
    vf sum, weighted;
    int below;
} loss_sums;

/*
 * exp(d) is taken as 2^(d log2 e): the product's rounding is off by |d| 2^-24 at most, relatively,
 * which for d < 0 is small against the sum.
 */
QTF_INLINE void loss_add(loss_sums *sums, vf x, vf max) {
    vf zero = vf_set1(0.0f), d = vf_sub(x, max);
    vf p = vf_exp2(vf_mul(d, vf_set1(1.44269504088896341f)), -126.0f);
    sums->below += __builtin_popcount(vf_mask_greater(zero, d));
    sums->sum = vf_add(sums->sum, vf_where_less(d, zero, p, zero));
    sums->weighted = vf_fma(d, p, sums->weighted);
}

QTF_INLINE int count_greater(const float *x, int n, float bound) {
    vf b = vf_set1(bound);
    int count = 0, i = 0;
    for (; i + VF <= n; i += VF) {
        count += __builtin_popcount(vf_mask_greater(vf_load(x + i), b));
    }
    for (; i < n; i++) {
        count += x[i] > bound;
    }
    return count;
}

/* Lanes beyond the end of the last vector take the largest logit, which adds to no sum. */
QTF_INLINE void loss_tile_body(const float *logits, int n, float target, qtf_loss_tile *result) {
    vf top = vf_set1(-INFINITY);
    int whole = n / VF * VF, rest = n - whole;
    vf tail = rest ? vf_select_n(vf_load_n(logits + whole, rest), top, rest) : top;
    top = tail;
    for (int i = 0; i < whole; i += VF) {
        top = vf_max(top, vf_load(logits + i));
    }
    float max = vf_hmax(top);
    vf m = vf_set1(max);
    loss_sums sums = {vf_set1(0.0f), vf_set1(0.0f), 0};
    for (int i = 0; i < whole; i += VF) {
        loss_add(&sums, vf_load(logits + i), m);
    }
    if (rest) {
        loss_add(&sums, vf_select_n(tail, m, rest), m);
    }
    *result = (qtf_loss_tile){.max = max,
                              .n_max = n - sums.below,
                              .sum = vf_sum(sums.sum),
                              .weighted = vf_sum(sums.weighted),
                              .greater = max > target ? count_greater(logits, n, target) : 0};
}

QTF_INLINE void insert_candidate(qtf_candidate candidate, qtf_candidate *top, int64_t k) {
    int64_t i = k - 1;
    for (; i > 0 && candidate.logit > top[i - 1].logit; i--) {
        top[i] = top[i - 1];
    }
    top[i] = candidate;
}

/* Few vectors have a logit above the last candidate, so that test is nearly all there is to do. */
QTF_INLINE void top_k_body(const float *logits, int n, int32_t first_id, qtf_candidate *top,
                           int64_t k) {
    for (int i = 0; i < n; i += VF) {
        int lanes = n - i < VF ? n - i : VF;
        vf x = lanes == VF ? vf_load(logits + i) : vf_load_n(logits + i, lanes);
        uint32_t above = vf_mask_greater(x, vf_set1(top[k - 1].logit)) & ((1u << lanes) - 1u);
        for (; above; above &= above - 1) {
            int j = i + __builtin_ctz(above);
            if (logits[j] > top[k - 1].logit) {
                insert_candidate((qtf_candidate){logits[j], first_id + j}, top, k);
            }
        }
    }
}

#endif
