/*
 * A vector of 16 floats on every instruction set, so that bodies written once give the same lanes
 * and the same order of additions everywhere. Include it after defining one of QTF_VEC_BASELINE,
 * QTF_VEC_AVX2, QTF_VEC_AVX512, QTF_VEC_NEON and inside QTF_TARGET_BEGIN … QTF_TARGET_END.
 *
 * vf_fma rounds once on AVX2, AVX-512 and NEON and twice on the baseline; all else is IEEE single.
 * Which NaN comes out of an operation is the processor's choice.
 */
#ifndef QTF_VEC_H
#define QTF_VEC_H

#include <stdint.h>
#include <string.h>

#include "core/compiler.h"

enum { VF = 16 };

#if defined(QTF_VEC_AVX512)

enum { VF_PARTS = 1, VF_LANES = 16 };
typedef __m512 vf, vf_part;
#define VF_PART(a, i) (a)

QTF_INLINE __mmask16 vf_first(int n) {
    return (__mmask16)((1u << n) - 1u);
}
QTF_INLINE vf vf_set1(float x) {
    return _mm512_set1_ps(x);
}
QTF_INLINE vf vf_load(const float *p) {
    return _mm512_loadu_ps(p);
}
/* The first n lanes from memory, 0 <= n <= 16, the others 0. */
QTF_INLINE vf vf_load_n(const float *p, int n) {
    return _mm512_maskz_loadu_ps(vf_first(n), p);
}
QTF_INLINE void vf_store(float *p, vf a) {
    _mm512_storeu_ps(p, a);
}
QTF_INLINE void vf_store_n(float *p, vf a, int n) {
    _mm512_mask_storeu_ps(p, vf_first(n), a);
}
/* a in the first n lanes, b in the others. */
QTF_INLINE vf vf_select_n(vf a, vf b, int n) {
    return _mm512_mask_blend_ps(vf_first(n), b, a);
}
QTF_INLINE vf vf_add(vf a, vf b) {
    return _mm512_add_ps(a, b);
}
QTF_INLINE vf vf_sub(vf a, vf b) {
    return _mm512_sub_ps(a, b);
}
QTF_INLINE vf vf_mul(vf a, vf b) {
    return _mm512_mul_ps(a, b);
}
QTF_INLINE vf vf_div(vf a, vf b) {
    return _mm512_div_ps(a, b);
}
/* a * b + c */
QTF_INLINE vf vf_fma(vf a, vf b, vf c) {
    return _mm512_fmadd_ps(a, b, c);
}
/* a > b ? a : b, so b when either is NaN. */
QTF_INLINE vf vf_max(vf a, vf b) {
    return _mm512_max_ps(a, b);
}
QTF_INLINE vf vf_min(vf a, vf b) {
    return _mm512_min_ps(a, b);
}
/* To the nearest integer, halves to even. */
QTF_INLINE vf vf_round(vf a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* a * 2^n for integral n with -126 <= n <= 127. */
QTF_INLINE vf vf_scale2(vf a, vf n) {
    return _mm512_scalef_ps(a, n);
}
/* x < bound ? value : a, lane by lane. */
QTF_INLINE vf vf_where_less(vf x, vf bound, vf value, vf a) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, bound, _CMP_LT_OQ), a, value);
}
/* Bit i is set where lane i has a > b. */
QTF_INLINE uint32_t vf_mask_greater(vf a, vf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
/* Lanes i and i + 8 are added first, then i + 4, i + 2, i + 1. */
QTF_INLINE float vf_sum(vf a) {
    __m256 s = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 t = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    t = _mm_add_ps(t, _mm_movehl_ps(t, t));
    return _mm_cvtss_f32(_mm_add_ss(t, _mm_movehdup_ps(t)));
}
QTF_INLINE float vf_hmax(vf a) {
    return _mm512_reduce_max_ps(a);
}
QTF_INLINE vf vf_load_i8(const int8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
/* 16 lanes that hold integers of the type's range. */
QTF_INLINE void vf_store_i8(int8_t *p, vf a) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a)));
}
/* Four vectors of integers from 0 to 255 side by side: lane i of a[j] at p[4 i + j]. */
QTF_INLINE void vf_store_u8x4(uint8_t *p, const vf *a) {
    __m512i four = _mm512_cvtps_epi32(a[0]);
    four = _mm512_or_si512(four, _mm512_slli_epi32(_mm512_cvtps_epi32(a[1]), 8));
    four = _mm512_or_si512(four, _mm512_slli_epi32(_mm512_cvtps_epi32(a[2]), 16));
    four = _mm512_or_si512(four, _mm512_slli_epi32(_mm512_cvtps_epi32(a[3]), 24));
    _mm512_storeu_si512(p, four);
}

#else

#if defined(QTF_VEC_AVX2)

enum { VF_PARTS = 2, VF_LANES = 8 };
typedef __m256 vf_part;
typedef int32_t vi_part __attribute__((vector_size(32)));
QTF_INLINE vi_part vfp_int(vf_part a) {
    return (vi_part)_mm256_cvtps_epi32(a);
}
#define VFP_SET1(x) _mm256_set1_ps(x)
#define VFP_LOAD(p) _mm256_loadu_ps(p)
#define VFP_STORE(p, a) _mm256_storeu_ps(p, a)
#define VFP_ADD(a, b) _mm256_add_ps(a, b)
#define VFP_SUB(a, b) _mm256_sub_ps(a, b)
#define VFP_MUL(a, b) _mm256_mul_ps(a, b)
#define VFP_DIV(a, b) _mm256_div_ps(a, b)
#define VFP_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define VFP_MAX(a, b) _mm256_max_ps(a, b)
#define VFP_MIN(a, b) _mm256_min_ps(a, b)
#define VFP_ROUND(a) _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define VFP_SCALE2(a, n)                                                                           \
    _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(                                        \
                         _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23)))
#define VFP_WHERE_LESS(x, bound, value, a)                                                         \
    _mm256_blendv_ps(a, value, _mm256_cmp_ps(x, bound, _CMP_LT_OQ))
#define VFP_MASK_GREATER(a, b) (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ))

#elif defined(QTF_VEC_NEON)

#include "kernels/vec_neon.h"

#elif defined(QTF_VEC_BASELINE)

enum { VF_PARTS = 4, VF_LANES = 4 };
typedef float vf_part __attribute__((vector_size(16)));
typedef int32_t vi_part __attribute__((vector_size(16)));

QTF_INLINE vi_part vfp_int(vf_part a) {
    return __builtin_convertvector(a, vi_part);
}
QTF_INLINE vf_part vfp_load(const float *p) {
    vf_part a;
    memcpy(&a, p, sizeof a);
    return a;
}
QTF_INLINE vf_part vfp_pick(vi_part mask, vf_part a, vf_part b) {
    return (vf_part)((mask & (vi_part)a) | (~mask & (vi_part)b));
}
/* Adding and taking away 1.5 * 2^23 leaves no fraction bits; larger values have none. */
QTF_INLINE vf_part vfp_round(vf_part a) {
    vf_part magic = {12582912.0f, 12582912.0f, 12582912.0f, 12582912.0f};
    vf_part limit = {4194304.0f, 4194304.0f, 4194304.0f, 4194304.0f};
    return vfp_pick((a < limit) & (a > -limit), (a + magic) - magic, a);
}
QTF_INLINE vf_part vfp_scale2(vf_part a, vf_part n) {
    return a * (vf_part)((__builtin_convertvector(n, vi_part) + 127) << 23);
}
QTF_INLINE uint32_t vfp_mask_greater(vf_part a, vf_part b) {
    vi_part m = a > b;
    return (uint32_t)((m[0] & 1) | (m[1] & 2) | (m[2] & 4) | (m[3] & 8));
}
#define VFP_SET1(x) ((vf_part){x, x, x, x})
#define VFP_LOAD(p) vfp_load(p)
#define VFP_STORE(p, a) memcpy(p, &(a), sizeof(vf_part))
#define VFP_ADD(a, b) ((a) + (b))
#define VFP_SUB(a, b) ((a) - (b))
#define VFP_MUL(a, b) ((a) * (b))
#define VFP_DIV(a, b) ((a) / (b))
#define VFP_FMA(a, b, c) ((a) * (b) + (c))
#define VFP_MAX(a, b) vfp_pick((a) > (b), a, b)
#define VFP_MIN(a, b) vfp_pick((a) < (b), a, b)
#define VFP_ROUND(a) vfp_round(a)
#define VFP_SCALE2(a, n) vfp_scale2(a, n)
#define VFP_WHERE_LESS(x, bound, value, a) vfp_pick((x) < (bound), value, a)
#define VFP_MASK_GREATER(a, b) vfp_mask_greater(a, b)

#else
#error "define QTF_VEC_BASELINE, _AVX2, _AVX512 or _NEON before including vec.h"
#endif

typedef struct {
    vf_part p[VF_PARTS];
} vf;
#define VF_PART(a, i) (a).p[i]

#define VF_EACH(expression)                                                                        \
    vf r;                                                                                          \
    QTF_UNROLL for (int i = 0; i < VF_PARTS; i++) {                                                \
        r.p[i] = expression;                                                                       \
    }                                                                                              \
    return r

QTF_INLINE vf vf_set1(float x) {
    VF_EACH(VFP_SET1(x));
}
QTF_INLINE vf vf_load(const float *p) {
    VF_EACH(VFP_LOAD(p + VF_LANES * i));
}
QTF_INLINE vf vf_load_n(const float *p, int n) {
    float lanes[VF] = {0};
    memcpy(lanes, p, (size_t)n * sizeof(float));
    return vf_load(lanes);
}
QTF_INLINE void vf_store(float *p, vf a) {
    QTF_UNROLL for (int i = 0; i < VF_PARTS; i++) {
        VFP_STORE(p + VF_LANES * i, a.p[i]);
    }
}
QTF_INLINE void vf_store_n(float *p, vf a, int n) {
    float lanes[VF];
    vf_store(lanes, a);
    memcpy(p, lanes, (size_t)n * sizeof(float));
}
QTF_INLINE vf vf_select_n(vf a, vf b, int n) {
    float lanes[VF];
    vf_store(lanes, b);
    vf_store_n(lanes, a, n);
    return vf_load(lanes);
}
QTF_INLINE vf vf_add(vf a, vf b) {
    VF_EACH(VFP_ADD(a.p[i], b.p[i]));
}
QTF_INLINE vf vf_sub(vf a, vf b) {
    VF_EACH(VFP_SUB(a.p[i], b.p[i]));
}
QTF_INLINE vf vf_mul(vf a, vf b) {
    VF_EACH(VFP_MUL(a.p[i], b.p[i]));
}
QTF_INLINE vf vf_div(vf a, vf b) {
    VF_EACH(VFP_DIV(a.p[i], b.p[i]));
}
QTF_INLINE vf vf_fma(vf a, vf b, vf c) {
    VF_EACH(VFP_FMA(a.p[i], b.p[i], c.p[i]));
}
QTF_INLINE vf vf_max(vf a, vf b) {
    VF_EACH(VFP_MAX(a.p[i], b.p[i]));
}
QTF_INLINE vf vf_min(vf a, vf b) {
    VF_EACH(VFP_MIN(a.p[i], b.p[i]));
}
QTF_INLINE vf vf_round(vf a) {
    VF_EACH(VFP_ROUND(a.p[i]));
}
QTF_INLINE vf vf_scale2(vf a, vf n) {
    VF_EACH(VFP_SCALE2(a.p[i], n.p[i]));
}
QTF_INLINE vf vf_where_less(vf x, vf bound, vf value, vf a) {
    VF_EACH(VFP_WHERE_LESS(x.p[i], bound.p[i], value.p[i], a.p[i]));
}
QTF_INLINE uint32_t vf_mask_greater(vf a, vf b) {
    uint32_t mask = 0;
    QTF_UNROLL for (int i = 0; i < VF_PARTS; i++) {
        mask |= VFP_MASK_GREATER(a.p[i], b.p[i]) << (VF_LANES * i);
    }
    return mask;
}
QTF_INLINE float vf_sum(vf a) {
    float s[VF];
    vf_store(s, a);
    QTF_UNROLL for (int step = VF / 2; step > 0; step /= 2) {
        QTF_UNROLL for (int i = 0; i < step; i++) {
            s[i] += s[i + step];
        }
    }
    return s[0];
}
QTF_INLINE float vf_hmax(vf a) {
    float s[VF];
    vf_store(s, a);
    float m = s[0];
    QTF_UNROLL for (int i = 1; i < VF; i++) {
        m = s[i] > m ? s[i] : m;
    }
    return m;
}
QTF_INLINE void vf_store_u8x4(uint8_t *p, const vf *a) {
    QTF_UNROLL for (int i = 0; i < VF_PARTS; i++) {
        vi_part four = vfp_int(a[0].p[i]);
        QTF_UNROLL for (int j = 1; j < 4; j++) {
            four |= vfp_int(a[j].p[i]) << (8 * j);
        }
        memcpy(p + 4 * VF_LANES * i, &four, sizeof four);
    }
}
#if defined(QTF_VEC_AVX2)
QTF_INLINE vf vf_load_i8(const int8_t *p) {
    VF_EACH(_mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(p + VF_LANES * i)))));
}
QTF_INLINE void vf_store_i8(int8_t *p, vf a) {
    __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(a.p[0]), _mm256_cvtps_epi32(a.p[1]));
    words = _mm256_permute4x64_epi64(words, 0xd8);
    __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)p, bytes);
}
#elif defined(QTF_VEC_NEON)
QTF_INLINE vf vf_load_i8(const int8_t *p) {
    vf r;
    int8x16_t bytes = vld1q_s8(p);
    int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
    r.p[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(low)));
    r.p[1] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(low)));
    r.p[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(high)));
    r.p[3] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)));
    return r;
}
QTF_INLINE void vf_store_i8(int8_t *p, vf a) {
    vst1q_s8(p,
             vcombine_s8(vmovn_s16(vfp_i16(a.p[0], a.p[1])), vmovn_s16(vfp_i16(a.p[2], a.p[3]))));
}
#else
QTF_INLINE vf vf_load_i8(const int8_t *p) {
    float lanes[VF];
    for (int i = 0; i < VF; i++) {
        lanes[i] = p[i];
    }
    return vf_load(lanes);
}
QTF_INLINE void vf_store_i8(int8_t *p, vf a) {
    for (int i = 0; i < VF; i++) {
        p[i] = (int8_t)a.p[i / VF_LANES][i % VF_LANES];
    }
}
#endif

#endif

/*
 * exp(x), within 2 ulp for x <= 88.3: x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts (Cody
 * and Waite), then the Taylor polynomial of degree 7, whose error there is below 2^-27. Every x <
 * -87.3, -inf included, gives 0; x > 88.3 is taken as 88.3; NaN gives NaN.
 */
QTF_INLINE vf vf_exp(vf x) {
    vf low = vf_set1(-87.3f);
    vf clamped = vf_min(vf_set1(88.3f), vf_max(low, x)); /* this operand order keeps a NaN */
    vf n = vf_round(vf_mul(clamped, vf_set1(1.44269504088896341f)));
    vf r = vf_fma(n, vf_set1(-0.693359375f), clamped);
    r = vf_fma(n, vf_set1(2.12194440e-4f), r);
    vf p = vf_set1(1.0f / 5040.0f);
    p = vf_fma(p, r, vf_set1(1.0f / 720.0f));
    p = vf_fma(p, r, vf_set1(1.0f / 120.0f));
    p = vf_fma(p, r, vf_set1(1.0f / 24.0f));
    p = vf_fma(p, r, vf_set1(1.0f / 6.0f));
    p = vf_fma(p, r, vf_set1(0.5f));
    p = vf_fma(p, r, vf_set1(1.0f));
    p = vf_fma(p, r, vf_set1(1.0f));
    return vf_where_less(x, low, vf_set1(0.0f), vf_scale2(p, n));
}

/*
 * 2^x, within 2 ulp for least <= x <= 127, least >= -126: x = n + r with |r| <= 1/2, exactly, then
 * a minimax polynomial of degree 6, whose relative error is below 2^-28. Every x < least, -inf
 * included, gives 0; x > 127 is out of range; NaN gives NaN.
 */
QTF_INLINE vf vf_exp2(vf x, float least) {
    vf low = vf_set1(least);
    vf clamped = vf_max(low, x); /* this operand order keeps a NaN */
    vf n = vf_round(clamped);
    vf r = vf_sub(clamped, n);
    vf p = vf_set1(0x1.41fbbcp-13f);
    p = vf_fma(p, r, vf_set1(0x1.5f3e54p-10f));
    p = vf_fma(p, r, vf_set1(0x1.3b2d4cp-7f));
    p = vf_fma(p, r, vf_set1(0x1.c6aee8p-5f));
    p = vf_fma(p, r, vf_set1(0x1.ebfbdcp-3f));
    p = vf_fma(p, r, vf_set1(0x1.62e43p-1f));
    p = vf_fma(p, r, vf_set1(1.0f));
    return vf_where_less(x, low, vf_set1(0.0f), vf_scale2(p, n));
}

#endif
