/* What this processor can do and how much of it this process may use. */
#ifndef QTF_CPU_H
#define QTF_CPU_H

#include <stdbool.h>

/* Instruction sets with kernels of their own; each is a superset of those before it that its
 * processors have. */
typedef enum {
    QTF_ISA_BASELINE = 0, /* portable C */
    QTF_ISA_AVX2,         /* AVX2, FMA, F16C */
    QTF_ISA_AVXVNNI,      /* and 256-bit vpdpbusd, of AVX-VNNI or of AVX-512 VL and VNNI */
    QTF_ISA_AVX512VNNI,   /* AVX-512 F, BW, DQ, VL, VNNI */
    QTF_ISA_AVX512BF16,   /* and vdpbf16ps */
    QTF_ISA_NEON,         /* every AArch64 */
    QTF_ISA_NEON_DOTPROD, /* sdot */
    QTF_ISA_NEON_I8MM,    /* usmmla, and sdot */
    QTF_ISA_COUNT
} qtf_isa;

/* "baseline", "avx2", "avxvnni", "avx512vnni", "avx512bf16", "neon", "neon-dotprod", "neon-i8mm",
 * in the order of the type. */
const char *qtf_isa_name(qtf_isa isa);

/* The isa called name; false if there is none. */
bool qtf_isa_from_name(const char *name, qtf_isa *isa);

/* The best isa that both the processor and the operating system (XGETBV) support. */
qtf_isa qtf_cpu_best_isa(void);

/* Whether QTF_ISA_AVXVNNI is there as AVX-VNNI, else it is as AVX-512. */
bool qtf_cpu_has_avxvnni(void);

/* The processor's brand string, or its implementer and part number (AArch64 Linux); "unknown" where
 * it has none. Static memory. */
const char *qtf_cpu_name(void);

/*
 * Processors this process may use, at least 1: the affinity mask, capped by the CPU quota of its
 * cgroup (v1 or v2), rounded up.
 */
int qtf_cpu_count(void);

#endif
