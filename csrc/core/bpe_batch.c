/* Many texts on the thread pool. The calling thread hands results over while the others go on. */
#include <pthread.h>
#include <stdlib.h>

#include "core/bpe_encoder.h"
#include "core/pool.h"

enum { CHUNK_TEXTS = 64, CHUNKS_A_THREAD = 32, HANDOVERS = 16 };

/* Neighbouring texts, encoded by one thread into one array. */
typedef struct {
    qtf_encoded texts;
    qtf_encoding ids;
    size_t counts[CHUNK_TEXTS];
    size_t n_done; /* texts before the one that failed, if one did */
    qtf_status status;
} chunk;

typedef struct {
    qtf_tokenizer *tokenizer;
    const uint8_t *const *texts;
    const size_t *lengths;
    unsigned flags;
    qtf_take_fn take;
    void *context;
    chunk *chunks;
    size_t n_texts, n_chunks;
    pthread_t caller;
    _Atomic size_t next;
    _Atomic(qtf_encoded *) finished; /* a list of chunks */
    _Atomic size_t n_finished;       /* texts in it */
    _Atomic bool failed, refused;
} batch;

/* Append the ids of a chunk's texts. A failure's message is found again by the caller. */
static void encode_chunk(batch *b, qtf_encoder *encoder, chunk *c) {
    qtf_error ignored;
    size_t n = c->texts.n_texts, before = 0;
    for (c->n_done = 0; c->n_done < n; c->n_done++) {
        size_t i = c->texts.first + c->n_done;
        c->status =
            qtf_encode_with(encoder, b->texts[i], b->lengths[i], b->flags, &c->ids, &ignored);
        if (c->status != QTF_OK) {
            atomic_store(&b->failed, true);
            return;
        }
        c->counts[c->n_done] = c->ids.n - before;
        before = c->ids.n;
    }
    c->texts.ids = c->ids.ids;
    c->texts.counts = c->counts;
    c->texts.next = atomic_load_explicit(&b->finished, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&b->finished, &c->texts.next, &c->texts,
                                                  memory_order_release, memory_order_relaxed)) {
    }
    atomic_fetch_add_explicit(&b->n_finished, n, memory_order_relaxed);
}

/* Hand the finished chunks over and free them. On the caller's thread. */
static void hand_over(batch *b) {
    atomic_store_explicit(&b->n_finished, 0, memory_order_relaxed);
    qtf_encoded *list = atomic_exchange_explicit(&b->finished, NULL, memory_order_acquire);
    if (list && !atomic_load(&b->refused) && !b->take(b->context, list)) {
        atomic_store(&b->refused, true);
    }
    while (list) {
        chunk *c = (chunk *)list; /* its first member */
        list = list->next;
        qtf_encoding_free(&c->ids);
    }
}

/* One thread's share: chunks, until there are none left. */
static void encode_share(void *context, int64_t task) {
    (void)task;
    batch *b = context;
    bool is_caller = pthread_equal(pthread_self(), b->caller);
    qtf_encoder *encoder = qtf_encoder_take(b->tokenizer);
    if (!encoder) {
        return; /* what nobody encodes stays QTF_NO_MEMORY */
    }
    while (!atomic_load(&b->failed) && !atomic_load(&b->refused) && !qtf_pool_stopping()) {
        size_t i = atomic_fetch_add_explicit(&b->next, 1, memory_order_relaxed);
        if (i >= b->n_chunks) {
            break;
        }
        encode_chunk(b, encoder, &b->chunks[i]);
        if (is_caller &&
            atomic_load_explicit(&b->n_finished, memory_order_relaxed) >= b->n_texts / HANDOVERS) {
            hand_over(b);
        }
    }
    qtf_encoder_give(b->tokenizer, encoder);
}

/* The batch's outcome once all threads are done; encodes a text that failed again for its message.
 */
static qtf_status outcome(batch *b, size_t *failed, qtf_error *error) {
    for (size_t i = 0; i < b->n_chunks; i++) {
        const chunk *c = &b->chunks[i];
        if (c->status != QTF_OK) {
            *failed = c->texts.first + c->n_done;
            qtf_encoding again = {0};
            qtf_status status = qtf_encode(b->tokenizer, b->texts[*failed], b->lengths[*failed],
                                           b->flags, &again, error);
            qtf_encoding_free(&again);
            return status == QTF_OK ? c->status : status;
        }
    }
    return QTF_OK;
}

qtf_status qtf_encode_batch(qtf_tokenizer *tokenizer, const uint8_t *const *texts,
                            const size_t *lengths, size_t n_texts, unsigned flags, qtf_take_fn take,
                            void *context, size_t *failed, qtf_error *error) {
    int n_threads = qtf_pool_threads();
    size_t chunk_texts = n_texts / (CHUNKS_A_THREAD * (size_t)n_threads);
    chunk_texts = chunk_texts < 1 ? 1 : chunk_texts > CHUNK_TEXTS ? CHUNK_TEXTS : chunk_texts;
    size_t n_chunks = (n_texts + chunk_texts - 1) / chunk_texts;
    batch b = {.tokenizer = tokenizer,
               .texts = texts,
               .lengths = lengths,
               .flags = flags,
               .take = take,
               .context = context,
               .chunks = calloc(n_chunks + 1, sizeof *b.chunks),
               .n_texts = n_texts,
               .n_chunks = n_chunks,
               .caller = pthread_self()};
    if (!b.chunks) {
        return QTF_NO_MEMORY;
    }
    for (size_t i = 0; i < n_chunks; i++) {
        size_t first = i * chunk_texts, left = n_texts - first;
        b.chunks[i].texts.first = first;
        b.chunks[i].texts.n_texts = left < chunk_texts ? left : chunk_texts;
        b.chunks[i].status = QTF_NO_MEMORY; /* until a thread gets to it */
    }
    size_t n_tasks = n_chunks < (size_t)n_threads ? n_chunks : (size_t)n_threads;
    qtf_status status = qtf_parallel_for((int64_t)n_tasks, encode_share, &b);
    if (status == QTF_OK) {
        hand_over(&b);
        status = atomic_load(&b.refused) ? QTF_ABORTED : outcome(&b, failed, error);
    }
    for (size_t i = 0; i < n_chunks; i++) {
        qtf_encoding_free(&b.chunks[i].ids);
    }
    free(b.chunks);
    return status;
}
