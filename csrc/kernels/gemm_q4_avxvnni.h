/*
 * q4 products with the 256-bit vpdpbusd. Half a panel at a time, a chunk's codes are unpacked and
 * multiplied by their run's scale, two bytes with one 16-bit product: 15 * 17 fits a byte, so
 * nothing carries over. Sums start at the minima times the runs' negative sums of activations.
 */
#ifndef QTF_GEMM_Q4_AVXVNNI_H
#define QTF_GEMM_Q4_AVXVNNI_H

#include "kernels/gemm_q8_avxvnni.h"
#include "kernels/q4.h"

/* Half a block, 16 columns. */
typedef struct {
    uint8_t weights[QTF_Q4_GROUP / 4][64]; /* scale * code; a step is [16][4] */
    int16_t minima[QTF_Q4_RUNS / 2][16][2];
    float d[16];
} avxvnni_q4_half;

QTF_INLINE void avxvnni_q4_unpack(const qtf_q4_block *b, int half, avxvnni_q4_half *h) {
    const __m256i low = _mm256_set1_epi8(15);
    const __m128i shift = _mm_cvtsi32_si128(4 * half);
    QTF_UNROLL for (int c = 0; c < 16; c += 8) {
        const int col = 16 * half + c;
        for (int run = 0; run < QTF_Q4_RUNS; run++) {
            const __m256i scales = avx2_q4_scales(b->scales[run] + col);
            for (int i = QTF_Q4_RUN / 4 * run; i < QTF_Q4_RUN / 4 * (run + 1); i++) {
                const __m256i codes = avx2_load(b->codes[i] + 4 * c);
                _mm256_store_si256(
                    (__m256i *)(h->weights[i] + 4 * c),
                    _mm256_mullo_epi16(_mm256_and_si256(_mm256_srl_epi16(codes, shift), low),
                                       scales));
            }
        }
        for (int pair = 0; pair < QTF_Q4_RUNS / 2; pair++) {
            _mm256_store_si256((__m256i *)h->minima[pair][c], avx2_q4_minima(b->minima[pair][col]));
        }
        _mm256_store_ps(h->d + c, avx2_q4_d(b->d + col));
    }
}

/* What one pass over the rows needs. */
typedef struct {
    const qtf_tile *tile;
    const avxvnni_q4_half *w; /* the unpacked chunk */
    int64_t group0, group1;
    int row, rows, col;
    float *sums;       /* of the tile's row 0 and column 0 */
    const char *fetch; /* what to fetch with the first group; with each one a block further */
    int fetch_lines;
} avxvnni_q4_pass;

QTF_INLINE void avxvnni_q4_rows(const avxvnni_q4_pass *pass, const int rows) {
    const qtf_tile *t = pass->tile;
    const size_t n_groups = (size_t)t->n_groups, at = (size_t)pass->row * n_groups;
    const int8_t *x = (const int8_t *)t->x + (size_t)pass->row * t->x_stride;
    const avxvnni_q4_half *h = pass->w;
    float *sums = pass->sums + QTF_PANEL * pass->row + pass->col;
    const char *fetch = pass->fetch;
    for (int64_t g = pass->group0; g < pass->group1; g++, h++, fetch += sizeof(qtf_q4_block)) {
        for (int i = 0; i < pass->fetch_lines; i++) {
            __builtin_prefetch(fetch + 64 * i, 0, 2);
        }
        __m256i acc[AVXVNNI_ROWS][2];
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            const int32_t *s =
                t->x_starts + QTF_Q4_RUNS / 2 * (at + (size_t)r * n_groups + (size_t)g);
            const __m256i s0 = _mm256_set1_epi32(s[0]), s1 = _mm256_set1_epi32(s[1]);
            QTF_UNROLL for (int v = 0; v < 2; v++) {
                acc[r][v] = _mm256_add_epi32(_mm256_madd_epi16(avx2_load(h->minima[0][8 * v]), s0),
                                             _mm256_madd_epi16(avx2_load(h->minima[1][8 * v]), s1));
            }
        }
        avxvnni_steps(acc, x + QTF_Q4_GROUP * g, t->x_stride, h->weights[0], sizeof h->weights[0],
                      QTF_Q4_GROUP / 4, rows);
        avx2_add(sums, acc, t->x_scales + at + (size_t)g, t->n_groups, _mm256_load_ps(h->d),
                 _mm256_load_ps(h->d + 8), rows);
        QTF_TO_MEMORY(sums); /* the registers belong to the next group's integers */
    }
}

QTF_INLINE void avxvnni_q4_tile(const qtf_tile *t) {
    enum { CHUNK = AVXVNNI_CHUNK / QTF_Q4_GROUP };
    _Alignas(64) float sums[AVXVNNI_TILE_ROWS * QTF_PANEL];
    _Alignas(64) avxvnni_q4_half unpacked[CHUNK];
    const size_t panel_bytes = (size_t)t->n_groups * sizeof(qtf_q4_block);
    const int n_passes = (t->rows + AVXVNNI_ROWS - 1) / AVXVNNI_ROWS;
    /* The passes share out the fetching of the next panel, which follows this one. */
    const int fetch_lines = (int)sizeof(qtf_q4_block) / 64 / (2 * n_passes) + 1;
    memset(sums, 0, (size_t)t->rows * QTF_PANEL * sizeof *sums);
    for (int64_t g = 0; g < t->n_groups; g += CHUNK) {
        const int64_t g1 = g + CHUNK < t->n_groups ? g + CHUNK : t->n_groups;
        for (int col = 0; col < t->cols; col += 16) {
            for (int64_t i = g; i < g1; i++) {
                avxvnni_q4_unpack((const qtf_q4_block *)t->w + i, col / 16, unpacked + (i - g));
            }
            for (int i = 0; i < n_passes; i++) {
                const int row = t->rows * i / n_passes;
                const avxvnni_q4_pass pass = {
                    .tile = t,
                    .w = unpacked,
                    .group0 = g,
                    .group1 = g1,
                    .row = row,
                    .rows = t->rows * (i + 1) / n_passes - row,
                    .col = col,
                    .sums = sums,
                    .fetch = (const char *)((const qtf_q4_block *)t->w + g) + panel_bytes +
                             64 * fetch_lines * (n_passes * (col / 16) + i),
                    .fetch_lines = fetch_lines,
                };
                if (col + 16 >= t->cols && g1 == t->n_groups) {
                    gemm_fetch_out(t, row, pass.rows);
                }
                switch (pass.rows) { QTF_CASES_6(avxvnni_q4_rows, &pass) }
            }
        }
    }
    gemm_store(t, sums);
}

#endif
