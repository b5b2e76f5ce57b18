#include "kernels/kernels.h"

#if QTF_HAVE_NEON_DOTPROD
#include <arm_neon.h>
#include <string.h>

QTF_NO_EARLY_SCHEDULING
QTF_TARGET_BEGIN(QTF_TARGET_DOTPROD)
#define QTF_VEC_NEON
#include "kernels/gemm_q8_neon_dotprod.h"

#include "kernels/gemm_q4_neon_body.h"
#include "kernels/gemm_q8_neon_body.h"

static void qtf_gemm_q8__neon_dotprod(const qtf_tile *tile) {
    switch (tile->rows) { QTF_CASES_8(neon_q8_rows, tile) }
}

static void q4_pass(const neon_q4_pass *pass) {
    switch (pass->rows) { QTF_CASES_6(neon_q4_rows, pass) }
}

static void qtf_gemm_q4__neon_dotprod(const qtf_tile *tile) {
    neon_q4_tile(tile, q4_pass);
}

void qtf_fill_neon_dotprod(qtf_kernels *table) {
    table->gemm.q8_rows = NEON_Q8_ROWS;
    table->gemm.q4_rows = NEON_Q4_TILE_ROWS;
    table->gemm.q8 = qtf_gemm_q8__neon_dotprod;
    table->gemm.q4 = qtf_gemm_q4__neon_dotprod;
}
QTF_TARGET_END
#endif
