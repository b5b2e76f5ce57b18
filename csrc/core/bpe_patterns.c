/* The split patterns by their text, as tokenizer.json files and tiktoken spell them. */
#include "core/bpe_split.h"

#include <string.h>

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define BEFORE "[^\\r\\n\\p{L}\\p{N}]?"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define OTHER " ?[^\\s\\p{L}\\p{N}]+"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const struct {
    const char *pattern;
    qtf_split split;
} known[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|" OTHER "|\\s+(?!\\S)|\\s+", QTF_SPLIT_GPT2},
    {"'s|'t|'re|'ve|'m|'ll|'d| ?[\\p{L}]+| ?[\\p{N}]+|" OTHER "|\\s+(?!\\S)|\\s+", QTF_SPLIT_GPT2},
    {"'(?:[sdmt]|ll|ve|re)| ?\\p{L}++| ?\\p{N}++| ?[^\\s\\p{L}\\p{N}]++|\\s++$|\\s+(?!\\S)|\\s",
     QTF_SPLIT_GPT2},
    {"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+|" OTHER "|\\s+(?!\\S)|\\s+", QTF_SPLIT_GPT2},
    {CONTRACTIONS "|" BEFORE "\\p{L}+|\\p{N}|" OTHER "[\\r\\n]*|" SPACES, QTF_SPLIT_QWEN2},
    {CONTRACTIONS "|" BEFORE "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES,
     QTF_SPLIT_QWEN3_5},
    {CONTRACTIONS "|" BEFORE "\\p{L}+|\\p{N}{1,3}|" OTHER "[\\r\\n]*|" SPACES, QTF_SPLIT_LLAMA3},
    {"'(?i:[sdmt]|ll|ve|re)|" BEFORE "+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|"
     "\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s",
     QTF_SPLIT_CL100K},
    {BEFORE UPPER "*" LOWER "+" CONTRACTIONS "?|" BEFORE UPPER "+" LOWER "*" CONTRACTIONS
                  "?|\\p{N}{1,3}|" OTHER "[\\r\\n/]*|" SPACES,
     QTF_SPLIT_O200K},
    {BEFORE UPPER "*" LOWER "+|" BEFORE UPPER "+" LOWER "*|\\p{N}|" OTHER "[\\r\\n/]*|" SPACES,
     QTF_SPLIT_TEKKEN},
    {"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
     "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES,
     QTF_SPLIT_DEEPSEEK},
    {"[\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-\xE3\x83\xBF]+",
     QTF_SPLIT_CJK},
    {"[\xE4\xB8\x80-\xE9\xBE\xA5\xE0\xA0\x80-\xE4\xB8\x80\xEA\xB0\x80-\xED\x9F\xBF]+",
     QTF_SPLIT_CJK_WIDE},
    {"[\\r\\n]", QTF_SPLIT_NEWLINE},
    {"\\s?\\p{L}+", QTF_SPLIT_SPACE_LETTERS},
    {"\\s?\\p{P}+", QTF_SPLIT_SPACE_PUNCTUATION},
    {"\\p{N}", QTF_SPLIT_DIGIT},
    {"\\p{N}+", QTF_SPLIT_DIGITS},
    {"\\p{N}{1,3}", QTF_SPLIT_3_DIGITS},
};

/* Whether the pattern is `name`, a bare CR or LF counting as its escape. */
static bool is_spelled(const char *pattern, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++) {
        char c = pattern[i];
        if (c == '\r' || c == '\n') {
            if (*name++ != '\\') {
                return false;
            }
            c = c == '\r' ? 'r' : 'n';
        }
        if (*name++ != c || c == 0) {
            return false;
        }
    }
    return *name == 0;
}

bool qtf_split_find(const char *pattern, size_t n, qtf_split *split) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (is_spelled(pattern, n, known[i].pattern)) {
            *split = known[i].split;
            return true;
        }
    }
    return false;
}
