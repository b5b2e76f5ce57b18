#include "core/bpe_tokenizer.h"

#include <stdlib.h>

qtf_status qtf_tokenizer_finish(qtf_tokenizer *tokenizer) {
    const qtf_bpe *bpe = &tokenizer->bpe;
    tokenizer->all_bytes = true;
    for (int byte = 0; byte < 256; byte++) {
        tokenizer->all_bytes &= bpe->byte_id[byte] != QTF_BPE_NONE;
    }
    tokenizer->special = calloc(bpe->n_ids + 1, 1);
    if (!tokenizer->special) {
        return QTF_NO_MEMORY;
    }
    for (size_t i = 0; i < tokenizer->added.n_tokens; i++) {
        tokenizer->special[tokenizer->added.tokens[i].id] = tokenizer->added.tokens[i].special;
    }
    return QTF_OK;
}

void qtf_tokenizer_free(qtf_tokenizer *tokenizer) {
    if (!tokenizer) {
        return;
    }
    qtf_encoders_free(tokenizer->idle);
    qtf_bpe_free(&tokenizer->bpe);
    qtf_added_free(&tokenizer->added);
    free(tokenizer->special);
    free(tokenizer);
}

const uint8_t *qtf_token_bytes(const qtf_tokenizer *tokenizer, int64_t id, size_t *n) {
    const qtf_bpe *bpe = &tokenizer->bpe;
    if (id < 0 || id > UINT32_MAX || !qtf_bpe_has(bpe, (uint32_t)id)) {
        return NULL;
    }
    *n = bpe->tokens[id].length;
    return bpe->bytes + bpe->tokens[id].start;
}

qtf_status qtf_token_find(const qtf_tokenizer *tokenizer, const uint8_t *spelling, size_t n,
                          uint32_t *id) {
    uint8_t *bytes = malloc(n + 1);
    if (!bytes) {
        return QTF_NO_MEMORY;
    }
    size_t length = qtf_bytelevel_decode(spelling, n, bytes);
    bool literal = length == SIZE_MAX;
    *id = qtf_bpe_find(&tokenizer->bpe, literal ? spelling : bytes, literal ? n : length, literal);
    free(bytes);
    return QTF_OK;
}
