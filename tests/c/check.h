/* The smallest harness: CHECK counts, main returns the failures. */
#ifndef QTF_CHECK_H
#define QTF_CHECK_H

#include <stdio.h>

static int checks_failed;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                 \
            checks_failed++;                                                                       \
        }                                                                                          \
    } while (0)

#endif
