#include "core/bpe_encoder.h"

#include <stdlib.h>
#include <string.h>

#include "core/bpe_spelling.h"
#include "core/grow.h"
#include "core/memory.h"
#include "core/pool.h"

/* False when it stays taken, as it can for ever in a forked child: go on without the list then. */
static bool lock(qtf_tokenizer *tokenizer) {
    for (int tries = 0; tries < 1 << 16; tries++) {
        if (!atomic_flag_test_and_set_explicit(&tokenizer->lock, memory_order_acquire)) {
            return true;
        }
    }
    return false;
}

static void unlock(qtf_tokenizer *tokenizer) {
    atomic_flag_clear_explicit(&tokenizer->lock, memory_order_release);
}

qtf_encoder *qtf_encoder_take(qtf_tokenizer *tokenizer) {
    qtf_encoder *encoder = NULL;
    if (lock(tokenizer)) {
        encoder = tokenizer->idle;
        tokenizer->idle = encoder ? encoder->next : NULL;
        unlock(tokenizer);
    }
    if (encoder) {
        encoder->next = NULL;
        return encoder;
    }
    encoder = calloc(1, sizeof *encoder);
    size_t n = 2 * (size_t)QTF_CACHE_SETS;
    if (!encoder || !(encoder->cache = qtf_alloc(n, sizeof *encoder->cache))) {
        free(encoder);
        return NULL;
    }
    memset(encoder->cache, 0, n * sizeof *encoder->cache);
    encoder->tokenizer = tokenizer;
    return encoder;
}

void qtf_encoder_give(qtf_tokenizer *tokenizer, qtf_encoder *encoder) {
    if (!lock(tokenizer)) {
        qtf_encoders_free(encoder);
        return;
    }
    encoder->next = tokenizer->idle;
    tokenizer->idle = encoder;
    unlock(tokenizer);
}

void qtf_encoders_free(qtf_encoder *encoder) {
    while (encoder) {
        qtf_encoder *next = encoder->next;
        qtf_free(encoder->cache);
        qtf_bpe_scratch_free(&encoder->scratch);
        qtf_nfc_free(&encoder->nfc);
        free(encoder->prefixed);
        free(encoder);
        encoder = next;
    }
}

void qtf_encoding_free(qtf_encoding *encoding) {
    free(encoding->ids);
    free(encoding->starts);
    free(encoding->ends);
    *encoding = (qtf_encoding){0};
}

static bool reserve(qtf_encoder *e, size_t n) {
    qtf_encoding *out = e->out;
    return QTF_GROW(out->ids, out->ids_capacity, out->n + n) &&
           (!e->offsets || (QTF_GROW(out->starts, out->starts_capacity, out->n + n) &&
                            QTF_GROW(out->ends, out->ends_capacity, out->n + n)));
}

/* Write the offsets of the n >= 1 tokens of a word, which their lengths give: but for a word like
 * <0x0A> that is taken for a byte. */
static void add_offsets(qtf_encoder *e, const uint32_t *ids, size_t n, const uint8_t *word,
                        size_t length) {
    qtf_encoding *out = e->out;
    size_t position = e->origin + (size_t)(word - e->text);
    for (size_t i = 0; i < n; i++) {
        out->starts[out->n + i] = position;
        position += e->tokenizer->bpe.tokens[ids[i]].length;
        out->ends[out->n + i] = position;
    }
    out->ends[out->n + n - 1] = e->origin + (size_t)(word - e->text) + length;
}

static qtf_status append(qtf_encoder *e, const uint32_t *ids, size_t n, const uint8_t *word,
                         size_t length) {
    if (!reserve(e, n)) {
        return QTF_NO_MEMORY;
    }
    qtf_encoding *out = e->out;
    for (size_t i = 0; i < n; i++) {
        out->ids[out->n + i] = (int32_t)ids[i];
    }
    if (e->offsets) {
        add_offsets(e, ids, n, word, length);
    }
    out->n += n;
    return QTF_OK;
}

qtf_status qtf_append_token(qtf_encoder *e, uint32_t id, size_t start, size_t end) {
    if (!reserve(e, 1)) {
        return QTF_NO_MEMORY;
    }
    if (e->offsets) {
        e->out->starts[e->out->n] = start;
        e->out->ends[e->out->n] = end;
    }
    e->out->ids[e->out->n++] = (int32_t)id;
    return QTF_OK;
}

/* The token that a word is; a text like <0x0A> is the token of a byte if all of the word. */
static uint32_t whole_word(const qtf_bpe *bpe, const uint8_t *word, size_t n) {
    uint8_t byte[QTF_BYTE_SPELLING];
    size_t length;
    if (bpe->characters && n == QTF_BYTE_SPELLING &&
        qtf_spelling_read(true, word, n, byte, &length) == QTF_TOKEN_BYTE) {
        return bpe->fallback_id[byte[0]];
    }
    return qtf_bpe_find(bpe, word, n, QTF_TOKEN_TEXT);
}

/* Tokenise a word into the scratch's ids. */
static qtf_status merge_word(qtf_encoder *e, const uint8_t *word, size_t n, size_t *count) {
    const qtf_bpe *bpe = &e->tokenizer->bpe;
    if (n >= UINT32_MAX) {
        return qtf_fail(e->error, QTF_UNSUPPORTED,
                        "the text has a word of %zu bytes, expected fewer than %u", n, UINT32_MAX);
    }
    if (bpe->ignore_merges) {
        uint32_t id = whole_word(bpe, word, n);
        if (id != QTF_BPE_NONE) {
            if (!qtf_bpe_scratch_reserve(&e->scratch, 1)) {
                return QTF_NO_MEMORY;
            }
            e->scratch.ids[0] = id;
            *count = 1;
            return QTF_OK;
        }
    }
    for (size_t i = 0; !e->tokenizer->all_bytes && i < n; i++) {
        if (bpe->byte_id[word[i]] == QTF_BPE_NONE) {
            return qtf_fail(e->error, QTF_BAD_DATA,
                            "the text has byte 0x%02x, for which the vocabulary has no token",
                            word[i]);
        }
    }
    return qtf_bpe_merge(bpe, word, n, &e->scratch, count);
}

static QTF_NOINLINE qtf_status encode_new(qtf_encoder *e, const uint8_t *word, size_t n,
                                          qtf_cache_entry *set, qtf_cache_entry *key) {
    size_t count;
    qtf_status status = merge_word(e, word, n, &count);
    if (status != QTF_OK) {
        return status;
    }
    if (key && count <= QTF_CACHE_IDS) {
        key->count = (uint16_t)count;
        memcpy(key->ids, e->scratch.ids, count * sizeof *key->ids);
        qtf_cache_put(set, key);
    }
    return append(e, e->scratch.ids, count, word, n);
}

/* Append a cached word's tokens where there is room for QTF_CACHE_IDS. */
QTF_INLINE void append_cached(qtf_encoder *e, const qtf_cache_entry *found, const uint8_t *word) {
    qtf_encoding *out = e->out;
    memcpy(out->ids + out->n, found->ids, sizeof found->ids);
    if (e->offsets) {
        add_offsets(e, found->ids, found->count, word, found->length);
    }
    out->n += found->count;
}

qtf_status qtf_flush_words(qtf_encoder *e) {
    int n = e->n_waiting;
    e->n_waiting = 0;
    if (!reserve(e, (size_t)n * QTF_CACHE_IDS)) {
        return QTF_NO_MEMORY;
    }
    for (int i = 0; i < n; i++) {
        qtf_waiting *w = &e->waiting[i];
        const qtf_cache_entry *found = qtf_cache_find(w->set, &w->key);
        if (QTF_LIKELY(found != NULL)) {
            append_cached(e, found, w->word);
            continue;
        }
        qtf_status status = encode_new(e, w->word, w->key.length, w->set, &w->key);
        if (status != QTF_OK) {
            return status;
        }
        if (!reserve(e, (size_t)(n - i) * QTF_CACHE_IDS)) {
            return QTF_NO_MEMORY;
        }
    }
    return QTF_OK;
}

qtf_status qtf_encode_word(qtf_encoder *e, const uint8_t *word, size_t n) {
    e->unpolled += n;
    if (QTF_UNLIKELY(e->unpolled >= QTF_POLL_BYTES)) {
        e->unpolled = 0;
        if (qtf_pool_stopping()) {
            return QTF_ABORTED;
        }
    }
    if (QTF_UNLIKELY(e->visit != NULL)) {
        return e->visit(e->context, word, n);
    }
    if (QTF_UNLIKELY(n > QTF_CACHE_WORD)) {
        qtf_status status = qtf_flush_words(e);
        return status == QTF_OK ? encode_new(e, word, n, NULL, NULL) : status;
    }
    qtf_waiting *w = &e->waiting[e->n_waiting];
    qtf_cache_key(&w->key, word, n, e->limit);
    w->word = word;
    w->set = qtf_cache_set(e->cache, &w->key);
    __builtin_prefetch(w->set);
    __builtin_prefetch(w->set + 1);
    return ++e->n_waiting == QTF_AHEAD ? qtf_flush_words(e) : QTF_OK;
}
