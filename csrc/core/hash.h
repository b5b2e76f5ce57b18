/*
 * Fingerprints of large arrays at the speed of memory: to recognise weights and to notice damage,
 * not to withstand someone who makes collisions on purpose.
 */
#ifndef QTF_HASH_H
#define QTF_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

enum { QTF_HASH_BLOCK = 1 << 20 };

/*
 * Hash each block of QTF_HASH_BLOCK bytes of data, the last one perhaps shorter, into digests
 * [ceil(size / QTF_HASH_BLOCK)]. Parallel; the same on every machine.
 *
 * A block is 64-byte stripes of eight little-endian words, the last stripe padded with zeros. Lane
 * j starts at (j + 1) * P and takes word j of each stripe: lane = rotl((lane ^ word) * P, 31). The
 * digest starts at the block's size; for each lane digest = rotl((digest ^ lane) * P, 29); at the
 * end digest ^= digest >> 32. P = 0x9E3779B97F4A7C15. One changed word always changes the digest
 * before that last step, which is invertible.
 */
qtf_status qtf_hash(const void *data, size_t size, uint64_t *digests);

#endif
