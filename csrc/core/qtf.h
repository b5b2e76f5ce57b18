/* The C core's public interface. Call qtf_dispatch_init() and qtf_pool_init() first. */
#ifndef QTF_H
#define QTF_H

#include "core/attention.h"
#include "core/cpu.h"
#include "core/dispatch.h"
#include "core/hash.h"
#include "core/layers.h"
#include "core/loss.h"
#include "core/matmul.h"
#include "core/memory.h"
#include "core/pool.h"
#include "core/status.h"

#endif
