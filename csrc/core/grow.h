/* Arrays that grow. */
#ifndef QTF_GROW_H
#define QTF_GROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * Return data (from malloc, or NULL) with room for needed items of size bytes, moved if it had to
 * grow, and *capacity brought up to date; at least doubles. NULL when out of memory: data is then
 * unchanged and still the caller's.
 */
static inline void *qtf_grow(void *data, size_t *capacity, size_t needed, size_t size) {
    if (needed <= *capacity && data) {
        return data;
    }
    size_t wanted = *capacity <= SIZE_MAX / 2 && 2 * *capacity > needed ? 2 * *capacity : needed;
    wanted = wanted < 16 ? 16 : wanted;
    if (wanted > SIZE_MAX / size) {
        return NULL;
    }
    void *grown = realloc(data, wanted * size);
    if (grown) {
        *capacity = wanted;
    }
    return grown;
}

/* Make the array behind `data` hold `needed` items, or be false when out of memory. */
#define QTF_GROW(data, capacity, needed)                                                           \
    (QTF_LIKELY((needed) <= (capacity) && (data))                                                  \
         ? true                                                                                    \
         : qtf_grow_into((void **)&(data), &(capacity), (needed), sizeof *(data)))

static inline bool qtf_grow_into(void **data, size_t *capacity, size_t needed, size_t size) {
    void *grown = qtf_grow(*data, capacity, needed, size);
    if (!grown) {
        return false;
    }
    *data = grown;
    return true;
}

#endif
