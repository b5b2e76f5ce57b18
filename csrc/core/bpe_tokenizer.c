#include "core/bpe_tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "core/bpe_metaspace.h"
#include "core/bpe_spelling.h"
#include "core/unicode.h"

/* Make room for the ids and mark the added tokens from `first` on. */
static qtf_status mark_added(qtf_tokenizer *tokenizer, size_t n_before, size_t first) {
    uint8_t *marks = realloc(tokenizer->marks, tokenizer->bpe.n_ids + 1);
    if (!marks) {
        return QTF_NO_MEMORY;
    }
    memset(marks + n_before, 0, tokenizer->bpe.n_ids + 1 - n_before);
    tokenizer->marks = marks;
    for (size_t i = first; i < tokenizer->added.n_tokens; i++) {
        const qtf_added_token *token = &tokenizer->added.tokens[i];
        bool marked = token->normalized && tokenizer->bpe.characters;
        marks[token->id] = (token->special ? QTF_MARK_SPECIAL : 0) |
                           (marked ? QTF_MARK_NORMALISED : 0) |
                           (marked && tokenizer->prepend ? QTF_MARK_SPACED : 0);
    }
    return QTF_OK;
}

static qtf_status finish_characters(qtf_tokenizer *tokenizer, qtf_error *error) {
    for (int byte = 0; byte < 256; byte++) {
        if (tokenizer->bpe.fallback_id[byte] == QTF_BPE_NONE) {
            return qtf_fail(error, QTF_UNSUPPORTED,
                            "model.byte_fallback is true, but the vocabulary lacks <0x%02X>; "
                            "expected a token for every byte",
                            (unsigned)byte);
        }
    }
    tokenizer->meets = malloc(256 * 256);
    if (!tokenizer->meets) {
        return QTF_NO_MEMORY;
    }
    qtf_metaspace_meets(&tokenizer->bpe, tokenizer->split_spaces, tokenizer->meets);
    return QTF_OK;
}

qtf_status qtf_tokenizer_finish(qtf_tokenizer *tokenizer, qtf_error *error) {
    qtf_status status = QTF_OK;
    tokenizer->all_bytes = true;
    if (tokenizer->bpe.characters) {
        status = finish_characters(tokenizer, error);
    } else {
        for (int byte = 0; byte < 256; byte++) {
            tokenizer->all_bytes &= tokenizer->bpe.byte_id[byte] != QTF_BPE_NONE;
        }
    }
    return status == QTF_OK ? mark_added(tokenizer, 0, 0) : status;
}

qtf_status qtf_tokenizer_add_special(qtf_tokenizer *tokenizer, const uint8_t *content, size_t n,
                                     uint32_t id, qtf_error *error) {
    qtf_added_token token = {.id = id, .special = true};
    size_t n_ids = tokenizer->bpe.n_ids;
    if (n == 0) {
        return qtf_fail(error, QTF_BAD_DATA, "a special token is empty, expected some text");
    }
    qtf_token_kind kind = QTF_TOKEN_TEXT;
    for (size_t i = 0; i < n; i++) {
        if (content[i] < 0x21 || content[i] > 0x7E) {
            kind = QTF_TOKEN_LITERAL; /* so that the content is also its spelling */
        }
    }
    qtf_status status = qtf_bpe_add_token(&tokenizer->bpe, id, content, n, kind, error);
    if (status == QTF_OK) {
        status = qtf_added_add(&tokenizer->added, &token, content, n);
    }
    return status == QTF_OK ? mark_added(tokenizer, n_ids, tokenizer->added.n_tokens - 1) : status;
}

void qtf_tokenizer_free(qtf_tokenizer *tokenizer) {
    if (!tokenizer) {
        return;
    }
    qtf_encoders_free(tokenizer->idle);
    qtf_bpe_free(&tokenizer->bpe);
    qtf_added_free(&tokenizer->added);
    free(tokenizer->marks);
    free(tokenizer->meets);
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

size_t qtf_token_spelling(const qtf_tokenizer *tokenizer, uint32_t id, bool normalised,
                          uint8_t *text) {
    const qtf_bpe_token *token = &tokenizer->bpe.tokens[id];
    unsigned marks = normalised ? tokenizer->marks[id] : 0;
    bool marked = token->kind == QTF_TOKEN_LITERAL && marks & QTF_MARK_NORMALISED;
    qtf_token_kind kind = marked ? QTF_TOKEN_TEXT : (qtf_token_kind)token->kind;
    size_t n = marks & QTF_MARK_SPACED ? (size_t)qtf_utf8_write(QTF_SPACE_MARK, text) : 0;
    return n + qtf_spelling_write(tokenizer->bpe.characters, kind,
                                  tokenizer->bpe.bytes + token->start, token->length, text + n);
}

qtf_status qtf_token_find(const qtf_tokenizer *tokenizer, const uint8_t *spelling, size_t n,
                          uint32_t *id) {
    uint8_t *bytes = malloc(n + 1);
    if (!bytes) {
        return QTF_NO_MEMORY;
    }
    size_t length;
    qtf_token_kind kind = qtf_spelling_read(tokenizer->bpe.characters, spelling, n, bytes, &length);
    *id = qtf_bpe_find(&tokenizer->bpe, bytes, length, kind);
    free(bytes);
    return QTF_OK;
}
