/* Quantising activations and weights, compiled once for each instruction set. */
#ifndef QTF_GEMM_QUANTISE_BODY_H
#define QTF_GEMM_QUANTISE_BODY_H

#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "kernels/vec.h"

/* The largest magnitude of n values; bad turns into NaN when one is NaN or infinite. */
QTF_INLINE float quantise_top(const float *x, int64_t n, vf *bad) {
    vf zero = vf_set1(0.0f), top = zero;
    int64_t i = 0;
    for (; i + VF <= n; i += VF) {
        vf v = vf_load(x + i);
        top = vf_max(top, vf_max(v, vf_sub(zero, v)));
        *bad = vf_fma(v, zero, *bad);
    }
    if (i < n) {
        vf v = vf_load_n(x + i, (int)(n - i));
        top = vf_max(top, vf_max(v, vf_sub(zero, v)));
        *bad = vf_fma(v, zero, *bad);
    }
    return vf_hmax(top);
}

/* The scale that takes top to most; 0 where it would be subnormal, so that its inverse is finite.
 */
QTF_INLINE float quantise_scale(float top, float most) {
    float scale = top / most;
    return scale < FLT_MIN ? 0.0f : scale;
}

QTF_INLINE float quantise_inverse(float scale) {
    return scale == 0.0f ? 0.0f : 1.0f / scale;
}

/* 16 values to integers in lanes: nearest, halves to even. */
QTF_INLINE vf quantise_lanes(vf x, float inverse) {
    return vf_round(vf_mul(x, vf_set1(inverse)));
}

/* Half the largest sum of two neighbours' magnitudes, of x[0] and x[1], x[2] and x[3], … */
QTF_INLINE float quantise_top_pair(const float *x, int64_t n) {
    float halves[VF], top = 0.0f;
    vf tops = vf_set1(0.0f);
    int64_t i = 0;
    for (; i + 2 * VF <= n; i += 2 * VF) {
        for (int j = 0; j < VF; j++) {
            halves[j] = 0.5f * fabsf(x[i + 2 * j]) + 0.5f * fabsf(x[i + 2 * j + 1]);
        }
        tops = vf_max(tops, vf_load(halves));
    }
    for (; i < n; i += 2) {
        const float half = 0.5f * fabsf(x[i]) + (i + 1 < n ? 0.5f * fabsf(x[i + 1]) : 0.0f);
        top = half > top ? half : top;
    }
    const float most = vf_hmax(tops);
    return most > top ? most : top;
}

/* See qtf_gemm.quantise_i8. */
QTF_INLINE float quantise_i8_body(const float *x, int64_t n, bool paired, int8_t *q) {
    vf bad = vf_set1(0.0f);
    const float top = quantise_top(x, n, &bad);
    if (vf_sum(bad) != 0.0f) {
        return -1.0f;
    }
    /* top / 127, without an infinite sum on the way. */
    const float scale =
        paired ? quantise_scale(quantise_top_pair(x, n), 63.5f) : quantise_scale(top, 127.0f);
    const float inverse = quantise_inverse(scale);
    int64_t i = 0;
    for (; i + VF <= n; i += VF) {
        vf_store_i8(q + i, quantise_lanes(vf_load(x + i), inverse));
    }
    if (i < n) {
        int8_t last[VF];
        vf_store_i8(last, quantise_lanes(vf_load_n(x + i, (int)(n - i)), inverse));
        memcpy(q + i, last, (size_t)(n - i));
    }
    return scale;
}

/*
 * See qtf_gemm.quantise_row; q as signed integers. start is the factor that turns a group's sum
 * into the number its integer accumulators start from. The sums are of integers below 2^24, so
 * exact in floats.
 */
QTF_INLINE int quantise_row_body(const float *x, int64_t k, int64_t group, int8_t *q, float *scales,
                                 int32_t *starts, const int start) {
    const int64_t padded = (k + 3) / 4 * 4;
    vf bad = vf_set1(0.0f);
    for (int64_t g = 0, i = 0; i < k; g++, i += group) {
        int64_t n = k - i < group ? k - i : group;
        scales[g] = quantise_scale(quantise_top(x + i, n, &bad), 127.0f);
    }
    if (vf_sum(bad) != 0.0f) {
        return 0;
    }
    for (int64_t g = 0, i = 0; i < k; g++) {
        const int64_t end = k - i < group ? k : i + group;
        const float inverse = quantise_inverse(scales[g]);
        vf sum = vf_set1(0.0f);
        for (; i + VF <= end; i += VF) {
            vf v = quantise_lanes(vf_load(x + i), inverse);
            sum = vf_add(sum, v);
            vf_store_i8(q + i, v);
        }
        if (i < end) {
            int n = (int)(end - i), room = (int)((end == k ? padded : end) - i);
            vf v = quantise_lanes(vf_load_n(x + i, n), inverse); /* the other lanes are 0 */
            sum = vf_add(sum, v);
            int8_t last[VF];
            vf_store_i8(last, v);
            memcpy(q + i, last, (size_t)room);
            i = end;
        }
        starts[g] = start ? start * (int32_t)vf_sum(sum) : 0;
    }
    return 1;
}

#endif
