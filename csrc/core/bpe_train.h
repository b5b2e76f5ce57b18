/* Training a byte-level BPE vocabulary: count words, then merge the most frequent pair. */
#ifndef QTF_BPE_TRAIN_H
#define QTF_BPE_TRAIN_H

#include "core/bpe.h"

/* Distinct words and how often each was seen; zero it first, free it with qtf_words_free. */
typedef struct {
    uint8_t *bytes; /* all words, end to end */
    size_t n_bytes, bytes_capacity;
    struct qtf_word {
        size_t start;
        uint32_t length;
        uint32_t hash;
        int64_t count;
    } *words;
    size_t n_words, words_capacity;
    uint32_t *slots; /* index into words, or UINT32_MAX; open addressing */
    size_t slot_mask;
} qtf_words;

/* Count a word once more; a qtf_word_fn whose context is the qtf_words. Errors: QTF_NO_MEMORY. */
qtf_status qtf_words_add(void *words, const uint8_t *word, size_t n);

void qtf_words_free(qtf_words *words);

/* Which of several pairs that are equally frequent merges first. */
typedef enum {
    QTF_TIES_ID,            /* the one of the smaller ids, as Hugging Face tokenizers has it */
    QTF_TIES_LEXICOGRAPHIC, /* the one whose tokens are greater as byte strings, left then right */
} qtf_ties;

/*
 * Merge pairs until bpe has vocab_size tokens or no pair is left that was seen min_count times.
 * bpe has all single bytes and no merges; merged tokens get the ids from bpe->n_ids on. Appends
 * left, right of each merge to *merges, *n_merges pairs, from malloc and the caller's to free even
 * after a failure. Errors: QTF_NO_MEMORY, QTF_BAD_DATA, QTF_ABORTED when poll, called now and then
 * unless NULL, returns true.
 */
qtf_status qtf_bpe_train(qtf_bpe *bpe, const qtf_words *words, size_t vocab_size, int64_t min_count,
                         qtf_ties ties, bool (*poll)(void), uint32_t **merges, size_t *n_merges,
                         qtf_error *error);

#endif
