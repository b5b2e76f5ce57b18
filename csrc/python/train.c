/* train_bpe: words counted and pairs merged in the core. */
#include "python/binding.h"

#include <stdlib.h>

#include "core/bpe_train.h"
#include "python/tokenizer.h"

static bool interrupted(void) {
    PyGILState_STATE state = PyGILState_Ensure();
    bool stop = PyErr_CheckSignals() < 0;
    PyGILState_Release(state);
    return stop;
}

/* Count the words of every text of an iterator; -1 with an exception set. */
static int count_words(qtf_tokenizer *tokenizer, PyObject *iterator, qtf_words *words) {
    PyObject *text;
    while ((text = PyIter_Next(iterator))) {
        const uint8_t *bytes;
        size_t n;
        qtf_error error;
        qtf_status status = QTF_OK;
        int borrowed = qtf_py_borrow_text(text, &bytes, &n);
        if (borrowed == 0) {
            Py_BEGIN_ALLOW_THREADS;
            status = qtf_visit_words(tokenizer, bytes, n, qtf_words_add, words, &error);
            Py_END_ALLOW_THREADS;
        }
        Py_DECREF(text);
        if (borrowed < 0) {
            return -1;
        }
        if (status != QTF_OK) {
            qtf_py_raise_error(status, &error);
            return -1;
        }
        if (PyErr_CheckSignals() < 0) {
            return -1;
        }
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* A vocabulary with the tokens of another and none of its merges. */
static qtf_status copy_tokens(const qtf_bpe *from, qtf_bpe *to, qtf_error *error) {
    qtf_status status = qtf_bpe_init(to, from->n_tokens, 0);
    for (uint32_t id = 0; id < from->n_ids && status == QTF_OK; id++) {
        const qtf_bpe_token *token = &from->tokens[id];
        if (token->length != QTF_BPE_NONE) {
            status = qtf_bpe_add_token(to, id, from->bytes + token->start, token->length,
                                       token->kind, error);
        }
    }
    return status;
}

static PyObject *list_merges(const qtf_bpe *bpe, const uint32_t *merges, size_t n) {
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        const qtf_bpe_token *left = &bpe->tokens[merges[2 * i]];
        const qtf_bpe_token *right = &bpe->tokens[merges[2 * i + 1]];
        PyObject *pair = Py_BuildValue("(y#y#)", bpe->bytes + left->start, (Py_ssize_t)left->length,
                                       bpe->bytes + right->start, (Py_ssize_t)right->length);
        if (!pair) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, pair);
    }
    return list;
}

static PyObject *train_bpe(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *object, *texts, *result = NULL;
    Py_ssize_t vocab_size;
    long long min_count;
    int lexicographic;
    if (!PyArg_ParseTuple(args, "OOnLp:train_bpe", &object, &texts, &vocab_size, &min_count,
                          &lexicographic)) {
        return NULL;
    }
    qtf_tokenizer *tokenizer = qtf_py_tokenizer(object);
    PyObject *iterator = tokenizer ? PyObject_GetIter(texts) : NULL;
    if (!iterator) {
        return NULL;
    }
    qtf_words words = {0};
    qtf_bpe bpe = {0};
    uint32_t *merges = NULL;
    size_t n_merges = 0;
    if (count_words(tokenizer, iterator, &words) == 0) {
        qtf_error error;
        qtf_status status;
        Py_BEGIN_ALLOW_THREADS;
        status = copy_tokens(&tokenizer->bpe, &bpe, &error);
        if (status == QTF_OK) {
            status = qtf_bpe_train(&bpe, &words, (size_t)vocab_size, min_count,
                                   lexicographic ? QTF_TIES_LEXICOGRAPHIC : QTF_TIES_ID,
                                   interrupted, &merges, &n_merges, &error);
        }
        Py_END_ALLOW_THREADS;
        result = status == QTF_OK ? list_merges(&bpe, merges, n_merges)
                                  : qtf_py_raise_error(status, &error);
    }
    Py_DECREF(iterator);
    free(merges);
    qtf_bpe_free(&bpe);
    qtf_words_free(&words);
    return result;
}

static PyMethodDef functions[] = {
    {"train_bpe", train_bpe, METH_VARARGS,
     "train_bpe(tokenizer, texts, vocab_size, min_count, lexicographic) -> pairs of bytes"},
    {NULL, NULL, 0, NULL},
};

int qtf_py_add_train(PyObject *module) {
    return PyModule_AddFunctions(module, functions);
}
