/* What differs between compilers and targets; nothing else in the tree asks which compiler it is.
 */
#ifndef QTF_COMPILER_H
#define QTF_COMPILER_H

#if !defined(__GNUC__)
#error "pyqtf is built with GCC or Clang; other compilers are untested"
#endif

#define QTF_RESTRICT restrict
#ifndef QTF_INLINE /* tests/c/build leaves bodies out of line where sanitizers check them */
#define QTF_INLINE static inline __attribute__((always_inline))
#endif
#define QTF_NOINLINE __attribute__((noinline))
#define QTF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define QTF_LIKELY(x) __builtin_expect(!!(x), 1)
#define QTF_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* The compiler forgets what it knows of a pointer's value. */
#define QTF_OPAQUE(pointer) __asm__("" : "+r"(pointer))

/* Keep an array in memory here: the compiler may not carry its elements on in registers. */
#define QTF_TO_MEMORY(array) __asm__ volatile("" : : "r"(array) : "memory")

#if defined(__SANITIZE_ADDRESS__)
#define QTF_CHECKS_ADDRESSES 1
#elif defined(__has_feature)
#define QTF_CHECKS_ADDRESSES __has_feature(address_sanitizer)
#else
#define QTF_CHECKS_ADDRESSES 0
#endif

#if defined(__x86_64__)
#define QTF_X86 1
#else
#define QTF_X86 0
#endif
#if defined(__AARCH64EL__)
#define QTF_AARCH64 1
#else
#define QTF_AARCH64 0
#endif

/*
 * QTF_TARGET_BEGIN("avx2,fma") … QTF_TARGET_END: the functions between them are compiled for these
 * instruction sets whatever the command line says. Include system headers before, not between.
 */
#define QTF_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define QTF_TARGET_BEGIN(isa)                                                                      \
    QTF_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define QTF_TARGET_DOTPROD "dotprod"
#define QTF_TARGET_I8MM "i8mm"
#define QTF_TARGET_END QTF_PRAGMA(clang attribute pop)
#else
#define QTF_TARGET_BEGIN(isa) QTF_PRAGMA(GCC push_options) QTF_PRAGMA(GCC target(isa))
#define QTF_TARGET_DOTPROD "arch=armv8.2-a+dotprod"
#define QTF_TARGET_I8MM "arch=armv8.2-a+i8mm"
#define QTF_TARGET_END QTF_PRAGMA(GCC pop_options)
#endif

/* At a file's head: GCC's scheduling before it allocates registers spills what a tile keeps in them
 * on AArch64. */
#if defined(__clang__)
#define QTF_NO_EARLY_SCHEDULING
#else
#define QTF_NO_EARLY_SCHEDULING QTF_PRAGMA(GCC optimize("no-schedule-insns"))
#endif

/* Full unrolling of a loop whose bound is a constant; four rounds at a time of any loop. */
#if defined(__clang__)
#define QTF_UNROLL _Pragma("clang loop unroll(full)")
#define QTF_UNROLL_4 _Pragma("clang loop unroll_count(4)")
#else
#define QTF_UNROLL _Pragma("GCC unroll 64")
#define QTF_UNROLL_4 _Pragma("GCC unroll 4")
#endif

#endif
