#include "kernels/kernels.h"

#if QTF_HAVE_AVX512BF16
#include <immintrin.h>
#include <math.h>
#include <string.h>

QTF_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,f16c")
#define QTF_VEC_AVX512
#define ATTENTION_KEYS 8
#define ATTENTION_VECTORS 2
#define ATTENTION_PAIRS
#include "kernels/attention_few_body.h"

static void qtf_pair_keys__avx512bf16(const uint16_t *x, ptrdiff_t stride, int n, int head_dim,
                                      float *out, ptrdiff_t out_stride) {
    pair_keys_body(x, stride, n, head_dim, out, out_stride);
}

static void qtf_pair_values__avx512bf16(const uint16_t *x, ptrdiff_t stride, int n, int head_dim,
                                        float *out, ptrdiff_t out_stride) {
    pair_values_body(x, stride, n, head_dim, out, out_stride);
}

static void qtf_attention_tile__avx512bf16(const qtf_attention_rows *rows, const float *k,
                                           ptrdiff_t k_stride, const float *v, ptrdiff_t v_stride,
                                           int64_t tile_start) {
    attention_tile_body(rows, k, k_stride, v, v_stride, tile_start);
}

static void qtf_attention_few__avx512bf16(const qtf_attention_rows *rows, const float *k,
                                          ptrdiff_t k_stride, const float *v, ptrdiff_t v_stride,
                                          int64_t tile_start) {
    attention_few_body(rows, k, k_stride, v, v_stride, tile_start);
}

void qtf_fill_avx512bf16(qtf_kernels *table) {
    table->bf16.pair_keys = qtf_pair_keys__avx512bf16;
    table->bf16.pair_values = qtf_pair_values__avx512bf16;
    table->bf16.tile = qtf_attention_tile__avx512bf16;
    table->bf16.few = qtf_attention_few__avx512bf16;
}
QTF_TARGET_END
#endif
