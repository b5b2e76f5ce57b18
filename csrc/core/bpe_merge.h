/* The merge loop of BPE: one word in, its tokens out. */
#ifndef QTF_BPE_MERGE_H
#define QTF_BPE_MERGE_H

#include "core/bpe.h"

/* Scratch of the merge loop; zero it first, reuse it at will, free it with qtf_bpe_scratch_free. */
typedef struct {
    uint32_t *ids;
    uint32_t *ranks;
    uint32_t *previous, *next;
    uint64_t *heap;
    size_t capacity, linked_capacity, heap_capacity;
} qtf_bpe_scratch;

/* Make room for n ids; false when out of memory. */
bool qtf_bpe_scratch_reserve(qtf_bpe_scratch *scratch, size_t n);

void qtf_bpe_scratch_free(qtf_bpe_scratch *scratch);

/*
 * Tokenise a word of n >= 1 bytes, all of which must have a token; where the vocabulary's symbols
 * are characters, it is valid UTF-8 and every byte has a fallback token. Merge the pair of lowest
 * rank, the leftmost of equals, until none is left. Stores the number of ids, which are then
 * scratch->ids[0..count). Time n log n, quadratic only below a fixed n.
 * Errors: QTF_NO_MEMORY; QTF_BAD_DATA when n >= 2^32 - 1; QTF_ABORTED when the pool's poll hook
 * asks to stop.
 */
qtf_status qtf_bpe_merge(const qtf_bpe *bpe, const uint8_t *word, size_t n,
                         qtf_bpe_scratch *scratch, size_t *count);

#endif
