/* The vocabulary, merges and added tokens of a tokenizer.json. */
#include "core/bpe_json.h"

#include <string.h>

#include "core/grow.h"
#include "core/unicode.h"

qtf_status qtf_read_bool(const qtf_builder *b, uint32_t object, const char *name, bool missing,
                         bool *value) {
    uint32_t node = qtf_json_get(b->doc, object, name);
    *value = missing;
    if (qtf_is_null(b, node)) {
        return QTF_OK;
    }
    uint32_t type = b->doc->nodes[node].type;
    *value = type == QTF_JSON_TRUE;
    return type == QTF_JSON_TRUE || type == QTF_JSON_FALSE
               ? QTF_OK
               : qtf_fail(b->error, QTF_BAD_DATA, "%s is %s, expected true or false", name,
                          qtf_json_kind(b->doc, node));
}

/* Decode a token's spelling into b->bytes; literal when it is not of the byte-level alphabet. */
static qtf_status decode_token(qtf_builder *b, const char *text, size_t n, size_t *length,
                               bool *literal) {
    if (!QTF_GROW(b->bytes, b->bytes_capacity, n + 1)) {
        return QTF_NO_MEMORY;
    }
    *length = qtf_bytelevel_decode((const uint8_t *)text, n, b->bytes);
    *literal = *length == SIZE_MAX;
    if (*literal) {
        memcpy(b->bytes, text, n);
        *length = n;
    }
    return QTF_OK;
}

static qtf_status find_token(qtf_builder *b, const char *text, size_t n, uint32_t *id) {
    size_t length;
    bool literal;
    qtf_status status = decode_token(b, text, n, &length, &literal);
    if (status == QTF_OK) {
        *id = qtf_bpe_find(&b->tokenizer->bpe, b->bytes, length, literal);
    }
    return status;
}

static qtf_status add_token(qtf_builder *b, const char *text, size_t n, uint32_t id) {
    size_t length;
    bool literal;
    qtf_status status = decode_token(b, text, n, &length, &literal);
    return status == QTF_OK
               ? qtf_bpe_add_token(&b->tokenizer->bpe, id, b->bytes, length, literal, b->error)
               : status;
}

static qtf_status read_vocab(qtf_builder *b, uint32_t vocab) {
    const qtf_json_node *nodes = b->doc->nodes;
    for (uint32_t i = vocab + 1; i < nodes[vocab].next; i = nodes[i + 1].next) {
        uint32_t id;
        if (!qtf_json_index(b->doc, i + 1, UINT32_MAX, &id)) {
            return qtf_fail(b->error, QTF_BAD_DATA,
                            "the id of token \"%.*s\" is %s, expected a non-negative integer",
                            QTF_SHOWN(b, i), qtf_json_kind(b->doc, i + 1));
        }
        qtf_status status = add_token(b, qtf_text_of(b, i), nodes[i].length, id);
        if (status != QTF_OK) {
            return status;
        }
    }
    return QTF_OK;
}

static qtf_status read_merge(qtf_builder *b, uint32_t node, uint32_t rank, uint32_t *joined) {
    const qtf_json_node *nodes = b->doc->nodes;
    const char *left = qtf_text_of(b, node), *right;
    size_t n_left, n_right;
    if (nodes[node].type == QTF_JSON_STRING) {
        const char *space = memchr(left, ' ', nodes[node].length);
        n_left = space ? (size_t)(space - left) : 0;
        right = left + n_left + 1;
        n_right = space ? nodes[node].length - n_left - 1 : 0;
        if (!space || memchr(right, ' ', n_right)) {
            return qtf_fail(b->error, QTF_BAD_DATA,
                            "merge %u is \"%.*s\", expected two tokens with a space between", rank,
                            QTF_SHOWN(b, node));
        }
    } else {
        if (nodes[node].type != QTF_JSON_ARRAY || nodes[node].length != 2 ||
            nodes[node + 1].type != QTF_JSON_STRING || nodes[node + 2].type != QTF_JSON_STRING) {
            return qtf_fail(b->error, QTF_BAD_DATA, "merge %u is %s, expected two tokens", rank,
                            qtf_json_kind(b->doc, node));
        }
        left = qtf_text_of(b, node + 1);
        n_left = nodes[node + 1].length;
        right = qtf_text_of(b, node + 2);
        n_right = nodes[node + 2].length;
    }
    uint32_t left_id, right_id;
    qtf_status status = find_token(b, left, n_left, &left_id);
    if (status == QTF_OK) {
        status = find_token(b, right, n_right, &right_id);
    }
    if (status != QTF_OK) {
        return status;
    }
    if (left_id == QTF_BPE_NONE || right_id == QTF_BPE_NONE) {
        bool first = left_id == QTF_BPE_NONE;
        size_t n = first ? n_left : n_right;
        return qtf_fail(b->error, QTF_BAD_DATA,
                        "merge %u names the token \"%.*s\", which is not in the vocabulary", rank,
                        (int)(n < 80 ? n : 80), first ? left : right);
    }
    status = qtf_bpe_add_merge(&b->tokenizer->bpe, left_id, right_id, rank, *joined + 1, b->error);
    if (status == QTF_OK) {
        *joined = b->tokenizer->bpe.merged[rank];
    }
    return status;
}

static qtf_status read_merges(qtf_builder *b, uint32_t merges) {
    const qtf_json_node *nodes = b->doc->nodes;
    uint32_t rank = 0, joined = 0;
    for (uint32_t i = merges + 1; i < nodes[merges].next; i = nodes[i].next) {
        qtf_status status = read_merge(b, i, rank++, &joined);
        if (status != QTF_OK) {
            return status;
        }
    }
    return QTF_OK;
}

/* Refuse options of the model that byte-level vocabularies leave empty. */
static qtf_status check_model(const qtf_builder *b, uint32_t model) {
    static const char *const empty[] = {"dropout", "unk_token", "continuing_subword_prefix",
                                        "end_of_word_suffix"};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        uint32_t node = qtf_json_get(b->doc, model, empty[i]);
        if (!qtf_is_null(b, node) && !qtf_json_is(b->doc, node, "")) {
            return qtf_fail(b->error, QTF_UNSUPPORTED,
                            "model.%s is set; byte-level BPE without it is supported", empty[i]);
        }
    }
    bool fallback;
    qtf_status status = qtf_read_bool(b, model, "byte_fallback", false, &fallback);
    if (status == QTF_OK && fallback) {
        status = qtf_fail(b->error, QTF_UNSUPPORTED,
                          "model.byte_fallback is true: this is a SentencePiece-like vocabulary; "
                          "byte-level BPE is supported");
    }
    return status;
}

qtf_status qtf_read_model(qtf_builder *b, uint32_t model) {
    const qtf_json *doc = b->doc;
    uint32_t vocab = qtf_json_get(doc, model, "vocab");
    uint32_t merges = qtf_json_get(doc, model, "merges");
    uint32_t type = qtf_json_get(doc, model, "type");
    if (doc->nodes[model].type != QTF_JSON_OBJECT || model == 0) {
        return qtf_fail(b->error, QTF_BAD_DATA, "tokenizer.json has no object \"model\"");
    }
    if (!qtf_is_null(b, type) && !qtf_json_is(doc, type, "BPE")) {
        return qtf_fail(b->error, QTF_UNSUPPORTED,
                        "model.type is \"%.*s\"; byte-level BPE (\"BPE\") is supported",
                        QTF_SHOWN(b, type));
    }
    if (vocab == 0 || doc->nodes[vocab].type != QTF_JSON_OBJECT || merges == 0 ||
        doc->nodes[merges].type != QTF_JSON_ARRAY) {
        return qtf_fail(b->error, QTF_BAD_DATA,
                        "model has no object \"vocab\" or no array \"merges\", expected both");
    }
    qtf_status status = check_model(b, model);
    if (status == QTF_OK) {
        status =
            qtf_bpe_init(&b->tokenizer->bpe, doc->nodes[vocab].length, doc->nodes[merges].length);
    }
    if (status == QTF_OK) {
        status = qtf_read_bool(b, model, "ignore_merges", false, &b->tokenizer->bpe.ignore_merges);
    }
    if (status == QTF_OK) {
        status = read_vocab(b, vocab);
    }
    return status == QTF_OK ? read_merges(b, merges) : status;
}

static qtf_status read_added_token(qtf_builder *b, uint32_t node) {
    const qtf_json *doc = b->doc;
    qtf_added_token token = {0};
    uint32_t content = qtf_json_get(doc, node, "content"), known;
    if (content == 0 || doc->nodes[content].type != QTF_JSON_STRING ||
        !qtf_json_index(doc, qtf_json_get(doc, node, "id"), UINT32_MAX, &token.id)) {
        return qtf_fail(b->error, QTF_BAD_DATA,
                        "an added token lacks a string \"content\" or an integer \"id\"");
    }
    if (doc->nodes[content].length == 0) {
        return QTF_OK;
    }
    struct {
        const char *name;
        bool *value, missing;
    } flags[] = {{"single_word", &token.single_word, false},
                 {"lstrip", &token.lstrip, false},
                 {"rstrip", &token.rstrip, false},
                 {"special", &token.special, false},
                 {"normalized", &token.normalized, true}};
    qtf_status status = QTF_OK;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0] && status == QTF_OK; i++) {
        status = qtf_read_bool(b, node, flags[i].name, flags[i].missing, flags[i].value);
    }
    const char *text = qtf_text_of(b, content);
    size_t n = doc->nodes[content].length;
    qtf_nfc nfc = {0};
    if (status == QTF_OK && token.normalized && b->tokenizer->nfc) {
        status = qtf_nfc_normalise((const uint8_t *)text, n, &nfc);
        text = (const char *)nfc.text;
        n = nfc.n;
    }
    if (status == QTF_OK) {
        status = find_token(b, text, n, &known);
    }
    if (status == QTF_OK && known == QTF_BPE_NONE) {
        status = add_token(b, text, n, token.id);
    } else if (status == QTF_OK && known != token.id) {
        status = qtf_fail(b->error, QTF_BAD_DATA,
                          "added token \"%.*s\" has id %u, but the vocabulary gives it id %u",
                          QTF_SHOWN(b, content), token.id, known);
    }
    if (status == QTF_OK) {
        status = qtf_added_add(&b->tokenizer->added, &token, (const uint8_t *)text, n);
    }
    qtf_nfc_free(&nfc);
    return status;
}

qtf_status qtf_read_added(qtf_builder *b, uint32_t array) {
    const qtf_json_node *nodes = b->doc->nodes;
    qtf_status status = QTF_OK;
    if (!qtf_is_null(b, array) && nodes[array].type != QTF_JSON_ARRAY) {
        return qtf_fail(b->error, QTF_BAD_DATA, "added_tokens is %s, expected an array",
                        qtf_json_kind(b->doc, array));
    }
    for (uint32_t i = array + 1; array && i < nodes[array].next && status == QTF_OK;
         i = nodes[i].next) {
        status = read_added_token(b, i);
    }
    return status;
}
