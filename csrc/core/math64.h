/*
 * exp and log in double, so that a result does not depend on the C library. Every operation is
 * rounded once, without fused multiply-add, which the baseline's flags guarantee.
 */
#ifndef QTF_MATH64_H
#define QTF_MATH64_H

#include <stdint.h>
#include <string.h>

/* exp(x) for x <= 0, within 1e-15 relatively; below -708 it is 0. */
static inline double qtf_exp64(double x) {
    if (!(x >= -708.0)) {
        return x < -708.0 ? 0.0 : x; /* a NaN stays one */
    }
    int64_t n = (int64_t)(x * 1.4426950408889634 - 0.5);
    double r =
        (x - (double)n * 6.93147180369123816490e-01) - (double)n * 1.90821492927058770002e-10;
    /* Taylor, |r| <= ln 2 / 2: the term of degree 14 is below 2^-57. */
    double p = 1.0;
    for (int i = 13; i >= 1; i--) {
        p = 1.0 + p * r / i;
    }
    uint64_t bits = (uint64_t)(n + 1023) << 52;
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

/* log(x) for finite normal x > 0, within 1e-15 absolutely or relatively, whichever is larger. */
static inline double qtf_log64(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t exponent = (int64_t)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffff) | (uint64_t)1023 << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        exponent++;
    }
    /* log m = 2 artanh f, |f| <= 0.172: the term f^23 / 23 is below 2^-61. */
    double f = (m - 1.0) / (m + 1.0), f2 = f * f, sum = 0.0;
    for (int i = 21; i >= 1; i -= 2) {
        sum = sum * f2 + 1.0 / i;
    }
    return (double)exponent * 0.6931471805599453 + 2.0 * f * sum;
}

#endif
