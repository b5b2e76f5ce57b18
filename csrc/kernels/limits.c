/* Assembly, because compilers move, fold or spill what intrinsics say. */
#include "kernels/limits.h"

#include "core/compiler.h"

#if QTF_X86

#define REPEAT_8(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define REPEAT_12(op) REPEAT_8(op) op(8) op(9) op(10) op(11)
#define LOOP(zero, body)                                                                           \
    __asm__ volatile(zero ".p2align 5\n1:\n" body "dec %0\njnz 1b\n"                               \
                     : "+r"(n)                                                                     \
                     :                                                                             \
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",       \
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

/* Accumulators 0 … 11, zeroed, with operands in 12 and 13. */
#define SSE_ZERO(i) "pxor %%xmm" #i ", %%xmm" #i "\n"
#define SSE_F32(i) "movaps %%xmm12, %%xmm14\nmulps %%xmm13, %%xmm14\naddps %%xmm14, %%xmm" #i "\n"
#define SSE_Q8(i) "movdqa %%xmm12, %%xmm14\npmaddwd %%xmm13, %%xmm14\npaddd %%xmm14, %%xmm" #i "\n"
#define AVX_ZERO(i) "vpxor %%xmm" #i ", %%xmm" #i ", %%xmm" #i "\n"
#define AVX2_F32(i) "vfmadd231ps %%ymm12, %%ymm13, %%ymm" #i "\n"
#define AVX2_Q8(i)                                                                                 \
    "vpmaddubsw %%ymm12, %%ymm13, %%ymm14\nvpmaddwd %%ymm13, %%ymm14, %%ymm14\n"                   \
    "vpaddd %%ymm14, %%ymm" #i ", %%ymm" #i "\n"
/* Products of a run of 8 steps are added up in 16 bits, 0 … 3, then widened and added to 4 … 7. */
#define AVX2_Q4_FIRST(i) "vpmaddubsw %%ymm12, %%ymm13, %%ymm" #i "\n"
#define AVX2_Q4_NEXT(i)                                                                            \
    "vpmaddubsw %%ymm12, %%ymm13, %%ymm14\nvpaddw %%ymm14, %%ymm" #i ", %%ymm" #i "\n"
#define AVX2_Q4_WIDEN(i, j)                                                                        \
    "vpmaddwd %%ymm13, %%ymm" #i ", %%ymm14\nvpaddd %%ymm14, %%ymm" #j ", %%ymm" #j "\n"
#define REPEAT_4(op) op(0) op(1) op(2) op(3)
#define AVX2_Q4                                                                                    \
    REPEAT_4(AVX2_Q4_FIRST)                                                                        \
    REPEAT_4(AVX2_Q4_NEXT)                                                                         \
    REPEAT_4(AVX2_Q4_NEXT)                                                                         \
    REPEAT_4(AVX2_Q4_NEXT)                                                                         \
    REPEAT_4(AVX2_Q4_NEXT)                                                                         \
    REPEAT_4(AVX2_Q4_NEXT)                                                                         \
    REPEAT_4(AVX2_Q4_NEXT)                                                                         \
    REPEAT_4(AVX2_Q4_NEXT)                                                                         \
    AVX2_Q4_WIDEN(0, 4) AVX2_Q4_WIDEN(1, 5) AVX2_Q4_WIDEN(2, 6) AVX2_Q4_WIDEN(3, 7)
#define AVX512_F32(i) "vfmadd231ps %%zmm12, %%zmm13, %%zmm" #i "\n"
#define AVXVNNI_Q8(i) "%{vex%} vpdpbusd %%ymm12, %%ymm13, %%ymm" #i "\n"
#define AVXVNNI_EVEX_Q8(i) "vpdpbusd %%ymm12, %%ymm13, %%ymm" #i "\n"
#define AVX512_Q8(i) "vpdpbusd %%zmm12, %%zmm13, %%zmm" #i "\n"

static void f32_baseline(int64_t n) {
    LOOP(REPEAT_12(SSE_ZERO) SSE_ZERO(12) SSE_ZERO(13), REPEAT_12(SSE_F32));
}
static void q8_baseline(int64_t n) {
    LOOP(REPEAT_12(SSE_ZERO) SSE_ZERO(12) SSE_ZERO(13), REPEAT_12(SSE_Q8));
}
static void f32_avx2(int64_t n) {
    LOOP(REPEAT_12(AVX_ZERO) AVX_ZERO(12) AVX_ZERO(13), REPEAT_12(AVX2_F32));
    __asm__ volatile("vzeroupper");
}
static void q8_avx2(int64_t n) {
    LOOP(REPEAT_12(AVX_ZERO) AVX_ZERO(12) AVX_ZERO(13), REPEAT_12(AVX2_Q8));
    __asm__ volatile("vzeroupper");
}
static void q4_avx2(int64_t n) {
    LOOP(REPEAT_8(AVX_ZERO) AVX_ZERO(12) AVX_ZERO(13), AVX2_Q4);
    __asm__ volatile("vzeroupper");
}
static void q8_avxvnni(int64_t n) {
    if (qtf_cpu_has_avxvnni()) {
        LOOP(REPEAT_12(AVX_ZERO) AVX_ZERO(12) AVX_ZERO(13), REPEAT_12(AVXVNNI_Q8));
    } else {
        LOOP(REPEAT_12(AVX_ZERO) AVX_ZERO(12) AVX_ZERO(13), REPEAT_12(AVXVNNI_EVEX_Q8));
    }
    __asm__ volatile("vzeroupper");
}
static void f32_avx512vnni(int64_t n) {
    LOOP(REPEAT_12(AVX_ZERO) AVX_ZERO(12) AVX_ZERO(13), REPEAT_12(AVX512_F32));
    __asm__ volatile("vzeroupper");
}
static void q8_avx512vnni(int64_t n) {
    LOOP(REPEAT_12(AVX_ZERO) AVX_ZERO(12) AVX_ZERO(13), REPEAT_12(AVX512_Q8));
    __asm__ volatile("vzeroupper");
}

qtf_limit qtf_limit_f32(qtf_isa isa) {
    static const qtf_limit limits[QTF_ISA_COUNT] = {
        [QTF_ISA_BASELINE] = {"mulps + addps", f32_baseline, 12 * 2 * 4},
        [QTF_ISA_AVX2] = {"vfmadd231ps ymm", f32_avx2, 12 * 2 * 8},
        [QTF_ISA_AVXVNNI] = {"vfmadd231ps ymm", f32_avx2, 12 * 2 * 8},
        [QTF_ISA_AVX512VNNI] = {"vfmadd231ps zmm", f32_avx512vnni, 12 * 2 * 16},
        [QTF_ISA_AVX512BF16] = {"vfmadd231ps zmm", f32_avx512vnni, 12 * 2 * 16},
    };
    return limits[isa];
}

qtf_limit qtf_limit_q8(qtf_isa isa) {
    static const qtf_limit limits[QTF_ISA_COUNT] = {
        [QTF_ISA_BASELINE] = {"pmaddwd + paddd", q8_baseline, 12 * 2 * 8},
        [QTF_ISA_AVX2] = {"vpmaddubsw + vpmaddwd + vpaddd ymm", q8_avx2, 12 * 2 * 32},
        [QTF_ISA_AVXVNNI] = {"vpdpbusd ymm", q8_avxvnni, 12 * 2 * 32},
        [QTF_ISA_AVX512VNNI] = {"vpdpbusd zmm", q8_avx512vnni, 12 * 2 * 64},
        [QTF_ISA_AVX512BF16] = {"vpdpbusd zmm", q8_avx512vnni, 12 * 2 * 64},
    };
    return limits[isa];
}

qtf_limit qtf_limit_q4(qtf_isa isa) {
    static const qtf_limit avx2 = {"8 vpmaddubsw, 7 vpaddw, vpmaddwd ymm", q4_avx2, 4 * 8 * 2 * 32};
    return isa == QTF_ISA_AVX2 ? avx2 : qtf_limit_q8(isa);
}

void qtf_limit_clock(int64_t n) {
    uint64_t x = 3;
    __asm__ volatile(".p2align 5\n1:\nimul %1, %1\ndec %0\njnz 1b\n" : "+r"(n), "+r"(x) : : "cc");
}

uint64_t qtf_limit_read(const void *data, size_t bytes) {
    const char *p = data, *end = p + bytes;
    __asm__ volatile(".p2align 5\n1:\n"
                     "prefetcht0 2048(%0)\nprefetcht0 2112(%0)\n"
                     "por (%0), %%xmm0\npor 16(%0), %%xmm1\npor 32(%0), %%xmm2\n"
                     "por 48(%0), %%xmm3\npor 64(%0), %%xmm0\npor 80(%0), %%xmm1\n"
                     "por 96(%0), %%xmm2\npor 112(%0), %%xmm3\n"
                     "add $128, %0\ncmp %1, %0\njb 1b\n"
                     : "+r"(p)
                     : "r"(end)
                     : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3");
    return (uint64_t)(uintptr_t)p;
}

#elif !QTF_AARCH64

qtf_limit qtf_limit_f32(qtf_isa isa) {
    (void)isa;
    return (qtf_limit){"none", NULL, 0};
}

qtf_limit qtf_limit_q8(qtf_isa isa) {
    (void)isa;
    return (qtf_limit){"none", NULL, 0};
}

qtf_limit qtf_limit_q4(qtf_isa isa) {
    return qtf_limit_q8(isa);
}

void qtf_limit_clock(int64_t n) {
    (void)n;
}

uint64_t qtf_limit_read(const void *data, size_t bytes) {
    const uint64_t *words = data;
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes / sizeof *words; i++) {
        sum ^= words[i];
    }
    return sum;
}

#endif
