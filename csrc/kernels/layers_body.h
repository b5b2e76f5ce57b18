/* Bodies of the norm, rotary and activation kernels, compiled once for each instruction set. */
#ifndef QTF_LAYERS_BODY_H
#define QTF_LAYERS_BODY_H

#include "kernels/tanh.h"
#include "kernels/vec.h"

/* Four accumulators hide the latency of the sum; lane j of accumulator i holds x[64 c + 16 i + j].
 */
QTF_INLINE float sum_of_squares(const float *x, size_t n) {
    vf acc[4];
    QTF_UNROLL for (int i = 0; i < 4; i++) {
        acc[i] = vf_set1(0.0f);
    }
    size_t j = 0;
    for (; j + 4 * VF <= n; j += 4 * VF) {
        QTF_UNROLL for (int i = 0; i < 4; i++) {
            vf a = vf_load(x + j + (size_t)(VF * i));
            acc[i] = vf_fma(a, a, acc[i]);
        }
    }
    QTF_UNROLL for (int i = 0; i < 4; i++) {
        if (j < n) {
            int lanes = n - j < VF ? (int)(n - j) : VF;
            vf a = vf_load_n(x + j, lanes);
            acc[i] = vf_fma(a, a, acc[i]);
            j += (size_t)lanes;
        }
    }
    return vf_sum(vf_add(vf_add(acc[0], acc[1]), vf_add(acc[2], acc[3])));
}

QTF_INLINE void rms_norm_body(const float *x, const float *weight, float eps, float *out,
                              size_t n) {
    float mean = sum_of_squares(x, n) / (float)n;
    vf scale = vf_set1(1.0f / sqrtf(mean + eps));
    size_t i = 0;
    for (; i + VF <= n; i += VF) {
        vf_store(out + i, vf_mul(vf_mul(vf_load(x + i), scale), vf_load(weight + i)));
    }
    if (i < n) {
        int rest = (int)(n - i);
        vf y = vf_mul(vf_mul(vf_load_n(x + i, rest), scale), vf_load_n(weight + i, rest));
        vf_store_n(out + i, y, rest);
    }
}

/* x[i] - mean, and 0 in the lanes behind n. */
QTF_INLINE vf deviation(const float *x, int n, vf mean) {
    return vf_select_n(vf_sub(vf_load_n(x, n), mean), vf_set1(0.0f), n);
}

QTF_INLINE void layer_norm_body(const float *x, const float *weight, const float *bias, float eps,
                                float *out, size_t n) {
    vf sum = vf_set1(0.0f), squares = vf_set1(0.0f);
    for (size_t i = 0; i < n; i += VF) {
        sum = vf_add(sum, vf_load_n(x + i, n - i < VF ? (int)(n - i) : VF));
    }
    vf mean = vf_set1(vf_sum(sum) / (float)n);
    for (size_t i = 0; i < n; i += VF) {
        vf d = deviation(x + i, n - i < VF ? (int)(n - i) : VF, mean);
        squares = vf_fma(d, d, squares);
    }
    vf scale = vf_set1(1.0f / sqrtf(vf_sum(squares) / (float)n + eps));
    for (size_t i = 0; i < n; i += VF) {
        int rest = n - i < VF ? (int)(n - i) : VF;
        vf y = vf_mul(deviation(x + i, rest, mean), scale);
        vf_store_n(out + i, vf_fma(y, vf_load_n(weight + i, rest), vf_load_n(bias + i, rest)),
                   rest);
    }
}

QTF_INLINE void rope_body(float *x, const float *cosine, const float *sine, size_t n_heads,
                          size_t half, size_t head_dim) {
    for (size_t h = 0; h < n_heads; h++, x += head_dim) {
        size_t i = 0;
        for (; i + VF <= half; i += VF) {
            vf a = vf_load(x + i), b = vf_load(x + half + i);
            vf c = vf_load(cosine + i), s = vf_load(sine + i);
            vf_store(x + i, vf_sub(vf_mul(a, c), vf_mul(b, s)));
            vf_store(x + half + i, vf_add(vf_mul(b, c), vf_mul(a, s)));
        }
        if (i < half) {
            int rest = (int)(half - i);
            vf a = vf_load_n(x + i, rest), b = vf_load_n(x + half + i, rest);
            vf c = vf_load_n(cosine + i, rest), s = vf_load_n(sine + i, rest);
            vf_store_n(x + i, vf_sub(vf_mul(a, c), vf_mul(b, s)), rest);
            vf_store_n(x + half + i, vf_add(vf_mul(b, c), vf_mul(a, s)), rest);
        }
    }
}

/* g / (1 + exp(-g)) * u. exp stops at 2e38, so that the quotient fades to 0 and never to NaN. */
QTF_INLINE vf silu_times(vf g, vf u) {
    vf e = vf_exp(vf_sub(vf_set1(0.0f), g));
    return vf_mul(vf_div(g, vf_add(vf_set1(1.0f), e)), u);
}

QTF_INLINE void swiglu_body(const float *gate, const float *up, float *out, size_t n) {
    size_t i = 0;
    for (; i + VF <= n; i += VF) {
        vf_store(out + i, silu_times(vf_load(gate + i), vf_load(up + i)));
    }
    if (i < n) {
        int rest = (int)(n - i);
        vf_store_n(out + i, silu_times(vf_load_n(gate + i, rest), vf_load_n(up + i, rest)), rest);
    }
}

/*
 * 0.5 x (1 + tanh u) = x / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3). exp stops at 2e38:
 * below -100 the quotient is held at the -5e-37 that it has there.
 */
QTF_INLINE vf gelu_tanh(vf x) {
    x = vf_where_less(x, vf_set1(-100.0f), vf_set1(-100.0f), x);
    vf cubic = vf_fma(vf_mul(vf_mul(x, x), vf_set1(0.044715f)), x, x);
    vf e = vf_exp(vf_mul(cubic, vf_set1(-1.5957691216057308f)));
    return vf_div(x, vf_add(vf_set1(1.0f), e));
}

QTF_INLINE void gelu_body(const float *x, float *out, size_t n) {
    for (size_t i = 0; i < n; i += VF) {
        int rest = n - i < VF ? (int)(n - i) : VF;
        vf_store_n(out + i, gelu_tanh(vf_load_n(x + i, rest)), rest);
    }
}

QTF_INLINE void geglu_body(const float *gate, const float *up, float *out, size_t n) {
    for (size_t i = 0; i < n; i += VF) {
        int rest = n - i < VF ? (int)(n - i) : VF;
        vf y = vf_mul(gelu_tanh(vf_load_n(gate + i, rest)), vf_load_n(up + i, rest));
        vf_store_n(out + i, y, rest);
    }
}

/*
 * 0.5 x (1 + erf(x / sqrt 2)) = max(x, 0) - |x| Q(|x|), Q the upper tail of the normal
 * distribution: Q(a) = exp(-a^2 / 2) t P(t), t = 1 / (1 + 0.21 a), P of degree 8, whose relative
 * error is below 2^-24 up to a = 13.2, where exp ends.
 */
QTF_INLINE vf gelu_erf(vf x) {
    vf zero = vf_set1(0.0f), one = vf_set1(1.0f);
    vf a = vf_max(x, vf_sub(zero, x)); /* a NaN stays one */
    vf t = vf_div(one, vf_fma(a, vf_set1(0.21f), one));
    vf p = vf_set1(-0.07226838916540146f);
    p = vf_fma(p, t, vf_set1(0.28661152720451355f));
    p = vf_fma(p, t, vf_set1(-0.3366374671459198f));
    p = vf_fma(p, t, vf_set1(0.35692065954208374f));
    p = vf_fma(p, t, vf_set1(-0.09932130810354233f));
    p = vf_fma(p, t, vf_set1(0.12728555500507355f));
    p = vf_fma(p, t, vf_set1(0.06853635609149933f));
    p = vf_fma(p, t, vf_set1(0.08516784757375717f));
    p = vf_fma(p, t, vf_set1(0.08370522409677505f));
    vf tail = vf_mul(vf_mul(p, t), vf_exp(vf_mul(vf_mul(a, a), vf_set1(-0.5f))));
    return vf_sub(vf_where_less(x, zero, zero, x), vf_mul(a, tail));
}

QTF_INLINE void gelu_erf_body(const float *x, float *out, size_t n) {
    for (size_t i = 0; i < n; i += VF) {
        int rest = n - i < VF ? (int)(n - i) : VF;
        vf_store_n(out + i, gelu_erf(vf_load_n(x + i, rest)), rest);
    }
}

QTF_INLINE void softcap_body(const float *x, float cap, float *out, size_t n) {
    vf c = vf_set1(cap);
    for (size_t i = 0; i < n; i += VF) {
        int rest = n - i < VF ? (int)(n - i) : VF;
        vf_store_n(out + i, vf_mul(c, vf_tanh(vf_div(vf_load_n(x + i, rest), c))), rest);
    }
}

#endif
