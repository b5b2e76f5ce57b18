#include "kernels/kernels.h"

#if QTF_HAVE_NEON_DOTPROD
#include <arm_neon.h>
#include <string.h>

QTF_TARGET_BEGIN(QTF_TARGET_DOTPROD)
#define QTF_VEC_NEON
#include "kernels/gemm_q8_neon_dotprod.h"

#include "kernels/gemm_q8_neon_body.h"

static void qtf_gemm_q8__neon_dotprod(const qtf_tile *tile) {
    switch (tile->rows) { QTF_CASES_8(neon_q8_rows, tile) }
}

void qtf_fill_neon_dotprod(qtf_kernels *table) {
    table->gemm.q8_rows = NEON_Q8_ROWS;
    table->gemm.q8 = qtf_gemm_q8__neon_dotprod;
}
QTF_TARGET_END
#endif
