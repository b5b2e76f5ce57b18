#include <stdlib.h>

#include "core/bpe_tokenizer.h"
#include "core/pool.h"

typedef struct {
    qtf_tokenizer *tokenizer;
    const uint8_t *const *texts;
    const size_t *lengths;
    size_t n_texts, chunk;
    unsigned flags;
    qtf_encoding *out;
    qtf_status *status; /* [n_texts] */
} batch;

static void encode_chunk(void *context, int64_t task) {
    const batch *b = context;
    size_t first = (size_t)task * b->chunk;
    size_t end = first + b->chunk < b->n_texts ? first + b->chunk : b->n_texts;
    for (size_t i = first; i < end; i++) {
        qtf_error ignored; /* of several failures one is reported, found again by the caller */
        b->status[i] =
            qtf_encode(b->tokenizer, b->texts[i], b->lengths[i], b->flags, &b->out[i], &ignored);
    }
}

qtf_status qtf_encode_batch(qtf_tokenizer *tokenizer, const uint8_t *const *texts,
                            const size_t *lengths, size_t n_texts, unsigned flags,
                            qtf_encoding *out, size_t *failed, qtf_error *error) {
    size_t chunk = n_texts / (8 * (size_t)qtf_pool_threads());
    chunk = chunk < 1 ? 1 : chunk > 64 ? 64 : chunk;
    batch b = {tokenizer, texts, lengths, n_texts, chunk, flags, out, NULL};
    b.status = calloc(n_texts + 1, sizeof *b.status);
    if (!b.status) {
        return QTF_NO_MEMORY;
    }
    qtf_status status =
        qtf_parallel_for((int64_t)((n_texts + chunk - 1) / chunk), encode_chunk, &b);
    for (size_t i = 0; i < n_texts && status == QTF_OK; i++) {
        if (b.status[i] != QTF_OK) {
            *failed = i;
            qtf_encoding again = {0};
            status = qtf_encode(tokenizer, texts[i], lengths[i], flags, &again, error);
            status = status == QTF_OK ? b.status[i] : status;
            qtf_encoding_free(&again);
        }
    }
    free(b.status);
    return status;
}
