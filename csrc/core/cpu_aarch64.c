/* What a 64-bit ARM processor can do. */
#include "core/cpu.h"

#include "core/compiler.h"

#if QTF_AARCH64
#if defined(__APPLE__)
#include <sys/sysctl.h>
#include <sys/types.h>

static bool has(const char *feature) {
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(feature, &value, &size, NULL, 0) == 0 && value == 1;
}

static bool has_dotprod(void) {
    return has("hw.optional.arm.FEAT_DotProd");
}

static bool has_i8mm(void) {
    return has("hw.optional.arm.FEAT_I8MM");
}

const char *qtf_cpu_name(void) {
    static char name[128];
    size_t size = sizeof name - 1; /* the last byte stays 0 */
    return sysctlbyname("machdep.cpu.brand_string", name, &size, NULL, 0) == 0 ? name : "unknown";
}

#elif defined(__linux__)
#include <stdint.h>
#include <stdio.h>
#include <sys/auxv.h>

/* Bits of the kernel's interface, which older headers lack. */
static const unsigned long hwcap_cpuid = 1ul << 11, hwcap_asimddp = 1ul << 20;
static const unsigned long hwcap2_i8mm = 1ul << 13;

static bool has_dotprod(void) {
    return getauxval(AT_HWCAP) & hwcap_asimddp;
}

static bool has_i8mm(void) {
    return getauxval(AT_HWCAP2) & hwcap2_i8mm;
}

/* With hwcap_cpuid the kernel lets programs read the main identification register. */
const char *qtf_cpu_name(void) {
    static char name[48];
    uint64_t midr;
    if (!(getauxval(AT_HWCAP) & hwcap_cpuid)) {
        return "unknown";
    }
    __asm__("mrs %0, MIDR_EL1" : "=r"(midr));
    snprintf(name, sizeof name, "ARM implementer 0x%02x part 0x%03x", (unsigned)(midr >> 24) & 0xff,
             (unsigned)(midr >> 4) & 0xfff);
    return name;
}

#else

static bool has_dotprod(void) {
    return false;
}

static bool has_i8mm(void) {
    return false;
}

const char *qtf_cpu_name(void) {
    return "unknown";
}
#endif

qtf_isa qtf_cpu_best_isa(void) {
    if (!has_dotprod()) {
        return QTF_ISA_NEON;
    }
    return has_i8mm() ? QTF_ISA_NEON_I8MM : QTF_ISA_NEON_DOTPROD;
}
#endif
