/* The message that goes with a failed status: what was found, what was expected. */
#ifndef QTF_ERROR_H
#define QTF_ERROR_H

#include "core/compiler.h"
#include "core/status.h"

typedef struct {
    char text[320];
} qtf_error;

/* Write the message (cut if too long) and return status, so that a failure is one statement. */
QTF_PRINTF(3, 4) qtf_status qtf_fail(qtf_error *error, qtf_status status, const char *format, ...);

#endif
