/*
 * The table of micro-kernels. Kernels are leaves: no allocation, locks, errors or threads; their
 * preconditions are the caller's duty. One file for each instruction set fills a table.
 *
 * Numeric contract: every vector is 16 lanes wide on every instruction set (vec.h), sums over k run
 * in ascending order in one accumulator per output, and lanes are added by one fixed tree. So the
 * number of rows in a call, the tile shape and the thread count never change a bit, and AVX2 and
 * AVX-512 give the same bits. The baseline, which has no fused multiply-add, differs by rounding.
 */
#ifndef QTF_KERNELS_H
#define QTF_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "core/compiler.h"
#include "kernels/gemm.h"

/* Instruction sets this compiler and target can build. */
#define QTF_HAVE_AVX2 QTF_X86
#define QTF_HAVE_AVX512VNNI QTF_X86

typedef struct qtf_kernels {
    /* out[i] = exp(x[i]), i < n; within 2 ulp, exp(-inf) = 0, NaN stays NaN. In place is allowed.
     */
    void (*exp_f32)(const float *x, float *out, size_t n);

    qtf_gemm gemm;
} qtf_kernels;

void qtf_fill_baseline(qtf_kernels *table);
void qtf_fill_avx2(qtf_kernels *table);
void qtf_fill_avx512vnni(qtf_kernels *table);

#endif
