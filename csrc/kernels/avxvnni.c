#include "kernels/kernels.h"

#if QTF_HAVE_AVXVNNI
#include <immintrin.h>
#include <string.h>

QTF_TARGET_BEGIN("avx2,fma,f16c,avxvnni")
#define QTF_VEC_AVX2
#define AVXVNNI_ENCODING "%{vex%} "
#define AVXVNNI_FILL qtf_fill_avxvnni
#include "kernels/avxvnni_body.h"
QTF_TARGET_END
#endif
