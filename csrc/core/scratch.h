/* Memory that a call needs while it runs, kept for the next one. */
#ifndef QTF_SCRATCH_H
#define QTF_SCRATCH_H

#include <stddef.h>

/*
 * The same as qtf_alloc and qtf_free, but large pieces that are freed, up to 64 MiB in all, serve
 * the next ones of about their size: from the system each would come as pages that have to be
 * cleared, which took up to 7 % of a pass. From any thread. Under AddressSanitizer nothing is kept.
 */
void *qtf_scratch_alloc(size_t count, size_t size);
void qtf_scratch_free(void *pointer);

#endif
