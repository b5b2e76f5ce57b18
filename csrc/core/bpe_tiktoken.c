/* Builds a tokenizer from a tiktoken file, whose ranks imply the merges. */
#include <stdlib.h>
#include <string.h>

#include "core/bpe_tokenizer.h"
#include "core/grow.h"

typedef struct {
    const char *text;
    size_t i, n, line;
    uint8_t *bytes; /* the token of the line */
    size_t bytes_capacity, length;
    qtf_error *error;
} reader;

static qtf_status fail(const reader *r, const char *what) {
    return qtf_fail(r->error, QTF_BAD_DATA, "line %zu %s, expected a token in base64 and its rank",
                    r->line, what);
}

static int sextet(char c) {
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static qtf_status read_base64(reader *r) {
    uint32_t bits = 0;
    int n_bits = 0, value;
    size_t start = r->i;
    r->length = 0;
    for (; r->i < r->n && (value = sextet(r->text[r->i])) >= 0; r->i++) {
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            if (!QTF_GROW(r->bytes, r->bytes_capacity, r->length + 1)) {
                return QTF_NO_MEMORY;
            }
            r->bytes[r->length++] = (uint8_t)(bits >> n_bits);
        }
    }
    while (r->i < r->n && r->text[r->i] == '=') {
        r->i++;
    }
    return (r->i - start) % 4 == 0 && r->length > 0 ? QTF_OK : fail(r, "has broken base64");
}

static qtf_status read_rank(reader *r, uint32_t *rank) {
    uint64_t value = 0;
    size_t start;
    if (r->i >= r->n || r->text[r->i++] != ' ') {
        return fail(r, "has no space");
    }
    for (start = r->i; r->i < r->n && r->text[r->i] >= '0' && r->text[r->i] <= '9'; r->i++) {
        value = value * 10 + (uint64_t)(r->text[r->i] - '0');
        if (value >= QTF_BPE_LIMIT) {
            return fail(r, "has too large a rank");
        }
    }
    if (r->i == start) {
        return fail(r, "has no rank");
    }
    r->i += r->i < r->n && r->text[r->i] == '\r';
    if (r->i < r->n && r->text[r->i] != '\n') {
        return fail(r, "goes on after its rank");
    }
    r->i++;
    *rank = (uint32_t)value;
    return QTF_OK;
}

static qtf_status read_tokens(reader *r, qtf_bpe *bpe) {
    qtf_status status = QTF_OK;
    while (r->i < r->n && status == QTF_OK) {
        uint32_t rank = 0;
        r->line++;
        status = read_base64(r);
        if (status == QTF_OK) {
            status = read_rank(r, &rank);
        }
        if (status == QTF_OK) {
            status = qtf_bpe_add_token(bpe, rank, r->bytes, r->length, QTF_TOKEN_TEXT, r->error);
        }
    }
    return status;
}

static qtf_status add_merges(qtf_bpe *bpe, qtf_error *error) {
    qtf_status status = QTF_OK;
    for (uint32_t id = 0; id < bpe->n_ids && status == QTF_OK; id++) {
        status = qtf_bpe_has(bpe, id) ? qtf_bpe_add_cuts(bpe, id, id, error) : QTF_OK;
    }
    return status;
}

qtf_status qtf_tokenizer_from_tiktoken(const char *text, size_t n, qtf_split split,
                                       qtf_tokenizer **tokenizer, qtf_error *error) {
    reader r = {.text = text, .n = n, .error = error};
    qtf_tokenizer *t = calloc(1, sizeof *t);
    if (!t) {
        return QTF_NO_MEMORY;
    }
    atomic_flag_clear(&t->lock);
    t->splits[t->n_splits++] = split;
    qtf_status status = qtf_bpe_init(&t->bpe, n / 12, n / 6);
    t->bpe.ignore_merges = true;
    if (status == QTF_OK) {
        status = read_tokens(&r, &t->bpe);
    }
    if (status == QTF_OK && t->bpe.n_tokens == 0) {
        r.line = 1;
        status = fail(&r, "is missing");
    }
    t->n_model = t->bpe.n_tokens;
    if (status == QTF_OK) {
        status = add_merges(&t->bpe, error);
    }
    if (status == QTF_OK) {
        status = qtf_tokenizer_finish(t, error);
    }
    free(r.bytes);
    if (status != QTF_OK) {
        qtf_tokenizer_free(t);
        return status;
    }
    *tokenizer = t;
    return QTF_OK;
}
