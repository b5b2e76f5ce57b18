/* Attention on every instruction set: the closed form in double, views, tasks on three threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/qtf.h"

static uint32_t state = 1;

static float *random_floats(int64_t n) {
    float *a = malloc((size_t)(n ? n : 1) * sizeof *a);
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        a[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
    return a;
}

/* Result of query row, head h of sequence s, in double. */
static void closed_form(const qtf_attention_args *a, int64_t s, int64_t i, int64_t h,
                        double *result) {
    int64_t nq = a->q_offsets[s + 1] - a->q_offsets[s], nk = a->k_offsets[s + 1] - a->k_offsets[s];
    int64_t n = a->causal ? nk - nq + i + 1 : nk, d = a->head_dim;
    const float *q = a->q + (a->q_offsets[s] + i) * a->q_stride + h * d;
    int64_t kv = h / (a->n_heads / a->n_kv_heads);
    int64_t first = a->window && a->window < n ? n - a->window : 0;
    double total = 0.0;
    memset(result, 0, (size_t)d * sizeof *result);
    for (int64_t j = first; j < n; j++) {
        int64_t row = a->k_offsets[s] + j;
        const float *k = (const float *)a->k.data + row * a->k.stride + kv * d;
        const float *v = (const float *)a->v.data + row * a->v.stride + kv * d;
        double score = 0.0;
        for (int64_t x = 0; x < d; x++) {
            score += (double)q[x] * k[x];
        }
        score *= a->scale;
        if (a->softcap > 0.0f) {
            score = a->softcap * tanh(score / a->softcap);
        }
        double weight = exp(score);
        total += weight;
        for (int64_t x = 0; x < d; x++) {
            result[x] += weight * v[x];
        }
    }
    for (int64_t x = 0; x < d; x++) {
        result[x] /= total;
    }
}

/* Numbers [rows, heads, d] as bits of bfloat16, to free; they become what those stand for. */
static uint16_t *halves_of(float *x, int64_t rows, int64_t heads, int64_t d) {
    uint16_t *halves = malloc((size_t)(rows * heads * d) * sizeof *halves);
    qtf_kv from = {.data = x, .stride = heads * d, .head_stride = d}, to = from;
    to.type = QTF_KV_BF16, to.data = halves;
    CHECK(qtf_kv_quantise(&from, rows, heads, d, &to) == QTF_OK);
    qtf_active_kernels()->gemm.widen_bf16(halves, x, rows * heads * d);
    return halves;
}

/* Worst difference to the closed form; bf16: of keys and values in bfloat16. */
static double test_batch(int64_t group, int64_t n_kv_heads, int64_t d, bool causal, int64_t window,
                         float softcap, bool bf16) {
    static const int64_t q_offsets[] = {0, 70, 70, 71, 104}, k_offsets[] = {0, 70, 75, 140, 205};
    enum { SEQUENCES = 4, Q_ROWS = 104, K_ROWS = 205 };
    int64_t n_heads = group * n_kv_heads, kv_stride = 2 * n_kv_heads * d;
    float *q = random_floats(Q_ROWS * n_heads * d), *kv = random_floats(K_ROWS * kv_stride);
    float *out = random_floats(Q_ROWS * n_heads * d);
    qtf_attention_args args = {
        .q = q,
        .k = {.data = kv, .stride = kv_stride, .head_stride = d},
        .v = {.data = kv + n_kv_heads * d, .stride = kv_stride, .head_stride = d},
        .out = out,
        .q_stride = n_heads * d,
        .q_offsets = q_offsets,
        .k_offsets = k_offsets,
        .n_sequences = SEQUENCES,
        .n_heads = n_heads,
        .n_kv_heads = n_kv_heads,
        .head_dim = d,
        .scale = 0.7f,
        .softcap = softcap,
        .causal = causal,
        .window = window};
    qtf_attention_args stored = args;
    uint16_t *halves = bf16 ? halves_of(kv, K_ROWS, 2 * n_kv_heads, d) : NULL;
    if (bf16) {
        stored.k.type = stored.v.type = QTF_KV_BF16;
        stored.k.data = halves, stored.v.data = halves + n_kv_heads * d;
    }
    CHECK(qtf_attention(&stored) == QTF_OK);
    double *expected = malloc((size_t)d * sizeof *expected), worst = 0.0;
    for (int64_t s = 0; s < SEQUENCES; s++) {
        for (int64_t i = 0; i < q_offsets[s + 1] - q_offsets[s]; i++) {
            for (int64_t h = 0; h < n_heads; h++) {
                closed_form(&args, s, i, h, expected);
                const float *got = out + ((q_offsets[s] + i) * n_heads + h) * d;
                for (int64_t x = 0; x < d; x++) {
                    worst = fmax(worst, fabs(got[x] - expected[x]));
                }
            }
        }
    }
    free(expected), free(q), free(kv), free(out), free(halves);
    return worst;
}

static void test_refusals(void) {
    static const int64_t two[] = {0, 2}, one[] = {0, 1};
    float x[8] = {0}, out[8];
    qtf_attention_args good = {.q = x,
                               .k = {.data = x, .stride = 4, .head_stride = 2},
                               .v = {.data = x, .stride = 4, .head_stride = 2},
                               .out = out,
                               .q_stride = 4,
                               .q_offsets = two,
                               .k_offsets = two,
                               .n_sequences = 1,
                               .n_heads = 2,
                               .n_kv_heads = 2,
                               .head_dim = 2,
                               .scale = 1.0f,
                               .causal = true};
    qtf_attention_args a = good;
    CHECK(qtf_attention(&a) == QTF_OK);
    a.k_offsets = one;
    CHECK(qtf_attention(&a) == QTF_BAD_ARGUMENT);
    a = good, a.n_heads = 3;
    CHECK(qtf_attention(&a) == QTF_BAD_ARGUMENT);
    a = good, a.head_dim = 0;
    CHECK(qtf_attention(&a) == QTF_BAD_ARGUMENT);
    a = good, a.n_sequences = 0;
    CHECK(qtf_attention(&a) == QTF_OK);
    float weights[8];
    CHECK(qtf_attention_weights(&good, 2, 2, NULL, weights) == QTF_OK);
    CHECK(weights[0] == 1.0f && weights[1] == 0.0f && weights[2] == 0.5f);
    CHECK(qtf_attention_weights(&good, 2, 1, NULL, weights) == QTF_BAD_ARGUMENT);
    a = good, a.window = 1;
    CHECK(qtf_attention_weights(&a, 2, 2, NULL, weights) == QTF_OK);
    CHECK(weights[2] == 0.0f && weights[3] == 1.0f);
    a.causal = false;
    CHECK(qtf_attention(&a) == QTF_BAD_ARGUMENT);
    a = good, a.v.type = QTF_KV_BF16;
    CHECK(qtf_attention(&a) == QTF_BAD_ARGUMENT);
    a = good, a.softcap = -1.0f;
    CHECK(qtf_attention(&a) == QTF_BAD_ARGUMENT);
}

int main(void) {
    qtf_dispatch_init();
    qtf_pool_init();
    qtf_pool_set_threads(3);
    static const int64_t groups[] = {1, 2, 7}, dims[] = {1, 4, 12, 16, 20, 64, 80};
    for (int isa = 0; isa < QTF_ISA_COUNT; isa++) {
        if (qtf_use_isa((qtf_isa)isa) != QTF_OK) {
            continue;
        }
        for (int g = 0; g < 3; g++) {
            for (int i = 0; i < 7; i++) {
                CHECK(test_batch(groups[g], 2, dims[i], true, 0, 0.0f, false) < 3e-6);
                CHECK(test_batch(groups[g], 1, dims[i], false, 0, 3.0f, false) < 3e-6);
                CHECK(test_batch(groups[g], 1, dims[i], true, 1 + 13 * i, 0.0f, false) < 3e-6);
                CHECK(test_batch(groups[g], 2, dims[i], true, 40 * (g + 1), 2.0f, false) < 3e-6);
                /* Queries and weights are rounded to 8 bits. */
                CHECK(test_batch(groups[g], 2, dims[i], true, 0, 0.0f, true) < 6e-3);
                CHECK(test_batch(groups[g], 1, dims[i], true, 1 + 13 * i, 2.0f, true) < 6e-3);
            }
        }
        test_refusals();
    }
    printf("test_attention: %d failed\n", checks_failed);
    return checks_failed != 0;
}
