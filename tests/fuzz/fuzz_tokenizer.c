/*
 * libFuzzer target: tokenizer.json files, tiktoken files, and texts through every matcher and NFC.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -Icsrc -pthread tests/fuzz/fuzz_tokenizer.c \
 *       csrc/core/{bpe*,json,unicode*,error,pool,memory,cpu,status}.c -lm -o fuzz_tokenizer
 *   ./fuzz_tokenizer -max_len=4096 NEW_CORPUS tests/fuzz/tokenizer
 *
 * tests/fuzz/tokenizer/corpus.zip, unpacked, is another corpus to begin with.
 * The first byte chooses: j a tokenizer.json, t a tiktoken file, anything else a text.
 */
#include <stdlib.h>
#include <string.h>

#include "core/bpe_split.h"
#include "core/bpe_tokenizer.h"
#include "core/pool.h"
#include "core/unicode.h"

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static void encode_some(qtf_tokenizer *tokenizer) {
    static const char text[] = "the cat's 12  hat\n\n\xC3\xA9 e\xCC\x81<s>";
    qtf_encoding out = {0};
    qtf_error error;
    unsigned flags = QTF_ENCODE_OFFSETS | QTF_ENCODE_CHARS | QTF_ENCODE_TEMPLATE;
    if (qtf_encode(tokenizer, (const uint8_t *)text, sizeof text - 1, flags, &out, &error) ==
        QTF_OK) {
        for (size_t i = 0; i < out.n; i++) {
            size_t n;
            require(qtf_token_bytes(tokenizer, out.ids[i], &n) != NULL);
        }
    }
    qtf_encoding_free(&out);
    qtf_tokenizer_free(tokenizer);
}

static void cut_everywhere(const uint8_t *text, size_t n) {
    for (int split = QTF_SPLIT_GPT2; split <= QTF_SPLIT_3_DIGITS; split++) {
        for (const uint8_t *p = text; p < text + n;) {
            const uint8_t *stop = qtf_split_next((qtf_split)split, p, text + n);
            require(stop > p && stop <= text + n);
            require(stop == text + n || (*stop & 0xC0) != 0x80);
            p = stop;
        }
    }
}

static void normalise_twice(const uint8_t *text, size_t n) {
    qtf_nfc once = {0}, twice = {0};
    require(qtf_nfc_normalise(text, n, &once) == QTF_OK);
    require(qtf_utf8_valid(once.text, once.n) == once.n);
    require(qtf_nfc_normalise(once.text, once.n, &twice) == QTF_OK);
    require(once.n == twice.n && (once.n == 0 || memcmp(once.text, twice.text, once.n) == 0));
    size_t cursor = 0;
    for (size_t i = 0, last = 0; i <= once.n; i++) {
        size_t origin = qtf_nfc_origin(&once, i, true, &cursor);
        require(origin >= last && origin <= n);
        last = origin;
    }
    qtf_nfc_free(&once);
    qtf_nfc_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    size_t n = size - 1;
    qtf_tokenizer *tokenizer = NULL;
    qtf_error error;
    if (data[0] == 'j') {
        if (qtf_tokenizer_from_json(text, n, &tokenizer, &error) == QTF_OK) {
            encode_some(tokenizer);
        }
    } else if (data[0] == 't') {
        if (qtf_tokenizer_from_tiktoken(text, n, QTF_SPLIT_CL100K, &tokenizer, &error) == QTF_OK) {
            encode_some(tokenizer);
        }
    } else {
        size_t valid = qtf_utf8_valid(data + 1, n);
        require(valid <= n);
        cut_everywhere(data + 1, valid);
        normalise_twice(data + 1, valid);
    }
    return 0;
}
