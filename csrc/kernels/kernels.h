/*
 * The table of micro-kernels. Kernels are leaves: no allocation, locks, errors or threads; their
 * preconditions are the caller's duty. One file for each instruction set fills a table.
 *
 * Numeric contract: every vector is 16 lanes wide on every instruction set (vec.h), sums over k run
 * in ascending order in one accumulator per output, and lanes are added by one fixed tree. So the
 * number of rows in a call, the tile shape and the thread count never change a bit, and AVX2,
 * AVX-512 and NEON give the same bits. The baseline, which has no fused multiply-add, differs by
 * rounding.
 */
#ifndef QTF_KERNELS_H
#define QTF_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/compiler.h"
#include "core/kvcache.h"
#include "kernels/gemm.h"

/* Instruction sets this compiler and target can build. */
#define QTF_HAVE_AVX2 QTF_X86
#define QTF_HAVE_AVX512VNNI QTF_X86
#if defined(__clang__)
#define QTF_HAVE_AVXVNNI (QTF_X86 && __clang_major__ >= 13)
#else
#define QTF_HAVE_AVXVNNI (QTF_X86 && __GNUC__ >= 11)
#endif
#if defined(__clang__)
#define QTF_HAVE_AVX512BF16 (QTF_X86 && __clang_major__ >= 9)
#else
#define QTF_HAVE_AVX512BF16 (QTF_X86 && __GNUC__ >= 10)
#endif
#define QTF_HAVE_NEON QTF_AARCH64
#define QTF_HAVE_NEON_DOTPROD QTF_AARCH64
#define QTF_HAVE_NEON_I8MM QTF_AARCH64

/* Keys of a sequence are taken in tiles [64 i, 64 (i + 1)), counted from the sequence's first. */
enum { QTF_KEY_TILE = 64 };

/*
 * Rows of one attention task: queries of one sequence that share a key/value head, and what the
 * online softmax knows of each so far. Sixteen rows lie side by side: number d of row r is at
 * [r / 16][d][r % 16]. width is head_dim rounded up to 16.
 */
typedef struct {
    int n; /* rows, a multiple of 16: the last ones may be padding */
    int head_dim, width;
    float softcap; /* times log2(e); 0 for none */
    bool bf16;     /* whether weights are rounded to bfloat16 */
    /* [n], not descending: the row sees keys first_visible … n_visible - 1 of the sequence */
    const int64_t *first_visible, *n_visible;
    const float *q; /* [n / 16, width, 16], times scale * log2(e), or scale / softcap with one */
    float *max;     /* [n]: largest score in base 2, -inf at first */
    float *sum;     /* [n]: of exp2(score - max), 0 at first */
    float *out;     /* [n / 16, width, 16]: of exp2(score - max) * v, 0 at first */
    float *keys;    /* [QTF_KEY_TILE, width] to work in, for attention_few alone */
} qtf_attention_rows;

/* Of at most so many rows, attention_few has q and out in the order [n, width]; the arrays of n are
 * 16 long, as if the last row were there again. */
enum { QTF_FEW_ROWS = 8 };

/*
 * What the loss keeps of one row's logits x in one tile of the vocabulary. The largest are counted
 * and not added to sum, so that the small ones beside them do not drown in rounding.
 */
typedef struct {
    float max;
    int32_t n_max;
    float sum;       /* of exp(x - max) where x < max */
    float weighted;  /* of (x - max) * exp(x - max) */
    int32_t greater; /* how many are above the target's logit */
} qtf_loss_tile;

/* A candidate for the most likely tokens. */
typedef struct {
    float logit;
    int32_t id;
} qtf_candidate;

/* Take one key tile into the rows: k and v [up to QTF_KEY_TILE, head_dim], strides in floats, from
 * key tile_start of the sequence on. */
typedef void qtf_attend(const qtf_attention_rows *rows, const float *k, ptrdiff_t k_stride,
                        const float *v, ptrdiff_t v_stride, int64_t tile_start);

/* Lay out n rows [head_dim] of bfloat16, stride apart, as words of 32 bits, out_stride apart: pairs
 * of numbers, the first in the upper half. */
typedef void qtf_pair_rows(const uint16_t *x, ptrdiff_t stride, int n, int head_dim, float *out,
                           ptrdiff_t out_stride);

/*
 * Attention by an instruction for dot products of bfloat16, with the bits of qtf_attend on widened
 * floats. q, k and v are words: pairs of neighbours in a row of q or k, and two rows of v; what
 * lacks its second half has 0 there. Strides and widths are those of floats.
 */
typedef struct {
    qtf_pair_rows *pair_keys;   /* out [n, ceil(head_dim / 2)], padded with 0 up to 16 words */
    qtf_pair_rows *pair_values; /* out [ceil(n / 2), head_dim], padded with 0 up to 16 words */
    qtf_attend *tile, *few;
} qtf_bf16_kernels;

typedef struct qtf_kernels {
    /* out[i] = exp(x[i]), i < n; within 2 ulp, exp(-inf) = 0, NaN stays NaN. In place is allowed.
     */
    void (*exp_f32)(const float *x, float *out, size_t n);

    /* One row of RMSNorm: out[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i], i < n. In place is
     * allowed. */
    void (*rms_norm)(const float *x, const float *weight, float eps, float *out, size_t n);

    /* One row of LayerNorm: out[i] = (x[i] - mean) / sqrt(variance + eps) * weight[i] + bias[i],
     * i < n, n >= 1. In place is allowed. */
    void (*layer_norm)(const float *x, const float *weight, const float *bias, float eps,
                       float *out, size_t n);

    /* One position's rotary embedding, in place: the first 2 half <= head_dim numbers of each head
     * of x [n_heads, head_dim] are turned by cosine, sine [half]: pairs are (i, i + half), as in
     * Hugging Face's rotate_half. */
    void (*rope)(float *x, const float *cosine, const float *sine, size_t n_heads, size_t half,
                 size_t head_dim);

    /* out[i] = gate[i] / (1 + exp(-gate[i])) * up[i], i < n. */
    void (*swiglu)(const float *gate, const float *up, float *out, size_t n);

    /* out[i] = gelu(gate[i]) * up[i], i < n, with gelu as below. */
    void (*geglu)(const float *gate, const float *up, float *out, size_t n);

    /* out[i] = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), x = x[i], i < n. In place is
     * allowed. */
    void (*gelu)(const float *x, float *out, size_t n);

    /* out[i] = 0.5 x (1 + erf(x / sqrt(2))), x = x[i], i < n. In place is allowed. */
    void (*gelu_erf)(const float *x, float *out, size_t n);

    /* out[i] = cap * tanh(x[i] / cap), i < n, cap > 0. In place is allowed. */
    void (*softcap)(const float *x, float cap, float *out, size_t n);

    /* count <= 16 rows of n floats or words, stride apart, as one block of qtf_attention_rows.q. */
    void (*attention_load)(const float *rows, ptrdiff_t stride, int count, int n, float *packed);

    qtf_attend *attention_tile;

    /* The same for n <= QTF_FEW_ROWS rows; rows of v are readable up to width. */
    qtf_attend *attention_few;

    qtf_bf16_kernels bf16; /* all NULL where there is no such instruction */

    /* out[i] = scale * x[i] in bfloat16, i < n, as core/kvcache.h rounds; whether all are finite.
     */
    bool (*round_bf16)(const float *x, float scale, int n, uint16_t *out);

    /* out[r][i] = scales[r][i / QTF_KV_GROUP] * x[r][i], r < rows, i < n; strides of rows. */
    void (*widen_i8)(const int8_t *x, ptrdiff_t stride, const float *scales, ptrdiff_t scale_stride,
                     int rows, int n, float *out, ptrdiff_t out_stride);

    /* rows[r] [head_dim] = out / sum for the first n rows of one block of qtf_attention_rows. */
    void (*attention_finish)(const float *out, const float *sum, int n, int head_dim,
                             float *const *rows);

    /* scores [n] become softmax(scores), in place; where all are -inf, zeros. */
    void (*softmax)(float *scores, size_t n);

    /* Reduce n >= 1 logits of a tile; sums run by lanes of 16 in ascending order. */
    void (*loss_tile)(const float *logits, int n, float target, qtf_loss_tile *result);

    /* Insert n >= 1 logits, with ids from first_id on, into top [k], which is sorted by descending
     * logit; equal ones keep the order in which they came. k >= 1. */
    void (*top_k)(const float *logits, int n, int32_t first_id, qtf_candidate *top, int64_t k);

    qtf_gemm gemm;
} qtf_kernels;

void qtf_fill_baseline(qtf_kernels *table);
void qtf_fill_avx2(qtf_kernels *table);
void qtf_fill_avxvnni(qtf_kernels *table);
void qtf_fill_avxvnni_evex(qtf_kernels *table);
void qtf_fill_avx512vnni(qtf_kernels *table);
void qtf_fill_avx512bf16(qtf_kernels *table);
void qtf_fill_neon(qtf_kernels *table);
void qtf_fill_neon_dotprod(qtf_kernels *table);
void qtf_fill_neon_i8mm(qtf_kernels *table);

#endif
