/*
 * Scaled dot-product attention with grouped queries over a ragged batch, with an online softmax
 * over key tiles: the matrix of weights is never in memory.
 *
 * Numeric contract: keys are taken in tiles of QTF_KEY_TILE counted from the sequence's first key,
 * a score is one chain of fused multiply-adds over ascending head_dim, a tile's part of an output
 * one over its ascending keys, and factor * output + part is fused. Tiles that a query doesn't see
 * add nothing, not even a rounding. So a query's result depends on itself and the keys that it sees
 * alone: not on the batch, the thread count, other queries, or which call put the earlier keys
 * there.
 *
 * With keys and values in bfloat16, queries times scale * log2(e) (scale / softcap with one) and
 * the weights exp2(score - largest score so far) are rounded as core/kvcache.h says before they
 * are multiplied, and it is the rounded weights that a softmax is divided by. A product of two such
 * numbers is exact, so the chains are those of any other type, and instructions that take two
 * numbers at a time give the same bits.
 */
#ifndef QTF_ATTENTION_H
#define QTF_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/kvcache.h"
#include "core/status.h"

/*
 * Everything is borrowed. Rows of q and k, v may lie apart (q_stride in floats), so that they can
 * be parts of one buffer; heads within a row of q are contiguous. Sequence s has the queries
 * q_offsets[s] … q_offsets[s + 1] - 1 and the keys k_offsets[s] … k_offsets[s + 1] - 1.
 */
typedef struct {
    const float *q; /* [rows, n_heads, head_dim] */
    qtf_kv k, v;    /* [rows, n_kv_heads, head_dim] */
    float *out;     /* [rows of q, n_heads, head_dim], contiguous, apart from q, k and v */
    ptrdiff_t q_stride;
    const int64_t *q_offsets, *k_offsets; /* [n_sequences + 1], not descending */
    int64_t n_sequences;
    int64_t n_heads, n_kv_heads, head_dim; /* head h uses key head h / (n_heads / n_kv_heads) */
    float scale;                           /* scores are scale * (q · k) */
    float softcap;  /* above 0, a score s becomes softcap * tanh(s / softcap); 0: it stays */
    bool causal;    /* query i of nq sees keys 0 … nk - nq + i; else it sees all nk */
    int64_t window; /* above 0, with causal: of these the last `window` alone; 0: all */
} qtf_attention_args;

enum { QTF_MAX_HEAD_DIM = 1024 };

/*
 * QTF_BAD_ARGUMENT when n_heads is not a multiple of n_kv_heads, head_dim is not in
 * 1 … QTF_MAX_HEAD_DIM, window is negative or not causal, softcap is negative, one of k and v alone
 * is bfloat16, or a query would see no key. Parallel: key tiles that no query of a task sees are
 * skipped. A NaN or infinity in what a query sees makes its result NaN, and one in a hidden value
 * may reach it.
 */
qtf_status qtf_attention(const qtf_attention_args *args);

/*
 * The weights themselves, for looking at: weights [n_heads, nq, nk] = softmax(score + mask) of one
 * sequence. Of args q, k, the heads, scale, softcap, causal and window are used, as above, with q
 * [n_heads, nq, head_dim] and k [n_kv_heads, nk, head_dim] floats, contiguous, heads first. mask
 * [n_heads, nq, nk] may be NULL; a row masked with -inf throughout gets zeros. QTF_BAD_ARGUMENT as
 * above.
 */
qtf_status qtf_attention_weights(const qtf_attention_args *args, int64_t nq, int64_t nk,
                                 const float *mask, float *weights);

#endif
