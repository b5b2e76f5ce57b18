/* One thread's encoder: words in, ids out, through a cache. The cutting of texts is elsewhere. */
#ifndef QTF_BPE_ENCODER_H
#define QTF_BPE_ENCODER_H

#include "core/bpe_cache.h"
#include "core/bpe_merge.h"
#include "core/bpe_tokenizer.h"
#include "core/unicode.h"

/* Words that wait for their cache lines to arrive; bytes encoded between two polls. */
enum { QTF_AHEAD = 16, QTF_POLL_BYTES = 1 << 16 };
typedef struct {
    const uint8_t *word;
    qtf_cache_entry *set;
    qtf_cache_entry key;
} qtf_waiting;

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
    size_t stretch;              /* position of that in the text given */
    qtf_waiting waiting[QTF_AHEAD];
    int n_waiting;
    size_t unpolled; /* bytes of words since the pool was asked whether to stop */
};

/* An idle encoder of the tokenizer, or a new one; NULL when out of memory. */
qtf_encoder *qtf_encoder_take(qtf_tokenizer *tokenizer);

/* Give an encoder back, for the next call. */
void qtf_encoder_give(qtf_tokenizer *tokenizer, qtf_encoder *encoder);

/* qtf_encode with an encoder that was taken. */
qtf_status qtf_encode_with(qtf_encoder *e, const uint8_t *text, size_t n, unsigned flags,
                           qtf_encoding *out, qtf_error *error);

/* Append one token that stands for [start, end) of the text. Errors: QTF_NO_MEMORY. */
qtf_status qtf_append_token(qtf_encoder *e, uint32_t id, size_t start, size_t end);

/*
 * Tokenise a word of e->text, n >= 1, or let it wait with others so that their cache misses
 * overlap. Errors: QTF_NO_MEMORY; QTF_BAD_DATA for a byte without a token, of any waiting word;
 * QTF_ABORTED.
 */
qtf_status qtf_encode_word(qtf_encoder *e, const uint8_t *word, size_t n);

/* Tokenise the words that wait, in order; before e->text changes or another token is appended. */
qtf_status qtf_flush_words(qtf_encoder *e);

#endif
