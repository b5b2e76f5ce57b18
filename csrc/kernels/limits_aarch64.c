/* The loops of limits.h for 64-bit ARM. */
#include "core/compiler.h"
#include "kernels/kernels.h"
#include "kernels/limits.h"

#if QTF_AARCH64

#define REPEAT_8(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define REPEAT_24(op)                                                                              \
    REPEAT_8(op)                                                                                   \
    op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15) op(16) op(17) op(18) op(19) op(20)       \
        op(21) op(22) op(23)
#define LOOP(zero, body)                                                                           \
    __asm__ volatile(zero ".p2align 5\n1:\n" body "subs %0, %0, #1\nb.ne 1b\n"                     \
                     : "+r"(n)                                                                     \
                     :                                                                             \
                     : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",    \
                       "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20",       \
                       "v21", "v22", "v23", "v24", "v25", "v26")

/* Accumulators 0 … 23, zeroed, with operands in 24 and 25. */
#define ZERO(i) "movi v" #i ".4s, #0\n"
#define ZEROS REPEAT_24(ZERO) ZERO(24) ZERO(25)
#define TWICE_ROUNDED(i) "fmul v26.4s, v24.4s, v25.4s\nfadd v" #i ".4s, v" #i ".4s, v26.4s\n"
#define FMLA(i) "fmla v" #i ".4s, v24.4s, v25.4s\n"
#define BYTES(i)                                                                                   \
    "smull v26.8h, v24.8b, v25.8b\nsmlal v26.8h, v24.8b, v25.8b\nsadalp v" #i ".4s, v26.8h\n"
#define SDOT(i) "sdot v" #i ".4s, v24.16b, v25.16b\n"
#define USMMLA(i) "usmmla v" #i ".4s, v24.16b, v25.16b\n"

static void f32_baseline(int64_t n) {
    LOOP(ZEROS, REPEAT_24(TWICE_ROUNDED));
}
static void f32_neon(int64_t n) {
    LOOP(ZEROS, REPEAT_24(FMLA));
}
static void q8_neon(int64_t n) {
    LOOP(ZEROS, REPEAT_24(BYTES));
}

QTF_TARGET_BEGIN(QTF_TARGET_DOTPROD)
static void q8_neon_dotprod(int64_t n) {
    LOOP(ZEROS, REPEAT_24(SDOT));
}
QTF_TARGET_END

QTF_TARGET_BEGIN(QTF_TARGET_I8MM)
static void q8_neon_i8mm(int64_t n) {
    LOOP(ZEROS, REPEAT_24(USMMLA));
}
QTF_TARGET_END

qtf_limit qtf_limit_f32(qtf_isa isa) {
    static const qtf_limit baseline = {"fmul + fadd", f32_baseline, 24 * 2 * 4};
    static const qtf_limit neon = {"fmla", f32_neon, 24 * 2 * 4};
    return isa == QTF_ISA_BASELINE ? baseline : neon;
}

qtf_limit qtf_limit_q8(qtf_isa isa) {
    static const qtf_limit limits[QTF_ISA_COUNT] = {
        [QTF_ISA_BASELINE] = {"smull + smlal + sadalp", q8_neon, 24 * 2 * 16},
        [QTF_ISA_NEON] = {"smull + smlal + sadalp", q8_neon, 24 * 2 * 16},
        [QTF_ISA_NEON_DOTPROD] = {"sdot", q8_neon_dotprod, 24 * 2 * 16},
        [QTF_ISA_NEON_I8MM] = {"usmmla", q8_neon_i8mm, 24 * 2 * 32},
    };
    return limits[isa];
}

qtf_limit qtf_limit_q4(qtf_isa isa) {
    return qtf_limit_q8(isa);
}

/* Multiplications take two to four cycles here, additions one. */
void qtf_limit_clock(int64_t n) {
    uint64_t x = 3;
    __asm__ volatile(".p2align 5\n1:\nadd %1, %1, %1\nadd %1, %1, %1\nadd %1, %1, %1\n"
                     "subs %0, %0, #1\nb.ne 1b\n"
                     : "+r"(n), "+r"(x)
                     :
                     : "cc");
}

uint64_t qtf_limit_read(const void *data, size_t bytes) {
    const char *p = data, *end = p + bytes;
    __asm__ volatile(".p2align 5\n1:\n"
                     "prfm pldl1keep, [%0, #2048]\nprfm pldl1keep, [%0, #2112]\n"
                     "ldp q0, q1, [%0]\nldp q2, q3, [%0, #32]\n"
                     "ldp q4, q5, [%0, #64]\nldp q6, q7, [%0, #96]\n"
                     "add %0, %0, #128\ncmp %0, %1\nb.lo 1b\n"
                     : "+r"(p)
                     : "r"(end)
                     : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7");
    return (uint64_t)(uintptr_t)p;
}

#endif
