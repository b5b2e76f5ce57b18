/* Pre-tokenisation: the known split patterns as hand-written matchers. */
#ifndef QTF_BPE_SPLIT_H
#define QTF_BPE_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    QTF_SPLIT_GPT2,
    QTF_SPLIT_QWEN2,
    QTF_SPLIT_LLAMA3,
} qtf_split;

/* Find the matcher for a pattern, by its exact text; false when it is not known. */
bool qtf_split_find(const char *pattern, size_t n, qtf_split *split);

/*
 * The end of the piece that starts at text; text < end, valid UTF-8 up to end. `end` is the end of
 * the string the pattern is matched in: lookahead sees nothing behind it.
 */
const uint8_t *qtf_split_next(qtf_split split, const uint8_t *text, const uint8_t *end);

#endif
