/*
 * Quantising weights to q4, compiled once for each instruction set. A lane is a row of weights, so
 * that nothing is added across lanes; sums run in ascending order, and every operation is rounded
 * by itself, so that a matrix is packed to the same bytes everywhere. core/matmul.h has the method.
 */
#ifndef QTF_Q4_WEIGHTS_BODY_H
#define QTF_Q4_WEIGHTS_BODY_H

#include <float.h>

#include "kernels/q4.h"
#include "kernels/transpose.h"

/* A run of 16 rows, and the line through its codes that the search found. */
typedef struct {
    float *x; /* [n][16] */
    const float *weight;
    int n;
    float total;          /* of weight */
    vf low;               /* was added to x, so that none is negative */
    vf sum;               /* of weight * x */
    vf scale, minimum;    /* x is about scale * code - minimum */
    vf mean_code, spread; /* the codes' mean, and the sum of their weighted squares around it */
    vf error;             /* the sum of weight * (error^2 - x^2) */
} q4_run;

QTF_INLINE vf q4_clamp(vf a, float low, float high) {
    return vf_min(vf_max(a, vf_set1(low)), vf_set1(high));
}

/* A scale not far from the plain one, however sums of unlike weights were rounded. */
QTF_INLINE vf q4_near(vf scale, vf plain) {
    scale = vf_max(scale, vf_mul(plain, vf_set1(0.75f)));
    return vf_min(scale, vf_mul(plain, vf_set1(1.25f)));
}

/*
 * Take the line that comes closest with the codes that x * inverse + offset gives, if it is better.
 * Without offset x * inverse is not negative.
 */
QTF_INLINE void q4_fit(q4_run *run, vf plain, vf inverse, const vf *offset) {
    vf sq = vf_set1(0.0f), sqq = sq, sqx = sq;
    for (int k = 0; k < run->n; k++) {
        const vf x = vf_load(run->x + VF * k), place = vf_mul(x, inverse);
        const vf code = offset ? q4_clamp(vf_round(vf_add(place, *offset)), 0.0f, 15.0f)
                               : vf_min(vf_round(place), vf_set1(15.0f));
        const vf weighted = vf_mul(code, vf_set1(run->weight[k]));
        sq = vf_add(sq, weighted);
        sqq = vf_add(sqq, vf_mul(weighted, code));
        sqx = vf_add(sqx, vf_mul(weighted, x));
    }
    const vf total = vf_set1(run->total), per_total = vf_set1(1.0f / run->total);
    const vf mean = vf_mul(sq, per_total), spread = vf_sub(sqq, vf_mul(mean, sq));
    const vf least = vf_sub(vf_set1(0.0f), run->low);
    vf scale = vf_div(vf_sub(sqx, vf_mul(mean, run->sum)), spread);
    scale = vf_where_less(vf_set1(0.0f), spread, q4_near(scale, plain), plain);
    vf excess = vf_sub(vf_mul(scale, sq), run->sum), minimum = vf_mul(excess, per_total);
    /* Through zero, where the minimum of what x was would be negative. */
    const vf through_zero = vf_div(vf_sub(sqx, vf_mul(run->low, sq)), sqq);
    scale = vf_where_less(minimum, least, q4_near(through_zero, plain), scale);
    excess = vf_sub(vf_mul(scale, sq), run->sum);
    minimum = vf_max(minimum, least);
    const vf by_scale = vf_mul(scale, vf_sub(vf_mul(scale, sqq), vf_add(sqx, sqx)));
    const vf by_minimum = vf_sub(vf_mul(minimum, total), vf_add(excess, excess));
    const vf error = vf_add(by_scale, vf_mul(minimum, by_minimum));
    run->scale = vf_where_less(error, run->error, scale, run->scale);
    run->minimum = vf_where_less(error, run->error, minimum, run->minimum);
    run->mean_code = vf_where_less(error, run->error, mean, run->mean_code);
    run->spread = vf_where_less(error, run->error, spread, run->spread);
    run->error = vf_min(error, run->error);
}

/* Find the scale and minimum of a run times power: the best of four starts, refined once. */
QTF_INLINE void q4_search(q4_run *run, vf power) {
    const vf zero = vf_set1(0.0f);
    vf low = zero, high = zero, sum = zero;
    for (int k = 0; k < run->n; k++) {
        const vf x = vf_mul(vf_load(run->x + VF * k), power);
        vf_store(run->x + VF * k, x);
        low = vf_max(low, vf_sub(zero, x));
        high = vf_max(high, x);
    }
    for (int k = 0; k < run->n; k++) {
        const vf x = vf_add(vf_load(run->x + VF * k), low);
        vf_store(run->x + VF * k, x);
        sum = vf_add(sum, vf_mul(x, vf_set1(run->weight[k])));
        run->total += run->weight[k];
    }
    const vf range = vf_add(low, high), plain = vf_mul(range, vf_set1(1.0f / 15.0f));
    run->low = low;
    run->sum = sum;
    run->scale = plain;
    run->minimum = run->mean_code = run->spread = zero;
    run->error = vf_set1(FLT_MAX);
    if (run->total > 0.0f) {
        for (int i = 0; i < 4; i++) {
            const vf inverse = vf_div(vf_set1(14.25f + 0.5f * (float)i), range);
            q4_fit(run, plain, vf_where_less(zero, range, inverse, zero), NULL);
        }
        vf inverse = vf_div(vf_set1(1.0f), run->scale);
        inverse = vf_where_less(zero, range, inverse, zero);
        const vf offset = vf_mul(run->minimum, inverse);
        q4_fit(run, plain, inverse, &offset);
    }
    run->minimum = vf_add(run->minimum, low);
}

/*
 * The multiples of d to which the run's scale and minimum are rounded. Returns by how much that
 * makes its error larger while the codes stay as they are.
 */
QTF_INLINE vf q4_multiples(const q4_run *run, vf d, vf inverse, vf *scale, vf *minimum) {
    *scale = q4_clamp(vf_round(vf_mul(run->scale, inverse)), 1.0f, QTF_Q4_TOP_SCALE);
    const vf off = vf_sub(vf_mul(*scale, d), run->scale);
    const vf balanced = vf_add(run->minimum, vf_mul(off, run->mean_code));
    *minimum = q4_clamp(vf_round(vf_mul(balanced, inverse)), 0.0f, 255.0f);
    const vf shift = vf_sub(vf_mul(*minimum, d), balanced);
    return vf_add(vf_mul(vf_mul(off, off), run->spread),
                  vf_mul(vf_mul(shift, shift), vf_set1(run->total)));
}

/* a to the nearest number whose lower 16 bits are zero (Veltkamp's splitting). */
QTF_INLINE vf q4_upper_half(vf a) {
    const vf c = vf_mul(a, vf_set1(65537.0f));
    return vf_sub(c, vf_sub(c, a));
}

/* The d that makes the error of four runs least, where its largest scale is 14 … 17.25 times it. */
QTF_INLINE vf q4_unit(const q4_run *runs) {
    vf largest = vf_set1(0x1p-20f); /* where all are 0 */
    for (int r = 0; r < QTF_Q4_RUNS; r++) {
        largest = vf_max(largest, runs[r].scale);
    }
    vf best = vf_set1(0.0f), least = vf_set1(FLT_MAX);
    for (int i = 0; i < 14; i++) {
        const vf d = q4_upper_half(vf_div(largest, vf_set1(17.25f - 0.25f * (float)i)));
        const vf inverse = vf_div(vf_set1(1.0f), d);
        vf error = vf_set1(0.0f);
        for (int r = 0; r < QTF_Q4_RUNS; r++) {
            vf scale, minimum;
            error = vf_add(error, q4_multiples(&runs[r], d, inverse, &scale, &minimum));
        }
        best = vf_where_less(error, least, d, best);
        least = vf_min(error, least);
    }
    return best;
}

/* Powers of two that take each top to 2 … 4, and their inverses; 0 where top is too small. */
QTF_INLINE void q4_powers(const float *top, float *power, float *inverse) {
    for (int i = 0; i < VF; i++) {
        uint32_t bits, up = 0, down = 0;
        memcpy(&bits, top + i, sizeof bits);
        if (top[i] >= 4096.0f * FLT_MIN) {
            down = (255u << 23) - (bits & 0x7f800000u);
            up = (bits & 0x7f800000u) - (1u << 23);
        }
        memcpy(power + i, &down, sizeof down);
        memcpy(inverse + i, &up, sizeof up);
    }
}

/*
 * Quantise the first n of 128 weights of 16 rows x [128][16] to columns of a block, but for their
 * codes, which x becomes.
 */
QTF_INLINE int q4_half(float *x, int n, const float *weight, qtf_q4_block *block, int col) {
    const vf zero = vf_set1(0.0f);
    vf top = zero, bad = zero;
    for (int k = 0; k < n; k++) {
        const vf v = vf_load(x + VF * k);
        top = vf_max(top, vf_max(v, vf_sub(zero, v)));
        bad = vf_add(bad, vf_mul(v, zero));
    }
    if (vf_sum(bad) != 0.0f) {
        return 0;
    }
    float lanes[VF], inverse_lanes[VF];
    vf_store(lanes, top);
    q4_powers(lanes, lanes, inverse_lanes);
    const vf power = vf_load(lanes), back = vf_load(inverse_lanes);
    q4_run runs[QTF_Q4_RUNS];
    for (int r = 0; r < QTF_Q4_RUNS; r++) {
        const int at = QTF_Q4_RUN * r, left = n < at ? 0 : n - at;
        runs[r] = (q4_run){.x = x + VF * at, .weight = weight + at};
        runs[r].n = left < QTF_Q4_RUN ? left : QTF_Q4_RUN;
        q4_search(&runs[r], power);
    }
    const vf d = q4_unit(runs), inverse = vf_div(vf_set1(1.0f), d);
    vf_store(lanes, vf_mul(d, back));
    for (int i = 0; i < VF; i++) {
        uint32_t bits;
        memcpy(&bits, lanes + i, sizeof bits);
        block->d[col + i] = (uint16_t)(bits >> 16);
    }
    for (int r = 0; r < QTF_Q4_RUNS; r++) {
        const q4_run *run = &runs[r];
        vf scale, minimum;
        (void)q4_multiples(run, d, inverse, &scale, &minimum);
        const vf per_step = vf_div(inverse, scale);
        const vf offset = vf_sub(vf_div(minimum, scale), vf_mul(run->low, per_step));
        for (int k = 0; k < run->n; k++) {
            const vf place = vf_add(vf_mul(vf_load(run->x + VF * k), per_step), offset);
            vf_store(run->x + VF * k, q4_clamp(vf_round(place), 0.0f, 15.0f));
        }
        vf_store(lanes, vf_where_less(zero, back, scale, zero));
        vf_store(inverse_lanes, vf_where_less(zero, back, minimum, zero));
        for (int i = 0; i < VF; i++) {
            block->scales[r][col + i] = (uint8_t)lanes[i];
            block->minima[r / 2][col + i][r % 2] = (uint8_t)inverse_lanes[i];
        }
    }
    return 1;
}

/* See qtf_gemm.quantise_q4. */
QTF_INLINE int quantise_q4_body(const float *x, int n, const float *weight, qtf_q4_block *block) {
    _Alignas(64) float turned[2][QTF_Q4_GROUP][VF];
    for (int h = 0; h < 2; h++) {
        for (int k = 0; k < QTF_Q4_GROUP; k += VF) {
            transpose_16x16(x + VF * QTF_Q4_GROUP * h + k, QTF_Q4_GROUP, turned[h][k], VF);
        }
        if (!q4_half(turned[h][0], n, weight, block, VF * h)) {
            return 0;
        }
    }
    for (int k = 0; k < QTF_Q4_GROUP; k += 4) {
        vf bytes[4];
        QTF_UNROLL for (int i = 0; i < 4; i++) {
            const vf low = vf_load(turned[0][k + i]), high = vf_load(turned[1][k + i]);
            bytes[i] = vf_add(low, vf_mul(high, vf_set1(16.0f)));
        }
        vf_store_u8x4(block->codes[k / 4], bytes);
    }
    return 1;
}

#endif
