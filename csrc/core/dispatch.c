#include "core/dispatch.h"

#include <stdatomic.h>

static qtf_kernels tables[QTF_ISA_COUNT];
static bool available[QTF_ISA_COUNT];
static _Atomic int active = -1;

#if QTF_HAVE_AVXVNNI
static void fill_avxvnni(qtf_kernels *table) {
    (qtf_cpu_has_avxvnni() ? qtf_fill_avxvnni : qtf_fill_avxvnni_evex)(table);
}
#endif

void qtf_dispatch_init(void) {
    static void (*const fill[QTF_ISA_COUNT])(qtf_kernels *) = {
        [QTF_ISA_BASELINE] = qtf_fill_baseline,
#if QTF_HAVE_AVX2
        [QTF_ISA_AVX2] = qtf_fill_avx2,
#endif
#if QTF_HAVE_AVXVNNI
        [QTF_ISA_AVXVNNI] = fill_avxvnni,
#endif
#if QTF_HAVE_AVX512VNNI
        [QTF_ISA_AVX512VNNI] = qtf_fill_avx512vnni,
#endif
#if QTF_HAVE_AVX512BF16
        [QTF_ISA_AVX512BF16] = qtf_fill_avx512bf16,
#endif
#if QTF_HAVE_NEON
        [QTF_ISA_NEON] = qtf_fill_neon,
#endif
#if QTF_HAVE_NEON_DOTPROD
        [QTF_ISA_NEON_DOTPROD] = qtf_fill_neon_dotprod,
#endif
#if QTF_HAVE_NEON_I8MM
        [QTF_ISA_NEON_I8MM] = qtf_fill_neon_i8mm,
#endif
    };
    if (atomic_load(&active) >= 0) {
        return;
    }
    qtf_isa best = qtf_cpu_best_isa();
    int chosen = QTF_ISA_BASELINE;
    for (int isa = 0; isa <= (int)best; isa++) {
        /* A newer table starts as the older one and overrides what it does better. */
        if (isa > 0) {
            tables[isa] = tables[isa - 1];
        }
        if (fill[isa]) {
            fill[isa](&tables[isa]);
            available[isa] = true;
            chosen = isa;
        }
    }
    atomic_store(&active, chosen);
}

bool qtf_isa_available(qtf_isa isa) {
    return available[isa];
}

qtf_status qtf_use_isa(qtf_isa isa) {
    if (!available[isa]) {
        return QTF_UNSUPPORTED;
    }
    atomic_store(&active, (int)isa);
    return QTF_OK;
}

qtf_isa qtf_active_isa(void) {
    return (qtf_isa)atomic_load(&active);
}

const qtf_kernels *qtf_active_kernels(void) {
    return &tables[atomic_load(&active)];
}
