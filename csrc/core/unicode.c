#include "core/unicode.h"

#include <stdlib.h>
#include <string.h>

#include "core/grow.h"
#include "core/pool.h"

enum {
    POLL_BYTES = 1 << 16,
    HANGUL_S = 0xAC00,
    HANGUL_L = 0x1100,
    HANGUL_V = 0x1161,
    HANGUL_T = 0x11A7,
    N_L = 19,
    N_V = 21,
    N_T = 28,
    N_S = N_L * N_V * N_T,
    POINT = 0xFFFFFF,
    CCC_SHIFT = 24,
};

int qtf_utf8_write(uint32_t c, uint8_t *text) {
    if (c < 0x80) {
        text[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        text[0] = (uint8_t)(0xC0 | c >> 6);
        text[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        text[0] = (uint8_t)(0xE0 | c >> 12);
        text[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        text[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    text[0] = (uint8_t)(0xF0 | c >> 18);
    text[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    text[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    text[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

static size_t skip_ascii(const uint8_t *text, size_t i, size_t n) {
    uint64_t word;
    while (i + 8 <= n && (memcpy(&word, text + i, 8), (word & 0x8080808080808080u) == 0)) {
        i += 8;
    }
    while (i < n && text[i] < 0x80) {
        i++;
    }
    return i;
}

/* Length of the well-formed sequence at text, which starts with a byte >= 0x80; 0 if ill-formed. */
static int sequence_length(const uint8_t *text, size_t n) {
    uint8_t lead = text[0], low = 0x80, high = 0xBF;
    int length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (length == 0 || (size_t)length > n) {
        return 0;
    }
    /* Only the second byte's range depends on the lead: overlongs, surrogates, above 10FFFF. */
    if (lead == 0xE0) {
        low = 0xA0;
    } else if (lead == 0xED) {
        high = 0x9F;
    } else if (lead == 0xF0) {
        low = 0x90;
    } else if (lead == 0xF4) {
        high = 0x8F;
    }
    if (text[1] < low || text[1] > high) {
        return 0;
    }
    for (int i = 2; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return length;
}

size_t qtf_utf8_valid(const uint8_t *text, size_t n) {
    for (size_t i = 0;;) {
        i = skip_ascii(text, i, n);
        if (i == n) {
            return n;
        }
        int length = sequence_length(text + i, n - i);
        if (length == 0) {
            return i;
        }
        i += (size_t)length;
    }
}

static unsigned nfc_kind(uint32_t c) {
    return qtf_nfc_blocks[qtf_nfc_index[c >> 7] * 128u + (c & 127)];
}

/* Whether normalisation can be cut before c: neither c nor anything before it can change by c. */
static bool is_boundary(uint32_t c) {
    unsigned kind = nfc_kind(c);
    return qtf_nfc_ccc[kind] == 0 && !qtf_nfc_unstable[kind];
}

/* First position >= i whose character is no boundary, and the last boundary before it; or n. */
static size_t find_unstable(const uint8_t *text, size_t i, size_t n, size_t *boundary) {
    *boundary = i;
    while (i < n) {
        size_t plain = skip_ascii(text, i, n);
        if (plain > i) {
            *boundary = plain - 1;
        }
        i = plain;
        if (i == n) {
            break;
        }
        int length;
        uint32_t c = qtf_utf8_read(text + i, &length);
        if (!is_boundary(c)) {
            return i;
        }
        *boundary = i;
        i += (size_t)length;
    }
    *boundary = n;
    return n;
}

size_t qtf_nfc_stable(const uint8_t *text, size_t n) {
    size_t boundary;
    find_unstable(text, 0, n, &boundary);
    return boundary;
}

static bool push(qtf_nfc *nfc, size_t *count, uint32_t c) {
    if (!QTF_GROW(nfc->points, nfc->points_capacity, *count + 1)) {
        return false;
    }
    nfc->points[(*count)++] = c | (uint32_t)qtf_nfc_ccc[nfc_kind(c)] << CCC_SHIFT;
    return true;
}

static bool push_decomposed(qtf_nfc *nfc, size_t *count, uint32_t c) {
    if (c - HANGUL_S < N_S) {
        uint32_t s = c - HANGUL_S;
        return push(nfc, count, HANGUL_L + s / (N_V * N_T)) &&
               push(nfc, count, HANGUL_V + s % (N_V * N_T) / N_T) &&
               (s % N_T == 0 || push(nfc, count, HANGUL_T + s % N_T));
    }
    int low = 0, high = qtf_n_decomposed;
    while (low < high) {
        int middle = (low + high) / 2;
        if (qtf_decomposed[middle] < c) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == qtf_n_decomposed || qtf_decomposed[low] != c) {
        return push(nfc, count, c);
    }
    for (int i = qtf_decomposed_start[low]; i < qtf_decomposed_start[low + 1]; i++) {
        if (!push(nfc, count, qtf_decomposed_parts[i])) {
            return false;
        }
    }
    return true;
}

/* Sort each run of non-starters by combining class, keeping order within a class. */
static bool order(qtf_nfc *nfc, size_t count) {
    for (size_t start = 0; start < count; start++) {
        size_t end = start;
        bool sorted = true;
        while (end < count && nfc->points[end] >> CCC_SHIFT) {
            sorted &=
                end == start || nfc->points[end - 1] >> CCC_SHIFT <= nfc->points[end] >> CCC_SHIFT;
            end++;
        }
        if (!sorted) {
            if (!QTF_GROW(nfc->sorted, nfc->sorted_capacity, end - start)) {
                return false;
            }
            size_t place[257] = {0};
            for (size_t i = start; i < end; i++) {
                place[(nfc->points[i] >> CCC_SHIFT) + 1]++;
            }
            for (int ccc = 1; ccc < 257; ccc++) {
                place[ccc] += place[ccc - 1];
            }
            for (size_t i = start; i < end; i++) {
                nfc->sorted[place[nfc->points[i] >> CCC_SHIFT]++] = nfc->points[i];
            }
            memcpy(nfc->points + start, nfc->sorted, (end - start) * sizeof *nfc->points);
        }
        start = end;
    }
    return true;
}

/* The composite of two code points, or 0. */
static uint32_t compose_pair(uint32_t first, uint32_t second) {
    if (first - HANGUL_L < N_L && second - HANGUL_V < N_V) {
        return HANGUL_S + ((first - HANGUL_L) * N_V + (second - HANGUL_V)) * N_T;
    }
    if (first - HANGUL_S < N_S && (first - HANGUL_S) % N_T == 0 &&
        second - HANGUL_T - 1 < N_T - 1) {
        return first + (second - HANGUL_T);
    }
    int low = 0, high = qtf_n_composed;
    while (low < high) {
        int middle = (low + high) / 2;
        if (qtf_composed_first[middle] < first ||
            (qtf_composed_first[middle] == first && qtf_composed_second[middle] < second)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < qtf_n_composed && qtf_composed_first[low] == first &&
                 qtf_composed_second[low] == second;
    return found ? qtf_composed[low] : 0;
}

/* Compose in place and return the new count. */
static size_t compose(uint32_t *points, size_t count) {
    size_t kept = 0, starter = SIZE_MAX;
    uint32_t previous_ccc = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t c = points[i] & POINT, ccc = points[i] >> CCC_SHIFT;
        /* Blocked when something of the same or a higher class stands between. */
        bool adjacent = starter != SIZE_MAX && kept == starter + 1;
        if (starter != SIZE_MAX && (adjacent || (previous_ccc != 0 && previous_ccc < ccc))) {
            uint32_t composite = compose_pair(points[starter] & POINT, c);
            if (composite) {
                points[starter] = composite;
                continue;
            }
        }
        if (ccc == 0) {
            starter = kept;
        }
        previous_ccc = ccc;
        points[kept++] = points[i];
    }
    return kept;
}

static bool copy(qtf_nfc *out, const uint8_t *text, size_t n) {
    if (!QTF_GROW(out->text, out->text_capacity, out->n + n + 1)) {
        return false;
    }
    memcpy(out->text + out->n, text, n);
    out->n += n;
    return true;
}

static bool rewrite(qtf_nfc *out, const uint8_t *text, size_t from, size_t from_end) {
    size_t count = 0;
    for (size_t i = from; i < from_end;) {
        int length;
        if (!push_decomposed(out, &count, qtf_utf8_read(text + i, &length))) {
            return false;
        }
        i += (size_t)length;
    }
    if (!order(out, count)) {
        return false;
    }
    count = compose(out->points, count);
    if (!QTF_GROW(out->text, out->text_capacity, out->n + 4 * count + 1) ||
        !QTF_GROW(out->spans, out->spans_capacity, out->n_spans + 1)) {
        return false;
    }
    size_t to = out->n;
    for (size_t i = 0; i < count; i++) {
        out->n += (size_t)qtf_utf8_write(out->points[i] & POINT, out->text + out->n);
    }
    if (out->n - to != from_end - from || memcmp(out->text + to, text + from, out->n - to) != 0) {
        out->spans[out->n_spans++] = (qtf_nfc_span){to, out->n, from, from_end};
    }
    return true;
}

qtf_status qtf_nfc_normalise(const uint8_t *text, size_t n, qtf_nfc *out) {
    out->n = 0;
    out->n_spans = 0;
    for (size_t i = 0, polled = 0; i < n;) {
        if (i - polled >= POLL_BYTES) {
            polled = i;
            if (qtf_pool_stopping()) {
                return QTF_ABORTED;
            }
        }
        size_t boundary, end = find_unstable(text, i, n, &boundary);
        if (!copy(out, text + i, boundary - i)) {
            return QTF_NO_MEMORY;
        }
        if (end == n) {
            break;
        }
        while (end < n) {
            int length;
            uint32_t c = qtf_utf8_read(text + end, &length);
            if (is_boundary(c)) {
                break;
            }
            end += (size_t)length;
        }
        if (!rewrite(out, text, boundary, end)) {
            return QTF_NO_MEMORY;
        }
        i = end;
    }
    return QTF_OK;
}

size_t qtf_nfc_origin(const qtf_nfc *nfc, size_t position, bool end, size_t *cursor) {
    while (*cursor < nfc->n_spans && nfc->spans[*cursor].to_end <= position) {
        (*cursor)++;
    }
    if (*cursor < nfc->n_spans) {
        const qtf_nfc_span *span = &nfc->spans[*cursor];
        if (position > span->to) {
            return end ? span->from_end : span->from;
        }
    }
    if (*cursor == 0) {
        return position;
    }
    const qtf_nfc_span *before = &nfc->spans[*cursor - 1];
    return before->from_end + (position - before->to_end);
}

void qtf_nfc_free(qtf_nfc *nfc) {
    free(nfc->text);
    free(nfc->spans);
    free(nfc->points);
    free(nfc->sorted);
    *nfc = (qtf_nfc){0};
}
