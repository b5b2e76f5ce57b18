#include "core/status.h"

const char *qtf_status_text(qtf_status status) {
    switch (status) {
    case QTF_OK:
        return "success";
    case QTF_NO_MEMORY:
        return "out of memory";
    case QTF_BAD_ARGUMENT:
        return "an argument is out of its range";
    case QTF_BAD_DATA:
        return "malformed data";
    case QTF_NOT_FINITE:
        return "a value is NaN or infinite";
    case QTF_UNSUPPORTED:
        return "not supported";
    case QTF_ABORTED:
        return "interrupted";
    }
    return "unknown status";
}
