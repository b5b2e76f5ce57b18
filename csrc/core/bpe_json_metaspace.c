/*
 * The pipeline round a BPE of characters with byte fallback, as Llama 2, Mistral and Gemma have it:
 * spaces become marks (▁) in a normalizer or a pre_tokenizer, and text again in the decoder.
 */
#include <string.h>

#include "core/bpe_json.h"

#define MARK "\xE2\x96\x81"

static bool is_text(const qtf_builder *b, uint32_t node, const char *name, const char *text) {
    uint32_t found = qtf_json_get(b->doc, node, name);
    return found && qtf_json_is(b->doc, found, text);
}

/* Whether a step replaces one string by another. */
static bool is_replace(const qtf_builder *b, uint32_t node, const char *from, const char *to) {
    uint32_t pattern = qtf_json_get(b->doc, node, "pattern");
    return qtf_has_type(b, node, "Replace") && pattern && is_text(b, pattern, "String", from) &&
           is_text(b, node, "content", to);
}

qtf_status qtf_read_space_normalizer(qtf_builder *b, uint32_t node) {
    if (is_replace(b, node, " ", MARK)) {
        b->replaced = true;
        return QTF_OK;
    }
    if (qtf_has_type(b, node, "Prepend") && is_text(b, node, "prepend", MARK) &&
        !b->tokenizer->prepend) {
        b->tokenizer->prepend = true;
        return QTF_OK;
    }
    return qtf_unsupported(b, "normalizer", node,
                           "one Prepend of " MARK " and Replace of a space by it are, with "
                           "model.byte_fallback");
}

static qtf_status read_metaspace(qtf_builder *b, uint32_t node) {
    qtf_tokenizer *t = b->tokenizer;
    uint32_t scheme = qtf_json_get(b->doc, node, "prepend_scheme");
    bool never = scheme && qtf_json_is(b->doc, scheme, "never"), prefixed;
    t->prefix_first = scheme && qtf_json_is(b->doc, scheme, "first");
    t->prefix_space = !never;
    if (!is_text(b, node, "replacement", MARK) ||
        (scheme && !never && !t->prefix_first && !qtf_json_is(b->doc, scheme, "always"))) {
        return qtf_fail(b->error, QTF_UNSUPPORTED,
                        "Metaspace has another \"replacement\" than " MARK
                        " or a \"prepend_scheme\" that is not always, first or never");
    }
    b->metaspace = true;
    qtf_status status = qtf_read_bool(b, node, "add_prefix_space", t->prefix_space, &prefixed);
    if (status == QTF_OK && t->prefix_space && !prefixed) {
        return qtf_fail(b->error, QTF_UNSUPPORTED,
                        "Metaspace has \"add_prefix_space\" false, expected \"prepend_scheme\" "
                        "\"never\" with it");
    }
    return status == QTF_OK ? qtf_read_bool(b, node, "split", true, &t->split_spaces) : status;
}

qtf_status qtf_read_space_pre_tokenizer(qtf_builder *b, uint32_t node) {
    if (qtf_has_type(b, node, "Metaspace") && !b->metaspace && !b->tokenizer->prepend) {
        return read_metaspace(b, node);
    }
    uint32_t pattern = qtf_json_get(b->doc, node, "pattern");
    uint32_t invert = qtf_json_get(b->doc, node, "invert");
    /* Once the normalizer has replaced the spaces there are none to split at. */
    if (qtf_has_type(b, node, "Split") && b->replaced && pattern &&
        is_text(b, pattern, "String", " ") &&
        (qtf_is_null(b, invert) || b->doc->nodes[invert].type == QTF_JSON_FALSE)) {
        return QTF_OK;
    }
    return qtf_unsupported(b, "pre_tokenizer", node,
                           "one Metaspace, without Prepend, and Split at a space after Replace "
                           "are, with model.byte_fallback");
}

qtf_status qtf_read_space_decoder(qtf_builder *b, uint32_t node) {
    uint32_t start = qtf_json_get(b->doc, node, "start");
    uint32_t stop = qtf_json_get(b->doc, node, "stop");
    uint32_t n_start, n_stop;
    bool known = false;
    switch (b->n_decoders++) {
    case 0:
        known = is_replace(b, node, MARK, " ");
        break;
    case 1:
        known = qtf_has_type(b, node, "ByteFallback");
        break;
    case 2:
        known = qtf_has_type(b, node, "Fuse");
        break;
    case 3:
        known = qtf_has_type(b, node, "Strip") && is_text(b, node, "content", " ") &&
                qtf_json_index(b->doc, start, 2, &n_start) &&
                qtf_json_index(b->doc, stop, 2, &n_stop) && n_start == 1 && n_stop == 0;
        b->tokenizer->strip_space = true;
        break;
    default:
        break;
    }
    return known ? QTF_OK
                 : qtf_unsupported(b, "decoder", node,
                                   "Replace of " MARK " by a space, ByteFallback, Fuse and "
                                   "perhaps Strip of one space at the start are, in this order, "
                                   "with model.byte_fallback");
}

qtf_status qtf_check_space_parts(const qtf_builder *b) {
    if (!b->replaced && !b->metaspace) {
        return qtf_fail(b->error, QTF_UNSUPPORTED,
                        "neither a Replace normalizer nor a Metaspace pre_tokenizer turns spaces "
                        "into " MARK ", expected one with model.byte_fallback");
    }
    if (b->n_decoders < 3) {
        return qtf_fail(b->error, QTF_UNSUPPORTED,
                        "decoder has %d steps, expected Replace, ByteFallback and Fuse with "
                        "model.byte_fallback",
                        b->n_decoders);
    }
    return QTF_OK;
}
