#include "core/kvcache.h"

#include <string.h>

#include "core/dispatch.h"
#include "core/integers.h"

static const size_t type_bytes[] = {
    [QTF_KV_F32] = 4, [QTF_KV_F16] = 2, [QTF_KV_BF16] = 2, [QTF_KV_Q8] = 1};

static const void *head_row(const qtf_kv *kv, int64_t row, int64_t head) {
    return (const char *)kv->data +
           (row * kv->stride + head * kv->head_stride) * (ptrdiff_t)type_bytes[kv->type];
}

static const float *head_scales(const qtf_kv *kv, int64_t row, int64_t head) {
    return kv->scales + row * kv->scale_stride + head * kv->scale_head_stride;
}

const float *qtf_kv_rows(const qtf_kv *kv, int64_t row, int64_t n, int64_t head, int64_t head_dim,
                         bool in_place, float *buffer, int64_t width, ptrdiff_t *out_stride) {
    const qtf_kernels *kernels = qtf_active_kernels();
    if (kv->type == QTF_KV_F32 && in_place) {
        *out_stride = kv->stride;
        return head_row(kv, row, head);
    }
    *out_stride = width;
    if (kv->type == QTF_KV_Q8) {
        kernels->widen_i8(head_row(kv, row, head), kv->stride, head_scales(kv, row, head),
                          kv->scale_stride, (int)n, (int)head_dim, buffer, width);
        return buffer;
    }
    for (int64_t i = 0; i < n; i++) {
        const void *x = head_row(kv, row + i, head);
        if (kv->type == QTF_KV_F16) {
            kernels->gemm.widen_f16(x, buffer + i * width, head_dim);
        } else if (kv->type == QTF_KV_BF16) {
            kernels->gemm.widen_bf16(x, buffer + i * width, head_dim);
        } else {
            memcpy(buffer + i * width, x, (size_t)head_dim * sizeof(float));
        }
    }
    return buffer;
}

void qtf_kv_pairs(const qtf_kv *kv, int64_t row, int64_t n, int64_t head, int64_t head_dim,
                  bool values, float *buffer, int64_t width) {
    const qtf_bf16_kernels *bf16 = &qtf_active_kernels()->bf16;
    (values ? bf16->pair_values : bf16->pair_keys)(head_row(kv, row, head), kv->stride, (int)n,
                                                   (int)head_dim, buffer, width);
}

void qtf_kv_prefetch(const qtf_kv *kv, int64_t row, int64_t n, int64_t head, int64_t head_dim) {
    for (int64_t i = 0; i < n; i++) {
        const char *x = head_row(kv, row + i, head);
        for (size_t b = 0; b < (size_t)head_dim * type_bytes[kv->type]; b += 64) {
            __builtin_prefetch(x + b, 0, 2);
        }
    }
}

/* One row of a head in groups, each with its scale; whether its numbers are finite. */
static bool quantise_q8(const qtf_kernels *kernels, const float *x, int64_t head_dim, int8_t *q,
                        float *scales) {
    for (int64_t d = 0; d < head_dim; d += QTF_KV_GROUP, scales++) {
        *scales = kernels->gemm.quantise_i8(x + d, min64(QTF_KV_GROUP, head_dim - d), false, q + d);
        if (*scales < 0.0f) {
            return false;
        }
    }
    return true;
}

qtf_status qtf_kv_quantise(const qtf_kv *x, int64_t rows, int64_t heads, int64_t head_dim,
                           const qtf_kv *out) {
    const qtf_kernels *kernels = qtf_active_kernels();
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t h = 0; h < heads; h++) {
            const float *from = head_row(x, r, h);
            void *to = (void *)(uintptr_t)head_row(out, r, h);
            bool finite = out->type == QTF_KV_BF16
                              ? kernels->round_bf16(from, 1.0f, (int)head_dim, to)
                              : quantise_q8(kernels, from, head_dim, to,
                                            (float *)(uintptr_t)head_scales(out, r, h));
            if (!finite) {
                return QTF_BAD_ARGUMENT;
            }
        }
    }
    return QTF_OK;
}
