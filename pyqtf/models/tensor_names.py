"""How the families call their tensors."""

from __future__ import annotations

from pyqtf.models.family import TensorTable

MODEL: TensorTable = {
    "embed": ("model.embed_tokens.weight", ("vocab_size", "hidden_size")),
    "norm": ("model.norm.weight", ("hidden_size",)),
    "head": ("lm_head.weight", ("vocab_size", "hidden_size")),
}
LAYER: TensorTable = {
    "q": ("model.layers.{}.self_attn.q_proj.weight", ("q_size", "hidden_size")),
    "k": ("model.layers.{}.self_attn.k_proj.weight", ("kv_size", "hidden_size")),
    "v": ("model.layers.{}.self_attn.v_proj.weight", ("kv_size", "hidden_size")),
    "o": ("model.layers.{}.self_attn.o_proj.weight", ("hidden_size", "q_size")),
    "gate": ("model.layers.{}.mlp.gate_proj.weight", ("intermediate_size", "hidden_size")),
    "up": ("model.layers.{}.mlp.up_proj.weight", ("intermediate_size", "hidden_size")),
    "down": ("model.layers.{}.mlp.down_proj.weight", ("hidden_size", "intermediate_size")),
}
PRE_NORMS: TensorTable = {
    "attn_norm": ("model.layers.{}.input_layernorm.weight", ("hidden_size",)),
    "ffn_norm": ("model.layers.{}.post_attention_layernorm.weight", ("hidden_size",)),
}
GEMMA_NORMS: TensorTable = {
    "attn_norm": ("model.layers.{}.input_layernorm.weight", ("hidden_size",)),
    "attn_post_norm": ("model.layers.{}.post_attention_layernorm.weight", ("hidden_size",)),
    "ffn_norm": ("model.layers.{}.pre_feedforward_layernorm.weight", ("hidden_size",)),
    "ffn_post_norm": ("model.layers.{}.post_feedforward_layernorm.weight", ("hidden_size",)),
}
POST_NORMS: TensorTable = {
    "attn_post_norm": ("model.layers.{}.post_attention_layernorm.weight", ("hidden_size",)),
    "ffn_post_norm": ("model.layers.{}.post_feedforward_layernorm.weight", ("hidden_size",)),
}
QKV_BIAS: TensorTable = {
    "q_bias": ("model.layers.{}.self_attn.q_proj.bias", ("q_size",)),
    "k_bias": ("model.layers.{}.self_attn.k_proj.bias", ("kv_size",)),
    "v_bias": ("model.layers.{}.self_attn.v_proj.bias", ("kv_size",)),
}


def qk_norm(q: str, k: str) -> TensorTable:
    """Return the norms of queries and keys, of one head's width or of all together."""
    return {
        "q_norm": ("model.layers.{}.self_attn.q_norm.weight", (q,)),
        "k_norm": ("model.layers.{}.self_attn.k_norm.weight", (k,)),
    }


GPT2_MODEL: TensorTable = {
    "embed": ("transformer.wte.weight", ("vocab_size", "hidden_size")),
    "positions": ("transformer.wpe.weight", ("max_position_embeddings", "hidden_size")),
    "norm": ("transformer.ln_f.weight", ("hidden_size",)),
    "norm_bias": ("transformer.ln_f.bias", ("hidden_size",)),
    "head": ("lm_head.weight", ("vocab_size", "hidden_size")),
}
GPT2_LAYER: TensorTable = {
    "attn_norm": ("transformer.h.{}.ln_1.weight", ("hidden_size",)),
    "attn_norm_bias": ("transformer.h.{}.ln_1.bias", ("hidden_size",)),
    "qkv": ("transformer.h.{}.attn.c_attn.weight", ("hidden_size", "qkv_size")),
    "qkv_bias": ("transformer.h.{}.attn.c_attn.bias", ("qkv_size",)),
    "o": ("transformer.h.{}.attn.c_proj.weight", ("q_size", "hidden_size")),
    "o_bias": ("transformer.h.{}.attn.c_proj.bias", ("hidden_size",)),
    "ffn_norm": ("transformer.h.{}.ln_2.weight", ("hidden_size",)),
    "ffn_norm_bias": ("transformer.h.{}.ln_2.bias", ("hidden_size",)),
    "gate_up": ("transformer.h.{}.mlp.c_fc.weight", ("hidden_size", "intermediate_size")),
    "gate_up_bias": ("transformer.h.{}.mlp.c_fc.bias", ("intermediate_size",)),
    "down": ("transformer.h.{}.mlp.c_proj.weight", ("intermediate_size", "hidden_size")),
    "down_bias": ("transformer.h.{}.mlp.c_proj.bias", ("hidden_size",)),
}

NEOX_MODEL: TensorTable = {
    "embed": ("gpt_neox.embed_in.weight", ("vocab_size", "hidden_size")),
    "norm": ("gpt_neox.final_layer_norm.weight", ("hidden_size",)),
    "norm_bias": ("gpt_neox.final_layer_norm.bias", ("hidden_size",)),
    "head": ("embed_out.weight", ("vocab_size", "hidden_size")),
}
_NEOX = "gpt_neox.layers.{}."
NEOX_LAYER: TensorTable = {
    "attn_norm": (_NEOX + "input_layernorm.weight", ("hidden_size",)),
    "attn_norm_bias": (_NEOX + "input_layernorm.bias", ("hidden_size",)),
    "qkv": (_NEOX + "attention.query_key_value.weight", ("qkv_size", "hidden_size")),
    "qkv_bias": (_NEOX + "attention.query_key_value.bias", ("qkv_size",)),
    "o": (_NEOX + "attention.dense.weight", ("hidden_size", "q_size")),
    "o_bias": (_NEOX + "attention.dense.bias", ("hidden_size",)),
    "ffn_norm": (_NEOX + "post_attention_layernorm.weight", ("hidden_size",)),
    "ffn_norm_bias": (_NEOX + "post_attention_layernorm.bias", ("hidden_size",)),
    "gate_up": (_NEOX + "mlp.dense_h_to_4h.weight", ("intermediate_size", "hidden_size")),
    "gate_up_bias": (_NEOX + "mlp.dense_h_to_4h.bias", ("intermediate_size",)),
    "down": (_NEOX + "mlp.dense_4h_to_h.weight", ("hidden_size", "intermediate_size")),
    "down_bias": (_NEOX + "mlp.dense_4h_to_h.bias", ("hidden_size",)),
}

PHI_MODEL: TensorTable = {
    "embed": ("model.embed_tokens.weight", ("vocab_size", "hidden_size")),
    "norm": ("model.final_layernorm.weight", ("hidden_size",)),
    "norm_bias": ("model.final_layernorm.bias", ("hidden_size",)),
    "head": ("lm_head.weight", ("vocab_size", "hidden_size")),
    "head_bias": ("lm_head.bias", ("vocab_size",)),
}
# One norm stands before both blocks.
PHI_LAYER: TensorTable = {
    "attn_norm": ("model.layers.{}.input_layernorm.weight", ("hidden_size",)),
    "attn_norm_bias": ("model.layers.{}.input_layernorm.bias", ("hidden_size",)),
    "q": LAYER["q"],
    "k": LAYER["k"],
    "v": LAYER["v"],
    **QKV_BIAS,
    "o": ("model.layers.{}.self_attn.dense.weight", ("hidden_size", "q_size")),
    "o_bias": ("model.layers.{}.self_attn.dense.bias", ("hidden_size",)),
    "ffn_norm": ("model.layers.{}.input_layernorm.weight", ("hidden_size",)),
    "ffn_norm_bias": ("model.layers.{}.input_layernorm.bias", ("hidden_size",)),
    "gate_up": ("model.layers.{}.mlp.fc1.weight", ("intermediate_size", "hidden_size")),
    "gate_up_bias": ("model.layers.{}.mlp.fc1.bias", ("intermediate_size",)),
    "down": ("model.layers.{}.mlp.fc2.weight", ("hidden_size", "intermediate_size")),
    "down_bias": ("model.layers.{}.mlp.fc2.bias", ("hidden_size",)),
}
