/*
 * Keys and values as attention reads them: floats, half floats, bfloat16, or 8-bit integers with a
 * scale for every QTF_KV_GROUP numbers of a head. What is stored counts as floats, exactly but for
 * one multiplication by the scale, so that all further arithmetic is the same for every type, and
 * with bfloat16 queries and weights are rounded too (attention.h).
 */
#ifndef QTF_KVCACHE_H
#define QTF_KVCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

typedef enum { QTF_KV_F32 = 0, QTF_KV_F16, QTF_KV_BF16, QTF_KV_Q8 } qtf_kv_type;

enum { QTF_KV_GROUP = 32 };

/*
 * Numbers are rounded to the nearest of bfloat16, halves to even, and smaller ones become 0. So
 * products are multiples of 2^-126, as are sums of them however they are rounded: none is
 * subnormal, and instructions that flush those give the same bits as others.
 */
#define QTF_BF16_SMALLEST 0x1p-56f
#define QTF_BF16_SMALLEST_LOG2 (-56.0f)

/*
 * Keys or values, borrowed. Number d of head h in row r is data[r * stride + h * head_stride + d];
 * of q8 it counts scales[r * scale_stride + h * scale_head_stride + d / QTF_KV_GROUP], and scales
 * is NULL for the other types. bfloat16 is as qtf_kv_quantise writes it: no smaller numbers.
 */
typedef struct {
    qtf_kv_type type;
    const void *data; /* [rows, n_kv_heads, head_dim]: float, uint16_t (of two kinds) or int8_t */
    ptrdiff_t stride, head_stride;
    const float *scales; /* [rows, n_kv_heads, ceil(head_dim / QTF_KV_GROUP)] */
    ptrdiff_t scale_stride, scale_head_stride;
} qtf_kv;

/*
 * The n rows of a head from row on as floats, *out_stride apart: in place where they are floats
 * and in_place is set, else written to buffer [n, width], of which numbers from head_dim on are
 * left as they are.
 */
const float *qtf_kv_rows(const qtf_kv *kv, int64_t row, int64_t n, int64_t head, int64_t head_dim,
                         bool in_place, float *buffer, int64_t width, ptrdiff_t *out_stride);

/* The n rows of a head from row on, bfloat16, as words of the kernels in use that have such (see
 * qtf_bf16_kernels): written to buffer [n, width]. */
void qtf_kv_pairs(const qtf_kv *kv, int64_t row, int64_t n, int64_t head, int64_t head_dim,
                  bool values, float *buffer, int64_t width);

/* Ask for rows that will be read soon. */
void qtf_kv_prefetch(const qtf_kv *kv, int64_t row, int64_t n, int64_t head, int64_t head_dim);

/*
 * Quantise x [rows, heads, head_dim], strided as a qtf_kv of floats, into out, a qtf_kv of bfloat16
 * or q8 whose memory is written. Groups of q8 are rounded as activations are: scale = max |x| /
 * 127, or 0 where that would be subnormal. QTF_BAD_ARGUMENT when a number is not finite, or not in
 * bfloat16; out is partly written then.
 */
qtf_status qtf_kv_quantise(const qtf_kv *x, int64_t rows, int64_t heads, int64_t head_dim,
                           const qtf_kv *out);

#endif
