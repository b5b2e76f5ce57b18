#include "core/scratch.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "core/compiler.h"
#include "core/memory.h"

enum { MAX_KEPT = 32, SMALLEST = 1 << 16 };

static const size_t most_bytes = QTF_CHECKS_ADDRESSES ? 0 : (size_t)64 << 20;

/* Stands before each piece, so that what follows is aligned as its head is. */
typedef union {
    size_t bytes; /* of the piece, with its head */
    char line[QTF_ALIGN];
} head;

/* Pieces nobody uses, in the order they were freed. */
static struct {
    pthread_mutex_t mutex;
    head *pieces[MAX_KEPT];
    int count;
    size_t bytes;
} kept = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static head *take(int i) {
    head *piece = kept.pieces[i];
    kept.count--;
    kept.bytes -= piece->bytes;
    memmove(kept.pieces + i, kept.pieces + i + 1, (size_t)(kept.count - i) * sizeof *kept.pieces);
    return piece;
}

/* The smallest piece that is large enough and not twice as large, or NULL. */
static head *find(size_t bytes) {
    int best = -1;
    for (int i = 0; i < kept.count; i++) {
        size_t room = kept.pieces[i]->bytes;
        if (room >= bytes && room / 2 < bytes && (best < 0 || room < kept.pieces[best]->bytes)) {
            best = i;
        }
    }
    return best < 0 ? NULL : take(best);
}

/* Waiting for the lock is never worth it; and in a forked child nobody may be left to open it. */
static int try_lock(void) {
    return pthread_mutex_trylock(&kept.mutex) == 0;
}

void *qtf_scratch_alloc(size_t count, size_t size) {
    if (size != 0 && count > (SIZE_MAX - sizeof(head)) / size) {
        return NULL;
    }
    size_t bytes = count * size + sizeof(head);
    head *piece = NULL;
    if (bytes >= SMALLEST && try_lock()) {
        piece = find(bytes);
        pthread_mutex_unlock(&kept.mutex);
    }
    if (!piece) {
        piece = qtf_alloc(bytes, 1);
        if (!piece) {
            return NULL;
        }
        piece->bytes = bytes;
    }
    return piece + 1;
}

void qtf_scratch_free(void *pointer) {
    if (!pointer) {
        return;
    }
    head *piece = (head *)pointer - 1;
    size_t bytes = piece->bytes;
    if (bytes < SMALLEST || bytes > most_bytes || !try_lock()) {
        qtf_free(piece);
        return;
    }
    while (kept.count == MAX_KEPT || kept.bytes + bytes > most_bytes) {
        qtf_free(take(0));
    }
    kept.pieces[kept.count++] = piece;
    kept.bytes += bytes;
    pthread_mutex_unlock(&kept.mutex);
}
