/* What the processor could do at most: loops of nothing but the instruction that decides. */
#ifndef QTF_LIMITS_H
#define QTF_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "core/cpu.h"

/* A loop in assembly; each of its n steps does ops operations, a multiply-add being two. */
typedef struct {
    const char *instructions;
    void (*run)(int64_t n);
    int ops;
} qtf_limit;

/* The loops for float, 8-bit and 4-bit products; run is NULL where there is none for isa. */
qtf_limit qtf_limit_f32(qtf_isa isa);
qtf_limit qtf_limit_q8(qtf_isa isa);
qtf_limit qtf_limit_q4(qtf_isa isa);

/* One step takes three cycles, whatever the processor does beside: each instruction waits for the
 * one before. */
void qtf_limit_clock(int64_t n);

/* Read bytes of memory; bytes is a multiple of 256. The result only keeps the reads alive. */
uint64_t qtf_limit_read(const void *data, size_t bytes);

#endif
