/* The tables of a BPE vocabulary: tokens as byte strings, merges as pairs of ids. */
#ifndef QTF_BPE_H
#define QTF_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define QTF_BPE_NONE UINT32_MAX
#define QTF_BPE_LIMIT (1u << 21) /* ids and ranks lie below: a merge packs into 64 bits */

/* What a token's bytes are; tokens of different kinds may have the same. */
typedef enum {
    QTF_TOKEN_TEXT,    /* text: its spelling, read in the vocabulary's alphabet */
    QTF_TOKEN_LITERAL, /* not spelled in that alphabet: its spelling as it stands */
    QTF_TOKEN_BYTE,    /* the byte of a byte-fallback token, spelled like <0x0A> */
} qtf_token_kind;

typedef struct {
    uint32_t start;  /* in bytes */
    uint32_t length; /* QTF_BPE_NONE: no token has this id */
    uint8_t kind;    /* a qtf_token_kind */
} qtf_bpe_token;

typedef struct {
    uint8_t *bytes; /* all tokens, end to end */
    size_t n_bytes, bytes_capacity;
    qtf_bpe_token *tokens; /* [n_ids] */
    size_t n_ids, tokens_capacity;
    size_t n_tokens;
    uint64_t *slots; /* id | tag << 32, open addressing */
    size_t slot_mask;
    uint32_t byte_id[256];     /* the token of each single byte, or QTF_BPE_NONE */
    uint32_t fallback_id[256]; /* the byte-fallback token of each byte, or QTF_BPE_NONE */
    uint64_t *merges;          /* left << 42 | right << 21 | rank, open addressing */
    size_t merge_mask, n_merges;
    uint32_t
        *merged; /* [rank] -> id of the merged token; QTF_BPE_NONE: pairs of that rank differ */
    size_t n_ranks, merged_capacity;
    uint32_t *byte_rank; /* [256 * 256] rank of merging two single bytes, or QTF_BPE_NONE */
    bool ignore_merges;  /* a word that is a token stays whole */
    bool characters;     /* merging starts from characters, or the bytes of one without a token */
} qtf_bpe;

/* Make an empty vocabulary with room for about n_tokens and n_merges. Errors: QTF_NO_MEMORY. */
qtf_status qtf_bpe_init(qtf_bpe *bpe, size_t n_tokens, size_t n_merges);

void qtf_bpe_free(qtf_bpe *bpe);

/* Add a token. QTF_BAD_DATA when the id is taken or too large, or the bytes are already a token. */
qtf_status qtf_bpe_add_token(qtf_bpe *bpe, uint32_t id, const uint8_t *bytes, size_t n,
                             qtf_token_kind kind, qtf_error *error);

/* The token of these bytes and this kind, or QTF_BPE_NONE. */
uint32_t qtf_bpe_find(const qtf_bpe *bpe, const uint8_t *bytes, size_t n, qtf_token_kind kind);

/* The hash of a token's bytes. The functions named _hashed take it instead of computing it. */
uint64_t qtf_bpe_hash(const uint8_t *bytes, size_t n, qtf_token_kind kind);

/* Fetch what lookups of this hash will look at: the slot; then, once that is there, the token. */
void qtf_bpe_prefetch_slot(const qtf_bpe *bpe, uint64_t hash);
void qtf_bpe_prefetch_token(const qtf_bpe *bpe, uint64_t hash);

qtf_status qtf_bpe_add_token_hashed(qtf_bpe *bpe, uint32_t id, const uint8_t *bytes, size_t n,
                                    qtf_token_kind kind, uint64_t hash, qtf_error *error);
uint32_t qtf_bpe_find_hashed(const qtf_bpe *bpe, const uint8_t *bytes, size_t n,
                             qtf_token_kind kind, uint64_t hash);

/* Fetch what qtf_bpe_add_merge will look at first. */
void qtf_bpe_prefetch_merge(const qtf_bpe *bpe, uint32_t left, uint32_t right);

/*
 * Let the tokens left and right merge, before all pairs of higher rank; of pairs of one rank the
 * leftmost in a word comes first. A pair given twice keeps its last rank. hint is the id the joined
 * token probably has. QTF_BAD_DATA when the two joined are not a token or the rank is too large.
 */
qtf_status qtf_bpe_add_merge(qtf_bpe *bpe, uint32_t left, uint32_t right, uint32_t rank,
                             uint32_t hint, qtf_error *error);

/*
 * Let any two tokens merge that are token id together, with this rank. Errors: as for
 * qtf_bpe_add_merge; QTF_UNSUPPORTED when the token has more than 256 bytes.
 */
qtf_status qtf_bpe_add_cuts(qtf_bpe *bpe, uint32_t id, uint32_t rank, qtf_error *error);

/* The token that two tokens joined are, by its text, for pairs whose rank doesn't tell. */
uint32_t qtf_bpe_joined(const qtf_bpe *bpe, uint32_t left, uint32_t right);

/* The rank of a pair, or QTF_BPE_NONE. */
static inline uint32_t qtf_bpe_rank(const qtf_bpe *bpe, uint32_t left, uint32_t right) {
    uint64_t key = (uint64_t)left << 21 | right;
    size_t slot = (key * 0x9E3779B97F4A7C15u >> 32) & bpe->merge_mask;
    for (;; slot = (slot + 1) & bpe->merge_mask) {
        uint64_t merge = bpe->merges[slot];
        if (merge >> 21 == key) {
            return (uint32_t)merge & (QTF_BPE_LIMIT - 1);
        }
        if (merge == UINT64_MAX) {
            return QTF_BPE_NONE;
        }
    }
}

static inline bool qtf_bpe_has(const qtf_bpe *bpe, uint32_t id) {
    return id < bpe->n_ids && bpe->tokens[id].length != QTF_BPE_NONE;
}

#endif
