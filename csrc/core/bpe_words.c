#include <stdlib.h>
#include <string.h>

#include "core/bpe_train.h"
#include "core/grow.h"

static uint32_t hash_word(const uint8_t *word, size_t n) {
    uint64_t h = n, part = 0;
    for (; n > 8; word += 8, n -= 8) {
        memcpy(&part, word, 8);
        h = (h ^ part) * 0x9E3779B97F4A7C15u;
        h ^= h >> 32;
    }
    part = 0;
    memcpy(&part, word, n);
    h = (h ^ part) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> 32);
}

static bool grow_slots(qtf_words *words) {
    size_t n = words->slots ? 2 * (words->slot_mask + 1) : 1 << 12;
    uint32_t *slots = malloc(n * sizeof *slots);
    if (!slots) {
        return false;
    }
    memset(slots, 0xFF, n * sizeof *slots);
    for (uint32_t i = 0; i < words->n_words; i++) {
        size_t slot = words->words[i].hash & (n - 1);
        while (slots[slot] != UINT32_MAX) {
            slot = (slot + 1) & (n - 1);
        }
        slots[slot] = i;
    }
    free(words->slots);
    words->slots = slots;
    words->slot_mask = n - 1;
    return true;
}

qtf_status qtf_words_add(void *context, const uint8_t *word, size_t n) {
    qtf_words *words = context;
    if (!words->slots || 2 * words->n_words > words->slot_mask) {
        if (words->n_words >= UINT32_MAX / 4 || !grow_slots(words)) {
            return QTF_NO_MEMORY;
        }
    }
    uint32_t hash = hash_word(word, n);
    size_t slot = hash & words->slot_mask;
    for (; words->slots[slot] != UINT32_MAX; slot = (slot + 1) & words->slot_mask) {
        struct qtf_word *found = &words->words[words->slots[slot]];
        if (found->hash == hash && found->length == n &&
            memcmp(words->bytes + found->start, word, n) == 0) {
            found->count++;
            return QTF_OK;
        }
    }
    if (n >= UINT32_MAX || !QTF_GROW(words->words, words->words_capacity, words->n_words + 1) ||
        !QTF_GROW(words->bytes, words->bytes_capacity, words->n_bytes + n)) {
        return QTF_NO_MEMORY;
    }
    memcpy(words->bytes + words->n_bytes, word, n);
    words->words[words->n_words] = (struct qtf_word){words->n_bytes, (uint32_t)n, hash, 1};
    words->n_bytes += n;
    words->slots[slot] = (uint32_t)words->n_words++;
    return QTF_OK;
}

void qtf_words_free(qtf_words *words) {
    free(words->bytes);
    free(words->words);
    free(words->slots);
    *words = (qtf_words){0};
}
