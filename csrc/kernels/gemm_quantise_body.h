/* Quantising activations and weights, compiled once for each instruction set. */
#ifndef QTF_GEMM_QUANTISE_BODY_H
#define QTF_GEMM_QUANTISE_BODY_H

#include <float.h>

#include "kernels/vec.h"

/*
 * The scale that takes the largest magnitude of x to 127; 0 where it would be subnormal, so that
 * its inverse is finite; -1 when a value is NaN or infinite.
 */
QTF_INLINE float quantise_scale(const float *x, int64_t n) {
    vf zero = vf_set1(0.0f), top = zero, bad = zero;
    int64_t i = 0;
    for (; i + VF <= n; i += VF) {
        vf v = vf_load(x + i);
        top = vf_max(top, vf_max(v, vf_sub(zero, v)));
        bad = vf_fma(v, zero, bad); /* NaN from a NaN or an infinity on */
    }
    if (i < n) {
        vf v = vf_load_n(x + i, (int)(n - i));
        top = vf_max(top, vf_max(v, vf_sub(zero, v)));
        bad = vf_fma(v, zero, bad);
    }
    if (vf_sum(bad) != 0.0f) {
        return -1.0f;
    }
    float scale = vf_hmax(top) / 127.0f;
    return scale < FLT_MIN ? 0.0f : scale;
}

/* 16 values to integers in lanes: nearest, halves to even. */
QTF_INLINE vf quantise_lanes(vf x, float scale) {
    return vf_round(vf_mul(x, vf_set1(scale == 0.0f ? 0.0f : 1.0f / scale)));
}

QTF_INLINE float quantise_i8_body(const float *x, int64_t n, int8_t *q) {
    float scale = quantise_scale(x, n);
    if (scale < 0.0f) {
        return scale;
    }
    int64_t i = 0;
    for (; i + VF <= n; i += VF) {
        vf_store_i8(q + i, quantise_lanes(vf_load(x + i), scale));
    }
    if (i < n) {
        int8_t last[VF];
        vf_store_i8(last, quantise_lanes(vf_load_n(x + i, (int)(n - i)), scale));
        memcpy(q + i, last, (size_t)(n - i));
    }
    return scale;
}

/*
 * See qtf_gemm.quantise_row; wide: activations of 2 bytes instead of 1. start is the factor that
 * turns a group's sum into the number its integer accumulators start from. The sums are of integers
 * below 2^24, so exact in floats.
 */
QTF_INLINE int quantise_row_body(const float *x, int64_t k, int64_t group, void *q, float *scales,
                                 int32_t *starts, const int wide, const int start) {
    int64_t padded = (k + 3) / 4 * 4;
    for (int64_t g = 0, i = 0; i < k; g++) {
        int64_t end = i + group < k ? i + group : k;
        float scale = quantise_scale(x + i, end - i);
        if (scale < 0.0f) {
            return 0;
        }
        vf sum = vf_set1(0.0f);
        for (; i + VF <= end; i += VF) {
            vf v = quantise_lanes(vf_load(x + i), scale);
            sum = vf_add(sum, v);
            if (wide) {
                vf_store_i16((int16_t *)q + i, v);
            } else {
                vf_store_i8((int8_t *)q + i, v);
            }
        }
        if (i < end) {
            int n = (int)(end - i), room = (int)((end == k ? padded : end) - i);
            vf v = quantise_lanes(vf_load_n(x + i, n), scale); /* the other lanes are 0 */
            sum = vf_add(sum, v);
            int16_t last[VF];
            if (wide) {
                vf_store_i16(last, v);
                memcpy((int16_t *)q + i, last, (size_t)room * sizeof(int16_t));
            } else {
                vf_store_i8((int8_t *)last, v);
                memcpy((int8_t *)q + i, last, (size_t)room);
            }
            i = end;
        }
        scales[g] = scale;
        starts[g] = start * (int32_t)vf_sum(sum);
    }
    return 1;
}

#endif
