/* The kernels of matrix products and what they are given. */
#ifndef QTF_GEMM_H
#define QTF_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/q4.h"

enum { QTF_PANEL = 32, QTF_K_BLOCK = 256, QTF_MAX_GROUP = 4096 };

/*
 * One tile: rows of x times one panel of 32 columns of w, packed as core/matmul.h says. q8 rows are
 * padded with zeros to a whole number of four k, and hold what qtf_gemm.quantise_row wrote; q4 rows
 * are what qtf_gemm.quantise_row_q4 wrote.
 */
typedef struct {
    const void *x;           /* first row: float, or quantised */
    size_t x_stride;         /* bytes between rows */
    const float *x_scales;   /* q8, q4: [rows][n_groups] */
    const int32_t *x_starts; /* q8: [rows][n_groups], where the integer sums start; q4: see there */
    const void *w;           /* the panel */
    const float *w_scales;   /* q8: [n_groups][32] */
    int64_t k, group, n_groups;
    const float *bias;     /* [cols] or NULL */
    const float *residual; /* as out, or NULL */
    float *out;            /* out[row * stride + col] = product + bias + residual */
    size_t stride;
    int rows;          /* 1 … q8_rows, q4_rows or f32_rows */
    int cols;          /* 1 … 32 */
    const char *fetch; /* q8: memory that is needed soon, for the kernel to prefetch */
    int fetch_lines;   /* q8: cache lines of it in each group */
} qtf_tile;

/* The kernels for matrix products of one instruction set. They belong together: see quantise_row.
 */
typedef struct {
    int q8_rows, q4_rows, f32_rows; /* most rows in a tile */

    /* Integer sums are exact; a group's sum is then added as matmul.h says. */
    void (*q8)(const qtf_tile *tile);
    void (*q4)(const qtf_tile *tile);
    void (*f32)(const qtf_tile *tile);

    /*
     * Quantise one row x [k] by groups into q [4 * ceil(k / 4)], bytes that are signed or have 128
     * added as q8 wants them, scales and starts [n_groups]. False when x holds NaN or infinity.
     */
    int (*quantise_row)(const float *x, int64_t k, int64_t group, void *q, float *scales,
                        int32_t *starts);

    /*
     * The same for q4: n_groups = ceil(k / 128), q [128 * n_groups], scales [n_groups]; starts [2 *
     * n_groups], each the negative sums of two runs' integers, the first in the lower 16 bits.
     */
    int (*quantise_row_q4)(const float *x, int64_t k, int8_t *q, float *scales, int32_t *starts);

    /*
     * Quantise n weights of one row and group to -127 … 127, or, paired, so that |q[0]| + |q[1]|,
     * |q[2]| + |q[3]| and so on are at most 128. Returns their scale, or -1 when one is NaN or
     * infinite.
     */
    float (*quantise_i8)(const float *x, int64_t n, bool paired, int8_t *q);

    /*
     * Quantise 32 rows of weights x [32][128], of which the first n of each are there and the rest
     * zeros; importance [n], not negative, is how much the square of each one's error counts. False
     * when a weight is NaN or infinite.
     */
    int (*quantise_q4)(const float *x, int n, const float *importance, qtf_q4_block *block);

    /* Widen n values exactly. */
    void (*widen_f16)(const uint16_t *x, float *out, int64_t n);
    void (*widen_bf16)(const uint16_t *x, float *out, int64_t n);
} qtf_gemm;

/* The cases of a switch over rows that calls body with their number as a constant. */
#define QTF_CASE_ROWS(body, tile, n)                                                               \
    case n:                                                                                        \
        body(tile, n);                                                                             \
        break;
#define QTF_CASES_2(body, tile) QTF_CASE_ROWS(body, tile, 1) QTF_CASE_ROWS(body, tile, 2)
#define QTF_CASES_4(body, tile)                                                                    \
    QTF_CASES_2(body, tile) QTF_CASE_ROWS(body, tile, 3) QTF_CASE_ROWS(body, tile, 4)
#define QTF_CASES_6(body, tile)                                                                    \
    QTF_CASES_4(body, tile)                                                                        \
    QTF_CASE_ROWS(body, tile, 5)                                                                   \
    QTF_CASE_ROWS(body, tile, 6)
#define QTF_CASES_8(body, tile)                                                                    \
    QTF_CASES_6(body, tile) QTF_CASE_ROWS(body, tile, 7) QTF_CASE_ROWS(body, tile, 8)
#define QTF_CASES_12(body, tile)                                                                   \
    QTF_CASES_8(body, tile)                                                                        \
    QTF_CASE_ROWS(body, tile, 9)                                                                   \
    QTF_CASE_ROWS(body, tile, 10)                                                                  \
    QTF_CASE_ROWS(body, tile, 11)                                                                  \
    QTF_CASE_ROWS(body, tile, 12)

#endif
