"""Models written as GGUF: read back, and as the gguf package reads them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from random_models import write_model

import pyqtf
from pyqtf import _core
from pyqtf.evaluation.receipt import tokenizer_digest
from pyqtf.formats import FormatError, read_gguf
from pyqtf.formats.gguf import BlockTensor
from pyqtf.tokenizer import Tokenizer
from pyqtf.tokenizer._gguf import read_vocabulary, vocabulary_metadata

NAME = "stories-80k"
TEXT = 'Mia lost her red ball.\n\n"Where is it?" she asked 12 times. Café <|endoftext|>'


@pytest.mark.parametrize(
    ("dtype", "bound"), [("F32", 0), ("BF16", 0), ("F16", 1e-3), ("Q8_0", 0.05), ("Q4_0", 0.8)]
)
def test_a_written_model_is_the_model_that_it_was(dtype, bound, tmp_path):
    path = tmp_path / "small.gguf"
    pyqtf.export_gguf(NAME, path, dtype=dtype)
    before, after = (pyqtf.load(source, quant="f32") for source in (NAME, path))
    assert after.config == before.config
    ids = before.tokenizer.encode(TEXT)
    assert after.tokenizer.encode(TEXT).tolist() == ids.tolist()
    assert after.tokenizer.eos_token_id == before.tokenizer.eos_token_id
    assert len(after.tokenizer) == len(before.tokenizer)
    (expected,), (found,) = before.token_losses([ids]), after.token_losses([ids])
    difference = abs(found.nll - expected.nll).mean()
    assert difference <= bound and (bound == 0 or difference > 0)
    kinds = {tensor.dtype for tensor in read_gguf(path).tensors.values()}
    assert kinds - {"F16"} == {"F32", dtype} - {"F16"}


@pytest.mark.parametrize("quant", ["f32", "q8", "q4"])
def test_blocks_are_packed_as_the_weights_they_stand_for(quant, tmp_path, monkeypatch):
    path = tmp_path / "small.gguf"
    pyqtf.export_gguf("stories-3m", path, dtype="Q8_0")

    def load():
        model = pyqtf.load(path, quant=quant)
        weights = model._decoder.weights
        found = [weights.embed, *(getattr(layer, name) for layer in weights.layers
                                  for name in ("qkv", "o", "gate_up", "down"))]  # fmt: skip
        return model.fingerprint, [part.tobytes() for w in found for part in _core.packed(w)]

    kinds = []
    with monkeypatch.context() as patch:
        real = BlockTensor.packable
        patch.setattr(BlockTensor, "packable", lambda self: map(seen, real(self)))

        def seen(block):
            kinds.append(block.dtype)
            return block

        from_blocks = load()
    assert set(kinds) == {np.dtype(np.uint8)}
    monkeypatch.setattr(BlockTensor, "packable", BlockTensor.row_blocks)
    assert from_blocks == load()


def test_the_gguf_package_finds_what_llama_cpp_asks_for(tmp_path):
    gguf = pytest.importorskip("gguf")
    path = tmp_path / "small.gguf"
    pyqtf.export_gguf(NAME, path)
    config = pyqtf.load(NAME).config
    fields = gguf.GGUFReader(path).fields
    keys, number, real = gguf.Keys, gguf.GGUFValueType.UINT32, gguf.GGUFValueType.FLOAT32
    for key, kind, value in [
        (keys.LLM.CONTEXT_LENGTH, number, config.max_position_embeddings),
        (keys.LLM.EMBEDDING_LENGTH, number, config.hidden_size),
        (keys.LLM.BLOCK_COUNT, number, config.n_layers),
        (keys.LLM.FEED_FORWARD_LENGTH, number, config.intermediate_size),
        (keys.Attention.HEAD_COUNT, number, config.n_heads),
        (keys.Attention.HEAD_COUNT_KV, number, config.n_kv_heads),
        (keys.Attention.KEY_LENGTH, number, config.head_dim),
        (keys.Attention.VALUE_LENGTH, number, config.head_dim),
        (keys.Rope.DIMENSION_COUNT, number, config.head_dim),
        (keys.Rope.FREQ_BASE, real, config.rope_theta),
        (keys.Attention.LAYERNORM_RMS_EPS, real, np.float32(config.rms_norm_eps)),
    ]:
        field = fields[key.format(arch="qwen2")]
        assert (field.types, field.contents()) == ([kind], value), key
    assert fields[keys.General.ARCHITECTURE].contents() == "qwen2"
    assert fields[keys.Tokenizer.MODEL].contents() == "gpt2"
    assert fields[keys.Tokenizer.PRE].contents() == "qwen2"
    assert fields[keys.Tokenizer.ADD_BOS].contents() is False
    kinds = fields[keys.Tokenizer.TOKEN_TYPE].contents()
    assert len(kinds) == len(fields[keys.Tokenizer.LIST].contents()) == config.vocab_size
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config.n_layers)
    ours = [tensor.name for tensor in gguf.GGUFReader(path).tensors]
    theirs = [
        names.get_name(name, try_suffixes=(".weight", ".bias"))
        for name in pyqtf.models.registry.tensor_shapes(config)
    ]
    assert ours == theirs


def test_the_real_vocabulary_survives(data_dir):
    text = (data_dir / "qwen2.5/tokenizer.json").read_bytes()
    written = vocabulary_metadata(
        text, 151936, bos_token_id=None, eos_token_id=151645, chat_template="x"
    )
    real = read_gguf(data_dir / "tokenizer-tests/llama.cpp/ggml-vocab-qwen2.gguf").metadata
    assert written["tokenizer.ggml.pre"] == real["tokenizer.ggml.pre"]
    assert written["tokenizer.ggml.merges"] == real["tokenizer.ggml.merges"]
    # That file was made before the newer added tokens.
    same = slice(151646)
    assert written["tokenizer.ggml.tokens"][same] == real["tokenizer.ggml.tokens"][same]
    kinds = written["tokenizer.ggml.token_type"]
    np.testing.assert_array_equal(kinds[same], real["tokenizer.ggml.token_type"][same])
    added = {t["id"]: t["special"] for t in json.loads(text)["added_tokens"]}
    assert {i: kinds[i] == 3 for i in added} == added
    assert (kinds[max(added) + 1 :] == 5).all()
    as_read = {**written, "tokenizer.ggml.eos_token_id": np.uint32(151645)}
    again = Tokenizer.from_json(read_vocabulary(as_read).json)
    original = Tokenizer.from_json(text)
    strings = [*json.loads((data_dir / "unicode/blns.json").read_text("utf-8")), TEXT]
    for string in strings:
        assert again.encode(string).tolist() == original.encode(string).tolist()
    assert tokenizer_digest(again) == tokenizer_digest(original)


def test_rows_that_blocks_do_not_fit_are_half_precision(tmp_path):
    folder = write_model(tmp_path / "model", vocab_size=257)
    pyqtf.export_gguf(folder, tmp_path / "x.gguf", dtype="Q4_0")
    tensors = read_gguf(tmp_path / "x.gguf").tensors
    assert {(len(t.shape), t.dtype) for t in tensors.values()} == {(1, "F32"), (2, "F16")}
    assert pyqtf.load(tmp_path / "x.gguf").config == pyqtf.load(folder).config


def tokenizer_with(folder, **changes):
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    document.update(changes)
    path.write_text(json.dumps(document))


def test_what_llama_cpp_cannot_run_is_refused(tmp_path):
    out = tmp_path / "x.gguf"
    out.write_bytes(b"old")
    with pytest.raises(ValueError, match=r"dtype must be one of F32, .*, got 'Q4_K'"):
        pyqtf.export_gguf(NAME, out, dtype="Q4_K")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        pyqtf.export_gguf(tmp_path / "nowhere", out)

    folder = write_model(tmp_path / "few rows")
    with pytest.raises(FormatError, match=r"few rows.*but there are 31 rows"):
        pyqtf.export_gguf(folder, out)

    folder = write_model(tmp_path / "prefix", vocab_size=257)
    level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    tokenizer_with(folder, pre_tokenizer=level)
    with pytest.raises(FormatError, match="no name for the pre_tokenizer"):
        pyqtf.export_gguf(folder, out)

    folder = write_model(tmp_path / "nfc", vocab_size=257)
    tokenizer_with(folder, normalizer={"type": "NFC"})
    with pytest.raises(FormatError, match="no name for the split patterns"):
        pyqtf.export_gguf(folder, out)

    yarn = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 32}
    folder = write_model(
        tmp_path / "long", vocab_size=257, rope_scaling={**yarn, "attention_factor": 3.0}
    )
    with pytest.raises(FormatError, match="attention factor of its own can't be written"):
        pyqtf.export_gguf(folder, out)
    assert out.read_bytes() == b"old"
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]
