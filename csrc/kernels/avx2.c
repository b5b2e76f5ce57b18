#include "kernels/kernels.h"

#if QTF_HAVE_AVX2
#include <immintrin.h>
#include <math.h>
#include <string.h>

QTF_TARGET_BEGIN("avx2,fma,f16c")
#define QTF_VEC_AVX2
#define ATTENTION_KEYS 6
#define ATTENTION_VECTORS 1
#include "kernels/attention_few_body.h"
#include "kernels/elementwise_body.h"
#define QTF_F32_ROWS 6
#define QTF_F32_CASES QTF_CASES_6
#define QTF_F32_TILE_ROWS 240
#define QTF_F32_UNROLL QTF_UNROLL_4
#define QTF_F32_VECS 1
#define QTF_F32_FEW 6
#include "kernels/gemm_f32_body.h"
#include "kernels/gemm_one_avx2.h"
#include "kernels/gemm_q4_avx2.h"
#include "kernels/gemm_q8_avx2.h"
#include "kernels/gemm_quantise_body.h"
#include "kernels/layers_body.h"
#include "kernels/loss_body.h"
#include "kernels/q4_quantise_body.h"
#include "kernels/q4_weights_body.h"
#include "kernels/widen_i8_body.h"

static void qtf_exp_f32__avx2(const float *x, float *out, size_t n) {
    exp_f32_body(x, out, n);
}

static void qtf_gemm_q8__avx2(const qtf_tile *tile) {
    if (tile->rows > 1) {
        avx2_q8_tile(tile);
    } else {
        avx2_q8_one(tile);
    }
}

static void qtf_gemm_q4__avx2(const qtf_tile *tile) {
    if (tile->rows > AVX2_Q4_FEW) {
        avx2_q4_tile(tile);
        return;
    }
    for (int row = 0; row < tile->rows; row++) {
        const qtf_tile one = avx2_q4_row(tile, row);
        avx2_q4_one(&one);
    }
}

static void qtf_gemm_f32__avx2(const qtf_tile *tile) {
    gemm_f32_tile(tile);
}

static int qtf_quantise_row__avx2(const float *x, int64_t k, int64_t group, void *q, float *scales,
                                  int32_t *starts) {
    uint8_t *bytes = q;
    if (!quantise_row_body(x, k, group, q, scales, starts, -128)) {
        return 0;
    }
    for (int64_t i = 0; i < (k + 3) / 4 * 4; i++) {
        bytes[i] ^= 128; /* + 128 */
    }
    return 1;
}

static float qtf_quantise_i8__avx2(const float *x, int64_t n, bool paired, int8_t *q) {
    return quantise_i8_body(x, n, paired, q);
}

static int qtf_quantise_row_q4__avx2(const float *x, int64_t k, int8_t *q, float *scales,
                                     int32_t *starts) {
    return quantise_row_q4_body(x, k, q, scales, starts);
}

static int qtf_quantise_q4__avx2(const float *x, int n, const float *importance,
                                 qtf_q4_block *block) {
    return quantise_q4_body(x, n, importance, block);
}

/* Reads and writes whole vectors, then the rest one by one. */
static void qtf_widen_f16__avx2(const uint16_t *x, float *out, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + i))));
    }
    for (; i < n; i++) {
        out[i] = _cvtsh_ss(x[i]);
    }
}

static void qtf_widen_bf16__avx2(const uint16_t *x, float *out, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(x + i)));
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_slli_epi32(words, 16));
    }
    for (; i < n; i++) {
        uint32_t bits = (uint32_t)x[i] << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

static void qtf_rms_norm__avx2(const float *x, const float *weight, float eps, float *out,
                               size_t n) {
    rms_norm_body(x, weight, eps, out, n);
}

static void qtf_layer_norm__avx2(const float *x, const float *weight, const float *bias, float eps,
                                 float *out, size_t n) {
    layer_norm_body(x, weight, bias, eps, out, n);
}

static void qtf_gelu__avx2(const float *x, float *out, size_t n) {
    gelu_body(x, out, n);
}

static void qtf_gelu_erf__avx2(const float *x, float *out, size_t n) {
    gelu_erf_body(x, out, n);
}

static void qtf_softcap__avx2(const float *x, float cap, float *out, size_t n) {
    softcap_body(x, cap, out, n);
}

static void qtf_rope__avx2(float *x, const float *cosine, const float *sine, size_t n_heads,
                           size_t half, size_t head_dim) {
    rope_body(x, cosine, sine, n_heads, half, head_dim);
}

static void qtf_swiglu__avx2(const float *gate, const float *up, float *out, size_t n) {
    swiglu_body(gate, up, out, n);
}

static void qtf_geglu__avx2(const float *gate, const float *up, float *out, size_t n) {
    geglu_body(gate, up, out, n);
}

static void qtf_attention_load__avx2(const float *rows, ptrdiff_t stride, int count, int n,
                                     float *packed) {
    attention_load_body(rows, stride, count, n, packed);
}

static void qtf_attention_tile__avx2(const qtf_attention_rows *rows, const float *k,
                                     ptrdiff_t k_stride, const float *v, ptrdiff_t v_stride,
                                     int64_t tile_start) {
    attention_tile_body(rows, k, k_stride, v, v_stride, tile_start);
}

static void qtf_attention_few__avx2(const qtf_attention_rows *rows, const float *k,
                                    ptrdiff_t k_stride, const float *v, ptrdiff_t v_stride,
                                    int64_t tile_start) {
    attention_few_body(rows, k, k_stride, v, v_stride, tile_start);
}

static bool qtf_round_bf16__avx2(const float *x, float scale, int n, uint16_t *out) {
    return round_bf16_body(x, scale, n, out);
}

static void qtf_widen_i8__avx2(const int8_t *x, ptrdiff_t stride, const float *scales,
                               ptrdiff_t scale_stride, int rows, int n, float *out,
                               ptrdiff_t out_stride) {
    widen_i8_body(x, stride, scales, scale_stride, rows, n, out, out_stride);
}

static void qtf_attention_finish__avx2(const float *out, const float *sum, int n, int head_dim,
                                       float *const *rows) {
    attention_finish_body(out, sum, n, head_dim, rows);
}

static void qtf_softmax__avx2(float *scores, size_t n) {
    softmax_body(scores, n);
}

static void qtf_loss_tile__avx2(const float *logits, int n, float target, qtf_loss_tile *result) {
    loss_tile_body(logits, n, target, result);
}

static void qtf_top_k__avx2(const float *logits, int n, int32_t first_id, qtf_candidate *top,
                            int64_t k) {
    top_k_body(logits, n, first_id, top, k);
}

void qtf_fill_avx2(qtf_kernels *table) {
    table->exp_f32 = qtf_exp_f32__avx2;
    table->gemm.q8_rows = AVX2_Q8_TILE_ROWS;
    table->gemm.q4_rows = AVX2_Q4_TILE_ROWS;
    table->gemm.f32_rows = QTF_F32_TILE_ROWS;
    table->gemm.q8 = qtf_gemm_q8__avx2;
    table->gemm.q4 = qtf_gemm_q4__avx2;
    table->gemm.f32 = qtf_gemm_f32__avx2;
    table->gemm.quantise_row = qtf_quantise_row__avx2;
    table->gemm.quantise_i8 = qtf_quantise_i8__avx2;
    table->gemm.quantise_row_q4 = qtf_quantise_row_q4__avx2;
    table->gemm.quantise_q4 = qtf_quantise_q4__avx2;
    table->gemm.widen_f16 = qtf_widen_f16__avx2;
    table->gemm.widen_bf16 = qtf_widen_bf16__avx2;
    table->rms_norm = qtf_rms_norm__avx2;
    table->layer_norm = qtf_layer_norm__avx2;
    table->gelu = qtf_gelu__avx2;
    table->gelu_erf = qtf_gelu_erf__avx2;
    table->softcap = qtf_softcap__avx2;
    table->rope = qtf_rope__avx2;
    table->swiglu = qtf_swiglu__avx2;
    table->geglu = qtf_geglu__avx2;
    table->attention_load = qtf_attention_load__avx2;
    table->attention_tile = qtf_attention_tile__avx2;
    table->attention_few = qtf_attention_few__avx2;
    table->round_bf16 = qtf_round_bf16__avx2;
    table->widen_i8 = qtf_widen_i8__avx2;
    table->attention_finish = qtf_attention_finish__avx2;
    table->softmax = qtf_softmax__avx2;
    table->loss_tile = qtf_loss_tile__avx2;
    table->top_k = qtf_top_k__avx2;
}
QTF_TARGET_END
#endif
