"""Chat templates: the text a model was trained to see around a conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment


class _Generation(Extension):
    """``{% generation %}``: marks the assistant's words for training; the text is unchanged."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _to_json(value: Any, **options: Any) -> str:
    return json.dumps(value, **({"ensure_ascii": False} | options))


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


@lru_cache(maxsize=32)
def _compile(template: str) -> Any:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    return environment.from_string(template)


def render_chat(
    own: str | Mapping[str, str] | None,
    conversation: Sequence[Mapping[str, Any]],
    *,
    chosen: str | None = None,
    tools: Sequence[Any] | None = None,
    **variables: Any,
) -> str:
    """Return a conversation as text.

    Parameters
    ----------
    own
        The tokenizer's template, or its templates by name.
    conversation
        Messages: mappings with ``role`` and ``content``.
    chosen
        A template, or the name of one of `own`.
    tools
        Given to the template, which then may use the template named ``tool_use``.
    **variables
        Given to the template.

    Raises
    ------
    ValueError
        There is no template, it is broken, or it refuses the conversation.
    """
    named = dict(own) if isinstance(own, Mapping) else {"default": own} if own else {}
    name = "tool_use" if tools and "tool_use" in named else "default"
    template = named.get(chosen or name, chosen)
    if template is None:
        raise ValueError(
            "this tokenizer has no chat template: it belongs to a base model; pass chat_template="
        )
    if isinstance(conversation, (str, Mapping)) or not all(
        isinstance(message, Mapping) for message in conversation
    ):
        raise TypeError("conversation: expected a list of messages, each with a role and content")
    try:
        return str(_compile(template).render(messages=list(conversation), tools=tools, **variables))
    except TemplateError as error:
        raise ValueError(f"the chat template failed: {error}") from None
