#include "core/memory.h"

#include <stdint.h>
#include <stdlib.h>

void *qtf_alloc(size_t count, size_t size) {
    if (size != 0 && count > (SIZE_MAX - QTF_ALIGN) / size) {
        return NULL;
    }
    size_t bytes = (count * size + QTF_ALIGN - 1) / QTF_ALIGN * QTF_ALIGN;
    return aligned_alloc(QTF_ALIGN, bytes ? bytes : QTF_ALIGN);
}

void qtf_free(void *pointer) {
    free(pointer);
}
