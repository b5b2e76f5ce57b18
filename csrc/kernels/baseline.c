#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

#define QTF_VEC_BASELINE
#define ATTENTION_KEYS 2
#define ATTENTION_VECTORS 1
#include "kernels/attention_few_body.h"
#include "kernels/elementwise_body.h"
#define QTF_F32_ROWS 2
#define QTF_F32_CASES QTF_CASES_2
#define QTF_F32_TILE_ROWS 2
#define QTF_F32_UNROLL
#define QTF_F32_VECS 1
#include "kernels/gemm_f32_body.h"
#include "kernels/gemm_q4_baseline.h"
#include "kernels/gemm_q8_baseline.h"
#include "kernels/gemm_quantise_body.h"
#include "kernels/layers_body.h"
#include "kernels/loss_body.h"
#include "kernels/q4_quantise_body.h"
#include "kernels/q4_weights_body.h"
#include "kernels/widen_i8_body.h"

static void qtf_exp_f32__baseline(const float *x, float *out, size_t n) {
    exp_f32_body(x, out, n);
}

static void qtf_gemm_q8__baseline(const qtf_tile *tile) {
    (void)tile->rows; /* 1 */
    baseline_q8_row(tile);
}

static void qtf_gemm_q4__baseline(const qtf_tile *tile) {
    (void)tile->rows; /* 1 */
    baseline_q4_row(tile);
}

static void qtf_gemm_f32__baseline(const qtf_tile *tile) {
    gemm_f32_tile(tile);
}

static int qtf_quantise_row__baseline(const float *x, int64_t k, int64_t group, void *q,
                                      float *scales, int32_t *starts) {
    return quantise_row_body(x, k, group, q, scales, starts, -128);
}

static float qtf_quantise_i8__baseline(const float *x, int64_t n, bool paired, int8_t *q) {
    return quantise_i8_body(x, n, paired, q);
}

static int qtf_quantise_row_q4__baseline(const float *x, int64_t k, int8_t *q, float *scales,
                                         int32_t *starts) {
    return quantise_row_q4_body(x, k, q, scales, starts);
}

static int qtf_quantise_q4__baseline(const float *x, int n, const float *importance,
                                     qtf_q4_block *block) {
    return quantise_q4_body(x, n, importance, block);
}

static void qtf_widen_f16__baseline(const uint16_t *x, float *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t sign = (uint32_t)(x[i] & 0x8000) << 16, magnitude = x[i] & 0x7fff;
        float value;
        if (magnitude >= 0x7c00) { /* infinity, NaN */
            magnitude = magnitude << 13 | 0x7f800000;
            memcpy(&value, &magnitude, sizeof value);
        } else { /* the exponent's bias is 112 less, subnormals included */
            magnitude <<= 13;
            memcpy(&value, &magnitude, sizeof value);
            value *= 0x1p112f;
        }
        memcpy(&magnitude, &value, sizeof magnitude);
        magnitude |= sign;
        memcpy(out + i, &magnitude, sizeof magnitude);
    }
}

static void qtf_widen_bf16__baseline(const uint16_t *x, float *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)x[i] << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

static void qtf_rms_norm__baseline(const float *x, const float *weight, float eps, float *out,
                                   size_t n) {
    rms_norm_body(x, weight, eps, out, n);
}

static void qtf_layer_norm__baseline(const float *x, const float *weight, const float *bias,
                                     float eps, float *out, size_t n) {
    layer_norm_body(x, weight, bias, eps, out, n);
}

static void qtf_gelu__baseline(const float *x, float *out, size_t n) {
    gelu_body(x, out, n);
}

static void qtf_gelu_erf__baseline(const float *x, float *out, size_t n) {
    gelu_erf_body(x, out, n);
}

static void qtf_softcap__baseline(const float *x, float cap, float *out, size_t n) {
    softcap_body(x, cap, out, n);
}

static void qtf_rope__baseline(float *x, const float *cosine, const float *sine, size_t n_heads,
                               size_t half, size_t head_dim) {
    rope_body(x, cosine, sine, n_heads, half, head_dim);
}

static void qtf_swiglu__baseline(const float *gate, const float *up, float *out, size_t n) {
    swiglu_body(gate, up, out, n);
}

static void qtf_geglu__baseline(const float *gate, const float *up, float *out, size_t n) {
    geglu_body(gate, up, out, n);
}

static void qtf_attention_load__baseline(const float *rows, ptrdiff_t stride, int count, int n,
                                         float *packed) {
    attention_load_body(rows, stride, count, n, packed);
}

static void qtf_attention_tile__baseline(const qtf_attention_rows *rows, const float *k,
                                         ptrdiff_t k_stride, const float *v, ptrdiff_t v_stride,
                                         int64_t tile_start) {
    attention_tile_body(rows, k, k_stride, v, v_stride, tile_start);
}

static void qtf_attention_few__baseline(const qtf_attention_rows *rows, const float *k,
                                        ptrdiff_t k_stride, const float *v, ptrdiff_t v_stride,
                                        int64_t tile_start) {
    attention_few_body(rows, k, k_stride, v, v_stride, tile_start);
}

static bool qtf_round_bf16__baseline(const float *x, float scale, int n, uint16_t *out) {
    return round_bf16_body(x, scale, n, out);
}

static void qtf_widen_i8__baseline(const int8_t *x, ptrdiff_t stride, const float *scales,
                                   ptrdiff_t scale_stride, int rows, int n, float *out,
                                   ptrdiff_t out_stride) {
    widen_i8_body(x, stride, scales, scale_stride, rows, n, out, out_stride);
}

static void qtf_attention_finish__baseline(const float *out, const float *sum, int n, int head_dim,
                                           float *const *rows) {
    attention_finish_body(out, sum, n, head_dim, rows);
}

static void qtf_softmax__baseline(float *scores, size_t n) {
    softmax_body(scores, n);
}

static void qtf_loss_tile__baseline(const float *logits, int n, float target,
                                    qtf_loss_tile *result) {
    loss_tile_body(logits, n, target, result);
}

static void qtf_top_k__baseline(const float *logits, int n, int32_t first_id, qtf_candidate *top,
                                int64_t k) {
    top_k_body(logits, n, first_id, top, k);
}

void qtf_fill_baseline(qtf_kernels *table) {
    table->exp_f32 = qtf_exp_f32__baseline;
    table->gemm.q8_rows = 1;
    table->gemm.q4_rows = 1;
    table->gemm.f32_rows = QTF_F32_TILE_ROWS;
    table->gemm.q8 = qtf_gemm_q8__baseline;
    table->gemm.q4 = qtf_gemm_q4__baseline;
    table->gemm.f32 = qtf_gemm_f32__baseline;
    table->gemm.quantise_row = qtf_quantise_row__baseline;
    table->gemm.quantise_i8 = qtf_quantise_i8__baseline;
    table->gemm.quantise_row_q4 = qtf_quantise_row_q4__baseline;
    table->gemm.quantise_q4 = qtf_quantise_q4__baseline;
    table->gemm.widen_f16 = qtf_widen_f16__baseline;
    table->gemm.widen_bf16 = qtf_widen_bf16__baseline;
    table->rms_norm = qtf_rms_norm__baseline;
    table->layer_norm = qtf_layer_norm__baseline;
    table->gelu = qtf_gelu__baseline;
    table->gelu_erf = qtf_gelu_erf__baseline;
    table->softcap = qtf_softcap__baseline;
    table->rope = qtf_rope__baseline;
    table->swiglu = qtf_swiglu__baseline;
    table->geglu = qtf_geglu__baseline;
    table->attention_load = qtf_attention_load__baseline;
    table->attention_tile = qtf_attention_tile__baseline;
    table->attention_few = qtf_attention_few__baseline;
    table->round_bf16 = qtf_round_bf16__baseline;
    table->widen_i8 = qtf_widen_i8__baseline;
    table->attention_finish = qtf_attention_finish__baseline;
    table->softmax = qtf_softmax__baseline;
    table->loss_tile = qtf_loss_tile__baseline;
    table->top_k = qtf_top_k__baseline;
}
