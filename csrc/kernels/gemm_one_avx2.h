/*
 * Products with one row, when reading the weights is all that takes time: they are unpacked in
 * registers and fetched ahead, since the processor's own prefetching ends with a page.
 */
#ifndef QTF_GEMM_ONE_AVX2_H
#define QTF_GEMM_ONE_AVX2_H

#include "kernels/gemm_q4_avx2.h"
#include "kernels/gemm_store.h"

enum {
    AVX2_AHEAD = 3072, /* bytes that weights are fetched ahead */
    AVX2_Q4_FEW = 2,   /* up to here rows one by one are as fast as unpacking weights for all */
};

/* A row of a q4 tile, alone. */
QTF_INLINE qtf_tile avx2_q4_row(const qtf_tile *t, int row) {
    qtf_tile one = *t;
    const size_t r = (size_t)row, groups = r * (size_t)t->n_groups;
    one.rows = 1;
    one.x = (const char *)t->x + r * t->x_stride;
    one.x_scales += groups;
    one.x_starts += QTF_Q4_RUNS / 2 * groups;
    one.residual = t->residual ? t->residual + r * t->stride : NULL;
    one.out += r * t->stride;
    return one;
}

/* sums [32] += scale * d * totals, both in vectors of 8 columns. */
QTF_INLINE void avx2_one_add(float *sums, const __m256i *totals, const __m256 *d, float x_scale) {
    const __m256 scale = _mm256_set1_ps(x_scale);
    QTF_UNROLL for (int v = 0; v < 4; v++) {
        _mm256_store_ps(sums + 8 * v,
                        _mm256_fmadd_ps(_mm256_cvtepi32_ps(totals[v]), _mm256_mul_ps(scale, d[v]),
                                        _mm256_load_ps(sums + 8 * v)));
    }
}

/*
 * q8: even and odd k apart, so that unsigned bytes become 16-bit integers with a mask or a shift;
 * activations lose the 128 that they were stored with. Sums start at -128 * (sum of the group's
 * activations). |sum| <= 255 * 127 * 4096 < 2^31.
 */
QTF_INLINE void avx2_q8_one(const qtf_tile *t) {
    _Alignas(64) float sums[QTF_PANEL] = {0};
    const __m256i even = _mm256_set1_epi16(255);
    const __m256i pairs02 = _mm256_set1_epi32((int)0xff02ff00); /* bytes 0, none, 2, none */
    const __m256i pairs13 = _mm256_set1_epi32((int)0xff03ff01);
    const __m256i zero = _mm256_set1_epi16(128);
    const uint8_t *w = t->w, *x = t->x;
    for (int64_t g = 0; g < t->n_groups; g++) {
        const int64_t left = t->k - g * t->group;
        int64_t steps = ((left < t->group ? left : t->group) + 3) / 4;
        __m256i acc[4];
        acc[0] = acc[1] = acc[2] = acc[3] = _mm256_set1_epi32(t->x_starts[g]);
        do {
            int32_t four;
            memcpy(&four, x, sizeof four);
            const __m256i all = _mm256_set1_epi32(four);
            const __m256i x02 = _mm256_sub_epi16(_mm256_shuffle_epi8(all, pairs02), zero);
            const __m256i x13 = _mm256_sub_epi16(_mm256_shuffle_epi8(all, pairs13), zero);
            __builtin_prefetch(w + AVX2_AHEAD);
            __builtin_prefetch(w + AVX2_AHEAD + 64);
            QTF_UNROLL for (int v = 0; v < 4; v++) {
                const __m256i bytes = avx2_load(w + 32 * v);
                const __m256i p02 = _mm256_madd_epi16(_mm256_and_si256(bytes, even), x02);
                const __m256i p13 = _mm256_madd_epi16(_mm256_srli_epi16(bytes, 8), x13);
                acc[v] = _mm256_add_epi32(acc[v], _mm256_add_epi32(p02, p13));
            }
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

/* A run's products with x [32], times their scales, added to totals. */
QTF_INLINE void avx2_q4_one_run(const qtf_q4_block *b, int run, const int8_t *x, __m256i *totals) {
    const __m256i low = _mm256_set1_epi8(15);
    __m256i acc[4];
    acc[0] = acc[1] = acc[2] = acc[3] = _mm256_setzero_si256();
    const uint8_t (*codes)[64] = b->codes + QTF_Q4_RUN / 4 * run;
    QTF_UNROLL for (int step = 0; step < QTF_Q4_RUN / 4; step++) {
        __builtin_prefetch(codes[step] + AVX2_AHEAD);
        QTF_UNROLL for (int v = 0; v < 2; v++) {
            const __m256i bytes = avx2_load(codes[step] + 32 * v);
            const __m256i w0 = _mm256_and_si256(bytes, low);
            const __m256i w1 = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low);
            AVX2_Q4_NEXT(acc[v], acc[2 + v], w0, w1, x + 4 * step);
        }
    }
    QTF_UNROLL for (int v = 0; v < 4; v++) {
        totals[v] = _mm256_add_epi32(
            totals[v], _mm256_madd_epi16(acc[v], avx2_q4_scales(b->scales[run] + 8 * v)));
    }
}

QTF_INLINE void avx2_q4_one(const qtf_tile *t) {
    _Alignas(64) float sums[QTF_PANEL] = {0};
    const qtf_q4_block *b = t->w;
    for (int64_t g = 0; g < t->n_groups; g++, b++) {
        const int32_t *starts = t->x_starts + QTF_Q4_RUNS / 2 * g;
        const __m256i s0 = _mm256_set1_epi32(starts[0]), s1 = _mm256_set1_epi32(starts[1]);
        __m256i totals[4];
        QTF_UNROLL for (int v = 0; v < 4; v++) {
            totals[v] =
                _mm256_add_epi32(_mm256_madd_epi16(avx2_q4_minima(b->minima[0][8 * v]), s0),
                                 _mm256_madd_epi16(avx2_q4_minima(b->minima[1][8 * v]), s1));
        }
        for (int run = 0; run < QTF_Q4_RUNS; run++) {
            avx2_q4_one_run(b, run, (const int8_t *)t->x + QTF_Q4_GROUP * g + QTF_Q4_RUN * run,
                            totals);
        }
        __m256 d[4];
        QTF_UNROLL for (int v = 0; v < 4; v++) {
            d[v] = avx2_q4_d(b->d + 8 * v);
        }
        avx2_one_add(sums, totals, d, t->x_scales[g]);
    }
    gemm_store(t, sums);
}

#endif
