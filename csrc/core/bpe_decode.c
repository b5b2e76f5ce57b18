/* From ids to text. */
#include <string.h>

#include "core/bpe_tokenizer.h"
#include "core/unicode.h"

/* Ids as they are decoded. */
typedef struct {
    const qtf_tokenizer *tokenizer;
    const int64_t *ids;
    bool skip_special;
} sequence;

static bool is_skipped(const sequence *s, size_t i) {
    return s->skip_special && s->tokenizer->marks[s->ids[i]] & QTF_MARK_SPECIAL;
}

static bool is_byte(const sequence *s, size_t i) {
    return s->tokenizer->bpe.tokens[s->ids[i]].kind == QTF_TOKEN_BYTE;
}

static const uint8_t *bytes_of(const sequence *s, size_t i) {
    return s->tokenizer->bpe.bytes + s->tokenizer->bpe.tokens[s->ids[i]].start;
}

/* Append n bytes at *end, or only count them. */
static void put(uint8_t *bytes, size_t *end, const uint8_t *text, size_t n) {
    if (bytes && n) {
        memcpy(bytes + *end, text, n);
    }
    *end += n;
}

/* Whether the byte-fallback tokens from i to stop are UTF-8 together. */
static bool is_utf8(const sequence *s, size_t i, size_t stop) {
    uint8_t character[4];
    size_t filled = 0;
    for (; i < stop; i++) {
        if (is_skipped(s, i)) {
            continue;
        }
        character[filled++] = *bytes_of(s, i);
        if (qtf_utf8_valid(character, filled) == filled) {
            filled = 0;
        } else if (filled == sizeof character) {
            return false;
        }
    }
    return filled == 0;
}

size_t qtf_decode(const qtf_tokenizer *tokenizer, const int64_t *ids, size_t n, bool skip_special,
                  uint8_t *bytes) {
    static const uint8_t replacement[] = {0xEF, 0xBF, 0xBD}, space[] = {' '};
    const sequence s = {tokenizer, ids, skip_special};
    size_t end = 0;
    for (size_t i = 0; i < n;) {
        if (!is_byte(&s, i)) {
            if (!is_skipped(&s, i)) {
                put(bytes, &end, space, tokenizer->marks[ids[i]] & QTF_MARK_SPACED ? 1 : 0);
                put(bytes, &end, bytes_of(&s, i), tokenizer->bpe.tokens[ids[i]].length);
            }
            i++;
            continue;
        }
        size_t stop = i;
        while (stop < n && (is_byte(&s, stop) || is_skipped(&s, stop))) {
            stop++;
        }
        bool valid = is_utf8(&s, i, stop);
        for (; i < stop; i++) {
            if (!is_skipped(&s, i)) {
                put(bytes, &end, valid ? bytes_of(&s, i) : replacement,
                    valid ? 1 : sizeof replacement);
            }
        }
    }
    return end;
}
