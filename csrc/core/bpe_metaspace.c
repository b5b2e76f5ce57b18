#include "core/bpe_metaspace.h"

#include <string.h>

#include "core/grow.h"

bool qtf_metaspace_has_mark(const uint8_t *text, size_t n) {
    const uint8_t *end = text + n;
    for (const uint8_t *p = text; n > 0 && (p = memchr(p, 0xE2, (size_t)(end - p))); p++) {
        if (qtf_is_space_mark(p, (size_t)(end - p))) {
            return true;
        }
    }
    return false;
}

qtf_status qtf_metaspace_normalise(const uint8_t *text, size_t n, bool prepend, qtf_nfc *out) {
    out->n = out->n_spans = 0;
    prepend = prepend && n > 0;
    if (!QTF_GROW(out->text, out->text_capacity, n + 1) ||
        !QTF_GROW(out->spans, out->spans_capacity, 1)) {
        return QTF_NO_MEMORY;
    }
    if (prepend) {
        out->text[out->n++] = ' ';
        out->spans[out->n_spans++] = (qtf_nfc_span){.to = 0, .to_end = 1, .from = 0, .from_end = 0};
    }
    for (size_t i = 0; i < n;) {
        const uint8_t *next = memchr(text + i, 0xE2, n - i);
        size_t stop = next ? (size_t)(next - text) : n;
        memcpy(out->text + out->n, text + i, stop - i);
        out->n += stop - i;
        i = stop;
        if (i == n) {
            break;
        }
        if (!qtf_is_space_mark(text + i, n - i)) {
            out->text[out->n++] = text[i++];
            continue;
        }
        if (!QTF_GROW(out->spans, out->spans_capacity, out->n_spans + 1)) {
            return QTF_NO_MEMORY;
        }
        out->spans[out->n_spans++] = (qtf_nfc_span){out->n, out->n + 1, i, i + 3};
        out->text[out->n++] = ' ';
        i += 3;
    }
    return QTF_OK;
}

void qtf_metaspace_meets(const qtf_bpe *bpe, bool split, uint8_t meets[256 * 256]) {
    memset(meets, bpe->ignore_merges, 256 * 256);
    for (size_t slot = 0; slot <= bpe->merge_mask; slot++) {
        if (bpe->merges[slot] == UINT64_MAX) {
            continue;
        }
        const qtf_bpe_token *left = &bpe->tokens[bpe->merges[slot] >> 42];
        const qtf_bpe_token *right = &bpe->tokens[bpe->merges[slot] >> 21 & (QTF_BPE_LIMIT - 1)];
        if (left->length && right->length) {
            uint8_t last = bpe->bytes[left->start + left->length - 1];
            meets[last << 8 | bpe->bytes[right->start]] = 1;
        }
    }
    for (size_t left = 0; left < 256; left++) {
        memset(meets + (left << 8) + 0x80, 1, 0x40);
        meets[left << 8 | ' '] &= !split;
    }
}
