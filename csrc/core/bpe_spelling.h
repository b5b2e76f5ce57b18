/* How a vocabulary file spells tokens: in GPT-2's byte alphabet, or with ▁ for a space. */
#ifndef QTF_BPE_SPELLING_H
#define QTF_BPE_SPELLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bpe.h"

enum { QTF_BYTE_SPELLING = 6 }; /* bytes of <0x0A> */

/*
 * Read the spelling of a token, n bytes of valid UTF-8, to its bytes (room for n); stores their
 * number. Where symbols are `characters`, ▁ is a space and <0x0A> the byte 0A; otherwise every
 * character is a byte of GPT-2's alphabet. A spelling that is neither stays as it stands.
 */
qtf_token_kind qtf_spelling_read(bool characters, const uint8_t *text, size_t n, uint8_t *bytes,
                                 size_t *length);

/* Spell a token of n bytes as UTF-8 (room for 3 n + 6); returns the length. */
size_t qtf_spelling_write(bool characters, qtf_token_kind kind, const uint8_t *bytes, size_t n,
                          uint8_t *text);

#endif
