#include "kernels/kernels.h"

#if QTF_HAVE_AVX512VNNI
#include <immintrin.h>
#include <string.h>

QTF_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")
#define QTF_VEC_AVX512
#include "kernels/elementwise_body.h"
#define QTF_F32_ROWS 12
#define QTF_F32_VECS 2
#include "kernels/gemm_f32_body.h"
#include "kernels/gemm_q8_avx512vnni.h"
#include "kernels/gemm_quantise_body.h"

static void qtf_exp_f32__avx512vnni(const float *x, float *out, size_t n) {
    exp_f32_body(x, out, n);
}

static void qtf_gemm_q8__avx512vnni(const qtf_tile *tile) {
    switch (tile->rows) { QTF_CASES_12(vnni_q8_rows, tile) }
}

static void qtf_gemm_f32__avx512vnni(const qtf_tile *tile) {
    switch (tile->rows) { QTF_CASES_12(gemm_f32_rows, tile) }
}

static int qtf_quantise_row__avx512vnni(const float *x, int64_t k, int64_t group, void *q,
                                        float *scales, int32_t *starts) {
    return quantise_row_body(x, k, group, q, scales, starts, 0, -128);
}

static float qtf_quantise_i8__avx512vnni(const float *x, int64_t n, int8_t *q) {
    return quantise_i8_body(x, n, q);
}

void qtf_fill_avx512vnni(qtf_kernels *table) {
    table->exp_f32 = qtf_exp_f32__avx512vnni;
    table->gemm.q8_rows = QTF_VNNI_ROWS;
    table->gemm.f32_rows = QTF_F32_ROWS;
    table->gemm.x_bytes = 1;
    table->gemm.q8 = qtf_gemm_q8__avx512vnni;
    table->gemm.f32 = qtf_gemm_f32__avx512vnni;
    table->gemm.quantise_row = qtf_quantise_row__avx512vnni;
    table->gemm.quantise_i8 = qtf_quantise_i8__avx512vnni;
}
QTF_TARGET_END
#endif
