/*
 * Quantising to q4, compiled once for each instruction set. Products and sums are rounded each, so
 * that a matrix is packed to the same bytes everywhere.
 */
#ifndef QTF_Q4_QUANTISE_BODY_H
#define QTF_Q4_QUANTISE_BODY_H

#include "kernels/gemm_quantise_body.h"
#include "kernels/q4.h"

/* See qtf_gemm.quantise_row_q4. */
QTF_INLINE int quantise_row_q4_body(const float *x, int64_t k, int8_t *q, float *scales,
                                    int32_t *starts) {
    const int64_t n_groups = (k + QTF_Q4_GROUP - 1) / QTF_Q4_GROUP, padded = (k + 3) / 4 * 4;
    if (!quantise_row_body(x, k, QTF_Q4_GROUP, q, scales, starts, 0)) {
        return 0;
    }
    memset(q + padded, 0, (size_t)(n_groups * QTF_Q4_GROUP - padded));
    for (int64_t pair = 0; pair < n_groups * QTF_Q4_RUNS / 2; pair++, q += 2 * QTF_Q4_RUN) {
        int16_t sums[2] = {0, 0}; /* negative, of two runs */
        for (int i = 0; i < QTF_Q4_RUN; i++) {
            sums[0] = (int16_t)(sums[0] - q[i]);
            sums[1] = (int16_t)(sums[1] - q[QTF_Q4_RUN + i]);
        }
        memcpy(starts + pair, sums, sizeof sums);
    }
    return 1;
}

enum { Q4_PARTS = QTF_Q4_RUN / VF };

/* A run's weights, how much the error of each counts, and the best scale and minimum so far. */
typedef struct {
    vf x[Q4_PARTS], weight[Q4_PARTS];
    float total; /* of the weights */
    float scale, minimum, error;
} q4_run;

QTF_INLINE vf q4_code(vf x, float minimum, float inverse) {
    vf code = vf_round(vf_mul(vf_add(x, vf_set1(minimum)), vf_set1(inverse)));
    return vf_min(vf_max(code, vf_set1(0.0f)), vf_set1(15.0f));
}

/* The run's error with these codes, each standing for scale * code - minimum. */
QTF_INLINE float q4_error(const q4_run *run, const vf *codes, float scale, float minimum) {
    vf sum = vf_set1(0.0f);
    QTF_UNROLL for (int p = 0; p < Q4_PARTS; p++) {
        vf off = vf_sub(vf_sub(vf_mul(codes[p], vf_set1(scale)), vf_set1(minimum)), run->x[p]);
        sum = vf_add(sum, vf_mul(run->weight[p], vf_mul(off, off)));
    }
    return vf_sum(sum);
}

/* Take codes as given and the line through them that is best by least squares, if it is better. */
QTF_INLINE void q4_refit(q4_run *run, const vf *codes) {
    vf sq = vf_set1(0.0f), sqq = sq, sx = sq, sqx = sq;
    QTF_UNROLL for (int p = 0; p < Q4_PARTS; p++) {
        vf wq = vf_mul(run->weight[p], codes[p]);
        sq = vf_add(sq, wq);
        sqq = vf_add(sqq, vf_mul(wq, codes[p]));
        sx = vf_add(sx, vf_mul(run->weight[p], run->x[p]));
        sqx = vf_add(sqx, vf_mul(wq, run->x[p]));
    }
    const float q = vf_sum(sq), x = vf_sum(sx);
    const float spread = run->total * vf_sum(sqq) - q * q;
    const float scale = spread > 0.0f ? (run->total * vf_sum(sqx) - q * x) / spread : 0.0f;
    if (!(scale > 0.0f)) {
        return;
    }
    float minimum = (scale * q - x) / run->total;
    minimum = minimum > 0.0f ? minimum : 0.0f;
    const float error = q4_error(run, codes, scale, minimum);
    if (error < run->error) {
        run->scale = scale;
        run->minimum = minimum;
        run->error = error;
    }
}

/* Scale and minimum of a run: the plain ones, or the best that starting from some others gives. */
QTF_INLINE void q4_search(q4_run *run) {
    vf zero = vf_set1(0.0f), low = zero, high = zero, codes[Q4_PARTS];
    QTF_UNROLL for (int p = 0; p < Q4_PARTS; p++) {
        low = vf_max(low, vf_sub(zero, run->x[p]));
        high = vf_max(high, run->x[p]);
    }
    const float minimum = vf_hmax(low), range = vf_hmax(high) + minimum;
    run->scale = range / 15.0f;
    run->minimum = minimum;
    run->error = FLT_MAX;
    for (int i = 0; i < 5 && range > 0.0f && run->total > 0.0f; i++) {
        const float inverse = (14.0f + 0.5f * (float)i) / range;
        QTF_UNROLL for (int p = 0; p < Q4_PARTS; p++) {
            codes[p] = q4_code(run->x[p], minimum, inverse);
        }
        q4_refit(run, codes);
    }
}

/* Round the run's scale and minimum to whole multiples of d, and its weights to codes. */
QTF_INLINE void q4_round(q4_run *run, float d, uint8_t *codes, uint8_t *scale, uint8_t *minimum) {
    const float inverse = 1.0f / d;
    const int nearest = (int)(run->scale * inverse + 0.5f);
    run->error = FLT_MAX;
    for (int s = nearest - 1; s <= nearest + 1; s++) {
        if (s < 1 || s > QTF_Q4_TOP_SCALE) {
            continue;
        }
        const float step = d * (float)s, per_step = inverse / (float)s;
        vf q[Q4_PARTS], sum = vf_set1(0.0f);
        QTF_UNROLL for (int p = 0; p < Q4_PARTS; p++) {
            q[p] = q4_code(run->x[p], run->minimum, per_step);
            vf off = vf_sub(vf_mul(q[p], vf_set1(step)), run->x[p]);
            sum = vf_add(sum, vf_mul(run->weight[p], off));
        }
        float m = run->total > 0.0f ? vf_sum(sum) / run->total * inverse + 0.5f : 0.0f;
        m = m < 0.0f ? 0.0f : m > 255.0f ? 255.0f : m;
        const float offset = d * (float)(int)m;
        QTF_UNROLL for (int p = 0; p < Q4_PARTS; p++) {
            q[p] = q4_code(run->x[p], offset, per_step);
        }
        const float error = q4_error(run, q, step, offset);
        if (error < run->error) {
            run->error = error;
            *scale = (uint8_t)s;
            *minimum = (uint8_t)m;
            QTF_UNROLL for (int p = 0; p < Q4_PARTS; p++) {
                vf_store_i8((int8_t *)codes + VF * p, q[p]);
            }
        }
    }
}

/* x to the nearest number whose lower 16 bits are zero, halves up. */
QTF_INLINE float q4_upper_half(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x8000u) & 0xffff0000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* See qtf_gemm.quantise_q4. All is relative to the largest weight, so that no sum overflows. */
QTF_INLINE int quantise_q4_body(const float *x, const float *importance, qtf_q4_group *out) {
    vf bad = vf_set1(0.0f);
    const float top = quantise_top(x, QTF_Q4_GROUP, &bad);
    *out = (qtf_q4_group){0};
    if (vf_sum(bad) != 0.0f) {
        return 0;
    }
    if (top < 4096.0f * FLT_MIN) {
        return 1;
    }
    q4_run runs[QTF_Q4_RUNS];
    float largest = 0.0f, least = FLT_MAX;
    for (int i = 0; i < QTF_Q4_RUNS; i++) {
        vf total = vf_set1(0.0f);
        QTF_UNROLL for (int p = 0; p < Q4_PARTS; p++) {
            const int at = QTF_Q4_RUN * i + VF * p;
            runs[i].x[p] = vf_div(vf_load(x + at), vf_set1(top));
            runs[i].weight[p] = vf_load(importance + at);
            total = vf_add(total, runs[i].weight[p]);
        }
        runs[i].total = vf_sum(total);
        q4_search(&runs[i]);
        largest = runs[i].scale > largest ? runs[i].scale : largest;
    }
    for (int i = 0; i < 3; i++) {
        const float levels = (float)QTF_Q4_TOP_SCALE - 0.5f * (float)i;
        const float d = q4_upper_half(largest * top / levels);
        qtf_q4_group group = {.d = d};
        float error = 0.0f;
        for (int r = 0; r < QTF_Q4_RUNS; r++) {
            q4_round(&runs[r], d / top, group.codes + QTF_Q4_RUN * r, group.scales + r,
                     group.minima + r);
            error += runs[r].error;
        }
        if (error < least) {
            least = error;
            *out = group;
        }
    }
    return 1;
}

#endif
