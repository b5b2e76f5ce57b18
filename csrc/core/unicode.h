/* Unicode 16.0: UTF-8, general categories and normalisation form C. */
#ifndef QTF_UNICODE_H
#define QTF_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/compiler.h"
#include "core/status.h"
#include "core/unicode_tables.h"

/* General categories; QTF_CC_SPACE is the part of Cc that is White_Space. */
typedef enum {
    QTF_LU,
    QTF_LL,
    QTF_LT,
    QTF_LM,
    QTF_LO,
    QTF_MN,
    QTF_MC,
    QTF_ME,
    QTF_ND,
    QTF_NL,
    QTF_NO,
    QTF_PC,
    QTF_PD,
    QTF_PS,
    QTF_PE,
    QTF_PI,
    QTF_PF,
    QTF_PO,
    QTF_SM,
    QTF_SC,
    QTF_SK,
    QTF_SO,
    QTF_ZS,
    QTF_ZL,
    QTF_ZP,
    QTF_CC,
    QTF_CF,
    QTF_CS,
    QTF_CO,
    QTF_CN,
    QTF_CC_SPACE,
} qtf_category;

/* Sets of categories as bits: \p{L}, \p{M}, \p{N}, \p{P}, \p{S} and \s of the regex engines. */
#define QTF_IN(category) (1u << (category))
enum {
    QTF_LETTER = QTF_IN(QTF_LU) | QTF_IN(QTF_LL) | QTF_IN(QTF_LT) | QTF_IN(QTF_LM) | QTF_IN(QTF_LO),
    QTF_MARK = QTF_IN(QTF_MN) | QTF_IN(QTF_MC) | QTF_IN(QTF_ME),
    QTF_NUMBER = QTF_IN(QTF_ND) | QTF_IN(QTF_NL) | QTF_IN(QTF_NO),
    QTF_PUNCTUATION = QTF_IN(QTF_PC) | QTF_IN(QTF_PD) | QTF_IN(QTF_PS) | QTF_IN(QTF_PE) |
        QTF_IN(QTF_PI) | QTF_IN(QTF_PF) | QTF_IN(QTF_PO),
    QTF_SYMBOL = QTF_IN(QTF_SM) | QTF_IN(QTF_SC) | QTF_IN(QTF_SK) | QTF_IN(QTF_SO),
    QTF_SPACE = QTF_IN(QTF_ZS) | QTF_IN(QTF_ZL) | QTF_IN(QTF_ZP) | QTF_IN(QTF_CC_SPACE),
};

/* The set that holds just the category of a code point; c < 0x110000. */
QTF_INLINE uint32_t qtf_category_bit(uint32_t c) {
    return 1u << qtf_category_blocks[qtf_category_index[c >> 7] * 128u + (c & 127)];
}

/* Read the code point at text, which must be valid UTF-8, and store its length in bytes. */
QTF_INLINE uint32_t qtf_utf8_read(const uint8_t *text, int *length) {
    uint32_t c = text[0];
    if (c < 0x80) {
        *length = 1;
        return c;
    }
    if (c < 0xE0) {
        *length = 2;
        return (c & 0x1F) << 6 | (text[1] & 0x3Fu);
    }
    if (c < 0xF0) {
        *length = 3;
        return (c & 0x0F) << 12 | (text[1] & 0x3Fu) << 6 | (text[2] & 0x3Fu);
    }
    *length = 4;
    return (c & 0x07) << 18 | (text[1] & 0x3Fu) << 12 | (text[2] & 0x3Fu) << 6 | (text[3] & 0x3Fu);
}

/* U+2581, which stands for a space in vocabularies and is spelled E2 96 81. */
enum { QTF_SPACE_MARK = 0x2581 };

/* Whether a text begins with that mark. */
QTF_INLINE bool qtf_is_space_mark(const uint8_t *text, size_t n) {
    return n >= 3 && text[0] == 0xE2 && text[1] == 0x96 && text[2] == 0x81;
}

/* Write a code point at text (up to 4 bytes) and return its length. */
int qtf_utf8_write(uint32_t c, uint8_t *text);

/* Length of the longest prefix of text that is well-formed UTF-8 (no surrogates, no overlongs). */
size_t qtf_utf8_valid(const uint8_t *text, size_t n);

/* A stretch that was rewritten: normalised [to, to_end) was [from, from_end) in the original. */
typedef struct {
    size_t to, to_end, from, from_end;
} qtf_nfc_span;

/* Normalised text (by NFC, or otherwise); zero it before the first use, reuse it at will, free it
 * with qtf_nfc_free. */
typedef struct {
    uint8_t *text;
    size_t n, text_capacity;
    qtf_nfc_span *spans; /* ascending */
    size_t n_spans, spans_capacity;
    uint32_t *points; /* scratch: code point | combining class << 24 */
    size_t points_capacity;
    uint32_t *sorted; /* scratch of canonical ordering */
    size_t sorted_capacity;
} qtf_nfc;

/*
 * Length of a prefix of text (valid UTF-8) that NFC leaves alone whatever follows; n when the whole
 * text is certainly normal.
 */
size_t qtf_nfc_stable(const uint8_t *text, size_t n);

/* Put NFC(text) into out, with the spans that changed. Errors: QTF_NO_MEMORY; QTF_ABORTED when the
 * pool's poll hook asks to stop. */
qtf_status qtf_nfc_normalise(const uint8_t *text, size_t n, qtf_nfc *out);

/*
 * The original position of a normalised one: positions inside a rewritten span give the span's
 * start, or its end if `end`. *cursor (0 at first) makes ascending queries cheap.
 */
size_t qtf_nfc_origin(const qtf_nfc *nfc, size_t position, bool end, size_t *cursor);

void qtf_nfc_free(qtf_nfc *nfc);

#endif
