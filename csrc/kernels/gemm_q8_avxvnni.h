/*
 * q8 products with the 256-bit vpdpbusd: weights, unsigned, in registers; activations, signed,
 * broadcast. Sums start at -128 * (sum of the group's activations), which takes back the 128 that
 * was added to each weight. |sum| <= 255 * 127 * 4096 < 2^31.
 *
 * Half a panel at a time, 16 columns, all rows of the tile pass over a chunk of whole groups, which
 * stays in L1. Include after defining AVXVNNI_ENCODING, a prefix for the assembler: processors have
 * the instruction as VEX (AVX-VNNI) or as EVEX (AVX-512 VL and VNNI).
 */
#ifndef QTF_GEMM_Q8_AVXVNNI_H
#define QTF_GEMM_Q8_AVXVNNI_H

#include "kernels/gemm_one_avx2.h"
#include "kernels/gemm_store.h"

enum {
    AVXVNNI_ROWS = 6,
    AVXVNNI_TILE_ROWS = 240,
    AVXVNNI_CHUNK = 1024, /* k in a chunk, unless a group is longer: 16 KiB of weights */
};

/*
 * Four k of one row with 16 columns. In assembly because compilers move the broadcasts of all rows
 * to the front and then spill accumulators.
 */
#define AVXVNNI_DOT(acc0, acc1, w0, w1, x)                                                         \
    do {                                                                                           \
        __m256i vnni_four;                                                                         \
        __asm__("vpbroadcastd %[four_], %[x_]\n\t" AVXVNNI_ENCODING                                \
                "vpdpbusd %[x_], %[w0_], %[a0_]\n\t" AVXVNNI_ENCODING                              \
                "vpdpbusd %[x_], %[w1_], %[a1_]"                                                   \
                : [a0_] "+x"(acc0), [a1_] "+x"(acc1), [x_] "=&x"(vnni_four)                        \
                : [w0_] "x"(w0), [w1_] "x"(w1), [four_] "m"(*(const int8_t (*)[4])(x)));           \
    } while (0)

/* steps of four k of rows with 16 columns, w_stride bytes between steps of weights. */
QTF_INLINE void avxvnni_steps(__m256i acc[][2], const int8_t *x, size_t stride, const uint8_t *w,
                              size_t w_stride, int64_t steps, const int rows) {
    do {
        const __m256i w0 = avx2_load(w), w1 = avx2_load(w + 32);
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            AVXVNNI_DOT(acc[r][0], acc[r][1], w0, w1, x + (size_t)r * stride);
        }
        w += w_stride;
        x += 4;
    } while (--steps);
}

/* What one pass over the rows needs. */
typedef struct {
    const qtf_tile *tile;
    int64_t group0, group1;
    int row, rows, col;
    float *sums;       /* of the tile's row 0 and column 0 */
    const char *fetch; /* what to fetch with the first group; with each one a group further */
    int fetch_lines;
} avxvnni_q8_pass;

QTF_INLINE void avxvnni_q8_rows(const avxvnni_q8_pass *pass, const int rows) {
    const qtf_tile *t = pass->tile;
    const size_t at = (size_t)pass->row * (size_t)t->n_groups;
    const int8_t *x = (const int8_t *)t->x + (size_t)pass->row * t->x_stride;
    const uint8_t *w = (const uint8_t *)t->w + 4 * pass->col;
    float *sums = pass->sums + QTF_PANEL * pass->row + pass->col;
    for (int64_t g = pass->group0; g < pass->group1; g++) {
        const int64_t k0 = g * t->group, left = t->k - k0;
        const float *d = t->w_scales + QTF_PANEL * g + pass->col;
        const char *fetch = pass->fetch + QTF_PANEL * t->group * (g - pass->group0);
        for (int i = 0; i < pass->fetch_lines; i++) {
            __builtin_prefetch(fetch + 64 * i, 0, 2);
        }
        __m256i acc[AVXVNNI_ROWS][2];
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            acc[r][0] = acc[r][1] = _mm256_set1_epi32(t->x_starts[at + r * t->n_groups + g]);
        }
        avxvnni_steps(acc, x + k0, t->x_stride, w + QTF_PANEL * k0, 4 * QTF_PANEL,
                      ((left < t->group ? left : t->group) + 3) / 4, rows);
        avx2_add(sums, acc, t->x_scales + at + g, t->n_groups, _mm256_loadu_ps(d),
                 _mm256_loadu_ps(d + 8), rows);
        QTF_TO_MEMORY(sums); /* the registers belong to the next group's integers */
    }
}

QTF_INLINE void avxvnni_q8_tile(const qtf_tile *t) {
    _Alignas(64) float sums[AVXVNNI_TILE_ROWS * QTF_PANEL];
    const int64_t chunk = t->group < AVXVNNI_CHUNK ? AVXVNNI_CHUNK / t->group : 1; /* groups */
    const int n_passes = (t->rows + AVXVNNI_ROWS - 1) / AVXVNNI_ROWS;
    /* The passes share out the fetching of the next panel, which follows this one. */
    const size_t panel_bytes = (size_t)(t->k + 3) / 4 * 4 * QTF_PANEL;
    const int fetch_lines = (int)(QTF_PANEL * t->group) / 64 / (2 * n_passes) + 1;
    memset(sums, 0, (size_t)t->rows * QTF_PANEL * sizeof *sums);
    for (int64_t g = 0; g < t->n_groups; g += chunk) {
        const int64_t g1 = g + chunk < t->n_groups ? g + chunk : t->n_groups;
        for (int col = 0; col < t->cols; col += 16) {
            for (int i = 0; i < n_passes; i++) {
                const int row = t->rows * i / n_passes;
                const avxvnni_q8_pass pass = {
                    .tile = t,
                    .group0 = g,
                    .group1 = g1,
                    .row = row,
                    .rows = t->rows * (i + 1) / n_passes - row,
                    .col = col,
                    .sums = sums,
                    .fetch = (const char *)t->w + panel_bytes + QTF_PANEL * t->group * g +
                             64 * fetch_lines * (n_passes * (col / 16) + i),
                    .fetch_lines = fetch_lines,
                };
                if (col + 16 >= t->cols && g1 == t->n_groups) {
                    gemm_fetch_out(t, row, pass.rows);
                }
                switch (pass.rows) { QTF_CASES_6(avxvnni_q8_rows, &pass) }
            }
        }
    }
    gemm_store(t, sums);
}

/* One row, when reading the weights is all that takes time: they are fetched ahead. */
QTF_INLINE void avxvnni_q8_one(const qtf_tile *t) {
    _Alignas(64) float sums[QTF_PANEL] = {0};
    const uint8_t *w = t->w;
    const int8_t *x = t->x;
    for (int64_t g = 0; g < t->n_groups; g++) {
        const int64_t left = t->k - g * t->group;
        int64_t steps = ((left < t->group ? left : t->group) + 3) / 4;
        __m256i acc[4];
        acc[0] = acc[1] = acc[2] = acc[3] = _mm256_set1_epi32(t->x_starts[g]);
        do {
            __builtin_prefetch(w + AVX2_AHEAD);
            __builtin_prefetch(w + AVX2_AHEAD + 64);
            AVXVNNI_DOT(acc[0], acc[1], avx2_load(w), avx2_load(w + 32), x);
            AVXVNNI_DOT(acc[2], acc[3], avx2_load(w + 64), avx2_load(w + 96), x);
            w += 4 * QTF_PANEL;
            x += 4;
        } while (--steps);
        __m256 d[4];
        QTF_UNROLL for (int v = 0; v < 4; v++) {
            d[v] = _mm256_loadu_ps(t->w_scales + QTF_PANEL * g + 8 * v);
        }
        avx2_one_add(sums, acc, d, t->x_scales[g]);
    }
    gemm_store(t, sums);
}

#endif
