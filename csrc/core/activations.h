/* Activations that are made ready piece by piece, or not at all. */
#ifndef QTF_ACTIVATIONS_H
#define QTF_ACTIVATIONS_H

#include "core/matmul.h"

/* Room for rows in the form that matrix takes, not written; free as after qtf_activations_init. */
qtf_status qtf_activations_alloc(qtf_activations *activations, int64_t rows,
                                 const qtf_matrix *matrix);

/*
 * Write n columns of a row from col on, whole groups but for the row's last. False when one is NaN
 * or infinite and the quant is not QTF_F32. From several threads for different columns.
 */
bool qtf_activations_put(const qtf_activations *activations, int64_t row, int64_t col,
                         const float *x, int64_t n);

/* Floats [rows, k] as they are: for QTF_F32, to read or to put. */
qtf_activations qtf_activations_borrow(const float *x, int64_t rows, int64_t k);

#endif
