#include "core/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "core/grow.h"

/* No id; the longest token whose cuts are merges, so that joining them takes no memory. */
enum { UNUSED_RANK = QTF_BPE_LIMIT, LONGEST_CUT = 256 };

static size_t power_of_two(size_t at_least) {
    size_t n = 64;
    while (n < at_least) {
        n *= 2;
    }
    return n;
}

static uint64_t load(const uint8_t *bytes, size_t n) {
    uint64_t word = 0;
    memcpy(&word, bytes, n);
    return word;
}

uint64_t qtf_bpe_hash(const uint8_t *bytes, size_t n, qtf_token_kind kind) {
    uint64_t h = n * 4 + kind;
    for (; n > 8; bytes += 8, n -= 8) {
        h = (h ^ load(bytes, 8)) * 0x9E3779B97F4A7C15u;
        h ^= h >> 32;
    }
    h = (h ^ load(bytes, n)) * 0x9E3779B97F4A7C15u;
    h ^= h >> 29;
    h *= 0xBF58476D1CE4E5B9u;
    return h ^ h >> 32;
}

static uint64_t *new_slots(size_t n) {
    uint64_t *slots = malloc(n * sizeof *slots);
    if (slots) {
        memset(slots, 0xFF, n * sizeof *slots);
    }
    return slots;
}

qtf_status qtf_bpe_init(qtf_bpe *bpe, size_t n_tokens, size_t n_merges) {
    *bpe = (qtf_bpe){0};
    size_t n_slots = power_of_two(n_tokens + n_tokens / 2);
    size_t n_pairs = power_of_two(n_merges + n_merges / 2);
    bpe->slots = new_slots(n_slots);
    bpe->merges = new_slots(n_pairs);
    bpe->byte_rank = malloc(256 * 256 * sizeof *bpe->byte_rank);
    if (!bpe->slots || !bpe->merges || !bpe->byte_rank ||
        !QTF_GROW(bpe->tokens, bpe->tokens_capacity, n_tokens) ||
        !QTF_GROW(bpe->merged, bpe->merged_capacity, n_merges)) {
        qtf_bpe_free(bpe);
        return QTF_NO_MEMORY;
    }
    bpe->slot_mask = n_slots - 1;
    bpe->merge_mask = n_pairs - 1;
    memset(bpe->byte_rank, 0xFF, 256 * 256 * sizeof *bpe->byte_rank);
    memset(bpe->byte_id, 0xFF, sizeof bpe->byte_id);
    memset(bpe->fallback_id, 0xFF, sizeof bpe->fallback_id);
    return QTF_OK;
}

void qtf_bpe_free(qtf_bpe *bpe) {
    free(bpe->bytes);
    free(bpe->tokens);
    free(bpe->slots);
    free(bpe->merges);
    free(bpe->merged);
    free(bpe->byte_rank);
    *bpe = (qtf_bpe){0};
}

/* The slot that holds these bytes, or the empty one where they belong. */
static size_t find_slot(const qtf_bpe *bpe, const uint8_t *bytes, size_t n, qtf_token_kind kind,
                        uint64_t hash) {
    size_t slot = hash & bpe->slot_mask;
    for (;; slot = (slot + 1) & bpe->slot_mask) {
        uint64_t found = bpe->slots[slot];
        if (found == UINT64_MAX) {
            return slot;
        }
        if (found >> 32 == hash >> 32) {
            const qtf_bpe_token *token = &bpe->tokens[(uint32_t)found];
            if (token->length == n && token->kind == kind &&
                memcmp(bpe->bytes + token->start, bytes, n) == 0) {
                return slot;
            }
        }
    }
}

uint32_t qtf_bpe_find_hashed(const qtf_bpe *bpe, const uint8_t *bytes, size_t n,
                             qtf_token_kind kind, uint64_t hash) {
    uint64_t found = bpe->slots[find_slot(bpe, bytes, n, kind, hash)];
    return found == UINT64_MAX ? QTF_BPE_NONE : (uint32_t)found;
}

uint32_t qtf_bpe_find(const qtf_bpe *bpe, const uint8_t *bytes, size_t n, qtf_token_kind kind) {
    if (n == 1 && kind == QTF_TOKEN_TEXT) {
        return bpe->byte_id[bytes[0]];
    }
    return qtf_bpe_find_hashed(bpe, bytes, n, kind, qtf_bpe_hash(bytes, n, kind));
}

void qtf_bpe_prefetch_slot(const qtf_bpe *bpe, uint64_t hash) {
    __builtin_prefetch(&bpe->slots[hash & bpe->slot_mask]);
}

void qtf_bpe_prefetch_token(const qtf_bpe *bpe, uint64_t hash) {
    uint64_t found = bpe->slots[hash & bpe->slot_mask];
    if (found != UINT64_MAX) {
        __builtin_prefetch(&bpe->tokens[(uint32_t)found]);
    }
}

void qtf_bpe_prefetch_merge(const qtf_bpe *bpe, uint32_t left, uint32_t right) {
    uint64_t key = (uint64_t)left << 21 | right;
    __builtin_prefetch(&bpe->merges[(key * 0x9E3779B97F4A7C15u >> 32) & bpe->merge_mask]);
}

static qtf_status grow_slots(qtf_bpe *bpe) {
    size_t n = (bpe->slot_mask + 1) * 2;
    uint64_t *slots = new_slots(n);
    if (!slots) {
        return QTF_NO_MEMORY;
    }
    free(bpe->slots);
    bpe->slots = slots;
    bpe->slot_mask = n - 1;
    for (uint32_t id = 0; id < bpe->n_ids; id++) {
        const qtf_bpe_token *token = &bpe->tokens[id];
        if (token->length != QTF_BPE_NONE) {
            const uint8_t *bytes = bpe->bytes + token->start;
            uint64_t hash = qtf_bpe_hash(bytes, token->length, token->kind);
            size_t slot = find_slot(bpe, bytes, token->length, token->kind, hash);
            slots[slot] = id | hash >> 32 << 32;
        }
    }
    return QTF_OK;
}

qtf_status qtf_bpe_add_token(qtf_bpe *bpe, uint32_t id, const uint8_t *bytes, size_t n,
                             qtf_token_kind kind, qtf_error *error) {
    uint64_t hash = qtf_bpe_hash(bytes, n, kind);
    return qtf_bpe_add_token_hashed(bpe, id, bytes, n, kind, hash, error);
}

qtf_status qtf_bpe_add_token_hashed(qtf_bpe *bpe, uint32_t id, const uint8_t *bytes, size_t n,
                                    qtf_token_kind kind, uint64_t hash, qtf_error *error) {
    if (id >= QTF_BPE_LIMIT) {
        return qtf_fail(error, QTF_BAD_DATA, "token id %u, expected less than %u", id,
                        QTF_BPE_LIMIT);
    }
    if (qtf_bpe_has(bpe, id)) {
        return qtf_fail(error, QTF_BAD_DATA, "the vocabulary gives id %u to two tokens", id);
    }
    if (n >= UINT32_MAX / 2 - bpe->n_bytes) {
        return qtf_fail(error, QTF_BAD_DATA, "the vocabulary's tokens exceed 2 GiB");
    }
    if (!QTF_GROW(bpe->bytes, bpe->bytes_capacity, bpe->n_bytes + n) ||
        !QTF_GROW(bpe->tokens, bpe->tokens_capacity, id + (size_t)1) ||
        ((bpe->n_tokens + 1) * 4 > (bpe->slot_mask + 1) * 3 && grow_slots(bpe) != QTF_OK)) {
        return QTF_NO_MEMORY;
    }
    size_t slot = find_slot(bpe, bytes, n, kind, hash);
    if (bpe->slots[slot] != UINT64_MAX) {
        return qtf_fail(error, QTF_BAD_DATA, "the vocabulary has the token of id %u again as id %u",
                        (uint32_t)bpe->slots[slot], id);
    }
    bpe->slots[slot] = id | hash >> 32 << 32;
    for (; bpe->n_ids <= id; bpe->n_ids++) {
        bpe->tokens[bpe->n_ids] = (qtf_bpe_token){.length = QTF_BPE_NONE};
    }
    bpe->tokens[id] = (qtf_bpe_token){(uint32_t)bpe->n_bytes, (uint32_t)n, (uint8_t)kind};
    if (n) {
        memcpy(bpe->bytes + bpe->n_bytes, bytes, n);
    }
    bpe->n_bytes += n;
    bpe->n_tokens++;
    if (n == 1 && kind == QTF_TOKEN_TEXT) {
        bpe->byte_id[bytes[0]] = id;
    } else if (kind == QTF_TOKEN_BYTE) {
        bpe->fallback_id[bytes[0]] = id;
    }
    return QTF_OK;
}

/* Whether token id is the bytes of left followed by those of right. */
static bool is_joined(const qtf_bpe *bpe, uint32_t id, const qtf_bpe_token *left,
                      const qtf_bpe_token *right) {
    if (!qtf_bpe_has(bpe, id)) {
        return false;
    }
    const qtf_bpe_token *token = &bpe->tokens[id];
    const uint8_t *bytes = bpe->bytes + token->start;
    return token->kind == QTF_TOKEN_TEXT && token->length == left->length + right->length &&
           memcmp(bytes, bpe->bytes + left->start, left->length) == 0 &&
           memcmp(bytes + left->length, bpe->bytes + right->start, right->length) == 0;
}

/* Find left + right; vocabularies list merged tokens in merge order, so try `guess` first. */
static qtf_status find_joined(const qtf_bpe *bpe, uint32_t left, uint32_t right, uint32_t guess,
                              uint32_t *id) {
    const qtf_bpe_token *l = &bpe->tokens[left], *r = &bpe->tokens[right];
    if (l->kind == QTF_TOKEN_BYTE || r->kind == QTF_TOKEN_BYTE) {
        *id = QTF_BPE_NONE; /* spelled like <0x0A>, which no token that is text begins with */
        return QTF_OK;
    }
    if (is_joined(bpe, guess, l, r)) {
        *id = guess;
        return QTF_OK;
    }
    size_t n = (size_t)l->length + r->length;
    uint8_t small[LONGEST_CUT], *joined = n <= sizeof small ? small : malloc(n);
    if (!joined) {
        return QTF_NO_MEMORY;
    }
    memcpy(joined, bpe->bytes + l->start, l->length);
    memcpy(joined + l->length, bpe->bytes + r->start, r->length);
    *id = qtf_bpe_find(bpe, joined, n, QTF_TOKEN_TEXT);
    if (joined != small) {
        free(joined);
    }
    return QTF_OK;
}

/* The slot of a pair, or the empty one where it belongs. */
static size_t merge_slot(const uint64_t *merges, size_t mask, uint64_t key) {
    size_t slot = (key * 0x9E3779B97F4A7C15u >> 32) & mask;
    while (merges[slot] != UINT64_MAX && merges[slot] >> 21 != key) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

static qtf_status grow_merges(qtf_bpe *bpe) {
    size_t n = (bpe->merge_mask + 1) * 2;
    uint64_t *merges = new_slots(n);
    if (!merges) {
        return QTF_NO_MEMORY;
    }
    for (size_t i = 0; i <= bpe->merge_mask; i++) {
        if (bpe->merges[i] != UINT64_MAX) {
            merges[merge_slot(merges, n - 1, bpe->merges[i] >> 21)] = bpe->merges[i];
        }
    }
    free(bpe->merges);
    bpe->merges = merges;
    bpe->merge_mask = n - 1;
    return QTF_OK;
}

qtf_status qtf_bpe_add_merge(qtf_bpe *bpe, uint32_t left, uint32_t right, uint32_t rank,
                             uint32_t hint, qtf_error *error) {
    if (rank >= QTF_BPE_LIMIT - 1) {
        return qtf_fail(error, QTF_BAD_DATA, "merge number %u, expected fewer than %u merges", rank,
                        QTF_BPE_LIMIT - 1);
    }
    if (!QTF_GROW(bpe->merged, bpe->merged_capacity, rank + (size_t)1) ||
        ((bpe->n_merges + 1) * 4 > (bpe->merge_mask + 1) * 3 && grow_merges(bpe) != QTF_OK)) {
        return QTF_NO_MEMORY;
    }
    uint32_t joined;
    qtf_status status = find_joined(bpe, left, right, hint, &joined);
    if (status != QTF_OK) {
        return status;
    }
    if (joined == QTF_BPE_NONE) {
        return qtf_fail(error, QTF_BAD_DATA,
                        "merge %u joins tokens %u and %u, but the joined token is not in the "
                        "vocabulary",
                        rank, left, right);
    }
    uint64_t key = (uint64_t)left << 21 | right;
    size_t slot = merge_slot(bpe->merges, bpe->merge_mask, key);
    bpe->n_merges += bpe->merges[slot] == UINT64_MAX;
    bpe->merges[slot] = key << 21 | rank;
    for (; bpe->n_ranks <= rank; bpe->n_ranks++) {
        bpe->merged[bpe->n_ranks] = UNUSED_RANK;
    }
    bool other = bpe->merged[rank] != UNUSED_RANK && bpe->merged[rank] != joined;
    bpe->merged[rank] = other ? QTF_BPE_NONE : joined;
    const qtf_bpe_token *l = &bpe->tokens[left], *r = &bpe->tokens[right];
    if (l->length == 1 && r->length == 1) {
        bpe->byte_rank[bpe->bytes[l->start] << 8 | bpe->bytes[r->start]] = rank;
    }
    return QTF_OK;
}

qtf_status qtf_bpe_add_cuts(qtf_bpe *bpe, uint32_t id, uint32_t rank, qtf_error *error) {
    const qtf_bpe_token *token = &bpe->tokens[id];
    if (token->length > LONGEST_CUT) {
        return qtf_fail(error, QTF_UNSUPPORTED, "token %u has %u bytes, expected at most %d", id,
                        token->length, LONGEST_CUT);
    }
    for (uint32_t cut = 1; cut < token->length; cut++) {
        const uint8_t *bytes = bpe->bytes + token->start;
        uint32_t left = qtf_bpe_find(bpe, bytes, cut, QTF_TOKEN_TEXT);
        if (left == QTF_BPE_NONE) {
            continue;
        }
        uint32_t right = qtf_bpe_find(bpe, bytes + cut, token->length - cut, QTF_TOKEN_TEXT);
        if (right == QTF_BPE_NONE) {
            continue;
        }
        qtf_status status = qtf_bpe_add_merge(bpe, left, right, rank, id, error);
        if (status != QTF_OK) {
            return status;
        }
    }
    return QTF_OK;
}

uint32_t qtf_bpe_joined(const qtf_bpe *bpe, uint32_t left, uint32_t right) {
    uint32_t id = QTF_BPE_NONE;
    return find_joined(bpe, left, right, QTF_BPE_NONE, &id) == QTF_OK ? id : QTF_BPE_NONE;
}
