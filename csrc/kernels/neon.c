#include "kernels/kernels.h"

#if QTF_HAVE_NEON
#include <arm_neon.h>
#include <math.h>
#include <string.h>

QTF_NO_EARLY_SCHEDULING
#define QTF_VEC_NEON
#define ATTENTION_KEYS 6
#define ATTENTION_VECTORS 1
#include "kernels/attention_few_body.h"
#include "kernels/elementwise_body.h"
#define QTF_F32_ROWS 6
#define QTF_F32_CASES QTF_CASES_6
#define QTF_F32_TILE_ROWS 6
#define QTF_F32_UNROLL
#define QTF_F32_VECS 1
#include "kernels/gemm_f32_body.h"
#include "kernels/gemm_q8_neon.h"

#include "kernels/gemm_q4_neon_body.h"
#include "kernels/gemm_q8_neon_body.h"
#include "kernels/gemm_quantise_body.h"
#include "kernels/layers_body.h"
#include "kernels/loss_body.h"
#include "kernels/q4_quantise_body.h"
#include "kernels/q4_weights_body.h"
#include "kernels/widen_i8_body.h"

static void qtf_exp_f32__neon(const float *x, float *out, size_t n) {
    exp_f32_body(x, out, n);
}

static void qtf_gemm_q8__neon(const qtf_tile *tile) {
    switch (tile->rows) { QTF_CASES_4(neon_q8_rows, tile) }
}

static void q4_pass(const neon_q4_pass *pass) {
    switch (pass->rows) { QTF_CASES_4(neon_q4_rows, pass) }
}

static void qtf_gemm_q4__neon(const qtf_tile *tile) {
    neon_q4_tile(tile, q4_pass);
}

static void qtf_gemm_f32__neon(const qtf_tile *tile) {
    gemm_f32_tile(tile);
}

static int qtf_quantise_row__neon(const float *x, int64_t k, int64_t group, void *q, float *scales,
                                  int32_t *starts) {
    return quantise_row_body(x, k, group, q, scales, starts, 0);
}

static float qtf_quantise_i8__neon(const float *x, int64_t n, bool paired, int8_t *q) {
    return quantise_i8_body(x, n, paired, q);
}

static int qtf_quantise_row_q4__neon(const float *x, int64_t k, int8_t *q, float *scales,
                                     int32_t *starts) {
    return quantise_row_q4_body(x, k, q, scales, starts);
}

static int qtf_quantise_q4__neon(const float *x, int n, const float *importance,
                                 qtf_q4_block *block) {
    return quantise_q4_body(x, n, importance, block);
}

/* Four at a time, then what is left of four. */
static void qtf_widen_f16__neon(const uint16_t *x, float *out, int64_t n) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        vst1q_f32(out + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x + i))));
    }
    if (i < n) {
        uint16_t rest[4] = {0};
        float wide[4];
        memcpy(rest, x + i, (size_t)(n - i) * sizeof *x);
        vst1q_f32(wide, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(rest))));
        memcpy(out + i, wide, (size_t)(n - i) * sizeof *out);
    }
}

static void qtf_widen_bf16__neon(const uint16_t *x, float *out, int64_t n) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        vst1q_f32(out + i, vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(x + i), 16)));
    }
    for (; i < n; i++) {
        uint32_t bits = (uint32_t)x[i] << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

static void qtf_rms_norm__neon(const float *x, const float *weight, float eps, float *out,
                               size_t n) {
    rms_norm_body(x, weight, eps, out, n);
}

static void qtf_layer_norm__neon(const float *x, const float *weight, const float *bias, float eps,
                                 float *out, size_t n) {
    layer_norm_body(x, weight, bias, eps, out, n);
}

static void qtf_gelu__neon(const float *x, float *out, size_t n) {
    gelu_body(x, out, n);
}

static void qtf_gelu_erf__neon(const float *x, float *out, size_t n) {
    gelu_erf_body(x, out, n);
}

static void qtf_softcap__neon(const float *x, float cap, float *out, size_t n) {
    softcap_body(x, cap, out, n);
}

static void qtf_rope__neon(float *x, const float *cosine, const float *sine, size_t n_heads,
                           size_t half, size_t head_dim) {
    rope_body(x, cosine, sine, n_heads, half, head_dim);
}

static void qtf_swiglu__neon(const float *gate, const float *up, float *out, size_t n) {
    swiglu_body(gate, up, out, n);
}

static void qtf_geglu__neon(const float *gate, const float *up, float *out, size_t n) {
    geglu_body(gate, up, out, n);
}

static void qtf_attention_load__neon(const float *rows, ptrdiff_t stride, int count, int n,
                                     float *packed) {
    attention_load_body(rows, stride, count, n, packed);
}

static void qtf_attention_tile__neon(const qtf_attention_rows *rows, const float *k,
                                     ptrdiff_t k_stride, const float *v, ptrdiff_t v_stride,
                                     int64_t tile_start) {
    attention_tile_body(rows, k, k_stride, v, v_stride, tile_start);
}

static void qtf_attention_few__neon(const qtf_attention_rows *rows, const float *k,
                                    ptrdiff_t k_stride, const float *v, ptrdiff_t v_stride,
                                    int64_t tile_start) {
    attention_few_body(rows, k, k_stride, v, v_stride, tile_start);
}

static bool qtf_round_bf16__neon(const float *x, float scale, int n, uint16_t *out) {
    return round_bf16_body(x, scale, n, out);
}

static void qtf_widen_i8__neon(const int8_t *x, ptrdiff_t stride, const float *scales,
                               ptrdiff_t scale_stride, int rows, int n, float *out,
                               ptrdiff_t out_stride) {
    widen_i8_body(x, stride, scales, scale_stride, rows, n, out, out_stride);
}

static void qtf_attention_finish__neon(const float *out, const float *sum, int n, int head_dim,
                                       float *const *rows) {
    attention_finish_body(out, sum, n, head_dim, rows);
}

static void qtf_softmax__neon(float *scores, size_t n) {
    softmax_body(scores, n);
}

static void qtf_loss_tile__neon(const float *logits, int n, float target, qtf_loss_tile *result) {
    loss_tile_body(logits, n, target, result);
}

static void qtf_top_k__neon(const float *logits, int n, int32_t first_id, qtf_candidate *top,
                            int64_t k) {
    top_k_body(logits, n, first_id, top, k);
}

void qtf_fill_neon(qtf_kernels *table) {
    table->exp_f32 = qtf_exp_f32__neon;
    table->gemm.q8_rows = NEON_Q8_ROWS;
    table->gemm.q4_rows = NEON_Q4_TILE_ROWS;
    table->gemm.f32_rows = QTF_F32_TILE_ROWS;
    table->gemm.q8 = qtf_gemm_q8__neon;
    table->gemm.q4 = qtf_gemm_q4__neon;
    table->gemm.f32 = qtf_gemm_f32__neon;
    table->gemm.quantise_row = qtf_quantise_row__neon;
    table->gemm.quantise_i8 = qtf_quantise_i8__neon;
    table->gemm.quantise_row_q4 = qtf_quantise_row_q4__neon;
    table->gemm.quantise_q4 = qtf_quantise_q4__neon;
    table->gemm.widen_f16 = qtf_widen_f16__neon;
    table->gemm.widen_bf16 = qtf_widen_bf16__neon;
    table->rms_norm = qtf_rms_norm__neon;
    table->layer_norm = qtf_layer_norm__neon;
    table->gelu = qtf_gelu__neon;
    table->gelu_erf = qtf_gelu_erf__neon;
    table->softcap = qtf_softcap__neon;
    table->rope = qtf_rope__neon;
    table->swiglu = qtf_swiglu__neon;
    table->geglu = qtf_geglu__neon;
    table->attention_load = qtf_attention_load__neon;
    table->attention_tile = qtf_attention_tile__neon;
    table->attention_few = qtf_attention_few__neon;
    table->round_bf16 = qtf_round_bf16__neon;
    table->widen_i8 = qtf_widen_i8__neon;
    table->attention_finish = qtf_attention_finish__neon;
    table->softmax = qtf_softmax__neon;
    table->loss_tile = qtf_loss_tile__neon;
    table->top_k = qtf_top_k__neon;
}
#endif
