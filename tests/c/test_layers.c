/* The layers on every instruction set: exp within 2 ulp, odd sizes without a byte too far. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/qtf.h"

/* Distance of got from the exact value in units of the last place of the exact value. */
static double ulps(float got, double exact) {
    int exponent;
    frexp(exact, &exponent);
    return fabs(got - exact) / ldexp(1.0, exponent - 24);
}

static void test_exp(const qtf_kernels *kernels) {
    enum { N = 4001 };
    static float x[N], y[N];
    double worst = 0.0;
    for (int block = 0; block < 200; block++) {
        for (int i = 0; i < N; i++) {
            x[i] = -87.3f + 175.6f * (float)(block * N + i) / (200.0f * N);
        }
        kernels->exp_f32(x, y, N);
        for (int i = 0; i < N; i++) {
            double e = ulps(y[i], exp((double)x[i]));
            worst = e > worst ? e : worst;
        }
    }
    CHECK(worst <= 2.0);
    float edge[7] = {0.0f, -0.0f, -87.4f, -FLT_MAX, -INFINITY, 88.3f, NAN};
    kernels->exp_f32(edge, edge, 7);
    CHECK(edge[0] == 1.0f && edge[1] == 1.0f);
    CHECK(edge[2] == 0.0f && edge[3] == 0.0f && edge[4] == 0.0f);
    CHECK(ulps(edge[5], exp(88.3f)) <= 2.0 && isnan(edge[6]));
}

/* An array of exactly n floats on the heap, so that a sanitizer sees what lies beyond. */
static float *filled(int64_t n, float scale) {
    float *a = malloc((size_t)n * sizeof *a);
    for (int64_t i = 0; i < n; i++) {
        a[i] = scale * (float)((i * 7919) % 101 - 50) / 50.0f;
    }
    return a;
}

static void test_rows(int64_t rows, int64_t d) {
    float *x = filled(rows * d, 1.0f), *weight = filled(d, 2.0f), *out = filled(rows * d, 0.0f);
    CHECK(qtf_rms_norm(x, weight, 1e-6f, rows, d, out) == QTF_OK);
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0.0;
        for (int64_t j = 0; j < d; j++) {
            sum += (double)x[i * d + j] * x[i * d + j];
        }
        double scale = 1.0 / sqrt(sum / (double)d + 1e-6);
        for (int64_t j = 0; j < d; j++) {
            CHECK(fabs(out[i * d + j] - x[i * d + j] * scale * weight[j]) < 2e-6);
        }
    }
    CHECK(qtf_rms_norm(x, weight, 1e-6f, rows, d, x) == QTF_OK);
    CHECK(memcmp(x, out, (size_t)(rows * d) * sizeof *x) == 0);
    free(x), free(weight), free(out);

    float *gate_up = filled(rows * 2 * d, 5.0f), *half = filled(rows * d, 0.0f);
    CHECK(qtf_swiglu(gate_up, rows, d, half) == QTF_OK);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < d; j++) {
            double g = gate_up[i * 2 * d + j], u = gate_up[i * 2 * d + d + j];
            CHECK(fabs(half[i * d + j] - g / (1.0 + exp(-g)) * u) < 2e-5);
        }
    }
    CHECK(qtf_geglu(gate_up, rows, d, half) == QTF_OK);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < d; j++) {
            double g = gate_up[i * 2 * d + j], u = gate_up[i * 2 * d + d + j];
            double t = tanh(0.7978845608028654 * (g + 0.044715 * g * g * g));
            CHECK(fabs(half[i * d + j] - 0.5 * g * (1.0 + t) * u) < 2e-5);
        }
    }
    CHECK(qtf_gelu_erf(half, rows, d, gate_up) == QTF_OK);
    for (int64_t i = 0; i < rows * d; i++) {
        CHECK(fabs(gate_up[i] - 0.5 * half[i] * erfc(-half[i] / sqrt(2.0))) < 2e-6);
    }
    CHECK(qtf_softcap(half, 3.0f, rows, d, gate_up) == QTF_OK);
    for (int64_t i = 0; i < rows * d; i++) {
        CHECK(fabs(gate_up[i] - 3.0 * tanh(half[i] / 3.0)) < 1e-6);
    }
    free(gate_up), free(half);

    float *turned = filled(rows * 2 * d, 1.0f), *before = filled(rows * 2 * d, 1.0f);
    float *cosine = filled(3 * d, 1.0f), *sine = filled(3 * d, 0.5f);
    int64_t *positions = malloc((size_t)rows * sizeof *positions);
    for (int64_t i = 0; i < rows; i++) {
        positions[i] = i % 3;
    }
    CHECK(qtf_rope(turned, rows, 2 * d, cosine, sine, 3, d, positions, 1, 2 * d) == QTF_OK);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < d; j++) {
            const float *row = before + i * 2 * d;
            float c = cosine[positions[i] * d + j], s = sine[positions[i] * d + j];
            CHECK(fabsf(turned[i * 2 * d + j] - (row[j] * c - row[j + d] * s)) < 1e-6f);
            CHECK(fabsf(turned[i * 2 * d + d + j] - (row[j + d] * c + row[j] * s)) < 1e-6f);
        }
    }
    memcpy(turned, before, (size_t)(rows * 2 * d) * sizeof *turned);
    positions[rows - 1] = 3;
    CHECK(qtf_rope(turned, rows, 2 * d, cosine, sine, 3, d, positions, 1, 2 * d) ==
          QTF_BAD_ARGUMENT);
    CHECK(memcmp(turned, before, (size_t)(rows * 2 * d) * sizeof *turned) == 0);
    free(turned), free(before), free(cosine), free(sine), free(positions);
}

int main(void) {
    qtf_dispatch_init();
    qtf_pool_init();
    qtf_pool_set_threads(3);
    static const int64_t sizes[] = {1, 15, 16, 17, 31, 33, 64, 101};
    for (int isa = 0; isa < QTF_ISA_COUNT; isa++) {
        if (qtf_use_isa((qtf_isa)isa) != QTF_OK) {
            continue;
        }
        test_exp(qtf_active_kernels());
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            test_rows(1, sizes[i]);
            test_rows(2000 / sizes[i] + 700, sizes[i]);
        }
    }
    printf("test_layers: %d failed\n", checks_failed);
    return checks_failed != 0;
}
