/* A strict JSON reader (RFC 8259) for files of many small strings. */
#ifndef QTF_JSON_H
#define QTF_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

typedef enum {
    QTF_JSON_NULL,
    QTF_JSON_FALSE,
    QTF_JSON_TRUE,
    QTF_JSON_NUMBER,
    QTF_JSON_STRING,
    QTF_JSON_ARRAY,
    QTF_JSON_OBJECT,
} qtf_json_type;

/*
 * Values lie in document order: the first child of node i is i + 1, its next sibling is
 * nodes[i].next, and the children of an object are name, value, name, value, ...
 * start and length: the text of a number, the unescaped UTF-8 of a string; for an array or object
 * length is the number of its items.
 */
typedef struct {
    uint16_t type;
    uint16_t unescaped; /* a string that had escapes: it lies in the document's own buffer */
    uint32_t start, length, next;
} qtf_json_node;

typedef struct {
    const char *text; /* borrowed from the caller of qtf_json_parse */
    char *unescaped;
    size_t n_unescaped, unescaped_capacity;
    qtf_json_node *nodes;
    size_t n_nodes, nodes_capacity;
} qtf_json;

#define QTF_JSON_MAX_DEPTH 64

/*
 * Parse n bytes of text, which must outlive doc; n < 2^32 - 1. On QTF_BAD_DATA error says what
 * stood where; doc holds nothing then.
 */
qtf_status qtf_json_parse(const char *text, size_t n, qtf_json *doc, qtf_error *error);

void qtf_json_free(qtf_json *doc);

/* The text of a string or number, nodes[node].length bytes. */
static inline const char *qtf_json_text(const qtf_json *doc, uint32_t node) {
    const qtf_json_node *found = &doc->nodes[node];
    return (found->unescaped ? doc->unescaped : doc->text) + found->start;
}

/* The value of a member of the object at node, the last of that name; 0 when there is none. */
uint32_t qtf_json_get(const qtf_json *doc, uint32_t node, const char *name);

/* Whether the node is a string equal to the C string. */
bool qtf_json_is(const qtf_json *doc, uint32_t node, const char *string);

/* Whether the node is a number that is an integer in [0, limit); stores it. */
bool qtf_json_index(const qtf_json *doc, uint32_t node, uint32_t limit, uint32_t *value);

/* "null", "a string", ...: what a node is, for messages. */
const char *qtf_json_kind(const qtf_json *doc, uint32_t node);

#endif
