/* Arithmetic of sizes and indices. */
#ifndef QTF_INTEGERS_H
#define QTF_INTEGERS_H

#include <stdint.h>

#include "core/compiler.h"

/* The smallest integer not below a / b; a >= 0, b > 0. */
QTF_INLINE int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

QTF_INLINE int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

QTF_INLINE int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

#endif
