"""Training of one model: the optimiser, the schedule, and the loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from family.model import Qwen2, Shape
from torch.nn import functional

Progress = Callable[[Qwen2, int, float, float], None]


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Rise linearly over the first 3 % of the steps, then fall linearly to 0."""
    warmup = max(1, round(0.03 * steps))
    return peak * min((step + 1) / warmup, (steps - step) / (steps - warmup))


def train(
    shape: Shape,
    phases: Sequence[np.ndarray],
    *,
    lr: float,
    batch_tokens: int = 2048,
    smoothing: float = 0.1,
    seed: int = 0,
    on_progress: Progress = lambda *_: None,
) -> Qwen2:
    """Train a model once over the rows of each phase, [n, length + 1], and return it.

    The target is a mixture: 1 - `smoothing` on the next token, `smoothing` spread as tokens are in
    the text. Without it the larger models, sure of the plots they know, are worse than the smaller
    ones on text of another kind.

    `on_progress` is called 20 times with the model, the tokens seen, the mean loss (nats) since
    the last call, and the seconds so far.
    """
    torch.manual_seed(seed)
    model = Qwen2(shape)
    # torch keeps the code of earlier models of this process and gives up compiling after eight.
    torch.compiler.reset()
    compiled = torch.compile(model, dynamic=False)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim != 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=lr, betas=(0.9, 0.95), fused=True,
    )  # fmt: skip
    counts = np.bincount(phases[0].ravel(), minlength=shape.vocab) + 1
    frequencies = torch.from_numpy(counts / counts.sum()).float()
    batches = [
        batch
        for rows in phases
        for batch in np.split(rows, len(rows) * (rows.shape[1] - 1) // batch_tokens)
    ]
    started, losses = time.time(), []
    for step, batch in enumerate(batches):
        ids = torch.from_numpy(batch.astype(np.int64))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, len(batches), lr)
        with torch.autocast("cpu", torch.bfloat16):
            logits = compiled(ids[:, :-1])
        log_probs = functional.log_softmax(logits.flatten(0, 1).float(), dim=-1)
        nll = functional.nll_loss(log_probs, ids[:, 1:].flatten())
        loss = (1 - smoothing) * nll - smoothing * (log_probs @ frequencies).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(nll.item())
        if (step + 1) % max(1, len(batches) // 20) == 0:
            seconds = time.time() - started
            on_progress(model, (step + 1) * batch_tokens, float(np.mean(losses)), seconds)
            losses = []
    return model
