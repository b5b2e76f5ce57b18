/* The kernels of 256-bit vpdpbusd, once for each of its encodings: define AVXVNNI_ENCODING and
 * AVXVNNI_FILL, the name of the function that fills a table with them. */
#include "kernels/gemm_q4_avxvnni.h"
#include "kernels/gemm_q8_avxvnni.h"
#include "kernels/gemm_quantise_body.h"

static void qtf_gemm_q8__avxvnni(const qtf_tile *tile) {
    if (tile->rows > 1) {
        avxvnni_q8_tile(tile);
    } else {
        avxvnni_q8_one(tile);
    }
}

static void qtf_gemm_q4__avxvnni(const qtf_tile *tile) {
    if (tile->rows > AVX2_Q4_FEW) {
        avxvnni_q4_tile(tile);
        return;
    }
    for (int row = 0; row < tile->rows; row++) {
        const qtf_tile one = avx2_q4_row(tile, row);
        avx2_q4_one(&one);
    }
}

static int qtf_quantise_row__avxvnni(const float *x, int64_t k, int64_t group, void *q,
                                     float *scales, int32_t *starts) {
    return quantise_row_body(x, k, group, q, scales, starts, -128);
}

void AVXVNNI_FILL(qtf_kernels *table) {
    table->gemm.q8_rows = AVXVNNI_TILE_ROWS;
    table->gemm.q4_rows = AVXVNNI_TILE_ROWS;
    table->gemm.q8 = qtf_gemm_q8__avxvnni;
    table->gemm.q4 = qtf_gemm_q4__avxvnni;
    table->gemm.quantise_row = qtf_quantise_row__avxvnni;
}
