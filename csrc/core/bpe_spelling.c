#include "core/bpe_spelling.h"

#include <string.h>

#include "core/unicode.h"

/* Whether GPT-2's alphabet leaves this byte (as Latin-1) as it is. */
static bool is_printable(uint32_t c) {
    return (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xFF && c != 0xAD);
}

/* The others are numbered from U+0100 in ascending order: 00-20, 7F-A0, AD. */
static uint32_t from_alphabet(uint32_t c) {
    if (c < 0x100) {
        return is_printable(c) ? c : QTF_BPE_NONE;
    }
    c -= 0x100;
    return c < 0x21 ? c : c < 0x43 ? c - 0x21 + 0x7F : c == 0x43 ? 0xAD : QTF_BPE_NONE;
}

static uint32_t to_alphabet(uint8_t byte) {
    if (is_printable(byte)) {
        return byte;
    }
    return 0x100 + (byte < 0x21 ? byte : byte < 0xA1 ? byte - 0x7Fu + 0x21u : 0x43u);
}

/* The bytes that a text in the alphabet stands for; SIZE_MAX when a character is not of it. */
static size_t read_alphabet(const uint8_t *text, size_t n, uint8_t *bytes) {
    size_t m = 0;
    for (size_t i = 0; i < n;) {
        if (text[i] > 0x20 && text[i] < 0x7F) {
            bytes[m++] = text[i++];
            continue;
        }
        int length;
        uint32_t byte = from_alphabet(qtf_utf8_read(text + i, &length));
        if (byte == QTF_BPE_NONE) {
            return SIZE_MAX;
        }
        bytes[m++] = (uint8_t)byte;
        i += (size_t)length;
    }
    return m;
}

static size_t write_alphabet(const uint8_t *bytes, size_t n, uint8_t *text) {
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        m += (size_t)qtf_utf8_write(to_alphabet(bytes[i]), text + m);
    }
    return m;
}

static int hex_digit(uint8_t c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte of a spelling like <0x0A>; -1 when it is none. */
static int read_byte_token(const uint8_t *text, size_t n) {
    if (n != QTF_BYTE_SPELLING || memcmp(text, "<0x", 3) != 0 || text[5] != '>') {
        return -1;
    }
    int high = hex_digit(text[3]), low = hex_digit(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* A text with spaces for its marks; SIZE_MAX when it holds a space already. */
static size_t read_marked(const uint8_t *text, size_t n, uint8_t *bytes) {
    size_t m = 0;
    for (size_t i = 0; i < n; m++) {
        bool mark = qtf_is_space_mark(text + i, n - i);
        if (text[i] == ' ') {
            return SIZE_MAX;
        }
        bytes[m] = mark ? ' ' : text[i];
        i += mark ? 3 : 1;
    }
    return m;
}

qtf_token_kind qtf_spelling_read(bool characters, const uint8_t *text, size_t n, uint8_t *bytes,
                                 size_t *length) {
    int byte = characters ? read_byte_token(text, n) : -1;
    if (byte >= 0) {
        bytes[0] = (uint8_t)byte;
        *length = 1;
        return QTF_TOKEN_BYTE;
    }
    *length = characters ? read_marked(text, n, bytes) : read_alphabet(text, n, bytes);
    if (*length != SIZE_MAX) {
        return QTF_TOKEN_TEXT;
    }
    memcpy(bytes, text, n);
    *length = n;
    return QTF_TOKEN_LITERAL;
}

size_t qtf_spelling_write(bool characters, qtf_token_kind kind, const uint8_t *bytes, size_t n,
                          uint8_t *text) {
    static const char digits[] = "0123456789ABCDEF";
    if (kind == QTF_TOKEN_BYTE) {
        memcpy(text, "<0x", 3);
        text[3] = (uint8_t)digits[bytes[0] >> 4];
        text[4] = (uint8_t)digits[bytes[0] & 15];
        text[5] = '>';
        return 6;
    }
    if (kind == QTF_TOKEN_TEXT && !characters) {
        return write_alphabet(bytes, n, text);
    }
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (kind == QTF_TOKEN_TEXT && bytes[i] == ' ') {
            m += (size_t)qtf_utf8_write(QTF_SPACE_MARK, text + m);
        } else {
            text[m++] = bytes[i];
        }
    }
    return m;
}
