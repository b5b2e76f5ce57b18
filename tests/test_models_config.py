"""config.json in both dialects, and refusing what pyqtf doesn't compute."""

import json
import math

import pytest

from pyqtf.formats import FormatError
from pyqtf.models import read_config
from pyqtf.models.gguf import gguf_metadata
from pyqtf.models.registry import parse_config, tensor_shapes

V4 = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "hidden_size": 24,
    "intermediate_size": 40,
    "max_position_embeddings": 128,
    "max_window_layers": 24,
    "model_type": "qwen2",
    "num_attention_heads": 6,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 32768,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_mrope": False,
    "use_sliding_window": False,
    "vocab_size": 101,
}
V5 = {k: v for k, v in V4.items() if k not in ("rope_theta", "torch_dtype")} | {
    "dtype": "bfloat16",
    "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"},
    "sliding_window": None,
    "layer_types": ["full_attention"] * 2,
}


YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}


def test_both_dialects_give_the_same_config():
    config = parse_config(V4)
    assert config == parse_config(V5)
    assert (config.head_dim, config.q_size, config.kv_size) == (4, 24, 8)
    assert (config.n_layers, config.n_heads, config.n_kv_heads) == (2, 6, 2)
    assert config.rope_theta == 1e6 and config.rms_norm_eps == 1e-6
    assert config.tie_word_embeddings


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("0.5B", (896, 24, 14, 2, 64, 4864, 32768)), ("1.5B", (1536, 28, 12, 2, 128, 8960, 131072))],
)
def test_the_real_configs(name, sizes, data_dir, tmp_path):
    source = data_dir / "qwen2.5" / f"config.Qwen2.5-{name}.json"
    (tmp_path / "config.json").write_bytes(source.read_bytes())
    c = read_config(tmp_path)
    assert sizes == (
        c.hidden_size, c.n_layers, c.n_heads, c.n_kv_heads, c.head_dim, c.intermediate_size,
        c.max_position_embeddings,
    )  # fmt: skip
    assert c.vocab_size == 151936 and c.tie_word_embeddings


@pytest.mark.parametrize("head_dim", [None, 8])
@pytest.mark.parametrize("tied", [False, True])
def test_transformers_makes_the_same_shapes(head_dim, tied, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    extra = {"head_dim": head_dim} if head_dim else {}
    theirs = transformers.Qwen2Config(
        vocab_size=33, hidden_size=24, intermediate_size=20, num_hidden_layers=2,
        num_attention_heads=6, num_key_value_heads=3, max_position_embeddings=64,
        tie_word_embeddings=tied, rope_parameters={"rope_theta": 5e4, "rope_type": "default"},
        architectures=["Qwen2ForCausalLM"], **extra,
    )  # fmt: skip
    theirs.save_pretrained(tmp_path)
    config = read_config(tmp_path)
    assert config.rope_theta == 5e4
    with torch.device("meta"):
        model = transformers.Qwen2ForCausalLM(theirs)
    expected = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert tensor_shapes(config) == expected


def test_num_key_value_heads_null_means_all_heads():
    assert parse_config({**V4, "num_key_value_heads": None}).n_kv_heads == 6


@pytest.mark.parametrize(
    "name",
    ["vocab_size", "hidden_size", "intermediate_size", "max_position_embeddings",
     "num_attention_heads", "num_hidden_layers", "num_key_value_heads", "rms_norm_eps",
     "rope_theta"],
)  # fmt: skip
def test_a_missing_field_is_named(name):
    with pytest.raises(FormatError, match=f"config.json: the field '{name}' is missing"):
        parse_config({k: v for k, v in V4.items() if k != name})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"architectures": ["LlamaForSequenceClassification"]},
            "'LlamaForSeq.*Qwen2ForCausalLM, Qwen3",
        ),
        ({"architectures": None}, "must name one architecture"),
        ({"architectures": []}, "must name one architecture"),
        ({"architectures": "Qwen2ForCausalLM"}, "must name one architecture"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu' is not supported.*'silu'"),
        ({"use_sliding_window": 1}, "'use_sliding_window' must be true or false"),
        (
            {"use_sliding_window": True, "max_window_layers": 0, "sliding_window": 0},
            "sliding_window must be from 1 to .* got 0",
        ),
        (
            {"use_sliding_window": True, "max_window_layers": 0, "sliding_window": -4},
            "sliding_window must be from 1 to .* got -4",
        ),
        ({"use_sliding_window": True, "sliding_window": "8"}, "'sliding_window' must be a whole"),
        ({"use_sliding_window": True, "max_window_layers": 1.0}, "'max_window_layers' must be a"),
        ({"layer_types": ["full_attention", "chunked_attention"]}, "layer_types = 'chunked_att"),
        (
            {"use_sliding_window": True, "layer_types": ["sliding_attention"]},
            "layer_types must have one for each of 2 layers, got 1",
        ),
        ({"use_mrope": True}, "use_mrope"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "sliding_window must .* got 0"),
        ({"layer_types": "full_attention"}, "a list"),
        (
            {"rope_scaling": {"type": "yarn", "factor": 4.0}},
            "'original_max_position_embed.*missing",
        ),
        ({"rope_scaling": {"rope_type": "llama3"}}, "'factor' is missing"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 0}}, "factor must be positive, got 0"),
        ({"rope_scaling": {"rope_type": "longrope"}}, "rope_type = 'longrope' is not supp.*'yarn'"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "type = 'dynamic'"),
        ({"rope_scaling": {**YARN, "mscale": 0.7}}, r"mscale = 0\.7"),
        ({"rope_scaling": {**YARN, "truncate": False}}, "truncate = False"),
        ({"rope_scaling": {**YARN, "beta_fast": 0.5}}, "fast factor 0.5 to be larger"),
        ({"rope_scaling": 2}, "an object"),
        ({"rope_parameters": {"rope_type": "ntk", "rope_theta": 1e6}}, "rope_type = 'ntk'"),
        ({"rope_parameters": {"rope_type": "default"}}, "rope_parameters: the field 'rope_theta'"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}, r"10000\.0 only"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised already"),
        ({"vocab_size": 0}, "vocab_size must be from 1"),
        ({"vocab_size": 2**31}, "vocab_size must be from 1"),
        ({"vocab_size": 10.0}, "'vocab_size' must be a whole number"),
        ({"vocab_size": True}, "'vocab_size' must be a whole number"),
        ({"num_hidden_layers": 2**30}, "n_layers must be from 1 to 10000"),
        ({"num_attention_heads": 5, "num_key_value_heads": 1}, "can't be cut into 5"),
        ({"num_attention_heads": 0, "num_key_value_heads": 1}, "can't be cut into 0"),
        ({"num_key_value_heads": 4}, "6 attention heads can't share 4"),
        ({"num_key_value_heads": 0}, "n_kv_heads"),
        ({"num_attention_heads": 8, "num_key_value_heads": 1}, "must be even, got 3 of 3"),
        ({"head_dim": "4"}, "'head_dim' must be a whole number"),
        ({"rope_theta": -1.0}, "rope_theta must be a positive"),
        ({"rope_theta": "1e6"}, "'rope_theta' must be a number"),
        ({"rms_norm_eps": 0}, "rms_norm_eps must be a positive"),
        ({"rms_norm_eps": 10**400}, "'rms_norm_eps' must be a number"),
        ({"tie_word_embeddings": "yes"}, "true or false"),
    ],
)
def test_what_pyqtf_does_not_compute_is_refused(changes, message):
    with pytest.raises(FormatError, match=message):
        parse_config({**V4, **changes})


def test_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json: no such file"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_bytes(json.dumps(V4).encode()[:-30])
    with pytest.raises(FormatError, match=r"config\.json: expected JSON"):
        read_config(tmp_path)


GPT2 = {
    "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new", "n_ctx": 1024,
    "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257,
    "layer_norm_epsilon": 1e-05,
}  # fmt: skip


def test_gpt2_has_the_parameters_it_is_known_for():
    config = parse_config(GPT2)
    sizes = {name: math.prod(shape) for name, shape in tensor_shapes(config).items()}
    assert sum(sizes.values()) == 124_439_808
    assert config.tie_word_embeddings and config.rope_theta is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_function": "relu"}, "activation_function = 'relu' is not supported"),
        ({"n_head": 7}, "n_embd 768 can't be cut into 7 attention heads"),
        ({"n_head": 0}, "n_embd 768 can't be cut into 0 attention heads"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx = True"),
        ({"n_inner": "x"}, "'n_inner' must be a whole number"),
    ],
)
def test_gpt2_that_is_not_computed_is_refused(changes, message):
    with pytest.raises(FormatError, match=message):
        parse_config({**GPT2, **changes})


PYTHIA = {
    "architectures": ["GPTNeoXForCausalLM"], "hidden_act": "gelu", "hidden_size": 512,
    "intermediate_size": 2048, "layer_norm_eps": 1e-05, "max_position_embeddings": 2048,
    "num_attention_heads": 8, "num_hidden_layers": 6, "rotary_emb_base": 10000,
    "rotary_pct": 0.25, "tie_word_embeddings": False, "use_parallel_residual": True,
    "vocab_size": 50304,
}  # fmt: skip


def test_pythia_has_the_parameters_it_is_known_for():
    config = parse_config(PYTHIA)
    sizes = {name: math.prod(shape) for name, shape in tensor_shapes(config).items()}
    assert sum(sizes.values()) == 70_426_624
    assert (config.head_dim, config.rotary_dim, config.rope_theta) == (64, 16, 1e4)
    assert config.parallel_residual and config.activation == "gelu_erf"


def test_the_dialects_of_gpt_neox_give_the_same_config():
    old = {k: v for k, v in PYTHIA.items() if not k.startswith("rotary")}
    rope = {"partial_rotary_factor": 0.25, "rope_theta": 10000, "rope_type": "default"}
    assert parse_config({**old, "rope_parameters": rope}) == parse_config(PYTHIA)
    assert parse_config(old) == parse_config(PYTHIA)
    serial = parse_config({**PYTHIA, "use_parallel_residual": False, "hidden_act": "gelu_fast"})
    assert not serial.parallel_residual and serial.activation == "gelu"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "silu"}, "hidden_act = 'silu' is not supported; .*'gelu_fast'"),
        ({"hidden_act": ["gelu"]}, "hidden_act = .* is not supported"),
        ({"attention_bias": False}, "attention_bias = False is not supported"),
        ({"num_attention_heads": 7}, "hidden_size 512 can't be cut into 7 attention heads"),
        ({"head_dim": 32}, "head_dim = 32 is not supported; pyqtf computes 64 only"),
        ({"rotary_pct": 0}, "partial_rotary_factor must be above 0 and at most 1, got 0"),
        ({"rotary_pct": 1.5}, "partial_rotary_factor must be above 0 and at most 1, got 1.5"),
        ({"rotary_pct": 0.01}, "must be even, got 0 of 64"),
        ({"rotary_pct": "0.25"}, "'rotary_pct' must be a number"),
        ({"use_parallel_residual": 1}, "'use_parallel_residual' must be true or false"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "type = 'dynamic'"),
        ({"layer_norm_eps": None}, "'layer_norm_eps' must be a number"),
    ],
)
def test_gpt_neox_that_is_not_computed_is_refused(changes, message):
    with pytest.raises(FormatError, match=message):
        parse_config({**PYTHIA, **changes})


SLIDING = "sliding_attention"
FULL = "full_attention"


@pytest.mark.parametrize(
    ("changes", "types", "window"),
    [
        ({"max_window_layers": 1}, (FULL, SLIDING), 32768),
        ({"max_window_layers": 0, "sliding_window": 7}, (SLIDING, SLIDING), 7),
        ({"max_window_layers": 2}, (), 0),
        ({"sliding_window": None, "max_window_layers": 0}, (), 0),
        ({"layer_types": [SLIDING, FULL], "sliding_window": 9}, (SLIDING, FULL), 9),
        ({"use_sliding_window": False, "max_window_layers": 0}, (), 0),
    ],
)
@pytest.mark.parametrize("name", ["Qwen2ForCausalLM", "Qwen3ForCausalLM"])
def test_qwens_sliding_layers(name, changes, types, window):
    values = {**V4, "architectures": [name], "use_sliding_window": True, **changes}
    config = parse_config(values)
    assert (config.layer_types, config.sliding_window) == (types, window)
    seen = [window if kind == SLIDING else 0 for kind in types or (FULL, FULL)]
    assert [config.window(i) for i in (0, 1)] == seen


def test_mistral_slides_in_all_layers_or_in_none():
    values = {**V4, "architectures": ["MistralForCausalLM"], "max_position_embeddings": 9000}
    for window in (512, 20000, None):
        config = parse_config({**values, "sliding_window": window})
        assert config.max_position_embeddings == 9000
        assert [config.window(i) for i in (0, 1)] == [window or 0] * 2
    with pytest.raises(FormatError, match="layer_types = 'full_attention' is not supported"):
        parse_config({**values, "layer_types": [FULL, FULL]})
    with pytest.raises(FormatError, match="sliding_window must be from 1"):
        parse_config({**values, "sliding_window": 0})
    del values["sliding_window"]
    assert parse_config(values).window(1) == 4096


def test_llama_does_not_slide():
    values = {**V4, "architectures": ["LlamaForCausalLM"]}
    assert parse_config(values).window(0) == 0
    with pytest.raises(FormatError, match="layer_types = 'sliding_attention' is not supported"):
        parse_config({**values, "layer_types": [SLIDING, FULL]})


def test_a_model_that_slides_is_written_for_texts_that_a_window_sees_whole():
    changed = {"use_sliding_window": True, "max_window_layers": 1, "sliding_window": 48}
    slides = parse_config({**V4, **changed})
    assert gguf_metadata(slides, "slides")["qwen2.context_length"] == 48
    still = parse_config(V4)
    assert gguf_metadata(still, "does not")["qwen2.context_length"] == 128


GEMMA2 = {
    "architectures": ["Gemma2ForCausalLM"], "attention_bias": False, "head_dim": 256,
    "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "hidden_size": 2304,
    "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
    "intermediate_size": 9216, "max_position_embeddings": 8192, "num_attention_heads": 8,
    "num_hidden_layers": 26, "num_key_value_heads": 4, "query_pre_attn_scalar": 256,
    "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "sliding_window": 4096, "vocab_size": 256000,
}  # fmt: skip
GEMMA3 = {
    "architectures": ["Gemma3ForCausalLM"], "attention_bias": False, "head_dim": 256,
    "attn_logit_softcapping": None, "final_logit_softcapping": None, "hidden_size": 1152,
    "hidden_activation": "gelu_pytorch_tanh", "intermediate_size": 6912,
    "max_position_embeddings": 32768, "num_attention_heads": 4, "num_hidden_layers": 26,
    "num_key_value_heads": 1, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06,
    "rope_local_base_freq": 10000, "rope_scaling": None, "rope_theta": 1000000,
    "sliding_window": 512, "sliding_window_pattern": 6, "vocab_size": 262144,
}  # fmt: skip
PHI2 = {
    "architectures": ["PhiForCausalLM"], "hidden_act": "gelu_new", "hidden_size": 2560,
    "intermediate_size": 10240, "layer_norm_eps": 1e-05, "max_position_embeddings": 2048,
    "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32,
    "partial_rotary_factor": 0.4, "qk_layernorm": False, "rope_scaling": None,
    "rope_theta": 10000.0, "tie_word_embeddings": False, "vocab_size": 51200,
}  # fmt: skip


@pytest.mark.parametrize(
    ("values", "n_params"),
    [(GEMMA2, 2_614_341_888), (GEMMA3, 999_885_952), (PHI2, 2_779_683_840)],
)
def test_real_models_have_the_parameters_they_are_known_for(values, n_params):
    config = parse_config(values)
    sizes = {name: math.prod(shape) for name, shape in tensor_shapes(config).items()}
    assert sum(sizes.values()) == n_params


def test_gemma_2():
    config = parse_config(GEMMA2)
    assert config.layer_types == (SLIDING, FULL) * 13 and config.window(0) == 4096
    assert (config.attn_logit_softcapping, config.final_logit_softcapping) == (50, 30)
    assert config.attention_scale == 1 / 16 and config.tie_word_embeddings
    names = ("query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping",
             "sliding_window", "head_dim", "rope_theta")  # fmt: skip
    assert parse_config({k: v for k, v in GEMMA2.items() if k not in names}) == config
    uncapped = {**GEMMA2, "attn_logit_softcapping": None, "final_logit_softcapping": None}
    config = parse_config({**uncapped, "layer_types": [FULL] * 26, "query_pre_attn_scalar": 144})
    assert config.attn_logit_softcapping == config.final_logit_softcapping == 0
    assert config.window(0) == 0 and config.attention_scale == 1 / 12


def test_the_dialects_of_gemma_3_give_the_same_config():
    config = parse_config(GEMMA3)
    assert config.layer_types == ((SLIDING,) * 5 + (FULL,)) * 4 + (SLIDING,) * 2
    assert (config.rope_theta, config.local_rope_theta, config.rope_scaling) == (1e6, 1e4, None)
    new = {k: v for k, v in GEMMA3.items() if not k.startswith(("rope", "sliding_window_p"))}
    assert parse_config(new) == config
    rope = {
        FULL: {"rope_theta": 1e6, "rope_type": "default"},
        SLIDING: {"rope_theta": 1e4, "rope_type": "default"},
    }
    new |= {"rope_parameters": rope, "layer_types": list(config.layer_types)}
    assert parse_config(new) == config
    linear = {"factor": 8.0, "rope_type": "linear"}
    scaled = parse_config({**GEMMA3, "rope_scaling": linear})
    rope[FULL] |= linear
    assert parse_config({**new, "rope_parameters": rope}) == scaled != config


def test_the_dialects_of_phi_give_the_same_config():
    config = parse_config(PHI2)
    assert (config.head_dim, config.rotary_dim, config.parallel_residual) == (80, 32, True)
    rope = {"partial_rotary_factor": 0.4, "rope_theta": 1e4, "rope_type": "default"}
    names = ("partial_rotary_factor", "rope_theta", "rope_scaling", "num_key_value_heads")
    old = {k: v for k, v in PHI2.items() if k not in names}
    assert parse_config({**old, "rope_parameters": rope}) == config
    assert parse_config(old).partial_rotary_factor == 0.5


@pytest.mark.parametrize(
    ("values", "changes", "message"),
    [
        (GEMMA2, {"hidden_activation": "gelu"}, "hidden_activation = 'gelu' is not supported"),
        (GEMMA2, {"attention_bias": True}, "attention_bias = True"),
        (GEMMA2, {"use_bidirectional_attention": True}, "use_bidirectional_attention = True"),
        (GEMMA2, {"attn_logit_softcapping": 0}, "attn_logit_softcapping must be above 0, or null"),
        (GEMMA2, {"final_logit_softcapping": -1.5}, r"final_logit_softcapping must be .*got -1\.5"),
        (GEMMA2, {"final_logit_softcapping": 1e9}, "must be from 0 to 1000000"),
        (GEMMA2, {"attn_logit_softcapping": "50"}, "'attn_logit_softcapping' must be a number"),
        (GEMMA2, {"query_pre_attn_scalar": -1}, "query_pre_attn_scalar must be a positive"),
        (GEMMA2, {"sliding_window": None}, "sliding_window must be from 1 .* got 0"),
        (GEMMA2, {"layer_types": [SLIDING]}, "one for each of 26 layers, got 1"),
        (GEMMA2, {"partial_rotary_factor": 0.5}, "partial_rotary_factor = 0.5"),
        (GEMMA3, {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping = 50.0 is not supp"),
        (GEMMA3, {"sliding_window_pattern": 0}, "sliding_window_pattern must be above 0, got 0"),
        (GEMMA3, {"sliding_window_pattern": -6}, "sliding_window_pattern must be above 0, got -6"),
        (GEMMA3, {"rope_local_base_freq": 0}, "local_rope_theta must be a positive number, got 0"),
        (GEMMA3, {"rope_parameters": {"rope_theta": 1e6}}, "the field 'full_attention' is missing"),
        (
            GEMMA3,
            {
                "rope_parameters": {
                    FULL: {"rope_theta": 1e6, "rope_type": "default"},
                    SLIDING: {"rope_theta": 1e4, "rope_type": "linear", "factor": 2.0},
                }
            },
            "sliding_attention: rope_type = 'linear' is not supported",
        ),
        (GEMMA3, {"num_hidden_layers": 10**12}, "n_layers must be from 1 to 10000"),
        (GEMMA3, {"hidden_size": 10**400}, "hidden_size must be from 1"),
        (PHI2, {"qk_layernorm": True}, "qk_layernorm = True is not supported"),
        (PHI2, {"hidden_act": "silu"}, "hidden_act = 'silu' is not supported"),
        (PHI2, {"partial_rotary_factor": 0.02}, "must be even, got 1 of 80"),
        (PHI2, {"num_key_value_heads": 5}, "32 attention heads can't share 5"),
        (
            {**GEMMA3, "architectures": ["Gemma3ForConditionalGeneration"]},
            {},
            "'Gemma3ForConditionalGeneration' is not supported; supported: .*Gemma3ForCausalLM",
        ),
    ],
)
def test_gemma_and_phi_that_are_not_computed_are_refused(values, changes, message):
    with pytest.raises(FormatError, match=message):
        parse_config({**values, **changes})
