#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

qtf_status qtf_fail(qtf_error *error, qtf_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return status;
}
