/* Layers that work row by row: norms, rotary embedding, activations. All are parallel over rows. */
#ifndef QTF_LAYERS_H
#define QTF_LAYERS_H

#include <stdint.h>

#include "core/status.h"

/*
 * out [rows, d] = x [rows, d] / sqrt(mean(x^2) + eps) * weight [d], with the mean over d. d >= 1.
 * out may be x.
 */
qtf_status qtf_rms_norm(const float *x, const float *weight, float eps, int64_t rows, int64_t d,
                        float *out);

/*
 * out [rows, d] = (x [rows, d] - mean) / sqrt(variance + eps) * weight [d] + bias [d], with mean
 * and variance over d. d >= 1. out may be x.
 */
qtf_status qtf_layer_norm(const float *x, const float *weight, const float *bias, float eps,
                          int64_t rows, int64_t d, float *out);

/*
 * Rotary embedding in place. Row i of x [rows, width] starts with n_heads heads of head_dim
 * numbers; the first 2 * half <= head_dim of each are turned by the angles of position
 * positions[i], whose cosines and sines are rows of cosine and sine [n_positions, half]:
 * (a, b) = (x[j], x[j + half]) become (a cos - b sin, b cos + a sin). n_heads * head_dim <= width.
 * QTF_BAD_ARGUMENT when a position is not in [0, n_positions): then nothing is changed.
 */
qtf_status qtf_rope(float *x, int64_t rows, int64_t width, const float *cosine, const float *sine,
                    int64_t n_positions, int64_t half, const int64_t *positions, int64_t n_heads,
                    int64_t head_dim);

/* out [rows, f] = silu(gate) * up, where row i of gate_up [rows, 2 f] is gate then up. */
qtf_status qtf_swiglu(const float *gate_up, int64_t rows, int64_t f, float *out);

/* out [rows, f] = gelu(gate) * up in GELU's tanh form, where row i of gate_up [rows, 2 f] is gate
 * then up. */
qtf_status qtf_geglu(const float *gate_up, int64_t rows, int64_t f, float *out);

/* out [rows, d] = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), GELU's tanh form. out may be
 * x. */
qtf_status qtf_gelu(const float *x, int64_t rows, int64_t d, float *out);

/* out [rows, d] = 0.5 x (1 + erf(x / sqrt(2))), GELU itself. out may be x. */
qtf_status qtf_gelu_erf(const float *x, int64_t rows, int64_t d, float *out);

/* out [rows, d] = cap * tanh(x / cap), which keeps numbers within cap > 0. out may be x. */
qtf_status qtf_softcap(const float *x, float cap, int64_t rows, int64_t d, float *out);

#endif
