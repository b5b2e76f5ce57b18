/* Pre-tokenisation: the known split patterns as hand-written matchers. */
#ifndef QTF_BPE_SPLIT_H
#define QTF_BPE_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    QTF_SPLIT_GPT2,
    QTF_SPLIT_QWEN2,
    QTF_SPLIT_QWEN3_5,
    QTF_SPLIT_LLAMA3,
    QTF_SPLIT_CL100K,
    QTF_SPLIT_O200K,
    QTF_SPLIT_TEKKEN,
    QTF_SPLIT_DEEPSEEK,
    QTF_SPLIT_CJK,
    QTF_SPLIT_CJK_WIDE,
    QTF_SPLIT_NEWLINE,
    QTF_SPLIT_SPACE_LETTERS,
    QTF_SPLIT_SPACE_PUNCTUATION,
    QTF_SPLIT_DIGIT,  /* each number character apart */
    QTF_SPLIT_DIGITS, /* runs of number characters apart */
    QTF_SPLIT_3_DIGITS,
} qtf_split;

/*
 * Find the matcher for a pattern by its text, in which CR and LF may stand as they are or escaped;
 * false when it is not known.
 */
bool qtf_split_find(const char *pattern, size_t n, qtf_split *split);

/* Whether every character lies in a match, so that there is nothing between matches. */
bool qtf_split_covers(qtf_split split);

/*
 * The end of the piece that starts at text: a match, or what lies before the next one.
 * text < end, valid UTF-8 up to end. `end` is the end of the string the pattern is matched in:
 * lookahead sees nothing behind it.
 */
const uint8_t *qtf_split_next(qtf_split split, const uint8_t *text, const uint8_t *end);

#endif
