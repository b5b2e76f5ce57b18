/* What the files share that build a tokenizer from tokenizer.json. */
#ifndef QTF_BPE_JSON_H
#define QTF_BPE_JSON_H

#include "core/bpe_tokenizer.h"
#include "core/json.h"

typedef struct {
    const qtf_json *doc;
    qtf_tokenizer *tokenizer;
    qtf_error *error;
    uint8_t *bytes; /* scratch for one decoded token */
    size_t bytes_capacity;
    bool byte_level; /* a ByteLevel pre-tokeniser was seen */
    bool replaced;   /* a Replace normaliser that marks spaces was seen */
    bool metaspace;  /* a Metaspace pre-tokeniser was seen */
    int n_decoders;  /* how many of the decoders for marked spaces were seen, in their order */
} qtf_builder;

static inline const char *qtf_text_of(const qtf_builder *b, uint32_t node) {
    return qtf_json_text(b->doc, node);
}

/* The arguments of "%.*s" for a string in a message: at most 80 bytes of it. */
#define QTF_SHOWN(b, node)                                                                         \
    (int)((b)->doc->nodes[node].length < 80 ? (b)->doc->nodes[node].length : 80),                  \
        qtf_text_of(b, node)

static inline bool qtf_is_null(const qtf_builder *b, uint32_t node) {
    return node == 0 || b->doc->nodes[node].type == QTF_JSON_NULL;
}

/* Read a member that must be true or false; `missing` when it is absent or null. */
qtf_status qtf_read_bool(const qtf_builder *b, uint32_t object, const char *name, bool missing,
                         bool *value);

bool qtf_has_type(const qtf_builder *b, uint32_t node, const char *type);

/* Fail with what stands where something else is supported. */
qtf_status qtf_unsupported(const qtf_builder *b, const char *what, uint32_t node,
                           const char *supported);

/*
 * Read a part of the pipeline round a model of characters: what turns spaces into marks, and marks
 * and byte tokens back into text.
 */
qtf_status qtf_read_space_normalizer(qtf_builder *b, uint32_t node);
qtf_status qtf_read_space_pre_tokenizer(qtf_builder *b, uint32_t node);
qtf_status qtf_read_space_decoder(qtf_builder *b, uint32_t node);

/* Whether the parts together are a pipeline that is known. */
qtf_status qtf_check_space_parts(const qtf_builder *b);

/* Read the vocabulary and merges of the node "model" into the tokenizer. */
qtf_status qtf_read_model(qtf_builder *b, uint32_t model);

/* Read the array "added_tokens"; the model and the normalizer must have been read. */
qtf_status qtf_read_added(qtf_builder *b, uint32_t array);

#endif
