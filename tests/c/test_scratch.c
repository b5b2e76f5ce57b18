/* Scratch memory: no piece has two owners, from several threads; what is freed comes back. */
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "core/qtf.h"
#include "core/scratch.h"

enum { PIECES = 6, ROUNDS = 300 };

static size_t size_of(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (size_t)1 << (*state >> 28) << 8; /* 256 bytes to 8 MiB */
}

static void *owner(void *context) {
    uint32_t state = (uint32_t)(uintptr_t)context;
    unsigned char *pieces[PIECES] = {NULL}, mark = (unsigned char)(uintptr_t)context;
    size_t sizes[PIECES] = {0};
    for (int i = 0; i < ROUNDS; i++) {
        int at = i % PIECES;
        if (pieces[at]) {
            CHECK(pieces[at][0] == mark && pieces[at][sizes[at] - 1] == mark);
        }
        qtf_scratch_free(pieces[at]);
        sizes[at] = size_of(&state);
        pieces[at] = qtf_scratch_alloc(sizes[at], 1);
        CHECK(pieces[at] && (uintptr_t)pieces[at] % QTF_ALIGN == 0);
        memset(pieces[at], mark, sizes[at]);
    }
    for (int at = 0; at < PIECES; at++) {
        qtf_scratch_free(pieces[at]);
    }
    return NULL;
}

int main(void) {
    qtf_scratch_free(NULL);
    CHECK(qtf_scratch_alloc(SIZE_MAX / 2, 4) == NULL);
    CHECK(qtf_scratch_alloc(1, SIZE_MAX - 8) == NULL);
    void *first = qtf_scratch_alloc(1 << 20, 3);
    qtf_scratch_free(first);
    void *smaller = qtf_scratch_alloc(1 << 20, 2);
    CHECK(QTF_CHECKS_ADDRESSES || smaller == first);
    qtf_scratch_free(smaller);
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, owner, (void *)(i + 1)) == 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    printf("test_scratch: %d failed\n", checks_failed);
    return checks_failed != 0;
}
