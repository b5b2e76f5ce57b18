/* Matrix products without Python: every instruction set, in memory of exactly the stated size. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/qtf.h"

static float value(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)*state * 0x1p-31f;
}

/* malloc and not qtf_alloc, so that a sanitizer sees the last element's neighbour. */
static float *values(size_t n, uint32_t seed) {
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; x && i < n; i++) {
        x[i] = value(&seed);
    }
    return x;
}

static bool allocate(qtf_matrix *m) {
    m->data = aligned_alloc(QTF_ALIGN, qtf_matrix_data_bytes(m));
    m->scales = m->quant == QTF_Q8 ? aligned_alloc(QTF_ALIGN, qtf_matrix_scale_bytes(m)) : NULL;
    return m->data && (m->scales || m->quant != QTF_Q8);
}

/* For weights and activations from -1 to 1: the largest error of a weight, and of a product of k =
 * 1 in units of sqrt(k). */
static const float weight_error[] = {[QTF_F32] = 0.0f, [QTF_Q8] = 0.5f / 127, [QTF_Q4] = 0.11f};
static const float product_error[] = {[QTF_F32] = 1e-6f, [QTF_Q8] = 0.012f, [QTF_Q4] = 0.12f};

static void product(qtf_quant quant, int64_t rows, int64_t n, int64_t k) {
    static const int64_t groups[] = {[QTF_Q8] = 64, [QTF_Q4] = QTF_Q4_GROUP};
    qtf_matrix m = {.quant = quant, .n = n, .k = k, .group = groups[quant]};
    float *w = values((size_t)(n * k), 1), *x = values((size_t)(rows * k), 2);
    float *bias = values((size_t)n, 3), *out = values((size_t)(rows * n), 4);
    float *part = values((size_t)(rows * n), 5), *row = values((size_t)k, 6);
    CHECK(w && x && bias && out && part && row && allocate(&m));
    CHECK(qtf_matrix_pack(&m, 0, 1, w, QTF_SRC_F32, NULL, NULL) == QTF_OK);
    CHECK(n == 1 || qtf_matrix_pack(&m, 1, n - 1, w + k, QTF_SRC_F32, NULL, NULL) == QTF_OK);
    memset(out, 0, (size_t)(rows * n) * sizeof *out);
    CHECK(qtf_matmul(&m, x, rows, bias, out, out) == QTF_OK);
    float error = 0.0f;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = bias[j];
            for (int64_t l = 0; l < k; l++) {
                sum += (double)x[i * k + l] * w[j * k + l];
            }
            error = fmaxf(error, (float)fabs(sum - out[i * n + j]));
        }
    }
    CHECK(error <= product_error[quant] * sqrtf((float)k) + 1e-6f);

    /* The last column's panel alone, without bias, is the same. */
    qtf_activations a;
    int64_t panel = (n - 1) / QTF_PANEL, cols = n - QTF_PANEL * panel, row0 = rows / 2;
    CHECK(qtf_activations_init(&a, x, rows, &m) == QTF_OK);
    qtf_matmul_block(&m, &a, row0, rows - row0, panel, cols, part, cols);
    qtf_activations_free(&a);
    for (int64_t i = row0; i < rows; i++) {
        float want = part[(i - row0) * cols + cols - 1] + bias[n - 1];
        CHECK(want + 0.0f == out[i * n + n - 1]);
    }

    int64_t last = n - 1;
    CHECK(qtf_matrix_rows(&m, &last, 1, row) == QTF_OK);
    CHECK(fabsf(row[k - 1] - w[n * k - 1]) <= weight_error[quant]);
    CHECK(qtf_matrix_rows(&m, &n, 1, row) == QTF_BAD_ARGUMENT);

    x[rows * k - 1] = NAN;
    CHECK(qtf_matmul(&m, x, rows, NULL, NULL, out) == (quant == QTF_F32 ? QTF_OK : QTF_NOT_FINITE));
    w[n * k - 1] = INFINITY;
    CHECK(qtf_matrix_pack(&m, 0, n, w, QTF_SRC_F32, NULL, NULL) == QTF_NOT_FINITE);
    free(w);
    free(x);
    free(bias);
    free(out);
    free(part);
    free(row);
    free(m.data);
    free(m.scales);
}

/* Blocks of Q8_0, with a scale of 1/2, are packed as the weights that they stand for. */
static void blocks(qtf_quant quant, int64_t group) {
    enum { N = 35, K = 96, BLOCKS = N * K / QTF_Q8_0_BLOCK };
    qtf_matrix a = {.quant = quant, .n = N, .k = K, .group = group}, b = a;
    uint8_t *source = malloc((size_t)BLOCKS * QTF_Q8_0_BYTES);
    float *w = malloc((size_t)N * K * sizeof *w);
    CHECK(source && w && allocate(&a) && allocate(&b));
    for (int i = 0; i < BLOCKS; i++) {
        uint8_t *block = source + i * QTF_Q8_0_BYTES;
        memcpy(block, (const uint8_t[]){0x00, 0x38}, 2);
        for (int j = 0; j < QTF_Q8_0_BLOCK; j++) {
            block[2 + j] = (uint8_t)(31 * i + 7 * j);
            w[i * QTF_Q8_0_BLOCK + j] = 0.5f * (float)(int8_t)block[2 + j];
        }
    }
    CHECK(qtf_matrix_pack(&a, 0, N, source, QTF_SRC_Q8_0, NULL, NULL) == QTF_OK);
    CHECK(qtf_matrix_pack(&b, 0, N, w, QTF_SRC_F32, NULL, NULL) == QTF_OK);
    CHECK(memcmp(a.data, b.data, qtf_matrix_data_bytes(&a)) == 0);
    CHECK(!a.scales || memcmp(a.scales, b.scales, qtf_matrix_scale_bytes(&a)) == 0);
    free(source);
    free(w);
    free(a.data);
    free(a.scales);
    free(b.data);
    free(b.scales);
}

/* A whole MLP has the bits of its two products, down's in groups of its own. */
static void mlp(qtf_quant quant, int64_t rows, int64_t f, int64_t group) {
    const int64_t n = 35, k = 70;
    qtf_matrix gate_up = {.quant = quant, .n = 2 * f, .k = k};
    qtf_matrix down = {.quant = quant, .n = n, .k = f};
    if (quant != QTF_F32) {
        gate_up.group = down.group = quant == QTF_Q4 ? QTF_Q4_GROUP : group;
    }
    float *w = values((size_t)(2 * f * k), 1), *v = values((size_t)(n * f), 2);
    float *x = values((size_t)(rows * k), 3), *inner = values((size_t)(rows * f), 4);
    float *want = values((size_t)(rows * n), 5), *out = values((size_t)(rows * n), 5);
    CHECK(w && v && x && inner && want && out && allocate(&gate_up) && allocate(&down));
    CHECK(qtf_matrix_pack(&gate_up, 0, 2 * f, w, QTF_SRC_F32, NULL, NULL) == QTF_OK);
    CHECK(qtf_matrix_pack(&down, 0, n, v, QTF_SRC_F32, NULL, NULL) == QTF_OK);
    CHECK(qtf_matmul_swiglu(&gate_up, x, rows, inner) == QTF_OK);
    CHECK(qtf_matmul(&down, inner, rows, NULL, want, want) == QTF_OK);
    CHECK(qtf_swiglu_mlp(&gate_up, &down, x, rows, out, out) == QTF_OK);
    CHECK(memcmp(out, want, (size_t)(rows * n) * sizeof *out) == 0);
    CHECK(qtf_swiglu_mlp(&gate_up, &gate_up, x, rows, NULL, out) == QTF_BAD_ARGUMENT);
    x[0] = NAN;
    CHECK(qtf_swiglu_mlp(&gate_up, &down, x, rows, NULL, out) ==
          (quant == QTF_F32 ? QTF_OK : QTF_NOT_FINITE));
    free(w);
    free(v);
    free(x);
    free(inner);
    free(want);
    free(out);
    free(gate_up.data);
    free(gate_up.scales);
    free(down.data);
    free(down.scales);
}

int main(void) {
    qtf_dispatch_init();
    qtf_pool_init();
    CHECK(qtf_pool_set_threads(2) == QTF_OK);
    static const int64_t odd[] = {1, 3, 16, 31, 33, 67, 129};
    for (int isa = 0; isa < QTF_ISA_COUNT; isa++) {
        if (qtf_use_isa((qtf_isa)isa) != QTF_OK) {
            continue;
        }
        for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
            for (size_t j = 0; j < sizeof odd / sizeof odd[0]; j++) {
                for (int64_t rows = 1; rows < 30; rows = 2 * rows + 1) {
                    product(QTF_F32, rows, odd[i], odd[j]);
                    product(QTF_Q8, rows, odd[i], odd[j]);
                    product(QTF_Q4, rows, odd[i], odd[j]);
                }
            }
        }
        for (int64_t rows = 1; rows < 300; rows = 3 * rows + 1) {
            for (int quant = QTF_F32; quant <= QTF_Q4; quant++) {
                mlp((qtf_quant)quant, rows, 160, 16);
                mlp((qtf_quant)quant, rows, 45, 12);
            }
        }
        for (int64_t rows = 1; rows <= 13; rows++) {
            product(QTF_F32, rows, 40, 260);
            product(QTF_Q8, rows, 40, 260);
            product(QTF_Q4, rows, 40, 260);
        }
    }
    blocks(QTF_F32, 0);
    blocks(QTF_Q8, 12);
    blocks(QTF_Q8, 32);
    blocks(QTF_Q4, QTF_Q4_GROUP);
    qtf_matrix m = {.quant = QTF_Q8, .n = 8, .k = 8, .group = 6};
    CHECK(qtf_matrix_pack(&m, 0, 8, NULL, QTF_SRC_F32, NULL, NULL) == QTF_BAD_ARGUMENT);
    m.quant = QTF_Q4;
    CHECK(qtf_matrix_pack(&m, 0, 8, NULL, QTF_SRC_F32, NULL, NULL) == QTF_BAD_ARGUMENT);
    m.quant = QTF_Q8;
    m.group = 8;
    CHECK(qtf_matrix_pack(&m, 4, 5, NULL, QTF_SRC_F32, NULL, NULL) == QTF_BAD_ARGUMENT);
    CHECK(qtf_matrix_pack(&m, 0, 8, NULL, QTF_SRC_Q8_0, NULL, NULL) == QTF_BAD_ARGUMENT);
    printf("test_matmul: %d failed\n", checks_failed);
    return checks_failed != 0;
}
