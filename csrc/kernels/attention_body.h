/*
 * Bodies of the attention kernels, compiled once for each instruction set. Lanes are query rows:
 * keys and values are read in place, one number for all lanes, and a softmax never crosses lanes.
 * A file that includes this defines ATTENTION_KEYS and ATTENTION_VECTORS, the register tile of keys
 * (or numbers of a value) times vectors of rows that its registers hold. With ATTENTION_PAIRS, q,
 * k, v and the weights are words of two bfloat16 numbers (bf16_pairs.h), of neighbours along what
 * is summed over; without, words are floats.
 */
#ifndef QTF_ATTENTION_BODY_H
#define QTF_ATTENTION_BODY_H

#include <float.h>

#include "kernels/bf16_body.h"
#include "kernels/tanh.h"
#include "kernels/transpose.h"
#include "kernels/vec.h"
#if defined(ATTENTION_PAIRS)
#include "kernels/bf16_pairs.h"
enum { WORD_NUMBERS = 2 };
#else
#define vf_dot vf_fma
enum { WORD_NUMBERS = 1 };
#endif

enum { TILE_ROWS = ATTENTION_VECTORS * VF };

QTF_INLINE int words_of(int numbers) {
    return (numbers + WORD_NUMBERS - 1) / WORD_NUMBERS;
}

/*
 * scores[j][row] = q[row] · k[j] for keys j < keys: each one chain of fused multiply-adds over
 * ascending head_dim. Row vector v is q + v * q_stride: [words][16]. keys and vectors are constants
 * where this is expanded, so that the sums stay in registers.
 */
QTF_INLINE void score_tile(const int keys, const int vectors, const float *q, ptrdiff_t q_stride,
                           const float *k, ptrdiff_t k_stride, int words,
                           float (*scores)[TILE_ROWS]) {
    vf acc[ATTENTION_KEYS][ATTENTION_VECTORS];
    QTF_UNROLL for (int j = 0; j < keys; j++) {
        QTF_UNROLL for (int v = 0; v < vectors; v++) {
            acc[j][v] = vf_set1(0.0f);
        }
    }
    for (int d = 0; d < words; d++) {
        vf x[ATTENTION_VECTORS];
        QTF_UNROLL for (int v = 0; v < vectors; v++) {
            x[v] = vf_load(q + v * q_stride + VF * d);
        }
        QTF_UNROLL for (int j = 0; j < keys; j++) {
            vf y = vf_set1(k[j * k_stride + d]);
            QTF_UNROLL for (int v = 0; v < vectors; v++) {
                acc[j][v] = vf_dot(x[v], y, acc[j][v]);
            }
        }
    }
    QTF_UNROLL for (int j = 0; j < keys; j++) {
        QTF_UNROLL for (int v = 0; v < vectors; v++) {
            vf_store(scores[j] + VF * v, acc[j][v]);
        }
    }
}

/*
 * out[i][row] = factor[row] * out[i][row] + the sum of p[j][row] * value[j][i] over ascending
 * j < words, for numbers i < numbers of the values. Row vector v is out + v * out_stride.
 */
QTF_INLINE void value_tile(const int numbers, const int vectors, const float (*p)[TILE_ROWS],
                           const float *value, ptrdiff_t v_stride, int words, const vf *factor,
                           float *out, ptrdiff_t out_stride) {
    vf acc[ATTENTION_KEYS][ATTENTION_VECTORS];
    QTF_UNROLL for (int i = 0; i < numbers; i++) {
        QTF_UNROLL for (int v = 0; v < vectors; v++) {
            acc[i][v] = vf_set1(0.0f);
        }
    }
    for (int j = 0; j < words; j++) {
        vf x[ATTENTION_VECTORS];
        QTF_UNROLL for (int v = 0; v < vectors; v++) {
            x[v] = vf_load(p[j] + VF * v);
        }
        QTF_UNROLL for (int i = 0; i < numbers; i++) {
            vf y = vf_set1(value[j * v_stride + i]);
            QTF_UNROLL for (int v = 0; v < vectors; v++) {
                acc[i][v] = vf_dot(x[v], y, acc[i][v]);
            }
        }
    }
    QTF_UNROLL for (int i = 0; i < numbers; i++) {
        QTF_UNROLL for (int v = 0; v < vectors; v++) {
            float *sum = out + v * out_stride + VF * i;
            vf_store(sum, vf_fma(factor[v], vf_load(sum), acc[i][v]));
        }
    }
}

/* body(count, ...) with count, 1 … ATTENTION_KEYS, as a constant. */
#define ATTENTION_CASE(count, body, ...)                                                           \
    case count:                                                                                    \
        if (count <= ATTENTION_KEYS) {                                                             \
            body(count <= ATTENTION_KEYS ? count : 1, __VA_ARGS__);                                \
        }                                                                                          \
        break;
#define ATTENTION_SWITCH(count, body, ...)                                                         \
    switch (count) {                                                                               \
        ATTENTION_CASE(1, body, __VA_ARGS__)                                                       \
        ATTENTION_CASE(2, body, __VA_ARGS__)                                                       \
        ATTENTION_CASE(3, body, __VA_ARGS__)                                                       \
        ATTENTION_CASE(4, body, __VA_ARGS__)                                                       \
        ATTENTION_CASE(5, body, __VA_ARGS__)                                                       \
        ATTENTION_CASE(6, body, __VA_ARGS__)                                                       \
        ATTENTION_CASE(7, body, __VA_ARGS__)                                                       \
        ATTENTION_CASE(8, body, __VA_ARGS__)                                                       \
    }

/* Which keys of a tile 16 rows see: row r those from first[r] to end[r] - 1, not descending. */
typedef struct {
    float first[VF], end[VF];
} visible_keys;

/* Scores of keys that a row does not see become -inf. */
QTF_INLINE void hide_keys(float (*scores)[TILE_ROWS], int n, const visible_keys *visible) {
    vf low = vf_set1(-INFINITY), first = vf_load(visible->first), end = vf_load(visible->end);
    int n_first = (int)visible->first[VF - 1]; /* the keys before it, some row does not see */
    for (int j = 0; j < n && j < n_first; j++) {
        vf_store(scores[j], vf_where_less(vf_set1((float)j), first, low, vf_load(scores[j])));
    }
    for (int j = (int)visible->end[0]; j < n; j++) {
        vf_store(scores[j], vf_where_less(vf_set1((float)j), end, vf_load(scores[j]), low));
    }
}

/*
 * Scores of n keys become the words of exp2(score - max), 0 for those of -inf, as floats or in
 * bfloat16. Returns their sum.
 */
QTF_INLINE vf weights_of_scores(float (*scores)[TILE_ROWS], int n, vf max, bool bf16) {
    vf total = vf_set1(0.0f);
#if defined(ATTENTION_PAIRS)
    (void)bf16; /* always */
    const vf ones = vf_pair(vf_set1(1.0f), vf_set1(1.0f));
    if (n % 2) {
        vf_store(scores[n], vf_set1(-INFINITY));
    }
    for (int j = 0; j < n; j += 2) {
        vf first = vf_exp2(vf_sub(vf_load(scores[j]), max), QTF_BF16_SMALLEST_LOG2);
        vf second = vf_exp2(vf_sub(vf_load(scores[j + 1]), max), QTF_BF16_SMALLEST_LOG2);
        vf pair = vf_pair(first, second);
        vf_store(scores[j / 2], pair);
        total = vf_dot(pair, ones, total);
    }
#else
    for (int j = 0; j < n; j++) {
        vf x = vf_sub(vf_load(scores[j]), max);
        vf p = bf16 ? vf_bf16(vf_exp2(x, QTF_BF16_SMALLEST_LOG2)) : vf_exp2(x, -126.0f);
        vf_store(scores[j], p);
        total = vf_add(total, p);
    }
#endif
    return total;
}

/*
 * The online softmax of 16 rows over n keys, whose scores become weights. Returns what the rows'
 * earlier sums must be multiplied by, exactly 1 where the maximum stays; a row that has seen no key
 * yet keeps its sums of 0.
 */
QTF_INLINE vf softmax_tile(float (*scores)[TILE_ROWS], int n, bool bf16, float *max, float *sum) {
    vf before = vf_load(max), m = before;
    for (int j = 0; j < n; j++) {
        m = vf_max(vf_load(scores[j]), m);
    }
    vf_store(max, m);
    m = vf_where_less(m, vf_set1(-FLT_MAX), vf_set1(0.0f), m);
    vf total = weights_of_scores(scores, n, m, bf16);
    vf factor = vf_exp2(vf_sub(before, m), -126.0f);
    vf_store(sum, vf_add(vf_mul(vf_load(sum), factor), total));
    return factor;
}

/* The place in a tile of one of the sequence's keys, or the tile's end that is nearer. */
QTF_INLINE int place_in_tile(int64_t key, int64_t tile_start) {
    int64_t n = key - tile_start;
    return n < 0 ? 0 : (n > QTF_KEY_TILE ? QTF_KEY_TILE : (int)n);
}

/* Scores of a tile's first n keys become weights of 16 rows from first on, as softmax_tile says. */
QTF_INLINE vf weigh_tile(const qtf_attention_rows *rows, int first, float (*scores)[TILE_ROWS],
                         int n, int64_t tile_start) {
    visible_keys visible;
    for (int r = 0; r < VF; r++) {
        visible.first[r] = (float)place_in_tile(rows->first_visible[first + r], tile_start);
        visible.end[r] = (float)place_in_tile(rows->n_visible[first + r], tile_start);
    }
    if (rows->softcap > 0.0f) {
        for (int j = 0; j < n; j++) {
            vf_store(scores[j], vf_mul(vf_set1(rows->softcap), vf_tanh(vf_load(scores[j]))));
        }
    }
    hide_keys(scores, n, &visible);
    return softmax_tile(scores, n, rows->bf16, rows->max + first, rows->sum + first);
}

/* One key tile for the 16 * vectors rows from row0 on. */
QTF_INLINE void attention_tile_rows(const int vectors, const qtf_attention_rows *rows, int row0,
                                    const float *k, ptrdiff_t k_stride, const float *value,
                                    ptrdiff_t v_stride, int64_t tile_start) {
    float scores[QTF_KEY_TILE][TILE_ROWS] __attribute__((aligned(64)));
    int head_dim = rows->head_dim;
    int n = place_in_tile(rows->n_visible[row0 + VF * vectors - 1], tile_start);
    ptrdiff_t stride = (ptrdiff_t)rows->width * VF; /* between vectors of rows */
    const float *q = rows->q + row0 / VF * stride;
    float *out = rows->out + row0 / VF * stride;
    if (n == 0 || rows->first_visible[row0] >= tile_start + QTF_KEY_TILE) {
        return;
    }
    /* Register tiles of nearly equal height: the last one is not a slow, low one. */
    int tiles = (n + ATTENTION_KEYS - 1) / ATTENTION_KEYS;
    for (int t = 0, j = 0, next; t < tiles; t++, j = next) {
        next = n * (t + 1) / tiles;
        ATTENTION_SWITCH(next - j, score_tile, vectors, q, stride, k + j * k_stride, k_stride,
                         words_of(head_dim), scores + j)
    }
    vf factor[ATTENTION_VECTORS];
    QTF_UNROLL for (int v = 0; v < vectors; v++) {
        float (*part)[TILE_ROWS] = (float (*)[TILE_ROWS])(scores[0] + VF * v);
        factor[v] = weigh_tile(rows, row0 + VF * v, part, n, tile_start);
    }
    tiles = (head_dim + ATTENTION_KEYS - 1) / ATTENTION_KEYS;
    for (int t = 0, i = 0, next; t < tiles; t++, i = next) {
        next = head_dim * (t + 1) / tiles;
        ATTENTION_SWITCH(next - i, value_tile, vectors, (const float (*)[TILE_ROWS])scores,
                         value + i, v_stride, words_of(n), factor, out + VF * i, stride)
    }
}

QTF_INLINE void attention_tile_body(const qtf_attention_rows *rows, const float *k,
                                    ptrdiff_t k_stride, const float *value, ptrdiff_t v_stride,
                                    int64_t tile_start) {
    int row = 0;
    for (; row + TILE_ROWS <= rows->n; row += TILE_ROWS) {
        attention_tile_rows(ATTENTION_VECTORS, rows, row, k, k_stride, value, v_stride, tile_start);
    }
    for (; row < rows->n; row += VF) {
        attention_tile_rows(1, rows, row, k, k_stride, value, v_stride, tile_start);
    }
}

/* Ask for n rows at once: waiting for one line after the other costs more than the work itself. */
QTF_INLINE void fetch_rows(const float *const *rows, int n, int head_dim) {
    for (int r = 0; r < n; r++) {
        for (int d = 0; d < head_dim; d += 16) {
            __builtin_prefetch(rows[r] + d);
        }
    }
}

/* Sixteen rows of n words side by side, of which count are there: packed [n up to 16][16]. */
QTF_INLINE void attention_load_body(const float *rows, ptrdiff_t stride, int count, int n,
                                    float *packed) {
    float block[VF][VF] __attribute__((aligned(64)));
    memset(block[count], 0, (size_t)(VF - count) * sizeof block[0]);
    for (int d = 0; d < n; d += VF) {
        if (count == VF && d + VF <= n) {
            transpose_16x16(rows + d, stride, packed + VF * d, VF);
            continue;
        }
        for (int r = 0; r < count; r++) {
            const float *x = rows + r * stride + d;
            vf_store(block[r], n - d < VF ? vf_load_n(x, n - d) : vf_load(x));
        }
        transpose_16x16(block[0], VF, packed + VF * d, VF);
    }
}

/* Adding 0 turns -0, which depends on the neighbours in a tile, into 0. */
QTF_INLINE void attention_finish_body(const float *out, const float *sum, int n, int head_dim,
                                      float *const *rows) {
    float block[VF][VF] __attribute__((aligned(64)));
    float turned[VF][VF] __attribute__((aligned(64)));
    vf inverse = vf_div(vf_set1(1.0f), vf_load(sum)), zero = vf_set1(0.0f);
    fetch_rows((const float *const *)rows, n, head_dim);
    for (int d = 0; d < head_dim; d += VF) {
        int numbers = head_dim - d < VF ? head_dim - d : VF;
        for (int i = 0; i < VF; i++) {
            vf_store(block[i], vf_add(vf_mul(vf_load(out + VF * (d + i)), inverse), zero));
        }
        transpose_16x16(block[0], VF, turned[0], VF);
        for (int r = 0; r < n; r++) {
            if (numbers == VF) {
                vf_store(rows[r] + d, vf_load(turned[r]));
            } else {
                vf_store_n(rows[r] + d, vf_load(turned[r]), numbers);
            }
        }
    }
}

/* scores [n] in base e become softmax(scores + mask); all of them -inf gives zeros. */
QTF_INLINE void softmax_body(float *scores, size_t n) {
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        max = scores[i] > max ? scores[i] : max;
    }
    if (max == -INFINITY) {
        max = 0.0f;
    }
    vf m = vf_set1(max), total = vf_set1(0.0f);
    size_t i = 0;
    for (; i + VF <= n; i += VF) {
        vf p = vf_exp(vf_sub(vf_load(scores + i), m));
        vf_store(scores + i, p);
        total = vf_add(total, p);
    }
    if (i < n) {
        int rest = (int)(n - i);
        vf p = vf_exp(vf_sub(vf_load_n(scores + i, rest), m));
        vf_store_n(scores + i, p, rest);
        total = vf_add(total, vf_select_n(p, vf_set1(0.0f), rest));
    }
    float sum = vf_sum(total);
    vf inverse = vf_set1(sum > 0.0f ? 1.0f / sum : 0.0f);
    for (i = 0; i + VF <= n; i += VF) {
        vf_store(scores + i, vf_mul(vf_load(scores + i), inverse));
    }
    for (; i < n; i++) {
        scores[i] *= sum > 0.0f ? 1.0f / sum : 0.0f;
    }
}

#endif
