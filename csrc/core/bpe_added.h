/* Added tokens: strings that are found in a text before anything else is done to it. */
#ifndef QTF_BPE_ADDED_H
#define QTF_BPE_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

/* The flags of an added token, by their names in tokenizer.json. */
typedef struct {
    uint32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
} qtf_added_token;

/* A trie: node 0 is the root; edges are node << 8 | byte -> node, open addressing. */
typedef struct {
    uint64_t *edges;
    size_t edge_mask, n_edges;
    uint32_t *token; /* [n_nodes] index of the token that ends here, or UINT32_MAX */
    size_t n_nodes, token_capacity;
    bool first[256]; /* bytes that start a token */
} qtf_trie;

typedef struct {
    qtf_added_token *tokens;
    size_t n_tokens, tokens_capacity;
    qtf_trie raw, normalised; /* searched in the text as given, and after normalisation */
} qtf_added;

/* Add a token with its content, n >= 1 bytes (normalised ones: after normalisation). */
qtf_status qtf_added_add(qtf_added *added, const qtf_added_token *token, const uint8_t *content,
                         size_t n);

void qtf_added_free(qtf_added *added);

/* The token with this id, or NULL. */
const qtf_added_token *qtf_added_find(const qtf_added *added, uint32_t id);

/* A cut of a text: text[start, end), which is a token unless token is NULL. */
typedef struct {
    size_t start, end;
    const qtf_added_token *token;
} qtf_cut;

/* A walk over a text, from added token to added token. */
typedef struct {
    const qtf_added *added;
    const qtf_trie *trie;
    const uint8_t *text;
    size_t n, search, done; /* where to search on; up to where the cuts have been given out */
    bool plain;             /* special tokens count as text */
    qtf_cut pending;
} qtf_cutter;

/* Start a walk over valid UTF-8. */
qtf_cutter qtf_cutter_start(const qtf_added *added, bool normalised, bool plain,
                            const uint8_t *text, size_t n);

/* The next cut, left to right, without gaps; false at the end. */
bool qtf_cutter_next(qtf_cutter *cutter, qtf_cut *cut);

#endif
