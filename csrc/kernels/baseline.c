#include "kernels/kernels.h"

#define QTF_VEC_BASELINE
#include "kernels/elementwise_body.h"

static void qtf_exp_f32__baseline(const float *x, float *out, size_t n) {
    exp_f32_body(x, out, n);
}

void qtf_fill_baseline(qtf_kernels *table) {
    table->exp_f32 = qtf_exp_f32__baseline;
}
