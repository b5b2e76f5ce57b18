/*
 * The attention of at most QTF_FEW_ROWS rows, as when a text grows token by token: lanes are keys,
 * then numbers of a value, so that they are all of use. Every sum has the terms and the order that
 * attention_body.h gives it.
 */
#ifndef QTF_ATTENTION_FEW_BODY_H
#define QTF_ATTENTION_FEW_BODY_H

#include "kernels/attention_body.h"

/*
 * out[r] = factor[r] * out[r] + the sum of p[j][r] * value[j] over ascending j < words, for rows r
 * < count and 16 * vectors numbers of the values.
 */
QTF_INLINE void few_value_tile(const int count, const int vectors, const float (*p)[TILE_ROWS],
                               const float *value, ptrdiff_t v_stride, int words,
                               const float *factor, float *out, ptrdiff_t out_stride) {
    vf acc[ATTENTION_KEYS][ATTENTION_VECTORS];
    QTF_UNROLL for (int r = 0; r < count; r++) {
        QTF_UNROLL for (int v = 0; v < vectors; v++) {
            acc[r][v] = vf_set1(0.0f);
        }
    }
    for (int j = 0; j < words; j++) {
        vf y[ATTENTION_VECTORS];
        QTF_UNROLL for (int v = 0; v < vectors; v++) {
            y[v] = vf_load(value + j * v_stride + VF * v);
        }
        QTF_UNROLL for (int r = 0; r < count; r++) {
            vf x = vf_set1(p[j][r]);
            QTF_UNROLL for (int v = 0; v < vectors; v++) {
                acc[r][v] = vf_dot(x, y[v], acc[r][v]);
            }
        }
    }
    QTF_UNROLL for (int r = 0; r < count; r++) {
        QTF_UNROLL for (int v = 0; v < vectors; v++) {
            float *sum = out + r * out_stride + VF * v;
            vf_store(sum, vf_fma(vf_set1(factor[r]), vf_load(sum), acc[r][v]));
        }
    }
}

/*
 * scores[j][row] = q[row] · k[j] for 16 * vectors keys, of which n are there. by_row is to work in;
 * its rows behind the last one keep what they hold.
 */
QTF_INLINE void few_scores(const int vectors, const qtf_attention_rows *rows, const float *k,
                           ptrdiff_t k_stride, int n, float (*by_row)[TILE_ROWS],
                           float (*scores)[TILE_ROWS]) {
    ptrdiff_t width = rows->width;
    int words = words_of(rows->head_dim);
    for (int v = 0; v < vectors; v++) {
        int count = n - VF * v < VF ? n - VF * v : VF;
        attention_load_body(k + VF * v * k_stride, k_stride, count < 0 ? 0 : count, words,
                            rows->keys + v * width * VF);
    }
    int tiles = (rows->n + ATTENTION_KEYS - 1) / ATTENTION_KEYS;
    for (int t = 0, r = 0, next; t < tiles; t++, r = next) {
        next = rows->n * (t + 1) / tiles;
        ATTENTION_SWITCH(next - r, score_tile, vectors, rows->keys, width * VF, rows->q + r * width,
                         width, words, by_row + r)
    }
    for (int v = 0; v < vectors; v++) {
        transpose_16x16(by_row[0] + VF * v, TILE_ROWS, scores[VF * v], TILE_ROWS);
    }
}

QTF_INLINE void attention_few_body(const qtf_attention_rows *rows, const float *k,
                                   ptrdiff_t k_stride, const float *value, ptrdiff_t v_stride,
                                   int64_t tile_start) {
    float scores[QTF_KEY_TILE][TILE_ROWS] __attribute__((aligned(64)));
    float by_row[VF][TILE_ROWS] __attribute__((aligned(64)));
    float factor[VF];
    ptrdiff_t width = rows->width;
    int n = place_in_tile(rows->n_visible[rows->n - 1], tile_start);
    if (n == 0) {
        return;
    }
    memset(by_row[rows->n], 0, (size_t)(VF - rows->n) * sizeof by_row[0]);
    for (int j = 0; j < n; j += TILE_ROWS) {
        few_scores(ATTENTION_VECTORS, rows, k + j * k_stride, k_stride, n - j, by_row, scores + j);
    }
    vf_store(factor, weigh_tile(rows, 0, scores, n, tile_start));
    int tiles = (rows->n + ATTENTION_KEYS - 1) / ATTENTION_KEYS;
    for (int t = 0, r = 0, next; t < tiles; t++, r = next) {
        next = rows->n * (t + 1) / tiles;
        int d = 0;
        for (; d + TILE_ROWS <= width; d += TILE_ROWS) {
            ATTENTION_SWITCH(next - r, few_value_tile, ATTENTION_VECTORS,
                             (const float (*)[TILE_ROWS])(scores[0] + r), value + d, v_stride,
                             words_of(n), factor + r, rows->out + r * width + d, width)
        }
        for (; d < width; d += VF) {
            ATTENTION_SWITCH(next - r, few_value_tile, 1,
                             (const float (*)[TILE_ROWS])(scores[0] + r), value + d, v_stride,
                             words_of(n), factor + r, rows->out + r * width + d, width)
        }
    }
}

#endif
