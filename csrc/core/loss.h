/*
 * The streaming loss: what each hidden state says about its next token, without ever holding more
 * than a tile of its logits.
 *
 * Numeric contract: the vocabulary is cut in tiles of QTF_VOCABULARY_TILE. A tile gives its largest
 * logit m, the sums of exp(x - m) and (x - m) exp(x - m) in single precision, the largest counted
 * apart; tiles are merged in ascending order in double. So a row's bits do not depend on other rows
 * or threads.
 */
#ifndef QTF_LOSS_H
#define QTF_LOSS_H

#include <stdint.h>

#include "core/matmul.h"
#include "core/status.h"

enum { QTF_VOCABULARY_TILE = 512 };

/* Everything is borrowed; results are the caller's memory. logits = hidden · headᵀ + bias. */
typedef struct {
    const float *hidden;    /* [rows, head->k] */
    const qtf_matrix *head; /* [vocabulary, hidden size] */
    const int64_t *targets; /* [rows], in [0, head->n) */
    const float *bias;      /* [head->n], or NULL */
    float softcap;       /* above 0, a logit x becomes softcap * tanh(x / softcap); 0: it stays */
    int64_t rows, top_k; /* 0 <= top_k <= head->n */
    double *nll;         /* [rows]: log(sum of exp(logits)) - target's logit, in nats */
    int64_t *rank;       /* [rows]: 1 + how many logits are above the target's */
    double *entropy;     /* [rows], of the softmax, in nats */
    int64_t *top_ids;    /* [rows, top_k], by descending logit, then ascending id */
    float *top_logprobs; /* [rows, top_k], in nats */
} qtf_loss_args;

/*
 * QTF_BAD_ARGUMENT for a target, softcap or top_k out of range, or a vocabulary of 2^31 or more.
 * QTF_NOT_FINITE when hidden holds NaN or infinity, or a logit overflows. Parallel.
 */
qtf_status qtf_loss(const qtf_loss_args *args);

#endif
