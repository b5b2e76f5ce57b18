#include "kernels/kernels.h"

#if QTF_HAVE_NEON_I8MM
#include <arm_neon.h>
#include <string.h>

QTF_NO_EARLY_SCHEDULING
QTF_TARGET_BEGIN(QTF_TARGET_I8MM)
#define QTF_VEC_NEON
#include "kernels/gemm_q8_neon_i8mm.h"

#include "kernels/gemm_q4_neon_body.h"
#include "kernels/gemm_q8_neon_body.h"
#include "kernels/gemm_quantise_body.h"

static void qtf_gemm_q8__neon_i8mm(const qtf_tile *tile) {
    switch (tile->rows) { QTF_CASES_8(neon_q8_rows, tile) }
}

static void q4_pass(const neon_q4_pass *pass) {
    switch (pass->rows) { QTF_CASES_6(neon_q4_rows, pass) }
}

static void qtf_gemm_q4__neon_i8mm(const qtf_tile *tile) {
    neon_q4_tile(tile, q4_pass);
}

static int qtf_quantise_row__neon_i8mm(const float *x, int64_t k, int64_t group, void *q,
                                       float *scales, int32_t *starts) {
    return quantise_row_body(x, k, group, q, scales, starts, -128);
}

void qtf_fill_neon_i8mm(qtf_kernels *table) {
    table->gemm.q8_rows = NEON_Q8_ROWS;
    table->gemm.q4_rows = NEON_Q4_TILE_ROWS;
    table->gemm.q8 = qtf_gemm_q8__neon_i8mm;
    table->gemm.q4 = qtf_gemm_q4__neon_i8mm;
    table->gemm.quantise_row = qtf_quantise_row__neon_i8mm;
}
QTF_TARGET_END
#endif
