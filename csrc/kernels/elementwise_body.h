/* Bodies of the element-wise kernels, compiled once for each instruction set (see vec.h). */
#ifndef QTF_ELEMENTWISE_BODY_H
#define QTF_ELEMENTWISE_BODY_H

#include "kernels/vec.h"

QTF_INLINE void exp_f32_body(const float *x, float *out, size_t n) {
    size_t i = 0;
    for (; i + VF <= n; i += VF) {
        vf_store(out + i, vf_exp(vf_load(x + i)));
    }
    if (i < n) {
        vf_store_n(out + i, vf_exp(vf_load_n(x + i, (int)(n - i))), (int)(n - i));
    }
}

#endif
