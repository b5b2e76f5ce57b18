#define _DEFAULT_SOURCE
#include "core/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 1 << 21 };

/*
 * Ask for huge pages where a block has room for some: reading weights then misses the TLB less, and
 * prefetching does not end every 4 KiB. The last part of a block keeps small pages, so that nothing
 * is held beyond its end.
 */
static void *alloc_huge(size_t bytes) {
    void *block;
    if (posix_memalign(&block, HUGE_PAGE, bytes) != 0) {
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    madvise(block, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return block;
}

void *qtf_alloc(size_t count, size_t size) {
    if (size != 0 && count > (SIZE_MAX - QTF_ALIGN) / size) {
        return NULL;
    }
    size_t bytes = (count * size + QTF_ALIGN - 1) / QTF_ALIGN * QTF_ALIGN;
    if (bytes >= 2 * (size_t)HUGE_PAGE) {
        return alloc_huge(bytes);
    }
    return aligned_alloc(QTF_ALIGN, bytes ? bytes : QTF_ALIGN);
}

void qtf_free(void *pointer) {
    free(pointer);
}
