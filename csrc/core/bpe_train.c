#include "core/bpe_train.h"

#include <stdlib.h>
#include <string.h>

#include "core/grow.h"

/* A pair of neighbouring tokens: how often it is there, and the batch that lists where. */
typedef struct {
    uint64_t key; /* left << 32 | right */
    int64_t count;
    uint32_t batch; /* NO_BATCH: none yet */
} pair;

/* Words in which a pair may stand. Dead once the pair was merged there. */
typedef struct {
    uint32_t pair;
    uint32_t *words;
    size_t n, capacity;
    uint32_t step; /* the merge that touched it last */
} batch;

/* What the queue holds: a batch and the count its pair had then. */
typedef struct {
    int64_t count;
    uint32_t batch;
} item;

typedef struct {
    qtf_bpe *bpe;
    const qtf_words *words;
    uint32_t *symbols; /* all words' tokens; a word keeps its place and gets shorter */
    uint32_t *lengths; /* [n_words] */
    pair *pairs;
    size_t n_pairs, pairs_capacity;
    uint32_t *slots; /* index into pairs, open addressing */
    size_t slot_mask;
    batch *batches;
    size_t n_batches, batches_capacity;
    item *heap;
    size_t n_heap, heap_capacity;
    uint32_t *touched; /* batches that the current merge filled */
    size_t n_touched, touched_capacity;
    uint32_t step;
    qtf_ties ties;
} trainer;

enum { NO_BATCH = UINT32_MAX };

static size_t pair_slot(const trainer *t, uint64_t key) {
    uint64_t hash = key * 0x9E3779B97F4A7C15u;
    size_t slot = (hash ^ hash >> 32) & t->slot_mask;
    while (t->slots[slot] != UINT32_MAX && t->pairs[t->slots[slot]].key != key) {
        slot = (slot + 1) & t->slot_mask;
    }
    return slot;
}

static bool grow_slots(trainer *t) {
    size_t n = t->slots ? 2 * (t->slot_mask + 1) : 1 << 12;
    uint32_t *slots = malloc(n * sizeof *slots);
    if (!slots) {
        return false;
    }
    memset(slots, 0xFF, n * sizeof *slots);
    free(t->slots);
    t->slots = slots;
    t->slot_mask = n - 1;
    for (uint32_t i = 0; i < t->n_pairs; i++) {
        slots[pair_slot(t, t->pairs[i].key)] = i;
    }
    return true;
}

/* Index of the pair, added if new; UINT32_MAX when out of memory. */
static uint32_t find_pair(trainer *t, uint32_t left, uint32_t right) {
    uint64_t key = (uint64_t)left << 32 | right;
    if (2 * t->n_pairs >= t->slot_mask && !grow_slots(t)) {
        return UINT32_MAX;
    }
    size_t slot = pair_slot(t, key);
    if (t->slots[slot] == UINT32_MAX) {
        if (!QTF_GROW(t->pairs, t->pairs_capacity, t->n_pairs + 1)) {
            return UINT32_MAX;
        }
        t->pairs[t->n_pairs] = (pair){key, 0, NO_BATCH};
        t->slots[slot] = (uint32_t)t->n_pairs++;
    }
    return t->slots[slot];
}

static int compare_bytes(const qtf_bpe *bpe, uint32_t a, uint32_t b) {
    const qtf_bpe_token *x = &bpe->tokens[a], *y = &bpe->tokens[b];
    uint32_t n = x->length < y->length ? x->length : y->length;
    int order = memcmp(bpe->bytes + x->start, bpe->bytes + y->start, n);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

/* Whether a merges before b. */
static bool comes_first(const trainer *t, item a, item b) {
    if (a.count != b.count) {
        return a.count > b.count;
    }
    uint64_t x = t->pairs[t->batches[a.batch].pair].key, y = t->pairs[t->batches[b.batch].pair].key;
    if (t->ties == QTF_TIES_ID || x == y) {
        return x < y;
    }
    int order = compare_bytes(t->bpe, (uint32_t)(x >> 32), (uint32_t)(y >> 32));
    return (order ? order : compare_bytes(t->bpe, (uint32_t)x, (uint32_t)y)) > 0;
}

static bool heap_push(trainer *t, item new) {
    if (!QTF_GROW(t->heap, t->heap_capacity, t->n_heap + 1)) {
        return false;
    }
    size_t i = t->n_heap++;
    for (; i > 0 && comes_first(t, new, t->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        t->heap[i] = t->heap[(i - 1) / 2];
    }
    t->heap[i] = new;
    return true;
}

static item heap_pop(trainer *t) {
    item top = t->heap[0], last = t->heap[--t->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < t->n_heap; i = child) {
        child += child + 1 < t->n_heap && comes_first(t, t->heap[child + 1], t->heap[child]);
        if (!comes_first(t, t->heap[child], last)) {
            break;
        }
        t->heap[i] = t->heap[child];
    }
    t->heap[i] = last;
    return top;
}

/* The batch that new places of a pair go to in this step. */
static batch *open_batch(trainer *t, uint32_t index) {
    uint32_t known = t->pairs[index].batch;
    /*
     * A pair whose tokens arise again by another merge comes back. tokenizers then counts its new
     * places apart, as a second candidate; exact counting keeps them together.
     */
    bool reuse = known != NO_BATCH && (t->batches[known].step == t->step ||
                                       (t->ties != QTF_TIES_ID && t->batches[known].words));
    if (reuse && t->batches[known].step == t->step) {
        return &t->batches[known];
    }
    if (!QTF_GROW(t->touched, t->touched_capacity, t->n_touched + 1) ||
        (!reuse && !QTF_GROW(t->batches, t->batches_capacity, t->n_batches + 1))) {
        return NULL;
    }
    if (!reuse) {
        known = (uint32_t)t->n_batches++;
        t->batches[known] = (batch){.pair = index};
        t->pairs[index].batch = known;
    }
    t->batches[known].step = t->step;
    t->touched[t->n_touched++] = known;
    return &t->batches[known];
}

/* Count a pair `by` more often in a word, which is listed when there are more. */
static bool change(trainer *t, uint32_t left, uint32_t right, int64_t by, uint32_t word) {
    uint32_t index = find_pair(t, left, right);
    if (index == UINT32_MAX) {
        return false;
    }
    t->pairs[index].count += by;
    if (by < 0) {
        return true;
    }
    batch *b = open_batch(t, index);
    if (!b || (b->n && b->words[b->n - 1] == word)) {
        return b != NULL;
    }
    if (!QTF_GROW(b->words, b->capacity, b->n + 1)) {
        return false;
    }
    b->words[b->n++] = word;
    return true;
}

/* Queue the batches of this step. */
static bool queue_touched(trainer *t) {
    for (size_t i = 0; i < t->n_touched; i++) {
        int64_t count = t->pairs[t->batches[t->touched[i]].pair].count;
        if (count > 0 && !heap_push(t, (item){count, t->touched[i]})) {
            return false;
        }
    }
    t->n_touched = 0;
    t->step++;
    return true;
}

static bool merge_in_word(trainer *t, uint32_t word, uint32_t left, uint32_t right,
                          uint32_t joined) {
    uint32_t *s = t->symbols + t->words->words[word].start, n = t->lengths[word], kept = 0;
    int64_t count = t->words->words[word].count;
    for (uint32_t i = 0; i < n; i++) {
        if (s[i] != left || i + 1 == n || s[i + 1] != right) {
            s[kept++] = s[i];
            continue;
        }
        /* tokenizers never takes a merged pair off its own count. */
        if (t->ties != QTF_TIES_ID && !change(t, left, right, -count, word)) {
            return false;
        }
        if (kept > 0 && (!change(t, s[kept - 1], left, -count, word) ||
                         !change(t, s[kept - 1], joined, count, word))) {
            return false;
        }
        if (i + 2 < n && (!change(t, right, s[i + 2], -count, word) ||
                          !change(t, joined, s[i + 2], count, word))) {
            return false;
        }
        s[kept++] = joined;
        i++;
    }
    t->lengths[word] = kept;
    return true;
}

/* Find or add the token that left and right make. */
static qtf_status join(trainer *t, uint32_t left, uint32_t right, uint32_t *joined,
                       qtf_error *error) {
    qtf_bpe *bpe = t->bpe;
    size_t n_left = bpe->tokens[left].length, n = n_left + bpe->tokens[right].length;
    uint8_t *bytes = malloc(n);
    if (!bytes) {
        return QTF_NO_MEMORY;
    }
    memcpy(bytes, bpe->bytes + bpe->tokens[left].start, n_left);
    memcpy(bytes + n_left, bpe->bytes + bpe->tokens[right].start, n - n_left);
    qtf_status status = QTF_OK;
    *joined = qtf_bpe_find(bpe, bytes, n, false);
    if (*joined == QTF_BPE_NONE) {
        *joined = (uint32_t)bpe->n_ids;
        status = qtf_bpe_add_token(bpe, *joined, bytes, n, false, error);
    }
    free(bytes);
    return status;
}

static qtf_status start(trainer *t) {
    const qtf_words *words = t->words;
    t->symbols = malloc((words->n_bytes + 1) * sizeof *t->symbols);
    t->lengths = malloc((words->n_words + 1) * sizeof *t->lengths);
    if (!t->symbols || !t->lengths || !grow_slots(t)) {
        return QTF_NO_MEMORY;
    }
    for (size_t i = 0; i < words->n_bytes; i++) {
        t->symbols[i] = t->bpe->byte_id[words->bytes[i]];
    }
    for (uint32_t w = 0; w < words->n_words; w++) {
        const uint32_t *s = t->symbols + words->words[w].start;
        t->lengths[w] = words->words[w].length;
        for (uint32_t i = 0; i + 1 < t->lengths[w]; i++) {
            if (!change(t, s[i], s[i + 1], words->words[w].count, w)) {
                return QTF_NO_MEMORY;
            }
        }
    }
    return queue_touched(t) ? QTF_OK : QTF_NO_MEMORY;
}

/* Merge the pair of one batch wherever it still stands. */
static qtf_status merge_batch(trainer *t, uint32_t index, uint32_t *pair_ids, qtf_error *error) {
    uint64_t key = t->pairs[t->batches[index].pair].key;
    uint32_t left = pair_ids[0] = (uint32_t)(key >> 32), right = pair_ids[1] = (uint32_t)key;
    uint32_t joined, *words = t->batches[index].words;
    size_t n = t->batches[index].n;
    t->batches[index].words = NULL;
    t->batches[index].n = t->batches[index].capacity = 0;
    t->batches[index].step = UINT32_MAX;
    qtf_status status = join(t, left, right, &joined, error);
    for (size_t i = 0; i < n && status == QTF_OK; i++) {
        status = merge_in_word(t, words[i], left, right, joined) ? QTF_OK : QTF_NO_MEMORY;
    }
    free(words);
    return status == QTF_OK && !queue_touched(t) ? QTF_NO_MEMORY : status;
}

static qtf_status merge_all(trainer *t, size_t vocab_size, int64_t min_count, bool (*poll)(void),
                            uint32_t **merges, size_t *n_merges, qtf_error *error) {
    size_t capacity = 0;
    while (t->bpe->n_tokens < vocab_size && t->n_heap) {
        item top = heap_pop(t);
        const batch *b = &t->batches[top.batch];
        int64_t count = t->pairs[b->pair].count;
        if (!b->words) {
            continue;
        }
        if (count != top.count) {
            if (count > 0 && !heap_push(t, (item){count, top.batch})) {
                return QTF_NO_MEMORY;
            }
            continue;
        }
        if (count < min_count || count < 1) {
            break;
        }
        if (poll && (*n_merges & 15) == 0 && poll()) {
            return QTF_ABORTED;
        }
        if (!QTF_GROW(*merges, capacity, 2 * (*n_merges + 1))) {
            return QTF_NO_MEMORY;
        }
        qtf_status status = merge_batch(t, top.batch, *merges + 2 * *n_merges, error);
        if (status != QTF_OK) {
            return status;
        }
        ++*n_merges;
    }
    return QTF_OK;
}

qtf_status qtf_bpe_train(qtf_bpe *bpe, const qtf_words *words, size_t vocab_size, int64_t min_count,
                         qtf_ties ties, bool (*poll)(void), uint32_t **merges, size_t *n_merges,
                         qtf_error *error) {
    trainer t = {.bpe = bpe, .words = words, .ties = ties, .step = 1};
    *merges = NULL;
    *n_merges = 0;
    qtf_status status = start(&t);
    if (status == QTF_OK) {
        status = merge_all(&t, vocab_size, min_count, poll, merges, n_merges, error);
    }
    for (size_t i = 0; i < t.n_batches; i++) {
        free(t.batches[i].words);
    }
    free(t.symbols);
    free(t.lengths);
    free(t.pairs);
    free(t.slots);
    free(t.batches);
    free(t.heap);
    free(t.touched);
    return status;
}
