#include <stdlib.h>
#include <string.h>

#include "core/bpe_cache.h"
#include "core/bpe_merge.h"
#include "core/bpe_tokenizer.h"
#include "core/grow.h"
#include "core/memory.h"
#include "core/unicode.h"

struct qtf_encoder {
    qtf_encoder *next; /* in the tokenizer's idle list */
    qtf_cache cache;
    qtf_bpe_scratch scratch;
    qtf_nfc nfc;
    uint8_t *prefixed; /* a piece with the space put before it */
    size_t prefixed_capacity;

    /* Of the call under way. */
    const qtf_tokenizer *tokenizer;
    qtf_encoding *out;
    qtf_error *error;
    bool offsets;
    qtf_word_fn visit; /* words go there instead, unless NULL */
    void *context;
    const uint8_t *text, *limit; /* what pieces point into, and where it may be read up to */
    size_t origin;               /* position of text[0] in the normalised string */
};

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

static qtf_encoder *encoder_take(qtf_tokenizer *tokenizer) {
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

static void encoder_give(qtf_tokenizer *tokenizer, qtf_encoder *encoder) {
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

/* Append a word's tokens; their lengths give the offsets. */
static qtf_status append(qtf_encoder *e, const uint32_t *ids, size_t n, const uint8_t *word) {
    if (!reserve(e, n)) {
        return QTF_NO_MEMORY;
    }
    qtf_encoding *out = e->out;
    for (size_t i = 0; i < n; i++) {
        out->ids[out->n + i] = (int32_t)ids[i];
    }
    if (e->offsets) {
        size_t position = e->origin + (size_t)(word - e->text);
        for (size_t i = 0; i < n; i++) {
            out->starts[out->n + i] = position;
            position += e->tokenizer->bpe.tokens[ids[i]].length;
            out->ends[out->n + i] = position;
        }
    }
    out->n += n;
    return QTF_OK;
}

static qtf_status append_token(qtf_encoder *e, uint32_t id, size_t start, size_t end) {
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

/* Tokenise a word into the scratch's ids. */
static qtf_status merge_word(qtf_encoder *e, const uint8_t *word, size_t n, size_t *count) {
    const qtf_bpe *bpe = &e->tokenizer->bpe;
    if (bpe->ignore_merges) {
        uint32_t id = qtf_bpe_find(bpe, word, n, false);
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
    return append(e, e->scratch.ids, count, word);
}

QTF_INLINE qtf_status encode_word(qtf_encoder *e, const uint8_t *word, size_t n) {
    if (QTF_UNLIKELY(e->visit != NULL)) {
        return e->visit(e->context, word, n);
    }
    if (n > QTF_CACHE_WORD) {
        return encode_new(e, word, n, NULL, NULL);
    }
    qtf_cache_entry key;
    qtf_cache_key(&key, word, n, e->limit);
    qtf_cache_entry *set = qtf_cache_set(e->cache, &key);
    const qtf_cache_entry *found = qtf_cache_find(set, &key);
    if (QTF_UNLIKELY(!found)) {
        return encode_new(e, word, n, set, &key);
    }
    return append(e, found->ids, found->count, word);
}

static qtf_status encode_piece(qtf_encoder *e, int level, const uint8_t *text, const uint8_t *end);

/* Encode a piece of e->text with a space put before it. */
static qtf_status encode_prefixed(qtf_encoder *e, int level, const uint8_t *text,
                                  const uint8_t *end) {
    size_t n = (size_t)(end - text);
    if (!QTF_GROW(e->prefixed, e->prefixed_capacity, n + 1)) {
        return QTF_NO_MEMORY;
    }
    e->prefixed[0] = ' ';
    memcpy(e->prefixed + 1, text, n);
    const uint8_t *outer = e->text, *outer_limit = e->limit;
    size_t outer_origin = e->origin, first = e->out->n;
    size_t start = e->origin + (size_t)(text - e->text);
    /* One less, so that what follows the space keeps its positions. */
    e->origin = start - 1;
    e->text = e->prefixed;
    e->limit = e->prefixed + n + 1;
    qtf_status status = encode_piece(e, level, e->text, e->limit);
    if (e->offsets && e->out->n > first) {
        e->out->starts[first] = start;
        if (e->out->ends[first] == start) {
            int length; /* a token of just the space gets the first character's place */
            qtf_utf8_read(text, &length);
            e->out->ends[first] = start + (size_t)length;
        }
    }
    e->text = outer;
    e->limit = outer_limit;
    e->origin = outer_origin;
    return status;
}

/* Cut text by the splits from `level` on and encode the words. The depth is at most n_splits. */
static qtf_status encode_piece(qtf_encoder *e, int level, const uint8_t *text, const uint8_t *end) {
    const qtf_tokenizer *tokenizer = e->tokenizer;
    if (tokenizer->prefix_space && level == tokenizer->prefix_level && *text != ' ') {
        return encode_prefixed(e, level, text, end);
    }
    if (level == tokenizer->n_splits) {
        return encode_word(e, text, (size_t)(end - text));
    }
    qtf_split split = tokenizer->splits[level];
    bool last = level + 1 == tokenizer->n_splits &&
                (!tokenizer->prefix_space || tokenizer->prefix_level != level + 1);
    while (text < end) {
        const uint8_t *stop = qtf_split_next(split, text, end);
        qtf_status status = last ? encode_word(e, text, (size_t)(stop - text))
                                 : encode_piece(e, level + 1, text, stop);
        if (QTF_UNLIKELY(status != QTF_OK)) {
            return status;
        }
        text = stop;
    }
    return QTF_OK;
}

/* Encode normalised text, minding the added tokens that are searched for after normalisation. */
static qtf_status encode_normalised(qtf_encoder *e, const uint8_t *text, size_t n, bool plain) {
    qtf_cutter cutter = qtf_cutter_start(&e->tokenizer->added, true, plain, text, n);
    qtf_cut cut;
    while (qtf_cutter_next(&cutter, &cut)) {
        qtf_status status;
        if (cut.token) {
            status = append_token(e, cut.token->id, cut.start, cut.end);
        } else {
            e->text = text;
            e->limit = text + n;
            e->origin = 0;
            status = encode_piece(e, 0, text + cut.start, text + cut.end);
        }
        if (status != QTF_OK) {
            return status;
        }
    }
    return QTF_OK;
}

/* Encode text[start, end), which holds none of the added tokens searched for in raw text. */
static qtf_status encode_raw(qtf_encoder *e, const uint8_t *text, size_t start, size_t end,
                             bool plain) {
    const uint8_t *stretch = text + start;
    size_t n = end - start, first = e->out->n, cursor = 0;
    bool rewritten = e->tokenizer->nfc && qtf_nfc_stable(stretch, n) < n;
    if (rewritten && qtf_nfc_normalise(stretch, n, &e->nfc) != QTF_OK) {
        return QTF_NO_MEMORY;
    }
    qtf_status status = rewritten ? encode_normalised(e, e->nfc.text, e->nfc.n, plain)
                                  : encode_normalised(e, stretch, n, plain);
    if (status != QTF_OK || !e->offsets) {
        return status;
    }
    size_t *starts = e->out->starts, *ends = e->out->ends;
    for (size_t i = first; i < e->out->n; i++) {
        starts[i] =
            start + (rewritten ? qtf_nfc_origin(&e->nfc, starts[i], false, &cursor) : starts[i]);
        ends[i] = start + (rewritten ? qtf_nfc_origin(&e->nfc, ends[i], true, &cursor) : ends[i]);
    }
    return QTF_OK;
}

static qtf_status encode_text(qtf_encoder *e, const uint8_t *text, size_t n, bool plain) {
    qtf_cutter cutter = qtf_cutter_start(&e->tokenizer->added, false, plain, text, n);
    qtf_cut cut;
    while (qtf_cutter_next(&cutter, &cut)) {
        qtf_status status = cut.token ? append_token(e, cut.token->id, cut.start, cut.end)
                                      : encode_raw(e, text, cut.start, cut.end, plain);
        if (status != QTF_OK) {
            return status;
        }
    }
    return QTF_OK;
}

/* Tokens that stand for nothing in the text: their offsets are 0. */
static qtf_status append_template(qtf_encoder *e, const uint32_t *ids, int n) {
    qtf_status status = QTF_OK;
    for (int i = 0; i < n && status == QTF_OK; i++) {
        status = append_token(e, ids[i], 0, 0);
    }
    return status;
}

static qtf_status encode_with(qtf_encoder *e, const uint8_t *text, size_t n, unsigned flags,
                              qtf_encoding *out, qtf_error *error) {
    size_t valid = qtf_utf8_valid(text, n);
    if (valid < n) {
        return qtf_fail(error, QTF_BAD_DATA, "the text is not UTF-8: byte 0x%02x at byte %zu",
                        text[valid], valid);
    }
    e->out = out;
    e->error = error;
    e->offsets = flags & QTF_ENCODE_OFFSETS;
    const qtf_tokenizer *t = e->tokenizer;
    bool template = flags & QTF_ENCODE_TEMPLATE;
    qtf_status status = append_template(e, t->before, template ? t->n_before : 0);
    size_t first = out->n;
    if (status == QTF_OK) {
        status = encode_text(e, text, n, flags & QTF_ENCODE_PLAIN);
    }
    if (e->offsets && status == QTF_OK) {
        if (flags & QTF_ENCODE_CHARS) {
            qtf_char_offsets(text, out, first);
        }
        qtf_trim_offsets(t, out, first);
    }
    return status == QTF_OK ? append_template(e, t->behind, template ? t->n_behind : 0) : status;
}

qtf_status qtf_encode(qtf_tokenizer *tokenizer, const uint8_t *text, size_t n, unsigned flags,
                      qtf_encoding *out, qtf_error *error) {
    qtf_encoder *e = encoder_take(tokenizer);
    if (!e) {
        return QTF_NO_MEMORY;
    }
    qtf_status status = encode_with(e, text, n, flags, out, error);
    encoder_give(tokenizer, e);
    return status;
}

qtf_status qtf_visit_words(qtf_tokenizer *tokenizer, const uint8_t *text, size_t n,
                           qtf_word_fn visit, void *context, qtf_error *error) {
    qtf_encoder *e = encoder_take(tokenizer);
    if (!e) {
        return QTF_NO_MEMORY;
    }
    qtf_encoding tokens = {0}; /* the added tokens */
    e->visit = visit;
    e->context = context;
    qtf_status status = encode_with(e, text, n, 0, &tokens, error);
    e->visit = NULL;
    encoder_give(tokenizer, e);
    qtf_encoding_free(&tokens);
    return status;
}
