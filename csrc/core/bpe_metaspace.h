/* Texts of vocabularies in which ▁ is the space, as SentencePiece's are: put in one form, cut. */
#ifndef QTF_BPE_METASPACE_H
#define QTF_BPE_METASPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bpe.h"
#include "core/unicode.h"

/*
 * Other tools turn every space into ▁ (U+2581) before tokenising and back after decoding, so that
 * both characters are one. Here that one is the space: a text needs to be written anew only where
 * it holds ▁, or where a space is put before it.
 */

/* Whether a text holds ▁. */
bool qtf_metaspace_has_mark(const uint8_t *text, size_t n);

/*
 * Put text (valid UTF-8) with spaces for its ▁ into out, with the spans that changed; a space
 * before it if `prepend` and it isn't empty. Errors: QTF_NO_MEMORY.
 */
qtf_status qtf_metaspace_normalise(const uint8_t *text, size_t n, bool prepend, qtf_nfc *out);

/*
 * Find out which neighbouring bytes may be merged: meets[left << 8 | right] is nonzero when they
 * are a place inside a character, or one where two tokens that merge can meet.
 * Everywhere else a text can be cut without changing its tokens. With `split` merges don't reach a
 * space from before it. Where words that are tokens stay whole, no other cut is made.
 */
void qtf_metaspace_meets(const qtf_bpe *bpe, bool split, uint8_t meets[256 * 256]);

#endif
