"""Every kind of file a tokenizer comes in."""

import json
import struct

import pytest

from pyqtf.tokenizer import Tokenizer
from pyqtf.tokenizer._files import byte_alphabet


def llama_cpp_cases(data_dir, name):
    folder = data_dir / "tokenizer-tests" / "llama.cpp"
    texts = (folder / f"ggml-vocab-{name}.gguf.inp").read_bytes().decode("utf-8")
    rows = (folder / f"ggml-vocab-{name}.gguf.out").read_text().split("\n")
    texts = texts.split("\n__ggml_vocab_test__\n")
    rows = [[int(i) for i in row.split()] for row in rows]
    assert texts.pop() == ""
    assert len(texts) == 46
    return list(zip(texts, rows, strict=False))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("gpt-2", "tokenizer-tests/llama.cpp/ggml-vocab-gpt-2.gguf"),
        ("qwen2", "tokenizer-tests/llama.cpp/ggml-vocab-qwen2.gguf"),
        ("qwen2", "qwen2.5/tokenizer.json"),
        ("deepseek-r1-qwen", "qwen2.5/tokenizer.json"),
        ("gpt-2", "tokenizers/gpt2"),
        ("gpt-2", "tokenizers/tiktoken/r50k_base.tiktoken"),
        ("llama-bpe", "tokenizers/llama3/tokenizer.model"),
    ],
)
def test_cases_of_llama_cpp(data_dir, name, file):
    tokenizer = Tokenizer.from_file(data_dir / file)
    for text, ids in llama_cpp_cases(data_dir, name):
        assert tokenizer.encode(text).tolist() == ids, text
        assert tokenizer.decode(ids) == text


def test_gguf_says_what_begins_and_ends_a_text(data_dir):
    folder = data_dir / "tokenizer-tests" / "llama.cpp"
    qwen = Tokenizer.from_file(folder / "ggml-vocab-qwen2.gguf")
    assert (qwen.eos_token_id, len(qwen)) == (151643, 151936)
    assert "<|im_start|>" in qwen.chat_template
    assert qwen.encode("<|im_end|>").tolist() == [151645]


def test_gpt_neox(data_dir):
    """Its added tokens are runs of spaces, searched for after normalisation."""
    tokenizers = pytest.importorskip("tokenizers")
    path = data_dir / "tokenizers" / "gpt-neox" / "20B_tokenizer.json"
    ours, oracle = Tokenizer.from_file(path), tokenizers.Tokenizer.from_file(str(path))
    assert len(ours) == oracle.get_vocab_size()
    texts = json.loads((data_dir / "unicode" / "blns.json").read_text("utf-8"))
    texts += ["def f(x):\n        return   x\n" + " " * 40, "RWKVassistant <|im_start|>  x"]
    for text in texts:
        expected = oracle.encode(text)
        ids, offsets = ours.encode_offsets(text)
        assert ids.tolist() == expected.ids
        if oracle.normalizer.normalize_str(text) == text:
            assert [tuple(pair) for pair in offsets.tolist()] == expected.offsets


def test_broken_tiktoken_files(tmp_path):
    path = tmp_path / "cl100k_base.tiktoken"
    for text, message in (
        ("", "line 1 is missing"),
        ("IQ==", "line 1 has no space"),
        ("IQ== x", "line 1 has no rank"),
        ("IQ== 1 2", "line 1 goes on"),
        ("IQ 1", "broken base64"),
        ("IQ== 99999999", "too large a rank"),
        ("IQ== 1\nIg== 1", "id 1 to two tokens"),
        ("IQ== 1\nIQ== 2", "again as id 2"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            Tokenizer.from_file(path)
    with pytest.raises(ValueError, match="'nonesuch' is not an encoding"):
        Tokenizer.from_file(path, encoding="nonesuch")
    model = tmp_path / "tokenizer.model"
    model.write_bytes(b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02")
    with pytest.raises(ValueError, match="SentencePiece"):
        Tokenizer.from_file(model)


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf(**values):
    """A GGUF file of metadata alone."""
    items = []
    for name, value in values.items():
        key = string("tokenizer.ggml." + name)
        if isinstance(value, str):
            items.append(key + struct.pack("<I", 8) + string(value))
        elif isinstance(value, bool):
            items.append(key + struct.pack("<I?", 7, value))
        elif isinstance(value, int):
            items.append(key + struct.pack("<II", 4, value))
        elif value and isinstance(value[0], int):
            array = struct.pack(f"<IQ{len(value)}i", 5, len(value), *value)
            items.append(key + struct.pack("<I", 9) + array)
        else:
            array = struct.pack("<IQ", 8, len(value)) + b"".join(map(string, value))
            items.append(key + struct.pack("<I", 9) + array)
    return struct.pack("<4sIQQ", b"GGUF", 3, 0, len(items)) + b"".join(items)


def small(**changes):
    tokens = [*byte_alphabet(), "th", "the", "<s>", "<u>"]
    kinds = [1] * 258 + [3, 4]
    values = {"model": "gpt2", "pre": "qwen2", "tokens": tokens, "token_type": kinds}
    values |= {"merges": ["t h", "th e"], "bos_token_id": 258, "add_bos_token": True}
    return gguf(**(values | changes))


def test_a_small_gguf_file(tmp_path):
    path = tmp_path / "small.gguf"
    path.write_bytes(small())
    tokenizer = Tokenizer.from_file(path)
    assert tokenizer.bos_token == "<s>"
    assert tokenizer("the<u>")["input_ids"].tolist() == [258, 257, 259]
    assert tokenizer.all_special_ids == [258]


def test_rows_that_pad_the_embedding_are_no_tokens(tmp_path):
    path = tmp_path / "padded.gguf"
    tokens = [*byte_alphabet(), "th", "the", "<s>", "[PAD259]"]
    path.write_bytes(small(tokens=tokens, token_type=[1] * 258 + [3, 5]))
    tokenizer = Tokenizer.from_file(path)
    assert len(tokenizer) == 259
    assert 259 not in tokenizer.encode("[PAD259]")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"GGUF", "truncated"),
        (b"GGML" + bytes(40), "begins with b'GGML'"),
        (small()[:-3], "truncated"),
        (small()[:500], "truncated"),
        (small(model="llama"), "scores is None"),
        (small(model="bert"), "of model 'bert'"),
        (small(pre="nonesuch"), "pre-tokeniser 'nonesuch'"),
        (small(token_type=[1, 2]), "260 tokens, but 2 token types"),
        (small(tokens=["a", "a"], token_type=[1, 1]), "a token twice"),
        (small(merges=["t q"]), "joined token is not in the vocabulary"),
        (small(bos_token_id=999), "its id is 999"),
        (small(bos_token_id="<s>"), "id is '<s>', expected an integer"),
        (small(model=["gpt2"]), "of model None"),
        (small(pre=5), "pre-tokeniser np.uint32"),
        (small(tokens=[1, 2], token_type=[1, 1]), "tokens is .*, expected a list of strings"),
        (small(merges=7), "merges is .*, expected a list of strings"),
        (small(token_type=["a"] * 260), "token_type is .*, expected integers"),
        (small(add_bos_token=1), "add_bos_token is .*, expected true or false"),
    ],
)
def test_broken_gguf_files(tmp_path, data, message):
    path = tmp_path / "broken.gguf"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_file(path)
