#include "kernels/kernels.h"

#if QTF_HAVE_AVX512VNNI
#include <immintrin.h>
#include <string.h>

QTF_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")
#define QTF_VEC_AVX512
#include "kernels/elementwise_body.h"

static void qtf_exp_f32__avx512vnni(const float *x, float *out, size_t n) {
    exp_f32_body(x, out, n);
}

void qtf_fill_avx512vnni(qtf_kernels *table) {
    table->exp_f32 = qtf_exp_f32__avx512vnni;
}
QTF_TARGET_END
#endif
