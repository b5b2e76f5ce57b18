/*
 * Linear layers: out = x · wᵀ (+ bias) (+ residual), with weights packed once.
 *
 * Packed layout, the same on every instruction set, so that a saved model can be mapped and used:
 * rows of w (output features) are cut into panels of QTF_PANEL = 32, the last one padded with
 * zeros.
 *
 * QTF_F32  panel p: float [k][32].
 *
 * QTF_Q8   panel p: uint8 [k4][32][4], k4 = ceil(k / 4): weight + 128, four consecutive k together;
 *          scales: float [n_panels][n_groups][32]; group g covers k in [g * group, (g + 1) *
 * group).
 *
 * QTF_Q4   panel p: qtf_q4_block [n_groups], see kernels/q4.h; k is padded to whole blocks.
 *
 * QTF_Q8: a weight is its integer in -127 … 127 times its group's scale. Activations are quantised
 * dynamically, one row and one group at a time. Both are quantised alike: scale = max|x| / 127, or
 * 0 when that would be subnormal; integer = x * (1 / scale), rounded to nearest, halves to even.
 * Only weights in groups of QTF_PAIRED_GROUP and more have scale = max(|x0| + |x1|) / 127 over the
 * pairs of neighbours x0, x1 (the even k first), so that their integers' magnitudes add up to at
 * most 128 and the products with two activations fit the 16 bits of AVX2's 8-bit instruction.
 * The dot product of a group is exact in 32-bit integers; groups are added in ascending order: acc
 * = fma((float)dot, x_scale * w_scale, acc). So every instruction set with a fused multiply-add
 * gives the same bits.
 *
 * QTF_Q4: a weight is d * (scale * code - minimum): a code of 4 bits, a scale from 0 to 17 and a
 * minimum from 0 to 255 for each run of 32, d for each group of 128, the upper half of a float.
 * Activations are quantised as for QTF_Q8. scale * code - minimum is an integer, so a group's dot
 * product is exact, and groups are added as in QTF_Q8, with d in place of w_scale.
 *
 * QTF_F32: k is cut in blocks of QTF_K_BLOCK; in a block acc = fma(x, w, acc)
 * from 0 in ascending k; block sums are added in order.
 *
 * The group of QTF_Q8 is a compromise. A tile's share of the limit of vpdpbusd and of AVX2's 8-bit
 * instructions (Zen 4, k = 1024), and the mean KL divergence from f32 of two bundled models on
 * their stories (benchmarks/quality_groups.py), where 4-bit Q4_0 has 6.6e-3 and 4.3e-2:
 *
 *   group                8       16      32      64      128     128, not paired
 *   AVX-512                              71 %    82 %    88 %    88 %
 *   AVX2                                 36 %    39 %    80 %    40 %
 *   KL, stories-3m       5.4e-5  8.1e-5  1.1e-4  1.6e-4  2.7e-4  2.1e-4
 *   KL, stories-200k     2.8e-4  4.2e-4  5.9e-4  8.0e-4  1.3e-3  9.3e-4
 *
 * So rows of more than 512 have groups of 128, rows up to 128 groups of 8, those between groups of
 * 16: narrow models lose more by rounding, and their time goes elsewhere. With 32, and 128 from 512
 * on, scoring the stories takes stories-3m 0.8 of the time, but it loses 2.0e-4, not 8.4e-5, and
 * +0.07 % (+0.01 to +0.13) of perplexity on the hand-written stories, not -0.01 (-0.06 to +0.04).
 * AVX2 alone needs pairs: with 16-bit integers, which need none, its tile reached 56 % in the same
 * minutes as 80 %. All instruction sets have them, for the same bits everywhere.
 *
 * A model's matrices with rows of at most 64 are not rounded at all, but QTF_F32. In groups of 8
 * the narrowest models lose what follows (KL, and change in perplexity with its 95 % interval, on
 * the generated stories: benchmarks/quality_rounding.py). Half is the weights', half the
 * activations'; of the parts the embedding and gate and up lose most:
 *
 *                        stories-30k                      stories-80k
 *   all                  3.6e-4  +0.09 (+0.03 to +0.15)   3.6e-4  +0.09 (+0.04 to +0.13)
 *   only embedding       1.4e-4  +0.04 (+0.01 to +0.07)   1.0e-4  +0.01 (-0.01 to +0.03)
 *   only qkv             2.3e-5                           3.5e-5
 *   only o               9.0e-6                           1.2e-5
 *   only gate and up     1.3e-4  +0.05 (+0.02 to +0.08)   1.2e-4  +0.03 (+0.00 to +0.06)
 *   only down            7.4e-5                           1.0e-4  +0.03 (+0.01 to +0.05)
 *   weights alone        2.0e-4  +0.07 (+0.04 to +0.11)   1.8e-4  +0.06 (+0.03 to +0.09)
 *   ..., scales clipped  2.0e-4                           1.8e-4
 *   ..., searched        9.1e-5  -0.01 (-0.03 to +0.01)   8.2e-5  +0.00 (-0.02 to +0.02)
 *
 * Clipping, by scales of 0.98 max|w| / 127 and less, never has a smaller squared error. The best
 * of 97 scales around max|w| / 127 halves what the weights lose in groups of 8, and takes a third
 * off it in stories-3m (3.1e-5 to 2.0e-5, of 8.4e-5 with activations): too little for packing that
 * much slower. QTF_F32 takes 2.7 times the memory of groups of 8; scoring the 50 stories with these
 * models takes 0.9 to 1.1 of the time on AVX-512, and 0.6 to 0.7 on AVX2. Nor are such rows rounded
 * for QTF_Q4, which pads them to 128: 64 weights would take more than 9 bits each.
 *
 * What was tried for QTF_Q4, with the embedding in QTF_Q8 unless it says otherwise. KL on twelve
 * stories for stories-3m and for a model whose widths are multiples of 256, simulated in f32;
 * llama.cpp's Q4_0 has 6.9e-3 and 6.2e-3, its Q4_K_M 2.1e-3 (of 5.8 bits there) and 3.6e-3:
 *
 *   bits                                                                3m      wide256
 *   4.625  this format                                                  4.6e-3  4.0e-3
 *   4.625  without the search for scales and minima                     6.0e-3  5.0e-3
 *   5      a scale and a minimum of 16 bits for each run of 32          4.6e-3  3.8e-3
 *   5.125  runs of 16                                                   3.0e-3  2.5e-3
 *   4.5    symmetric, 16-bit scales (Q4_0)                              7.0e-3
 *   4.625  the embedding in QTF_Q4, too                                 7.4e-3
 *   4.625  the embedding and v in QTF_Q8                                3.9e-3  3.5e-3
 *
 * Runs of 32 are what fits 16-bit sums on AVX2: shorter ones widen twice as often. The embedding
 * costs as much as all layers together, so it and the head keep 8 bits.
 *
 * How a group of 128 weights x of a row is rounded to QTF_Q4, all relative to a power of two near
 * the largest. For each run, codes are x from its least to its largest number, zero included, taken
 * to 0 … 14.25, rounded; the line scale * code - minimum through them is weighted least squares,
 * the minimum not below 0, the scale within a quarter of the plain one. The same with 14.75, 15.25
 * and 15.75 (cut at 15); the best line gives codes and a line once more. Then d: the largest scale
 * is 17.25, 17, … or 14 times it, whichever adds the least error when scales and minima become
 * multiples of d and codes stay. Last, codes are the nearest to those. The squared error over the
 * squared weights, for normal ones, for t-distributed ones of 4 degrees of freedom, and with every
 * 37th column 30 times as large (simulated):
 *
 *   this search                                                 5.08e-3  7.42e-3  9.7e-3
 *   neither lines nor a choice of d                             5.97e-3  8.64e-3  12.6e-3
 *   d such that the largest scale is 17                         5.17e-3  7.56e-3  9.8e-3
 *   d from 34, down to 9                                        5.07e-3  7.40e-3  9.6e-3
 *   starts at 14.5 and 15.5                                     5.37e-3  7.86e-3  10.2e-3
 *   eight starts, from 13.25 to 16.75                           5.04e-3  7.37e-3  9.5e-3
 *   not refined                                                 5.15e-3  7.52e-3  10.3e-3
 *   tried out: two scales for each of three d, six passes more  5.06e-3  7.41e-3  9.6e-3
 */
#ifndef QTF_MATMUL_H
#define QTF_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "kernels/gemm.h"

typedef enum { QTF_F32 = 0, QTF_Q8, QTF_Q4 } qtf_quant;

enum { QTF_PAIRED_GROUP = 128 };

/*
 * Element types that weights come in; QTF_SRC_F16 and QTF_SRC_BF16 are 16-bit words in memory. A
 * row of QTF_SRC_Q8_0 is k / 32 blocks of GGUF, k a multiple of 32: a scale in float16, low byte
 * first, and 32 signed bytes, which it multiplies. Blocks may begin anywhere.
 */
typedef enum { QTF_SRC_F32 = 0, QTF_SRC_F16, QTF_SRC_BF16, QTF_SRC_Q8_0 } qtf_source_type;

enum { QTF_Q8_0_BLOCK = 32, QTF_Q8_0_BYTES = 34 };

/* A packed matrix [n, k]. It borrows data and scales, which are QTF_ALIGN-aligned. */
typedef struct {
    qtf_quant quant;
    int64_t n, k;
    int64_t group; /* QTF_Q8: a multiple of 4, at most 4096; QTF_Q4: QTF_Q4_GROUP; QTF_F32: 0 */
    void *data;
    float *scales; /* QTF_Q8 alone, else NULL */
} qtf_matrix;

/* Bytes of data and of scales that a packed matrix of this shape needs; 0 when a size overflows. */
size_t qtf_matrix_data_bytes(const qtf_matrix *matrix);
size_t qtf_matrix_scale_bytes(const qtf_matrix *matrix);

/*
 * Pack rows [row0, row0 + n_rows) of the matrix from source [n_rows, k], row-major, in parallel.
 * Column j is multiplied by column_scales[j] first, unless column_scales is NULL. For QTF_Q4 the
 * square of a rounding error in column j counts importance[j], from 0 to 1e6; NULL: each alike.
 * The call that packs the last row writes the padding too. QTF_NOT_FINITE when a source value is
 * NaN or infinite; then the rows are unusable.
 */
qtf_status qtf_matrix_pack(qtf_matrix *matrix, int64_t row0, int64_t n_rows, const void *source,
                           qtf_source_type type, const float *column_scales,
                           const float *importance);

/*
 * Row ids[i] of the matrix as float: out [n_ids, k]. Each id must be in [0, n): QTF_BAD_ARGUMENT
 * otherwise, with nothing written.
 */
qtf_status qtf_matrix_rows(const qtf_matrix *matrix, const int64_t *ids, int64_t n_ids, float *out);

/*
 * Rows made ready for products with matrices of one quant, k and group: floats for QTF_F32,
 * quantised for the others, in the form that the instruction set in use wants. Owned memory is
 * freed by qtf_activations_free.
 */
typedef struct {
    int64_t rows, k;
    qtf_quant quant;
    int64_t group;
    size_t stride;    /* bytes between rows */
    void *x;          /* QTF_F32: float [rows][k]; else see qtf_gemm */
    float *scales;    /* owned, [rows][n_groups]; NULL for QTF_F32 */
    int32_t *starts;  /* owned, [rows][n_groups][n_starts], see qtf_gemm */
    int64_t n_starts; /* of a group */
    bool borrowed;    /* whether x is */
} qtf_activations;

/*
 * x: [rows, k], k the matrix's; borrowed for QTF_F32. QTF_NOT_FINITE when x holds NaN or infinity
 * and the quant is not QTF_F32. On failure there is nothing to free, and freeing is harmless.
 */
qtf_status qtf_activations_init(qtf_activations *activations, const float *x, int64_t rows,
                                const qtf_matrix *matrix);
void qtf_activations_free(qtf_activations *activations);

/*
 * One block of the product on the calling thread: out[i * stride + j] for rows row0 + i, i < rows,
 * and columns 32 * panel0 + j, j < cols, where cols may reach into several panels but not beyond n.
 */
void qtf_matmul_block(const qtf_matrix *matrix, const qtf_activations *activations, int64_t row0,
                      int64_t rows, int64_t panel0, int64_t cols, float *out, int64_t stride);

/*
 * out [rows, n] = x [rows, k] · matrixᵀ + bias [n] + residual [rows, n]; bias and residual may be
 * NULL; residual may be out itself. Parallel; the same bits for every thread count and row count.
 */
qtf_status qtf_matmul(const qtf_matrix *matrix, const float *x, int64_t rows, const float *bias,
                      const float *residual, float *out);

/*
 * out [rows, n / 2] = silu(x · gateᵀ) * (x · upᵀ), where matrix is gate [n / 2, k], then up [n / 2,
 * k]. The bits are those of qtf_matmul and then qtf_swiglu; the product is not written to memory
 * where n / 2 is a multiple of QTF_PANEL. QTF_BAD_ARGUMENT when n is odd.
 */
qtf_status qtf_matmul_swiglu(const qtf_matrix *matrix, const float *x, int64_t rows, float *out);

/*
 * out [rows, n] = qtf_matmul_swiglu(gate_up, x) · downᵀ + residual, in the bits of the two calls,
 * where down is [n, gate_up's n / 2]; residual may be NULL or out itself, and x may be out. What is
 * between the two is quantised while it is in the cache. QTF_BAD_ARGUMENT when the shapes do not
 * fit.
 */
qtf_status qtf_swiglu_mlp(const qtf_matrix *gate_up, const qtf_matrix *down, const float *x,
                          int64_t rows, const float *residual, float *out);

#endif
