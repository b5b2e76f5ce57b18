/* Rounding to bfloat16 as core/kvcache.h has it, compiled once for each instruction set. */
#ifndef QTF_BF16_BODY_H
#define QTF_BF16_BODY_H

#include <stdbool.h>

#include "kernels/vec.h"

typedef uint32_t vu_part __attribute__((vector_size(4 * VF_LANES)));
typedef uint16_t vh_part __attribute__((vector_size(2 * VF_LANES)));

/* The nearest numbers of bfloat16, halves to even; NaN for what is not finite. */
QTF_INLINE vf vf_bf16(vf a) {
    vf r;
    QTF_UNROLL for (int i = 0; i < VF_PARTS; i++) {
        vu_part bits = (vu_part)VF_PART(a, i);
        bits += 0x7fff + (bits >> 16 & 1);
        VF_PART(r, i) = (vf_part)(bits & 0xffff0000);
    }
    return vf_add(r, vf_sub(a, a));
}

/* out[i] = scale * x[i] in bfloat16, i < 16; returns the numbers. */
QTF_INLINE vf round_bf16_16(vf x, vf scale, uint16_t *out) {
    vf a = vf_mul(x, scale), zero = vf_set1(0.0f);
    vf magnitude = vf_max(a, vf_sub(zero, a));
    vf r = vf_bf16(vf_where_less(magnitude, vf_set1(QTF_BF16_SMALLEST), zero, a));
    QTF_UNROLL for (int i = 0; i < VF_PARTS; i++) {
        vh_part halves = __builtin_convertvector((vu_part)VF_PART(r, i) >> 16, vh_part);
        memcpy(out + VF_LANES * i, &halves, sizeof halves);
    }
    return r;
}

QTF_INLINE bool round_bf16_body(const float *x, float scale, int n, uint16_t *out) {
    vf s = vf_set1(scale), bad = vf_set1(0.0f); /* NaN from the first number that is not finite */
    int i = 0;
    for (; i + VF <= n; i += VF) {
        vf r = round_bf16_16(vf_load(x + i), s, out + i);
        bad = vf_add(bad, vf_sub(r, r));
    }
    if (i < n) {
        uint16_t last[VF];
        vf r = round_bf16_16(vf_load_n(x + i, n - i), s, last);
        memcpy(out + i, last, (size_t)(n - i) * sizeof *last);
        bad = vf_add(bad, vf_sub(r, r));
    }
    return vf_sum(bad) == 0.0f;
}

#endif
