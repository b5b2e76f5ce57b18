"""What a model costs, by its shape alone: parameters, arithmetic."""

from __future__ import annotations

import math

from pyqtf.models.config import ModelConfig
from pyqtf.models.registry import FAMILIES, tensor_shapes
from pyqtf.models.weights import part_shapes


def n_params(config: ModelConfig) -> int:
    """Return the number of parameters; tied ones count once.

    Examples
    --------
    >>> config = ModelConfig("llama", 100, 32, 1, 4, 2, 8, 64, 1e4, 1e-6, 512, True)
    >>> n_params(config)
    12512
    """
    return sum(math.prod(shape) for shape in tensor_shapes(config).values())


def n_params_non_embedding(config: ModelConfig) -> int:
    """Return the number of parameters without embeddings, learned positions and the output head.

    Examples
    --------
    >>> config = ModelConfig("llama", 100, 32, 1, 4, 2, 8, 64, 1e4, 1e-6, 512, True)
    >>> n_params(config) - n_params_non_embedding(config) == 100 * 32
    True
    """
    table = FAMILIES[config.family].model
    apart = {
        table[role][0] for role in ("embed", "positions", "head", "head_bias") if role in table
    }
    shapes = tensor_shapes(config)
    return sum(math.prod(shape) for name, shape in shapes.items() if name not in apart)


def products_per_token(config: ModelConfig, *, head: bool = True) -> int:
    """Return the multiply-adds of the matrices for one token; attention's own are not counted.

    Parameters
    ----------
    config : ModelConfig
        The shape.
    head : bool
        Whether the logits are computed.

    Examples
    --------
    >>> config = ModelConfig("llama", 100, 32, 1, 4, 2, 8, 64, 1e4, 1e-6, 512, True)
    >>> products_per_token(config) - products_per_token(config, head=False) == 100 * 32
    True
    """
    layers = sum(
        math.prod(shape)
        for name, shape in part_shapes(config).items()
        if name.startswith("layers.") and len(shape) == 2
    )
    return layers + head * config.vocab_size * config.hidden_size


def flops_per_token(config: ModelConfig, n_before: float = 0) -> float:
    """Return the floating-point operations that scoring one token takes.

    Two for each weight of a matrix that the token meets, and in attention four for each number of
    the queries and each token that it looks back at (https://arxiv.org/abs/2001.08361, table 1).

    Parameters
    ----------
    config : ModelConfig
        The shape.
    n_before : float
        Tokens that it looks back at, on average.

    Examples
    --------
    >>> config = ModelConfig("llama", 100, 32, 1, 4, 2, 8, 64, 1e4, 1e-6, 512, True)
    >>> flops_per_token(config, 10) - flops_per_token(config)
    1280.0
    """
    seen = sum(min(n_before, config.window(i) or n_before) for i in range(config.n_layers))
    return 2.0 * products_per_token(config) + 4.0 * seen * config.q_size
