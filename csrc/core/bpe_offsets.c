#include "core/bpe_tokenizer.h"
#include "core/pool.h"

enum { POLL_TOKENS = 1 << 16 };

void qtf_trim_offsets(const qtf_tokenizer *tokenizer, qtf_encoding *encoding, size_t first) {
    const qtf_bpe *bpe = &tokenizer->bpe;
    for (size_t i = first; tokenizer->trim_offsets && i < encoding->n; i++) {
        const qtf_bpe_token *token = &bpe->tokens[encoding->ids[i]];
        const uint8_t *bytes = bpe->bytes + token->start;
        size_t *start = &encoding->starts[i], *end = &encoding->ends[i], leading = 0, trailing = 0;
        while (leading < token->length && bytes[leading] == ' ') {
            leading++;
        }
        while (trailing < token->length && bytes[token->length - 1 - trailing] == ' ') {
            trailing++;
        }
        if (tokenizer->trim_prefix && leading == 1 && (i == first || *start == 0)) {
            leading = 0;
        }
        *start = *start + leading < *end ? *start + leading : *end;
        if (*end >= trailing) {
            *end = *end - trailing > *start ? *end - trailing : *start;
        }
    }
}

/* Walk a cursor to a position and return the number of characters that start before it. */
static size_t count_to(const uint8_t *text, size_t position, size_t *cursor, size_t *count) {
    for (; *cursor < position; (*cursor)++) {
        *count += (text[*cursor] & 0xC0) != 0x80;
    }
    while (*cursor > position) {
        (*cursor)--;
        *count -= (text[*cursor] & 0xC0) != 0x80;
    }
    return *count;
}

qtf_status qtf_char_offsets(const uint8_t *text, qtf_encoding *encoding, size_t first_token) {
    size_t cursor = 0, count = 0;
    for (size_t i = first_token; i < encoding->n; i++) {
        if (i % POLL_TOKENS == 0 && qtf_pool_stopping()) {
            return QTF_ABORTED;
        }
        size_t start = encoding->starts[i], end = encoding->ends[i];
        size_t first = count_to(text, start, &cursor, &count);
        bool inside = start < end && (text[start] & 0xC0) == 0x80;
        encoding->starts[i] = first - inside;
        encoding->ends[i] = count_to(text, end, &cursor, &count);
    }
    return QTF_OK;
}
