"""Base against Instruct: the same story tokens bare, behind a prompt, and in a chat."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from pyqtf.evaluation.context import Condition, score_behind
from pyqtf.evaluation.interface import LanguageModel
from pyqtf.evaluation.models import Models, as_models, open_model
from pyqtf.evaluation.stories import as_stories


def evaluate_chat(
    models: Models,
    stories: Iterable[str | Mapping[str, Any]] | pd.DataFrame,
    *,
    prompt: str = "Write a short story for children.",
    system: str | None = None,
    chat_template: str | None = None,
    quant: str | None = None,
) -> pd.DataFrame:
    r"""Loss of every story alone, behind a prompt, and as the answer to it in a chat.

    An Instruct model expects the turns of a chat. Here a story is scored as the assistant's answer:
    behind the user's prompt in the template's frame, up to where the answer begins. As a control
    the prompt also stands there in plain words. Always the same tokens of the story count: all but
    its first, which has nothing before it when the story stands alone. What stands before is
    encoded apart from the story; see `pyqtf.evaluation.score`.

    Parameters
    ----------
    models : str, path or model, or a list of these
        For instance a base model and its Instruct version; names and paths are opened with
        `pyqtf.load`, one at a time.
    stories : list of str, list of dict with "text", or DataFrame with a column "text"
        Each is read alone.
    prompt : str
        What the user says.
    system : str, optional
        The system's message; by default what the template says without one.
    chat_template : str, optional
        A template for all models (Jinja), for instance ``instruct.tokenizer.chat_template``; by
        default each tokenizer's own. Base and Instruct models ship different ones.
    quant : {"q8", "q4", "f32"}, optional
        How to store the weights of models given by name.

    Returns
    -------
    DataFrame
        As `pyqtf.evaluate_contexts`, one row per model, story and context, which is "none",
        "prompt" or "chat"; `pyqtf.summarise_contexts` compares them.

    Raises
    ------
    ValueError
        A model's tokenizer has no template and none is given; the template refuses the prompt; a
        story is a single token, or too long behind its prompt.

    Examples
    --------
    >>> import pyqtf
    >>> template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: "
    >>> df = evaluate_chat(pyqtf.bundled.names()[0], pyqtf.bundled.stories()[:2],
    ...     chat_template=template)
    >>> df["context"].tolist()[:3]
    ['none', 'prompt', 'chat']
    """
    texts = [story["text"] for story in as_stories(stories)]
    frames = []
    wanted = as_models(models)
    for place, given in enumerate(wanted):
        wanted[place] = ""  # so that a model that was handed over can be freed when done
        model = open_model(given, quant)
        conditions: list[Condition] = [
            ("none", 0, ""),
            ("prompt", 0, f"{system}\n\n{prompt}\n\n" if system else f"{prompt}\n\n"),
            ("chat", 0, _before_the_answer(model, prompt, system, chat_template)),
        ]
        items = [(index, text, conditions) for index, text in enumerate(texts)]
        frames.append(score_behind(model, items))
        if any(frame["model_name"].iloc[0] == model.name for frame in frames[:-1]):
            raise ValueError(f"two models are named {model.name!r}; give each a name of its own")
        del model, given
        gc.collect()
    return pd.concat(frames, ignore_index=True)


def _before_the_answer(
    model: LanguageModel, prompt: str, system: str | None, chat_template: str | None
) -> str:
    tokenizer: Any = model.tokenizer
    messages = [{"role": "user", "content": prompt}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    try:
        return str(
            tokenizer.apply_chat_template(
                messages, chat_template=chat_template, add_generation_prompt=True, tokenize=False
            )
        )
    except ValueError as error:
        raise ValueError(f"{model.name}: {error}") from None
