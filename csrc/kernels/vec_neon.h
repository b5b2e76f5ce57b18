/* Four floats, of which vec.h makes its vectors on NEON. Every operation picks as AVX2's does. */
#ifndef QTF_VEC_NEON_H
#define QTF_VEC_NEON_H

#include <stdint.h>

#include "core/compiler.h"

enum { VF_PARTS = 4, VF_LANES = 4 };
typedef float32x4_t vf_part;
typedef int32x4_t vi_part;

QTF_INLINE vi_part vfp_int(vf_part a) {
    return vcvtq_s32_f32(a);
}

QTF_INLINE uint32_t vfp_mask_greater(vf_part a, vf_part b) {
    const uint32x4_t bits = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcgtq_f32(a, b), bits));
}
/* Eight lanes that hold integers of 16 bits. */
QTF_INLINE int16x8_t vfp_i16(vf_part a, vf_part b) {
    return vcombine_s16(vmovn_s32(vcvtq_s32_f32(a)), vmovn_s32(vcvtq_s32_f32(b)));
}

#define VFP_SET1(x) vdupq_n_f32(x)
#define VFP_LOAD(p) vld1q_f32(p)
#define VFP_STORE(p, a) vst1q_f32(p, a)
#define VFP_ADD(a, b) vaddq_f32(a, b)
#define VFP_SUB(a, b) vsubq_f32(a, b)
#define VFP_MUL(a, b) vmulq_f32(a, b)
#define VFP_DIV(a, b) vdivq_f32(a, b)
#define VFP_FMA(a, b, c) vfmaq_f32(c, a, b)
/* Not fmax and fmin, which treat NaN and -0 in their own way. */
#define VFP_MAX(a, b) vbslq_f32(vcgtq_f32(a, b), a, b)
#define VFP_MIN(a, b) vbslq_f32(vcltq_f32(a, b), a, b)
#define VFP_ROUND(a) vrndnq_f32(a)
#define VFP_SCALE2(a, n)                                                                           \
    vmulq_f32(                                                                                     \
        a, vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23)))
#define VFP_WHERE_LESS(x, bound, value, a) vbslq_f32(vcltq_f32(x, bound), value, a)
#define VFP_MASK_GREATER(a, b) vfp_mask_greater(a, b)

#endif
