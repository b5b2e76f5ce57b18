#include "core/bpe_tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* Make room for the ids and mark the special ones among the added tokens from `first` on. */
static qtf_status mark_special(qtf_tokenizer *tokenizer, size_t n_before, size_t first) {
    uint8_t *special = realloc(tokenizer->special, tokenizer->bpe.n_ids + 1);
    if (!special) {
        return QTF_NO_MEMORY;
    }
    memset(special + n_before, 0, tokenizer->bpe.n_ids + 1 - n_before);
    tokenizer->special = special;
    for (size_t i = first; i < tokenizer->added.n_tokens; i++) {
        special[tokenizer->added.tokens[i].id] = tokenizer->added.tokens[i].special;
    }
    return QTF_OK;
}

qtf_status qtf_tokenizer_finish(qtf_tokenizer *tokenizer) {
    tokenizer->all_bytes = true;
    for (int byte = 0; byte < 256; byte++) {
        tokenizer->all_bytes &= tokenizer->bpe.byte_id[byte] != QTF_BPE_NONE;
    }
    return mark_special(tokenizer, 0, 0);
}

qtf_status qtf_tokenizer_add_special(qtf_tokenizer *tokenizer, const uint8_t *content, size_t n,
                                     uint32_t id, qtf_error *error) {
    qtf_added_token token = {.id = id, .special = true};
    size_t n_ids = tokenizer->bpe.n_ids;
    if (n == 0) {
        return qtf_fail(error, QTF_BAD_DATA, "a special token is empty, expected some text");
    }
    bool literal = false; /* so that the content is also its spelling */
    for (size_t i = 0; i < n; i++) {
        literal |= content[i] < 0x21 || content[i] > 0x7E;
    }
    qtf_status status = qtf_bpe_add_token(&tokenizer->bpe, id, content, n, literal, error);
    if (status == QTF_OK) {
        status = qtf_added_add(&tokenizer->added, &token, content, n);
    }
    return status == QTF_OK ? mark_special(tokenizer, n_ids, tokenizer->added.n_tokens - 1)
                            : status;
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
