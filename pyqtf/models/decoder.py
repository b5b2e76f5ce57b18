"""The forward pass of a decoder-only Transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqtf import _core
from pyqtf.models.cache import KVCache, attention_dtype, to_bf16
from pyqtf.models.config import ModelConfig
from pyqtf.models.rope import rotary_angles
from pyqtf.models.trace import Trace
from pyqtf.models.weights import LayerWeights, Weights

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
# nll, rank, entropy [T], top_ids, top_logprobs [T, top_k], see pyqtf.ops.cross_entropy.
Losses = tuple[NDArray[np.float64], Ints, NDArray[np.float64], Ints, Floats]

# Rows that the feed-forward network takes at once: enough to keep the kernels busy, few enough
# that its wide rows stay small beside the weights.
_BLOCK = 512


@dataclass(frozen=True)
class Batch:
    """Texts that are read together, one behind the other; made by `Decoder.batch`.

    Attributes
    ----------
    offsets : int64 [n_texts + 1]
        Text s is the tokens ``offsets[s]`` to ``offsets[s + 1]``.
    positions : int64 [T]
        Of each token in its text.
    angles : dict of bool to pair of float32 [>= n_positions, head_dim / 2]
        Cosines and sines, of all layers and of those that slide.
    cache : KVCache or None
        What was read before of the only text.
    trace : Trace or None
        What to keep.
    """

    offsets: Ints
    positions: Ints
    angles: dict[bool, tuple[Floats, Floats]]
    cache: KVCache | None = None
    trace: Trace | None = None


class Decoder:
    """Token ids in, final hidden states out.

    Texts of different lengths lie one behind the other without padding; `offsets` says where each
    begins. A text's hidden states don't depend on its neighbours, in no bit.

    Parameters
    ----------
    config : ModelConfig
        The model's shape.
    weights : Weights
        Its packed weights.
    """

    def __init__(self, config: ModelConfig, weights: Weights) -> None:
        self.config = config
        self.weights = weights
        no_angles = np.empty((0, 0), np.float32)
        # Of all layers, and of those that slide, where these turn otherwise.
        self._angles = dict.fromkeys((False, True), (no_angles, no_angles))

    def __call__(
        self,
        ids: Ints,
        offsets: Ints,
        cache: KVCache | None = None,
        trace: Trace | None = None,
    ) -> Floats:
        """Run the whole network.

        Parameters
        ----------
        ids : int64 [T]
            The texts, one behind the other.
        offsets : int64 [n_texts + 1]
            Text s is ``ids[offsets[s]:offsets[s + 1]]``.
        cache : KVCache, optional
            What was read before of the only text; the new tokens are added to it.
        trace : Trace, optional
            Its lists are filled; for one text, without a cache.

        Returns
        -------
        float32 [T, hidden_size]
            Hidden states behind the last norm, for `logits` or `losses`.

        Raises
        ------
        ValueError
            The hidden states are not finite.
        """
        batch = self.batch(offsets, cache, trace)
        x = self.embed(ids, batch)
        for i, layer in enumerate(self.weights.layers):
            if trace is not None and trace.hidden_states is not None:
                trace.hidden_states.append(x.copy())
            source = x.copy() if self.config.parallel_residual else x
            self.add_mixed(layer, x, self.mix(i, layer, self.attention_input(layer, x), batch))
            for start in range(0, len(x), _BLOCK):
                block = slice(start, start + _BLOCK)
                self._feed_forward(layer, source[block], x[block])
        x = self._norm(x, self.weights.norm, self.weights.norm_bias)
        if not np.isfinite(x).all():
            raise ValueError("the model's hidden states overflow: its weights are damaged")
        if cache is not None:
            cache.advance(len(x))
        if trace is not None and trace.hidden_states is not None:
            trace.hidden_states.append(x)
        return x

    def logits(self, hidden: Floats) -> Floats:
        """Logits [T, vocab_size] of the tokens behind hidden states [T, hidden_size]."""
        head, cap = self.weights.head, self.config.final_logit_softcapping
        logits = _core.matmul(hidden, head, bias=self.weights.head_bias)
        return _core.softcap(logits, cap, out=logits) if cap else logits

    def losses(self, hidden: Floats, targets: Ints, top_k: int) -> Losses:
        """What the same logits, which are never held together, say of targets [T]."""
        w, cap = self.weights, self.config.final_logit_softcapping
        return _core.loss(hidden, w.head, targets, top_k, w.head_bias, cap)

    def batch(
        self, offsets: Ints, cache: KVCache | None = None, trace: Trace | None = None
    ) -> Batch:
        """Prepare texts that end at these offsets, behind what a cache holds."""
        n_before = 0 if cache is None else len(cache)
        positions = n_before + np.concatenate([np.arange(n) for n in np.diff(offsets)])
        n_positions = int(positions.max()) + 1
        angles = {local: self._cos_sin(n_positions, local) for local in (False, True)}
        return Batch(offsets, positions, angles, cache, trace)

    def embed(self, ids: Ints, batch: Batch) -> Floats:
        """Hidden states [T, hidden_size] before the first layer."""
        x = self.weights.embed.rows(ids)
        if self.config.scaled_embeddings:
            x *= np.float32(self.config.hidden_size**0.5)
        if self.weights.positions is not None:
            x += self.weights.positions.rows(batch.positions)
        return x

    def attention_input(self, layer: LayerWeights, x: Floats) -> Floats:
        """What qkv takes of hidden states [T, hidden_size]; may be these themselves."""
        return self._norm(x, layer.attn_norm, layer.attn_norm_bias)

    def mix(self, i: int, layer: LayerWeights, h: Floats, batch: Batch) -> Floats:
        """What each token takes from itself and the tokens before it: [T, q_size], for o."""
        c, n_tokens = self.config, len(h)
        qkv = _core.matmul(h, layer.qkv, bias=layer.qkv_bias)  # [T, q_size + 2 kv_size]
        self._norm_heads(qkv[:, : c.q_size], layer.q_norm)
        self._norm_heads(qkv[:, c.q_size : c.q_size + c.kv_size], layer.k_norm)
        window = c.window(i)
        if c.rope_theta is not None:
            angles = batch.angles[bool(window) and c.local_rope_theta is not None]
            _core.rope(qkv, *angles, batch.positions, c.n_heads + c.n_kv_heads, c.head_dim)
        heads = qkv.reshape(n_tokens, c.n_heads + 2 * c.n_kv_heads, c.head_dim)
        q, kv = heads[:, : c.n_heads], heads[:, c.n_heads :]
        k: Any = kv[:, : c.n_kv_heads]
        v: Any = kv[:, c.n_kv_heads :]
        offsets, trace = batch.offsets, batch.trace
        k_offsets, k_scales, v_scales = offsets, None, None
        attends = attention_dtype(layer.qkv.quant)
        if batch.cache is not None:
            (k, k_scales), (v, v_scales) = batch.cache.append(i, k, v, attends)
            k_offsets = np.array([0, len(k)])
        elif attends == "bf16":
            k, v = to_bf16(k), to_bf16(v)
        scores: Any = {
            "scale": c.attention_scale,
            "causal": True,
            "window": window,
            "softcap": c.attn_logit_softcapping,
        }
        if trace is not None and trace.attentions is not None:
            parts = q, kv[:, : c.n_kv_heads]
            q_heads, k_heads = (np.ascontiguousarray(part.transpose(1, 0, 2)) for part in parts)
            trace.attentions.append(_core.attention_weights(q_heads, k_heads, **scores))
        mixed = _core.attention(
            q, k, v, offsets, k_offsets, **scores, k_scales=k_scales, v_scales=v_scales
        )
        return mixed.reshape(n_tokens, c.q_size)

    def add_mixed(self, layer: LayerWeights, x: Floats, mixed: Floats) -> None:
        """Add to x what `mix` gave."""
        self._add(x, mixed, layer.o, layer.o_bias, layer.attn_post_norm)

    def ffn_input(self, layer: LayerWeights, source: Floats) -> Floats:
        """What gate_up takes of hidden states [T, hidden_size]; may be these themselves."""
        return self._norm(source, layer.ffn_norm, layer.ffn_norm_bias)

    def expand(self, layer: LayerWeights, h: Floats) -> Floats:
        """The feed-forward network's inner values [T, intermediate_size], for down."""
        if self.config.activation == "swiglu":
            return _core.matmul_swiglu(h, layer.gate_up)
        inner = _core.matmul(h, layer.gate_up, bias=layer.gate_up_bias)
        activated: Floats = getattr(_core, self.config.activation)(inner)
        return activated

    def add_expanded(self, layer: LayerWeights, x: Floats, inner: Floats) -> None:
        """Add to x what `expand` gave."""
        self._add(x, inner, layer.down, layer.down_bias, layer.ffn_post_norm)

    def _feed_forward(self, layer: LayerWeights, source: Floats, x: Floats) -> None:
        """Add to x the feed-forward network of each token of source."""
        h = self.ffn_input(layer, source)
        plain = layer.down_bias is None and layer.ffn_post_norm is None
        if self.config.activation == "swiglu" and plain:
            _core.swiglu_mlp(h, layer.gate_up, layer.down, residual=x, out=x)
        else:
            self.add_expanded(layer, x, self.expand(layer, h))

    def _norm(self, x: Floats, weight: Floats | None, bias: Floats | None = None) -> Floats:
        """RMSNorm, or LayerNorm where there is a bias; x itself where there is no weight."""
        if weight is None:
            return x
        if bias is None:
            return _core.rms_norm(x, weight, self.config.rms_norm_eps)
        return _core.layer_norm(x, weight, bias, self.config.rms_norm_eps)

    def _norm_heads(self, part: Floats, weight: Floats | None) -> None:
        """Norm queries or keys in place: each head, or all together, as the weight is long."""
        if weight is not None:
            rows = np.ascontiguousarray(part).reshape(-1, len(weight))
            part[:] = self._norm(rows, weight).reshape(part.shape)

    def _add(
        self,
        x: Floats,
        h: Floats,
        matrix: _core.Matrix,
        bias: Floats | None,
        post_norm: Floats | None,
    ) -> None:
        """Add a block's product to the residual stream x."""
        if post_norm is None:
            _core.matmul(h, matrix, bias=bias, residual=x, out=x)
        else:
            x += self._norm(_core.matmul(h, matrix, bias=bias), post_norm)

    def _cos_sin(self, n_positions: int, local: bool) -> tuple[Floats, Floats]:
        """Return tables with at least n_positions rows, made longer when a text asks for it."""
        theta = self.config.local_rope_theta if local else self.config.rope_theta
        angles = self._angles[local]
        if theta is not None and n_positions > len(angles[0]):
            longer = min(2 * n_positions, self.config.max_position_embeddings)
            self._angles[local] = angles = rotary_angles(self.config, longer, local)
        return angles
