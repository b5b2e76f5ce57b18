/* The block that q4 weights are stored in; core/matmul.h says what its numbers mean. */
#ifndef QTF_Q4_H
#define QTF_Q4_H

#include <stdint.h>

enum {
    QTF_Q4_GROUP = 128, /* k of a block: they share d and the scale of the activations */
    QTF_Q4_RUN = 32,    /* k that share a scale and a minimum */
    QTF_Q4_RUNS = QTF_Q4_GROUP / QTF_Q4_RUN,
    QTF_Q4_TOP_SCALE = 17, /* so that 15 * scale fits a byte */
};

/* 32 columns × 128 k in 37 cache lines, 4.625 bits a weight. */
typedef struct {
    uint16_t d[32]; /* upper half of a float */
    uint8_t scales[QTF_Q4_RUNS][32];
    uint8_t minima[QTF_Q4_RUNS / 2][32][2]; /* of two runs side by side */
    /* A step is four k: low nibbles are [16][4] of the columns 0 … 15, high ones of 16 … 31. */
    uint8_t codes[QTF_Q4_GROUP / 4][64];
} qtf_q4_block;

#endif
