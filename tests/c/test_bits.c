/*
 * The numeric contract across processors: every instruction set with a fused multiply-add gives the
 * same bits. Prints the best one's name and a hash of each kernel's results, which tests/c/aarch64
 * compares between x86 and ARM; checks the lower ones against it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/attention.h"
#include "core/qtf.h"

enum { MAX_LINES = 500 };

typedef struct {
    int n;
    struct {
        char name[64];
        uint64_t hash;
    } line[MAX_LINES];
} results;

static results *current;

/* FNV-1a of the bytes, as one line of the results. */
static void record(const char *name, int64_t a, int64_t b, const void *data, size_t bytes) {
    const unsigned char *p = data;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ p[i]) * 0x100000001b3u;
    }
    CHECK(current->n < MAX_LINES);
    snprintf(current->line[current->n].name, sizeof current->line[0].name, "%s %lld %lld", name,
             (long long)a, (long long)b);
    current->line[current->n++].hash = hash;
}

/* n numbers in (-scale, scale), the same on every machine. */
static float *values(int64_t n, float scale) {
    uint32_t state = (uint32_t)n;
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)state * 0x1p-31f * scale;
    }
    return x;
}

static size_t floats(int64_t n) {
    return (size_t)n * sizeof(float);
}

static void matmul(qtf_quant quant, int64_t rows, int64_t n, int64_t k, int64_t group) {
    qtf_matrix m = {.quant = quant, .n = n, .k = k, .group = group};
    float *w = values(n * k, 0.7f), *x = values(rows * k, 3.0f), *out = values(rows * n, 1.0f);
    m.data = qtf_alloc(1, qtf_matrix_data_bytes(&m));
    m.scales = quant == QTF_Q8 ? qtf_alloc(1, qtf_matrix_scale_bytes(&m)) : NULL;
    CHECK(qtf_matrix_pack(&m, 0, n, w, QTF_SRC_F32, NULL, NULL) == QTF_OK);
    if (rows == 1) {
        record("pack", quant, k, m.data, qtf_matrix_data_bytes(&m));
        record("scales", quant, k, m.scales, quant == QTF_Q8 ? qtf_matrix_scale_bytes(&m) : 0);
    }
    CHECK(qtf_matmul(&m, x, rows, w, out, out) == QTF_OK);
    static const char *const names[] = {"matmul f32", "matmul q8", "matmul q4"};
    record(names[quant], rows, k, out, floats(rows * n));
    free(w), free(x), free(out), qtf_free(m.data), qtf_free(m.scales);
}

/* x [rows, width] as type says, with scales for 8 bits, all in one piece of memory to free. */
static qtf_kv stored(qtf_kv_type type, const float *x, int64_t rows, int64_t heads,
                     int64_t head_dim, void **memory) {
    int64_t groups = (head_dim + QTF_KV_GROUP - 1) / QTF_KV_GROUP, n = rows * heads;
    qtf_kv from = {.data = x, .stride = heads * head_dim, .head_stride = head_dim}, to = from;
    float *scales = *memory = malloc(floats(n * (groups + head_dim)));
    to.data = scales + n * groups;
    if (type == QTF_KV_F32) {
        memcpy(scales + n * groups, x, floats(n * head_dim));
        return to;
    }
    to.type = type;
    if (type == QTF_KV_Q8) {
        to.scales = scales;
        to.scale_stride = heads * groups, to.scale_head_stride = groups;
    }
    CHECK(qtf_kv_quantise(&from, rows, heads, head_dim, &to) == QTF_OK);
    return to;
}

static void attention(qtf_kv_type type, int64_t head_dim, int64_t nq, int64_t nk, bool causal) {
    enum { HEADS = 4, KV_HEADS = 2 };
    const int64_t q_offsets[] = {0, nq}, k_offsets[] = {0, nk};
    float *q = values(nq * HEADS * head_dim, 2.0f), *k = values(nk * KV_HEADS * head_dim, 1.5f);
    float *v = values(nk * KV_HEADS * head_dim, 1.0f), *out = values(nq * HEADS * head_dim, 1.0f);
    void *keys, *vals;
    qtf_attention_args args = {.q = q,
                               .k = stored(type, k, nk, KV_HEADS, head_dim, &keys),
                               .v = stored(type, v, nk, KV_HEADS, head_dim, &vals),
                               .out = out,
                               .q_stride = HEADS * head_dim,
                               .q_offsets = q_offsets,
                               .k_offsets = k_offsets,
                               .n_sequences = 1,
                               .n_heads = HEADS,
                               .n_kv_heads = KV_HEADS,
                               .head_dim = head_dim,
                               .scale = 0.3f,
                               .causal = causal};
    CHECK(qtf_attention(&args) == QTF_OK);
    static const char *const names[] = {
        [QTF_KV_F32] = "attention", [QTF_KV_BF16] = "attention bf16", [QTF_KV_Q8] = "attention q8"};
    record(names[type], head_dim, nq, out, floats(nq * HEADS * head_dim));
    free(q), free(k), free(v), free(out), free(keys), free(vals);
}

static void loss(int64_t vocabulary) {
    enum { ROWS = 5, K = 48, TOP = 3 };
    qtf_matrix head = {.quant = QTF_Q8, .n = vocabulary, .k = K, .group = 32};
    float *w = values(vocabulary * K, 1.0f), *hidden = values(ROWS * K, 1.0f);
    int64_t targets[ROWS] = {0, 1, 2, vocabulary / 2, vocabulary - 1}, rank[ROWS], ids[ROWS * TOP];
    double nll[ROWS], entropy[ROWS];
    float logprobs[ROWS * TOP];
    head.data = qtf_alloc(1, qtf_matrix_data_bytes(&head));
    head.scales = qtf_alloc(1, qtf_matrix_scale_bytes(&head));
    CHECK(qtf_matrix_pack(&head, 0, vocabulary, w, QTF_SRC_F32, NULL, NULL) == QTF_OK);
    qtf_loss_args args = {.hidden = hidden,
                          .head = &head,
                          .targets = targets,
                          .rows = ROWS,
                          .top_k = TOP,
                          .nll = nll,
                          .rank = rank,
                          .entropy = entropy,
                          .top_ids = ids,
                          .top_logprobs = logprobs};
    CHECK(qtf_loss(&args) == QTF_OK);
    record("nll", vocabulary, K, nll, sizeof nll);
    record("entropy", vocabulary, K, entropy, sizeof entropy);
    record("rank", vocabulary, K, rank, sizeof rank);
    record("top ids", vocabulary, K, ids, sizeof ids);
    record("top logprobs", vocabulary, K, logprobs, sizeof logprobs);
    free(w), free(hidden), qtf_free(head.data), qtf_free(head.scales);
}

/* Numbers that vector code treats in its own way: zeros, halves, subnormals, the ends of exp. */
static void layers(int64_t d) {
    static const float edges[] = {0.0f,    -0.0f,  0.5f,   1.5f,     -2.5f,    1e-40f,
                                  -1e-40f, 88.4f,  -87.4f, -87.3f,   100.0f,   -300.0f,
                                  3e38f,   -3e38f, 1.0f,   INFINITY, -INFINITY};
    enum { ROWS = 3 };
    float *x = values(ROWS * 2 * d, 8.0f), *w = values(2 * d, 2.0f), *out = values(ROWS * 2 * d, 1);
    const qtf_kernels *kernels = qtf_active_kernels();
    CHECK(qtf_rms_norm(x, w, 1e-6f, ROWS, d, out) == QTF_OK);
    record("rms_norm", d, 0, out, floats(ROWS * d));
    CHECK(qtf_layer_norm(x, w, w + d, 1e-6f, ROWS, d, out) == QTF_OK);
    record("layer_norm", d, 0, out, floats(ROWS * d));
    CHECK(qtf_swiglu(x, ROWS, d, out) == QTF_OK);
    record("swiglu", d, 0, out, floats(ROWS * d));
    CHECK(qtf_geglu(x, ROWS, d, out) == QTF_OK);
    record("geglu", d, 0, out, floats(ROWS * d));
    CHECK(qtf_gelu(x, ROWS, d, out) == QTF_OK);
    record("gelu", d, 0, out, floats(ROWS * d));
    CHECK(qtf_gelu_erf(x, ROWS, d, out) == QTF_OK);
    record("gelu_erf", d, 0, out, floats(ROWS * d));
    CHECK(qtf_softcap(x, 5.0f, ROWS, d, out) == QTF_OK);
    record("softcap", d, 0, out, floats(ROWS * d));
    for (int64_t i = 0; i < d; i++) {
        x[i] = edges[i % (int64_t)(sizeof edges / sizeof *edges)] + (i < 34 ? 0.0f : x[i]);
    }
    kernels->exp_f32(x, out, (size_t)d);
    record("exp", d, 0, out, floats(d));
    for (int64_t i = 0; i < d; i++) {
        out[i] = x[i] == INFINITY ? 1.0f : x[i];
    }
    kernels->softmax(out, (size_t)d);
    record("softmax", d, 0, out, floats(d));
    memcpy(out, w, floats(2 * d));
    free(x);
    x = values(ROWS * 2 * d, 8.0f);
    const int64_t positions[ROWS] = {0, 1, 0};
    CHECK(qtf_rope(x, ROWS, 2 * d, w, out, 2, d, positions, 1, 2 * d) == QTF_OK);
    record("rope", d, 0, x, floats(ROWS * 2 * d));
    free(x), free(w), free(out);
}

/* Every number of 16 bits but NaN, whose bits are the processor's choice. */
static void widen(void) {
    static uint16_t words[1 << 16];
    static float out[1 << 16];
    int64_t n = 0;
    for (uint32_t i = 0; i < 1u << 16; i++) {
        if ((i & 0x7c00) != 0x7c00 || (i & 0x3ff) == 0) {
            words[n++] = (uint16_t)i;
        }
    }
    qtf_active_kernels()->gemm.widen_f16(words, out, n - 1);
    record("widen f16", n - 1, 0, out, floats(n - 1));
    n = 0;
    for (uint32_t i = 0; i < 1u << 16; i++) {
        if ((i & 0x7f80) != 0x7f80 || (i & 0x7f) == 0) {
            words[n++] = (uint16_t)i;
        }
    }
    qtf_active_kernels()->gemm.widen_bf16(words, out, n - 1);
    record("widen bf16", n - 1, 0, out, floats(n - 1));
}

static void run(results *r) {
    static const int64_t depths[] = {1, 4, 7, 16, 60, 129, 260, 640};
    current = r;
    r->n = 0;
    for (int64_t rows = 1; rows <= 14; rows++) {
        for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
            matmul(QTF_F32, rows, 45, depths[i], 0);
            matmul(QTF_Q8, rows, 45, depths[i], i % 2 ? 128 : 20);
            matmul(QTF_Q4, rows, 45, depths[i], QTF_Q4_GROUP);
        }
    }
    attention(QTF_KV_F32, 16, 1, 130, true);
    attention(QTF_KV_F32, 40, 33, 33, true);
    attention(QTF_KV_F32, 64, 70, 200, true);
    attention(QTF_KV_Q8, 64, 3, 200, true);
    attention(QTF_KV_Q8, 40, 20, 70, true);
    attention(QTF_KV_F32, 13, 17, 65, false);
    for (int64_t d = 1; d <= 97; d += 16) {
        attention(QTF_KV_BF16, d, 1, 130, true);
        attention(QTF_KV_BF16, d + 7, 33, 65, d % 3 == 0);
    }
    loss(7);
    loss(1037);
    for (int64_t d = 1; d <= 100; d += 33) {
        layers(d);
    }
    widen();
}

int main(void) {
    static results best, other;
    qtf_dispatch_init();
    qtf_pool_init();
    const qtf_isa isa = qtf_active_isa();
    run(&best);
    for (int lower = QTF_ISA_BASELINE + 1; lower < (int)isa; lower++) {
        if (qtf_use_isa((qtf_isa)lower) != QTF_OK) {
            continue;
        }
        run(&other);
        CHECK(other.n == best.n);
        for (int i = 0; i < best.n; i++) {
            if (other.line[i].hash != best.line[i].hash) {
                printf("%s and %s differ: %s\n", qtf_isa_name(isa), qtf_isa_name((qtf_isa)lower),
                       best.line[i].name);
                checks_failed++;
            }
        }
    }
    printf("isa %s on %s\n", qtf_isa_name(isa), qtf_cpu_name());
    for (int i = 0; i < best.n; i++) {
        printf("bits %s: %016llx\n", best.line[i].name, (unsigned long long)best.line[i].hash);
    }
    printf("test_bits: %d failed\n", checks_failed);
    return checks_failed != 0;
}
