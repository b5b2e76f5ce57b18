#include "core/bpe_split.h"

#include <string.h>

#include "core/unicode.h"

/* What differs between the patterns that descend from GPT-2's. */
typedef struct {
    bool fold;       /* contractions ('s, 're, ...) in any case */
    bool any_before; /* letters may take any character but \r \n L N before them, not just ' ' */
    int digits;      /* most digits of a piece; 0: any number, with a space before them */
    bool newlines;   /* punctuation takes the newlines behind it; space ends at its last newline */
} style;

static const style GPT2 = {false, false, 0, false};
static const style QWEN2 = {true, true, 1, true};
static const style LLAMA3 = {true, true, 3, true};

static const struct {
    const char *pattern;
    qtf_split split;
} known[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     QTF_SPLIT_GPT2},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     QTF_SPLIT_QWEN2},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     QTF_SPLIT_LLAMA3},
};

bool qtf_split_find(const char *pattern, size_t n, qtf_split *split) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strlen(known[i].pattern) == n && memcmp(known[i].pattern, pattern, n) == 0) {
            *split = known[i].split;
            return true;
        }
    }
    return false;
}

/* The category of the character at text as a set, and its length; 0 at the end. */
QTF_INLINE uint32_t peek(const uint8_t *text, const uint8_t *end, int *length) {
    if (text == end) {
        *length = 0;
        return 0;
    }
    if (*text < 0x80) {
        *length = 1;
        return 1u << qtf_category_blocks[*text];
    }
    return qtf_category_bit(qtf_utf8_read(text, length));
}

/* The end of the longest run of characters in set. */
QTF_INLINE const uint8_t *run(const uint8_t *text, const uint8_t *end, uint32_t set) {
    int length;
    while (peek(text, end, &length) & set) {
        text += length;
    }
    return text;
}

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* The end of a contraction that starts at the apostrophe at text, or NULL. */
static const uint8_t *contraction(const uint8_t *text, const uint8_t *end, bool fold) {
    size_t n = (size_t)(end - text);
    if (n < 2) {
        return NULL;
    }
    uint8_t first = text[1], second = n > 2 ? text[2] : 0;
    if (fold) {
        /* U+017F, the long s, folds to s. */
        if (first == 0xC5 && second == 0xBF) {
            return text + 3;
        }
        first = lower(first);
        second = lower(second);
    }
    switch (first) {
    case 's':
    case 't':
    case 'm':
    case 'd':
        return text + 2;
    case 'r':
    case 'v':
        return second == 'e' ? text + 3 : NULL;
    case 'l':
        return second == 'l' ? text + 3 : NULL;
    default:
        return NULL;
    }
}

/* \s*[\r\n]+ (where newlines are set apart), \s+(?!\S), \s+ */
QTF_INLINE const uint8_t *match_space(style s, const uint8_t *text, const uint8_t *end) {
    const uint8_t *stop = run(text, end, QTF_SPACE);
    if (s.newlines) {
        for (const uint8_t *p = stop; p > text; p--) {
            if (p[-1] == '\n' || p[-1] == '\r') {
                return p;
            }
        }
    }
    if (stop == end) {
        return stop;
    }
    const uint8_t *last = stop - 1;
    while ((*last & 0xC0) == 0x80) {
        last--;
    }
    return last > text ? last : stop;
}

QTF_INLINE const uint8_t *match(style s, const uint8_t *text, const uint8_t *end) {
    const uint32_t word = QTF_LETTER | QTF_NUMBER | QTF_SPACE;
    int length, ignored;
    uint32_t first = peek(text, end, &length);
    const uint8_t *after = text + length;
    if (first & QTF_LETTER) {
        return run(after, end, QTF_LETTER);
    }
    if (first & QTF_NUMBER) {
        if (s.digits == 0) {
            return run(after, end, QTF_NUMBER);
        }
        for (int i = 1; i < s.digits && peek(after, end, &length) & QTF_NUMBER; i++) {
            after += length;
        }
        return after;
    }
    if (*text == '\'') {
        const uint8_t *stop = contraction(text, end, s.fold);
        if (stop) {
            return stop;
        }
    }
    uint32_t second = peek(after, end, &ignored);
    bool space = *text == ' ';
    if (second & QTF_LETTER && (s.any_before ? *text != '\r' && *text != '\n' : space)) {
        return run(after, end, QTF_LETTER);
    }
    if (s.digits == 0 && space && second & QTF_NUMBER) {
        return run(after, end, QTF_NUMBER);
    }
    if (!(first & QTF_SPACE) || (space && second & ~word)) {
        const uint8_t *stop = run(after, end, ~word);
        while (s.newlines && stop < end && (*stop == '\n' || *stop == '\r')) {
            stop++;
        }
        return stop;
    }
    return match_space(s, text, end);
}

const uint8_t *qtf_split_next(qtf_split split, const uint8_t *text, const uint8_t *end) {
    switch (split) {
    case QTF_SPLIT_GPT2:
        return match(GPT2, text, end);
    case QTF_SPLIT_QWEN2:
        return match(QWEN2, text, end);
    case QTF_SPLIT_LLAMA3:
        return match(LLAMA3, text, end);
    }
    return end;
}
