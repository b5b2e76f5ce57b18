/* A cache from short words to their token ids, of fixed size: forgetting is part of it. */
#ifndef QTF_BPE_CACHE_H
#define QTF_BPE_CACHE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/compiler.h"

enum { QTF_CACHE_WORD = 32, QTF_CACHE_IDS = 7, QTF_CACHE_SETS = 1 << 15 };

/* One cache line. length 0: empty. */
typedef struct {
    uint64_t word[QTF_CACHE_WORD / 8]; /* zero-padded */
    uint16_t length, count;
    uint32_t ids[QTF_CACHE_IDS];
} qtf_cache_entry;

/* Two-way sets, the more recent entry first; [QTF_CACHE_SETS * 2], zeroed and aligned to 64. */
typedef qtf_cache_entry *qtf_cache;

/* Fill an entry's word and length, without reading past `limit`; 1 <= n <= QTF_CACHE_WORD. */
QTF_INLINE void qtf_cache_key(qtf_cache_entry *key, const uint8_t *word, size_t n,
                              const uint8_t *limit) {
    key->length = (uint16_t)n;
    key->word[0] = key->word[1] = key->word[2] = key->word[3] = 0;
    if (QTF_LIKELY(n <= 16 && (size_t)(limit - word) >= 16)) {
        uint64_t low, high;
        memcpy(&low, word, 8);
        memcpy(&high, word + 8, 8);
        key->word[0] = n >= 8 ? low : low & ((UINT64_C(1) << 8 * n) - 1);
        key->word[1] = n == 16 ? high : n <= 8 ? 0 : high & ((UINT64_C(1) << 8 * (n - 8)) - 1);
    } else {
        memcpy(key->word, word, n);
    }
}

/* The first entry of the key's set. */
QTF_INLINE qtf_cache_entry *qtf_cache_set(qtf_cache cache, const qtf_cache_entry *key) {
    uint64_t h = (key->word[0] + key->length) * 0x9E3779B97F4A7C15u ^ key->word[1];
    h = (h ^ h >> 32) * 0xBF58476D1CE4E5B9u;
    if (key->length > 16) {
        h = (h ^ key->word[2] ^ key->word[3] << 7) * 0x9E3779B97F4A7C15u;
    }
    return cache + 2 * (h >> 32 & (QTF_CACHE_SETS - 1));
}

QTF_INLINE int qtf_cache_same(const qtf_cache_entry *a, const qtf_cache_entry *b) {
    return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->length == b->length &&
           (a->length <= 16 || (a->word[2] == b->word[2] && a->word[3] == b->word[3]));
}

/* The entry of the set that holds the key, or NULL. */
QTF_INLINE const qtf_cache_entry *qtf_cache_find(const qtf_cache_entry *set,
                                                 const qtf_cache_entry *key) {
    return qtf_cache_same(set, key) ? set : qtf_cache_same(set + 1, key) ? set + 1 : NULL;
}

/* Put an entry into its set; the older one goes. */
QTF_INLINE void qtf_cache_put(qtf_cache_entry *set, const qtf_cache_entry *entry) {
    set[1] = set[0];
    set[0] = *entry;
}

#endif
