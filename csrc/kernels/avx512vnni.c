#include "kernels/kernels.h"

#if QTF_HAVE_AVX512VNNI
#include <immintrin.h>
#include <math.h>
#include <string.h>

QTF_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")
#define QTF_VEC_AVX512
#define ATTENTION_KEYS 8
#define ATTENTION_VECTORS 2
#include "kernels/attention_few_body.h"
#include "kernels/elementwise_body.h"
#define QTF_F32_ROWS 12
#define QTF_F32_CASES QTF_CASES_12
#define QTF_F32_TILE_ROWS 12
#define QTF_F32_UNROLL
#define QTF_F32_VECS 2
#include "kernels/gemm_f32_body.h"
#include "kernels/gemm_one_avx512vnni.h"
#include "kernels/gemm_q4_avx512vnni.h"
#include "kernels/gemm_q8_avx512vnni.h"
#include "kernels/gemm_quantise_body.h"
#include "kernels/layers_body.h"
#include "kernels/loss_body.h"
#include "kernels/q4_quantise_body.h"
#include "kernels/q4_weights_body.h"
#include "kernels/widen_i8_body.h"

static void qtf_exp_f32__avx512vnni(const float *x, float *out, size_t n) {
    exp_f32_body(x, out, n);
}

static void qtf_gemm_q8__avx512vnni(const qtf_tile *tile) {
    if (tile->rows == 1) {
        vnni_q8_one(tile);
        return;
    }
    switch (tile->rows) { QTF_CASES_6(vnni_q8_rows, tile) }
}

static void qtf_gemm_q4__avx512vnni(const qtf_tile *tile) {
    switch (tile->rows) { QTF_CASES_12(vnni_q4_rows, tile) }
}

static void qtf_gemm_f32__avx512vnni(const qtf_tile *tile) {
    gemm_f32_tile(tile);
}

static int qtf_quantise_row__avx512vnni(const float *x, int64_t k, int64_t group, void *q,
                                        float *scales, int32_t *starts) {
    return quantise_row_body(x, k, group, q, scales, starts, -128);
}

static float qtf_quantise_i8__avx512vnni(const float *x, int64_t n, bool paired, int8_t *q) {
    return quantise_i8_body(x, n, paired, q);
}

static int qtf_quantise_row_q4__avx512vnni(const float *x, int64_t k, int8_t *q, float *scales,
                                           int32_t *starts) {
    return quantise_row_q4_body(x, k, q, scales, starts);
}

static int qtf_quantise_q4__avx512vnni(const float *x, int n, const float *importance,
                                       qtf_q4_block *block) {
    return quantise_q4_body(x, n, importance, block);
}

static void qtf_rms_norm__avx512vnni(const float *x, const float *weight, float eps, float *out,
                                     size_t n) {
    rms_norm_body(x, weight, eps, out, n);
}

static void qtf_layer_norm__avx512vnni(const float *x, const float *weight, const float *bias,
                                       float eps, float *out, size_t n) {
    layer_norm_body(x, weight, bias, eps, out, n);
}

static void qtf_gelu__avx512vnni(const float *x, float *out, size_t n) {
    gelu_body(x, out, n);
}

static void qtf_gelu_erf__avx512vnni(const float *x, float *out, size_t n) {
    gelu_erf_body(x, out, n);
}

static void qtf_softcap__avx512vnni(const float *x, float cap, float *out, size_t n) {
    softcap_body(x, cap, out, n);
}

static void qtf_rope__avx512vnni(float *x, const float *cosine, const float *sine, size_t n_heads,
                                 size_t half, size_t head_dim) {
    rope_body(x, cosine, sine, n_heads, half, head_dim);
}

static void qtf_swiglu__avx512vnni(const float *gate, const float *up, float *out, size_t n) {
    swiglu_body(gate, up, out, n);
}

static void qtf_geglu__avx512vnni(const float *gate, const float *up, float *out, size_t n) {
    geglu_body(gate, up, out, n);
}

static void qtf_attention_load__avx512vnni(const float *rows, ptrdiff_t stride, int count, int n,
                                           float *packed) {
    attention_load_body(rows, stride, count, n, packed);
}

static void qtf_attention_tile__avx512vnni(const qtf_attention_rows *rows, const float *k,
                                           ptrdiff_t k_stride, const float *v, ptrdiff_t v_stride,
                                           int64_t tile_start) {
    attention_tile_body(rows, k, k_stride, v, v_stride, tile_start);
}

static void qtf_attention_few__avx512vnni(const qtf_attention_rows *rows, const float *k,
                                          ptrdiff_t k_stride, const float *v, ptrdiff_t v_stride,
                                          int64_t tile_start) {
    attention_few_body(rows, k, k_stride, v, v_stride, tile_start);
}

static bool qtf_round_bf16__avx512vnni(const float *x, float scale, int n, uint16_t *out) {
    return round_bf16_body(x, scale, n, out);
}

static void qtf_widen_i8__avx512vnni(const int8_t *x, ptrdiff_t stride, const float *scales,
                                     ptrdiff_t scale_stride, int rows, int n, float *out,
                                     ptrdiff_t out_stride) {
    widen_i8_body(x, stride, scales, scale_stride, rows, n, out, out_stride);
}

static void qtf_attention_finish__avx512vnni(const float *out, const float *sum, int n,
                                             int head_dim, float *const *rows) {
    attention_finish_body(out, sum, n, head_dim, rows);
}

static void qtf_softmax__avx512vnni(float *scores, size_t n) {
    softmax_body(scores, n);
}

static void qtf_loss_tile__avx512vnni(const float *logits, int n, float target,
                                      qtf_loss_tile *result) {
    loss_tile_body(logits, n, target, result);
}

static void qtf_top_k__avx512vnni(const float *logits, int n, int32_t first_id, qtf_candidate *top,
                                  int64_t k) {
    top_k_body(logits, n, first_id, top, k);
}

void qtf_fill_avx512vnni(qtf_kernels *table) {
    table->exp_f32 = qtf_exp_f32__avx512vnni;
    table->gemm.q8_rows = VNNI_Q8_ROWS;
    table->gemm.q4_rows = VNNI_Q4_ROWS;
    table->gemm.f32_rows = QTF_F32_TILE_ROWS;
    table->gemm.q8 = qtf_gemm_q8__avx512vnni;
    table->gemm.q4 = qtf_gemm_q4__avx512vnni;
    table->gemm.f32 = qtf_gemm_f32__avx512vnni;
    table->gemm.quantise_row = qtf_quantise_row__avx512vnni;
    table->gemm.quantise_i8 = qtf_quantise_i8__avx512vnni;
    table->gemm.quantise_row_q4 = qtf_quantise_row_q4__avx512vnni;
    table->gemm.quantise_q4 = qtf_quantise_q4__avx512vnni;
    table->rms_norm = qtf_rms_norm__avx512vnni;
    table->layer_norm = qtf_layer_norm__avx512vnni;
    table->gelu = qtf_gelu__avx512vnni;
    table->gelu_erf = qtf_gelu_erf__avx512vnni;
    table->softcap = qtf_softcap__avx512vnni;
    table->rope = qtf_rope__avx512vnni;
    table->swiglu = qtf_swiglu__avx512vnni;
    table->geglu = qtf_geglu__avx512vnni;
    table->attention_load = qtf_attention_load__avx512vnni;
    table->attention_tile = qtf_attention_tile__avx512vnni;
    table->attention_few = qtf_attention_few__avx512vnni;
    table->round_bf16 = qtf_round_bf16__avx512vnni;
    table->widen_i8 = qtf_widen_i8__avx512vnni;
    table->attention_finish = qtf_attention_finish__avx512vnni;
    table->softmax = qtf_softmax__avx512vnni;
    table->loss_tile = qtf_loss_tile__avx512vnni;
    table->top_k = qtf_top_k__avx512vnni;
}
QTF_TARGET_END
#endif
