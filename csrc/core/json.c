#include "core/json.h"

#include <stdlib.h>
#include <string.h>

#include "core/grow.h"
#include "core/unicode.h"

typedef struct {
    const char *text;
    size_t i, n;
    qtf_json *doc;
    qtf_error *error;
} reader;

static qtf_status fail(const reader *r, const char *expected) {
    if (r->i >= r->n) {
        return qtf_fail(r->error, QTF_BAD_DATA, "JSON ends at byte %zu, expected %s", r->n,
                        expected);
    }
    unsigned char c = (unsigned char)r->text[r->i];
    if (c > 0x20 && c < 0x7F) {
        return qtf_fail(r->error, QTF_BAD_DATA, "JSON has '%c' at byte %zu, expected %s", c, r->i,
                        expected);
    }
    return qtf_fail(r->error, QTF_BAD_DATA, "JSON has byte 0x%02x at byte %zu, expected %s", c,
                    r->i, expected);
}

static void skip_space(reader *r) {
    while (r->i < r->n) {
        char c = r->text[r->i];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            break;
        }
        r->i++;
    }
}

static qtf_status add_node(reader *r, uint16_t type, size_t start, size_t length) {
    qtf_json *doc = r->doc;
    if (!QTF_GROW(doc->nodes, doc->nodes_capacity, doc->n_nodes + 1)) {
        return QTF_NO_MEMORY;
    }
    uint32_t next = (uint32_t)doc->n_nodes + 1;
    doc->nodes[doc->n_nodes++] = (qtf_json_node){type, 0, (uint32_t)start, (uint32_t)length, next};
    return QTF_OK;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool skip_digits(reader *r) {
    size_t start = r->i;
    while (r->i < r->n && is_digit(r->text[r->i])) {
        r->i++;
    }
    return r->i > start;
}

static qtf_status read_number(reader *r) {
    size_t start = r->i;
    if (r->text[r->i] == '-') {
        r->i++;
    }
    size_t first = r->i;
    if (!skip_digits(r)) {
        return fail(r, "a digit");
    }
    if (r->text[first] == '0' && r->i > first + 1) {
        r->i = first + 1;
        return fail(r, "a number without leading zeros");
    }
    if (r->i < r->n && r->text[r->i] == '.') {
        r->i++;
        if (!skip_digits(r)) {
            return fail(r, "a digit after the point");
        }
    }
    if (r->i < r->n && (r->text[r->i] | 0x20) == 'e') {
        r->i++;
        if (r->i < r->n && (r->text[r->i] == '+' || r->text[r->i] == '-')) {
            r->i++;
        }
        if (!skip_digits(r)) {
            return fail(r, "a digit of the exponent");
        }
    }
    return add_node(r, QTF_JSON_NUMBER, start, r->i - start);
}

/* Read four hexadecimal digits, or return -1. */
static int32_t read_hex(reader *r) {
    int32_t value = 0;
    for (int k = 0; k < 4; k++, r->i++) {
        char c = r->i < r->n ? r->text[r->i] : 0;
        int digit = is_digit(c)                              ? c - '0'
                    : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                             : -1;
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* Append to the document's buffer of unescaped strings, which has room for it. */
static void unescape(reader *r, const char *bytes, size_t n) {
    memcpy(r->doc->unescaped + r->doc->n_unescaped, bytes, n);
    r->doc->n_unescaped += n;
}

/* Read what follows a backslash and append its UTF-8, at most 4 bytes. */
static qtf_status read_escape(reader *r) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = r->i < r->n ? r->text[r->i] : 0;
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        unescape(r, &to[known - from], 1);
        r->i++;
        return QTF_OK;
    }
    if (c != 'u') {
        return fail(r, "one of \"\\/bfnrtu after a backslash");
    }
    r->i++;
    int32_t unit = read_hex(r);
    if (unit < 0) {
        return fail(r, "four hexadecimal digits");
    }
    uint32_t point = (uint32_t)unit;
    if (point >= 0xD800 && point < 0xE000) {
        int32_t low = -1;
        if (point < 0xDC00 && r->i + 1 < r->n && r->text[r->i] == '\\' &&
            r->text[r->i + 1] == 'u') {
            r->i += 2;
            low = read_hex(r);
        }
        if (low < 0xDC00 || low >= 0xE000) {
            return fail(r, "a whole surrogate pair");
        }
        point = 0x10000 + ((point - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
    }
    uint8_t utf8[4];
    unescape(r, (const char *)utf8, (size_t)qtf_utf8_write(point, utf8));
    return QTF_OK;
}

/* Move i to the first byte that ends a plain stretch: a quote, a backslash or a control byte. */
static void skip_plain(reader *r) {
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t word;
    while (r->i + 8 <= r->n) {
        memcpy(&word, r->text + r->i, 8);
        uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
        uint64_t stop =
            ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
        if (stop & high) {
            break;
        }
        r->i += 8;
    }
    while (r->i < r->n) {
        unsigned char c = (unsigned char)r->text[r->i];
        if (c < 0x20 || c == '"' || c == '\\') {
            break;
        }
        r->i++;
    }
}

/* Read a string on from its first escape; its text so far starts at start. */
static qtf_status read_escaped(reader *r, size_t start) {
    qtf_json *doc = r->doc;
    size_t first = doc->n_unescaped, plain = start;
    for (;;) {
        if (!QTF_GROW(doc->unescaped, doc->unescaped_capacity,
                      doc->n_unescaped + (r->i - plain) + 4)) {
            return QTF_NO_MEMORY;
        }
        unescape(r, r->text + plain, r->i - plain);
        if (r->i >= r->n || r->text[r->i] != '\\') {
            break;
        }
        r->i++;
        qtf_status status = read_escape(r);
        if (status != QTF_OK) {
            return status;
        }
        plain = r->i;
        skip_plain(r);
    }
    qtf_status status = add_node(r, QTF_JSON_STRING, first, doc->n_unescaped - first);
    if (status == QTF_OK) {
        doc->nodes[doc->n_nodes - 1].unescaped = 1;
    }
    return status;
}

static qtf_status read_string(reader *r) {
    size_t start = ++r->i;
    skip_plain(r);
    qtf_status status = r->i < r->n && r->text[r->i] == '\\'
                            ? read_escaped(r, start)
                            : add_node(r, QTF_JSON_STRING, start, r->i - start);
    if (status != QTF_OK) {
        return status;
    }
    if (r->i >= r->n || r->text[r->i] != '"') {
        return fail(r, "the closing quote of a string");
    }
    r->i++;
    return QTF_OK;
}

static qtf_status read_word(reader *r) {
    static const struct {
        const char *word;
        uint16_t type;
    } words[] = {{"null", QTF_JSON_NULL}, {"false", QTF_JSON_FALSE}, {"true", QTF_JSON_TRUE}};
    for (int k = 0; k < 3; k++) {
        size_t length = strlen(words[k].word);
        if (r->n - r->i >= length && memcmp(r->text + r->i, words[k].word, length) == 0) {
            r->i += length;
            return add_node(r, words[k].type, 0, 0);
        }
    }
    return fail(r, "a value");
}

static qtf_status read_name(reader *r) {
    if (r->i >= r->n || r->text[r->i] != '"') {
        return fail(r, "a member's name");
    }
    qtf_status status = read_string(r);
    if (status != QTF_OK) {
        return status;
    }
    skip_space(r);
    if (r->i >= r->n || r->text[r->i] != ':') {
        return fail(r, "':'");
    }
    r->i++;
    skip_space(r);
    return QTF_OK;
}

/* Open containers are a stack of node numbers: depth costs no C stack. */
static qtf_status read_document(reader *r) {
    uint32_t open[QTF_JSON_MAX_DEPTH];
    int depth = 0;
    qtf_status status;
    skip_space(r);
    for (;;) {
        char c = r->i < r->n ? r->text[r->i] : 0;
        bool opened = c == '{' || c == '[';
        if (opened) {
            if (depth == QTF_JSON_MAX_DEPTH) {
                return fail(r, "at most 64 levels of nesting");
            }
            open[depth++] = (uint32_t)r->doc->n_nodes;
            status = add_node(r, c == '{' ? QTF_JSON_OBJECT : QTF_JSON_ARRAY, 0, 0);
            r->i++;
            skip_space(r);
        } else if (c == '"') {
            status = read_string(r);
        } else if (c == '-' || is_digit(c)) {
            status = read_number(r);
        } else {
            status = read_word(r);
        }
        if (status != QTF_OK) {
            return status;
        }
        /* Close what ends here, then stand before the next value. */
        for (;; opened = false) {
            if (depth == 0) {
                skip_space(r);
                return r->i == r->n ? QTF_OK : fail(r, "the end of the document");
            }
            qtf_json_node *parent = &r->doc->nodes[open[depth - 1]];
            bool object = parent->type == QTF_JSON_OBJECT;
            if (!opened) {
                parent->length++;
                skip_space(r);
            }
            c = r->i < r->n ? r->text[r->i] : 0;
            if (c == (object ? '}' : ']')) {
                parent->next = (uint32_t)r->doc->n_nodes;
                r->i++;
                depth--;
                continue;
            }
            if (!opened) {
                if (c != ',') {
                    return fail(r, object ? "',' or '}'" : "',' or ']'");
                }
                r->i++;
                skip_space(r);
            }
            if (object && (status = read_name(r)) != QTF_OK) {
                return status;
            }
            break;
        }
    }
}

qtf_status qtf_json_parse(const char *text, size_t n, qtf_json *doc, qtf_error *error) {
    *doc = (qtf_json){.text = text};
    if (n >= UINT32_MAX) {
        return qtf_fail(error, QTF_BAD_DATA, "JSON of %zu bytes, expected less than 4 GiB", n);
    }
    size_t valid = qtf_utf8_valid((const uint8_t *)text, n);
    if (valid < n) {
        return qtf_fail(error, QTF_BAD_DATA, "JSON is not UTF-8: byte 0x%02x at byte %zu",
                        (unsigned char)text[valid], valid);
    }
    reader r = {.text = text, .n = n, .doc = doc, .error = error};
    /* A vocabulary file has a node every 15 bytes or so; others may be one string. */
    bool room = QTF_GROW(doc->nodes, doc->nodes_capacity, n < 16u << 20 ? n / 14 + 1 : 1u << 20);
    qtf_status status = room ? read_document(&r) : QTF_NO_MEMORY;
    if (status != QTF_OK) {
        qtf_json_free(doc);
    }
    return status;
}

void qtf_json_free(qtf_json *doc) {
    free(doc->nodes);
    free(doc->unescaped);
    *doc = (qtf_json){0};
}

bool qtf_json_is(const qtf_json *doc, uint32_t node, const char *string) {
    const qtf_json_node *found = &doc->nodes[node];
    return found->type == QTF_JSON_STRING && found->length == strlen(string) &&
           memcmp(qtf_json_text(doc, node), string, found->length) == 0;
}

uint32_t qtf_json_get(const qtf_json *doc, uint32_t node, const char *name) {
    uint32_t value = 0;
    if (doc->nodes[node].type != QTF_JSON_OBJECT) {
        return 0;
    }
    for (uint32_t i = node + 1; i < doc->nodes[node].next; i = doc->nodes[i + 1].next) {
        if (qtf_json_is(doc, i, name)) {
            value = i + 1;
        }
    }
    return value;
}

bool qtf_json_index(const qtf_json *doc, uint32_t node, uint32_t limit, uint32_t *value) {
    const qtf_json_node *found = &doc->nodes[node];
    uint64_t number = 0;
    if (found->type != QTF_JSON_NUMBER || found->length > 10) {
        return false;
    }
    for (uint32_t i = 0; i < found->length; i++) {
        char c = doc->text[found->start + i];
        if (!is_digit(c)) {
            return false;
        }
        number = number * 10 + (uint64_t)(c - '0');
    }
    *value = (uint32_t)number;
    return number < limit;
}

const char *qtf_json_kind(const qtf_json *doc, uint32_t node) {
    static const char *const kinds[] = {"null",     "false",    "true",     "a number",
                                        "a string", "an array", "an object"};
    return kinds[doc->nodes[node].type];
}
