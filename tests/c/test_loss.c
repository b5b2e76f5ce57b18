/* The streaming loss on every instruction set: the closed form in double, exp and log in double. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/math64.h"
#include "core/qtf.h"

static void test_math64(void) {
    for (int i = 0; i <= 20000; i++) {
        double x = -700.0 * i / 20000.0, y = 1.0 + i * 37.3;
        CHECK(fabs(qtf_exp64(x) - exp(x)) <= 1e-15 * exp(x));
        CHECK(fabs(qtf_log64(y) - log(y)) <= 1e-15 * fmax(1.0, log(y)));
    }
    CHECK(qtf_exp64(0.0) == 1.0 && qtf_exp64(-1e4) == 0.0 && qtf_exp64(-INFINITY) == 0.0);
    CHECK(isnan(qtf_exp64(NAN)));
    CHECK(qtf_log64(1.0) == 0.0);
}

static uint32_t state = 1;

static float random_float(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 8388608.0f - 1.0f;
}

/* rows x vocabulary with a head of f32, k = d. */
static void test_shape(int64_t rows, int64_t vocabulary, int64_t d, int64_t top_k, float softcap) {
    float *weights = malloc((size_t)(vocabulary * d) * sizeof *weights);
    float *hidden = malloc((size_t)(rows * d) * sizeof *hidden);
    float *bias = malloc((size_t)vocabulary * sizeof *bias);
    int64_t *targets = malloc((size_t)rows * sizeof *targets);
    for (int64_t i = 0; i < vocabulary * d; i++) {
        weights[i] = 4.0f * random_float();
    }
    for (int64_t i = 0; i < vocabulary; i++) {
        bias[i] = random_float();
    }
    for (int64_t i = 0; i < rows * d; i++) {
        hidden[i] = random_float();
    }
    for (int64_t i = 0; i < rows; i++) {
        targets[i] = (i * 7919) % vocabulary;
    }
    qtf_matrix head = {.quant = QTF_F32, .n = vocabulary, .k = d};
    head.data = qtf_alloc(1, qtf_matrix_data_bytes(&head));
    CHECK(qtf_matrix_pack(&head, 0, vocabulary, weights, QTF_SRC_F32, NULL, NULL) == QTF_OK);

    double *nll = malloc((size_t)rows * sizeof *nll), *entropy = malloc((size_t)rows * sizeof *nll);
    int64_t *rank = malloc((size_t)rows * sizeof *rank);
    int64_t *ids = malloc((size_t)(rows * top_k + 1) * sizeof *ids);
    float *logprobs = malloc((size_t)(rows * top_k + 1) * sizeof *logprobs);
    qtf_loss_args args = {.hidden = hidden,
                          .head = &head,
                          .targets = targets,
                          .bias = softcap > 0.0f ? bias : NULL,
                          .softcap = softcap,
                          .rows = rows,
                          .top_k = top_k,
                          .nll = nll,
                          .rank = rank,
                          .entropy = entropy,
                          .top_ids = ids,
                          .top_logprobs = logprobs};
    CHECK(qtf_loss(&args) == QTF_OK);
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0.0, weighted = 0.0, target = 0.0;
        for (int64_t v = 0; v < vocabulary; v++) {
            double logit = 0.0;
            for (int64_t j = 0; j < d; j++) {
                logit += (double)hidden[i * d + j] * weights[v * d + j];
            }
            if (softcap > 0.0f) {
                logit = softcap * tanh((logit + bias[v]) / softcap);
            }
            sum += exp(logit);
            weighted += logit * exp(logit);
            target = v == targets[i] ? logit : target;
        }
        CHECK(fabs(nll[i] - (log(sum) - target)) < 1e-5);
        CHECK(fabs(entropy[i] - (log(sum) - weighted / sum)) < 1e-5);
        CHECK(rank[i] >= 1 && rank[i] <= vocabulary);
        for (int64_t j = 0; j < top_k; j++) {
            const float *p = logprobs + i * top_k;
            CHECK(ids[i * top_k + j] >= 0 && ids[i * top_k + j] < vocabulary);
            CHECK(j == 0 || p[j] <= p[j - 1]);
            if (rank[i] == j + 1) {
                CHECK(fabs(-p[j] - nll[i]) < 1e-6);
            }
        }
    }
    targets[rows - 1] = vocabulary;
    CHECK(qtf_loss(&args) == QTF_BAD_ARGUMENT);
    targets[rows - 1] = 0;
    args.top_k = vocabulary + 1;
    CHECK(qtf_loss(&args) == QTF_BAD_ARGUMENT);
    args.top_k = top_k, args.softcap = -1.0f;
    CHECK(qtf_loss(&args) == QTF_BAD_ARGUMENT);
    args.softcap = 0.0f;
    hidden[0] = NAN;
    CHECK(qtf_loss(&args) == QTF_NOT_FINITE);
    qtf_free(head.data);
    free(weights), free(hidden), free(targets), free(nll), free(entropy), free(rank), free(ids);
    free(logprobs), free(bias);
}

int main(void) {
    qtf_dispatch_init();
    qtf_pool_init();
    qtf_pool_set_threads(3);
    test_math64();
    for (int isa = 0; isa < QTF_ISA_COUNT; isa++) {
        if (qtf_use_isa((qtf_isa)isa) != QTF_OK) {
            continue;
        }
        test_shape(1, 1, 3, 1, 0.0f);
        test_shape(3, 33, 5, 33, 2.0f);
        test_shape(61, 1500, 4, 3, 0.0f);
        test_shape(62, 1499, 4, 3, 5.0f);
        test_shape(490, 520, 2, 0, 0.0f);
    }
    printf("test_loss: %d failed\n", checks_failed);
    return checks_failed != 0;
}
