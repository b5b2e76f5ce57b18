/* The hyperbolic tangent, compiled once for each instruction set (see vec.h). */
#ifndef QTF_TANH_H
#define QTF_TANH_H

#include "kernels/vec.h"

/*
 * tanh(x), within 4 ulp: below 0.6 x + x^3 P(x^2), a minimax polynomial of degree 4 whose error is
 * below 2^-26 of the result; above, 1 - 2 / (exp(2 |x|) + 1) with the sign of x. NaN gives NaN.
 */
QTF_INLINE vf vf_tanh(vf x) {
    vf zero = vf_set1(0.0f), one = vf_set1(1.0f), two = vf_set1(2.0f);
    vf a = vf_max(x, vf_sub(zero, x)), s = vf_mul(x, x);
    vf p = vf_set1(-0.006269317585974932f);
    p = vf_fma(p, s, vf_set1(0.021111102774739265f));
    p = vf_fma(p, s, vf_set1(-0.05387398228049278f));
    p = vf_fma(p, s, vf_set1(0.13332915306091309f));
    p = vf_fma(p, s, vf_set1(-0.3333333134651184f));
    vf near = vf_fma(vf_mul(p, s), x, x);
    vf far = vf_sub(one, vf_div(two, vf_add(vf_exp(vf_mul(two, a)), one)));
    far = vf_where_less(x, zero, vf_sub(zero, far), far);
    return vf_where_less(a, vf_set1(0.6f), near, far);
}

#endif
