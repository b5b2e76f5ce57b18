/* Which kernels run: one table for each instruction set, chosen once when the library is set up. */
#ifndef QTF_DISPATCH_H
#define QTF_DISPATCH_H

#include <stdbool.h>

#include "core/cpu.h"
#include "core/status.h"
#include "kernels/kernels.h"

/*
 * Fill and freeze the tables and use the best one. Call once, before any other thread uses the
 * library. Later calls do nothing.
 */
void qtf_dispatch_init(void);

/* Whether isa was compiled in and runs on this processor. */
bool qtf_isa_available(qtf_isa isa);

/*
 * Use isa's kernels from now on; packed weights are the same for all. QTF_UNSUPPORTED if it is not
 * available. Meant for start-up, tests and benchmarks: not while kernels run.
 */
qtf_status qtf_use_isa(qtf_isa isa);

/* The isa in use. */
qtf_isa qtf_active_isa(void);

/* The table in use; never NULL after qtf_dispatch_init. */
const qtf_kernels *qtf_active_kernels(void);

#endif
