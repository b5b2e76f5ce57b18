/*
 * Bodies of the attention kernels, compiled once for each instruction set. A file that includes
 * this defines ATTENTION_ROWS and ATTENTION_VECTORS, the register tile that its registers hold.
 */
#ifndef QTF_ATTENTION_BODY_H
#define QTF_ATTENTION_BODY_H

#include "kernels/transpose.h"
#include "kernels/vec.h"

enum { TILE_VECTORS = QTF_KEY_TILE / VF };

/* keys [head_dim, QTF_KEY_TILE] and values [QTF_KEY_TILE, width] of n keys, padded with zeros. */
QTF_INLINE void attention_pack_body(const float *k, ptrdiff_t k_stride, const float *v,
                                    ptrdiff_t v_stride, int n, int head_dim, float *keys,
                                    float *values) {
    int whole_n = n / 16 * 16, whole_d = head_dim / 16 * 16, rest = head_dim - whole_d;
    for (int j = 0; j < whole_n; j += 16) {
        for (int d = 0; d < whole_d; d += 16) {
            transpose_16x16(k + j * k_stride + d, k_stride, keys + d * QTF_KEY_TILE + j,
                            QTF_KEY_TILE);
        }
    }
    for (int j = 0; j < n; j++) {
        for (int d = j < whole_n ? whole_d : 0; d < head_dim; d++) {
            keys[d * QTF_KEY_TILE + j] = k[j * k_stride + d];
        }
    }
    for (int d = 0; n < QTF_KEY_TILE && d < head_dim; d++) {
        memset(keys + d * QTF_KEY_TILE + n, 0, (size_t)(QTF_KEY_TILE - n) * sizeof(float));
    }
    for (int j = 0; j < n; j++, v += v_stride) {
        for (int d = 0; d < whole_d; d += VF, values += VF) {
            vf_store(values, vf_load(v + d));
        }
        if (rest) {
            vf_store(values, vf_load_n(v + whole_d, rest));
            values += VF;
        }
    }
}

/*
 * c [rows, 16 vectors] = (c +) a [rows, n] · b [n, 16 vectors], each output one chain of fused
 * multiply-adds over ascending n, so that the register tile never shows in the result. add is 0
 * or 1: start from 0 or from c. rows and vectors are constants where this is expanded.
 */
QTF_INLINE void product_tile(const int rows, const int vectors, const int add, const float *a,
                             ptrdiff_t a_stride, const float *b, ptrdiff_t b_stride, int n,
                             float *c, ptrdiff_t c_stride) {
    vf acc[ATTENTION_ROWS][ATTENTION_VECTORS];
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        QTF_UNROLL for (int v = 0; v < vectors; v++) {
            acc[r][v] = add ? vf_load(c + r * c_stride + VF * v) : vf_set1(0.0f);
        }
    }
    for (int k = 0; k < n; k++) {
        vf y[ATTENTION_VECTORS];
        QTF_UNROLL for (int v = 0; v < vectors; v++) {
            y[v] = vf_load(b + k * b_stride + VF * v);
        }
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            vf x = vf_set1(a[r * a_stride + k]);
            QTF_UNROLL for (int v = 0; v < vectors; v++) {
                acc[r][v] = vf_fma(x, y[v], acc[r][v]);
            }
        }
    }
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        QTF_UNROLL for (int v = 0; v < vectors; v++) {
            vf_store(c + r * c_stride + VF * v, acc[r][v]);
        }
    }
}

QTF_INLINE void product_columns(const int rows, const int add, const float *a, ptrdiff_t a_stride,
                                const float *b, ptrdiff_t b_stride, int n, float *c,
                                ptrdiff_t c_stride, int vectors) {
    int v = 0;
#if ATTENTION_VECTORS >= 4
    for (; v + 4 <= vectors; v += 4) {
        product_tile(rows, 4, add, a, a_stride, b + VF * v, b_stride, n, c + VF * v, c_stride);
    }
#endif
#if ATTENTION_VECTORS >= 2
    for (; v + 2 <= vectors; v += 2) {
        product_tile(rows, 2, add, a, a_stride, b + VF * v, b_stride, n, c + VF * v, c_stride);
    }
#endif
    for (; v < vectors; v++) {
        product_tile(rows, 1, add, a, a_stride, b + VF * v, b_stride, n, c + VF * v, c_stride);
    }
}

/* The same for 1 <= rows <= ATTENTION_ROWS, known only at run time. */
QTF_INLINE void product(int rows, const int add, const float *a, ptrdiff_t a_stride, const float *b,
                        ptrdiff_t b_stride, int n, float *c, ptrdiff_t c_stride, int vectors) {
    switch (rows) {
#define PRODUCT_ROWS(count)                                                                        \
    case count:                                                                                    \
        product_columns(count, add, a, a_stride, b, b_stride, n, c, c_stride, vectors);            \
        break
        PRODUCT_ROWS(1);
        PRODUCT_ROWS(2);
#if ATTENTION_ROWS >= 6
        PRODUCT_ROWS(3);
        PRODUCT_ROWS(4);
        PRODUCT_ROWS(5);
        PRODUCT_ROWS(6);
#endif
#undef PRODUCT_ROWS
    }
}

/*
 * One row's online softmax over one tile: s [QTF_KEY_TILE] are scores in base 2 and become
 * exp2(s - max); the first visible ones count, the others become 0. max, sum [16] and
 * out [width] are brought to the new maximum. When no score beats the maximum the factor would be
 * exactly 1, so leaving it out changes no bit.
 */
QTF_INLINE void softmax_update(float *s, int visible, float *max, float *sum, float *out,
                               int width) {
    vf x[TILE_VECTORS];
    vf low = vf_set1(-INFINITY);
    QTF_UNROLL for (int v = 0; v < TILE_VECTORS; v++) {
        int lanes = visible - VF * v;
        x[v] = lanes >= VF ? vf_load(s + VF * v)
                           : (lanes > 0 ? vf_select_n(vf_load(s + VF * v), low, lanes) : low);
    }
    vf top = vf_max(vf_max(x[0], x[1]), vf_max(x[2], x[3]));
    vf total = vf_load(sum);
    vf m = vf_set1(*max);
    if (vf_mask_greater(top, m)) {
        vf higher = vf_set1(vf_hmax(top));
        vf factor = vf_exp2(vf_sub(m, higher));
        vf_store_n(max, higher, 1);
        m = higher;
        total = vf_mul(total, factor);
        for (int i = 0; i < width; i += VF) {
            vf_store(out + i, vf_mul(vf_load(out + i), factor));
        }
    }
    QTF_UNROLL for (int v = 0; v < TILE_VECTORS; v++) {
        x[v] = vf_exp2(vf_sub(x[v], m));
        vf_store(s + VF * v, x[v]);
        total = vf_add(total, x[v]);
    }
    vf_store(sum, total);
}

QTF_INLINE int visible_in_tile(int64_t n_visible, int64_t tile_start) {
    int64_t n = n_visible - tile_start;
    return n < 0 ? 0 : (n > QTF_KEY_TILE ? QTF_KEY_TILE : (int)n);
}

QTF_INLINE void attention_tile_body(const qtf_attention_rows *rows, const float *keys,
                                    const float *values, int64_t tile_start) {
    float scores[ATTENTION_ROWS][QTF_KEY_TILE] __attribute__((aligned(64)));
    int width = rows->width, head_dim = rows->head_dim;
    for (int r0 = 0; r0 < rows->n; r0 += ATTENTION_ROWS) {
        int n = rows->n - r0 < ATTENTION_ROWS ? rows->n - r0 : ATTENTION_ROWS;
        int visible[ATTENTION_ROWS], most = 0;
        for (int r = 0; r < n; r++) {
            visible[r] = visible_in_tile(rows->n_visible[r0 + r], tile_start);
            most = visible[r] > most ? visible[r] : most;
        }
        if (most == 0) {
            continue;
        }
        float *out = rows->out + (ptrdiff_t)r0 * width;
        product(n, 0, rows->q + (ptrdiff_t)r0 * head_dim, head_dim, keys, QTF_KEY_TILE, head_dim,
                scores[0], QTF_KEY_TILE, (most + VF - 1) / VF);
        for (int r = 0; r < n; r++) {
            if (visible[r] > 0) {
                softmax_update(scores[r], visible[r], rows->max + r0 + r,
                               rows->sum + (ptrdiff_t)(r0 + r) * VF, out + (ptrdiff_t)r * width,
                               width);
            } else {
                memset(scores[r], 0, sizeof scores[r]);
            }
        }
        product(n, 1, scores[0], QTF_KEY_TILE, values, width, most, out, width, width / VF);
    }
}

/* Adding 0 turns -0, which depends on the neighbours in a tile, into 0. */
QTF_INLINE void attention_finish_body(const float *out, const float *sum, float *result,
                                      int head_dim) {
    vf inverse = vf_div(vf_set1(1.0f), vf_set1(vf_sum(vf_load(sum))));
    vf zero = vf_set1(0.0f);
    int i = 0;
    for (; i + VF <= head_dim; i += VF) {
        vf_store(result + i, vf_add(vf_mul(vf_load(out + i), inverse), zero));
    }
    if (i < head_dim) {
        vf_store_n(result + i, vf_add(vf_mul(vf_load(out + i), inverse), zero), head_dim - i);
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
