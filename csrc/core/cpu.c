#define _GNU_SOURCE
#include "core/cpu.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

#include "core/compiler.h"
#if QTF_X86
#include <cpuid.h>
#endif

static const char *const isa_names[QTF_ISA_COUNT] = {
    [QTF_ISA_BASELINE] = "baseline",         [QTF_ISA_AVX2] = "avx2",
    [QTF_ISA_AVXVNNI] = "avxvnni",           [QTF_ISA_AVX512VNNI] = "avx512vnni",
    [QTF_ISA_AVX512BF16] = "avx512bf16",     [QTF_ISA_NEON] = "neon",
    [QTF_ISA_NEON_DOTPROD] = "neon-dotprod", [QTF_ISA_NEON_I8MM] = "neon-i8mm",
};

const char *qtf_isa_name(qtf_isa isa) {
    return isa_names[isa];
}

bool qtf_isa_from_name(const char *name, qtf_isa *isa) {
    for (int i = 0; i < QTF_ISA_COUNT; i++) {
        if (strcmp(name, isa_names[i]) == 0) {
            *isa = (qtf_isa)i;
            return true;
        }
    }
    return false;
}

#if QTF_X86
/* XCR0: which register states the operating system saves. */
static uint64_t xgetbv0(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}

static bool has(uint32_t reg, uint32_t bits) {
    return (reg & bits) == bits;
}

/* Bits of leaf 7, part 1, which older compilers' cpuid.h does not name. */
static bool has_newer(uint32_t bits) {
    uint32_t a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1 &&
           __get_cpuid_count(7, 1, &a, &b, &c, &d) && has(a, bits);
}

enum { AVX_VNNI = 1 << 4, AVX512_BF16 = 1 << 5 };

bool qtf_cpu_has_avxvnni(void) {
    return has_newer(AVX_VNNI);
}

qtf_isa qtf_cpu_best_isa(void) {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C)) {
        return QTF_ISA_BASELINE;
    }
    uint64_t xcr0 = xgetbv0();
    if ((xcr0 & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, bit_AVX2)) {
        return QTF_ISA_BASELINE;
    }
    if ((xcr0 & 0xe6) == 0xe6 && has(b, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL) &&
        has(c, bit_AVX512VNNI)) {
        return has_newer(AVX512_BF16) ? QTF_ISA_AVX512BF16 : QTF_ISA_AVX512VNNI;
    }
    return qtf_cpu_has_avxvnni() ? QTF_ISA_AVXVNNI : QTF_ISA_AVX2;
}

const char *qtf_cpu_name(void) {
    static char name[49];
    uint32_t regs[12];
    for (uint32_t leaf = 0; leaf < 3; leaf++) {
        uint32_t *r = regs + 4 * leaf;
        if (!__get_cpuid(0x80000002u + leaf, &r[0], &r[1], &r[2], &r[3])) {
            return "unknown";
        }
    }
    memcpy(name, regs, 48);
    name[48] = '\0';
    return name + strspn(name, " ");
}
#elif !QTF_AARCH64 /* which has cpu_aarch64.c */
qtf_isa qtf_cpu_best_isa(void) {
    return QTF_ISA_BASELINE;
}

const char *qtf_cpu_name(void) {
    return "unknown";
}
#endif

/* Read two whitespace-separated words of a small file; how many were there. */
static int read_words(const char *path, char first[64], char second[64]) {
    FILE *file = fopen(path, "r");
    if (!file) {
        return 0;
    }
    int n = fscanf(file, "%63s %63s", first, second);
    fclose(file);
    return n < 0 ? 0 : n;
}

/* Processors' worth of time that a quota file pair grants; 0 when there is no limit. */
static double quota_of(const char *quota, const char *period) {
    double q = 0.0, p = 0.0;
    if (sscanf(quota, "%lf", &q) != 1 || sscanf(period, "%lf", &p) != 1 || q <= 0.0 || p <= 0.0) {
        return 0.0; /* "max" and -1 mean unlimited */
    }
    return q / p;
}

/* The tightest quota from this process's cgroup up to the root; 0 when there is none. */
static double cgroup_quota(void) {
    double tightest = 0.0;
    char line[512];
    FILE *file = fopen("/proc/self/cgroup", "r");
    if (!file) {
        return 0.0;
    }
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) {
            continue;
        }
        *path++ = '\0';
        controllers++;
        bool v2 = controllers[0] == '\0';
        if (!v2 && strcmp(controllers, "cpu,cpuacct") != 0 && strcmp(controllers, "cpu") != 0) {
            continue;
        }
        for (;;) {
            char name[640], quota[64], period[64], rest[64];
            double limit = 0.0;
            size_t length = strlen(path);
            if (length > 0 && path[length - 1] == '/') {
                path[length - 1] = '\0';
            }
            if (v2) {
                snprintf(name, sizeof name, "/sys/fs/cgroup%s/cpu.max", path);
                if (read_words(name, quota, period) == 2) {
                    limit = quota_of(quota, period);
                }
            } else {
                snprintf(name, sizeof name, "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", path);
                int got = read_words(name, quota, rest);
                snprintf(name, sizeof name, "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", path);
                if (got >= 1 && read_words(name, period, rest) >= 1) {
                    limit = quota_of(quota, period);
                }
            }
            if (limit > 0.0 && (tightest == 0.0 || limit < tightest)) {
                tightest = limit;
            }
            char *slash = strrchr(path, '/');
            if (!slash) {
                break;
            }
            *slash = '\0';
        }
    }
    fclose(file);
    return tightest;
}

int qtf_cpu_count(void) {
    int count = 0;
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        count = CPU_COUNT(&set);
    }
#endif
    if (count < 1) {
        count = (int)sysconf(_SC_NPROCESSORS_ONLN);
    }
    double quota = cgroup_quota();
    if (quota > 0.0 && ceil(quota) < count) {
        count = (int)ceil(quota);
    }
    return count < 1 ? 1 : count;
}
