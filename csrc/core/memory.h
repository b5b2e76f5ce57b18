/* Aligned memory. Everything a kernel touches starts on a cache line. */
#ifndef QTF_MEMORY_H
#define QTF_MEMORY_H

#include <stddef.h>

#define QTF_ALIGN 64

/*
 * Allocate count * size bytes aligned to QTF_ALIGN, uninitialised; the size is rounded up to whole
 * cache lines. Returns NULL when out of memory or when count * size overflows. Zero bytes give a
 * valid pointer. Owned by the caller; free with qtf_free.
 */
void *qtf_alloc(size_t count, size_t size);

/* Free what qtf_alloc returned; NULL is accepted. */
void qtf_free(void *pointer);

#endif
