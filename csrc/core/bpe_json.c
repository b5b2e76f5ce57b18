/* Builds a tokenizer from tokenizer.json. What it does not know it refuses by name. */
#include "core/bpe_json.h"

#include <stdlib.h>
#include <string.h>

qtf_status qtf_unsupported(const qtf_builder *b, const char *what, uint32_t node,
                           const char *supported) {
    uint32_t type = qtf_json_get(b->doc, node, "type");
    if (type && b->doc->nodes[type].type == QTF_JSON_STRING) {
        return qtf_fail(b->error, QTF_UNSUPPORTED, "%s \"%.*s\" is not supported; %s", what,
                        QTF_SHOWN(b, type), supported);
    }
    return qtf_fail(b->error, QTF_BAD_DATA, "%s is %s, expected an object with a \"type\"", what,
                    qtf_json_kind(b->doc, node));
}

bool qtf_has_type(const qtf_builder *b, uint32_t node, const char *type) {
    uint32_t found = qtf_json_get(b->doc, node, "type");
    return found && qtf_json_is(b->doc, found, type);
}

typedef qtf_status (*read_part)(qtf_builder *b, uint32_t node);

/* Read a part that may be null, itself, or a Sequence of parts under `list`; Sequences don't nest.
 */
static qtf_status read_sequence(qtf_builder *b, uint32_t node, const char *list, read_part read) {
    if (qtf_is_null(b, node)) {
        return QTF_OK;
    }
    if (!qtf_has_type(b, node, "Sequence")) {
        return read(b, node);
    }
    const qtf_json_node *nodes = b->doc->nodes;
    uint32_t array = qtf_json_get(b->doc, node, list);
    qtf_status status = QTF_OK;
    if (array == 0 || nodes[array].type != QTF_JSON_ARRAY) {
        return qtf_fail(b->error, QTF_BAD_DATA, "a Sequence lacks its array \"%s\"", list);
    }
    for (uint32_t i = array + 1; i < nodes[array].next && status == QTF_OK; i = nodes[i].next) {
        status = read(b, i);
    }
    return status;
}

static qtf_status read_normalizer(qtf_builder *b, uint32_t node) {
    if (b->tokenizer->bpe.characters) {
        return qtf_read_space_normalizer(b, node);
    }
    if (!qtf_has_type(b, node, "NFC")) {
        return qtf_unsupported(b, "normalizer", node, "NFC and none are");
    }
    b->tokenizer->nfc = true;
    return QTF_OK;
}

static qtf_status push_split(qtf_builder *b, qtf_split split) {
    if (b->tokenizer->n_splits == QTF_MAX_SPLITS) {
        return qtf_fail(b->error, QTF_UNSUPPORTED, "pre_tokenizer has more than %d splits",
                        QTF_MAX_SPLITS);
    }
    b->tokenizer->splits[b->tokenizer->n_splits++] = split;
    return QTF_OK;
}

static qtf_status read_byte_level(qtf_builder *b, uint32_t node) {
    bool use_regex;
    qtf_status status = qtf_read_bool(b, node, "use_regex", true, &use_regex);
    if (status == QTF_OK) {
        status = qtf_read_bool(b, node, "add_prefix_space", true, &b->tokenizer->prefix_space);
    }
    b->byte_level = true;
    b->tokenizer->prefix_level = b->tokenizer->n_splits;
    return status == QTF_OK && use_regex ? push_split(b, QTF_SPLIT_GPT2) : status;
}

static qtf_status read_split(qtf_builder *b, uint32_t node) {
    uint32_t pattern = qtf_json_get(b->doc, node, "pattern");
    uint32_t regex = pattern ? qtf_json_get(b->doc, pattern, "Regex") : 0;
    uint32_t behavior = qtf_json_get(b->doc, node, "behavior");
    bool invert;
    qtf_split split;
    if (regex == 0 || b->doc->nodes[regex].type != QTF_JSON_STRING) {
        return qtf_fail(b->error, QTF_UNSUPPORTED,
                        "a Split pre_tokenizer without a \"Regex\" pattern is not supported");
    }
    if (!qtf_split_find(qtf_text_of(b, regex), b->doc->nodes[regex].length, &split)) {
        return qtf_fail(
            b->error, QTF_UNSUPPORTED, "the split pattern is not one of those known: %.*s",
            (int)(b->doc->nodes[regex].length < 200 ? b->doc->nodes[regex].length : 200),
            qtf_text_of(b, regex));
    }
    qtf_status status = qtf_read_bool(b, node, "invert", false, &invert);
    if (status != QTF_OK) {
        return status;
    }
    /* Where matches leave nothing between them, keeping only them is the same as isolating. */
    bool isolated = behavior && qtf_json_is(b->doc, behavior, "Isolated") && !invert;
    bool kept = behavior && qtf_json_is(b->doc, behavior, "Removed") && invert;
    kept = kept && qtf_split_covers(split);
    return isolated || kept
               ? push_split(b, split)
               : qtf_fail(b->error, QTF_UNSUPPORTED,
                          "a Split pre_tokenizer is supported with behavior \"Isolated\" only");
}

static qtf_status read_digits(qtf_builder *b, uint32_t node) {
    bool individual;
    qtf_status status = qtf_read_bool(b, node, "individual_digits", false, &individual);
    return status == QTF_OK ? push_split(b, individual ? QTF_SPLIT_DIGIT : QTF_SPLIT_DIGITS)
                            : status;
}

static qtf_status read_pre_tokenizer(qtf_builder *b, uint32_t node) {
    if (b->tokenizer->bpe.characters) {
        return qtf_read_space_pre_tokenizer(b, node);
    }
    if (b->byte_level) {
        return qtf_fail(b->error, QTF_UNSUPPORTED, "ByteLevel is not the last pre_tokenizer");
    }
    if (qtf_has_type(b, node, "ByteLevel")) {
        return read_byte_level(b, node);
    }
    if (qtf_has_type(b, node, "Split")) {
        return read_split(b, node);
    }
    if (qtf_has_type(b, node, "Digits")) {
        return read_digits(b, node);
    }
    return qtf_unsupported(b, "pre_tokenizer", node, "Split, Digits and ByteLevel are");
}

/* Append the ids of the special token that a template names. */
static qtf_status read_template_token(qtf_builder *b, uint32_t special, uint32_t name,
                                      uint32_t *list, int *n) {
    const qtf_json_node *nodes = b->doc->nodes;
    uint32_t found = 0;
    for (uint32_t i = special + 1; name && special && i < nodes[special].next;
         i = nodes[i + 1].next) {
        if (nodes[i].length == nodes[name].length && nodes[name].type == QTF_JSON_STRING &&
            memcmp(qtf_text_of(b, i), qtf_text_of(b, name), nodes[i].length) == 0) {
            found = qtf_json_get(b->doc, i + 1, "ids");
        }
    }
    if (found == 0 || nodes[found].type != QTF_JSON_ARRAY) {
        return qtf_fail(b->error, QTF_BAD_DATA,
                        "TemplateProcessing uses a token that its special_tokens don't give ids");
    }
    for (uint32_t i = found + 1; i < nodes[found].next; i = nodes[i].next) {
        uint32_t id;
        if (*n == QTF_MAX_TEMPLATE || !qtf_json_index(b->doc, i, QTF_BPE_LIMIT, &id) ||
            !qtf_bpe_has(&b->tokenizer->bpe, id)) {
            return qtf_fail(b->error, QTF_BAD_DATA,
                            "TemplateProcessing has an id that is not in the vocabulary, or more "
                            "than %d ids",
                            QTF_MAX_TEMPLATE);
        }
        list[(*n)++] = id;
    }
    return QTF_OK;
}

static qtf_status read_template(qtf_builder *b, uint32_t node) {
    const qtf_json_node *nodes = b->doc->nodes;
    qtf_tokenizer *t = b->tokenizer;
    uint32_t single = qtf_json_get(b->doc, node, "single");
    uint32_t special = qtf_json_get(b->doc, node, "special_tokens");
    bool behind = false;
    qtf_status status = QTF_OK;
    if (single == 0 || nodes[single].type != QTF_JSON_ARRAY ||
        (special && nodes[special].type != QTF_JSON_OBJECT)) {
        return qtf_fail(b->error, QTF_BAD_DATA, "TemplateProcessing lacks its array \"single\"");
    }
    for (uint32_t i = single + 1; i < nodes[single].next && status == QTF_OK; i = nodes[i].next) {
        uint32_t token = qtf_json_get(b->doc, i, "SpecialToken");
        if (token) {
            status = read_template_token(b, special, qtf_json_get(b->doc, token, "id"),
                                         behind ? t->behind : t->before,
                                         behind ? &t->n_behind : &t->n_before);
        } else if (qtf_json_get(b->doc, i, "Sequence") && !behind) {
            behind = true;
        } else {
            status = qtf_fail(b->error, QTF_UNSUPPORTED,
                              "TemplateProcessing with a text taken twice is not supported");
        }
    }
    return status;
}

static qtf_status read_post_processor(qtf_builder *b, uint32_t node) {
    if (qtf_has_type(b, node, "TemplateProcessing")) {
        return read_template(b, node);
    }
    if (!qtf_has_type(b, node, "ByteLevel") || b->tokenizer->bpe.characters) {
        return qtf_unsupported(b, "post_processor", node, "ByteLevel and TemplateProcessing are");
    }
    qtf_status status =
        qtf_read_bool(b, node, "add_prefix_space", true, &b->tokenizer->trim_prefix);
    return status == QTF_OK
               ? qtf_read_bool(b, node, "trim_offsets", true, &b->tokenizer->trim_offsets)
               : status;
}

static qtf_status read_decoder(qtf_builder *b, uint32_t node) {
    if (b->tokenizer->bpe.characters) {
        return qtf_read_space_decoder(b, node);
    }
    return qtf_has_type(b, node, "ByteLevel") ? QTF_OK
                                              : qtf_unsupported(b, "decoder", node, "ByteLevel is");
}

static qtf_status check_parts(const qtf_builder *b) {
    if (b->tokenizer->bpe.characters) {
        return qtf_check_space_parts(b);
    }
    return b->byte_level ? QTF_OK
                         : qtf_fail(b->error, QTF_UNSUPPORTED,
                                    "pre_tokenizer has no ByteLevel; byte-level BPE is supported, "
                                    "and BPE with model.byte_fallback");
}

static qtf_status read_root(qtf_builder *b) {
    const qtf_json *doc = b->doc;
    static const char *const none[] = {"truncation", "padding"};
    for (size_t i = 0; i < 2; i++) {
        if (!qtf_is_null(b, qtf_json_get(doc, 0, none[i]))) {
            return qtf_fail(b->error, QTF_UNSUPPORTED, "%s is set, expected null", none[i]);
        }
    }
    static const struct {
        const char *name, *list;
        read_part read;
    } parts[] = {{"normalizer", "normalizers", read_normalizer},
                 {"pre_tokenizer", "pretokenizers", read_pre_tokenizer},
                 {"decoder", "decoders", read_decoder}};
    qtf_status status = qtf_read_model(b, qtf_json_get(doc, 0, "model"));
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == QTF_OK; i++) {
        status =
            read_sequence(b, qtf_json_get(doc, 0, parts[i].name), parts[i].list, parts[i].read);
    }
    if (status == QTF_OK) {
        status = check_parts(b);
    }
    b->tokenizer->n_model = b->tokenizer->bpe.n_tokens;
    if (status == QTF_OK) {
        status = qtf_read_added(b, qtf_json_get(doc, 0, "added_tokens"));
    }
    /* A template may name added tokens. */
    return status == QTF_OK ? read_sequence(b, qtf_json_get(doc, 0, "post_processor"), "processors",
                                            read_post_processor)
                            : status;
}

qtf_status qtf_tokenizer_from_json(const char *json, size_t n, qtf_tokenizer **tokenizer,
                                   qtf_error *error) {
    qtf_json doc = {0};
    qtf_builder b = {.doc = &doc, .error = error};
    qtf_status status = qtf_json_parse(json, n, &doc, error);
    if (status == QTF_OK) {
        b.tokenizer = calloc(1, sizeof *b.tokenizer);
        status = b.tokenizer ? QTF_OK : QTF_NO_MEMORY;
    }
    if (status == QTF_OK) {
        atomic_flag_clear(&b.tokenizer->lock);
        status = read_root(&b);
    }
    if (status == QTF_OK) {
        status = qtf_tokenizer_finish(b.tokenizer, error);
    }
    qtf_json_free(&doc);
    free(b.bytes);
    if (status != QTF_OK) {
        qtf_tokenizer_free(b.tokenizer);
        return status;
    }
    *tokenizer = b.tokenizer;
    return QTF_OK;
}
