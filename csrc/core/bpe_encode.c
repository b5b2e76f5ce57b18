/* From a text to words: added tokens, normalisation, splits. */
#include <string.h>

#include "core/bpe_encoder.h"
#include "core/bpe_metaspace.h"
#include "core/grow.h"

static qtf_status encode_piece(qtf_encoder *e, int level, const uint8_t *text, const uint8_t *end);

/* A token of just the space that was put before text gets the first character's place. */
static void place_prefix(qtf_encoder *e, size_t first, const uint8_t *text) {
    if (e->offsets && e->out->n > first && e->out->ends[first] == e->out->starts[first]) {
        int length;
        qtf_utf8_read(text, &length);
        e->out->ends[first] += (size_t)length;
    }
}

/* Encode a piece of e->text with a space put before it. */
static qtf_status encode_prefixed(qtf_encoder *e, int level, const uint8_t *text,
                                  const uint8_t *end) {
    size_t n = (size_t)(end - text);
    qtf_status status = qtf_flush_words(e);
    if (status != QTF_OK || !QTF_GROW(e->prefixed, e->prefixed_capacity, n + 1)) {
        return status == QTF_OK ? QTF_NO_MEMORY : status;
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
    status = encode_piece(e, level, e->text, e->limit);
    status = status == QTF_OK ? qtf_flush_words(e) : status;
    if (e->offsets && e->out->n > first) {
        e->out->starts[first] = start;
    }
    place_prefix(e, first, text);
    e->text = outer;
    e->limit = outer_limit;
    e->origin = outer_origin;
    return status;
}

/* Whether a space is put before a piece of e->text. */
static bool is_prefixed(const qtf_encoder *e, int level, const uint8_t *text) {
    const qtf_tokenizer *t = e->tokenizer;
    return t->prefix_space && level == t->prefix_level && *text != ' ' &&
           (!t->prefix_first || (e->stretch == 0 && text == e->text));
}

/* Encode text whose symbols are characters, a word after the other that no merge reaches out of. */
static qtf_status encode_characters(qtf_encoder *e, const uint8_t *text, const uint8_t *end) {
    const uint8_t *meets = e->tokenizer->meets;
    while (text < end) {
        const uint8_t *stop = text + 1;
        while (stop < end && meets[stop[-1] << 8 | stop[0]]) {
            stop++;
        }
        qtf_status status = qtf_encode_word(e, text, (size_t)(stop - text));
        if (status != QTF_OK) {
            return status;
        }
        text = stop;
    }
    return QTF_OK;
}

/* Cut text by the splits from `level` on and encode the words. The depth is at most n_splits. */
static qtf_status encode_piece(qtf_encoder *e, int level, const uint8_t *text, const uint8_t *end) {
    const qtf_tokenizer *tokenizer = e->tokenizer;
    if (is_prefixed(e, level, text)) {
        return encode_prefixed(e, level, text, end);
    }
    if (tokenizer->meets) {
        return encode_characters(e, text, end);
    }
    if (level == tokenizer->n_splits) {
        return qtf_encode_word(e, text, (size_t)(end - text));
    }
    qtf_split split = tokenizer->splits[level];
    bool last = level + 1 == tokenizer->n_splits &&
                (!tokenizer->prefix_space || tokenizer->prefix_level != level + 1);
    while (text < end) {
        const uint8_t *stop = qtf_split_next(split, text, end);
        qtf_status status = last ? qtf_encode_word(e, text, (size_t)(stop - text))
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
            status = qtf_append_token(e, cut.token->id, cut.start, cut.end);
        } else {
            e->text = text;
            e->limit = text + n;
            e->origin = 0;
            status = encode_piece(e, 0, text + cut.start, text + cut.end);
            status = status == QTF_OK ? qtf_flush_words(e) : status;
        }
        if (status != QTF_OK) {
            return status;
        }
    }
    return QTF_OK;
}

/* Normalise a stretch of text into e->nfc; *rewritten is false when it stays as it is. */
static qtf_status normalise(qtf_encoder *e, const uint8_t *text, size_t n, bool *rewritten) {
    const qtf_tokenizer *t = e->tokenizer;
    *rewritten = t->bpe.characters ? t->prepend || qtf_metaspace_has_mark(text, n)
                                   : t->nfc && qtf_nfc_stable(text, n) < n;
    if (!*rewritten) {
        return QTF_OK;
    }
    return t->bpe.characters ? qtf_metaspace_normalise(text, n, t->prepend, &e->nfc)
                             : qtf_nfc_normalise(text, n, &e->nfc);
}

/* Encode text[start, end), which holds none of the added tokens searched for in raw text. */
static qtf_status encode_raw(qtf_encoder *e, const uint8_t *text, size_t start, size_t end,
                             bool plain) {
    const uint8_t *stretch = text + start;
    size_t n = end - start, first = e->out->n, cursor = 0;
    bool rewritten;
    qtf_status status = normalise(e, stretch, n, &rewritten);
    e->stretch = start;
    if (status == QTF_OK) {
        status = rewritten ? encode_normalised(e, e->nfc.text, e->nfc.n, plain)
                           : encode_normalised(e, stretch, n, plain);
    }
    if (status != QTF_OK || !e->offsets) {
        return status;
    }
    size_t *starts = e->out->starts, *ends = e->out->ends;
    for (size_t i = first; i < e->out->n; i++) {
        starts[i] =
            start + (rewritten ? qtf_nfc_origin(&e->nfc, starts[i], false, &cursor) : starts[i]);
        ends[i] = start + (rewritten ? qtf_nfc_origin(&e->nfc, ends[i], true, &cursor) : ends[i]);
    }
    if (e->tokenizer->prepend) {
        place_prefix(e, first, stretch);
    }
    return QTF_OK;
}

static qtf_status encode_text(qtf_encoder *e, const uint8_t *text, size_t n, bool plain) {
    qtf_cutter cutter = qtf_cutter_start(&e->tokenizer->added, false, plain, text, n);
    qtf_cut cut;
    while (qtf_cutter_next(&cutter, &cut)) {
        qtf_status status = cut.token ? qtf_append_token(e, cut.token->id, cut.start, cut.end)
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
        status = qtf_append_token(e, ids[i], 0, 0);
    }
    return status;
}

qtf_status qtf_encode_with(qtf_encoder *e, const uint8_t *text, size_t n, unsigned flags,
                           qtf_encoding *out, qtf_error *error) {
    size_t valid = qtf_utf8_valid(text, n);
    if (valid < n) {
        return qtf_fail(error, QTF_BAD_DATA, "the text is not UTF-8: byte 0x%02x at byte %zu",
                        text[valid], valid);
    }
    e->out = out;
    e->error = error;
    e->offsets = flags & QTF_ENCODE_OFFSETS;
    e->n_waiting = 0;
    const qtf_tokenizer *t = e->tokenizer;
    bool template = flags & QTF_ENCODE_TEMPLATE;
    qtf_status status = append_template(e, t->before, template ? t->n_before : 0);
    size_t first = out->n;
    if (status == QTF_OK) {
        status = encode_text(e, text, n, flags & QTF_ENCODE_PLAIN);
    }
    if (e->offsets && status == QTF_OK) {
        if (flags & QTF_ENCODE_CHARS) {
            status = qtf_char_offsets(text, out, first);
        }
        qtf_trim_offsets(t, out, first);
    }
    return status == QTF_OK ? append_template(e, t->behind, template ? t->n_behind : 0) : status;
}

qtf_status qtf_encode(qtf_tokenizer *tokenizer, const uint8_t *text, size_t n, unsigned flags,
                      qtf_encoding *out, qtf_error *error) {
    qtf_encoder *e = qtf_encoder_take(tokenizer);
    if (!e) {
        return QTF_NO_MEMORY;
    }
    qtf_status status = qtf_encode_with(e, text, n, flags, out, error);
    qtf_encoder_give(tokenizer, e);
    return status;
}

qtf_status qtf_visit_words(qtf_tokenizer *tokenizer, const uint8_t *text, size_t n,
                           qtf_word_fn visit, void *context, qtf_error *error) {
    qtf_encoder *e = qtf_encoder_take(tokenizer);
    if (!e) {
        return QTF_NO_MEMORY;
    }
    qtf_encoding tokens = {0}; /* the added tokens */
    e->visit = visit;
    e->context = context;
    qtf_status status = qtf_encode_with(e, text, n, 0, &tokens, error);
    e->visit = NULL;
    qtf_encoder_give(tokenizer, e);
    qtf_encoding_free(&tokens);
    return status;
}
