/* A BPE tokenizer of bytes, or of characters with byte fallback: text to ids and back, as the
 * tokenizer.json it was built from says. */
#ifndef QTF_BPE_TOKENIZER_H
#define QTF_BPE_TOKENIZER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bpe.h"
#include "core/bpe_added.h"
#include "core/bpe_split.h"
#include "core/error.h"

enum { QTF_MAX_SPLITS = 8, QTF_MAX_TEMPLATE = 16 };

/* What one thread needs to encode: cache and scratch. Taken from the tokenizer and given back. */
typedef struct qtf_encoder qtf_encoder;

typedef enum {
    QTF_MARK_SPECIAL = 1,
    QTF_MARK_SPACED = 2,     /* searched for with the space put before it, and decoded with it */
    QTF_MARK_NORMALISED = 4, /* of characters: searched for with its spaces as marks */
} qtf_token_marks;

/* Frozen once built, except for the list of idle encoders behind its lock. */
typedef struct {
    qtf_bpe bpe;
    qtf_added added;
    size_t n_model; /* tokens of the model's own vocabulary, before any was added */
    uint8_t *marks; /* [n_ids] qtf_token_marks of added tokens */
    bool nfc;
    bool prepend;      /* normalising puts a space before each stretch between added tokens */
    bool prefix_space; /* a piece that does not start with a space gets one */
    bool prefix_first; /* but only where the text starts */
    bool trim_offsets; /* offsets leave out the space at the ends of a token */
    bool trim_prefix;  /* but keep one space before the first token, which may have been added */
    bool all_bytes;    /* every byte has a token */
    bool strip_space;  /* decoding drops a space at the start of the text */
    bool split_spaces; /* of characters: no token reaches a space from before it */
    uint8_t *meets;    /* of characters: where words can't be cut, see qtf_metaspace_meets */
    qtf_split splits[QTF_MAX_SPLITS]; /* each cuts the pieces of the one before */
    int n_splits, prefix_level;       /* the prefix space is put before this split */
    uint32_t before[QTF_MAX_TEMPLATE], behind[QTF_MAX_TEMPLATE]; /* special tokens round a text */
    int n_before, n_behind;
    atomic_flag lock;
    qtf_encoder *idle;
} qtf_tokenizer;

/* The result of encoding; zero it first, free it with qtf_encoding_free. */
typedef struct {
    int32_t *ids;
    size_t n, ids_capacity;
    size_t *starts, *ends; /* [n] where in the text, when offsets were asked for */
    size_t starts_capacity, ends_capacity;
} qtf_encoding;

typedef enum {
    QTF_ENCODE_TEMPLATE = 1, /* put the template's special tokens round the text */
    QTF_ENCODE_PLAIN = 2,    /* special tokens in the text are text */
    QTF_ENCODE_OFFSETS = 4,
    QTF_ENCODE_CHARS = 8, /* offsets count characters instead of bytes */
} qtf_encode_flags;

/*
 * Derive what follows from vocabulary and added tokens. Errors: QTF_NO_MEMORY; QTF_UNSUPPORTED when
 * symbols are characters and a byte has no fallback token.
 */
qtf_status qtf_tokenizer_finish(qtf_tokenizer *tokenizer, qtf_error *error);

/*
 * Build a tokenizer from the n bytes of a tokenizer.json. Owned by the caller.
 * QTF_BAD_DATA for what is broken, QTF_UNSUPPORTED for what is no BPE of these kinds or not known;
 * both with a message.
 */
qtf_status qtf_tokenizer_from_json(const char *json, size_t n, qtf_tokenizer **tokenizer,
                                   qtf_error *error);

/* Free a tokenizer that no thread uses any more; NULL is accepted. */
void qtf_tokenizer_free(qtf_tokenizer *tokenizer);

/*
 * Append the ids of n bytes of UTF-8 to out. Safe from several threads at once.
 * QTF_BAD_DATA when the text is not UTF-8 or has a byte that the vocabulary lacks; QTF_ABORTED when
 * the pool's poll hook asks to stop.
 */
qtf_status qtf_encode(qtf_tokenizer *tokenizer, const uint8_t *text, size_t n, unsigned flags,
                      qtf_encoding *out, qtf_error *error);

/* Neighbouring texts of a batch with their ids. */
typedef struct qtf_encoded {
    struct qtf_encoded *next;
    size_t first, n_texts; /* texts[first .. first + n_texts) */
    const int32_t *ids;    /* end to end */
    const size_t *counts;  /* [n_texts] how many are whose */
} qtf_encoded;

/* Takes over what a list of parts holds, which is borrowed for the call. False ends the batch. */
typedef bool (*qtf_take_fn)(void *context, const qtf_encoded *list);

/*
 * Encode n_texts texts on the thread pool. Their ids go to `take`, every text once, in any order,
 * a few times in the course of a batch and only on the calling thread. On failure *failed is the
 * first text that failed, and error is about it; some texts were taken by then. Errors: as
 * qtf_encode; QTF_ABORTED, also when `take` was false.
 */
qtf_status qtf_encode_batch(qtf_tokenizer *tokenizer, const uint8_t *const *texts,
                            const size_t *lengths, size_t n_texts, unsigned flags, qtf_take_fn take,
                            void *context, size_t *failed, qtf_error *error);

/* Given each word of a text in turn; n >= 1. Anything but QTF_OK ends the visit. */
typedef qtf_status (*qtf_word_fn)(void *context, const uint8_t *word, size_t n);

/*
 * Cut a text into words as for encoding, without tokenising them; added tokens are passed over.
 * Errors: QTF_BAD_DATA when the text is not UTF-8, QTF_NO_MEMORY, and those of visit.
 */
qtf_status qtf_visit_words(qtf_tokenizer *tokenizer, const uint8_t *text, size_t n,
                           qtf_word_fn visit, void *context, qtf_error *error);

void qtf_encoding_free(qtf_encoding *encoding);

/* Free a tokenizer's idle encoders. */
void qtf_encoders_free(qtf_encoder *encoder);

/*
 * The bytes of one token: borrowed from the tokenizer, length in *n. NULL when no token has the id.
 */
const uint8_t *qtf_token_bytes(const qtf_tokenizer *tokenizer, int64_t id, size_t *n);

/*
 * Spell a token as UTF-8 (room for 3 length + 9), as in the vocabulary file or, if normalised, as
 * an added token is searched for; returns the length. The id must be a token's.
 */
size_t qtf_token_spelling(const qtf_tokenizer *tokenizer, uint32_t id, bool normalised,
                          uint8_t *text);

/*
 * Write the text of n ids to `bytes` and return its length; bytes may be NULL to learn the latter.
 * Special tokens are left out if skip_special. Of a run of byte-fallback tokens that is no UTF-8,
 * each is written as U+FFFD; other bytes are written as they are. All ids must be tokens.
 */
size_t qtf_decode(const qtf_tokenizer *tokenizer, const int64_t *ids, size_t n, bool skip_special,
                  uint8_t *bytes);

/*
 * Leave out of the offsets of tokens [first, encoding->n) the spaces at their ends, as the
 * tokenizer's trim_offsets and trim_prefix say.
 */
void qtf_trim_offsets(const qtf_tokenizer *tokenizer, qtf_encoding *encoding, size_t first);

/*
 * Turn the offsets of tokens [first, encoding->n) from bytes of text into characters; a token of a
 * part of a character gets the whole of it. Errors: QTF_ABORTED.
 */
qtf_status qtf_char_offsets(const uint8_t *text, qtf_encoding *encoding, size_t first);

/*
 * Build a tokenizer from the n bytes of a tiktoken file: lines of a token in base64 and its rank,
 * which is its id. Any two tokens merge when joined they are a token, the lowest id first; a word
 * that is a token stays whole. Errors: QTF_BAD_DATA with a message.
 */
qtf_status qtf_tokenizer_from_tiktoken(const char *text, size_t n, qtf_split split,
                                       qtf_tokenizer **tokenizer, qtf_error *error);

/*
 * Add a special token to a tokenizer that has not encoded anything yet. QTF_BAD_DATA when its id or
 * content is taken.
 */
qtf_status qtf_tokenizer_add_special(qtf_tokenizer *tokenizer, const uint8_t *content, size_t n,
                                     uint32_t id, qtf_error *error);

/*
 * The id of a token by its spelling in the vocabulary file (n bytes of valid UTF-8), QTF_BPE_NONE
 * when there is none. Errors: QTF_NO_MEMORY.
 */
qtf_status qtf_token_find(const qtf_tokenizer *tokenizer, const uint8_t *spelling, size_t n,
                          uint32_t *id);

#endif
