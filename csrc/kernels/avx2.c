#include "kernels/kernels.h"

#if QTF_HAVE_AVX2
#include <immintrin.h>
#include <string.h>

QTF_TARGET_BEGIN("avx2,fma,f16c")
#define QTF_VEC_AVX2
#include "kernels/elementwise_body.h"

static void qtf_exp_f32__avx2(const float *x, float *out, size_t n) {
    exp_f32_body(x, out, n);
}

void qtf_fill_avx2(qtf_kernels *table) {
    table->exp_f32 = qtf_exp_f32__avx2;
}
QTF_TARGET_END
#endif
