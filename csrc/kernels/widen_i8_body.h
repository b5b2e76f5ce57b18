/* Stored keys and values to floats, compiled once for each instruction set. */
#ifndef QTF_WIDEN_I8_BODY_H
#define QTF_WIDEN_I8_BODY_H

#include "core/kvcache.h"
#include "kernels/vec.h"

QTF_INLINE void widen_i8_row(const int8_t *x, const float *scales, int n, float *out) {
    int i = 0;
    for (; i + QTF_KV_GROUP <= n; i += QTF_KV_GROUP) {
        vf scale = vf_set1(*scales++);
        QTF_UNROLL for (int j = 0; j < QTF_KV_GROUP; j += VF) {
            vf_store(out + i + j, vf_mul(vf_load_i8(x + i + j), scale));
        }
    }
    for (; i < n; i += VF) {
        int rest = n - i < VF ? n - i : VF;
        int8_t last[VF] = {0};
        memcpy(last, x + i, (size_t)rest);
        vf_store_n(out + i, vf_mul(vf_load_i8(last), vf_set1(*scales)), rest);
    }
}

QTF_INLINE void widen_i8_body(const int8_t *x, ptrdiff_t stride, const float *scales,
                              ptrdiff_t scale_stride, int rows, int n, float *out,
                              ptrdiff_t out_stride) {
    for (int r = 0; r < rows; r++) {
        widen_i8_row(x + r * stride, scales + r * scale_stride, n, out + r * out_stride);
    }
}

#endif
