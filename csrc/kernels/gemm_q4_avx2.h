/*
 * q4 products with vpmaddubsw, whose pairs are added up in 16 bits over a run: |sum| <= 8 * 2 * 15
 * * 127 = 30480. One vpmaddwd then multiplies by the run's scale and widens.
 *
 * Blocks are unpacked once for all rows of a tile, which pass over them half a panel at a time.
 */
#ifndef QTF_GEMM_Q4_AVX2_H
#define QTF_GEMM_Q4_AVX2_H

#include "kernels/gemm_avx2.h"
#include "kernels/q4.h"

enum {
    AVX2_Q4_ROWS = 6,
    AVX2_Q4_TILE_ROWS = 240, /* rows that share the unpacked weights */
    AVX2_Q4_CHUNK = 6,       /* blocks unpacked at a time: two times 15 KiB */
};

/* Half a block, 16 columns. */
typedef struct {
    uint8_t codes[QTF_Q4_GROUP / 4][64]; /* a step is [16][4] */
    int16_t scales[QTF_Q4_RUNS][16][2];  /* each twice */
    int16_t minima[QTF_Q4_RUNS / 2][16][2];
    float d[16];
} avx2_q4_half;

/* 8 bytes to 8 lanes, each in both halves of its lane. */
QTF_INLINE __m256i avx2_q4_scales(const uint8_t *scales) {
    const __m256i twice = _mm256_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1,
                                           4, -1, 4, -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7, -1);
    int64_t eight;
    memcpy(&eight, scales, sizeof eight);
    return _mm256_shuffle_epi8(_mm256_set1_epi64x(eight), twice);
}

QTF_INLINE __m256i avx2_q4_minima(const uint8_t *pairs) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)pairs));
}

QTF_INLINE __m256 avx2_q4_d(const uint16_t *d) {
    __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)d));
    return _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
}

/* Both halves of a block, h[0] and h[1]. */
QTF_INLINE void avx2_q4_unpack(const qtf_q4_block *b, avx2_q4_half *h) {
    const __m256i low = _mm256_set1_epi8(15);
    for (int i = 0; i < QTF_Q4_GROUP / 4; i++) {
        const uint8_t *codes = b->codes[i];
        QTF_UNROLL for (int part = 0; part < 64; part += 32) {
            const __m256i v = avx2_load(codes + part);
            _mm256_store_si256((__m256i *)(h[0].codes[i] + part), _mm256_and_si256(v, low));
            _mm256_store_si256((__m256i *)(h[1].codes[i] + part),
                               _mm256_and_si256(_mm256_srli_epi16(v, 4), low));
        }
    }
    QTF_UNROLL for (int half = 0; half < 2; half++) {
        QTF_UNROLL for (int c = 0; c < 16; c += 8) {
            const int col = 16 * half + c;
            for (int run = 0; run < QTF_Q4_RUNS; run++) {
                _mm256_store_si256((__m256i *)h[half].scales[run][c],
                                   avx2_q4_scales(b->scales[run] + col));
            }
            for (int pair = 0; pair < QTF_Q4_RUNS / 2; pair++) {
                _mm256_store_si256((__m256i *)h[half].minima[pair][c],
                                   avx2_q4_minima(b->minima[pair][col]));
            }
            _mm256_store_ps(h[half].d + c, avx2_q4_d(b->d + col));
        }
    }
}

/*
 * Four k of one row with 16 columns: the first step of a run, and the others, which add. In
 * assembly because compilers move the broadcasts of all rows to the front and then spill
 * accumulators.
 */
#define AVX2_Q4_FIRST(acc0, acc1, w0, w1, x)                                                       \
    do {                                                                                           \
        __m256i avx2_four;                                                                         \
        __asm__("vpbroadcastd %[four_], %[x_]\n\t"                                                 \
                "vpmaddubsw %[x_], %[w0_], %[a0_]\n\t"                                             \
                "vpmaddubsw %[x_], %[w1_], %[a1_]"                                                 \
                : [a0_] "=&x"(acc0), [a1_] "=x"(acc1), [x_] "=&x"(avx2_four)                       \
                : [w0_] "x"(w0), [w1_] "x"(w1), [four_] "m"(*(const int8_t (*)[4])(x)));           \
    } while (0)
#define AVX2_Q4_NEXT(acc0, acc1, w0, w1, x)                                                        \
    do {                                                                                           \
        __m256i avx2_four, avx2_products;                                                          \
        __asm__(                                                                                   \
            "vpbroadcastd %[four_], %[x_]\n\t"                                                     \
            "vpmaddubsw %[x_], %[w0_], %[p_]\n\t"                                                  \
            "vpmaddubsw %[x_], %[w1_], %[x_]\n\t"                                                  \
            "vpaddw %[p_], %[a0_], %[a0_]\n\t"                                                     \
            "vpaddw %[x_], %[a1_], %[a1_]"                                                         \
            : [a0_] "+x"(acc0), [a1_] "+x"(acc1), [x_] "=&x"(avx2_four), [p_] "=&x"(avx2_products) \
            : [w0_] "x"(w0), [w1_] "x"(w1), [four_] "m"(*(const int8_t (*)[4])(x)));               \
    } while (0)

/* Products of one run, summed in 16 bits: x [rows] with stride. */
QTF_INLINE void avx2_q4_run(__m256i acc[][2], const uint8_t (*codes)[64], const int8_t *x,
                            size_t stride, const int rows) {
    QTF_UNROLL for (int step = 0; step < QTF_Q4_RUN / 4; step++) {
        const __m256i w0 = avx2_load(codes[step]);
        const __m256i w1 = avx2_load(codes[step] + 32);
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            const int8_t *four = x + (size_t)r * stride + 4 * step;
            if (step == 0) {
                AVX2_Q4_FIRST(acc[r][0], acc[r][1], w0, w1, four);
            } else {
                AVX2_Q4_NEXT(acc[r][0], acc[r][1], w0, w1, four);
            }
        }
    }
}

/* What one pass over the rows needs. */
typedef struct {
    const qtf_tile *tile;
    const avx2_q4_half *w; /* the unpacked chunk, two halves a block */
    int64_t group0, group1;
    int row, rows, half;
    float *sums;       /* of the tile's row 0 and column 0 */
    const char *fetch; /* what to fetch with the first group; with each one a block further */
    int fetch_lines;
} avx2_q4_pass;

/*
 * One group: totals [rows][16] start with the minima, each run adds its products times its scale,
 * and with the last run they go to sums. Behind each row what is written is written: otherwise
 * compilers load the next rows' numbers early, and spill.
 */
QTF_INLINE void avx2_q4_group(const avx2_q4_pass *pass, const avx2_q4_half *h, int64_t g,
                              const int rows) {
    _Alignas(64) int32_t totals[AVX2_Q4_ROWS][16];
    const qtf_tile *t = pass->tile;
    const size_t stride = t->x_stride, n_groups = (size_t)t->n_groups;
    const size_t at = (size_t)pass->row * n_groups + (size_t)g;
    const int8_t *x = (const int8_t *)t->x + (size_t)pass->row * stride + QTF_Q4_GROUP * g;
    const int32_t *starts = t->x_starts + QTF_Q4_RUNS / 2 * at;
    float *sums = pass->sums + QTF_PANEL * pass->row + 16 * pass->half;
    __m256i acc[AVX2_Q4_ROWS][2];
    avx2_q4_run(acc, h->codes, x, stride, rows);
    QTF_UNROLL for (int r = 0; r < rows; r++, starts += QTF_Q4_RUNS / 2 * n_groups) {
        const __m256i s0 = _mm256_set1_epi32(starts[0]), s1 = _mm256_set1_epi32(starts[1]);
        QTF_UNROLL for (int v = 0; v < 16; v += 8) {
            __m256i total = _mm256_madd_epi16(acc[r][v / 8], avx2_load(h->scales[0][v]));
            total = _mm256_add_epi32(total, _mm256_madd_epi16(s0, avx2_load(h->minima[0][v])));
            total = _mm256_add_epi32(total, _mm256_madd_epi16(s1, avx2_load(h->minima[1][v])));
            _mm256_store_si256((__m256i *)(totals[r] + v), total);
        }
        QTF_TO_MEMORY(totals);
    }
    for (int run = 1; run < QTF_Q4_RUNS - 1; run++) {
        avx2_q4_run(acc, h->codes + QTF_Q4_RUN / 4 * run, x + QTF_Q4_RUN * run, stride, rows);
        QTF_UNROLL for (int r = 0; r < rows; r++) {
            QTF_UNROLL for (int v = 0; v < 16; v += 8) {
                __m256i *total = (__m256i *)(totals[r] + v);
                const __m256i products =
                    _mm256_madd_epi16(acc[r][v / 8], avx2_load(h->scales[run][v]));
                _mm256_store_si256(total, _mm256_add_epi32(_mm256_load_si256(total), products));
            }
        }
        QTF_TO_MEMORY(totals);
    }
    const int last = QTF_Q4_RUNS - 1;
    avx2_q4_run(acc, h->codes + QTF_Q4_RUN / 4 * last, x + QTF_Q4_RUN * last, stride, rows);
    QTF_UNROLL for (int r = 0; r < rows; r++) {
        const __m256 scale = _mm256_broadcast_ss(t->x_scales + at + (size_t)r * n_groups);
        QTF_UNROLL for (int v = 0; v < 16; v += 8) {
            float *sum = sums + QTF_PANEL * r + v;
            __m256i total = _mm256_madd_epi16(acc[r][v / 8], avx2_load(h->scales[last][v]));
            total = _mm256_add_epi32(total, _mm256_load_si256((const __m256i *)(totals[r] + v)));
            _mm256_store_ps(sum, _mm256_fmadd_ps(_mm256_cvtepi32_ps(total),
                                                 _mm256_mul_ps(scale, _mm256_load_ps(h->d + v)),
                                                 _mm256_load_ps(sum)));
        }
        QTF_TO_MEMORY(sums);
    }
}

QTF_INLINE void avx2_q4_rows(const avx2_q4_pass *pass, const int rows) {
    const avx2_q4_half *h = pass->w + pass->half;
    const char *fetch = pass->fetch;
    for (int64_t g = pass->group0; g < pass->group1; g++, h += 2, fetch += sizeof(qtf_q4_block)) {
        for (int i = 0; i < pass->fetch_lines; i++) {
            __builtin_prefetch(fetch + 64 * i, 0, 2);
        }
        avx2_q4_group(pass, h, g, rows);
    }
}

QTF_INLINE void avx2_q4_tile(const qtf_tile *t) {
    _Alignas(64) float sums[AVX2_Q4_TILE_ROWS * QTF_PANEL];
    _Alignas(64) avx2_q4_half unpacked[2 * AVX2_Q4_CHUNK];
    const size_t panel_bytes = (size_t)t->n_groups * sizeof(qtf_q4_block);
    const int n_passes = (t->rows + AVX2_Q4_ROWS - 1) / AVX2_Q4_ROWS;
    /* The passes share out the fetching of the next panel, which follows this one. */
    const int fetch_lines = (int)sizeof(qtf_q4_block) / 64 / (2 * n_passes) + 1;
    memset(sums, 0, (size_t)t->rows * QTF_PANEL * sizeof *sums);
    for (int64_t g = 0; g < t->n_groups; g += AVX2_Q4_CHUNK) {
        const int64_t g1 = g + AVX2_Q4_CHUNK < t->n_groups ? g + AVX2_Q4_CHUNK : t->n_groups;
        for (int64_t i = g; i < g1; i++) {
            avx2_q4_unpack((const qtf_q4_block *)t->w + i, unpacked + 2 * (i - g));
        }
        for (int half = 0; 16 * half < t->cols; half++) {
            for (int i = 0; i < n_passes; i++) {
                const int row = t->rows * i / n_passes;
                const avx2_q4_pass pass = {
                    .tile = t,
                    .w = unpacked,
                    .group0 = g,
                    .group1 = g1,
                    .row = row,
                    .rows = t->rows * (i + 1) / n_passes - row,
                    .half = half,
                    .sums = sums,
                    .fetch = (const char *)((const qtf_q4_block *)t->w + g) + panel_bytes +
                             64 * fetch_lines * (n_passes * half + i),
                    .fetch_lines = fetch_lines,
                };
                if (g1 == t->n_groups && 16 * (half + 1) >= t->cols) {
                    gemm_fetch_out(t, row, pass.rows);
                }
                switch (pass.rows) { QTF_CASES_6(avx2_q4_rows, &pass) }
            }
        }
    }
    gemm_store(t, sums);
}

#endif
