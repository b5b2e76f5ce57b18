/* The generated Unicode tables; only unicode.h and unicode.c read them. */
#ifndef QTF_UNICODE_TABLES_H
#define QTF_UNICODE_TABLES_H

#include <stdint.h>

/* value of code point c = blocks[index[c >> 7] * 128 + (c & 127)] */
extern const uint16_t qtf_category_index[];
extern const uint8_t qtf_category_blocks[];
extern const uint16_t qtf_nfc_index[];
extern const uint8_t qtf_nfc_blocks[];

/* By NFC kind: canonical combining class; whether NFC may change the character or one before it. */
extern const uint8_t qtf_nfc_ccc[];
extern const uint8_t qtf_nfc_unstable[];

/* Full canonical decompositions of qtf_decomposed[i], ascending, without Hangul. */
extern const int qtf_n_decomposed;
extern const uint32_t qtf_decomposed[];
extern const uint16_t qtf_decomposed_start[]; /* one more than qtf_decomposed */
extern const uint32_t qtf_decomposed_parts[];

/* first + second compose to qtf_composed[i]; ascending by (first, second), without Hangul. */
extern const int qtf_n_composed;
extern const uint32_t qtf_composed_first[];
extern const uint32_t qtf_composed_second[];
extern const uint32_t qtf_composed[];

#endif
