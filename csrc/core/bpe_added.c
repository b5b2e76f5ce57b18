#include "core/bpe_added.h"

#include <stdlib.h>
#include <string.h>

#include "core/grow.h"
#include "core/unicode.h"

enum { NO_TOKEN = UINT32_MAX };

static size_t edge_slot(const uint64_t *edges, size_t mask, uint32_t key) {
    size_t slot = (key * 0x9E3779B97F4A7C15u >> 32) & mask;
    while (edges[slot] != UINT64_MAX && edges[slot] >> 32 != key) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

static bool grow_edges(qtf_trie *trie) {
    size_t n = trie->edges ? 2 * (trie->edge_mask + 1) : 64;
    uint64_t *edges = malloc(n * sizeof *edges);
    if (!edges) {
        return false;
    }
    memset(edges, 0xFF, n * sizeof *edges);
    for (size_t i = 0; trie->edges && i <= trie->edge_mask; i++) {
        if (trie->edges[i] != UINT64_MAX) {
            edges[edge_slot(edges, n - 1, (uint32_t)(trie->edges[i] >> 32))] = trie->edges[i];
        }
    }
    free(trie->edges);
    trie->edges = edges;
    trie->edge_mask = n - 1;
    return true;
}

static bool new_node(qtf_trie *trie) {
    if (!QTF_GROW(trie->token, trie->token_capacity, trie->n_nodes + 1)) {
        return false;
    }
    trie->token[trie->n_nodes++] = NO_TOKEN;
    return true;
}

static qtf_status trie_add(qtf_trie *trie, const uint8_t *content, size_t n, uint32_t token) {
    if (trie->n_nodes == 0 && !new_node(trie)) {
        return QTF_NO_MEMORY;
    }
    uint32_t node = 0;
    for (size_t i = 0; i < n; i++) {
        if ((!trie->edges || 2 * trie->n_edges > trie->edge_mask) && !grow_edges(trie)) {
            return QTF_NO_MEMORY;
        }
        uint32_t key = node << 8 | content[i];
        size_t slot = edge_slot(trie->edges, trie->edge_mask, key);
        if (trie->edges[slot] == UINT64_MAX) {
            if (trie->n_nodes >> 24 || !new_node(trie)) {
                return QTF_NO_MEMORY;
            }
            trie->edges[slot] = (uint64_t)key << 32 | (trie->n_nodes - 1);
            trie->n_edges++;
        }
        node = (uint32_t)trie->edges[slot];
    }
    trie->token[node] = token;
    trie->first[content[0]] = true;
    return QTF_OK;
}

qtf_status qtf_added_add(qtf_added *added, const qtf_added_token *token, const uint8_t *content,
                         size_t n) {
    if (!QTF_GROW(added->tokens, added->tokens_capacity, added->n_tokens + 1)) {
        return QTF_NO_MEMORY;
    }
    added->tokens[added->n_tokens] = *token;
    qtf_trie *trie = token->normalized ? &added->normalised : &added->raw;
    return trie_add(trie, content, n, (uint32_t)added->n_tokens++);
}

void qtf_added_free(qtf_added *added) {
    free(added->tokens);
    free(added->raw.edges);
    free(added->raw.token);
    free(added->normalised.edges);
    free(added->normalised.token);
    *added = (qtf_added){0};
}

const qtf_added_token *qtf_added_find(const qtf_added *added, uint32_t id) {
    for (size_t i = 0; i < added->n_tokens; i++) {
        if (added->tokens[i].id == id) {
            return &added->tokens[i];
        }
    }
    return NULL;
}

/* The longest token that starts at text, NO_TOKEN if there is none; stores its length. */
static uint32_t longest(const qtf_trie *trie, const uint8_t *text, size_t n, size_t *length) {
    uint32_t node = 0, token = NO_TOKEN;
    for (size_t i = 0; i < n; i++) {
        uint64_t edge = trie->edges[edge_slot(trie->edges, trie->edge_mask, node << 8 | text[i])];
        if (edge == UINT64_MAX) {
            break;
        }
        node = (uint32_t)edge;
        if (trie->token[node] != NO_TOKEN) {
            token = trie->token[node];
            *length = i + 1;
        }
    }
    return token;
}

/* \w of Rust's regex: letters, marks, decimal and letter numbers, connectors, joiners, and the
 * symbols that are Alphabetic. */
static bool is_word(uint32_t c) {
    const uint32_t set = QTF_LETTER | QTF_MARK | QTF_IN(QTF_ND) | QTF_IN(QTF_NL) | QTF_IN(QTF_PC);
    return qtf_category_bit(c) & set || c - 0x200C < 2 || c - 0x24B6 < 52 || c - 0x1F130 < 26 ||
           c - 0x1F150 < 26 || c - 0x1F170 < 26;
}

/* The start of the character that ends before position, which is > 0. */
static size_t step_back(const uint8_t *text, size_t position) {
    do {
        position--;
    } while ((text[position] & 0xC0) == 0x80);
    return position;
}

static bool is_single_word(const qtf_cutter *c, size_t start, size_t end) {
    int length;
    bool before = start > 0 && is_word(qtf_utf8_read(c->text + step_back(c->text, start), &length));
    bool behind = end < c->n && is_word(qtf_utf8_read(c->text + end, &length));
    return !before && !behind;
}

static bool is_space(const uint8_t *text, int *length) {
    return qtf_category_bit(qtf_utf8_read(text, length)) & QTF_SPACE;
}

qtf_cutter qtf_cutter_start(const qtf_added *added, bool normalised, bool plain,
                            const uint8_t *text, size_t n) {
    return (qtf_cutter){.added = added,
                        .trie = normalised ? &added->normalised : &added->raw,
                        .text = text,
                        .n = n,
                        .plain = plain};
}

/* Find the next token and where it ends up after stripping; false when there is none. */
static bool find_token(qtf_cutter *c, qtf_cut *cut) {
    if (!c->trie->edges) {
        return false;
    }
    while (c->search < c->n) {
        if (!c->trie->first[c->text[c->search]]) {
            c->search++;
            continue;
        }
        size_t length = 0, start = c->search;
        uint32_t index = longest(c->trie, c->text + start, c->n - start, &length);
        if (index == NO_TOKEN) {
            c->search++;
            continue;
        }
        const qtf_added_token *token = &c->added->tokens[index];
        size_t end = c->search = start + length;
        if ((c->plain && token->special) ||
            (token->single_word && !is_single_word(c, start, end))) {
            continue;
        }
        int size;
        while (token->lstrip && start > c->done &&
               is_space(c->text + step_back(c->text, start), &size)) {
            start = step_back(c->text, start);
        }
        while (token->rstrip && end < c->n && is_space(c->text + end, &size)) {
            end += (size_t)size;
        }
        *cut = (qtf_cut){start, end, token};
        return true;
    }
    return false;
}

bool qtf_cutter_next(qtf_cutter *c, qtf_cut *cut) {
    if (c->pending.token) {
        *cut = c->pending;
        c->pending.token = NULL;
        c->done = cut->end;
        return true;
    }
    qtf_cut found;
    if (!find_token(c, &found)) {
        *cut = (qtf_cut){c->done, c->n, NULL};
        c->search = c->n;
        c->done = c->n;
        return cut->start < cut->end;
    }
    if (found.start > c->done) {
        *cut = (qtf_cut){c->done, found.start, NULL};
        c->pending = found;
        return true;
    }
    *cut = found;
    c->done = found.end;
    return true;
}
