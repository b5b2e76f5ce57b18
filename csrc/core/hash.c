#include "core/hash.h"

#include <string.h>

#include "core/pool.h"

enum { LANES = 8, STRIPE = 8 * LANES };

static const uint64_t P = 0x9E3779B97F4A7C15u;

typedef struct {
    const unsigned char *data;
    size_t size;
    uint64_t *digests;
} hash_job;

static uint64_t rotl(uint64_t x, int bits) {
    return x << bits | x >> (64 - bits);
}

static uint64_t load_word(const unsigned char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static void add_stripe(uint64_t *lanes, const unsigned char *p) {
    for (int j = 0; j < LANES; j++) {
        lanes[j] = rotl((lanes[j] ^ load_word(p + 8 * j)) * P, 31);
    }
}

static uint64_t hash_block(const unsigned char *p, size_t size) {
    uint64_t lanes[LANES];
    for (int j = 0; j < LANES; j++) {
        lanes[j] = (uint64_t)(j + 1) * P;
    }
    size_t i = 0;
    for (; i + STRIPE <= size; i += STRIPE) {
        add_stripe(lanes, p + i);
    }
    if (i < size) {
        unsigned char last[STRIPE] = {0};
        memcpy(last, p + i, size - i);
        add_stripe(lanes, last);
    }
    uint64_t digest = size;
    for (int j = 0; j < LANES; j++) {
        digest = rotl((digest ^ lanes[j]) * P, 29);
    }
    return digest ^ digest >> 32;
}

static void hash_task(void *context, int64_t task) {
    const hash_job *job = context;
    size_t start = (size_t)task * QTF_HASH_BLOCK, rest = job->size - start;
    job->digests[task] =
        hash_block(job->data + start, rest < QTF_HASH_BLOCK ? rest : QTF_HASH_BLOCK);
}

qtf_status qtf_hash(const void *data, size_t size, uint64_t *digests) {
    hash_job job = {.data = data, .size = size, .digests = digests};
    size_t n_blocks = size / QTF_HASH_BLOCK + (size % QTF_HASH_BLOCK != 0);
    return qtf_parallel_for((int64_t)n_blocks, hash_task, &job);
}
