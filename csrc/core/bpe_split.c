#include "core/bpe_split.h"

#include <string.h>

#include "core/unicode.h"

/* What differs between the patterns that descend from GPT-2's. */
typedef struct {
    uint32_t letters; /* what words are made of */
    bool fold;        /* contractions ('s, 're, ...) in any case */
    bool any_before;  /* a word may take any character but \r \n L N before it, not just ' ' */
    int digits;       /* most digits of a piece; 0: any number, with a space before them */
    bool newlines;    /* punctuation takes the newlines behind it; space ends at its last newline */
    bool end_first;   /* but not space that ends the text: that stays whole */
} style;

static const style GPT2 = {QTF_LETTER, false, false, 0, false, false};
static const style QWEN2 = {QTF_LETTER, true, true, 1, true, false};
static const style QWEN3_5 = {QTF_LETTER | QTF_MARK, true, true, 1, true, false};
static const style LLAMA3 = {QTF_LETTER, true, true, 3, true, false};
static const style CL100K = {QTF_LETTER, true, true, 3, true, true};

/* o200k cuts words where a lower-case letter is followed by an upper-case one. */
enum {
    CASELESS = QTF_IN(QTF_LM) | QTF_IN(QTF_LO) | QTF_MARK,
    UPPER = QTF_IN(QTF_LU) | QTF_IN(QTF_LT) | CASELESS,
    LOWER = QTF_IN(QTF_LL) | CASELESS,
    WORD_OR_SPACE = QTF_LETTER | QTF_NUMBER | QTF_SPACE,
};

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

static bool is_newline(uint8_t c) {
    return c == '\n' || c == '\r';
}

/* \s*[\r\n]+ (where newlines are set apart), \s+(?!\S), \s+ */
QTF_INLINE const uint8_t *match_space(bool newlines, bool end_first, const uint8_t *text,
                                      const uint8_t *end) {
    const uint8_t *stop = run(text, end, QTF_SPACE);
    if (newlines && !(end_first && stop == end)) {
        for (const uint8_t *p = stop; p > text; p--) {
            if (is_newline(p[-1])) {
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

/* Up to `most` number characters, the first of which ends at text. */
QTF_INLINE const uint8_t *match_digits(int most, const uint8_t *text, const uint8_t *end) {
    int length;
    for (int i = 1; i < most && peek(text, end, &length) & QTF_NUMBER; i++) {
        text += length;
    }
    return text;
}

QTF_INLINE const uint8_t *match(style s, const uint8_t *text, const uint8_t *end) {
    const uint32_t word = s.letters | QTF_NUMBER | QTF_SPACE;
    int length, ignored;
    uint32_t first = peek(text, end, &length);
    const uint8_t *after = text + length;
    if (first & QTF_LETTER) {
        return run(after, end, s.letters);
    }
    if (first & QTF_NUMBER) {
        return s.digits ? match_digits(s.digits, after, end) : run(after, end, QTF_NUMBER);
    }
    if (*text == '\'') {
        const uint8_t *stop = contraction(text, end, s.fold);
        if (stop) {
            return stop;
        }
    }
    uint32_t second = peek(after, end, &ignored);
    bool space = *text == ' ';
    if (second & s.letters && (s.any_before ? !is_newline(*text) : space)) {
        return run(after, end, s.letters);
    }
    if (first & s.letters) {
        return after;
    }
    if (s.digits == 0 && space && second & QTF_NUMBER) {
        return run(after, end, QTF_NUMBER);
    }
    if (!(first & QTF_SPACE) || (space && second & ~word)) {
        const uint8_t *stop = run(after, end, ~word);
        while (s.newlines && stop < end && is_newline(*stop)) {
            stop++;
        }
        return stop;
    }
    return match_space(s.newlines, s.end_first, text, end);
}

/* UPPER* LOWER+, which gives back what UPPER took too much; NULL when it does not match. */
static const uint8_t *match_lower(const uint8_t *text, const uint8_t *end) {
    const uint8_t *caseless = NULL;
    int length;
    for (uint32_t set; (set = peek(text, end, &length)) & UPPER; text += length) {
        caseless = set & CASELESS ? text + length : caseless;
    }
    const uint8_t *stop = run(text, end, LOWER);
    return stop > text ? stop : caseless;
}

/* UPPER* LOWER+ | UPPER+ LOWER*, each with an optional character before it; or NULL. */
static const uint8_t *match_cased(const uint8_t *text, uint32_t first, const uint8_t *after,
                                  const uint8_t *end) {
    bool before = !(first & (QTF_LETTER | QTF_NUMBER)) && !is_newline(*text);
    const uint8_t *word = before ? after : text, *stop = match_lower(word, end);
    if (!stop && before && first & QTF_MARK) {
        stop = match_lower(text, end);
    }
    if (!stop) {
        stop = run(word, end, UPPER);
        stop = stop > word ? stop : NULL;
    }
    return stop;
}

QTF_INLINE const uint8_t *match_o200k(bool contractions, int digits, const uint8_t *text,
                                      const uint8_t *end) {
    int length, ignored;
    uint32_t first = peek(text, end, &length);
    const uint8_t *after = text + length, *stop = match_cased(text, first, after, end);
    if (stop) {
        const uint8_t *longer =
            contractions && stop < end && *stop == '\'' ? contraction(stop, end, true) : NULL;
        return longer ? longer : stop;
    }
    if (first & QTF_NUMBER) {
        return match_digits(digits, after, end);
    }
    if (!(first & QTF_SPACE) ||
        (*text == ' ' && peek(after, end, &ignored) & ~(uint32_t)WORD_OR_SPACE)) {
        stop = run(after, end, ~(uint32_t)WORD_OR_SPACE);
        while (stop < end && (is_newline(*stop) || *stop == '/')) {
            stop++;
        }
        return stop;
    }
    return match_space(true, false, text, end);
}

static bool is_ascii_letter(uint8_t c) {
    return lower(c) >= 'a' && lower(c) <= 'z';
}

/* DeepSeek's third pattern; NULL where it does not match. */
static const uint8_t *match_deepseek(const uint8_t *text, const uint8_t *end) {
    const uint32_t letters = QTF_LETTER | QTF_MARK, marks = QTF_PUNCTUATION | QTF_SYMBOL;
    int length, ignored;
    uint32_t first = peek(text, end, &length);
    const uint8_t *after = text + length;
    if (length == 1 && first & marks && after < end && is_ascii_letter(*after)) {
        while (after < end && is_ascii_letter(*after)) {
            after++;
        }
        return after;
    }
    uint32_t second = peek(after, end, &ignored);
    if (first & letters || (!(first & marks) && !is_newline(*text) && second & letters)) {
        return run(after, end, letters);
    }
    if (first & marks || (*text == ' ' && second & marks)) {
        const uint8_t *stop = run(after, end, marks);
        while (stop < end && is_newline(*stop)) {
            stop++;
        }
        return stop;
    }
    return first & QTF_SPACE ? match_space(true, false, text, end) : NULL;
}

static bool in_cjk(uint32_t c, bool wide) {
    return wide ? c - 0x0800 <= 0x9FA5 - 0x0800 || c - 0xAC00 <= 0xD7FF - 0xAC00
                : c - 0x4E00 <= 0x9FA5 - 0x4E00 || c - 0x3040 <= 0x30FF - 0x3040;
}

static const uint8_t *match_cjk(bool wide, const uint8_t *text, const uint8_t *end) {
    const uint8_t *start = text;
    int length;
    while (text < end && in_cjk(qtf_utf8_read(text, &length), wide)) {
        text += length;
    }
    return text > start ? text : NULL;
}

/* \s?SET+ */
QTF_INLINE const uint8_t *match_spaced(uint32_t set, const uint8_t *text, const uint8_t *end) {
    int length;
    uint32_t first = peek(text, end, &length);
    const uint8_t *word = first & QTF_SPACE ? text + length : text, *stop = run(word, end, set);
    return stop > word ? stop : NULL;
}

/* One match of a pattern that leaves characters between its matches; NULL for none here. */
static const uint8_t *match_here(qtf_split split, const uint8_t *text, const uint8_t *end) {
    int length;
    uint32_t first = peek(text, end, &length);
    switch (split) {
    case QTF_SPLIT_DEEPSEEK:
        return match_deepseek(text, end);
    case QTF_SPLIT_CJK:
        return match_cjk(false, text, end);
    case QTF_SPLIT_CJK_WIDE:
        return match_cjk(true, text, end);
    case QTF_SPLIT_NEWLINE:
        return is_newline(*text) ? text + 1 : NULL;
    case QTF_SPLIT_SPACE_LETTERS:
        return match_spaced(QTF_LETTER, text, end);
    case QTF_SPLIT_SPACE_PUNCTUATION:
        return match_spaced(QTF_PUNCTUATION, text, end);
    case QTF_SPLIT_DIGIT:
        return first & QTF_NUMBER ? text + length : NULL;
    case QTF_SPLIT_DIGITS:
        return first & QTF_NUMBER ? run(text, end, QTF_NUMBER) : NULL;
    case QTF_SPLIT_3_DIGITS:
        return first & QTF_NUMBER ? match_digits(3, text + length, end) : NULL;
    default:
        return end;
    }
}

bool qtf_split_covers(qtf_split split) {
    return split <= QTF_SPLIT_TEKKEN;
}

const uint8_t *qtf_split_next(qtf_split split, const uint8_t *text, const uint8_t *end) {
    switch (split) {
    case QTF_SPLIT_GPT2:
        return match(GPT2, text, end);
    case QTF_SPLIT_QWEN2:
        return match(QWEN2, text, end);
    case QTF_SPLIT_QWEN3_5:
        return match(QWEN3_5, text, end);
    case QTF_SPLIT_LLAMA3:
        return match(LLAMA3, text, end);
    case QTF_SPLIT_CL100K:
        return match(CL100K, text, end);
    case QTF_SPLIT_O200K:
        return match_o200k(true, 3, text, end);
    case QTF_SPLIT_TEKKEN:
        return match_o200k(false, 1, text, end);
    default:
        break;
    }
    const uint8_t *stop = match_here(split, text, end);
    while (!stop) {
        int length;
        qtf_utf8_read(text, &length);
        text += length;
        stop = text == end || match_here(split, text, end) ? text : NULL;
    }
    return stop;
}
