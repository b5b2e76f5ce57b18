#include "core/bpe_merge.h"

#include <stdlib.h>
#include <string.h>

#include "core/grow.h"
#include "core/pool.h"
#include "core/unicode.h"

/* Up to here a scan for the lowest rank beats a heap; steps between two polls. */
enum { SHORT_WORD = 48, POLL_STEPS = 1 << 13 };

/* Whether to stop, asked now and then in the course of a long word. */
static bool stopping(size_t step) {
    return step % POLL_STEPS == 0 && qtf_pool_stopping();
}

void qtf_bpe_scratch_free(qtf_bpe_scratch *scratch) {
    free(scratch->ids);
    free(scratch->ranks);
    free(scratch->previous);
    free(scratch->next);
    free(scratch->heap);
    *scratch = (qtf_bpe_scratch){0};
}

bool qtf_bpe_scratch_reserve(qtf_bpe_scratch *scratch, size_t n) {
    size_t ids = scratch->capacity, ranks = scratch->capacity;
    bool done = QTF_GROW(scratch->ids, ids, n) && QTF_GROW(scratch->ranks, ranks, n);
    scratch->capacity = done ? (ids < ranks ? ids : ranks) : scratch->capacity;
    return done;
}

/* What a pair of this rank becomes. */
static inline uint32_t merge_pair(const qtf_bpe *bpe, uint32_t rank, uint32_t left,
                                  uint32_t right) {
    uint32_t id = bpe->merged[rank];
    return QTF_LIKELY(id != QTF_BPE_NONE) ? id : qtf_bpe_joined(bpe, left, right);
}

static void merge_short(const qtf_bpe *bpe, qtf_bpe_scratch *scratch, size_t *count) {
    uint32_t *ids = scratch->ids, *ranks = scratch->ranks;
    size_t n = *count;
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++) {
            best = ranks[i] < ranks[best] ? i : best;
        }
        if (ranks[best] == QTF_BPE_NONE) {
            break;
        }
        ids[best] = merge_pair(bpe, ranks[best], ids[best], ids[best + 1]);
        n--;
        for (size_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
        }
        if (best > 0) {
            ranks[best - 1] = qtf_bpe_rank(bpe, ids[best - 1], ids[best]);
        }
        if (best + 1 < n) {
            ranks[best] = qtf_bpe_rank(bpe, ids[best], ids[best + 1]);
        }
    }
    *count = n;
}

/* A binary min-heap of rank << 32 | position: the lowest rank first, the leftmost of equals. */
static bool heap_push(qtf_bpe_scratch *scratch, size_t *size, uint32_t rank, uint32_t position) {
    if (!QTF_GROW(scratch->heap, scratch->heap_capacity, *size + 1)) {
        return false;
    }
    uint64_t item = (uint64_t)rank << 32 | position, *heap = scratch->heap;
    size_t i = (*size)++;
    for (; i > 0 && heap[(i - 1) / 2] > item; i = (i - 1) / 2) {
        heap[i] = heap[(i - 1) / 2];
    }
    heap[i] = item;
    return true;
}

static void heap_sink(uint64_t *heap, size_t size, size_t i) {
    uint64_t item = heap[i];
    for (size_t child; (child = 2 * i + 1) < size; i = child) {
        child += child + 1 < size && heap[child + 1] < heap[child];
        if (heap[child] >= item) {
            break;
        }
        heap[i] = heap[child];
    }
    heap[i] = item;
}

static uint64_t heap_pop(uint64_t *heap, size_t *size) {
    uint64_t top = heap[0];
    heap[0] = heap[--*size];
    heap_sink(heap, *size, 0);
    return top;
}

/* Set the rank of the pair at position and queue it. */
static bool rank_pair(const qtf_bpe *bpe, qtf_bpe_scratch *s, size_t *size, uint32_t position) {
    uint32_t next = s->next[position];
    uint32_t rank =
        next == QTF_BPE_NONE ? QTF_BPE_NONE : qtf_bpe_rank(bpe, s->ids[position], s->ids[next]);
    s->ranks[position] = rank;
    return rank == QTF_BPE_NONE || heap_push(s, size, rank, position);
}

/* A linked list of symbols and a heap; an entry whose rank is no longer its position's is stale. */
static qtf_status merge_long(const qtf_bpe *bpe, qtf_bpe_scratch *s, size_t *count) {
    size_t n = *count, linked = s->linked_capacity, linked_next = s->linked_capacity, size = 0;
    if (!QTF_GROW(s->previous, linked, n) || !QTF_GROW(s->next, linked_next, n) ||
        !QTF_GROW(s->heap, s->heap_capacity, n)) {
        return QTF_NO_MEMORY;
    }
    s->linked_capacity = linked;
    for (size_t i = 0; i < n; i++) {
        s->previous[i] = i ? (uint32_t)i - 1 : QTF_BPE_NONE;
        s->next[i] = i + 1 < n ? (uint32_t)i + 1 : QTF_BPE_NONE;
        if (i + 1 < n && s->ranks[i] != QTF_BPE_NONE) {
            s->heap[size++] = (uint64_t)s->ranks[i] << 32 | i;
        }
    }
    for (size_t i = size / 2; i-- > 0;) {
        heap_sink(s->heap, size, i);
        if (stopping(i)) {
            return QTF_ABORTED;
        }
    }
    for (size_t step = 1; size; step++) {
        if (stopping(step)) {
            return QTF_ABORTED;
        }
        uint64_t top = heap_pop(s->heap, &size);
        uint32_t at = (uint32_t)top, rank = (uint32_t)(top >> 32);
        if (s->ranks[at] != rank) {
            continue;
        }
        uint32_t gone = s->next[at], after = s->next[gone];
        s->ids[at] = merge_pair(bpe, rank, s->ids[at], s->ids[gone]);
        s->ranks[gone] = QTF_BPE_NONE;
        s->next[at] = after;
        if (after != QTF_BPE_NONE) {
            s->previous[after] = at;
        }
        uint32_t before = s->previous[at];
        if (!rank_pair(bpe, s, &size, at) ||
            (before != QTF_BPE_NONE && !rank_pair(bpe, s, &size, before))) {
            return QTF_NO_MEMORY;
        }
    }
    size_t kept = 0;
    for (uint32_t i = 0; i != QTF_BPE_NONE; i = s->next[i]) {
        s->ids[kept++] = s->ids[i];
    }
    *count = kept;
    return QTF_OK;
}

/* The tokens of a word's bytes. */
static size_t start_bytes(const qtf_bpe *bpe, const uint8_t *word, size_t n,
                          qtf_bpe_scratch *scratch) {
    for (size_t i = 0; i < n; i++) {
        scratch->ids[i] = bpe->byte_id[word[i]];
    }
    for (size_t i = 0; i + 1 < n; i++) {
        scratch->ranks[i] = bpe->byte_rank[word[i] << 8 | word[i + 1]];
    }
    return n;
}

/* The tokens of a word's characters, and of the bytes of those that have none. */
static size_t start_characters(const qtf_bpe *bpe, const uint8_t *word, size_t n,
                               qtf_bpe_scratch *scratch) {
    uint32_t *ids = scratch->ids;
    size_t count = 0;
    for (size_t i = 0; i < n;) {
        int length;
        qtf_utf8_read(word + i, &length);
        uint32_t id = qtf_bpe_find(bpe, word + i, (size_t)length, QTF_TOKEN_TEXT);
        if (id != QTF_BPE_NONE) {
            ids[count++] = id;
        }
        for (int k = 0; id == QTF_BPE_NONE && k < length; k++) {
            ids[count++] = bpe->fallback_id[word[i + (size_t)k]];
        }
        i += (size_t)length;
    }
    for (size_t i = 0; i + 1 < count; i++) {
        scratch->ranks[i] = qtf_bpe_rank(bpe, ids[i], ids[i + 1]);
    }
    return count;
}

qtf_status qtf_bpe_merge(const qtf_bpe *bpe, const uint8_t *word, size_t n,
                         qtf_bpe_scratch *scratch, size_t *count) {
    if (n >= UINT32_MAX) {
        return QTF_BAD_DATA;
    }
    if (!qtf_bpe_scratch_reserve(scratch, n)) {
        return QTF_NO_MEMORY;
    }
    *count = bpe->characters ? start_characters(bpe, word, n, scratch)
                             : start_bytes(bpe, word, n, scratch);
    scratch->ranks[*count - 1] = QTF_BPE_NONE;
    if (*count <= SHORT_WORD) {
        merge_short(bpe, scratch, count);
        return QTF_OK;
    }
    return merge_long(bpe, scratch, count);
}
