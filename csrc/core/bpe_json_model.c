/* The vocabulary, merges and added tokens of a tokenizer.json. */
#include "core/bpe_json.h"

#include <string.h>

#include "core/bpe_metaspace.h"
#include "core/bpe_spelling.h"
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

/*
 * Tokens are read a block at a time: spelled out first, then their places in the tables fetched
 * ahead, then entered. The tables are larger than the caches, and one miss at a time would be most
 * of the time a load takes.
 */
enum { BLOCK = 32 };

typedef struct {
    size_t start, n; /* the decoded token in b->bytes */
    qtf_token_kind kind;
    uint32_t id;
    uint64_t hash;
} entry;

/* Decode a string behind the others of its block. */
static qtf_status decode_entry(qtf_builder *b, const char *text, size_t n, size_t *used,
                               entry *token) {
    if (!QTF_GROW(b->bytes, b->bytes_capacity, *used + n + 1)) {
        return QTF_NO_MEMORY;
    }
    uint8_t *bytes = b->bytes + *used;
    token->start = *used;
    token->kind =
        qtf_spelling_read(b->tokenizer->bpe.characters, (const uint8_t *)text, n, bytes, &token->n);
    if (b->tokenizer->bpe.characters && token->kind == QTF_TOKEN_LITERAL &&
        qtf_metaspace_has_mark(bytes, n)) {
        return qtf_fail(b->error, QTF_UNSUPPORTED,
                        "token \"%.*s\" has both a space and its mark, which is not supported",
                        (int)(n < 80 ? n : 80), text);
    }
    token->hash = qtf_bpe_hash(bytes, token->n, token->kind);
    *used += token->n;
    return QTF_OK;
}

static qtf_status add_block(qtf_builder *b, const entry *block, int n) {
    qtf_bpe *bpe = &b->tokenizer->bpe;
    qtf_status status = QTF_OK;
    for (int i = 0; i < n; i++) {
        qtf_bpe_prefetch_slot(bpe, block[i].hash);
    }
    for (int i = 0; i < n && status == QTF_OK; i++) {
        status = qtf_bpe_add_token_hashed(bpe, block[i].id, b->bytes + block[i].start, block[i].n,
                                          block[i].kind, block[i].hash, b->error);
    }
    return status;
}

static qtf_status read_vocab(qtf_builder *b, uint32_t vocab) {
    const qtf_json_node *nodes = b->doc->nodes;
    entry block[BLOCK];
    size_t used = 0;
    int n = 0;
    qtf_status status = QTF_OK;
    for (uint32_t i = vocab + 1; i < nodes[vocab].next && status == QTF_OK; i = nodes[i + 1].next) {
        if (!qtf_json_index(b->doc, i + 1, UINT32_MAX, &block[n].id)) {
            return qtf_fail(b->error, QTF_BAD_DATA,
                            "the id of token \"%.*s\" is %s, expected a non-negative integer",
                            QTF_SHOWN(b, i), qtf_json_kind(b->doc, i + 1));
        }
        status = decode_entry(b, qtf_text_of(b, i), nodes[i].length, &used, &block[n]);
        if (++n == BLOCK && status == QTF_OK) {
            status = add_block(b, block, n);
            n = 0;
            used = 0;
        }
    }
    return status == QTF_OK ? add_block(b, block, n) : status;
}

/* Cut a merge, "left right" or ["left", "right"], and decode both. */
static qtf_status decode_merge(qtf_builder *b, uint32_t node, uint32_t rank, size_t *used,
                               entry pair[2]) {
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
    qtf_status status = decode_entry(b, left, n_left, used, &pair[0]);
    return status == QTF_OK ? decode_entry(b, right, n_right, used, &pair[1]) : status;
}

static qtf_status unknown_token(const qtf_builder *b, const entry *token, uint32_t rank) {
    char spelled[3 * 80 + 6];
    size_t n =
        qtf_spelling_write(b->tokenizer->bpe.characters, token->kind, b->bytes + token->start,
                           token->n < 80 ? token->n : 80, (uint8_t *)spelled);
    return qtf_fail(b->error, QTF_BAD_DATA,
                    "merge %u names the token \"%.*s\", which is not in the vocabulary", rank,
                    (int)n, spelled);
}

/* Enter n merges, the first of which has this rank. */
static qtf_status add_merges(qtf_builder *b, entry (*block)[2], uint32_t n, uint32_t rank) {
    qtf_bpe *bpe = &b->tokenizer->bpe;
    entry *tokens = block[0];
    for (uint32_t i = 0; i < 2 * n; i++) {
        qtf_bpe_prefetch_slot(bpe, tokens[i].hash);
    }
    for (uint32_t i = 0; i < 2 * n; i++) {
        qtf_bpe_prefetch_token(bpe, tokens[i].hash);
    }
    for (uint32_t i = 0; i < 2 * n; i++) {
        tokens[i].id = qtf_bpe_find_hashed(bpe, b->bytes + tokens[i].start, tokens[i].n,
                                           tokens[i].kind, tokens[i].hash);
        if (tokens[i].id == QTF_BPE_NONE) {
            return unknown_token(b, &tokens[i], rank + i / 2);
        }
        if (i & 1) {
            qtf_bpe_prefetch_merge(bpe, tokens[i - 1].id, tokens[i].id);
        }
    }
    qtf_status status = QTF_OK;
    for (uint32_t i = 0; i < n && status == QTF_OK; i++) {
        uint32_t hint = rank + i ? bpe->merged[rank + i - 1] + 1 : 0;
        status = qtf_bpe_add_merge(bpe, block[i][0].id, block[i][1].id, rank + i, hint, b->error);
    }
    return status;
}

static qtf_status read_merges(qtf_builder *b, uint32_t merges) {
    const qtf_json_node *nodes = b->doc->nodes;
    entry block[BLOCK][2];
    size_t used = 0;
    uint32_t n = 0, rank = 0;
    qtf_status status = QTF_OK;
    for (uint32_t i = merges + 1; i < nodes[merges].next && status == QTF_OK; i = nodes[i].next) {
        status = decode_merge(b, i, rank + n, &used, block[n]);
        if (++n == BLOCK && status == QTF_OK) {
            status = add_merges(b, block, n, rank);
            rank += n;
            n = 0;
            used = 0;
        }
    }
    return status == QTF_OK ? add_merges(b, block, n, rank) : status;
}

/*
 * Instead of merges: a rank for each id, null for those that no merge makes. So SentencePiece has
 * it, by scores: any two tokens merge that are a token together, and of equals the leftmost first.
 */
static qtf_status read_ranks(qtf_builder *b, uint32_t ranks) {
    const qtf_json_node *nodes = b->doc->nodes;
    qtf_bpe *bpe = &b->tokenizer->bpe;
    uint32_t id = 0;
    qtf_status status = QTF_OK;
    for (uint32_t i = ranks + 1; i < nodes[ranks].next && status == QTF_OK; i = nodes[i].next) {
        uint32_t rank;
        if (!qtf_is_null(b, i)) {
            if (!qtf_json_index(b->doc, i, QTF_BPE_LIMIT - 1, &rank) || !qtf_bpe_has(bpe, id)) {
                return qtf_fail(b->error, QTF_BAD_DATA,
                                "model.ranks has %s for id %u, expected an integer less than %u "
                                "for an id of model.vocab",
                                qtf_json_kind(b->doc, i), id, QTF_BPE_LIMIT - 1);
            }
            status = qtf_bpe_add_cuts(bpe, id, rank, b->error);
        }
        id++;
    }
    return status;
}

static qtf_status check_model(const qtf_builder *b, uint32_t model, bool byte_fallback) {
    static const char *const empty[] = {"dropout", "continuing_subword_prefix",
                                        "end_of_word_suffix", "unk_token"};
    /* With a token for every byte nothing is unknown, whatever stands for that. */
    for (size_t i = 0; i < (byte_fallback ? 3 : 4); i++) {
        uint32_t node = qtf_json_get(b->doc, model, empty[i]);
        if (!qtf_is_null(b, node) && !qtf_json_is(b->doc, node, "")) {
            return qtf_fail(b->error, QTF_UNSUPPORTED,
                            "model.%s is set; BPE without it is supported", empty[i]);
        }
    }
    return QTF_OK;
}

qtf_status qtf_read_model(qtf_builder *b, uint32_t model) {
    const qtf_json *doc = b->doc;
    uint32_t vocab = qtf_json_get(doc, model, "vocab");
    uint32_t merges = qtf_json_get(doc, model, "merges");
    uint32_t type = qtf_json_get(doc, model, "type");
    uint32_t ranks = qtf_json_get(doc, model, "ranks");
    if (doc->nodes[model].type != QTF_JSON_OBJECT || model == 0) {
        return qtf_fail(b->error, QTF_BAD_DATA, "tokenizer.json has no object \"model\"");
    }
    if (!qtf_is_null(b, type) && !qtf_json_is(doc, type, "BPE")) {
        return qtf_fail(b->error, QTF_UNSUPPORTED, "model.type is \"%.*s\"; \"BPE\" is supported",
                        QTF_SHOWN(b, type));
    }
    if (vocab == 0 || doc->nodes[vocab].type != QTF_JSON_OBJECT || merges == 0 ||
        doc->nodes[merges].type != QTF_JSON_ARRAY) {
        return qtf_fail(b->error, QTF_BAD_DATA,
                        "model has no object \"vocab\" or no array \"merges\", expected both");
    }
    bool byte_fallback;
    qtf_status status = qtf_read_bool(b, model, "byte_fallback", false, &byte_fallback);
    if (status == QTF_OK) {
        status = check_model(b, model, byte_fallback);
    }
    if (status == QTF_OK) {
        status =
            qtf_bpe_init(&b->tokenizer->bpe, doc->nodes[vocab].length, doc->nodes[merges].length);
    }
    b->tokenizer->bpe.characters = byte_fallback;
    if (status == QTF_OK) {
        status = qtf_read_bool(b, model, "ignore_merges", false, &b->tokenizer->bpe.ignore_merges);
    }
    if (status == QTF_OK) {
        status = read_vocab(b, vocab);
    }
    if (status == QTF_OK) {
        status = read_merges(b, merges);
    }
    if (status != QTF_OK || qtf_is_null(b, ranks)) {
        return status;
    }
    if (doc->nodes[ranks].type != QTF_JSON_ARRAY || doc->nodes[merges].length) {
        return qtf_fail(b->error, QTF_BAD_DATA,
                        "model.ranks is %s beside %u merges, expected an array beside none",
                        qtf_json_kind(doc, ranks), doc->nodes[merges].length);
    }
    return read_ranks(b, ranks);
}

/* Put into `normal` what an added token is in normalised texts; nothing where it stays the same. */
static qtf_status normalise_added(const qtf_builder *b, const qtf_added_token *token,
                                  uint32_t content, qtf_nfc *normal) {
    const qtf_tokenizer *t = b->tokenizer;
    const uint8_t *text = (const uint8_t *)qtf_text_of(b, content);
    size_t n = b->doc->nodes[content].length;
    if (!t->bpe.characters) {
        return t->nfc ? qtf_nfc_normalise(text, n, normal) : QTF_OK;
    }
    /* Texts are searched with their spaces for marks here, and with one or the other elsewhere. */
    bool spaced = memchr(text, ' ', n) || qtf_metaspace_has_mark(text, n);
    if (token->lstrip || token->rstrip || (spaced && !b->replaced)) {
        return qtf_fail(b->error, QTF_UNSUPPORTED,
                        "added token \"%.*s\" is \"normalized\" and %s, which is not supported",
                        QTF_SHOWN(b, content),
                        spaced && !b->replaced ? "has a space" : "takes the spaces beside it");
    }
    return qtf_metaspace_normalise(text, n, t->prepend, normal);
}

static qtf_status read_added_token(qtf_builder *b, uint32_t node) {
    const qtf_json *doc = b->doc;
    qtf_added_token token = {0};
    uint32_t content = qtf_json_get(doc, node, "content");
    entry entered = {0};
    size_t used = 0;
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
    qtf_nfc normal = {0};
    if (status == QTF_OK && token.normalized) {
        status = normalise_added(b, &token, content, &normal);
    }
    if (status == QTF_OK && normal.n > 0 && !b->tokenizer->bpe.characters) {
        text = (const char *)normal.text;
        n = normal.n;
    }
    if (status == QTF_OK) {
        status = decode_entry(b, text, n, &used, &entered);
    }
    uint32_t known = QTF_BPE_NONE;
    if (status == QTF_OK) {
        known = qtf_bpe_find(&b->tokenizer->bpe, b->bytes, entered.n, entered.kind);
    }
    if (status == QTF_OK && known == QTF_BPE_NONE) {
        entered.id = token.id;
        status = add_block(b, &entered, 1);
    } else if (status == QTF_OK && known != token.id) {
        status = qtf_fail(b->error, QTF_BAD_DATA,
                          "added token \"%.*s\" has id %u, but the vocabulary gives it id %u",
                          QTF_SHOWN(b, content), token.id, known);
    }
    if (status == QTF_OK) {
        status = normal.n > 0
                     ? qtf_added_add(&b->tokenizer->added, &token, normal.text, normal.n)
                     : qtf_added_add(&b->tokenizer->added, &token, (const uint8_t *)text, n);
    }
    qtf_nfc_free(&normal);
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
