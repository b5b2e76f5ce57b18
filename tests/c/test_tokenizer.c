/* The tokenizer without Python: JSON, Unicode, words of any length, damaged files. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/bpe_tokenizer.h"
#include "core/json.h"
#include "core/pool.h"
#include "core/unicode.h"

/* Bytes a..c and space, merges "ab", "abc", " abc"; NFC and Qwen2's pattern. */
static const char *const example =
    "{\"added_tokens\": [{\"id\": 7, \"content\": \"<c>\", \"special\": true, "
    "\"normalized\": false, \"lstrip\": true}],"
    " \"normalizer\": {\"type\": \"NFC\"},"
    " \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\","
    " \"pattern\": {\"Regex\": \"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?"
    "\\\\p{L}+|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!"
    "\\\\S)|\\\\s+\"}, \"behavior\": \"Isolated\", \"invert\": false},"
    " {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}]},"
    " \"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"c\": 2, \"\\u0120\": 3,"
    " \"ab\": 4, \"abc\": 5, \"\\u0120abc\": 6}, \"merges\": [\"a b\", \"ab c\", [\"\\u0120\","
    " \"abc\"]]}}";

static qtf_tokenizer *open_example(void) {
    qtf_tokenizer *tokenizer = NULL;
    qtf_error error = {""};
    CHECK(qtf_tokenizer_from_json(example, strlen(example), &tokenizer, &error) == QTF_OK);
    CHECK(error.text[0] == 0);
    return tokenizer;
}

static void check_ids(const qtf_encoding *found, const int32_t *expected, size_t n) {
    CHECK(found->n == n);
    CHECK(found->n == n && memcmp(found->ids, expected, n * sizeof *expected) == 0);
}

static void test_encode(qtf_tokenizer *tokenizer) {
    static const char text[] = "abc abc  ab <c>a";
    static const int32_t expected[] = {5, 6, 3, 3, 4, 7, 0};
    static const size_t starts[] = {0, 3, 7, 8, 9, 11, 15}, ends[] = {3, 7, 8, 9, 11, 15, 16};
    qtf_encoding out = {0};
    qtf_error error;
    CHECK(qtf_encode(tokenizer, (const uint8_t *)text, strlen(text), QTF_ENCODE_OFFSETS, &out,
                     &error) == QTF_OK);
    check_ids(&out, expected, sizeof expected / sizeof expected[0]);
    CHECK(memcmp(out.starts, starts, sizeof starts) == 0);
    CHECK(memcmp(out.ends, ends, sizeof ends) == 0);
    qtf_encoding_free(&out);
    CHECK(qtf_encode(tokenizer, (const uint8_t *)"ad", 2, 0, &out, &error) == QTF_BAD_DATA);
    CHECK(strstr(error.text, "0x64") != NULL);
    CHECK(qtf_encode(tokenizer, (const uint8_t *)"a\xC0", 2, 0, &out, &error) == QTF_BAD_DATA);
    CHECK(strstr(error.text, "at byte 1") != NULL);
    qtf_encoding_free(&out);
}

/* A word of 1 MB: merged through the heap, and the same as its pieces. */
static void test_long_word(qtf_tokenizer *tokenizer) {
    enum { REPEATS = 350000 };
    uint8_t *text = malloc(3 * REPEATS);
    for (int i = 0; i < REPEATS; i++) {
        memcpy(text + 3 * i, "abc", 3);
    }
    qtf_encoding out = {0};
    qtf_error error;
    CHECK(qtf_encode(tokenizer, text, 3 * REPEATS, 0, &out, &error) == QTF_OK);
    CHECK(out.n == REPEATS);
    bool all = true;
    for (size_t i = 0; i < out.n; i++) {
        all &= out.ids[i] == 5;
    }
    CHECK(all);
    qtf_encoding_free(&out);
    free(text);
}

enum { N = 5000 };

typedef struct {
    int taken[N]; /* how often */
    int calls;
    bool right, refuse;
} taker;

static bool take(void *context, const qtf_encoded *list) {
    taker *t = context;
    t->calls++;
    for (; list; list = list->next) {
        const int32_t *ids = list->ids;
        for (size_t i = 0; i < list->n_texts; ids += list->counts[i++]) {
            size_t text = list->first + i;
            t->taken[text]++;
            t->right &= list->counts[i] == 1 + text % 3;
            for (size_t k = 0; k < list->counts[i]; k++) {
                t->right &= ids[k] == 5;
            }
        }
    }
    return !t->refuse;
}

static void test_batch(qtf_tokenizer *tokenizer) {
    static const uint8_t *texts[N];
    static size_t lengths[N];
    static taker t, refusing;
    for (size_t i = 0; i < N; i++) {
        texts[i] = (const uint8_t *)"abcabcabc";
        lengths[i] = 3 + i % 3 * 3;
    }
    qtf_error error;
    size_t failed = 0;
    t.right = true;
    CHECK(qtf_encode_batch(tokenizer, texts, lengths, N, 0, take, &t, &failed, &error) == QTF_OK);
    bool once = true;
    for (int i = 0; i < N; i++) {
        once &= t.taken[i] == 1;
    }
    CHECK(once && t.right && t.calls < 40);
    refusing.refuse = true;
    CHECK(qtf_encode_batch(tokenizer, texts, lengths, N, 0, take, &refusing, &failed, &error) ==
          QTF_ABORTED);
    CHECK(refusing.calls == 1);
    texts[4000] = texts[7] = (const uint8_t *)"xyzxyzxyz";
    CHECK(qtf_encode_batch(tokenizer, texts, lengths, N, 0, take, &t, &failed, &error) ==
          QTF_BAD_DATA);
    CHECK(failed == 7 && strstr(error.text, "0x78"));
    CHECK(qtf_encode_batch(tokenizer, texts, lengths, 0, 0, take, &t, &failed, &error) == QTF_OK);
}

/* The third time the hook is asked, it says stop: that is well inside a long text or word. */
static int asked;
static bool stop_at_third(void) {
    return ++asked >= 3;
}

static void test_stop(qtf_tokenizer *tokenizer) {
    enum { LONG = 36000000, WORD = 6000000 };
    uint8_t *text = malloc(LONG);
    static taker t;
    qtf_pool_set_poll(stop_at_third);
    for (int kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < LONG; i++) {
            text[i] = (uint8_t)(kind == 0 && i % 4 == 3 ? ' ' : 'a' + i % 3);
        }
        qtf_encoding out = {0};
        qtf_error error;
        size_t n = kind == 0 ? LONG : WORD, failed, lengths[] = {WORD, WORD};
        const uint8_t *texts[] = {text, text};
        asked = 0;
        qtf_status status =
            kind == 2 ? qtf_encode_batch(tokenizer, texts, lengths, 2, 0, take, &t, &failed, &error)
                      : qtf_encode(tokenizer, text, n, 0, &out, &error);
        CHECK(status == QTF_ABORTED && asked == 3);
        qtf_encoding_free(&out);
    }
    qtf_pool_set_poll(NULL);
    free(text);
}

/* Cut the example everywhere, and overwrite every byte: it loads or says why not. */
static void test_damage(void) {
    size_t n = strlen(example);
    char *copy = malloc(n);
    for (size_t i = 0; i < n; i++) {
        for (const char *filling = "\"{]\\,\xff"; *filling; filling++) {
            qtf_tokenizer *tokenizer = NULL;
            qtf_error error = {""};
            memcpy(copy, example, n);
            copy[i] = *filling;
            qtf_status status = qtf_tokenizer_from_json(copy, n, &tokenizer, &error);
            CHECK((status == QTF_OK) == (tokenizer != NULL));
            CHECK(status == QTF_OK || error.text[0]);
            qtf_tokenizer_free(tokenizer);
        }
        char *cut = malloc(i ? i : 1);
        memcpy(cut, example, i);
        qtf_tokenizer *tokenizer = NULL;
        qtf_error error;
        CHECK(qtf_tokenizer_from_json(cut, i, &tokenizer, &error) == QTF_BAD_DATA);
        free(cut);
    }
    free(copy);
}

static void test_json(void) {
    char text[] = " {\"a\": [1, -2.5e+3, \"\\ud83d\\ude00\\n\", {}, []], \"a\": true} ";
    qtf_json doc;
    qtf_error error;
    CHECK(qtf_json_parse(text, strlen(text), &doc, &error) == QTF_OK);
    CHECK(doc.nodes[0].type == QTF_JSON_OBJECT && doc.nodes[0].length == 2);
    CHECK(doc.nodes[2].type == QTF_JSON_ARRAY && doc.nodes[2].length == 5);
    CHECK(qtf_json_is(&doc, 5, "\xF0\x9F\x98\x80\n"));
    uint32_t last = qtf_json_get(&doc, 0, "a"), number;
    CHECK(doc.nodes[last].type == QTF_JSON_TRUE);
    CHECK(qtf_json_index(&doc, 3, 2, &number) && number == 1);
    CHECK(!qtf_json_index(&doc, 3, 1, &number) && !qtf_json_index(&doc, 4, 10, &number));
    qtf_json_free(&doc);
}

static void check_nfc(const char *from, const char *to) {
    qtf_nfc nfc = {0};
    CHECK(qtf_nfc_normalise((const uint8_t *)from, strlen(from), &nfc) == QTF_OK);
    CHECK(nfc.n == strlen(to) && memcmp(nfc.text, to, nfc.n) == 0);
    qtf_nfc_free(&nfc);
}

static void test_unicode(void) {
    check_nfc("abc", "abc");
    check_nfc("ae\xCC\x81z", "a\xC3\xA9z");
    check_nfc("\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", "\xEA\xB0\x81");
    check_nfc("\xE2\x84\xAA", "K");
    check_nfc("q\xCC\x87\xCC\xA3", "q\xCC\xA3\xCC\x87");
    CHECK(qtf_nfc_stable((const uint8_t *)"ae\xCC\x81", 4) == 1);
    static const char *const bad[] = {
        "\x80",         "\xC1\x80",         "\xED\xA0\x80", "\xF4\x90\x80\x80",
        "\xE0\x9F\x80", "\xF0\x8F\x80\x80", "\xE2\x82",     "\xF5"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(qtf_utf8_valid((const uint8_t *)bad[i], strlen(bad[i])) == 0);
    }
    for (uint32_t c = 1; c < 0x110000; c += 7) {
        uint8_t text[4];
        int length, read;
        if (c >= 0xD800 && c < 0xE000) {
            continue;
        }
        length = qtf_utf8_write(c, text);
        CHECK(qtf_utf8_valid(text, (size_t)length) == (size_t)length);
        CHECK(qtf_utf8_read(text, &read) == c && read == length);
    }
}

int main(void) {
    qtf_pool_init();
    test_json();
    test_unicode();
    qtf_tokenizer *tokenizer = open_example();
    if (tokenizer) {
        test_encode(tokenizer);
        test_long_word(tokenizer);
        test_batch(tokenizer);
        test_stop(tokenizer);
    }
    qtf_tokenizer_free(tokenizer);
    qtf_tokenizer_free(NULL);
    test_damage();
    printf("test_tokenizer: %d failed\n", checks_failed);
    return checks_failed != 0;
}
