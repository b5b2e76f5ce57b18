"""The face is that of transformers: the same calls give the same ids, texts and arrays."""

import json
import shutil

import numpy as np
import pytest

from pyqtf import bundled
from pyqtf.tokenizer import Tokenizer

TEXTS = ["the cat", "Once upon a time, there <|endoftext|> was é!", "x"]
CHATS = [
    [{"role": "user", "content": "hi"}],
    [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "you there"}],
]


@pytest.fixture(scope="module", params=["qwen", "gpt-neox", "bundled"])
def pair(request, tmp_path_factory):
    """An oracle and our tokenizer of the same folder."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "bundled":
        shutil.copy(bundled.path(bundled.names()[0]).parent / "tokenizer.json", folder)
    else:
        data = request.getfixturevalue("data_dir")
        file = {
            "qwen": "qwen2.5/tokenizer.json",
            "gpt-neox": "tokenizers/gpt-neox/20B_tokenizer.json",
        }[request.param]
        shutil.copy(data / file, folder / "tokenizer.json")
    if request.param == "qwen":
        config = data / "qwen2.5" / "tokenizer_config.Qwen2.5-0.5B.json"
        shutil.copy(config, folder / "tokenizer_config.json")
    oracle = transformers.PreTrainedTokenizerFast.from_pretrained(str(folder))
    ours = Tokenizer.from_file(folder)
    for tokenizer in (oracle, ours):
        tokenizer.eos_token = tokenizer.pad_token = "<|endoftext|>"
    return oracle, ours


def lists(value):
    """Arrays, and lists of them, as lists."""
    return value.tolist() if isinstance(value, np.ndarray) else [lists(one) for one in value]


def assert_same(found, expected):
    """Two results of a call hold the same numbers (offsets in lists, not tuples)."""
    for name in expected:
        wanted = np.asarray(expected[name], object).tolist()
        if name == "offset_mapping":
            wanted = [[list(span) for span in row] for row in expected[name]]
        assert lists(found[name]) == wanted, name
    assert set(found) == set(expected) - {"token_type_ids"}


def test_the_vocabulary(pair):
    oracle, ours = pair
    assert ours.vocab_size == oracle.vocab_size
    assert len(ours) == len(oracle)
    assert ours.get_vocab() == oracle.get_vocab()
    for name in ("bos", "eos", "pad"):
        for attribute in (f"{name}_token", f"{name}_token_id"):
            assert getattr(ours, attribute) == getattr(oracle, attribute)
    assert set(oracle.all_special_tokens) <= set(ours.all_special_tokens)
    assert ours.convert_tokens_to_ids(ours.all_special_tokens) == ours.all_special_ids


def test_single_tokens(pair):
    oracle, ours = pair
    for token in ("the", "Ġthe", "<|endoftext|>", "no such token"):
        assert ours.convert_tokens_to_ids(token) == oracle.convert_tokens_to_ids(token)
        assert ours.convert_tokens_to_ids([token]) == oracle.convert_tokens_to_ids([token])
    for ids in (5, [5], [0, 5, 300], [], np.array([5, 0])):
        for skip in (False, True):
            found = ours.convert_ids_to_tokens(ids, skip)
            assert found == oracle.convert_ids_to_tokens(ids, skip_special_tokens=skip)
    assert ours.convert_ids_to_tokens(np.int64(5)) == oracle.convert_ids_to_tokens(5)


def test_tokenize_and_decode(pair):
    oracle, ours = pair
    for text in TEXTS:
        ids = oracle(text)["input_ids"]
        assert ours.tokenize(text) == oracle.tokenize(text)
        for skip in (False, True):
            expected = oracle.decode(ids, skip)
            for given in (ids, np.array(ids), tuple(ids), iter(ids)):
                assert ours.decode(given, skip, clean_up_tokenization_spaces=False) == expected
        assert ours.decode(np.array(ids)[1:3]) == oracle.decode(ids[1:3])
        assert ours.decode(ids[0]) == ours.decode(np.int64(ids[0])) == oracle.decode(ids[0])
    rows = [[5, 6], [0, 7], []]
    for skip in (False, True):
        assert ours.batch_decode(rows, skip) == oracle.batch_decode(rows, skip)
    array = np.array(rows[:2])
    assert ours.batch_decode(array) == oracle.batch_decode(array)


def test_ids_of_torch(pair):
    torch = pytest.importorskip("torch")
    oracle, ours = pair
    ids = torch.tensor([[5, 6], [0, 7]])
    assert ours.batch_decode(ids) == oracle.batch_decode(ids)
    assert ours.decode(ids[0]) == oracle.decode(ids[0])
    assert ours.decode(ids[0, 1]) == oracle.decode(ids[0, 1])
    assert ours.convert_ids_to_tokens(ids[0]) == oracle.convert_ids_to_tokens(ids[0])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": True},
        {"padding": "longest", "padding_side": "left", "return_offsets_mapping": True},
        {"padding": "max_length", "max_length": 4},
        {"padding": "max_length", "max_length": 4, "truncation": True},
        {"padding": True, "truncation": "only_first", "max_length": 2},
        {"max_length": 2},
        {"truncation": False, "max_length": 2},
        {"truncation": True, "max_length": 3, "return_offsets_mapping": True},
        {"return_attention_mask": False},
        {"stride": 0, "pad_to_multiple_of": None, "return_length": False},
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_calls(pair, options):
    oracle, ours = pair
    for text in (TEXTS, TEXTS[:1], TEXTS[1]):
        expected = oracle(text, **options)
        found = ours(text, **options)
        if isinstance(text, str):
            expected = {name: [row] for name, row in expected.items()}
            found = {name: [row] for name, row in found.items()}
        assert_same(found, expected)


def test_arrays(pair):
    oracle, ours = pair
    for text, options in ((TEXTS[1], {}), (TEXTS, {"padding": True}), (TEXTS[:1], {})):
        expected = oracle(text, return_tensors="np", **options)
        found = ours(text, return_tensors="np", **options)
        for name in ("input_ids", "attention_mask"):
            assert found[name].dtype == expected[name].dtype
            assert found[name].tolist() == expected[name].tolist()
        assert found.input_ids is found["input_ids"]
    expected = oracle.encode(TEXTS[1], return_tensors="np")
    assert ours.encode(TEXTS[1], return_tensors="np").tolist() == expected.tolist()
    with pytest.raises(ValueError, match=r"pass padding=True"):
        ours(TEXTS, return_tensors="np")
    with pytest.raises(AttributeError, match="no 'offsets' here, only input_ids"):
        _ = ours("x").offsets


def test_truncation_keeps_the_template():
    tokenizers = pytest.importorskip("tokenizers")
    oracle = tokenizers.Tokenizer.from_str(Tokenizer.example_json())
    oracle.add_special_tokens(["<s>", "</s>"])
    special = [(token, oracle.token_to_id(token)) for token in ("<s>", "</s>")]
    oracle.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> <s> $A </s>", special_tokens=special
    )
    ours = Tokenizer.from_json(oracle.to_str())
    for length in (3, 4, 6, 7, 8):
        oracle.enable_truncation(length)
        expected = oracle.encode("the cat")
        found = ours("the cat", max_length=length, return_offsets_mapping=True)
        assert found["input_ids"].tolist() == expected.ids
        assert [tuple(span) for span in found["offset_mapping"].tolist()] == expected.offsets
    with pytest.raises(ValueError, match="adds 3 tokens"):
        ours("the cat", max_length=2)
    plain = ours("the cat", max_length=2, add_special_tokens=False)
    assert ours.convert_ids_to_tokens(plain.input_ids) == ["the", "Ġ"]


def test_several_conversations(data_dir, tmp_path):
    transformers = pytest.importorskip("transformers")
    shutil.copy(data_dir / "qwen2.5" / "tokenizer.json", tmp_path)
    config = data_dir / "qwen2.5" / "tokenizer_config.Qwen2.5-0.5B-Instruct.json"
    shutil.copy(config, tmp_path / "tokenizer_config.json")
    oracle = transformers.PreTrainedTokenizerFast.from_pretrained(str(tmp_path))
    ours = Tokenizer.from_file(tmp_path)
    assert (ours.pad_token, ours.pad_token_id) == (oracle.pad_token, oracle.pad_token_id)
    expected = oracle.apply_chat_template(CHATS, tokenize=False)
    assert ours.apply_chat_template(CHATS, tokenize=False) == expected
    for chat, options in (
        (CHATS, {}),
        (CHATS[:1], {}),
        (CHATS, {"padding": True, "return_tensors": "np", "add_generation_prompt": True}),
        (CHATS, {"truncation": True, "max_length": 5}),
    ):
        found = ours.apply_chat_template(chat, **options)
        assert_same(found, oracle.apply_chat_template(chat, **options))
        bare = ours.apply_chat_template(chat, return_dict=False, **options)
        assert lists(bare) == lists(found["input_ids"])
    with pytest.raises(TypeError, match="continue_final_message=True"):
        ours.apply_chat_template(CHATS[0], continue_final_message=True)
    with pytest.raises(TypeError, match="a list of messages"):
        ours.apply_chat_template(["hi"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t("a", return_tensors="pt"), "return_tensors='np' and, for torch, torch.from"),
        (lambda t: t("a", "b"), "text_pair='b': pairs of texts"),
        (lambda t: t.tokenize("a", "b"), "pair='b': pairs of texts"),
        (lambda t: t.encode("a", "b"), "add_special_tokens='b': expected True or False"),
        (lambda t: t([["a", "b"]]), "join pairs of texts and words first"),
        (lambda t: t(None), "expected a text or a list of texts, got NoneType"),
        (lambda t: t({"a": "b"}), "got dict"),
        (lambda t: t("a", stride=2, max_length=3), "no option stride=2; leave it out"),
        (lambda t: t("a", truncated=False), "no option truncated=False"),
        (lambda t: t.encode("a", colour=1), "no option colour=1"),
        (lambda t: t.decode([1], clean_up_tokenization_spaces=True), "clean_up_tokenization_spac"),
        (lambda t: t.tokenize("a", is_split_into_words=True), "is_split_into_words=True"),
        (lambda t: t("a", padding="max_length"), "padding='max_length' needs max_length="),
        (lambda t: t("a", truncation=True), "truncation=True needs max_length="),
        (lambda t: t("a", truncation="only_second", max_length=2), "truncation='only_second'"),
        (lambda t: t("a", max_length=0), "max_length=0: expected a number of tokens"),
        (lambda t: t("a", padding="right"), "padding='right': expected one of"),
        (lambda t: t("a", padding=True, padding_side="up"), "padding_side='up'"),
        (lambda t: t("a", padding=True), "no pad_token; set one first"),
        (lambda t: t.decode([[1], [2]]), "batch_decode takes several texts"),
        (lambda t: t.decode("the"), "expected a flat sequence of integers"),
    ],
)
def test_what_is_refused_says_why(call, message):
    with pytest.raises((TypeError, ValueError)) as error:
        call(Tokenizer.from_json(Tokenizer.example_json()))
    assert message in str(error.value)


def test_named_tokens_are_set_by_spelling_or_id():
    tokenizer = Tokenizer.from_json(Tokenizer.example_json(), eos_token="!")
    tokenizer.pad_token = tokenizer.eos_token
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id) == (0, None)
    tokenizer.pad_token_id = 257
    assert tokenizer.pad_token == "the"
    with pytest.raises(ValueError, match="pad_token is 'nope', which is not in the vocabulary"):
        tokenizer.pad_token = "nope"
    assert tokenizer.pad_token == "the"


def test_the_config_says_how_to_pad(tmp_path):
    (tmp_path / "tokenizer.json").write_text(Tokenizer.example_json())
    config = tmp_path / "tokenizer_config.json"
    config.write_text('{"pad_token": "!", "padding_side": "left"}')
    found = Tokenizer.from_file(tmp_path)(["the", "the the"], padding=True)
    assert lists(found["input_ids"]) == [[0, 0, 257], [257, 220, 257]]
    config.write_text('{"pad_token": "[PAD]"}')
    assert Tokenizer.from_file(tmp_path).pad_token is None


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        (None, {"eos_token": "the", "bos_token": {"content": "at"}, "pad_token": "!"}),
        ({}, {"eos_token": "the"}),
        ({"eos_token": "at", "bos_token": "!"}, {"eos_token": "the"}),
        ({"eos_token": "at", "added_tokens_decoder": {}}, {"eos_token": "the", "bos_token": "at"}),
    ],
)
def test_the_map_of_special_tokens_counts_as_in_transformers(tmp_path, config, tokens):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "tokenizer.json").write_text(Tokenizer.example_json())
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(tokens))
    if config is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    ours = Tokenizer.from_file(tmp_path)
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for name in ("bos_token", "eos_token", "pad_token"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.eos_token is not None


def test_a_folder_with_only_llama3s_file(data_dir, tmp_path):
    source = data_dir / "tokenizers" / "llama3" / "tokenizer.model"
    shutil.copy(source, tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "{{ bos_token }}x"}')
    ours = Tokenizer.from_file(tmp_path)
    assert ours.vocab == Tokenizer.from_file(source).vocab
    assert (ours.vocab_size, len(ours)) == (128000, 128256)
    assert ours.bos_token_id == 128000
    assert ours.apply_chat_template([], tokenize=False) == "<|begin_of_text|>x"
