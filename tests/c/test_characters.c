/* A BPE of characters with byte fallback, without Python: ids, places, text, damaged files. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/bpe_tokenizer.h"
#include "core/pool.h"

/* <s>, the 256 bytes, then mark, a, b, mark a, ab; Llama 2's pipeline. Freed by the caller. */
static char *make_document(void) {
    static const char start[] =
        "{\"added_tokens\": [{\"id\": 0, \"content\": \"<s>\", \"special\": true,"
        " \"normalized\": false}, {\"id\": 262, \"content\": \"<n>\", \"normalized\": true}],"
        " \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\","
        " \"prepend\": \"\\u2581\"}, {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"},"
        " \"content\": \"\\u2581\"}]},"
        " \"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\","
        " \"pattern\": {\"String\": \"\\u2581\"}, \"content\": \" \"}, {\"type\": "
        "\"ByteFallback\"},"
        " {\"type\": \"Fuse\"}]},"
        " \"model\": {\"type\": \"BPE\", \"byte_fallback\": true, \"merges\": [\"\\u2581 a\","
        " \"a b\"], \"vocab\": {\"<s>\": 0, \"\\u2581\": 257, \"a\": 258, \"b\": 259,"
        " \"\\u2581a\": 260, \"ab\": 261";
    char *text = malloc(sizeof start + 256 * 16);
    char *end = text + sizeof start - 1;
    memcpy(text, start, sizeof start);
    for (int byte = 0; byte < 256; byte++) {
        end += sprintf(end, ", \"<0x%02X>\": %d", (unsigned)byte, byte + 1);
    }
    memcpy(end, "}}}", 4);
    return text;
}

static void test_text(qtf_tokenizer *tokenizer) {
    static const char text[] = "ab\xE2\x96\x81 a\xC3\xA9<s>\xC3\xA9";
    static const int32_t expected[] = {260, 259, 257, 260, 196, 170, 0, 257, 196, 170};
    static const size_t starts[] = {0, 1, 2, 5, 7, 8, 9, 12, 12, 13};
    static const size_t ends[] = {1, 2, 5, 7, 8, 9, 12, 14, 13, 14};
    const size_t n = sizeof expected / sizeof expected[0];
    qtf_encoding out = {0};
    qtf_error error;
    CHECK(qtf_encode(tokenizer, (const uint8_t *)text, strlen(text), QTF_ENCODE_OFFSETS, &out,
                     &error) == QTF_OK);
    CHECK(out.n == n && memcmp(out.ids, expected, sizeof expected) == 0);
    CHECK(out.n == n && memcmp(out.starts, starts, sizeof starts) == 0);
    CHECK(out.n == n && memcmp(out.ends, ends, sizeof ends) == 0);
    qtf_encoding_free(&out);
}

static void check_decoded(const qtf_tokenizer *tokenizer, const int64_t *ids, size_t n,
                          const char *expected) {
    uint8_t text[64];
    CHECK(qtf_decode(tokenizer, ids, n, true, NULL) == strlen(expected));
    CHECK(qtf_decode(tokenizer, ids, n, true, text) == strlen(expected));
    CHECK(memcmp(text, expected, strlen(expected)) == 0);
}

static void test_decode(const qtf_tokenizer *tokenizer) {
    static const int64_t whole[] = {260, 196, 0, 170, 262}, broken[] = {66, 196, 260, 170};
    check_decoded(tokenizer, whole, 5, " a\xC3\xA9 <n>");
    check_decoded(tokenizer, broken, 4, "\xEF\xBF\xBD\xEF\xBF\xBD a\xEF\xBF\xBD");
    check_decoded(tokenizer, whole, 0, "");
}

/* No byte of the file changed or cut off may break more than the file. */
static void test_damage(const char *document) {
    static const uint8_t text[] = "ab a\xC3\xA9 <n><s>";
    size_t n = strlen(document);
    char *copy = malloc(n);
    for (size_t i = 0; i < n; i += i < 700 ? 1 : 97) {
        for (const char *filling = "\"{]9 \xff"; *filling; filling++) {
            qtf_tokenizer *tokenizer = NULL;
            qtf_encoding out = {0};
            qtf_error error = {""};
            memcpy(copy, document, n);
            copy[i] = *filling;
            qtf_status status = qtf_tokenizer_from_json(copy, n, &tokenizer, &error);
            CHECK((status == QTF_OK) == (tokenizer != NULL));
            CHECK(status == QTF_OK || error.text[0]);
            CHECK(!tokenizer || qtf_encode(tokenizer, text, sizeof text - 1, QTF_ENCODE_OFFSETS,
                                           &out, &error) == QTF_OK);
            qtf_encoding_free(&out);
            qtf_tokenizer_free(tokenizer);
        }
    }
    free(copy);
}

int main(void) {
    qtf_pool_init();
    char *document = make_document();
    qtf_tokenizer *tokenizer = NULL;
    qtf_error error = {""};
    CHECK(qtf_tokenizer_from_json(document, strlen(document), &tokenizer, &error) == QTF_OK);
    if (tokenizer) {
        test_text(tokenizer);
        test_decode(tokenizer);
    }
    qtf_tokenizer_free(tokenizer);
    test_damage(document);
    free(document);
    printf("test_characters: %d failed\n", checks_failed);
    return checks_failed != 0;
}
