/*
 * The loops that give the machine's limits run and end for each instruction set. Prints what each
 * consists of and the operations of a step, which tests/c/aarch64 compares with its machine code.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/dispatch.h"
#include "kernels/limits.h"

static void check_loop(qtf_isa isa, const char *kind, qtf_limit loop) {
    CHECK(loop.run && loop.ops > 0 && strcmp(loop.instructions, "none") != 0);
    if (loop.run) {
        loop.run(1);
        loop.run(1000);
    }
    printf("limit %s of %s: %s %d\n", kind, qtf_isa_name(isa), loop.instructions, loop.ops);
}

int main(void) {
    qtf_dispatch_init();
    for (qtf_isa isa = 0; isa < QTF_ISA_COUNT; isa++) {
        if (qtf_isa_available(isa)) {
            check_loop(isa, "f32", qtf_limit_f32(isa));
            check_loop(isa, "q8", qtf_limit_q8(isa));
            check_loop(isa, "q4", qtf_limit_q4(isa));
        }
    }
    qtf_limit_clock(1);
    qtf_limit_clock(1000);
    const size_t bytes = 4096;
    char *data = calloc(bytes, 1);
    CHECK(data);
    if (data) {
        qtf_limit_read(data, bytes);
    }
    free(data);
    printf("test_limits: %d failed\n", checks_failed);
    return checks_failed != 0;
}
